/** What is refused of the keys of items, requests and schemas. */
import { emptyIndexKey, emptyIndexKeyInUpdate, emptyKey, invalid } from './errors.ts';
import { tableLimits } from './limits.ts';
import type { KeyAttribute } from './port.ts';
import { type IndexLayout, type KeySchema, keyAttributes } from './storage/layout.ts';
import { keyBytes } from './values/measure.ts';
import { type Item, ownValue, typeOf, type Value } from './values/value.ts';

/** Refuses an item without a fit key. Indexes are checked apart, as DynamoDB words it otherwise. */
export function checkItemKeys(keys: KeySchema, item: Item): void {
  for (const key of keyAttributes(keys)) {
    const value = ownValue(item, key.name);
    if (value === undefined) {
      throw invalid(`One or more parameter values were invalid: Missing the key ${key.name} in the item`);
    }
    if (typeOf(value) !== key.type) {
      throw invalid(
        `One or more parameter values were invalid: Type mismatch for key ${key.name} expected: ${key.type} actual: ${typeOf(value)}`,
      );
    }
    checkKeyValue(key, value, keys.partitionKeys.includes(key));
  }
}

/** A key must have the attributes of the key schema, of their types, and no others. */
export function checkKey(keys: KeySchema, key: Item): void {
  const attributes = keyAttributes(keys);
  let given = 0;
  for (const name in key) if (Object.hasOwn(key, name)) given++;
  if (given !== attributes.length) throw keyMismatch();
  for (const attribute of attributes) checkKeyElement(attribute, key, keys.partitionKeys.includes(attribute));
}

export function checkKeyElement(attribute: KeyAttribute, key: Item, isPartitionKey: boolean): void {
  const value = ownValue(key, attribute.name);
  if (value === undefined || typeOf(value) !== attribute.type) throw keyMismatch();
  checkKeyValue(attribute, value, isPartitionKey);
}

export function keyMismatch() {
  return invalid('The provided key element does not match the schema');
}

export function checkKeyValue({ name, type }: KeyAttribute, value: Value, isPartitionKey: boolean): void {
  if (type === 'N') return;
  const bytes = keyBytes(value);
  if (bytes === 0) throw emptyKey(type, name);
  if (isPartitionKey && bytes > tableLimits.partitionKeyBytesMax) throw hashKeyTooLarge();
  if (!isPartitionKey && bytes > tableLimits.sortKeyBytesMax) throw rangeKeyTooLarge();
}

/** Without a space before the number, as DynamoDB has it. */
function hashKeyTooLarge() {
  return invalid(
    `One or more parameter values were invalid: Size of hashkey has exceeded the maximum size limit of${tableLimits.partitionKeyBytesMax} bytes`,
  );
}

function rangeKeyTooLarge() {
  return invalid(
    `One or more parameter values were invalid: Aggregated size of all range keys has exceeded the size limit of ${tableLimits.sortKeyBytesMax} bytes`,
  );
}

/** Refuses the whole write when an index key is present but unfit. */
export function checkIndexKeys(index: IndexLayout, item: Item): void {
  for (const key of keyAttributes(index.keys)) checkIndexKey(index, key, ownValue(item, key.name));
  checkAggregatedSizes(index, item);
}

/** Attributes that are a key together share its limit (that it is shared is unverified for indexes). */
export function checkAggregatedSizes({ keys }: IndexLayout, item: Item): void {
  if (keys.partitionKeys.length > 1 && sizeOf(keys.partitionKeys, item) > tableLimits.partitionKeyBytesMax) {
    throw hashKeyTooLarge();
  }
  if (keys.sortKeys.length > 1 && sizeOf(keys.sortKeys, item) > tableLimits.sortKeyBytesMax) throw rangeKeyTooLarge();
}

function sizeOf(attributes: readonly KeyAttribute[], item: Item): number {
  return attributes.reduce((bytes, { name }) => bytes + keyBytes(ownValue(item, name) ?? null), 0);
}

/** Of an update an empty value is worded otherwise. */
export function checkIndexKey(
  { indexName, keys }: IndexLayout,
  key: KeyAttribute,
  value: Value | undefined,
  isUpdate = false,
): void {
  if (value === undefined) return;
  if (typeOf(value) !== key.type) {
    throw invalid(
      `One or more parameter values were invalid: Type mismatch for Index Key ${key.name} Expected: ${key.type} Actual: ${typeOf(value)} IndexName: ${indexName}`,
    );
  }
  if (key.type !== 'N' && keyBytes(value) === 0) {
    throw isUpdate ? emptyIndexKeyInUpdate(key.type) : emptyIndexKey(key.type, indexName, key.name);
  }
  checkKeyValue(key, value, keys.partitionKeys.includes(key));
}

/** An element of a `KeySchema`, as requests spell it; types are not checked yet. */
export interface KeyElement {
  readonly AttributeName?: string;
  readonly KeyType?: string;
}

/** No name twice, partition attributes first. @param attributesMax  of each kind: 1, or 4 for a global index */
export function checkKeyOrder(keys: readonly KeyElement[], attributesMax: number): void {
  if (new Set(keys.map(({ AttributeName }) => AttributeName)).size < keys.length) {
    throw invalid('Both the Hash Key and the Range Key element in the KeySchema have the same name');
  }
  const hashes = keys.findIndex(({ KeyType }) => KeyType !== 'HASH');
  if (hashes === 0) throw invalid('Invalid KeySchema: The first KeySchemaElement is not a HASH key type');
  const partitions = attributesMax === 1 ? 1 : hashes < 0 ? keys.length : hashes;
  const sorts = keys.slice(partitions);
  if (sorts.some(({ KeyType }) => KeyType !== 'RANGE')) {
    throw invalid('Invalid KeySchema: The second KeySchemaElement is not a RANGE key type');
  }
  if (partitions > attributesMax || sorts.length > attributesMax) {
    throw invalid(
      `One or more parameter values were invalid: KeySchema of an index may have ${attributesMax} HASH and ${attributesMax} RANGE attributes`,
    );
  }
}
