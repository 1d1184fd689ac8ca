/** Which items are in an index, under which key, and how much of them it shows. */
import { tableLimits } from '../limits.ts';
import { keyBytes } from '../values/measure.ts';
import { type Item, ownValue, typeOf } from '../values/value.ts';
import { expiryEntryKey } from './expiry.ts';
import { type IndexLayout, indexEntryKey, type TableLayout } from './layout.ts';

/**
 * Every key of the index is there and fit. Unfit ones can only be older than the index. Lengths are limited over all
 * partition and over all sort attributes together.
 */
export function isIndexMember({ keys }: Pick<IndexLayout, 'keys'>, item: Item): boolean {
  return (
    fits(keys.partitionKeys, item, tableLimits.partitionKeyBytesMax) &&
    fits(keys.sortKeys, item, tableLimits.sortKeyBytesMax)
  );
}

function fits(attributes: IndexLayout['keys']['sortKeys'], item: Item, bytesMax: number): boolean {
  let bytes = 0;
  for (const { name, type } of attributes) {
    const value = ownValue(item, name);
    if (value === undefined || typeOf(value) !== type) return false;
    if (type === 'N') continue;
    const length = keyBytes(value);
    if (length === 0) return false;
    bytes += length;
  }
  return bytes <= bytesMax;
}

/** undefined: the item is not in the index. */
export function entryKeyOf(
  table: TableLayout,
  index: IndexLayout,
  item: Item,
  itemKey: Uint8Array,
): Uint8Array | undefined {
  if (index.kind === 'expiry') return expiryEntryKey(table, index, item, itemKey);
  return isIndexMember(index, item) ? indexEntryKey(table, index, item, itemKey) : undefined;
}
