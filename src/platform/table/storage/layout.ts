/** A table as it lies in the store: its ids, and the store keys of its items and index entries. */
import type { IndexSchema, KeyAttribute, StreamViewType, TableSchema } from '../port.ts';
import { type Item, ownValue, type Value } from '../values/value.ts';
import {
  concat,
  endedBytes,
  entryTail,
  hashPosition,
  joinedBytes,
  orderedBytes,
  partitionKeyPrefix,
} from './key-encoding.ts';

/** One partition and at most one sort attribute; of a global index up to four of each. */
export interface KeySchema {
  readonly partitionKeys: readonly KeyAttribute[];
  readonly sortKeys: readonly KeyAttribute[];
}

export interface TableLayout {
  readonly id: number;
  readonly tableName: string;
  readonly keys: KeySchema;
  /** Those that writes keep up, by name: ready ones and ones being built. */
  readonly indexes: readonly IndexLayout[];
  /** The hidden index of when items expire. */
  readonly expiry?: IndexLayout & { readonly attributeName: string };
  readonly ttlAttribute?: string;
  readonly stream?: StreamViewType;
}

export interface IndexLayout {
  readonly id: number;
  readonly indexName: string;
  readonly kind: 'global' | 'local' | 'expiry';
  readonly keys: KeySchema;
  /** Attributes projected besides the keys. */
  readonly projection: 'ALL' | readonly string[];
  /** Not all entries are there: kept up, but not read. */
  readonly isBuilding: boolean;
  /** Of one that is building: items up to this store key have their entries, the others get them in time. */
  readonly builtTo?: Uint8Array;
}

export function keySchemaOf({ partitionKey, sortKey }: TableSchema | IndexSchema): KeySchema {
  return { partitionKeys: listOf(partitionKey), sortKeys: sortKey === undefined ? [] : listOf(sortKey) };
}

function listOf(keys: KeyAttribute | readonly KeyAttribute[]): readonly KeyAttribute[] {
  return 'name' in keys ? [keys] : keys;
}

export function keyAttributes({ partitionKeys, sortKeys }: KeySchema): readonly KeyAttribute[] {
  return sortKeys.length === 0 ? partitionKeys : [...partitionKeys, ...sortKeys];
}

/** The keys must have been checked against the schema. */
export function itemKey(table: TableLayout, key: Item): Uint8Array {
  const { partitionKeys, sortKeys } = table.keys;
  const partition = partitionKeyPrefix(table.id, 0, partitionBytes(partitionKeys, key));
  const [sortKey] = sortKeys;
  return sortKey === undefined ? partition : concat([partition, orderedBytes(sortKey.type, key[sortKey.name])]);
}

/** For an item that is a member of the index. */
export function indexEntryKey(
  table: TableLayout,
  index: IndexLayout,
  item: Item,
  keyOfItem: Uint8Array = itemKey(table, item),
): Uint8Array {
  const { partitionKeys, sortKeys } = index.keys;
  const parts = [partitionKeyPrefix(table.id, index.id, partitionBytes(partitionKeys, item))];
  for (const { name, type } of sortKeys) parts.push(endedBytes(orderedBytes(type, item[name])));
  parts.push(entryTail(keyOfItem));
  return concat(parts);
}

/** Everything of one partition of a table, or of one of its indexes. */
export function partitionPrefix(
  table: TableLayout,
  index: IndexLayout | undefined,
  partition: readonly Value[],
): Uint8Array {
  const { partitionKeys } = index?.keys ?? table.keys;
  const bytes = joinedBytes(partitionKeys.map(({ type }, at) => orderedBytes(type, partition[at])));
  return partitionKeyPrefix(table.id, index?.id ?? 0, bytes);
}

function partitionBytes(partitionKeys: readonly KeyAttribute[], item: Item): Uint8Array {
  return joinedBytes(partitionKeys.map(({ name, type }) => orderedBytes(type, item[name])));
}

/**
 * The part of a table or an index that is one of `totalSegments`: disjoint, together everything.
 * @param segment  from 0, below `totalSegments`, which is at most 1,000,000
 */
export function segmentRange(
  table: TableLayout,
  index: IndexLayout | undefined,
  segment: number,
  totalSegments: number,
): { start: Uint8Array; end: Uint8Array } {
  const border = (of: number) => hashPosition(table.id, index?.id ?? 0, Math.ceil((2 ** 32 * of) / totalSegments));
  return { start: border(segment), end: border(segment + 1) };
}

export function keyOf(keys: KeySchema, item: Item): Item {
  const key: Item = {};
  for (const { name } of keyAttributes(keys)) {
    const value = ownValue(item, name);
    if (value !== undefined) key[name] = value;
  }
  return key;
}
