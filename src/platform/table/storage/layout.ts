/** A table as it lies in the store: its ids, and the store keys of its items and index entries. */

import type { IndexSchema, TableSchema } from '../port.ts';
import { type Item, ownValue, type Value } from '../values/value.ts';
import { concat, endedBytes, orderedBytes, partitionBytes, spacePrefix } from './key-encoding.ts';

export interface TableLayout {
  readonly id: number;
  readonly schema: TableSchema;
  readonly indexes: readonly IndexLayout[];
}

export interface IndexLayout {
  readonly id: number;
  readonly schema: IndexSchema;
}

/** The keys must have been checked against the schema. */
export function itemKey({ id, schema }: TableLayout, key: Item): Uint8Array {
  return concat([spacePrefix(id, 0), itemTail(schema, key)]);
}

/** For an item that is a member of the index. */
export function indexEntryKey(table: TableLayout, index: IndexLayout, item: Item): Uint8Array {
  const { sortKey } = index.schema;
  const parts = [partitionPrefix(table, index, item[index.schema.partitionKey.name])];
  if (sortKey !== undefined) parts.push(endedBytes(orderedBytes(sortKey.type, item[sortKey.name])));
  parts.push(itemTail(table.schema, item));
  return concat(parts);
}

/** Everything of one partition of a table, or of one of its indexes. */
export function partitionPrefix(table: TableLayout, index: IndexLayout | undefined, partition: Value): Uint8Array {
  const { partitionKey } = index?.schema ?? table.schema;
  return concat([spacePrefix(table.id, index?.id ?? 0), partitionBytes(partitionKey.type, partition)]);
}

function itemTail({ partitionKey, sortKey }: TableSchema, key: Item): Uint8Array {
  const partition = partitionBytes(partitionKey.type, key[partitionKey.name]);
  if (sortKey === undefined) return partition;
  return concat([partition, orderedBytes(sortKey.type, key[sortKey.name])]);
}

export function keyOf(schema: TableSchema | IndexSchema, item: Item): Item {
  const key: Item = {};
  for (const attribute of [schema.partitionKey, schema.sortKey]) {
    const value = attribute === undefined ? undefined : ownValue(item, attribute.name);
    if (attribute !== undefined && value !== undefined) key[attribute.name] = value;
  }
  return key;
}
