/**
 * The hidden index of a table with time to live: items by when they expire.
 *
 *   entry   E  table  index  seconds as a double, big-endian  partition and sort key of the item
 *
 * Its value is the store key of the item, as in every index.
 */
import { type Item, ownValue, typeOf } from '../values/value.ts';
import { concat, entryTail, spacePrefix } from './key-encoding.ts';
import type { IndexLayout, TableLayout } from './layout.ts';

/** What is older is taken for a mistake and left alone. DynamoDB, "Time to Live". */
const ignoredAfterMs = 5 * 365 * 24 * 3_600_000;

/** undefined: the item never expires. */
export function expirySecondsOf(attributeName: string, item: Item): number | undefined {
  const value = ownValue(item, attributeName);
  if (value === undefined || typeOf(value) !== 'N') return undefined;
  const seconds = Number(value);
  return seconds > 0 ? seconds : undefined;
}

export function expiryEntryKey(
  { id }: TableLayout,
  { id: indexId, keys }: IndexLayout,
  item: Item,
  itemKey: Uint8Array,
): Uint8Array | undefined {
  const seconds = expirySecondsOf(keys.partitionKeys[0].name, item);
  return seconds === undefined ? undefined : concat([expiryPosition(id, indexId, seconds), entryTail(itemKey)]);
}

/** Entries of what has expired at `nowMs`: before now, but not longer ago than makes sense. */
export function expiredRange(tableId: number, indexId: number, nowMs: number): { start: Uint8Array; end: Uint8Array } {
  return {
    start: expiryPosition(tableId, indexId, Math.max(0, nowMs - ignoredAfterMs) / 1_000),
    end: expiryPosition(tableId, indexId, nowMs / 1_000),
  };
}

export function secondsOfEntry(entryKey: Uint8Array): number {
  return Buffer.from(entryKey).readDoubleBE(4);
}

/** Positive doubles have the order of their bytes. */
function expiryPosition(tableId: number, indexId: number, seconds: number): Uint8Array {
  const ordered = Buffer.alloc(8);
  ordered.writeDoubleBE(seconds);
  return concat([spacePrefix(tableId, indexId), ordered]);
}
