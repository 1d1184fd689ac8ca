/** Conditions from before expressions: `{ComparisonOperator, AttributeValueList}` by attribute. */
import { checkValue, isAbove, requestRefusal, type Wording } from '../../../platform/table/index.ts';
import type { FreshAliases } from './fresh-aliases.ts';

export interface LegacyCondition {
  readonly ComparisonOperator: string;
  readonly AttributeValueList?: readonly WireValue[];
}

/** With its type spelled out; types were checked with the request. */
export type WireValue = Readonly<Record<string, unknown>>;

export const notValid = 'One or more parameter values were invalid: ';

const all = ['S', 'N', 'B', 'SS', 'NS', 'BS', 'BOOL', 'NULL', 'L', 'M'];
const scalars = ['S', 'N', 'B'];

interface Operator {
  readonly valuesMin: number;
  readonly valuesMax: number;
  /** Of what types a value may be. */
  readonly types: readonly string[];
  expression(name: string, values: readonly string[]): string;
}

const compares = (sign: string, types: readonly string[]): Operator => ({
  valuesMin: 1,
  valuesMax: 1,
  types,
  expression: (name, [value]) => `${name} ${sign} ${value}`,
});
const asks = (call: string): Operator => ({
  valuesMin: 0,
  valuesMax: 0,
  types: all,
  expression: name => `${call}(${name})`,
});
const calls = (call: string, types: readonly string[]): Operator => ({
  valuesMin: 1,
  valuesMax: 1,
  types,
  expression: (name, [value]) => `${call}(${name}, ${value})`,
});

export const operators: Readonly<Record<string, Operator>> = {
  EQ: compares('=', all),
  NE: compares('<>', all),
  LE: compares('<=', scalars),
  LT: compares('<', scalars),
  GE: compares('>=', scalars),
  GT: compares('>', scalars),
  NULL: asks('attribute_not_exists'),
  NOT_NULL: asks('attribute_exists'),
  CONTAINS: calls('contains', scalars),
  NOT_CONTAINS: calls('NOT contains', scalars),
  BEGINS_WITH: calls('begins_with', ['S', 'B']),
  IN: {
    valuesMin: 1,
    valuesMax: Number.POSITIVE_INFINITY,
    types: scalars,
    expression: (name, values) => `${name} IN (${values.join(',')})`,
  },
  BETWEEN: {
    valuesMin: 2,
    valuesMax: 2,
    types: scalars,
    expression: (name, [lower, upper]) => `${name} BETWEEN ${lower} AND ${upper}`,
  },
};

/** Throws `table.invalid` for what the operator cannot be used with. */
export function checkCondition(operatorName: string, values: readonly WireValue[], wording: Wording): void {
  const operator = operators[operatorName];
  for (const value of values) checkValue(value, wording);
  checkValueCount(operatorName, values.length, wording);
  checkOneType(values, wording);
  for (const [type] of values.map(Object.keys)) {
    if (operator.types.includes(type)) continue;
    throw requestRefusal(
      `${notValid}ComparisonOperator ${operatorName} is not valid for ${type} AttributeValue type`,
      wording,
    );
  }
  checkBounds(operatorName, values, wording);
}

function checkValueCount(operatorName: string, count: number, wording: Wording): void {
  const { valuesMin, valuesMax } = operators[operatorName];
  if (count >= valuesMin && count <= valuesMax) return;
  throw requestRefusal(`${notValid}Invalid number of argument(s) for the ${operatorName} ComparisonOperator`, wording);
}

function checkOneType(values: readonly WireValue[], wording: Wording): void {
  const types = new Set(values.map(value => Object.keys(value)[0]));
  if (types.size < 2) return;
  throw requestRefusal(`${notValid}AttributeValues inside AttributeValueList must be of same type`, wording);
}

function checkBounds(operatorName: string, values: readonly WireValue[], wording: Wording): void {
  if (operatorName !== 'BETWEEN' || !isAbove(values[0], values[1])) return;
  throw requestRefusal(
    'The BETWEEN condition was provided a range where the lower bound is greater than the upper bound',
    wording,
  );
}

export function conditionExpression(
  attribute: string,
  operatorName: string,
  values: readonly WireValue[],
  aliases: FreshAliases,
): string {
  const name = aliases.name(attribute);
  return operators[operatorName].expression(
    name,
    values.map(value => aliases.value(value)),
  );
}

export type LegacyConditions = Readonly<Record<string, LegacyCondition | null>>;

export function checkConditions(conditions: LegacyConditions, wording: Wording): void {
  for (const [, { ComparisonOperator, AttributeValueList = [] }] of givenOf(conditions)) {
    checkCondition(ComparisonOperator, AttributeValueList, wording);
  }
}

/** @returns undefined if there is no condition */
export function translateConditions(
  conditions: LegacyConditions,
  conditionalOperator: unknown,
  aliases: FreshAliases,
): string | undefined {
  const texts = givenOf(conditions).map(([attribute, { ComparisonOperator, AttributeValueList = [] }]) =>
    conditionExpression(attribute, ComparisonOperator, AttributeValueList, aliases),
  );
  return joined(texts, conditionalOperator);
}

export function isGiven<Held>(entry: [string, Held | null]): entry is [string, Held] {
  return entry[1] !== null;
}

function givenOf(conditions: LegacyConditions): [string, LegacyCondition][] {
  return Object.entries(conditions).filter(isGiven);
}

export function joined(texts: readonly string[], conditionalOperator: unknown): string | undefined {
  return texts.length === 0 ? undefined : texts.join(conditionalOperator === 'OR' ? ' OR ' : ' AND ');
}

/** KeyConditions: at most one for each of two key attributes. */
export function checkKeyConditions(conditions: LegacyConditions, wording: Wording): void {
  checkConditions(conditions, wording);
  const count = givenOf(conditions).length;
  if (count !== 1 && count !== 2) throw requestRefusal('Conditions can be of length 1 or 2 only', wording);
}

const notIndexable: readonly string[] = ['NULL', 'NOT_NULL', 'NE', 'CONTAINS', 'NOT_CONTAINS', 'IN'];

export interface KeyConditions {
  readonly expression: string;
  /** Attributes with an operator no range of keys can stand for, which is said once the table is known. */
  readonly notIndexable: ReadonlySet<string>;
}

export function translateKeyConditions(conditions: LegacyConditions, aliases: FreshAliases): KeyConditions {
  const unfit = new Set<string>();
  const texts = givenOf(conditions).map(([attribute, { ComparisonOperator, AttributeValueList = [] }]) => {
    if (!notIndexable.includes(ComparisonOperator)) {
      return conditionExpression(attribute, ComparisonOperator, AttributeValueList, aliases);
    }
    unfit.add(attribute);
    return conditionExpression(attribute, 'EQ', [{ NULL: true }], aliases); // any condition: it is refused or missed
  });
  return { expression: texts.join(' AND '), notIndexable: unfit };
}
