/** `ExclusiveStartKey` and `LastEvaluatedKey`: where a page begins and where it ended. */
import { invalid, TableError } from '../errors.ts';
import type { KeyAttribute } from '../port.ts';
import { type IndexLayout, indexEntryKey, itemKey, keyAttributes, keyOf, type TableLayout } from '../storage/layout.ts';
import { checkKey, checkKeyElement, keyMismatch } from '../validate.ts';
import type { Item } from '../values/value.ts';

/** The keys of the table, and of the index if one is read. */
export function lastKeyOf(table: TableLayout, index: IndexLayout | undefined, item: Item): Item {
  const key = keyOf(table.keys, item);
  return index === undefined ? key : { ...key, ...keyOf(index.keys, item) };
}

/** Refuses a starting key that has not as many attributes as it must have. */
export function checkStartKey(
  operation: 'Query' | 'Scan',
  table: TableLayout,
  index: IndexLayout | undefined,
  key: Item,
): void {
  const names = new Set(keyAttributes(table.keys).map(({ name }) => name));
  for (const { name } of index === undefined ? [] : keyAttributes(index.keys)) names.add(name);
  if (Object.keys(key).length === names.size) return;
  throw operation === 'Scan' && index === undefined ? notValid(keyMismatch()) : notValid();
}

/** A key of what is read: DynamoDB answers faults of these without the words about the starting key. */
export function checkStartElement({ keys }: TableLayout | IndexLayout, attribute: KeyAttribute, key: Item): void {
  if (!Object.hasOwn(key, attribute.name)) throw notValid();
  checkKeyElement(attribute, key, keys.partitionKeys.includes(attribute));
}

/**
 * Of a starting key whose elements were checked as far as they are keys of an index.
 * @returns the store key of the entry a page is to begin behind; it need not exist any more.
 */
export function positionOf(table: TableLayout, index: IndexLayout | undefined, key: Item): Uint8Array {
  try {
    checkKey(table.keys, keyOf(table.keys, key));
  } catch (error) {
    throw error instanceof TableError ? notValid(error) : error;
  }
  return index === undefined ? itemKey(table, key) : indexEntryKey(table, index, key);
}

function notValid(cause?: Error) {
  return invalid(`The provided starting key is invalid${cause === undefined ? '' : `: ${cause.message}`}`);
}
