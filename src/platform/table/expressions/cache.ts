import { tableLimits } from '../limits.ts';
import { parseCondition, parseProjection, parseUpdate } from './parser.ts';
import type { Condition, Parsed, Path, Update } from './syntax.ts';
import type { ExpressionKind } from './tokenizer.ts';

/** Parsed expressions by their text, the least recently used forgotten first. Programs use few texts, again and again. */
class ParsedCache<Syntax> {
  readonly #parsed = new Map<string, Parsed<Syntax>>();
  readonly #parse: (text: string) => Parsed<Syntax>;

  constructor(parse: (text: string) => Parsed<Syntax>) {
    this.#parse = parse;
  }

  get(text: string): Parsed<Syntax> {
    const known = this.#parsed.get(text);
    if (known !== undefined) {
      this.#parsed.delete(text);
      this.#parsed.set(text, known); // now the most recently used
      return known;
    }
    const parsed = this.#parse(text);
    if (this.#parsed.size >= tableLimits.parsedExpressionsMax) {
      for (const oldest of this.#parsed.keys()) {
        this.#parsed.delete(oldest);
        break;
      }
    }
    this.#parsed.set(text, parsed);
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

export function parsedUpdate(text: string): Parsed<Update> {
  return updates.get(text);
}
