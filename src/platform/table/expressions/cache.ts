import { tableLimits } from '../limits.ts';
import { parseCondition } from './parse-condition.ts';
import { parseProjection } from './parse-projection.ts';
import { parseUpdate } from './parse-update.ts';
import type { Condition, Parsed, Path, UpdateAction } from './syntax.ts';
import type { ExpressionKind } from './tokenizer.ts';

/**
 * Parsed expressions by their text. Programs use few texts, again and again, so a hit costs one look-up: it is not noted.
 * When the young half is full it becomes the old one, and what was not used since the last time is forgotten.
 */
export class ParsedCache<Root> {
  readonly #parse: (text: string) => Parsed<Root>;
  readonly #max: number;
  #young = new Map<string, Parsed<Root>>();
  #old = new Map<string, Parsed<Root>>();

  constructor(parse: (text: string) => Parsed<Root>, max: number = tableLimits.parsedExpressionsMax) {
    this.#parse = parse;
    this.#max = max;
  }

  get size(): number {
    return this.#young.size + this.#old.size;
  }

  get(text: string): Parsed<Root> {
    const known = this.#young.get(text);
    if (known !== undefined) return known;
    const parsed = this.#old.get(text) ?? this.#parse(text);
    this.#old.delete(text);
    if (this.#young.size >= this.#max / 2) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(text, parsed);
    return parsed;
  }
}

type Parse<Root> = (text: string, isBounded: boolean) => Parsed<Root>;

/** Texts that were sent, which have limits, and texts made here of parameters that have none, which may be the same. */
class ParsedTexts<Root> {
  readonly #parse: Parse<Root>;
  readonly #sent: ParsedCache<Root>;
  readonly #translated: ParsedCache<Root>;

  constructor(parse: Parse<Root>) {
    this.#parse = parse;
    this.#sent = new ParsedCache(text => parse(text, true));
    this.#translated = new ParsedCache(text => parse(text, false));
  }

  get(text: string, isTranslated: boolean): Parsed<Root> {
    if (!isTranslated) return this.#sent.get(text);
    if (text.length <= tableLimits.expressionBytesMax) return this.#translated.get(text);
    return this.#parse(text, false); // too long to be kept
  }
}

type ConditionKind = Exclude<ExpressionKind, 'ProjectionExpression' | 'UpdateExpression'>;

const conditionTexts = (kind: ConditionKind) =>
  new ParsedTexts((text, isBounded) => parseCondition(kind, text, isBounded));
const conditions: { readonly [Kind in ConditionKind]: ParsedTexts<Condition> } = {
  ConditionExpression: conditionTexts('ConditionExpression'),
  FilterExpression: conditionTexts('FilterExpression'),
  KeyConditionExpression: conditionTexts('KeyConditionExpression'),
};
const projections = new ParsedTexts(parseProjection);
const updates = new ParsedTexts(parseUpdate);

export function parsedCondition(kind: ConditionKind, text: string, isTranslated = false): Parsed<Condition> {
  return conditions[kind].get(text, isTranslated);
}

export function parsedProjection(text: string, isTranslated = false): Parsed<readonly Path[]> {
  return projections.get(text, isTranslated);
}

export function parsedUpdate(text: string, isTranslated = false): Parsed<readonly UpdateAction[]> {
  return updates.get(text, isTranslated);
}
