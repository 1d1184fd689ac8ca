import type { GetCommandInput, GetCommandOutput } from '@aws-sdk/lib-dynamodb';
import { beginConsumption } from '../capacity/consumed.ts';
import { readUnits } from '../capacity/units.ts';
import type { Door, Engine } from '../engine.ts';
import type { Answer } from '../port.ts';
import { getPlanned, readGet, readLoneProjection } from './reads.ts';
import { tableOf } from './table-of.ts';

export async function getItem(engine: Engine, input: GetCommandInput, door: Door): Promise<Answer<GetCommandOutput>> {
  const plan = readGet(input.Key, readLoneProjection(input, door), door).bind(tableOf(engine, input.TableName));
  const consumption = beginConsumption(engine, door, input.ReturnConsumedCapacity);
  consumption?.admit(plan.part);
  const { item, bytes } = getPlanned(engine.store, plan, door);
  consumption?.charge(plan.part, readUnits(bytes, input.ConsistentRead === true ? 'strong' : 'eventual'));
  return { ...(item === undefined ? {} : { Item: item }), ...consumption?.answer() };
}
