/**
 * Reads a KeyConditionExpression. `keyTermsOf` takes it apart, once its operands were checked, and needs no table;
 * `fitToKey` fits it to a key: `=` on every partition key attribute, then on sort key attributes from the first without a gap, and on the last of them that
 * is used perhaps another comparison.
 */
import { invalid, type TableError } from '../errors.ts';
import type { KeyAttribute } from '../port.ts';
import { typeOf, type Value } from '../values/value.ts';
import type { Aliases } from './aliases.ts';
import { checkCondition } from './condition.ts';
import type { Slots } from './evaluate.ts';
import type { Comparator, Condition, Leaf, Operand, Parsed } from './syntax.ts';

const kind = 'KeyConditionExpression';

/** A key of one or several attributes, in their order. */
export interface KeyParts {
  readonly partitionKeys: readonly KeyAttribute[];
  readonly sortKeys: readonly KeyAttribute[];
}

export interface KeyCondition {
  /** One value for each partition key attribute. */
  readonly partition: readonly Value[];
  readonly sort: {
    /** What the first sort key attributes equal. */
    readonly fixed: readonly Value[];
    /** How the next one compares. */
    readonly range?: KeyRange;
  };
}

export type KeyRange =
  | { readonly kind: Exclude<Comparator, '=' | '<>'>; readonly value: Value }
  | { readonly kind: 'between'; readonly lower: Value; readonly upper: Value }
  | { readonly kind: 'begins_with'; readonly value: Value };

/** One comparison, on the attribute it names. */
export interface KeyTerm {
  readonly name: string;
  readonly comparison: { readonly kind: '='; readonly value: Value } | KeyRange;
}

/** Refuses operands of impossible types; @returns the values the condition uses. */
export function checkKeyOperands(parsed: Parsed<Condition>, aliases: Aliases): Slots {
  return checkCondition(kind, parsed, aliases);
}

/** Refuses what no key could make right: operators, several comparisons of one attribute. */
export function keyTermsOf(
  parsed: Parsed<Condition>,
  aliases: Aliases,
  slots: Slots = checkKeyOperands(parsed, aliases),
): readonly KeyTerm[] {
  return new TermReader(slots, aliases).read(parsed.root);
}

class TermReader {
  readonly #slots: Slots;
  readonly #aliases: Aliases;
  readonly #terms = new Map<string, KeyTerm>();

  constructor(slots: Slots, aliases: Aliases) {
    this.#slots = slots;
    this.#aliases = aliases;
  }

  read(condition: Condition): readonly KeyTerm[] {
    this.#visit(condition);
    return [...this.#terms.values()];
  }

  #visit(condition: Condition): void {
    switch (condition.kind) {
      case 'or':
      case 'not':
      case 'in':
        throw invalidOperator(condition.kind.toUpperCase());
      case 'and':
        for (const part of condition.parts) this.#visit(part);
        return;
      default:
        this.#add(condition);
    }
  }

  #add(leaf: Leaf): void {
    refuseOperator(leaf);
    const name = this.#nameIn(leaf);
    if (this.#terms.has(name)) {
      throw invalid(`Invalid ${kind}: KeyConditionExpressions must only contain one condition per key`);
    }
    this.#terms.set(name, { name, comparison: this.#comparisonOf(leaf) });
  }

  /** The one attribute the operands name. */
  #nameIn(leaf: Leaf): string {
    let name: string | undefined;
    for (const operand of leaf.operands) {
      if ('size' in operand) throw invalid(`Invalid ${kind}: KeyConditionExpressions cannot contain nested operations`);
      if (!('path' in operand)) continue;
      if (name !== undefined) throw invalidCondition('Multiple attribute names used in one condition');
      const [first, ...below] = this.#aliases.steps(operand.path);
      if (below.length > 0) {
        throw invalid(`Invalid ${kind}: KeyConditionExpressions cannot have conditions on nested attributes`);
      }
      name = String(first);
    }
    if (name === undefined) throw invalidCondition('No key attribute specified');
    return name;
  }

  #comparisonOf(leaf: Leaf): KeyTerm['comparison'] {
    const [first, second, third] = leaf.operands;
    if (leaf.kind === 'between') return { kind: 'between', lower: this.#value(second), upper: this.#value(third) };
    if (leaf.kind !== 'compare') return { kind: 'begins_with', value: this.#value(second) };
    const isMirrored = 'slot' in first;
    return {
      // A cast: `<>` was refused.
      kind: (isMirrored ? mirrored[leaf.comparator] : leaf.comparator) as Exclude<Comparator, '<>'>,
      value: this.#value(isMirrored ? first : second),
    };
  }

  #value(operand: Operand): Value {
    return this.#slots[(operand as { slot: number }).slot]; // a cast: of the operands, only one names an attribute
  }
}

