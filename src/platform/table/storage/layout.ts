/** A table as it lies in the store: its ids, and the store keys of its items and index entries. */
import type { IndexSchema, KeyAttribute, StreamViewType, TableSchema } from '../port.ts';
import { type Item, ownValue, type Value } from '../values/value.ts';
import { concat, endedBytes, orderedBytes, partitionBytes, spacePrefix } from './key-encoding.ts';

/** One partition and at most one sort attribute; of a global index up to four of each. */
export interface KeySchema {
  readonly partitionKeys: readonly KeyAttribute[];
  readonly sortKeys: readonly KeyAttribute[];
}

export interface TableLayout {
  readonly id: number;
  readonly tableName: string;
  readonly keys: KeySchema;
  /** Those that writes keep up: ready ones and ones being built. */
  readonly indexes: readonly IndexLayout[];
  readonly ttlAttribute?: string;
  readonly stream?: StreamViewType;
}

export interface IndexLayout {
  readonly id: number;
  readonly indexName: string;
  readonly kind: 'global' | 'local';
  readonly keys: KeySchema;
  /** Attributes projected besides the keys. */
  readonly projection: 'ALL' | readonly string[];
  /** Not all entries are there: kept up, but not read. */
  readonly isBuilding: boolean;
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
export function itemKey({ id, keys }: TableLayout, key: Item): Uint8Array {
  return concat([spacePrefix(id, 0), itemTail(keys, key)]);
}

/** For an item that is a member of the index. */
export function indexEntryKey(table: TableLayout, index: IndexLayout, item: Item): Uint8Array {
  const { partitionKeys, sortKeys } = index.keys;
  const partition = partitionKeys.map(({ name }) => item[name]);
  const parts = [partitionPrefix(table, index, partition)];
  for (const { name, type } of sortKeys) parts.push(endedBytes(orderedBytes(type, item[name])));
  parts.push(itemTail(table.keys, item));
  return concat(parts);
}

/** Everything of one partition of a table, or of one of its indexes. */
export function partitionPrefix(
  table: TableLayout,
  index: IndexLayout | undefined,
  partition: readonly Value[],
): Uint8Array {
  const { partitionKeys } = index?.keys ?? table.keys;
  const parts = partitionKeys.map(({ type }, at) => partitionBytes(type, partition[at]));
  return concat([spacePrefix(table.id, index?.id ?? 0), ...parts]);
}

function itemTail({ partitionKeys, sortKeys }: KeySchema, key: Item): Uint8Array {
  const parts = partitionKeys.map(({ name, type }) => partitionBytes(type, key[name]));
  for (const { name, type } of sortKeys) parts.push(orderedBytes(type, key[name]));
  return concat(parts);
}

export function keyOf(keys: KeySchema, item: Item): Item {
  const key: Item = {};
  for (const { name } of keyAttributes(keys)) {
    const value = ownValue(item, name);
    if (value !== undefined) key[name] = value;
  }
  return key;
}
