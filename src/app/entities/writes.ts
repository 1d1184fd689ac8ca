/** What one write does to the records, planned purely; then sent as one transaction, and its refusal understood. */
import { isDeepStrictEqual } from 'node:util';
import { isConditionFailure, type Table } from '../../platform/table/index.ts';
import { appTable } from './app-table.ts';
import { changedPaths, updateExpression } from './changes.ts';
import { transactionThrottled, transactionTooLarge } from './errors.ts';
import { entityLimits } from './limits.ts';
import {
  type Attributes,
  baseRecord,
  type GuardRecord,
  guardRecords,
  idText,
  idValues,
  lookupRecords,
  type Meta,
  type RecordKey,
  type StoredEntity,
  versionKey,
} from './records.ts';
import type { EntityShape, UniqueShape } from './shape.ts';
import { cancellationCodes, isCancelledByThrottling } from './throttling.ts';

type TransactItem = NonNullable<Parameters<Table['transactWrite']>[0]['TransactItems']>[number];

/** What it means when the condition of an action does not hold. */
export type Role =
  /** The entity is not as it was read. */
  | { readonly kind: 'base' }
  | { readonly kind: 'unique'; readonly unique: UniqueShape }
  /** What was read besides is not as it was. */
  | { readonly kind: 'required' }
  /** What it is for is not there, or somebody else's: `instead` goes in its place. */
  | { readonly kind: 'optional' }
  | { readonly kind: 'unconditional' };

export interface Action {
  readonly item: TransactItem;
  readonly role: Role;
  /** Of an optional one, when its condition does not hold. Default: nothing. */
  readonly instead?: Action;
}

const TableName = appTable.tableName;
const unconditional: Role = { kind: 'unconditional' };

export function put(Item: RecordKey, role: Role = unconditional, condition: Condition = {}): Action {
  return { item: { Put: { TableName, Item, ...condition } }, role };
}

export function remove({ PK, SK }: RecordKey, role: Role = unconditional, condition: Condition = {}): Action {
  return { item: { Delete: { TableName, Key: { PK, SK }, ...condition } }, role };
}

interface Condition {
  readonly ConditionExpression?: string;
  readonly ExpressionAttributeNames?: Record<string, string>;
  readonly ExpressionAttributeValues?: Record<string, unknown>;
}

export const isAbsent = { ConditionExpression: 'attribute_not_exists(PK)' };

export function versionIs(version: number) {
  return { ConditionExpression: 'Version = :expected', ExpressionAttributeValues: { ':expected': version } };
}

export function planCreate(shape: EntityShape, data: Attributes, meta: Meta): Action[] {
  return [
    put(baseRecord(shape, data, meta), { kind: 'base' }, isAbsent),
    ...lookupRecords(shape, data, meta).map(record => put(record)),
    ...guardRecords(shape, data).map(({ record, unique }) => put(record, { kind: 'unique', unique }, isAbsent)),
  ];
}

export function planUpdate(shape: EntityShape, before: StoredEntity, data: Attributes, meta: Meta): Action[] {
  const values = idValues(shape, data);
  const history =
    shape.historyKeep === undefined ? [] : [put({ ...before, ...versionKey(shape, values, before.Version) })];
  const tooOld = before.Version - (shape.historyKeep ?? Number.POSITIVE_INFINITY);
  if (tooOld >= 1) history.push(remove(versionKey(shape, values, tooOld)));
  return [
    changeBase(shape, before, data, meta),
    ...changeLookups(lookupRecords(shape, before.Data, before), lookupRecords(shape, data, meta)),
    ...changeGuards(shape, before.Data, data),
    ...history,
  ];
}

/** @param found  lookup records that are there: while a backfill runs some are of an older definition */
export function planDelete(shape: EntityShape, before: StoredEntity, found: readonly RecordKey[]): Action[] {
  const lookups = [...lookupRecords(shape, before.Data, before), ...found];
  return [
    remove(before, { kind: 'base' }, versionIs(before.Version)),
    ...[...new Map(lookups.map(record => [record.SK, record])).values()].map(record => remove(record)),
    ...guardRecords(shape, before.Data).map(({ record }) => release(record)),
  ];
}

/** Only its own: a value that several had before it was to be unique is guarded for one of them. */
function release(guard: GuardRecord): Action {
  return remove(guard, { kind: 'optional' }, isOwn(guard));
}

