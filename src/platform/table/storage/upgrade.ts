/**
 * The version of everything the engine keeps in the store, and the way from version 1 to 2.
 *
 * Version 1 had no record of its version, and lay under the tenant T:
 *
 *   catalog      T  0  0  name  {"id", "partitionKey", "sortKey"?, "indexes": [{"id", "indexName", …, "status"}]}
 *   tokens       T  0  1 and 2  as today
 *   item         T  table  0      partition  sort key                (numbers longer, no hash)
 *   index entry  T  table  index  …
 *
 * Version 2 lies under another tenant, so what has moved and what has not cannot be mistaken: every step moves a few
 * entries in one transaction, and after a kill the next opening goes on with what is left.
 */

import type { Clock } from '../../../kernel/clock.ts';
import type { Random } from '../../../kernel/random.ts';
import type { KeyValueStore, StoreTransaction } from '../../../kernel/store.ts';
import { formatTooNew } from '../errors.ts';
import { tableLimits } from '../limits.ts';
import type { KeyAttribute } from '../port.ts';
import { decodeItem, encodedItemBytes, encodeItem } from '../values/item-encoding.ts';
import { type CountChange, changeCounts } from './counters.ts';
import { entryKeyOf } from './index-entries.ts';
import { viewOf } from './index-view.ts';
import { nextEntries } from './index-work.ts';
import { afterPrefix, concat, spacePrefix } from './key-encoding.ts';
import { itemKey, keySchemaOf, type TableLayout } from './layout.ts';
import { listRecords, readRecord, recordKey, systemSpaces, writeRecord } from './records.ts';
import { layoutOf, onDemandSettings, type StoredTable } from './stored-table.ts';
import { randomId } from './table-id.ts';

const formatVersion = 2;

interface FormatRecord {
  readonly version: number;
  /** While data of that version are left. */
  readonly upgradingFrom?: 1;
}

interface TableOfVersion1 {
  readonly id: number;
  readonly partitionKey: KeyAttribute;
  readonly sortKey?: KeyAttribute;
  readonly indexes: readonly {
    readonly id: number;
    readonly indexName: string;
    readonly partitionKey: KeyAttribute;
    readonly sortKey?: KeyAttribute;
    readonly status: 'ready' | 'building' | 'dropping';
  }[];
}

export interface UpgradeOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** Entries moved in one transaction. */
  readonly stepItemsMax?: number;
}

const formatKey = recordKey(systemSpaces.format, 'format');
const oldTenant = 0x54; // T
const oldCatalog = Uint8Array.of(oldTenant, 0, 0, 0);
const oldTokens = Uint8Array.of(oldTenant, 0, 0, 1);
const afterOldTokens = Uint8Array.of(oldTenant, 0, 0, 3);
const oldTables = Uint8Array.of(oldTenant, 0, 1);
const afterOldTables = Uint8Array.of(oldTenant + 1);

/** Brings what is stored up to this release. Throws `table.formatTooNew`. Before anything else is read. */
export async function upgradeStore(store: KeyValueStore, options: UpgradeOptions): Promise<void> {
  const { stepItemsMax = tableLimits.upgradeItemsMax } = options;
  const found = readRecord<FormatRecord>(store, formatKey);
  if (found !== undefined && found.version > formatVersion) throw formatTooNew(found.version, formatVersion);
  if (found === undefined) {
    await store.write(transaction => begin(transaction, options));
  }
  if (readRecord<FormatRecord>(store, formatKey)?.upgradingFrom === undefined) return;
  const tables = new Map(
    listRecords<StoredTable>(store, systemSpaces.catalog).map(stored => [stored.id, layoutOf(stored)]),
  );
  while (await store.write(transaction => moveSome(transaction, tables, stepItemsMax)));
}

/** The catalog moves at once. What is left in its place makes the previous release refuse to open. */
function begin(transaction: StoreTransaction, { clock, random }: UpgradeOptions): void {
  const old = [...transaction.range({ start: oldCatalog, end: afterPrefix(oldCatalog) })];
  for (const { key, value } of old) {
    const tableName = Buffer.from(key.subarray(oldCatalog.length)).toString('utf8');
    const table: TableOfVersion1 = JSON.parse(Buffer.from(value).toString('utf8'));
    const stored = fromVersion1(tableName, table, clock.nowMs(), randomId(random));
    writeRecord(transaction, recordKey(systemSpaces.catalog, tableName), stored);
    const moved = { id: table.id, partitionKey: { name: '(moved to format 2)', type: 'S' }, indexes: [] };
    transaction.put(key, Buffer.from(JSON.stringify(moved), 'utf8'));
  }
  const record: FormatRecord =
    old.length === 0 ? { version: formatVersion } : { version: formatVersion, upgradingFrom: 1 };
  writeRecord(transaction, formatKey, record);
}

function fromVersion1(tableName: string, table: TableOfVersion1, nowMs: number, tableId: string): StoredTable {
  return {
    id: table.id,
    tableName,
    tableId,
    createdAtMs: nowMs,
    keys: keySchemaOf({ tableName, ...table }),
    // One that was being filled is complete when the items have moved, as each brings its entries.
    indexes: table.indexes
      .filter(({ status }) => status !== 'dropping')
      .map(({ id, indexName, ...keys }) => ({
        id,
        indexName,
        kind: 'global',
        keys: keySchemaOf({ indexName, ...keys }),
        projection: 'ALL',
        status: 'ready',
      })),
    settings: onDemandSettings,
    tags: {},
  };
}

/** Returns false when nothing is left. */
function moveSome(transaction: StoreTransaction, tables: ReadonlyMap<number, TableLayout>, itemsMax: number): boolean {
  const tokens = nextEntries(transaction, oldTokens, afterOldTokens, itemsMax).entries;
  for (const { key, value } of tokens) {
    moveToken(transaction, key, value);
    transaction.delete(key);
  }
  if (tokens.length > 0) return true;
  const { entries } = nextEntries(transaction, oldTables, afterOldTables, itemsMax, tableLimits.upgradeBytesMax);
  for (const { key, value } of entries) {
    const table = tables.get((key[1] << 8) | key[2]);
    if (key[3] === 0 && table !== undefined) moveItem(transaction, table, value);
    transaction.delete(key); // an entry of an index: its item brings it
  }
  if (entries.length === 0) writeRecord(transaction, formatKey, { version: formatVersion });
  return entries.length > 0;
}

/** Without the digest of its request, which was made of bytes in the old encoding: the token alone tells then. */
function moveToken(transaction: StoreTransaction, key: Uint8Array, value: Uint8Array): void {
  const isToken = key[3] === systemSpaces.tokens;
  const space = spacePrefix(0, isToken ? systemSpaces.tokens : systemSpaces.tokenExpiries);
  const { digest: _digest, ...rest } = isToken ? decodeItem(value) : {};
  transaction.put(concat([space, key.subarray(oldTokens.length)]), isToken ? encodeItem(rest, 0) : value);
}

function moveItem(transaction: StoreTransaction, table: TableLayout, encoded: Uint8Array): void {
  const item = decodeItem(encoded);
  const bytes = encodedItemBytes(encoded);
  const key = itemKey(table, item);
  const counts: CountChange[] = [{ space: 0, items: 1, bytes }];
  transaction.put(key, encodeItem(item, bytes));
  for (const index of table.indexes) {
    const entryKey = entryKeyOf(table, index, item, key);
    if (entryKey === undefined) continue;
    transaction.put(entryKey, key);
    counts.push({ space: index.id, items: 1, bytes: viewOf(table, index).measure(item, bytes) });
  }
  changeCounts(transaction, table.id, counts);
}
