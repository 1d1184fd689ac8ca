/** `ReturnItemCollectionMetrics: SIZE`: how large the items under one partition key are together. */
import type { StoreReader } from '../../../kernel/store.ts';
import { tableLimits } from '../limits.ts';
import { afterPrefix } from '../storage/key-encoding.ts';
import { partitionPrefix, type TableLayout } from '../storage/layout.ts';
import { encodedItemBytes } from '../values/item-encoding.ts';
import type { Item } from '../values/value.ts';
import { partitionOf } from './write-costs.ts';

export interface CollectionMetrics {
  /** The partition key, as a value of the engine. */
  readonly key: Item;
  readonly sizeRangeGb: [number, number];
}

const gb = 1024 ** 3;

/** Only tables with local indexes have item collections in this sense. */
export function hasCollections(table: TableLayout): boolean {
  return table.indexes.some(({ kind }) => kind === 'local');
}

/** The range of whole gigabytes the collection falls in; of a very large one, of the items counted. */
export function collectionMetrics(reader: StoreReader, table: TableLayout, item: Item): CollectionMetrics {
  const [{ name }] = table.keys.partitionKeys;
  const prefix = partitionPrefix(table, undefined, partitionOf(table.keys, item));
  let bytes = 0;
  let items = 0;
  for (const { value } of reader.range({ start: prefix, end: afterPrefix(prefix) })) {
    bytes += encodedItemBytes(value);
    if (++items >= tableLimits.collectionItemsCountedMax) break;
  }
  const lowest = Math.floor(bytes / gb);
  return { key: { [name]: item[name] }, sizeRangeGb: [lowest, lowest + 1] };
}
