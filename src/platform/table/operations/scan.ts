import type { ScanCommandInput, ScanCommandOutput } from '@aws-sdk/lib-dynamodb';
import type { StoreRange } from '../../../kernel/store.ts';
import { beginConsumption } from '../capacity/consumed.ts';
import type { Door, Engine } from '../engine.ts';
import { invalid } from '../errors.ts';
import type { Answer } from '../port.ts';
import { afterKey } from '../storage/key-encoding.ts';
import { type IndexLayout, keyAttributes, segmentRange, type TableLayout } from '../storage/layout.ts';
import { compareBytes, type Item } from '../values/value.ts';
import { readAliases, readCondition, readProjection, refusePathsIntoKeys } from './expressions.ts';
import { type PlannedPage, readPage } from './page.ts';
import { needsFetch, selectedIndex } from './selection.ts';
import { checkStartElement, checkStartKey, positionOf } from './start-key.ts';
import { tableOf } from './table-of.ts';

export async function scan(engine: Engine, input: ScanCommandInput, door: Door): Promise<Answer<ScanCommandOutput>> {
  const plan = planScan(engine, input, door);
  const consumption = beginConsumption(engine, door, input.ReturnConsumedCapacity);
  return { ...readPage(engine, plan, consumption, door), ...consumption?.answer() };
}

function planScan(engine: Engine, input: ScanCommandInput, door: Door): PlannedPage {
  const startKey = input.ExclusiveStartKey && door.format.readItem(input.ExclusiveStartKey).item;
  const { Limit = Number.POSITIVE_INFINITY } = input;
  const { aliases } = readAliases(input, door);
  const filter = readCondition('FilterExpression', input.FilterExpression, aliases);
  const projection = readProjection(input.ProjectionExpression, aliases);
  aliases.checkAllUsed();

  const table = tableOf(engine, input.TableName);
  const index = selectedIndex(table, input);
  if (startKey !== undefined) checkStart(table, index, startKey);
  const fetches = index !== undefined && needsFetch(table, index, input, projection);
  const range = rangeOf(table, index, startKey, input);
  if (projection !== undefined) refusePathsIntoKeys(table, projection.paths);
  if (filter !== undefined) refusePathsIntoKeys(table, filter.paths);
  return {
    part: { kind: 'read', table, index },
    range,
    fetches,
    filter,
    projection,
    limit: Limit,
    countsOnly: input.Select === 'COUNT',
    consistency: input.ConsistentRead === true ? 'strong' : 'eventual',
  };
}

function checkStart(table: TableLayout, index: IndexLayout | undefined, startKey: Item): void {
  checkStartKey('Scan', table, index, startKey);
  if (index === undefined) return;
  for (const attribute of keyAttributes(index.keys)) checkStartElement(index, attribute, startKey);
}

function rangeOf(
  table: TableLayout,
  index: IndexLayout | undefined,
  startKey: Item | undefined,
  { Segment: segment = 0, TotalSegments: total = 1 }: ScanCommandInput,
): StoreRange {
  const { start, end } = segmentRange(table, index, segment, total);
  if (startKey === undefined) return { start, end };
  const position = positionOf(table, index, startKey);
  if (total > 1 && (compareBytes(position, start) < 0 || compareBytes(position, end) >= 0)) {
    throw invalid(
      `The provided starting key is invalid: Invalid ExclusiveStartKey. Please use ExclusiveStartKey with correct Segment. TotalSegments: ${total} Segment: ${segment}`,
    );
  }
  return { start: afterKey(position), end };
}
