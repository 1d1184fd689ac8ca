/**
 * Looks at everything a table engine has stored: that each entry is what was written, that items decode and lie where
 * their keys say, that indexes and counts equal a rebuild, that streams have no gap. On a store that no engine runs on.
 */

import { messageOf } from '../../../kernel/errors.ts';
import type { KeyValueStore, StoreEntry, StoreRange, StoreReader } from '../../../kernel/store.ts';
import { decodeChange } from '../streams/change-record.ts';
import { changeKey, openStreamOf, readState, tablesWithStreams } from '../streams/stream-state.ts';
import { decodeItem, encodedItemBytes } from '../values/item-encoding.ts';
import { measureItem } from '../values/measure.ts';
import { compareBytes } from '../values/value.ts';
import { Catalog } from './catalog.ts';
import { contentOf } from './checked-store.ts';
import { describeEntry } from './damage.ts';
import { afterPrefix, placeOf, spacePrefix, tenant } from './key-encoding.ts';
import { itemKey } from './layout.ts';
import { systemSpaces } from './records.ts';
import type { StoredTable } from './stored-table.ts';
import { verifyIndexes } from './verify-indexes.ts';

const findingsMax = 1_000; // ours: more tell nobody more

/**
 * `rebuild`: a rebuild of the indexes and counts puts it right. `remove`: it is lost, and can be taken away so that the
 * rest can be used. `restore`: only a backup or an export helps.
 */
export type Remedy = 'rebuild' | 'remove' | 'restore';

export interface Finding {
  readonly what: string;
  readonly remedy: Remedy;
}

export interface CheckReport {
  readonly tables: readonly { readonly tableName: string; readonly items: number }[];
  /** Everything that was looked at. */
  readonly entries: number;
  /** At most `findingsMax`. */
  readonly findings: readonly Finding[];
}

export const everything: StoreRange = { start: Uint8Array.of(tenant), end: Uint8Array.of(tenant + 1) };

/** Walks the whole store in one go. The store has the present format. */
export function checkTables(store: KeyValueStore): CheckReport {
  const findings: Finding[] = [];
  const report = (what: string, remedy: Remedy) => {
    if (findings.length < findingsMax) findings.push({ what, remedy });
  };
  const reader = undamaged(store);
  const catalog = new Catalog({ ...reader, ...refusesWrites });
  const entries = checkEntries(store, catalog, report);
  const tables = catalog.list().map(stored => {
    checkItems(reader, catalog, stored, report);
    if (stored.stream !== undefined && openStreamOf(reader, stored.id) === undefined) {
      report(`the description of the stream of table ${stored.tableName} is gone`, 'restore');
    }
    return { tableName: stored.tableName, items: checkIndexes(reader, catalog, stored, report) };
  });
  for (const { tableId } of tablesWithStreams(reader)) checkStream(reader, tableId, report);
  return { tables, entries, findings };
}

type Report = (what: string, remedy: Remedy) => void;

const refusesWrites = {
  write: () => Promise.reject(new Error('A check writes nothing.')),
  snapshot: () => Promise.reject(new Error('A check takes no snapshot.')),
  close: async () => {},
};

/** What is whole, as if the rest were not there. */
export function undamaged(reader: StoreReader): StoreReader {
  return {
    get(key) {
      const value = reader.get(key);
      return value && contentOf(key, value);
    },
    *range(range): Generator<StoreEntry> {
      for (const { key, value } of reader.range(range)) {
        const content = contentOf(key, value);
        if (content !== undefined) yield { key, value: content };
      }
    },
  };
}

function checkEntries(store: StoreReader, catalog: Catalog, report: Report): number {
  const stored = new Map(catalog.list().map(table => [table.id, table]));
  const known = new Set([0, ...stored.keys(), ...catalog.deleted().map(({ id }) => id)]);
  const strays = new Map<number, number>();
  let entries = 0;
  for (const { key, value } of store.range(everything)) {
    entries++;
    const { tableId } = placeOf(key);
    if (contentOf(key, value) === undefined) {
      report(`${describeEntry(key, stored.get(tableId))} is damaged`, remedyOf(key));
    } else if (!known.has(tableId)) strays.set(tableId, (strays.get(tableId) ?? 0) + 1);
  }
  for (const [id, count] of strays)
    report(`${count} entries belong to a table whose description is gone (id ${id})`, 'restore');
  return entries;
}

const removable: ReadonlySet<number> = new Set([
  systemSpaces.tokens,
  systemSpaces.tokenExpiries,
  systemSpaces.counters,
  systemSpaces.changes,
]);

/** What to do about a damaged entry. */
export function remedyOf(key: Uint8Array): Remedy {
  const { tableId, space } = placeOf(key);
  if (tableId !== 0) return space === 0 ? 'remove' : 'rebuild';
  if (space === systemSpaces.counters) return 'rebuild';
  return removable.has(space) ? 'remove' : 'restore';
}

function checkItems(reader: StoreReader, catalog: Catalog, stored: StoredTable, report: Report): void {
  const table = catalog.table(stored.tableName);
  const start = spacePrefix(stored.id, 0);
  for (const { key, value } of reader.range({ start, end: afterPrefix(start) })) {
    try {
      const item = decodeItem(value);
      if (compareBytes(itemKey(table, item), key) !== 0) {
        report(`${describeEntry(key, stored)} holds an item of another key`, 'restore');
      } else if (measureItem(item) !== encodedItemBytes(value)) {
        report(`${describeEntry(key, stored)} has another size than is noted in it`, 'restore');
      }
    } catch (error) {
      report(`${describeEntry(key, stored)} cannot be decoded: ${messageOf(error)}`, 'restore');
    }
  }
}

function checkIndexes(store: StoreReader, catalog: Catalog, { tableName }: StoredTable, report: Report): number {
  try {
    const { items, differences } = verifyIndexes({ store: { ...store, ...refusesWrites }, catalog }, tableName);
    for (const difference of differences) report(`table ${tableName}: ${difference}`, 'rebuild');
    return items;
  } catch (error) {
    report(`the indexes of table ${tableName} cannot be compared: ${messageOf(error)}`, 'restore');
    return 0;
  }
}

function checkStream(reader: StoreReader, tableId: number, report: Report): void {
  const { bytes } = readState(reader, tableId);
  const { lastBad, bytes: found } = streamDamage(reader, tableId);
  if (lastBad !== undefined) {
    report(`the stream of table ${tableId} misses change ${lastBad}, or more up to it`, 'remove');
  } else if (bytes !== found) {
    report(`the stream of table ${tableId} counts ${bytes} bytes of changes, there are ${found}`, 'remove');
  }
}

/** The last change of those that should be there that is not, or is not whole; and the size of those behind it. */
export function streamDamage(reader: StoreReader, tableId: number): { lastBad: bigint | undefined; bytes: number } {
  const { trimmed, last } = readState(reader, tableId);
  let lastBad: bigint | undefined;
  let bytes = 0;
  for (let number = trimmed + 1n; number <= last; number++) {
    const encoded = reader.get(changeKey(tableId, number));
    if (encoded !== undefined && isChange(encoded)) bytes += encoded.length;
    else {
      lastBad = number;
      bytes = 0;
    }
  }
  return { lastBad, bytes };
}

function isChange(encoded: Uint8Array): boolean {
  try {
    decodeChange(encoded);
    return true;
  } catch {
    return false;
  }
}
