/** One write: what the request asks for, what that means for the stored item, and carrying it out. */
import type { StoreReader, StoreTransaction } from '../../../kernel/store.ts';
import { ConditionalCheckFailedError, invalid, itemTooLarge } from '../errors.ts';
import { Aliases } from '../expressions/aliases.ts';
import { parsedCondition, parsedUpdate } from '../expressions/cache.ts';
import { compileCondition, type Predicate } from '../expressions/condition.ts';
import { type CompiledUpdate, compileUpdate } from '../expressions/update.ts';
import { tableLimits } from '../limits.ts';
import { type IndexLayout, indexEntryKey, itemKey, keyAttributes, type TableLayout } from '../storage/layout.ts';
import { recordChange } from '../streams/record-change.ts';
import { checkIndexKeys, checkItem, checkKey, isIndexMember } from '../validate.ts';
import { toAttributeValues } from '../values/attribute-value.ts';
import { decodeItem, encodeItem } from '../values/item-encoding.ts';
import { measureItem } from '../values/measure.ts';
import { compareBytes, type Item } from '../values/value.ts';

/** The parameters all writes share, as they come from outside. */
export interface WriteParameters {
  readonly ConditionExpression?: string;
  readonly ExpressionAttributeNames?: Record<string, string>;
  readonly ExpressionAttributeValues?: Record<string, unknown>;
  readonly ReturnValuesOnConditionCheckFailure?: string;
}

export interface PlannedWrite {
  readonly table: TableLayout;
  readonly itemKey: Uint8Array;
  readonly condition: Predicate | undefined;
  readonly returnsItemOnFailure: boolean;
  /** Size of what the request brings, for the limit of a transaction. */
  readonly requestBytes: number;
  /** undefined: no item afterwards. The item given is not changed. May refuse what the stored item makes impossible. */
  readonly next: (stored: Item | undefined) => NextItem | undefined;
}

interface NextItem {
  readonly item: Item;
  readonly bytes: number;
}

export interface DecidedWrite {
  readonly plan: PlannedWrite;
  readonly stored: Item | undefined;
  readonly next: NextItem | undefined;
}

export function planPut(table: TableLayout, input: unknown, parameters: WriteParameters): PlannedWrite {
  const { item, bytes } = checkItem(table.keys, input);
  if (bytes > tableLimits.itemBytesMax) throw itemTooLarge('Item size has exceeded the maximum allowed size');
  for (const index of table.indexes) checkIndexKeys(index, item);
  const aliases = aliasesOf(parameters);
  const condition = conditionOf(parameters, aliases);
  aliases.checkAllUsed();
  const next = { item, bytes };
  return { ...common(table, item, condition, parameters), requestBytes: bytes, next: () => next };
}

export function planDelete(table: TableLayout, input: unknown, parameters: WriteParameters): PlannedWrite {
  const key = checkKey(table.keys, input);
  const aliases = aliasesOf(parameters);
  const condition = conditionOf(parameters, aliases);
  aliases.checkAllUsed();
  return { ...common(table, key, condition, parameters), requestBytes: measureItem(key), next: () => undefined };
}

/** @returns the plan, and the compiled update for what `ReturnValues` asks. */
export function planUpdate(
  table: TableLayout,
  input: unknown,
  parameters: WriteParameters & { readonly UpdateExpression?: string },
): { plan: PlannedWrite; update: CompiledUpdate | undefined } {
  const key = checkKey(table.keys, input);
  const aliases = aliasesOf(parameters);
  const condition = conditionOf(parameters, aliases);
  const update = updateOf(parameters.UpdateExpression, aliases);
  aliases.checkAllUsed();
  refuseKeyTargets(table, update);
  const keyBytes = measureItem(key);
  const plan = {
    ...common(table, key, condition, parameters),
    requestBytes: keyBytes,
    next: (stored: Item | undefined) => updated(table, key, keyBytes, update, stored),
  };
  return { plan, update };
}

/** A condition alone: in a transaction, what must hold of an item that is not written. */
export function planConditionCheck(table: TableLayout, input: unknown, parameters: WriteParameters): PlannedWrite {
  if (parameters.ConditionExpression === undefined) {
    throw invalid('The ConditionExpression of a ConditionCheck must be given.');
  }
  return planDelete(table, input, parameters);
}

