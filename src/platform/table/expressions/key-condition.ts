/** Reads a KeyConditionExpression: `=` on the partition key, and at most one comparison of the sort key. */
import { invalid } from '../errors.ts';
import type { KeyAttribute } from '../port.ts';
import { typeOf, type Value } from '../values/value.ts';
import type { Aliases } from './aliases.ts';
import { refuseReversedBounds } from './condition.ts';
import type { Comparator, Condition, Operand } from './syntax.ts';

export interface KeyCondition {
  readonly partition: Value;
  readonly sort?: SortCondition;
}

export type SortCondition =
  | { readonly kind: Exclude<Comparator, '<>'>; readonly value: Value }
  | { readonly kind: 'between'; readonly lower: Value; readonly upper: Value }
  | { readonly kind: 'begins_with'; readonly value: Value };

/** One comparison, on the attribute it names. */
interface Term {
  readonly name: string;
  readonly condition: SortCondition;
}

export function readKeyCondition(
  condition: Condition,
  schema: { readonly partitionKey: KeyAttribute; readonly sortKey?: KeyAttribute },
  aliases: Aliases,
): KeyCondition {
  const { partitionKey, sortKey } = schema;
  const terms = conjunctionOf(condition).map(term => readTerm(term, aliases));
  const partition = terms.find(term => term.name === partitionKey.name);
  if (partition === undefined) throw missing(partitionKey);
  if (partition.condition.kind !== '=') throw invalid('Query key condition not supported');
  checkType(partitionKey, partition.condition.value);
  if (terms.length === 1) return { partition: partition.condition.value };
  const sort = terms.find(term => term !== partition);
  if (terms.length > 2) {
    throw invalid('Invalid KeyConditionExpression: KeyConditionExpressions must only contain one condition per key');
  }
  if (sort?.name === partitionKey.name) {
    throw invalid('Invalid KeyConditionExpression: KeyConditionExpressions must only contain one condition per key');
  }
  if (sort === undefined || sortKey === undefined || sort.name !== sortKey.name) {
    throw sortKey === undefined ? invalid('Query key condition not supported') : missing(sortKey);
  }
  checkSort(sortKey, sort.condition);
  return { partition: partition.condition.value, sort: sort.condition };
}

function missing(key: KeyAttribute) {
  return invalid(`Query condition missed key schema element: ${key.name}`);
}

function conjunctionOf(condition: Condition): Condition[] {
  if (condition.kind === 'or') throw invalidOperator('OR');
  if (condition.kind === 'not') throw invalidOperator('NOT');
  return condition.kind === 'and' ? [...conjunctionOf(condition.left), ...conjunctionOf(condition.right)] : [condition];
}

function invalidOperator(operator: string) {
  return invalid(`Invalid operator used in KeyConditionExpression: ${operator}`);
}

function readTerm(condition: Condition, aliases: Aliases): Term {
  switch (condition.kind) {
    case 'compare': {
      const { comparator, left, right } = condition;
      if (comparator === '<>') throw invalidOperator('<>');
      if ('value' in left) {
        return {
          name: nameOf(right, aliases),
          condition: { kind: mirrored[comparator], value: aliases.value(left.value) },
        };
      }
      return { name: nameOf(left, aliases), condition: { kind: comparator, value: literalOf(right, aliases) } };
    }
    case 'between': {
      const lower = literalOf(condition.lower, aliases);
      const upper = literalOf(condition.upper, aliases);
      refuseReversedBounds('KeyConditionExpression', lower, upper);
      return { name: nameOf(condition.operand, aliases), condition: { kind: 'between', lower, upper } };
    }
    case 'function': {
      if (condition.name !== 'begins_with') throw invalidOperator(condition.name);
      const [path, prefix] = condition.operands;
      return { name: nameOf(path, aliases), condition: { kind: 'begins_with', value: literalOf(prefix, aliases) } };
    }
    default:
      throw invalidOperator(condition.kind.toUpperCase());
  }
}

const mirrored = { '=': '=', '<': '>', '<=': '>=', '>': '<', '>=': '<=' } as const;

function nameOf(operand: Operand, aliases: Aliases): string {
  if (!('path' in operand)) throw invalid('Invalid KeyConditionExpression: A key must be compared with a value');
  const steps = aliases.steps(operand.path);
  const [name] = steps;
  if (steps.length > 1 || typeof name !== 'string') {
    throw invalid(
      'Invalid KeyConditionExpression: KeyConditionExpressions cannot have conditions on nested attributes',
    );
  }
  return name;
}

function literalOf(operand: Operand, aliases: Aliases): Value {
  if ('value' in operand) return aliases.value(operand.value);
  throw invalid('Invalid KeyConditionExpression: A key must be compared with a value');
}

function checkSort(key: KeyAttribute, condition: SortCondition): void {
  if (condition.kind === 'between') {
    checkType(key, condition.lower);
    checkType(key, condition.upper);
    return;
  }
  if (condition.kind === 'begins_with' && key.type === 'N') {
    throw invalid(
      'Invalid KeyConditionExpression: Incorrect operand type for operator or function; operator or function: begins_with, operand type: N',
    );
  }
  checkType(key, condition.value);
}

function checkType(key: KeyAttribute, value: Value): void {
  if (typeOf(value) !== key.type) {
    throw invalid('One or more parameter values were invalid: Condition parameter type does not match schema type');
  }
  if (value === '' || (value instanceof Uint8Array && value.length === 0)) {
    throw invalid(
      `One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty ${key.type === 'S' ? 'string' : 'binary'} value. Key: ${key.name}`,
    );
  }
}
