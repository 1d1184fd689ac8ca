/** Compares the indexes of a table with what a rebuild would give, and its counts with what is there. */
import type { Engine } from '../engine.ts';
import { decodeItem, encodedItemBytes } from '../values/item-encoding.ts';
import { compareBytes } from '../values/value.ts';
import { type Count, readCount } from './counters.ts';
import { entryKeyOf } from './index-entries.ts';
import { viewOf } from './index-view.ts';
import { afterPrefix, spacePrefix } from './key-encoding.ts';
import type { IndexLayout, TableLayout } from './layout.ts';

const differencesMax = 100; // ours: more tell nobody more

export interface IndexReport {
  readonly items: number;
  /** In words; empty when all is well. At most `differencesMax`. */
  readonly differences: readonly string[];
}

/** Walks the whole table in one go, so for tests and for who looks for damage. @param tableName  also an ARN */
export function verifyIndexes({ store, catalog }: Pick<Engine, 'store' | 'catalog'>, tableName: string): IndexReport {
  const table = catalog.table(tableName);
  const differences: string[] = [];
  const report = (text: string) => {
    if (differences.length < differencesMax) differences.push(text);
  };
  const indexes = [...table.indexes, ...(table.expiry === undefined ? [] : [table.expiry])];
  const expected = new Map<number, Count>([[0, { items: 0, bytes: 0 }]]);
  const count = (space: number, bytes: number) => {
    const before = expected.get(space) ?? { items: 0, bytes: 0 };
    expected.set(space, { items: before.items + 1, bytes: before.bytes + bytes });
  };

  for (const { key, value } of store.range(spaceRange(table, 0))) {
    const item = decodeItem(value);
    const bytes = encodedItemBytes(value);
    count(0, bytes);
    for (const index of indexes) {
      const entryKey = isDue(index, key) ? entryKeyOf(table, index, item, key) : undefined;
      if (entryKey === undefined) continue;
      count(index.id, viewOf(table, index).measure(item, bytes));
      const held = store.get(entryKey);
      if (held === undefined) report(`${nameOf(index)} has no entry for item ${hex(key)}`);
      else if (compareBytes(held, key) !== 0) report(`${nameOf(index)} has an entry for another item than ${hex(key)}`);
    }
  }
  for (const index of indexes) {
    let entries = 0;
    for (const _entry of store.range(spaceRange(table, index.id))) entries++;
    const due = expected.get(index.id)?.items ?? 0;
    if (entries !== due) report(`${nameOf(index)} has ${entries} entries, a rebuild would give ${due}`);
  }
  for (const space of [0, ...table.indexes.map(({ id }) => id)]) {
    const { items, bytes } = expected.get(space) ?? { items: 0, bytes: 0 };
    const kept = readCount(store, table.id, space);
    if (kept.items !== items || kept.bytes !== bytes) {
      report(`space ${space} counts ${kept.items} items of ${kept.bytes} bytes, there are ${items} of ${bytes}`);
    }
  }
  return { items: expected.get(0)?.items ?? 0, differences };
}

function spaceRange({ id }: TableLayout, space: number) {
  const start = spacePrefix(id, space);
  return { start, end: afterPrefix(start) };
}

/** One that is being built has the entries of the items it has come to. */
function isDue({ builtTo }: IndexLayout, itemKey: Uint8Array): boolean {
  return builtTo === undefined || compareBytes(itemKey, builtTo) <= 0;
}

function nameOf({ indexName, kind }: IndexLayout): string {
  return kind === 'expiry' ? 'the index of expiries' : `index ${indexName}`;
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
