/** Cuts an expression into tokens. Never refuses one: what fits nowhere is a token the parser stumbles over, in order. */
import { invalid } from '../errors.ts';
import { tableLimits } from '../limits.ts';
import { textBytes } from '../values/value.ts';

/** The request parameter an expression came in; every message about it begins with this name. */
export type ExpressionKind =
  | 'ConditionExpression'
  | 'FilterExpression'
  | 'KeyConditionExpression'
  | 'ProjectionExpression'
  | 'UpdateExpression';

export interface Token {
  /** `word`: name or keyword; `name`: #alias of a name; `value`: :alias of a value; `end`: behind the last. */
  readonly type: 'word' | 'name' | 'value' | 'integer' | 'symbol' | 'end';
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

/** @param isBounded  whether the text has the limits of one that is sent */
export function tokenize(kind: ExpressionKind, text: string, isBounded = true): Token[] {
  const bytes = textBytes(text);
  if (bytes > (isBounded ? tableLimits.expressionBytesMax : tableLimits.translatedBytesMax)) {
    const size = kind === 'UpdateExpression' ? '' : ` expression size: ${bytes}`; // DynamoDB tells it of all others
    throw invalid(`Invalid ${kind}: Expression size has exceeded the maximum allowed size;${size}`);
  }
  if (text.trim() === '') throw invalid(`Invalid ${kind}: The expression can not be empty;`);
  const tokens: Token[] = [];
  let at = 0;
  while (at < text.length) {
    const start = at;
    const type = typeAt(text, start);
    at = endOf(text, start, type);
    if (type !== 'blank') tokens.push({ type, text: text.slice(start, at), start, end: at });
  }
  tokens.push({ type: 'end', text: '<EOF>', start: text.length, end: tokens.at(-1)?.end ?? 0 });
  return tokens;
}

function typeAt(text: string, at: number): Exclude<Token['type'], 'end'> | 'blank' {
  const unit = text.charCodeAt(at);
  if (isLetter(unit)) return 'word';
  if (isDigit(unit)) return 'integer';
  switch (text[at]) {
    case ' ':
    case '\t':
    case '\r':
    case '\n':
      return 'blank';
    case '#': // alone, it names nothing and fits nowhere
      return isPart(text.charCodeAt(at + 1)) ? 'name' : 'symbol';
    case ':':
      return isPart(text.charCodeAt(at + 1)) ? 'value' : 'symbol';
    default:
      return 'symbol';
  }
}

function endOf(text: string, start: number, type: ReturnType<typeof typeAt>): number {
  let end = start + 1;
  switch (type) {
    case 'word':
    case 'name':
    case 'value':
      while (isPart(text.charCodeAt(end))) end++;
      return end;
    case 'integer':
      while (isDigit(text.charCodeAt(end))) end++;
      return end;
    case 'symbol':
      if (/^(<>|<=|>=)/.test(text.slice(start, start + 2))) return start + 2;
      return start + ((text.codePointAt(start) ?? 0) > 0xffff ? 2 : 1); // one character, not half of one
    case 'blank':
      return end;
  }
}

function isLetter(unit: number): boolean {
  return (unit >= 0x61 && unit <= 0x7a) || (unit >= 0x41 && unit <= 0x5a);
}

function isDigit(unit: number): boolean {
  return unit >= 0x30 && unit <= 0x39;
}

function isPart(unit: number): boolean {
  return isLetter(unit) || isDigit(unit) || unit === 0x5f;
}
