/**
 * Turns a condition or filter into a predicate on items. What is wrong with it is refused here, up front, one
 * comparison after the other in the order of the text, as DynamoDB does.
 */
import assert from 'node:assert/strict';
import { compare, equals, type Item, isSet, setHas, typeOf, type Value } from '../values/value.ts';
import type { Aliases } from './aliases.ts';
import { type Evaluate, evaluatorOf, readerOf, type Slots } from './evaluate.ts';
import { type Check, checksOf } from './leaf-checks.ts';
import type { Comparator, Condition, ConditionFunction, Leaf, Operand, Parsed, Path } from './syntax.ts';
import type { ExpressionKind } from './tokenizer.ts';

/** An absent item is `{}`, as in DynamoDB: no attribute of it exists. */
export type Predicate = (item: Item) => boolean;

type Test = (item: Item, slots: Slots) => boolean;

/** A condition compiled for the names its aliases stood for; values come with each request. */
interface Program {
  readonly names: readonly string[];
  readonly test: Test;
  readonly checks: readonly Check[];
}

/** The last program of each text: requests with one text nearly always mean the same names. */
const programs = new WeakMap<Parsed<Condition>, Program>();

export function compileCondition(kind: ExpressionKind, parsed: Parsed<Condition>, aliases: Aliases): Predicate {
  const { slots, test } = bind(kind, parsed, aliases);
  return item => test(item, slots);
}

/** Refuses what is wrong with a condition; @returns the values it uses. */
export function checkCondition(kind: ExpressionKind, parsed: Parsed<Condition>, aliases: Aliases): Slots {
  return bind(kind, parsed, aliases).slots;
}

function bind(kind: ExpressionKind, parsed: Parsed<Condition>, aliases: Aliases): { slots: Slots; test: Test } {
  const names = aliases.namesOf(parsed);
  const slots = aliases.valuesOf(parsed);
  const known = programs.get(parsed);
  if (known !== undefined && names !== undefined && slots !== undefined && areSame(known.names, names)) {
    for (const check of known.checks) check(slots);
    return { slots, test: known.test };
  }
  const compiler = new Compiler(kind, parsed, aliases);
  const test = compiler.compile(parsed.root);
  assert(names !== undefined && slots !== undefined); // the compiler has refused aliases that are not defined
  programs.set(parsed, { names, test, checks: compiler.checks });
  return { slots, test };
}

function areSame(left: readonly string[], right: readonly string[]): boolean {
  if (left === right) return true;
  for (let index = 0; index < left.length; index++) if (left[index] !== right[index]) return false;
  return true;
}

class Compiler {
  readonly checks: Check[] = [];
  /** With holes where an alias is not defined, until the comparison is reached that uses it. */
  readonly slots: Slots;
  readonly #kind: ExpressionKind;
  readonly #aliases: Aliases;

  constructor(kind: ExpressionKind, parsed: Parsed<Condition>, aliases: Aliases) {
    this.#kind = kind;
    this.#aliases = aliases;
    this.slots = aliases.someValuesOf(parsed);
  }

