/** Turns a condition or filter into a predicate on items. Literals of impossible types are refused here, up front. */
import { invalid } from '../errors.ts';
import { toAttributeValue } from '../values/attribute-value.ts';
import { compare, equals, type Item, isMap, isSet, setHas, typeOf, type Value } from '../values/value.ts';
import type { Aliases, Steps } from './aliases.ts';
import { pathText, valueAt } from './paths.ts';
import type { Comparator, Condition, ConditionFunction, Operand } from './syntax.ts';
import type { ExpressionKind } from './tokenizer.ts';

/** An absent item is `{}`, as in DynamoDB: no attribute of it exists. */
export type Predicate = (item: Item) => boolean;
type Evaluate = (item: Item) => Value | undefined;

export function compileCondition(kind: ExpressionKind, condition: Condition, aliases: Aliases): Predicate {
  return new ConditionCompiler(kind, aliases).compile(condition);
}

class ConditionCompiler {
  readonly #kind: ExpressionKind;
  readonly #aliases: Aliases;

  constructor(kind: ExpressionKind, aliases: Aliases) {
    this.#kind = kind;
    this.#aliases = aliases;
  }

  compile(condition: Condition): Predicate {
    switch (condition.kind) {
      case 'and': {
        const left = this.compile(condition.left);
        const right = this.compile(condition.right);
        return item => left(item) && right(item);
      }
      case 'or': {
        const left = this.compile(condition.left);
        const right = this.compile(condition.right);
        return item => left(item) || right(item);
      }
      case 'not': {
        const inner = this.compile(condition.inner);
        return item => !inner(item);
      }
      case 'compare':
        return this.#comparison(condition.comparator, condition.left, condition.right);
      case 'between':
        return this.#between(condition.operand, condition.lower, condition.upper);
      case 'in': {
        const operand = this.#operand(condition.operand);
        const candidates = condition.candidates.map(candidate => this.#operand(candidate));
        return item => {
          const value = operand(item);
          return value !== undefined && candidates.some(candidate => isEqual(value, candidate(item)));
        };
      }
      case 'function':
        return this.#call(condition.name, condition.operands);
    }
  }

  #comparison(comparator: Comparator, leftOperand: Operand, rightOperand: Operand): Predicate {
    if (comparator !== '=' && comparator !== '<>') this.#refuseUnordered(comparator, [leftOperand, rightOperand]);
    const left = this.#operand(leftOperand);
    const right = this.#operand(rightOperand);
    if (comparator === '=') return item => isEqual(left(item), right(item));
    if (comparator === '<>') return item => !isEqual(left(item), right(item));
    const accepts = acceptedOrders[comparator];
    return item => {
      const order = orderOf(left(item), right(item));
      return order !== undefined && accepts(order);
    };
  }

