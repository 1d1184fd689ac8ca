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

type ConditionKind = Exclude<ExpressionKind, 'ProjectionExpression' | 'UpdateExpression'>;

const conditions: { readonly [Kind in ConditionKind]: ParsedCache<Condition> } = {
  ConditionExpression: new ParsedCache(text => parseCondition('ConditionExpression', text)),
  FilterExpression: new ParsedCache(text => parseCondition('FilterExpression', text)),
  KeyConditionExpression: new ParsedCache(text => parseCondition('KeyConditionExpression', text)),
};
const projections = new ParsedCache(parseProjection);
const updates = new ParsedCache(parseUpdate);

export function parsedCondition(kind: ConditionKind, text: string): Parsed<Condition> {
  return conditions[kind].get(text);
}

export function parsedProjection(text: string): Parsed<readonly Path[]> {
  return projections.get(text);
}

export function parsedUpdate(text: string): Parsed<readonly UpdateAction[]> {
  return updates.get(text);
}
