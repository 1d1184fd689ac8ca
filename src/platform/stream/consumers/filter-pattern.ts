/** Event patterns as EventBridge and Lambda's filters write them, made into predicates. Pure. */
import { consumerLimits } from './limits.ts';

/** Whether a value matches; `isThere` is false when the event has no such field. */
export type Predicate = (value: unknown, isThere: boolean) => boolean;

export type Json = Record<string, unknown>;

/** Throws an Error that says, as the end of a sentence, what is wrong with the pattern. */
export function compilePattern(pattern: unknown): Predicate {
  const combinations = { count: 1 };
  return compileObject(pattern, 0, combinations);
}

/** Every field must match. */
function compileObject(pattern: unknown, depth: number, combinations: { count: number }): Predicate {
  if (!isObject(pattern)) throw new Error('has something else than a list or an object for a field');
  if (depth > consumerLimits.filterPatternDepthMax) {
    throw new Error(`is nested deeper than ${consumerLimits.filterPatternDepthMax}`);
  }
  const entries = Object.entries(pattern);
  if (entries.length === 0) throw new Error('has an empty object');
  const fields = entries.map(([name, value]): Predicate => {
    if (name === '$or' && isAlternatives(value)) return compileOr(value, depth, combinations);
    const matches = Array.isArray(value) ? compileList(value) : compileObject(value, depth + 1, combinations);
    return event => {
      const isThere = isObject(event) && Object.hasOwn(event, name);
      return matches(isThere ? event[name] : undefined, isThere);
    };
  });
  return event => {
    // A list of objects matches by one of them, all of whose fields match.
    if (Array.isArray(event)) return event.some(element => fields.every(matches => matches(element, true)));
    return fields.every(matches => matches(event, true));
  };
}

/** `$or` is an operator only with a list of objects; otherwise it is a field like others. */
export function isAlternatives(value: unknown): value is Json[] {
  return Array.isArray(value) && value.length >= 2 && value.every(isObject);
}

function compileOr(alternatives: Json[], depth: number, combinations: { count: number }): Predicate {
  combinations.count *= alternatives.length;
  if (combinations.count > consumerLimits.filterCombinationsMax) {
    throw new Error(`has alternatives in $or that combine in over ${consumerLimits.filterCombinationsMax} ways`);
  }
  const predicates = alternatives.map(alternative => compileObject(alternative, depth + 1, combinations));
  return (event, isThere) => predicates.some(matches => matches(event, isThere));
}

/** One of a list must match: values as they are, and operators. */
function compileList(list: readonly unknown[]): Predicate {
  if (list.length === 0) throw new Error('has an empty list');
  const exact = new Set<unknown>();
  const operators: Predicate[] = [];
  const existence: Predicate[] = [];
  for (const entry of list) {
    if (Array.isArray(entry)) throw new Error('has a list in a list');
    if (!isObject(entry)) exact.add(entry);
    else if (Object.hasOwn(entry, 'exists')) existence.push(compileOperator(entry));
    else operators.push(compileOperator(entry));
  }
  const matchesOne: Predicate = (value, isThere) =>
    (isThere && exact.has(value)) || operators.some(matches => matches(value, isThere));
  return (value, isThere) => {
    if (existence.some(matches => matches(value, isThere))) return true;
    // A list in the event matches by one of its elements.
    return Array.isArray(value) ? value.some(element => matchesOne(element, true)) : matchesOne(value, isThere);
  };
}

type Operator = (operand: unknown) => Predicate;

const compilers: Readonly<Record<string, Operator>> = {
  prefix: operand => onText(operand, 'prefix', (value, text) => value.startsWith(text)),
  suffix: operand => onText(operand, 'suffix', (value, text) => value.endsWith(text)),
  'equals-ignore-case': operand => {
    const folded = textOf(operand, 'equals-ignore-case').toLowerCase();
    return value => typeof value === 'string' && value.toLowerCase() === folded;
  },
  'anything-but': compileAnythingBut,
  numeric: compileNumeric,
  exists: operand => {
    if (typeof operand !== 'boolean') throw new Error('has an exists that is neither true nor false');
    // Only of leaves: an object is no value that could be there.
    return (value, isThere) => (isThere && !isObject(value)) === operand;
  },
};

function compileOperator(entry: Json): Predicate {
  const [name, ...others] = Object.keys(entry);
  if (name === undefined || others.length > 0) throw new Error('has an operator that is not one name with one operand');
  if (!Object.hasOwn(compilers, name)) {
    throw new Error(`has the operator ${JSON.stringify(name)}; known are ${Object.keys(compilers).join(', ')}`);
  }
  return compilers[name](entry[name]);
}

/** `{"anything-but": "a"}`, a number, a list of either, or an operator on texts. The field must be there. */
function compileAnythingBut(operand: unknown): Predicate {
  if (isObject(operand)) {
    const [name] = Object.keys(operand);
    if (!['prefix', 'suffix', 'equals-ignore-case'].includes(name)) {
      throw new Error('has an anything-but with an operator that it cannot have');
    }
    const matches = compileOperator(operand);
    return (value, isThere) => isThere && !isObject(value) && !matches(value, true);
  }
  const list = Array.isArray(operand) ? operand : [operand];
  const isPlain = (value: unknown) => typeof value === 'string' || typeof value === 'number';
  if (list.length === 0 || !list.every(isPlain))
    throw new Error('has an anything-but of something else than texts and numbers');
  const refused = new Set<unknown>(list);
  return (value, isThere) => isThere && !isObject(value) && !refused.has(value);
}

const comparisons: Readonly<Record<string, (value: number, bound: number) => boolean>> = {
  '=': (value, bound) => value === bound,
  '<': (value, bound) => value < bound,
  '<=': (value, bound) => value <= bound,
  '>': (value, bound) => value > bound,
  '>=': (value, bound) => value >= bound,
};

/** `["=", 5]`, `["<", 5]`, or a range: `[">", 0, "<=", 5]`. */
function compileNumeric(operand: unknown): Predicate {
  if (!Array.isArray(operand) || (operand.length !== 2 && operand.length !== 4)) {
    throw new Error('has a numeric that is not a comparison or a range');
  }
  const bounds: { readonly sign: string; readonly bound: number }[] = [];
  for (let at = 0; at < operand.length; at += 2) {
    const [sign, bound] = [operand[at], operand[at + 1]];
    if (typeof sign !== 'string' || !Object.hasOwn(comparisons, sign) || typeof bound !== 'number') {
      throw new Error('has a numeric with something else than =, <, <=, >, >= and a number');
    }
    bounds.push({ sign, bound });
  }
  const [low, high] = bounds;
  const isRange =
    high === undefined || (low.sign.startsWith('>') && high.sign.startsWith('<') && low.bound < high.bound);
  if (!isRange) throw new Error('has a numeric range that is not from a lower to a higher bound');
  return value => typeof value === 'number' && bounds.every(({ sign, bound }) => comparisons[sign](value, bound));
}

function onText(operand: unknown, name: string, matches: (value: string, text: string) => boolean): Predicate {
  const text = textOf(operand, name);
  return value => typeof value === 'string' && matches(value, text);
}

function textOf(operand: unknown, name: string): string {
  if (typeof operand !== 'string') throw new Error(`has a ${name} that is not a text`);
  return operand;
}

export function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
