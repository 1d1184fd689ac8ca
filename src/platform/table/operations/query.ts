/** Reads one page of a partition, of the table or of an index. */

import assert from 'node:assert/strict';
import type { QueryCommandInput, QueryCommandOutput } from '@aws-sdk/lib-dynamodb';
import type { StoreRange, StoreReader } from '../../../kernel/store.ts';
import { invalid } from '../errors.ts';
import { Aliases } from '../expressions/aliases.ts';
import { parsedCondition, parsedProjection } from '../expressions/cache.ts';
import { compileCondition, type Predicate } from '../expressions/condition.ts';
import { readSimpleKeyCondition, type SimpleKeyCondition, type SortCondition } from '../expressions/key-condition.ts';
import { compileProjection } from '../expressions/projection.ts';
import { tableLimits } from '../limits.ts';
import type { Answer } from '../port.ts';
import {
  afterKey,
  afterPrefix,
  concat,
  earlierKey,
  endedBytes,
  escapedBytes,
  laterKey,
  orderedBytes,
} from '../storage/key-encoding.ts';
import {
  type IndexLayout,
  indexEntryKey,
  itemKey,
  type KeySchema,
  keyAttributes,
  keyOf,
  partitionPrefix,
  type TableLayout,
} from '../storage/layout.ts';
import { checkKey, checkParameters, isIndexMember, type Supported } from '../validate.ts';
import { decodeItem, encodedItemBytes } from '../values/item-encoding.ts';
import { measureItem } from '../values/measure.ts';
import { type Item, isPlainObject } from '../values/value.ts';

export const queryParameters: Supported = {
  TableName: true,
  IndexName: true,
  KeyConditionExpression: true,
  FilterExpression: true,
  ProjectionExpression: true,
  ExpressionAttributeNames: true,
  ExpressionAttributeValues: true,
  ExclusiveStartKey: true,
  ScanIndexForward: [true, false],
  ConsistentRead: [true, false],
  Limit: true,
  Select: ['ALL_ATTRIBUTES', 'ALL_PROJECTED_ATTRIBUTES', 'SPECIFIC_ATTRIBUTES', 'COUNT'],
  ReturnConsumedCapacity: ['NONE'],
};

interface PlannedQuery {
  readonly table: TableLayout;
  readonly index: IndexLayout | undefined;
  readonly range: StoreRange;
  readonly filter: Predicate | undefined;
  readonly project: ((item: Item) => Item) | undefined;
  readonly limit: number;
  readonly countOnly: boolean;
}

export function planQuery(table: TableLayout, input: QueryCommandInput): PlannedQuery {
  checkParameters('query', input, queryParameters);
  const { Limit = Number.POSITIVE_INFINITY } = input;
  if (Limit !== Number.POSITIVE_INFINITY && (!Number.isInteger(Limit) || Limit < 1)) {
    throw invalid(
      `1 validation error detected: Value '${Limit}' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1`,
    );
  }
  const index = indexOf(table, input.IndexName);
  if (index !== undefined && input.ConsistentRead === true) {
    throw invalid('Consistent reads are not supported on global secondary indexes');
  }
  checkSelect(input);
  const aliases = new Aliases(input.ExpressionAttributeNames, input.ExpressionAttributeValues);
  const key = keyConditionOf(table, index, input, aliases);
  const filter = filterOf(table, index, input, aliases);
  const project = projectionOf(input.ProjectionExpression, aliases);
  aliases.checkAllUsed();
  return {
    table,
    index,
    range: rangeOf(table, index, key, input),
    filter,
    project,
    limit: Limit,
    countOnly: input.Select === 'COUNT',
  };
}

export function projectionOf(text: string | undefined, aliases: Aliases): ((item: Item) => Item) | undefined {
  if (text === undefined) return undefined;
  return compileProjection(aliases.use('ProjectionExpression', parsedProjection(text)), aliases);
}

function indexOf(table: TableLayout, indexName: string | undefined): IndexLayout | undefined {
  if (indexName === undefined) return undefined;
  const index = table.indexes.find(each => each.indexName === indexName);
  if (index === undefined) throw invalid(`The table does not have the specified index: ${indexName}`);
  return index;
}

function checkSelect({ Select, ProjectionExpression, IndexName }: QueryCommandInput): void {
  if (Select === 'ALL_PROJECTED_ATTRIBUTES' && IndexName === undefined) {
    throw invalid(
      'One or more parameter values were invalid: Select type ALL_PROJECTED_ATTRIBUTES is not supported for the base table',
    );
  }
  if (Select === 'SPECIFIC_ATTRIBUTES' && ProjectionExpression === undefined) {
    throw invalid(
      'One or more parameter values were invalid: Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES',
    );
  }
  if (Select !== undefined && Select !== 'SPECIFIC_ATTRIBUTES' && ProjectionExpression !== undefined) {
    throw invalid(
      `One or more parameter values were invalid: Cannot specify the ProjectionExpression when choosing to get ${Select}`,
    );
  }
}

function keyConditionOf(
  { keys }: TableLayout,
  index: IndexLayout | undefined,
  { KeyConditionExpression: text }: QueryCommandInput,
  aliases: Aliases,
): SimpleKeyCondition {
  if (text === undefined) {
    throw invalid('Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.');
  }
  const condition = aliases.use('KeyConditionExpression', parsedCondition('KeyConditionExpression', text));
  return readSimpleKeyCondition(condition, schemaOf(index?.keys ?? keys), aliases);
}

/** Until key conditions know of several attributes. */
function schemaOf({ partitionKeys: [partitionKey], sortKeys: [sortKey] }: KeySchema) {
  return { partitionKey, sortKey };
}

