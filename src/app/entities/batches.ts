/** Reads many records by key: 100 per request, and what the table did not get to is asked for again. */
import { interleaved } from '../../kernel/interleaved.ts';
import type { Table } from '../../platform/table/index.ts';
import { appTable } from './app-table.ts';
import { backOff, type EntityEnvironment } from './environment.ts';
import { BatchIncompleteError } from './errors.ts';
import { entityLimits } from './limits.ts';
import type { RecordKey } from './records.ts';
import { isThrottling } from './throttling.ts';

type BatchEnvironment = Pick<EntityEnvironment, 'table' | 'clock' | 'random'>;
type StoredRecord = RecordKey & Readonly<Record<string, unknown>>;

/**
 * The records that are there, by key. Keys may repeat. Throws `entity.batchIncomplete` with what was read and what
 * remains when the table kept refusing some.
 */
export async function readAll(
  environment: BatchEnvironment,
  keys: readonly RecordKey[],
): Promise<(key: RecordKey) => StoredRecord | undefined> {
  const distinct = new Map(keys.map(({ PK, SK }) => [textOf({ PK, SK }), { PK, SK }]));
  const wanted = interleaved([...distinct.values()], ({ PK }) => PK);
  const batches: RecordKey[][] = [];
  for (let from = 0; from < wanted.length; from += entityLimits.batchGetKeysMax)
    batches.push(wanted.slice(from, from + entityLimits.batchGetKeysMax));
  const found = new Map<string, StoredRecord>();
  const remaining: RecordKey[] = [];
  const next = batches.values();
  const work = async () => {
    for (const batch of next) remaining.push(...(await readBatch(environment, batch, found)));
  };
  await Promise.all(Array.from({ length: entityLimits.batchRequestsAtOnceMax }, work));
  if (remaining.length > 0) throw new BatchIncompleteError([...found.values()], remaining);
  return key => found.get(textOf(key));
}

/** @returns the keys that are still open after the last attempt, or when the table's patience was at its end */
async function readBatch(
  environment: BatchEnvironment,
  batch: readonly RecordKey[],
  found: Map<string, StoredRecord>,
): Promise<readonly RecordKey[]> {
  let open = batch;
  for (let attempt = 1; ; attempt++) {
    const answer = await tryBatch(environment.table, open);
    if (answer === undefined) return open;
    for (const record of answer.read) found.set(textOf(record), record);
    open = answer.unprocessed;
    if (open.length === 0 || attempt >= entityLimits.throttledAttemptsMax) return open;
    await backOff(environment, entityLimits.throttledDelayMs, attempt);
  }
}

async function tryBatch(
  table: Table,
  keys: readonly RecordKey[],
): Promise<{ read: readonly StoredRecord[]; unprocessed: readonly RecordKey[] } | undefined> {
  const { tableName } = appTable;
  try {
    const { Responses, UnprocessedKeys } = await table.batchGet({
      RequestItems: { [tableName]: { Keys: keys.map(({ PK, SK }) => ({ PK, SK })), ConsistentRead: true } },
    });
    // Every record of the app's table has these keys.
    const read = (Responses?.[tableName] ?? []) as StoredRecord[];
    return { read, unprocessed: (UnprocessedKeys?.[tableName]?.Keys ?? []) as RecordKey[] };
  } catch (error) {
    if (!isThrottling(error)) throw error;
    return undefined; // A patient table has tried it often enough.
  }
}

function textOf({ PK, SK }: RecordKey): string {
  return `${PK}\0${SK}`;
}
