/**
 * What UpdateItem may weigh. DynamoDB measures not only the item an update makes but also the statement: what it
 * writes, names and values, and a fixed cost of each clause. It does so before it looks at the item, for UpdateItem
 * alone: a transaction's Update is measured by its result. Costs as the public conformance suite found them on the real
 * service (2026); they have no documented basis, and some regions do not apply them.
 */
import { itemTooLarge } from '../errors.ts';
import type { Aliases } from '../expressions/aliases.ts';
import type { Path, UpdateAction, UpdateValue } from '../expressions/syntax.ts';
import { tableLimits } from '../limits.ts';
import { measureValue } from '../values/measure.ts';
import { textBytes } from '../values/value.ts';

const updateCost = 3;
const writingClauseCost = 19; // SET and ADD
const clearingClauseCost = 1; // REMOVE and DELETE, whatever is taken away
const targetElementCost = 4; // each name or index behind the first name of a target
const operandCost = 1;
const operandElementCost = 14; // each name or index of a path that is read; what stands there is free
const operatorCosts = { plus: 34, minus: 37, if_not_exists: 39, list_append: 37 } as const;

/** An expression of 4 KB uses aliases fewer times than this, so that short ones need not be added up. */
const usesMax = 1_400;
const restBytesMax = 60_000; // 4,096 characters, each of them a name of its own at 14 bytes
const shortAliasesBytesMax = Math.floor((tableLimits.itemBytesMax - restBytesMax) / usesMax);

/** @param aliasBytes  size of all values of the request and of all names its aliases stand for */
export function refuseHeavyUpdate(actions: readonly UpdateAction[], aliases: Aliases, aliasBytes: number): void {
  if (aliasBytes <= shortAliasesBytesMax) return;
  if (updateBytes(actions, aliases) > tableLimits.itemBytesMax) throw updateTooLarge();
}

export function updateTooLarge() {
  return itemTooLarge('Item size to update has exceeded the maximum allowed size');
}

export function updateBytes(actions: readonly UpdateAction[], aliases: Aliases): number {
  return actions.reduce((bytes, action) => bytes + actionBytes(action, aliases), updateCost);
}

function actionBytes(action: UpdateAction, aliases: Aliases): number {
  const target = targetBytes(action.path, aliases);
  switch (action.clause) {
    case 'set':
    case 'add':
      return writingClauseCost + target + valueBytes(action.value, aliases);
    default:
      return clearingClauseCost + target;
  }
}

function targetBytes(path: Path, aliases: Aliases): number {
  const [first, ...rest] = aliases.steps(path).map(elementBytes);
  return rest.reduce((bytes, element) => bytes + targetElementCost + element, first);
}

function operandBytes(path: Path, aliases: Aliases): number {
  const elements = aliases.steps(path).map(elementBytes);
  return elements.reduce((bytes, element) => bytes + operandElementCost + element, operandCost);
}

function elementBytes(step: string | number): number {
  return textBytes(String(step));
}

function valueBytes(value: UpdateValue, aliases: Aliases): number {
  if ('slot' in value) return measureValue(aliases.definedValue('UpdateExpression', value.value));
  if ('path' in value) return operandBytes(value.path, aliases);
  const operands = value.kind === 'call' ? value.operands : [value.left, value.right];
  let bytes: number = operatorCosts[value.kind === 'call' ? value.name : value.kind];
  for (const operand of operands) bytes += valueBytes(operand, aliases);
  return bytes;
}