function filterOf(
  { keys }: TableLayout,
  index: IndexLayout | undefined,
  { FilterExpression: text }: QueryCommandInput,
  aliases: Aliases,
): Predicate | undefined {
  if (text === undefined) return undefined;
  const parsed = parsedCondition('FilterExpression', text);
  const filter = aliases.use('FilterExpression', parsed);
  for (const { name } of keyAttributes(index?.keys ?? keys)) {
    if (parsed.paths.some(path => aliases.steps(path)[0] === name)) {
      throw invalid(`Filter Expression can only contain non-primary key attributes: Primary key attribute: ${name}`);
    }
  }
  return compileCondition('FilterExpression', filter, aliases);
}

function rangeOf(
  table: TableLayout,
  index: IndexLayout | undefined,
  key: SimpleKeyCondition,
  { ExclusiveStartKey, ScanIndexForward = true }: QueryCommandInput,
): StoreRange {
  const prefix = partitionPrefix(table, index, [key.partition]);
  let { start, end } = sortRange(table, index, prefix, key.sort);
  if (ExclusiveStartKey !== undefined) {
    const position = positionOf(table, index, ExclusiveStartKey);
    if (laterKey(position, start) === start && earlierKey(position, start) !== start) throw outsideRange();
    if (earlierKey(position, end) === end) throw outsideRange();
    if (ScanIndexForward) start = laterKey(start, afterKey(position));
    else end = earlierKey(end, position);
  }
  return { start, end, reverse: !ScanIndexForward };
}

function outsideRange() {
  return invalid('The provided starting key is outside query boundaries based on provided conditions');
}

/** An item's sort key is the last of its store key; an index entry's is ended, and the item's key follows. */
function sortRange(
  table: TableLayout,
  index: IndexLayout | undefined,
  prefix: Uint8Array,
  sort: SortCondition | undefined,
): { start: Uint8Array; end: Uint8Array } {
  const all = { start: prefix, end: afterPrefix(prefix) };
  const [sortKey] = (index?.keys ?? table.keys).sortKeys;
  if (sort === undefined || sortKey === undefined) return all;
  const bytesOf = (value: Parameters<typeof orderedBytes>[1]) => orderedBytes(sortKey.type, value);
  const isIndex = index !== undefined;
  const at = (value: Parameters<typeof orderedBytes>[1]) =>
    concat([prefix, isIndex ? endedBytes(bytesOf(value)) : bytesOf(value)]);
  const behind = (value: Parameters<typeof orderedBytes>[1]) =>
    isIndex ? afterPrefix(at(value)) : afterKey(at(value));
  switch (sort.kind) {
    case '=':
      return { start: at(sort.value), end: behind(sort.value) };
    case '<':
      return { start: all.start, end: at(sort.value) };
    case '<=':
      return { start: all.start, end: behind(sort.value) };
    case '>':
      return { start: behind(sort.value), end: all.end };
    case '>=':
      return { start: at(sort.value), end: all.end };
    case 'between':
      return { start: at(sort.lower), end: behind(sort.upper) };
    case 'begins_with': {
      const begin = concat([prefix, isIndex ? escapedBytes(bytesOf(sort.value)) : bytesOf(sort.value)]);
      return { start: begin, end: afterPrefix(begin) };
    }
  }
}

/** Where a page ended: the keys of the table, and of the index if one is read. */
function positionOf(table: TableLayout, index: IndexLayout | undefined, input: unknown): Uint8Array {
  const names = new Set(
    [...keyAttributes(table.keys), ...(index ? keyAttributes(index.keys) : [])].map(key => key.name),
  );
  if (!isPlainObject(input) || Object.keys(input).length !== names.size)
    throw invalid('The provided starting key is invalid');
  measureItem(input);
  const given = input as Item; // a cast: `measureItem` refuses what is none
  try {
    const key = checkKey(table.keys, keyOf(table.keys, given));
    if (index === undefined) return itemKey(table, key);
  } catch (cause) {
    throw invalid(`The provided starting key is invalid: ${cause instanceof Error ? cause.message : ''}`);
  }
  if (!isIndexMember(index, given)) throw invalid('The provided starting key is invalid');
  return indexEntryKey(table, index, given);
}

export function runQuery(reader: StoreReader, plan: PlannedQuery): Answer<QueryCommandOutput> {
  const items: Item[] = [];
  let evaluated = 0;
  let matched = 0;
  let pageBytes = 0;
  let last: Item | undefined;
  for (const encoded of encodedItems(reader, plan)) {
    const item = decodeItem(encoded);
    evaluated++;
    pageBytes += encodedItemBytes(encoded);
    if (plan.filter === undefined || plan.filter(item)) {
      matched++;
      if (!plan.countOnly) items.push(plan.project === undefined ? item : plan.project(item));
    }
    if (evaluated >= plan.limit || pageBytes >= tableLimits.pageBytesMax) {
      last = item;
      break;
    }
  }
  return {
    ...(plan.countOnly ? {} : { Items: items }),
    Count: matched,
    ScannedCount: evaluated,
    ...(last === undefined ? {} : { LastEvaluatedKey: lastKeyOf(plan, last) }),
  };
}

function* encodedItems(reader: StoreReader, { index, range }: PlannedQuery): Generator<Uint8Array> {
  for (const { value } of reader.range(range)) {
    if (index === undefined) {
      yield value;
      continue;
    }
    const encoded = reader.get(value); // an entry's value is the key of its item
    assert(encoded !== undefined); // entries are written and deleted together with their items
    yield encoded;
  }
}

function lastKeyOf({ table, index }: PlannedQuery, item: Item): Item {
  return { ...keyOf(table.keys, item), ...(index === undefined ? {} : keyOf(index.keys, item)) };
}
