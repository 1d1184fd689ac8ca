/**
 * One write in steps: `read…` takes the request as far as that is possible without its table, `bind` checks it against
 * the table, `perform` decides on the stored item and carries out. So a batch or a transaction can take each step with
 * all of its writes before the next.
 */
import type { StoreReader, StoreTransaction } from '../../../kernel/store.ts';
import type { Consumption } from '../capacity/consumed.ts';
import { writeUnits } from '../capacity/units.ts';
import type { Door, Engine } from '../engine.ts';
import { ConditionalCheckFailedError, invalid, itemTooLarge } from '../errors.ts';
import type { Aliases } from '../expressions/aliases.ts';
import type { Predicate } from '../expressions/condition.ts';
import { tableLimits } from '../limits.ts';
import { applyWrite } from '../storage/apply-write.ts';
import { type IndexLayout, itemKey, type KeySchema, keyAttributes, type TableLayout } from '../storage/layout.ts';
import { checkAggregatedSizes, checkIndexKey, checkIndexKeys, checkItemKeys, checkKey } from '../validate.ts';
import { toAttributeValues } from '../values/attribute-value.ts';
import { decodeItem, encodedItemBytes, encodeItem } from '../values/item-encoding.ts';
import { measureItem } from '../values/measure.ts';
import { type Item, ownValue, typeOf, type Value } from '../values/value.ts';
import {
  type AliasParameters,
  type ReadPredicate,
  type ReadUpdate,
  readAliases,
  readCondition,
  readUpdate,
  refusePathsIntoKeys,
} from './expressions.ts';
import { refuseHeavyUpdate, updateTooLarge } from './update-size.ts';
import { tablePartOf, writeCosts } from './write-costs.ts';

/** The parameters all writes share, as they come from outside. */
export interface WriteParameters extends AliasParameters {
  readonly ConditionExpression?: string;
  readonly ReturnValuesOnConditionCheckFailure?: string;
}

/** A write whose table is not yet looked up. */
export interface ReadWrite {
  /** Size of what the request brings, for the limits of batches and transactions. */
  readonly requestBytes: number;
  /** Throws what the table's schema forbids. */
  bind(table: TableLayout): PlannedWrite;
}

export interface PlannedWrite {
  readonly table: TableLayout;
  readonly key: Item;
  readonly itemKey: Uint8Array;
  readonly condition: Predicate | undefined;
  readonly returnsItemOnFailure: boolean;
  /** undefined: no item afterwards. The item given is not changed. May refuse what the stored item makes impossible. */
  readonly next: (stored: StoredItem | undefined) => NextItem | undefined;
}

export interface NextItem {
  readonly item: Item;
  readonly bytes: number;
  readonly encoded: Uint8Array;
}

/** An item as it lies in the store: read only if somebody asks. */
export class StoredItem {
  readonly encoded: Uint8Array;
  readonly bytes: number;
  #item: Item | undefined;

  constructor(encoded: Uint8Array) {
    this.encoded = encoded;
    this.bytes = encodedItemBytes(encoded);
  }

  get item(): Item {
    this.#item ??= decodeItem(this.encoded);
    return this.#item;
  }
}

export interface DecidedWrite {
  readonly plan: PlannedWrite;
  readonly stored: StoredItem | undefined;
  readonly next: NextItem | undefined;
}

export function readPut(
  input: unknown,
  parameters: WriteParameters,
  door: Door,
  checkKeys: (keys: KeySchema, item: Item) => void = checkItemKeys,
): ReadWrite {
  const { item, bytes } = door.format.readItem(input);
  if (bytes > tableLimits.itemBytesMax) throw itemTooLarge('Item size has exceeded the maximum allowed size');
  const condition = readLoneCondition(parameters, door);
  return {
    requestBytes: bytes,
    bind(table) {
      checkKeys(table.keys, item);
      for (const index of table.indexes) checkIndexKeys(index, item);
      if (condition !== undefined) refusePathsIntoKeys(table, condition.paths);
      const next = () => ({ item, bytes, encoded: encodeItem(item, bytes) });
      return { ...common(table, item, condition, parameters), next };
    },
  };
}

export function readDelete(input: unknown, parameters: WriteParameters, door: Door): ReadWrite {
  const { item: key, bytes } = door.format.readItem(input);
  const condition = readLoneCondition(parameters, door);
  return {
    requestBytes: bytes,
    bind(table) {
      checkKey(table.keys, key);
      if (condition !== undefined) refusePathsIntoKeys(table, condition.paths);
      return { ...common(table, key, condition, parameters), next: () => undefined };
    },
  };
}

export interface ReadUpdateWrite extends ReadWrite {
  readonly update: ReadUpdate | undefined;
}

/** @param measuresStatement  whether what is asked counts into the size, besides what comes of it */
export function readUpdateWrite(
  input: unknown,
  parameters: WriteParameters & { readonly UpdateExpression?: string },
  door: Door,
  { measuresStatement }: { readonly measuresStatement: boolean },
): ReadUpdateWrite {
  const { item: key, bytes } = door.format.readItem(input);
  const { aliases, valueBytes } = readAliases(parameters, door);
  const update = readUpdate(parameters.UpdateExpression, aliases);
  const condition = readCondition('ConditionExpression', parameters.ConditionExpression, aliases);
  aliases.checkAllUsed();
  if (measuresStatement && update !== undefined) {
    refuseHeavyUpdate(update.actions, aliases, valueBytes + lengthOf(parameters.ExpressionAttributeNames));
  }
  return {
    requestBytes: bytes + valueBytes,
    update,
    bind(table) {
      checkKey(table.keys, key);
      if (update !== undefined) refuseKeyTargets(table, update, aliases);
      if (condition !== undefined) refusePathsIntoKeys(table, condition.paths);
      const next = (stored: StoredItem | undefined) => updated(table, key, update, stored);
      return { ...common(table, key, condition, parameters), next };
    },
  };
}

