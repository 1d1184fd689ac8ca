/**
 * The version of everything the engine keeps in the store, and the way from the versions before.
 *
 * Version 1 had no record of its version, and lay under the tenant T:
 *
 *   catalog      T  0  0  name  {"id", "partitionKey", "sortKey"?, "indexes": [{"id", "indexName", …, "status"}]}
 *   tokens       T  0  1 and 2  as today
 *   item         T  table  0      partition  sort key                (numbers longer, no hash)
 *   index entry  T  table  index  …
 *
 * The record of the version lies apart from what has checksums, without one, so that every release can read it:
 *
 *   version      D  0  0  3  "format"  {"version": 2}
 *
 * Each version lies under another tenant, so what has moved and what has not cannot be mistaken: every step moves a few
 * entries in one transaction, and after a kill the next opening goes on with what is left.
 */

import type { Clock } from '../../../kernel/clock.ts';
import type { Random } from '../../../kernel/random.ts';
import type { KeyValueStore, StoreReader, StoreTransaction } from '../../../kernel/store.ts';
import { formatTooNew, tableCorrupt } from '../errors.ts';
import { tableLimits } from '../limits.ts';
import type { KeyAttribute } from '../port.ts';
import { decodeItem, encodedItemBytes, encodeItem } from '../values/item-encoding.ts';
import { checkedReader, checkedTransaction } from './checked-store.ts';
import { type CountChange, changeCounts } from './counters.ts';
import { damageOf } from './damage.ts';
import { entryKeyOf } from './index-entries.ts';
import { viewOf } from './index-view.ts';
import { nextEntries } from './index-work.ts';
import { afterPrefix, concat, spacePrefix } from './key-encoding.ts';
import { itemKey, keySchemaOf, type TableLayout } from './layout.ts';
import { listRecords, recordKey, systemSpaces, writeRecord } from './records.ts';
import { layoutOf, onDemandSettings, type StoredTable } from './stored-table.ts';
import { randomId } from './table-id.ts';

export const formatVersion = 2;

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

const formatKey = Buffer.from('D\0\0\x03format', 'latin1');
const oldTenant = 0x54; // T
const oldCatalog = Uint8Array.of(oldTenant, 0, 0, 0);
const oldTokens = Uint8Array.of(oldTenant, 0, 0, 1);
const afterOldTokens = Uint8Array.of(oldTenant, 0, 0, 3);
const oldTables = Uint8Array.of(oldTenant, 0, 1);
const afterOldTables = Uint8Array.of(oldTenant + 1);

const onDamage = (key: Uint8Array) => damageOf(key, () => undefined);

/** Brings what is stored up to this release. Throws `table.formatTooNew`. Before anything else is read. */
export async function upgradeStore(store: KeyValueStore, options: UpgradeOptions): Promise<void> {
  const { stepItemsMax = tableLimits.upgradeItemsMax } = options;
  if (readFormat(store) === undefined) await store.write(transaction => begin(transaction, options));
  if (readFormat(store)?.upgradingFrom === undefined) return;
  const tables = tablesIn(store);
  while (await store.write(transaction => moveFrom1(transaction, tables, stepItemsMax)));
}

/** undefined: nothing, or data of version 1. Throws `table.formatTooNew` and `table.corrupt`. */
export function readFormat(reader: StoreReader): FormatRecord | undefined {
  const found = reader.get(formatKey);
  if (found === undefined) return undefined;
  const record = parsed(found);
  if (record === undefined) throw tableCorrupt('the version of the format');
  if (record.version > formatVersion) throw formatTooNew(record.version, formatVersion);
  return record;
}

function parsed(bytes: Uint8Array): FormatRecord | undefined {
  try {
    const record = JSON.parse(Buffer.from(bytes).toString('utf8'));
    return Number.isInteger(record?.version) ? record : undefined;
  } catch {
    return undefined;
  }
}

function writeFormat(transaction: StoreTransaction, record: FormatRecord): void {
  transaction.put(formatKey, Buffer.from(JSON.stringify(record), 'utf8'));
}

/** What is there is of version 1, or nothing. */
function begin(transaction: StoreTransaction, options: UpgradeOptions): void {
  const hasOld = beginFrom1(transaction, options);
  writeFormat(transaction, { version: formatVersion, ...(hasOld && { upgradingFrom: 1 }) });
}

/** The catalog moves at once. What is left in its place makes that release refuse to open. */
function beginFrom1(transaction: StoreTransaction, { clock, random }: UpgradeOptions): boolean {
  const old = [...transaction.range({ start: oldCatalog, end: afterPrefix(oldCatalog) })];
  const checked = checkedTransaction(transaction, onDamage);
  for (const { key, value } of old) {
    const tableName = Buffer.from(key.subarray(oldCatalog.length)).toString('utf8');
    const table: TableOfVersion1 = JSON.parse(Buffer.from(value).toString('utf8'));
    const stored = fromVersion1(tableName, table, clock.nowMs(), randomId(random));
    writeRecord(checked, recordKey(systemSpaces.catalog, tableName), stored);
    const moved = { id: table.id, partitionKey: { name: '(moved to format 2)', type: 'S' }, indexes: [] };
    transaction.put(key, Buffer.from(JSON.stringify(moved), 'utf8'));
  }
  return old.length > 0;
}

function tablesIn(reader: StoreReader): Map<number, TableLayout> {
  const stored = listRecords<StoredTable>(checkedReader(reader, onDamage), systemSpaces.catalog);
  return new Map(stored.map(table => [table.id, layoutOf(table)]));
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

/** Returns false when nothing is left, which is then noted. */
function moveFrom1(transaction: StoreTransaction, tables: ReadonlyMap<number, TableLayout>, itemsMax: number): boolean {
  const checked = checkedTransaction(transaction, onDamage);
  const tokens = nextEntries(transaction, oldTokens, afterOldTokens, itemsMax).entries;
  for (const { key, value } of tokens) {
    moveToken(checked, key, value);
    transaction.delete(key);
  }
  if (tokens.length > 0) return true;
  const { entries } = nextEntries(transaction, oldTables, afterOldTables, itemsMax, tableLimits.upgradeBytesMax);
  for (const { key, value } of entries) {
    const table = tables.get((key[1] << 8) | key[2]);
    if (key[3] === 0 && table !== undefined) moveItem(checked, table, value);
    transaction.delete(key); // an entry of an index: its item brings it
  }
  if (entries.length === 0) writeFormat(transaction, { version: formatVersion });
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
  for (const index of table.expiry === undefined ? table.indexes : [...table.indexes, table.expiry]) {
    const entryKey = entryKeyOf(table, index, item, key);
    if (entryKey === undefined) continue;
    transaction.put(entryKey, key);
    if (index.kind === 'expiry') continue; // not counted
    counts.push({ space: index.id, items: 1, bytes: viewOf(table, index).measure(item, bytes) });
  }
  changeCounts(transaction, table.id, counts);
}
