/** Expected: what must hold of the item for a write to be done. */
import { checkValue, requestRefusal, type Wording } from '../../../platform/table/index.ts';
import { checkCondition, conditionExpression, isGiven, joined, notValid, type WireValue } from './conditions.ts';
import type { FreshAliases } from './fresh-aliases.ts';

export interface ExpectedAttribute {
  readonly ComparisonOperator?: string;
  readonly AttributeValueList?: readonly WireValue[];
  readonly Value?: WireValue;
  readonly Exists?: boolean;
}

/** @returns undefined if nothing is expected */
export function translateExpected(
  expected: Readonly<Record<string, ExpectedAttribute | null>>,
  conditionalOperator: unknown,
  aliases: FreshAliases,
  wording: Wording,
): string | undefined {
  const entries = Object.entries(expected).filter(isGiven);
  for (const [attribute, each] of entries) checkExpected(attribute, each, wording);
  const texts = entries.map(([attribute, { ComparisonOperator, AttributeValueList, Value, Exists }]) => {
    const values = AttributeValueList ?? (Value === undefined ? [] : [Value]);
    return conditionExpression(attribute, ComparisonOperator ?? (Exists === false ? 'NULL' : 'EQ'), values, aliases);
  });
  return joined(texts, conditionalOperator);
}

function checkExpected(attribute: string, expected: ExpectedAttribute, wording: Wording): void {
  const { ComparisonOperator: operator, AttributeValueList: list, Value: value, Exists: exists } = expected;
  const fail = (message: string) => requestRefusal(`${notValid}${message} for Attribute: ${attribute}`, wording);
  if (list !== undefined && value !== undefined) throw fail('Value and AttributeValueList cannot be used together');
  if (operator === undefined) {
    if (list !== undefined) throw fail('AttributeValueList can only be used with a ComparisonOperator');
    if (exists !== false && value === undefined)
      throw fail(`Value must be provided when Exists is ${exists ?? 'null'}`);
    if (exists === false && value !== undefined) throw fail('Value cannot be used when Exists is false');
    if (value !== undefined) checkValue(value, wording);
    return;
  }
  if (exists !== undefined) throw fail('Exists and ComparisonOperator cannot be used together');
  if (operator !== 'NULL' && operator !== 'NOT_NULL' && list === undefined && value === undefined) {
    throw fail(`Value or AttributeValueList must be used with ComparisonOperator: ${operator}`);
  }
  checkCondition(operator, list ?? (value === undefined ? [] : [value]), wording);
}