  #between(operand: Operand, lowerOperand: Operand, upperOperand: Operand): Predicate {
    this.#refuseUnordered('BETWEEN', [operand, lowerOperand, upperOperand]);
    if ('value' in lowerOperand && 'value' in upperOperand) {
      refuseReversedBounds(
        this.#kind,
        this.#aliases.value(lowerOperand.value),
        this.#aliases.value(upperOperand.value),
      );
    }
    const value = this.#operand(operand);
    const lower = this.#operand(lowerOperand);
    const upper = this.#operand(upperOperand);
    return item => {
      const fromLower = orderOf(value(item), lower(item));
      const toUpper = orderOf(value(item), upper(item));
      return fromLower !== undefined && toUpper !== undefined && fromLower >= 0 && toUpper <= 0;
    };
  }

  #call(name: ConditionFunction, operands: readonly Operand[]): Predicate {
    const [first, second] = operands;
    switch (name) {
      case 'attribute_exists': {
        const steps = this.#pathOf(name, first);
        return item => valueAt(item, steps) !== undefined;
      }
      case 'attribute_not_exists': {
        const steps = this.#pathOf(name, first);
        return item => valueAt(item, steps) === undefined;
      }
      case 'attribute_type':
        return this.#attributeType(this.#pathOf(name, first), second);
      case 'begins_with': {
        this.#refuseLiterals(name, operands, ['S', 'B']);
        const value = this.#operand(first);
        const prefix = this.#operand(second);
        return item => beginsWith(value(item), prefix(item));
      }
      case 'contains': {
        if ('path' in first && 'path' in second) this.#refuseSamePath(name, first.path, second.path);
        const value = this.#operand(first);
        const part = this.#operand(second);
        return item => contains(value(item), part(item));
      }
    }
  }

  #attributeType(steps: Steps, typeOperand: Operand): Predicate {
    const type = 'value' in typeOperand ? this.#aliases.value(typeOperand.value) : undefined;
    if (typeof type !== 'string') {
      throw this.#wrongType('attribute_type', 'value' in typeOperand && type !== undefined ? typeOf(type) : 'M');
    }
    if (!/^(S|N|B|BOOL|NULL|L|M|SS|NS|BS)$/.test(type)) {
      throw this.#invalid(
        `Invalid attribute type name found; type: ${type}, valid types: {B,NULL,SS,BOOL,L,BS,N,NS,S,M}`,
      );
    }
    return item => {
      const value = valueAt(item, steps);
      return value !== undefined && typeOf(value) === type;
    };
  }

  #operand(operand: Operand): Evaluate {
    if ('value' in operand) {
      const value = this.#aliases.value(operand.value);
      return () => value;
    }
    if ('sizeOf' in operand) {
      const steps = this.#aliases.steps(operand.sizeOf);
      return item => sizeOf(valueAt(item, steps));
    }
    const steps = this.#aliases.steps(operand.path);
    if (steps.length === 1 && typeof steps[0] === 'string') {
      const [name] = steps;
      return item => (Object.hasOwn(item, name) ? item[name] : undefined);
    }
    return item => valueAt(item, steps);
  }

  #pathOf(name: string, operand: Operand): Steps {
    if ('path' in operand) return this.#aliases.steps(operand.path);
    throw this.#invalid(`Operator or function requires a document path; operator or function: ${name}`);
  }

  #refuseUnordered(operator: string, operands: readonly Operand[]): void {
    this.#refuseLiterals(operator, operands, ['S', 'N', 'B']);
  }

  #refuseLiterals(operator: string, operands: readonly Operand[], allowed: readonly string[]): void {
    for (const operand of operands) {
      if (!('value' in operand)) continue;
      const type = typeOf(this.#aliases.value(operand.value));
      if (!allowed.includes(type)) throw this.#wrongType(operator, type);
    }
  }

  #refuseSamePath(name: string, left: Parameters<Aliases['steps']>[0], right: Parameters<Aliases['steps']>[0]): void {
    const first = pathText(this.#aliases.steps(left));
    if (first !== pathText(this.#aliases.steps(right))) return;
    throw this.#invalid(
      `The first operand must be distinct from the remaining operands for this operator or function; operator: ${name}, first operand: ${first}`,
    );
  }

  #wrongType(operator: string, type: string) {
    return this.#invalid(
      `Incorrect operand type for operator or function; operator or function: ${operator}, operand type: ${type}`,
    );
  }

  #invalid(message: string) {
    return invalid(`Invalid ${this.#kind}: ${message}`);
  }
}

const acceptedOrders: { readonly [Each in Exclude<Comparator, '=' | '<>'>]: (order: number) => boolean } = {
  '<': order => order < 0,
  '<=': order => order <= 0,
  '>': order => order > 0,
  '>=': order => order >= 0,
};

export function refuseReversedBounds(kind: ExpressionKind, lower: Value, upper: Value): void {
  if (typeOf(lower) !== typeOf(upper)) {
    throw invalid(
      `Invalid ${kind}: The BETWEEN operator requires same data type for lower and upper bounds; ` +
        `lower bound operand: AttributeValue: ${attributeText(lower)}, upper bound operand: AttributeValue: ${attributeText(upper)}`,
    );
  }
  if ((compare(lower, upper) ?? 0) > 0) {
    throw invalid(
      `Invalid ${kind}: The BETWEEN operator requires upper bound to be greater than or equal to lower bound; ` +
        `lower bound operand: AttributeValue: ${attributeText(lower)}, upper bound operand: AttributeValue: ${attributeText(upper)}`,
    );
  }
}

function attributeText(value: Value): string {
  const [[type, content]] = Object.entries(toAttributeValue(value));
  return `{${type}:${String(content)}}`;
}

function isEqual(left: Value | undefined, right: Value | undefined): boolean {
  return left !== undefined && right !== undefined && equals(left, right);
}

function orderOf(left: Value | undefined, right: Value | undefined): number | undefined {
  return left === undefined || right === undefined ? undefined : compare(left, right);
}

function sizeOf(value: Value | undefined): number | undefined {
  if (typeof value === 'string') return value.length; // UTF-16 code units, as in DynamoDB
  if (value instanceof Uint8Array || Array.isArray(value)) return value.length;
  if (isSet(value)) return value.size;
  return isMap(value) ? Object.keys(value).length : undefined;
}

function beginsWith(value: Value | undefined, prefix: Value | undefined): boolean {
  if (typeof value === 'string' && typeof prefix === 'string') return value.startsWith(prefix);
  if (!(value instanceof Uint8Array) || !(prefix instanceof Uint8Array)) return false;
  return value.length >= prefix.length && Buffer.compare(value.subarray(0, prefix.length), prefix) === 0;
}

function contains(value: Value | undefined, part: Value | undefined): boolean {
  if (value === undefined || part === undefined) return false;
  if (typeof value === 'string') return typeof part === 'string' && value.includes(part);
  if (value instanceof Uint8Array) return part instanceof Uint8Array && Buffer.from(value).includes(Buffer.from(part));
  if (isSet(value)) return setHas(value, part);
  return Array.isArray(value) && value.some(element => equals(element, part));
}
