import type { BatchGetCommandInput, BatchGetCommandOutput } from '@aws-sdk/lib-dynamodb';
import { beginConsumption } from '../capacity/consumed.ts';
import { readUnits } from '../capacity/units.ts';
import type { Door, Engine } from '../engine.ts';
import { invalid, ThrottledError } from '../errors.ts';
import { tableLimits } from '../limits.ts';
import type { Answer } from '../port.ts';
import { setOwn } from '../values/value.ts';
import { getPlanned, type PlannedGet, type ReadGet, readGet, readLoneProjection } from './reads.ts';
import { refuseDuplicates } from './same-item.ts';
import { tableOf } from './table-of.ts';

type Requests = NonNullable<BatchGetCommandInput['RequestItems']>;
type Block = Requests[string];
type Key = NonNullable<Block['Keys']>[number];

interface Get {
  readonly tableName: string;
  readonly block: Block;
  readonly key: Key;
  readonly read: ReadGet;
}

/** Answers what fits and what there is capacity for; the rest comes back as unprocessed keys. */
export async function batchGetItem(
  engine: Engine,
  input: BatchGetCommandInput,
  door: Door,
): Promise<Answer<BatchGetCommandOutput>> {
  const requests = input.RequestItems ?? {};
  const gets = readGets(requests, door);
  const plans = gets.map(({ tableName, read }) => read.bind(tableOf(engine, tableName)));
  refuseDuplicates(plans, () => invalid('Provided list of item keys contains duplicates'));
  const consumption = beginConsumption(engine, door, input.ReturnConsumedCapacity);
  const responses: Record<string, Record<string, unknown>[]> = {};
  for (const tableName of Object.keys(requests)) setOwn(responses, tableName, []);
  const rest = new Map<string, Key[]>();
  const room = new Room();
  let refusal: unknown;
  for (const [at, { tableName, block, key }] of gets.entries()) {
    const plan = plans[at];
    try {
      if (!room.isLeftFor(plan)) throw noRoom;
      consumption?.admit(plan.part);
      const { item, bytes } = getPlanned(engine.store, plan, door);
      if (!room.take(plan, bytes)) throw noRoom;
      consumption?.charge(plan.part, readUnits(bytes, block.ConsistentRead === true ? 'strong' : 'eventual'));
      if (item !== undefined) responses[tableName].push(item);
    } catch (error) {
      if (error !== noRoom && !(error instanceof ThrottledError)) throw error;
      refusal = error;
      rest.set(tableName, [...(rest.get(tableName) ?? []), key]);
    }
  }
  if (rest.size > 0 && countOf(rest) === gets.length) throw refusal; // one item always has room, so all are throttled
  return { Responses: responses, UnprocessedKeys: unprocessed(requests, rest), ...consumption?.answers() };
}

function readGets(requests: Requests, door: Door): Get[] {
  const gets: Get[] = [];
  for (const [tableName, block] of Object.entries(requests)) {
    const projection = readLoneProjection(block, door);
    for (const key of block.Keys ?? []) gets.push({ tableName, block, key, read: readGet(key, projection, door) });
  }
  return gets;
}

const noRoom = new Error('The answer has no room for the item.');

/** 16 MB in all, and 1 MB from one partition; the item that crosses the latter still comes along. */
class Room {
  #bytes = 0;
  readonly #partitions = new Map<string, number>();

  isLeftFor(plan: PlannedGet): boolean {
    return (this.#partitions.get(partitionName(plan)) ?? 0) < tableLimits.pageBytesMax;
  }

  take(plan: PlannedGet, bytes: number): boolean {
    if (this.#bytes + bytes > tableLimits.batchBytesMax) return false;
    this.#bytes += bytes;
    const name = partitionName(plan);
    this.#partitions.set(name, (this.#partitions.get(name) ?? 0) + bytes);
    return true;
  }
}

function partitionName({ part }: PlannedGet): string {
  const [value] = part.partition ?? [];
  const text = value instanceof Uint8Array ? Buffer.from(value).toString('latin1') : String(value);
  return `${part.table.id} ${text}`;
}

function countOf(rest: ReadonlyMap<string, readonly Key[]>): number {
  let count = 0;
  for (const keys of rest.values()) count += keys.length;
  return count;
}

/** The blocks of the request again, with the keys that are left. */
function unprocessed(requests: Requests, rest: ReadonlyMap<string, Key[]>): Requests {
  const blocks: Requests = {};
  for (const [tableName, keys] of rest) setOwn(blocks, tableName, { ...requests[tableName], Keys: keys });
  return blocks;
}
