/**
 * Global indexes that lag: a query of one sees each item as it was a while ago, as on AWS, where it is milliseconds,
 * now and then more. What code gets wrong about that it gets wrong here too, every time.
 *
 * The indexes in the store are always up to date; what items were before their latest changes is kept in memory, and
 * laid over what is read.
 */
import type { Clock } from '../../../kernel/clock.ts';
import { Fifo } from '../../../kernel/fifo.ts';
import { toText } from '../../../kernel/sorted-map.ts';
import type { StoreEntry, StoreRange, StoreReader } from '../../../kernel/store.ts';
import { indexDamaged } from '../errors.ts';
import { tableLimits } from '../limits.ts';
import { decodeItem, encodeItem } from '../values/item-encoding.ts';
import { compareBytes } from '../values/value.ts';
import type { ItemImage } from './apply-write.ts';
import { entryKeyOf } from './index-entries.ts';
import type { IndexLayout, TableLayout } from './layout.ts';

interface Change {
  readonly atMs: number;
  readonly tableId: number;
  readonly itemKey: Uint8Array;
  /** The item as it was, encoded; undefined: there was none. */
  readonly before: Uint8Array | undefined;
}

export interface LaggingEntry {
  readonly key: Uint8Array;
  /** The item as the index knows it. */
  readonly encoded: Uint8Array;
}

export class IndexLag {
  readonly #clock: Clock;
  readonly #lagMs: number;
  #changes = new Fifo<Change>();
  #bytes = 0;

  constructor(clock: Clock, lagMs: number) {
    this.#clock = clock;
    this.#lagMs = lagMs;
  }

  remember(table: TableLayout, itemKey: Uint8Array, stored: ItemImage | undefined): void {
    if (!table.indexes.some(({ kind }) => kind === 'global')) return;
    const before = stored && encodeItem(stored.item, stored.bytes);
    this.#keep({ atMs: this.#clock.monotonicMs(), tableId: table.id, itemKey, before });
    this.#forgetSeen();
  }

  /** The table is deleted: another may have its number next, and must not show what this one held. */
  forget(tableId: number): void {
    const others = [...this.#changes].filter(change => change.tableId !== tableId);
    this.#changes = new Fifo();
    this.#bytes = 0;
    for (const change of others) this.#keep(change);
  }

  /** What a global index answers: its entries in `range`, each with the item as it was. */
  *entries(reader: StoreReader, table: TableLayout, index: IndexLayout, range: StoreRange): Generator<LaggingEntry> {
    const before = this.#before(table);
    const direction = range.reverse === true ? -1 : 1;
    const old = oldEntries(before, table, index, range).sort((a, b) => direction * compareBytes(a.key, b.key));
    let next = 0;
    for (const { key, value } of reader.range(range)) {
      if (before.has(toText(value))) continue;
      for (; next < old.length && direction * compareBytes(old[next].key, key) < 0; next++) yield old[next];
      yield { key, encoded: itemOf(reader, { key, value }) };
    }
    for (; next < old.length; next++) yield old[next];
  }

  #keep(change: Change): void {
    this.#changes.push(change);
    this.#bytes += change.itemKey.length + (change.before?.length ?? 0);
  }

  /** What the items changed of late were before the first of those changes. */
  #before(table: TableLayout): Map<string, Change> {
    this.#forgetSeen();
    const before = new Map<string, Change>();
    for (const change of this.#changes) {
      const key = toText(change.itemKey);
      if (change.tableId === table.id && !before.has(key)) before.set(key, change);
    }
    return before;
  }

  #forgetSeen(): void {
    const seenMs = this.#clock.monotonicMs() - this.#lagMs;
    for (let first = this.#changes.peek(); first !== undefined; first = this.#changes.peek()) {
      const isOver = this.#changes.length > tableLimits.laggingChangesMax || this.#bytes > tableLimits.laggingBytesMax;
      if (first.atMs > seenMs && !isOver) return;
      this.#changes.shift();
      this.#bytes -= first.itemKey.length + (first.before?.length ?? 0);
    }
  }
}

function oldEntries(
  before: ReadonlyMap<string, Change>,
  table: TableLayout,
  index: IndexLayout,
  { start, end }: StoreRange,
): LaggingEntry[] {
  const entries: LaggingEntry[] = [];
  for (const { itemKey, before: encoded } of before.values()) {
    if (encoded === undefined) continue;
    const key = entryKeyOf(table, index, decodeItem(encoded), itemKey);
    if (key === undefined || compareBytes(key, start) < 0 || compareBytes(key, end) >= 0) continue;
    entries.push({ key, encoded });
  }
  return entries;
}

/** Entries are written and deleted together with their items, so that only damage parts them. */
export function itemOf(reader: StoreReader, { value: itemKey }: StoreEntry): Uint8Array {
  const encoded = reader.get(itemKey);
  if (encoded === undefined) throw indexDamaged(Buffer.from(itemKey).toString('hex'));
  return encoded;
}
