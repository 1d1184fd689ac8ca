/** What Put, Delete and Update have in common: running alone, and what is answered besides the attributes. */
import type { StoreReader } from '../../../kernel/store.ts';
import { beginConsumption } from '../capacity/consumed.ts';
import type { Door, Engine } from '../engine.ts';
import type { TableLayout } from '../storage/layout.ts';
import type { Item } from '../values/value.ts';
import { collectionMetrics, hasCollections } from './item-collection.ts';
import { type DecidedWrite, type PlannedWrite, perform } from './writes.ts';

export interface AnswerParameters {
  readonly ReturnConsumedCapacity?: string;
  readonly ReturnItemCollectionMetrics?: string;
}

/** Resolves once the write would survive a crash. */
export function writeAlone<Attributes extends object>(
  engine: Engine,
  plan: PlannedWrite,
  parameters: AnswerParameters,
  door: Door,
  attributesOf: (decided: DecidedWrite) => Attributes,
) {
  const consumption = beginConsumption(engine, door, parameters.ReturnConsumedCapacity);
  return engine.store.write(transaction => {
    const decided = perform(transaction, engine, plan, consumption);
    return {
      ...attributesOf(decided),
      ...consumption?.answer(),
      ...metricsAnswer(transaction, plan, parameters, door),
    };
  });
}

function metricsAnswer(reader: StoreReader, { table, key }: PlannedWrite, asked: AnswerParameters, door: Door) {
  const metrics = metricsOf(reader, table, key, asked, door);
  return metrics === undefined ? {} : { ItemCollectionMetrics: metrics };
}

/** undefined when not asked for, or for a table without item collections. */
export function metricsOf(
  reader: StoreReader,
  table: TableLayout,
  key: Item,
  { ReturnItemCollectionMetrics: asked }: AnswerParameters,
  { format }: Door,
): Metrics | undefined {
  if (asked !== 'SIZE' || !hasCollections(table)) return undefined;
  const { key: partition, sizeRangeGb } = collectionMetrics(reader, table, key);
  return { ItemCollectionKey: format.writeItem(partition), SizeEstimateRangeGB: sizeRangeGb };
}

export interface Metrics {
  ItemCollectionKey: Record<string, unknown>;
  SizeEstimateRangeGB: number[];
}

/** No field for an item that was not there or has nothing to show. */
export function attributesAnswer(item: Item | undefined, { format }: Door): { Attributes?: Record<string, unknown> } {
  return item === undefined || Object.keys(item).length === 0 ? {} : { Attributes: format.writeItem(item) };
}
