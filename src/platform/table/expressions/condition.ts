/**
 * Turns a condition or filter into a predicate on items. What is wrong with it is refused here, up front, one
 * comparison after the other in the order of the text, as DynamoDB does.
 */

import assert from 'node:assert/strict';
import { bufferOf } from '../../../kernel/bytes.ts';
import { compare, equals, type Item, isSet, setHas, typeOf, type Value } from '../values/value.ts';
import type { Aliases } from './aliases.ts';
import { Compiled } from './compiled.ts';
import { type Evaluate, evaluatorOf, type Slots } from './evaluate.ts';
import { checkLeaf, checkValues, dependsOnValues } from './leaf-checks.ts';
import type { Comparator, Condition, ConditionFunction, Leaf, Parsed } from './syntax.ts';
import type { ExpressionKind } from './tokenizer.ts';

/** An absent item is `{}`, as in DynamoDB: no attribute of it exists. */
export type Predicate = (item: Item) => boolean;

type Test = (item: Item, slots: Slots) => boolean;

interface Program {
  readonly test: Test;
  /** Whose values are to be checked with each request. */
  readonly leaves: readonly Leaf[];
}

const programs = new Compiled<Program>();

export function compileCondition(kind: ExpressionKind, parsed: Parsed<Condition>, aliases: Aliases): Predicate {
  const { slots, test } = bind(kind, parsed, aliases);
  return item => test(item, slots);
}

/** Refuses what is wrong with a condition; @returns the values it uses. */
export function checkCondition(kind: ExpressionKind, parsed: Parsed<Condition>, aliases: Aliases): Slots {
  return bind(kind, parsed, aliases).slots;
}

function bind(kind: ExpressionKind, parsed: Parsed<Condition>, aliases: Aliases): { slots: Slots; test: Test } {
  const slots = aliases.valuesOf(parsed);
  const known = programs.find(parsed, aliases);
  if (known !== undefined && slots !== undefined) {
    for (const leaf of known.leaves) checkValues(kind, leaf, slots);
    return { slots, test: known.test };
  }
  const compiler = new Compiler(kind, parsed, aliases);
  const test = compiler.compile(parsed.root);
  assert(slots !== undefined); // the compiler has refused aliases that are not defined
  programs.keep(parsed, aliases, { test, leaves: compiler.leaves });
  return { slots, test };
}

/** Tests outlive the request, so none may be made where it could see the aliases or values of the request. */
class Compiler {
  readonly leaves: Leaf[] = [];
  readonly #kind: ExpressionKind;
  readonly #aliases: Aliases;
  /** With holes where an alias is not defined, until the leaf is reached that uses it. */
  readonly #slots: Slots;

  constructor(kind: ExpressionKind, parsed: Parsed<Condition>, aliases: Aliases) {
    this.#kind = kind;
    this.#aliases = aliases;
    this.#slots = aliases.someValuesOf(parsed);
  }

  compile(condition: Condition): Test {
    switch (condition.kind) {
      case 'and':
        return allOf(condition.parts.map(part => this.compile(part)));
      case 'or':
        return anyOf(condition.parts.map(part => this.compile(part)));
      case 'not':
        return notOf(this.compile(condition.inner));
      default:
        return this.#leaf(condition);
    }
  }

  #leaf(leaf: Leaf): Test {
    checkLeaf(this.#kind, leaf, this.#aliases);
    checkValues(this.#kind, leaf, this.#slots);
    if (dependsOnValues(leaf)) this.leaves.push(leaf);
    const evaluators = leaf.operands.map(operand => evaluatorOf(operand, path => this.#aliases.steps(path)));
    return testOf(leaf, evaluators);
  }
}

function testOf(leaf: Leaf, [first, ...others]: readonly Evaluate[]): Test {
  switch (leaf.kind) {
    case 'compare':
      return comparisonOf(leaf.comparator, first, others[0]);
    case 'between':
      return betweenOf(first, others[0], others[1]);
    case 'in':
      return memberOf(first, others);
    case 'function':
      return callOf(leaf.name, first, others[0]);
  }
}

function callOf(name: ConditionFunction, left: Evaluate, right: Evaluate): Test {
  switch (name) {
    case 'attribute_exists':
      return (item, slots) => left(item, slots) !== undefined;
    case 'attribute_not_exists':
      return (item, slots) => left(item, slots) === undefined;
    case 'attribute_type':
      return bothOf(left, right, isOfType);
    case 'begins_with':
      return bothOf(left, right, beginsWith);
    case 'contains':
      return bothOf(left, right, contains);
  }
}

function bothOf(left: Evaluate, right: Evaluate, holds: (value: Value, other: Value) => boolean): Test {
  return (item, slots) => {
    const value = left(item, slots);
    if (value === undefined) return false;
    const other = right(item, slots);
    return other !== undefined && holds(value, other);
  };
}

function notOf(inner: Test): Test {
  return (item, slots) => !inner(item, slots);
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

function betweenOf(operand: Evaluate, lower: Evaluate, upper: Evaluate): Test {
  return (item, slots) => {
    const value = operand(item, slots);
    return isAtLeast(value, lower(item, slots)) && isAtLeast(upper(item, slots), value);
  };
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
  return bufferOf(value);
}