export function isOwn({ OfPK, OfSK }: GuardRecord) {
  return {
    ConditionExpression: 'OfPK = :pk AND OfSK = :sk',
    ExpressionAttributeValues: { ':pk': OfPK, ':sk': OfSK },
  };
}

/** Sends only what has changed. */
function changeBase(shape: EntityShape, before: StoredEntity, data: Attributes, meta: Meta): Action {
  const role: Role = { kind: 'base' };
  const condition = versionIs(before.Version);
  const update = updateExpression(changedPaths(before.Data, data), meta);
  if (!update) return put(baseRecord(shape, data, meta), role, condition);
  const { PK, SK } = before;
  const ExpressionAttributeValues = { ...update.ExpressionAttributeValues, ...condition.ExpressionAttributeValues };
  const ConditionExpression = '#n0 = :expected'; // `updateExpression` calls Version so
  return {
    item: { Update: { TableName, Key: { PK, SK }, ...update, ConditionExpression, ExpressionAttributeValues } },
    role,
  };
}

/** A lookup record whose contents stay the same is not written again, and keeps the version it was written with. */
export function changeLookups(before: readonly StoredEntity[], after: readonly StoredEntity[]): Action[] {
  const old = new Map(before.map(record => [record.SK, record]));
  const kept = new Set(after.map(({ SK }) => SK));
  const isSame = (record: StoredEntity): boolean => {
    const stored = old.get(record.SK);
    return stored?.SortKey === record.SortKey && isDeepStrictEqual(stored?.Data, record.Data);
  };
  return [
    ...after.filter(record => !isSame(record)).map(record => put(record)),
    ...before.filter(({ SK }) => !kept.has(SK)).map(record => remove(record)),
  ];
}

function changeGuards(shape: EntityShape, before: Attributes, after: Attributes): Action[] {
  const old = guardRecords(shape, before);
  const next = guardRecords(shape, after);
  const has = (guards: typeof old, PK: string) => guards.some(({ record }) => record.PK === PK);
  return [
    ...next
      .filter(({ record }) => !has(old, record.PK))
      .map(({ record, unique }) => put(record, { kind: 'unique', unique }, isAbsent)),
    ...old.filter(({ record }) => !has(next, record.PK)).map(({ record }) => release(record)),
  ];
}

// --- Sending --------------------------------------------------------------------------------------------------------

/** `refused`: the roles whose conditions did not hold. `busy`: another transaction was at one of the records. */
export type Outcome =
  | { readonly kind: 'done' }
  | { readonly kind: 'refused'; readonly roles: readonly Role[] }
  | { readonly kind: 'busy' };

/** All or none. Throws `entity.transactionTooLarge` before anything is sent. */
export async function send(
  table: Table,
  shape: EntityShape,
  id: Attributes,
  actions: readonly Action[],
): Promise<Outcome> {
  const { transactionItemsMax } = entityLimits;
  if (actions.length > transactionItemsMax)
    throw transactionTooLarge(shape.name, idText(idValues(shape, id)), actions.length, transactionItemsMax);
  try {
    if (actions.length === 1) await sendAlone(table, actions[0].item);
    else await table.transactWrite({ TransactItems: actions.map(({ item }) => item) });
    return { kind: 'done' };
  } catch (error) {
    return outcomeOf(error, actions);
  }
}

/** A transaction of one costs twice what the write itself does. */
async function sendAlone(table: Table, { Put, Update, Delete }: TransactItem): Promise<void> {
  if (Put) await table.put(Put);
  else if (Update) await table.update(Update);
  else if (Delete) await table.delete(Delete);
}

function outcomeOf(error: unknown, actions: readonly Action[]): Outcome {
  if (isConditionFailure(error)) return { kind: 'refused', roles: actions.map(({ role }) => role) };
  if (error instanceof Error && error.name === 'TransactionConflictException') return { kind: 'busy' };
  const codes = cancellationCodes(error);
  const roles = actions.filter((_, index) => codes[index] === 'ConditionalCheckFailed').map(({ role }) => role);
  if (roles.length > 0) return { kind: 'refused', roles };
  if (codes.includes('TransactionConflict')) return { kind: 'busy' };
  throw isCancelledByThrottling(error) ? transactionThrottled(error) : error;
}
