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

export type WriteParts = Pick<Engine, 'catalog' | 'clock' | 'upkeep' | 'indexLag'>;

/**
 * @param table  as the write was planned; indexes that came since are kept up as well
 * @param stored  what `itemKey` holds now; undefined: nothing
 * @param next  what it shall hold; undefined: nothing
 */
export function applyWrite(
  transaction: StoreTransaction,
  engine: WriteParts,
  table: TableLayout,
  itemKey: Uint8Array,
  stored: ItemImage | undefined,
  next: ItemImage | undefined,
  options: { readonly userIdentity?: UserIdentity } = {},
): void {
  const current = engine.catalog.current(table.id);
  if (current === undefined) return; // deleted since: so is what would be written
  if (stored === undefined && next === undefined) return;

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
  for (const index of current.indexes) {
    if (hasReached(index, itemKey)) counts.push(changeIndex(transaction, current, index, itemKey, stored, next));
  }
  changeExpiry(transaction, engine, current, itemKey, stored, next);
  changeCounts(transaction, table.id, counts);

  engine.indexLag?.remember(current, itemKey, stored);
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
): CountChange {
  if (stored !== undefined && next !== undefined && keepsKeys(index, stored.item, next.item)) {
    const isMember = isIndexMember(index, next.item);
    return isMember ? countOf(table, index, stored, next) : { space: index.id, items: 0, bytes: 0 };
  }
  const before = stored && entryKeyOf(table, index, stored.item, itemKey);
  const after = next && entryKeyOf(table, index, next.item, itemKey);
  if (before !== undefined) transaction.delete(before);
  if (after !== undefined) transaction.put(after, itemKey);
  return countOf(table, index, before && stored, after && next);
}

function countOf(
  table: TableLayout,
  index: IndexLayout,
  before: ItemImage | undefined,
  after: ItemImage | undefined,
): CountChange {
  const view = viewOf(table, index);
  const bytesOf = (image: ItemImage | undefined) => (image === undefined ? 0 : view.measure(image.item, image.bytes));
  return { space: index.id, items: presence(after) - presence(before), bytes: bytesOf(after) - bytesOf(before) };
}

/** An item an index build has not come to yet gets its entry from the build. */
function hasReached({ builtTo }: IndexLayout, itemKey: Uint8Array): boolean {
  return builtTo === undefined || compareBytes(itemKey, builtTo) <= 0;
}

function keepsKeys(index: IndexLayout, before: Item, after: Item): boolean {
  return keyAttributes(index.keys).every(({ name }) => isEqual(ownValue(before, name), ownValue(after, name)));
}

function isEqual(left: Item[string] | undefined, right: Item[string] | undefined): boolean {
  if (left === undefined || right === undefined) return left === right;
  return equals(left, right);
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
