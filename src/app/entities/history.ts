/**
 * Versions before the current one, each a record of its own in the entity's partition. They are of the same life of the
 * entity, told by `CreatedAt`: one that was deleted and made again begins with none.
 */
import { appTable } from './app-table.ts';
import { backOff, type EntityEnvironment } from './environment.ts';
import { BatchIncompleteError } from './errors.ts';
import { type QueryInput, readMerged } from './fan-in.ts';
import { entityLimits } from './limits.ts';
import { limitOf } from './reading.ts';
import { idValues, ownKey, type RecordKey, type StoredEntity, versionKey } from './records.ts';
import type { EntityShape } from './shape.ts';

export interface HistoryOptions {
  readonly limit?: number;
  readonly cursor?: string;
  readonly newestFirst?: boolean;
}

export async function readVersion(
  { table }: EntityEnvironment,
  shape: EntityShape,
  current: StoredEntity,
  version: number,
): Promise<StoredEntity | undefined> {
  const Key = { ...versionKey(shape, idValues(shape, current.Data), version) };
  const { Item } = await table.get({ TableName: appTable.tableName, Key, ConsistentRead: true });
  const stored = Item as StoredEntity | undefined; // As `planUpdate` put it there.
  return stored?.CreatedAt === current.CreatedAt ? stored : undefined;
}

export async function listVersions(
  { table, cursors }: EntityEnvironment,
  shape: EntityShape,
  { Data: id, CreatedAt }: StoredEntity,
  { limit, cursor, newestFirst = false }: HistoryOptions,
): Promise<{ records: StoredEntity[]; next?: string }> {
  const binding = [shape.name, '#versions', ownKey(shape, idValues(shape, id)), newestFirst];
  const last = cursor === undefined ? undefined : (cursors.open(binding, cursor) as RecordKey); // As sealed below.
  const source = { input: versionsOf(shape, id, newestFirst), last, read: last, isDone: false, buffer: [] };
  const { records, hasMore } = await readMerged(table, [source], {
    limit: limitOf(limit),
    newestFirst,
    orderOf: ({ SK }) => SK,
    keep: record => record.CreatedAt === CreatedAt,
  });
  const end = records.at(-1);
  return hasMore && end ? { records, next: cursors.seal(binding, { PK: end.PK, SK: end.SK }) } : { records };
}

/** Keys of those that can go in one transaction with their entity. */
export async function newestVersions(
  { table }: EntityEnvironment,
  shape: EntityShape,
  id: unknown,
): Promise<readonly RecordKey[]> {
  if (shape.historyKeep === undefined) return [];
  const { Items } = await table.query({
    ...versionsOf(shape, id, true),
    ProjectionExpression: 'PK, SK',
    Limit: entityLimits.versionsWithEntityMax,
  });
  return (Items ?? []) as RecordKey[]; // Nothing else was asked for.
}

/** Of an entity that is gone. */
export async function deleteVersions(environment: EntityEnvironment, shape: EntityShape, id: unknown): Promise<void> {
  let from: Record<string, unknown> | undefined;
  do {
    const page = await environment.table.query({
      ...versionsOf(shape, id, false),
      ProjectionExpression: 'PK, SK',
      Limit: entityLimits.batchWriteItemsMax,
      ExclusiveStartKey: from,
    });
    await deleteAll(environment, (page.Items ?? []) as RecordKey[]); // As above.
    from = page.LastEvaluatedKey;
  } while (from);
}

async function deleteAll(environment: EntityEnvironment, keys: readonly RecordKey[]): Promise<void> {
  const { tableName } = appTable;
  let open = keys.map(({ PK, SK }) => ({ DeleteRequest: { Key: { PK, SK } } }));
  for (let attempt = 1; open.length > 0; attempt++) {
    if (attempt > entityLimits.throttledAttemptsMax)
      throw new BatchIncompleteError(
        [],
        open.map(({ DeleteRequest }) => DeleteRequest.Key),
      );
    const { UnprocessedItems } = await environment.table.batchWrite({ RequestItems: { [tableName]: open } });
    open = (UnprocessedItems?.[tableName] ?? []) as typeof open; // Some of what was sent.
    if (open.length > 0) await backOff(environment, entityLimits.throttledDelayMs, attempt);
  }
}

function versionsOf(shape: EntityShape, id: unknown, newestFirst: boolean): QueryInput {
  return {
    TableName: appTable.tableName,
    KeyConditionExpression: 'PK = :partition AND begins_with(SK, :version)',
    ExpressionAttributeValues: { ':partition': ownKey(shape, idValues(shape, id)), ':version': 'v' },
    ScanIndexForward: !newestFirst,
    ConsistentRead: true,
  };
}