  compile(condition: Condition): Test {
    switch (condition.kind) {
      case 'and':
        return allOf(condition.parts.map(part => this.compile(part)));
      case 'or':
        return anyOf(condition.parts.map(part => this.compile(part)));
      case 'not': {
        const inner = this.compile(condition.inner);
        return (item, slots) => !inner(item, slots);
      }
      default:
        for (const check of checksOf(this.#kind, condition, this.#aliases)) {
          check(this.slots);
          this.checks.push(check);
        }
        return this.#leaf(condition);
    }
  }

  #leaf(leaf: Leaf): Test {
    if (leaf.kind === 'function') return this.#call(leaf.name, leaf.operands);
    const [first, ...others] = leaf.operands.map(operand => this.#evaluator(operand));
    const [second, third] = others;
    switch (leaf.kind) {
      case 'compare':
        return comparisonOf(leaf.comparator, first, second);
      case 'between':
        return (item, slots) => {
          const value = first(item, slots);
          return isAtLeast(value, second(item, slots)) && isAtLeast(third(item, slots), value);
        };
      case 'in':
        return memberOf(first, others);
    }
  }

  #call(name: ConditionFunction, [first, second]: readonly Operand[]): Test {
    if (name === 'attribute_exists' || name === 'attribute_not_exists') {
      // A cast: anything but a path was refused.
      const read = readerOf(this.#steps((first as { path: Path }).path));
      return name === 'attribute_exists' ? item => read(item) !== undefined : item => read(item) === undefined;
    }
    const left = this.#evaluator(first);
    const right = this.#evaluator(second);
    const holds = { attribute_type: isOfType, begins_with: beginsWith, contains }[name];
    return (item, slots) => {
      const value = left(item, slots);
      if (value === undefined) return false;
      const other = right(item, slots);
      return other !== undefined && holds(value, other);
    };
  }

  #evaluator(operand: Operand): Evaluate {
    return evaluatorOf(operand, path => this.#steps(path));
  }

  #steps(path: Path) {
    return this.#aliases.steps(path);
  }
}

function allOf(tests: readonly Test[]): Test {
  const [first, second] = tests;
  if (tests.length === 2) return (item, slots) => first(item, slots) && second(item, slots);
  return (item, slots) => {
    for (const test of tests) if (!test(item, slots)) return false;
    return true;
  };
}

function anyOf(tests: readonly Test[]): Test {
  const [first, second] = tests;
  if (tests.length === 2) return (item, slots) => first(item, slots) || second(item, slots);
  return (item, slots) => {
    for (const test of tests) if (test(item, slots)) return true;
    return false;
  };
}

function comparisonOf(comparator: Comparator, left: Evaluate, right: Evaluate): Test {
  switch (comparator) {
    case '=':
      return (item, slots) => isEqual(left(item, slots), right(item, slots));
    case '<>':
      return (item, slots) => !isEqual(left(item, slots), right(item, slots));
    case '<':
      return (item, slots) => isLess(left(item, slots), right(item, slots));
    case '<=':
      return (item, slots) => isAtLeast(right(item, slots), left(item, slots));
    case '>':
      return (item, slots) => isLess(right(item, slots), left(item, slots));
    case '>=':
      return (item, slots) => isAtLeast(left(item, slots), right(item, slots));
  }
}

function memberOf(operand: Evaluate, candidates: readonly Evaluate[]): Test {
  return (item, slots) => {
    const value = operand(item, slots);
    if (value === undefined) return false;
    for (const candidate of candidates) if (isEqual(value, candidate(item, slots))) return true;
    return false;
  };
}

function isEqual(left: Value | undefined, right: Value | undefined): boolean {
  return left !== undefined && right !== undefined && equals(left, right);
}

function isLess(left: Value | undefined, right: Value | undefined): boolean {
  if (left === undefined || right === undefined) return false;
  const order = compare(left, right);
  return order !== undefined && order < 0;
}

function isAtLeast(left: Value | undefined, right: Value | undefined): boolean {
  if (left === undefined || right === undefined) return false;
  const order = compare(left, right);
  return order !== undefined && order >= 0;
}

function isOfType(value: Value, type: Value): boolean {
  return typeOf(value) === type;
}

function beginsWith(value: Value, prefix: Value): boolean {
  if (typeof value === 'string') return typeof prefix === 'string' && value.startsWith(prefix);
  if (!(value instanceof Uint8Array) || !(prefix instanceof Uint8Array)) return false;
  return value.length >= prefix.length && Buffer.compare(value.subarray(0, prefix.length), prefix) === 0;
}

function contains(value: Value, part: Value): boolean {
  if (typeof value === 'string') return typeof part === 'string' && value.includes(part);
  if (value instanceof Uint8Array) return part instanceof Uint8Array && bytesOf(value).includes(bytesOf(part));
  if (isSet(value)) return setHas(value, part);
  return Array.isArray(value) && value.some(element => equals(element, part));
}

function bytesOf(value: Uint8Array): Buffer {
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength); // a view, not a copy
}