function common(table: TableLayout, key: Item, condition: Predicate | undefined, parameters: WriteParameters) {
  const { ReturnValuesOnConditionCheckFailure: onFailure = 'NONE' } = parameters;
  return { table, itemKey: itemKey(table, key), condition, returnsItemOnFailure: onFailure === 'ALL_OLD' };
}

function aliasesOf({ ExpressionAttributeNames, ExpressionAttributeValues }: WriteParameters): Aliases {
  return new Aliases(ExpressionAttributeNames, ExpressionAttributeValues);
}

function conditionOf({ ConditionExpression: text }: WriteParameters, aliases: Aliases): Predicate | undefined {
  if (text === undefined) return undefined;
  const condition = aliases.use('ConditionExpression', parsedCondition('ConditionExpression', text));
  return compileCondition('ConditionExpression', condition, aliases);
}

function updateOf(text: string | undefined, aliases: Aliases): CompiledUpdate | undefined {
  return text === undefined ? undefined : compileUpdate(aliases.use('UpdateExpression', parsedUpdate(text)), aliases);
}

function refuseKeyTargets(table: TableLayout, update: CompiledUpdate | undefined): void {
  for (const { name } of keyAttributes(table.keys)) {
    if (update?.targets.some(([first]) => first === name)) {
      throw invalid(
        `One or more parameter values were invalid: Cannot update attribute ${name}. This attribute is part of the key`,
      );
    }
  }
}

function updated(
  table: TableLayout,
  key: Item,
  keyBytes: number,
  update: CompiledUpdate | undefined,
  stored: Item | undefined,
): NextItem {
  const before = stored ?? key;
  if (update === undefined) return { item: before, bytes: measureItem(before) };
  const item = update.apply(before, stored === undefined);
  const bytes = measureItem(item);
  // DynamoDB measures an update by what it does as well as by its result [reference: item size].
  const measured = bytes - keyBytes + 3 + 19 * update.valueActions + 2 * update.clearingActions;
  if (Math.max(bytes, measured) > tableLimits.itemBytesMax) {
    throw itemTooLarge('Item size to update has exceeded the maximum allowed size');
  }
  for (const index of table.indexes) {
    const isTouched = keyAttributes(index.keys).some(({ name }) => update.targets.some(([first]) => first === name));
    if (isTouched) checkIndexKeys(index, item);
  }
  return { item, bytes };
}

/** Reads and decides; writes nothing. Throws if the condition does not hold or the item cannot become what is asked. */
export function decide(reader: StoreReader, plan: PlannedWrite): DecidedWrite {
  const storedBytes = reader.get(plan.itemKey);
  const stored = storedBytes && decodeItem(storedBytes);
  if (plan.condition !== undefined && !plan.condition(stored ?? {})) {
    const returned = plan.returnsItemOnFailure && stored !== undefined ? toAttributeValues(stored) : undefined;
    throw new ConditionalCheckFailedError(returned);
  }
  return { plan, stored, next: plan.next(stored) };
}

/** Writes the item, its index entries and the change of the table's stream. */
export function carryOut(transaction: StoreTransaction, { plan, stored, next }: DecidedWrite, atMs: number): void {
  const { table } = plan;
  const encodedNext = next && encodeItem(next.item, next.bytes);
  recordChange(transaction, table, { stored, next: next?.item, encodedNext, atMs });
  if (encodedNext !== undefined) transaction.put(plan.itemKey, encodedNext);
  else if (stored !== undefined) transaction.delete(plan.itemKey);
  for (const index of table.indexes) {
    const before = entryKeyOf(table, index, stored);
    const after = entryKeyOf(table, index, next?.item);
    if (before !== undefined && after !== undefined && compareBytes(before, after) === 0) continue;
    if (before !== undefined) transaction.delete(before);
    if (after !== undefined) transaction.put(after, plan.itemKey);
  }
}

export function entryKeyOf(table: TableLayout, index: IndexLayout, item: Item | undefined): Uint8Array | undefined {
  return item !== undefined && isIndexMember(index, item) ? indexEntryKey(table, index, item) : undefined;
}
