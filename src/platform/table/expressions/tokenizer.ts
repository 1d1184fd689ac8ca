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
}

const tokenPattern =
  /\s+|(?<word>[A-Za-z][A-Za-z0-9_]*)|(?<name>#[A-Za-z0-9_]+)|(?<value>:[A-Za-z0-9_]+)|(?<integer>\d+)|(?<symbol><>|<=|>=|[=<>(),.[\]+-])/y;

export function tokenize(kind: ExpressionKind, text: string): Token[] {
  const bytes = textBytes(text);
  if (bytes > tableLimits.expressionBytesMax) {
    throw invalid(`Invalid ${kind}: Expression size has exceeded the maximum allowed size; expression size: ${bytes}`);
  }
  if (text.trim() === '') throw invalid(`Invalid ${kind}: The expression can not be empty;`);
  const tokens: Token[] = [];
  for (let start = 0; start < text.length; start = tokenPattern.lastIndex) {
    tokenPattern.lastIndex = start;
    const match = tokenPattern.exec(text);
    if (match === null) throw syntaxError(kind, text, { type: 'symbol', text: text[start], start });
    const { word, name, value, integer, symbol } = match.groups ?? {};
    if (word !== undefined) tokens.push({ type: 'word', text: word, start });
    else if (name !== undefined) tokens.push({ type: 'name', text: name, start });
    else if (value !== undefined) tokens.push({ type: 'value', text: value, start });
    else if (integer !== undefined) tokens.push({ type: 'integer', text: integer, start });
    else if (symbol !== undefined) tokens.push({ type: 'symbol', text: symbol, start });
  }
  tokens.push({ type: 'end', text: '<EOF>', start: text.length });
  return tokens;
}

export function syntaxError(kind: ExpressionKind, text: string, token: Token) {
  const near = text.slice(Math.max(0, token.start - 10), token.start + token.text.length + 10).trim();
  return invalid(`Invalid ${kind}: Syntax error; token: "${token.text}", near: "${near}"`);
}
