/** Carries out one write: the item, its entries in the indexes, the counts, and the record of the change. */
import type { StoreTransaction } from '../../../kernel/store.ts';
import type { Engine } from '../engine.ts';
import type { UserIdentity } from '../streams/change-record.ts';
import { recordChange } from '../streams/record-change.ts';
import { encodeItem } from '../values/item-encoding.ts';
import { compareBytes, equals, type Item, ownValue } from '../values/value.ts';
import { type CountChange, changeCounts } from './counters.ts';
import { secondsOfEntry } from './expiry.ts';
import { entryKeyOf, isIndexMember } from './index-entries.ts';
import { viewOf } from './index-view.ts';
import { type IndexLayout, keyAttributes, type TableLayout } from './layout.ts';

/** An item as it is before or after a write. */
export interface ItemImage {
  readonly item: Item;
  /** By DynamoDB's rule. */
  readonly bytes: number;
  /** As it is stored, if that is at hand. */
  readonly encoded?: Uint8Array;
}

/** What a write did to one index, for the capacity it costs; what is shown there has changed. */
export interface IndexChange {
  readonly index: IndexLayout;
  /** Bytes the index showed of the item; undefined: it was not in there. */
  readonly before: number | undefined;
  readonly after: number | undefined;
  /** The entry lies elsewhere than before, which costs the old and the new. */
  readonly isMoved: boolean;
}

export type WriteParts = Pick<Engine, 'catalog' | 'clock' | 'upkeep' | 'indexLag'>;

/**
 * @param table  as the write was planned; indexes that came since are kept up as well
 * @param stored  what `itemKey` holds now; undefined: nothing
 * @param next  what it shall hold; undefined: nothing
 * @returns the indexes in which something has changed
 */
export function applyWrite(
  transaction: StoreTransaction,
  engine: WriteParts,
  table: TableLayout,
  itemKey: Uint8Array,
  stored: ItemImage | undefined,
  next: ItemImage | undefined,
  options: { readonly userIdentity?: UserIdentity } = {},
): readonly IndexChange[] {
  const current = engine.catalog.current(table.id);
  if (current === undefined) return []; // deleted since: so is what would be written
  if (stored === undefined && next === undefined) return [];

  const encodedNext = next && (next.encoded ?? encodeItem(next.item, next.bytes));
  if (current.stream !== undefined) {
    const images = { stored: stored?.item, next: next?.item, encodedStored: stored?.encoded, encodedNext };
    recordChange(transaction, current, { ...images, ...options, atMs: engine.clock.nowMs() });
  }
  if (encodedNext === undefined) transaction.delete(itemKey);
  else transaction.put(itemKey, encodedNext);

  const counts: CountChange[] = [
    { space: 0, items: presence(next) - presence(stored), bytes: (next?.bytes ?? 0) - (stored?.bytes ?? 0) },
  ];
  const changes: IndexChange[] = [];
  for (const index of current.indexes) {
    const change = changeIndex(transaction, current, index, itemKey, stored, next);
    if (change === undefined) continue;
    counts.push(countOf(change));
    changes.push(change);
  }
  changeExpiry(transaction, engine, current, itemKey, stored, next);
  changeCounts(transaction, table.id, counts);

  engine.indexLag?.remember(current, itemKey, stored);
  return changes;
}

function presence(image: ItemImage | undefined): number {
  return image === undefined ? 0 : 1;
}

function changeIndex(
  transaction: StoreTransaction,
  table: TableLayout,
  index: IndexLayout,
  itemKey: Uint8Array,
  stored: ItemImage | undefined,
  next: ItemImage | undefined,
): IndexChange | undefined {
  if (!hasReached(index, itemKey)) return undefined;
  if (stored !== undefined && next !== undefined && keepsKeys(index, stored.item, next.item)) {
    const isShown = isIndexMember(index, next.item) && showsChange(table, index, stored.item, next.item);
    return isShown ? { index, ...shownBytes(table, index, stored, next), isMoved: false } : undefined;
  }
  const before = stored && entryKeyOf(table, index, stored.item, itemKey);
  const after = next && entryKeyOf(table, index, next.item, itemKey);
  if (before !== undefined) transaction.delete(before);
  if (after !== undefined) transaction.put(after, itemKey);
  if (before === undefined && after === undefined) return undefined;
  const bytes = shownBytes(table, index, before && stored, after && next);
  return { index, ...bytes, isMoved: before !== undefined && after !== undefined };
}

function shownBytes(
  table: TableLayout,
  index: IndexLayout,
  before: ItemImage | undefined,
  after: ItemImage | undefined,
): { before: number | undefined; after: number | undefined } {
  const view = viewOf(table, index);
  return {
    before: before && view.measure(before.item, before.bytes),
    after: after && view.measure(after.item, after.bytes),
  };
}

/** An item an index build has not come to yet gets its entry from the build. */
function hasReached({ builtTo }: IndexLayout, itemKey: Uint8Array): boolean {
  return builtTo === undefined || compareBytes(itemKey, builtTo) <= 0;
}

function keepsKeys(index: IndexLayout, before: Item, after: Item): boolean {
  return keyAttributes(index.keys).every(({ name }) => isEqual(ownValue(before, name), ownValue(after, name)));
}

function showsChange(table: TableLayout, index: IndexLayout, before: Item, after: Item): boolean {
  const view = viewOf(table, index);
  return !equals(view.cut(before), view.cut(after));
}

function isEqual(left: Item[string] | undefined, right: Item[string] | undefined): boolean {
  if (left === undefined || right === undefined) return left === right;
  return equals(left, right);
}

function countOf({ index, before, after }: IndexChange): CountChange {
  const items = (after === undefined ? 0 : 1) - (before === undefined ? 0 : 1);
  return { space: index.id, items, bytes: (after ?? 0) - (before ?? 0) };
}

function changeExpiry(
  transaction: StoreTransaction,
  engine: WriteParts,
  table: TableLayout,
  itemKey: Uint8Array,
  stored: ItemImage | undefined,
  next: ItemImage | undefined,
): void {
  const { expiry } = table;
  if (expiry === undefined || !hasReached(expiry, itemKey)) return;
  if (stored !== undefined && next !== undefined && keepsKeys(expiry, stored.item, next.item)) return;
  const before = stored && entryKeyOf(table, expiry, stored.item, itemKey);
  const after = next && entryKeyOf(table, expiry, next.item, itemKey);
  if (before !== undefined) transaction.delete(before);
  if (after === undefined) return;
  transaction.put(after, itemKey);
  engine.upkeep.expiresAt(secondsOfEntry(after));
}