function lengthOf(names: Record<string, string> | undefined): number {
  let length = 0;
  for (const alias in names) length += names[alias].length;
  return length;
}

function readLoneCondition(parameters: WriteParameters, door: Door): ReadPredicate | undefined {
  const { ConditionExpression: text, ExpressionAttributeNames, ExpressionAttributeValues } = parameters;
  if (text === undefined && ExpressionAttributeNames === undefined && ExpressionAttributeValues === undefined) {
    return undefined;
  }
  const { aliases } = readAliases(parameters, door);
  const condition = readCondition('ConditionExpression', text, aliases);
  aliases.checkAllUsed();
  return condition;
}

function common(table: TableLayout, item: Item, condition: ReadPredicate | undefined, parameters: WriteParameters) {
  return {
    table,
    key: item,
    itemKey: itemKey(table, item),
    condition: condition?.holds,
    returnsItemOnFailure: parameters.ReturnValuesOnConditionCheckFailure === 'ALL_OLD',
  };
}

function refuseKeyTargets(table: TableLayout, update: ReadUpdate, aliases: Aliases): void {
  for (const { name } of keyAttributes(table.keys)) {
    if (update.compiled.targets.some(([first]) => first === name)) {
      throw invalid(
        `One or more parameter values were invalid: Cannot update attribute ${name}. This attribute is part of the key`,
      );
    }
  }
  for (const index of table.indexes) {
    for (const key of keyAttributes(index.keys)) checkIndexKey(index, key, literalFor(key.name, update, aliases), true);
  }
  refusePathsIntoKeys(table, update.paths);
}

/** A value of the type the request itself gives an attribute, if it does: what is calculated is not known yet. */
function literalFor(name: string, { actions }: ReadUpdate, aliases: Aliases): Value | undefined {
  for (const action of actions) {
    if (action.path.length > 1 || aliases.steps(action.path)[0] !== name) continue;
    if (action.clause === 'add') return aliases.definedValue('UpdateExpression', action.value.value);
    if (action.clause !== 'set') continue;
    if ('slot' in action.value) return aliases.definedValue('UpdateExpression', action.value.value);
    if ('kind' in action.value && action.value.kind !== 'call') return 0;
  }
  return undefined;
}

function updated(
  table: TableLayout,
  key: Item,
  update: ReadUpdate | undefined,
  stored: StoredItem | undefined,
): NextItem {
  if (update === undefined && stored !== undefined) return stored;
  const before = stored?.item ?? key;
  const item = update === undefined ? before : update.compiled.apply(before, stored === undefined);
  const bytes = measureItem(item);
  if (bytes > tableLimits.itemBytesMax) throw updateTooLarge();
  if (update !== undefined) for (const index of table.indexes) checkTouchedIndexKeys(index, item, update);
  return { item, bytes, encoded: encodeItem(item, bytes) };
}

/** An update answers only for the keys it changes: others can be unfit only when they are older than the index. */
function checkTouchedIndexKeys(index: IndexLayout, item: Item, { compiled }: ReadUpdate): void {
  for (const key of keyAttributes(index.keys)) {
    if (!compiled.targets.some(([first]) => first === key.name)) continue;
    const value = ownValue(item, key.name);
    if (value !== undefined && typeOf(value) !== key.type) {
      throw invalid('The update expression attempted to update the secondary index key to unsupported type');
    }
    checkIndexKey(index, key, value, true);
    checkAggregatedSizes(index, item);
  }
}

/**
 * Admits and carries out one write; `transaction` is its own. What is thrown before the item is written leaves
 * everything as it was.
 */
export function perform(
  transaction: StoreTransaction,
  engine: Engine,
  plan: PlannedWrite,
  consumption: Consumption | undefined,
): DecidedWrite {
  if (consumption === undefined) {
    const decided = decide(transaction, plan);
    carryOut(transaction, engine, decided);
    return decided;
  }
  consumption.admit(tablePartOf(plan));
  const decided = decide(transaction, plan, stored => consumption.charge(tablePartOf(plan), writeUnits(stored)));
  const costs = writeCosts(decided, { isTransactional: false });
  for (const { part } of costs) if (part.index !== undefined) consumption.admit(part);
  carryOut(transaction, engine, decided);
  for (const { part, units } of costs) consumption.charge(part, units);
  return decided;
}

/**
 * Reads and decides; writes nothing. Throws if the condition does not hold or the item cannot become what is asked.
 * @param onRefusal  told the size of the stored item when the condition does not hold
 */
export function decide(
  reader: StoreReader,
  plan: PlannedWrite,
  onRefusal?: (storedBytes: number) => void,
): DecidedWrite {
  const encoded = reader.get(plan.itemKey);
  const stored = encoded && new StoredItem(encoded);
  if (plan.condition !== undefined && !plan.condition(stored === undefined ? {} : stored.item)) {
    onRefusal?.(stored?.bytes ?? 0);
    const returned = plan.returnsItemOnFailure && stored !== undefined ? toAttributeValues(stored.item) : undefined;
    throw new ConditionalCheckFailedError(returned);
  }
  return { plan, stored, next: plan.next(stored) };
}

/** Writes the item, its index entries and the change of the table's stream. */
export function carryOut(transaction: StoreTransaction, engine: Engine, { plan, stored, next }: DecidedWrite): void {
  applyWrite(transaction, engine, plan.table, plan.itemKey, stored, next);
}
