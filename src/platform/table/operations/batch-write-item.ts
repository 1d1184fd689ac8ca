import type { BatchWriteCommandInput, BatchWriteCommandOutput } from '@aws-sdk/lib-dynamodb';
import { beginConsumption } from '../capacity/consumed.ts';
import type { Door, Engine } from '../engine.ts';
import { invalid, ThrottledError } from '../errors.ts';
import { tableLimits } from '../limits.ts';
import type { Answer } from '../port.ts';
import { type KeySchema, keyOf } from '../storage/layout.ts';
import { checkKey } from '../validate.ts';
import { type Item, ownValue, setOwn } from '../values/value.ts';
import { refuseDuplicates } from './same-item.ts';
import { tableOf } from './table-of.ts';
import { type Metrics, metricsOf } from './write-answer.ts';
import { perform, type ReadWrite, readDelete, readPut } from './writes.ts';

type Requests = NonNullable<BatchWriteCommandInput['RequestItems']>;
type Request = Requests[string][number];

interface Write {
  readonly tableName: string;
  readonly request: Request;
  readonly read: ReadWrite;
}

/** Each write is one of its own, and all are made durable together. What is throttled comes back unprocessed. */
export async function batchWriteItem(
  engine: Engine,
  input: BatchWriteCommandInput,
  door: Door,
): Promise<Answer<BatchWriteCommandOutput>> {
  const writes = readWrites(input.RequestItems ?? {}, door);
  const tables = writes.map(({ tableName }) => tableOf(engine, tableName));
  const plans = writes.map(({ read }, at) => read.bind(tables[at]));
  refuseDuplicates(plans, () => invalid('Provided list of item keys contains duplicates'));
  const consumption = beginConsumption(engine, door, input.ReturnConsumedCapacity);
  const metrics: Record<string, Metrics[]> = {};
  // All in one turn, so that they share one sync.
  const outcomes = await Promise.allSettled(
    plans.map((plan, at) =>
      engine.store.write(transaction => {
        perform(transaction, engine, plan, consumption);
        const measured = metricsOf(transaction, plan.table, plan.key, input, door);
        if (measured !== undefined) add(metrics, writes[at].tableName, measured);
      }),
    ),
  );
  return {
    UnprocessedItems: unprocessed(writes, outcomes),
    ...consumption?.answers(),
    ...(Object.keys(metrics).length === 0 ? {} : { ItemCollectionMetrics: metrics }),
  };
}

function readWrites(requests: Requests, door: Door): Write[] {
  const writes: Write[] = [];
  for (const [tableName, list] of Object.entries(requests)) {
    for (const request of list) writes.push({ tableName, request, read: readWrite(request, door) });
  }
  if (writes.reduce((bytes, { read }) => bytes + read.requestBytes, 0) > tableLimits.batchBytesMax) {
    throw invalid(`The items of the batch exceed ${tableLimits.batchBytesMax} bytes`);
  }
  return writes;
}

/** A request is one of the two. */
function readWrite({ PutRequest: put, DeleteRequest: deletion }: Request, door: Door): ReadWrite {
  if (deletion !== undefined) return readDelete(deletion.Key, {}, door);
  return readPut(put?.Item, {}, door, checkItemAsKey);
}

/** A batch finds the fault of an item's key in the words it has for a key. */
function checkItemAsKey(keys: KeySchema, item: Item): void {
  checkKey(keys, keyOf(keys, item));
}

function add<Element>(lists: Record<string, Element[]>, name: string, element: Element): void {
  const list = ownValue(lists, name);
  if (list === undefined) setOwn(lists, name, [element]);
  else list.push(element);
}

/** Throws what befell a write, unless it was throttled and others were not. */
function unprocessed(writes: readonly Write[], outcomes: readonly PromiseSettledResult<unknown>[]): Requests {
  const rest: Requests = {};
  const throttled: ThrottledError[] = [];
  for (const [at, outcome] of outcomes.entries()) {
    if (outcome.status === 'fulfilled') continue;
    if (!(outcome.reason instanceof ThrottledError)) throw outcome.reason;
    throttled.push(outcome.reason);
    add(rest, writes[at].tableName, writes[at].request);
  }
  if (throttled.length === writes.length && throttled.length > 0) throw throttled[0];
  return rest;
}