const mirrored = { '=': '=', '<>': '<>', '<': '>', '<=': '>=', '>': '<', '>=': '<=' } as const;

function refuseOperator(leaf: Leaf): void {
  if (leaf.kind === 'compare' && leaf.comparator === '<>') throw invalidOperator('<>');
  if (leaf.kind === 'function' && leaf.name !== 'begins_with') throw invalidOperator(leaf.name);
  if (leaf.kind === 'compare' || 'path' in leaf.operands[0]) return;
  const operator = leaf.kind === 'function' ? leaf.name : 'BETWEEN';
  throw invalidCondition(`${operator} operator must have the key attribute as its first operand`);
}

function invalidOperator(operator: string): TableError {
  return invalid(`Invalid operator used in ${kind}: ${operator}`);
}

function invalidCondition(message: string): TableError {
  return invalid(`Invalid condition in ${kind}: ${message}`);
}

export interface KeyFitting {
  /** Called for each attribute of the key before the condition on it is looked at. */
  readonly beforeKey?: (key: KeyAttribute) => void;
  readonly notIndexable?: ReadonlySet<string>;
}

/** Refuses what does not fit this key. */
export function fitToKey(
  terms: readonly KeyTerm[],
  { partitionKeys, sortKeys }: KeyParts,
  { beforeKey = () => {}, notIndexable }: KeyFitting = {},
): KeyCondition {
  for (const key of partitionKeys) beforeKey(key);
  const attributes = partitionKeys.length + sortKeys.length;
  if (terms.length > Math.max(attributes, 2)) {
    throw invalid(
      `The number of query conditions (${terms.length}) exceeds the number of key attributes defined in the schema (${attributes})`,
    );
  }
  if (terms.length > attributes) throw conditionNotSupported();
  const termOf = ({ name }: KeyAttribute) => terms.find(term => term.name === name);
  const partition = partitionKeys.map(key => equalTo(key, termOf(key), notIndexable));
  for (const key of sortKeys) beforeKey(key);
  const used = sortKeys.map(key => ({ key, term: termOf(key) }));
  if (partition.length + used.filter(({ term }) => term !== undefined).length < terms.length) {
    // One names no attribute of the key, and so stands where the first unused one should.
    throw missing(used.find(({ term }) => term === undefined)?.key ?? partitionKeys[0]);
  }
  refuseGaps(used);
  const fixed: Value[] = [];
  for (const { key, term } of used) {
    if (term === undefined) break;
    refuseNotIndexable(key, notIndexable);
    checkValues(key, term);
    if (term.comparison.kind !== '=') return { partition, sort: { fixed, range: term.comparison } };
    fixed.push(term.comparison.value);
  }
  return { partition, sort: { fixed } };
}

function equalTo(key: KeyAttribute, term: KeyTerm | undefined, notIndexable: KeyFitting['notIndexable']): Value {
  if (term === undefined) throw missing(key);
  refuseNotIndexable(key, notIndexable);
  checkValues(key, term);
  if (term.comparison.kind !== '=') throw conditionNotSupported();
  return term.comparison.value;
}

/** Sort key attributes are used from the first on, all but the last of them with `=`. */
function refuseGaps(used: readonly { readonly key: KeyAttribute; readonly term: KeyTerm | undefined }[]): void {
  for (const [index, { key, term }] of used.entries()) {
    if (term === undefined) continue;
    const unfixed = used.slice(0, index).filter(before => before.term?.comparison.kind !== '=');
    if (unfixed.length === 0) continue;
    const names = unfixed.map(before => before.key.name).join(', ');
    throw invalid(
      `RANGE key attributes ${names} must have equality conditions specified in the query because a condition is present on key attribute ${key.name}`,
    );
  }
}

function refuseNotIndexable({ name }: KeyAttribute, notIndexable: KeyFitting['notIndexable']): void {
  if (notIndexable?.has(name)) throw invalid('Attempted conditional constraint is not an indexable operation');
}

function missing(key: KeyAttribute): TableError {
  return invalid(`Query condition missed key schema element: ${key.name}`);
}

function conditionNotSupported(): TableError {
  return invalid('Query key condition not supported');
}

function checkValues(key: KeyAttribute, { comparison }: KeyTerm): void {
  const values = comparison.kind === 'between' ? [comparison.lower, comparison.upper] : [comparison.value];
  for (const value of values) {
    if (typeOf(value) !== key.type) {
      throw invalid('One or more parameter values were invalid: Condition parameter type does not match schema type');
    }
    if (value === '' || (value instanceof Uint8Array && value.length === 0)) {
      throw invalid(
        `One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty ${key.type === 'S' ? 'string' : 'binary'} value. Key: ${key.name}`,
      );
    }
  }
}
