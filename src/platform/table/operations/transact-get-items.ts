import type { TransactGetCommandInput, TransactGetCommandOutput } from '@aws-sdk/lib-dynamodb';
import { beginConsumption } from '../capacity/consumed.ts';
import { readUnits } from '../capacity/units.ts';
import type { Door, Engine } from '../engine.ts';
import { invalid, TransactionCanceledError } from '../errors.ts';
import { tableLimits } from '../limits.ts';
import type { Answer } from '../port.ts';
import { bindAll, reasonFor } from './cancellation.ts';
import { type GotItem, getPlanned, readGet, readLoneProjection } from './reads.ts';
import { refuseDuplicates } from './same-item.ts';
import { tableOf } from './table-of.ts';

/** All items as they are at one moment: nobody writes while this runs. */
export async function transactGetItems(
  engine: Engine,
  input: TransactGetCommandInput,
  door: Door,
): Promise<Answer<TransactGetCommandOutput>> {
  const gets = (input.TransactItems ?? []).map(({ Get }) => {
    if (Get === undefined) throw invalid('TransactItems can only contain Get.');
    return { tableName: Get.TableName, read: readGet(Get.Key, readLoneProjection(Get, door), door) };
  });
  const tables = gets.map(({ tableName }) => tableOf(engine, tableName));
  const { plans, reasons } = bindAll(gets, ({ read }, at) => read.bind(tables[at]));
  refuseDuplicates(plans, () => invalid('Transaction request cannot include multiple operations on one item'));
  if (reasons !== undefined) throw new TransactionCanceledError(reasons);
  const consumption = beginConsumption(engine, door, input.ReturnConsumedCapacity);
  const refusals = plans.map(({ part }) => reasonFor(() => consumption?.admit(part)));
  if (refusals.some(({ Code }) => Code !== 'None')) throw new TransactionCanceledError(refusals);
  const got = plans.map(plan => getPlanned(engine.store, plan, door));
  for (const [at, { bytes }] of got.entries()) {
    consumption?.charge(plans[at].part, readUnits(bytes, 'transactional'));
  }
  if (got.reduce((sum, { bytes }) => sum + bytes, 0) > tableLimits.transactionBytesMax) {
    throw invalid(
      `The aggregate size of the items in the transaction cannot exceed ${tableLimits.transactionBytesMax} bytes`,
    );
  }
  return { Responses: got.map(responseOf), ...consumption?.answers('ReadCapacityUnits') };
}

/** Other reads answer an item of which nothing is shown as an empty one; here there is none. */
function responseOf({ item }: GotItem) {
  return item === undefined || Object.keys(item).length === 0 ? {} : { Item: item };
}
