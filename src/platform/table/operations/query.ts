import assert from 'node:assert/strict';
import type { QueryCommandInput, QueryCommandOutput } from '@aws-sdk/lib-dynamodb';
import type { StoreRange } from '../../../kernel/store.ts';
import { beginConsumption } from '../capacity/consumed.ts';
import type { Door, Engine } from '../engine.ts';
import { invalid } from '../errors.ts';
import { parsedCondition } from '../expressions/cache.ts';
import { checkKeyOperands, fitToKey, type KeyCondition, keyTermsOf } from '../expressions/key-condition.ts';
import type { Answer } from '../port.ts';
import { afterKey } from '../storage/key-encoding.ts';
import { type IndexLayout, keyAttributes, type TableLayout } from '../storage/layout.ts';
import { compareBytes, type Item, type Value } from '../values/value.ts';
import { type ReadPredicate, readAliases, readCondition, readProjection, refusePathsIntoKeys } from './expressions.ts';
import { type PlannedPage, readPage } from './page.ts';
import { type Bounds, keyBounds } from './query-range.ts';
import { needsFetch, refuseUnseenFilter, selectedIndex } from './selection.ts';
import { checkStartElement, checkStartKey, positionOf } from './start-key.ts';
import { tableOf } from './table-of.ts';
import { translationOf } from './translated.ts';

export async function query(engine: Engine, input: QueryCommandInput, door: Door): Promise<Answer<QueryCommandOutput>> {
  const plan = planQuery(engine, input, door);
  const consumption = beginConsumption(engine, door, input.ReturnConsumedCapacity);
  return { ...readPage(engine, plan, consumption, door), ...consumption?.answer() };
}

function planQuery(engine: Engine, input: QueryCommandInput, door: Door): PlannedPage {
  const startKey = input.ExclusiveStartKey && door.format.readItem(input.ExclusiveStartKey).item;
  const { KeyConditionExpression: text, Limit = Number.POSITIVE_INFINITY } = input;
  assert(text !== undefined); // the request has one, or conditions that were translated into one
  const { aliases } = readAliases(input, door);
  const condition = aliases.use('KeyConditionExpression', parsedCondition('KeyConditionExpression', text));
  const slots = checkKeyOperands(condition, aliases);
  const filter = readCondition('FilterExpression', input.FilterExpression, aliases);
  const projection = readProjection(input.ProjectionExpression, aliases);
  aliases.checkAllUsed();
  const terms = keyTermsOf(condition, aliases, slots);

  const table = tableOf(engine, input.TableName);
  const index = selectedIndex(table, input);
  if (startKey !== undefined) checkStartKey('Query', table, index, startKey);
  const key = fitToKey(terms, (index ?? table).keys, {
    beforeKey: attribute => startKey && checkStartElement(index ?? table, attribute, startKey),
    notIndexable: translationOf(input).notIndexable,
  });
  const range = rangeOf(table, index, key, startKey, input.ScanIndexForward ?? true);
  if (projection !== undefined) refusePathsIntoKeys(table, projection.paths);
  if (filter !== undefined) refuseFilterOnKeys(index ?? table, filter);
  const fetches = index !== undefined && needsFetch(table, index, input, projection);
  if (filter !== undefined) {
    refusePathsIntoKeys(table, filter.paths);
    if (index !== undefined) refuseUnseenFilter(table, index, filter);
  }
  return {
    part: { kind: 'read', table, index, partition: key.partition },
    range,
    fetches,
    filter,
    projection,
    limit: Limit,
    countsOnly: input.Select === 'COUNT',
    consistency: input.ConsistentRead === true ? 'strong' : 'eventual',
  };
}

function refuseFilterOnKeys({ keys }: TableLayout | IndexLayout, { paths }: ReadPredicate): void {
  const named = paths.names();
  for (const { name } of keyAttributes(keys)) {
    if (named.has(name)) {
      throw invalid(`Filter Expression can only contain non-primary key attributes: Primary key attribute: ${name}`);
    }
  }
}

function rangeOf(
  table: TableLayout,
  index: IndexLayout | undefined,
  key: KeyCondition,
  startKey: Item | undefined,
  isForward: boolean,
): StoreRange {
  const { start, end } = keyBounds(table, index, key);
  if (startKey === undefined) return { start, end, reverse: !isForward };
  const position = positionOf(table, index, startKey);
  if (!isWithin(position, { start, end })) throw outsideRange(table, index, key, startKey);
  return isForward ? { start: afterKey(position), end, reverse: false } : { start, end: position, reverse: true };
}

/** In DynamoDB's words, which depend on whether the query asks something of the sort key. */
function outsideRange(table: TableLayout, index: IndexLayout | undefined, key: KeyCondition, startKey: Item) {
  if (key.sort.fixed.length === 0 && key.sort.range === undefined) {
    return invalid('The provided starting key is outside query boundaries based on provided conditions');
  }
  const { partitionKeys } = (index ?? table).keys;
  const inPartition = partitionKeys.map(({ name }, at): [string, Value] => [name, key.partition[at]]);
  const moved = positionOf(table, index, { ...startKey, ...Object.fromEntries(inPartition) });
  return isWithin(moved, keyBounds(table, index, key))
    ? invalid('The query can return at most one row and cannot be restarted')
    : invalid('The provided starting key does not match the range key predicate');
}

function isWithin(position: Uint8Array, { start, end }: Bounds): boolean {
  return compareBytes(position, start) >= 0 && compareBytes(position, end) < 0;
}
