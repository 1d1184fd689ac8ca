/** Reads a range of a table or of an index: items as they are shown there, and what they weigh. */
import type { StoreRange } from '../../../kernel/store.ts';
import type { Engine } from '../engine.ts';
import { invalid } from '../errors.ts';
import { decodeItem, encodedItemBytes } from '../values/item-encoding.ts';
import type { Item } from '../values/value.ts';
import { itemOf, type LaggingEntry } from './index-lag.ts';
import { viewOf } from './index-view.ts';
import type { IndexLayout, TableLayout } from './layout.ts';

export interface Entry {
  /** The store key of the item, or of the index entry. */
  readonly key: Uint8Array;
  /** What the table or the index shows. */
  readonly item: Item;
  /** The size of that: what counts for a page and for capacity. */
  readonly bytes: number;
  /** All of the item, for a local index, which reaches back to the table. */
  readonly whole: Item;
  readonly wholeBytes: number;
}

/** Lazy: stop iterating to stop reading. No write may happen while iterating. */
export function* entriesOf(
  engine: Pick<Engine, 'store' | 'indexLag'>,
  table: TableLayout,
  index: IndexLayout | undefined,
  range: StoreRange,
): Generator<Entry> {
  for (const { key, encoded } of encodedEntries(engine, table, index, range)) {
    const whole = decodeItem(encoded);
    const wholeBytes = encodedItemBytes(encoded);
    if (index === undefined) {
      yield { key, item: whole, bytes: wholeBytes, whole, wholeBytes };
    } else {
      const view = viewOf(table, index);
      yield { key, item: view.cut(whole), bytes: view.measure(whole, wholeBytes), whole, wholeBytes };
    }
  }
}

/** As `entriesOf`, not read yet. */
export function* encodedEntries(
  { store, indexLag }: Pick<Engine, 'store' | 'indexLag'>,
  table: TableLayout,
  index: IndexLayout | undefined,
  range: StoreRange,
): Generator<LaggingEntry> {
  if (index?.kind === 'global' && indexLag !== undefined) {
    yield* indexLag.entries(store, table, index, range);
    return;
  }
  for (const entry of store.range(range)) {
    yield { key: entry.key, encoded: index === undefined ? entry.value : itemOf(store, entry) };
  }
}

/** The index a request reads. Throws DynamoDB's refusals of one that is not there or not complete. */
export function readableIndex(table: TableLayout, indexName: string): IndexLayout {
  const index = table.indexes.find(each => each.indexName === indexName);
  if (index === undefined) throw invalid(`The table does not have the specified index: ${indexName}`);
  if (index.isBuilding) throw invalid(`Cannot read from backfilling global secondary index: ${indexName}`);
  return index;
}
