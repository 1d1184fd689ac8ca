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
 * Version 2 lay under D as today's under E, without checksums. Its record of the version is still where it was, without
 * one, so that every release finds it:
 *
 *   version      D  0  0  3  "format"  {"version": 3}
 *
 * Each version lies under another tenant, so what has moved and what has not cannot be mistaken: every step moves a few
 * entries in one transaction, and after a kill the next opening goes on with what is left.
 */

import type { Clock } from '../../../kernel/clock.ts';
import type { Random } from '../../../kernel/random.ts';
import type { KeyValueStore, StoreRange, StoreReader, StoreTransaction } from '../../../kernel/store.ts';
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
import { afterKey, afterPrefix, concat, placeOf, spacePrefix, tenant } from './key-encoding.ts';
import { itemKey, keySchemaOf, type TableLayout } from './layout.ts';
import { listRecords, recordKey, systemSpaces, writeRecord } from './records.ts';
import { layoutOf, onDemandSettings, type StoredTable } from './stored-table.ts';
import { randomId } from './table-id.ts';

export const formatVersion = 3;

interface FormatRecord {
  readonly version: number;
  /** While data of that version are left. */
  readonly upgradingFrom?: 1 | 2;
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
const tenantOf2 = 0x44; // D
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
  if (readFormat(store)?.version !== formatVersion) await store.write(transaction => begin(transaction, options));
  if (readFormat(store)?.upgradingFrom === undefined) return;
  // A write that finds nothing is one too many for whoever is killed at each.
  while (rangesOf2.some(range => !isEmpty(store, range))) {
    await store.write(transaction => moveFrom2(transaction, stepItemsMax));
  }
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

/** What is there may be of version 2, of 1, or of both, if a kill came between; what is done is the same. */
function begin(transaction: StoreTransaction, options: UpgradeOptions): void {
  const found = readFormat(transaction);
  if (found !== undefined) return writeFormat(transaction, { version: formatVersion, upgradingFrom: 2 });
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

/** All of version 2 but its record of the version. */
const rangesOf2: readonly StoreRange[] = [
  { start: Uint8Array.of(tenantOf2), end: formatKey },
  { start: afterKey(formatKey), end: Uint8Array.of(tenantOf2 + 1) },
];

function isEmpty(reader: StoreReader, range: StoreRange): boolean {
  for (const _entry of reader.range(range)) return false;
  return true;
}

/** With checksums, under another tenant. Items bring their index entries and counts, so that those are sure to be right. */
function moveFrom2(transaction: StoreTransaction, itemsMax: number): void {
  const checked = checkedTransaction(transaction, onDamage);
  const tables = tablesIn(transaction); // the catalog lies, and so is moved, before all items
  for (const { start, end } of rangesOf2) {
    const { entries } = nextEntries(transaction, start, end, itemsMax, tableLimits.upgradeBytesMax);
    for (const { key, value } of entries) {
      const { tableId, space } = placeOf(key);
      const table = tables.get(tableId) ?? tablesIn(transaction).get(tableId);
      if (tableId === 0) moveRecordOf2(checked, key, value);
      else if (space === 0 && table !== undefined) moveItem(checked, table, value);
      transaction.delete(key);
    }
    if (entries.length > 0) return;
  }
}

function moveRecordOf2(checked: StoreTransaction, key: Uint8Array, value: Uint8Array): void {
  const { space } = placeOf(key);
  if (space === systemSpaces.counters) return;
  checked.put(moved(key), space === systemSpaces.catalog ? tableOf2(value) : value);
}

/** Indexes that were being built are complete when the items have moved, and those that went are gone. */
function tableOf2(value: Uint8Array): Uint8Array {
  const stored: StoredTable = JSON.parse(Buffer.from(value).toString('utf8'));
  const indexes = stored.indexes
    .filter(({ status }) => status !== 'dropping')
    .map(({ builtTo: _builtTo, ...index }) => ({ ...index, status: 'ready' }));
  return Buffer.from(JSON.stringify({ ...stored, indexes }), 'utf8');
}

function tablesIn(reader: StoreReader): Map<number, TableLayout> {
  const stored = listRecords<StoredTable>(checkedReader(reader, onDamage), systemSpaces.catalog);
  return new Map(stored.map(table => [table.id, layoutOf(table)]));
}

function moved(key: Uint8Array): Uint8Array {
  const copy = new Uint8Array(key);
  copy[0] = tenant;
  return copy;
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
