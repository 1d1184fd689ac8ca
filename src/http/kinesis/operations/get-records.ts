/** GetShardIterator and GetRecords. */
import {
  bytesOf,
  type CatalogStream,
  type SequenceNumber,
  type Shard,
  type StartingPosition,
  shardIdOf,
} from '../../../platform/stream/index.ts';
import { accountId, streamNameIn } from '../arn.ts';
import { type Context, nameOf, type StreamNamed } from '../context.ts';
import { kinesisLimits } from '../limits.ts';
import { invalidArgument, rateExceeded, shardNotFound, shardNotThere } from '../refusals.ts';
import { readSequenceNumber } from '../sequence-numbers.ts';
import type { ShardPlace } from '../shard-iterator.ts';
import { hashKeyRange, numbersOf, shardNumberIn } from '../shard-output.ts';

interface GetShardIteratorInput extends StreamNamed {
  readonly ShardId: string;
  readonly ShardIteratorType: StartingPosition['type'];
  readonly StartingSequenceNumber?: string;
  /** Seconds since 1970. */
  readonly Timestamp?: number;
}

export async function getShardIterator(context: Context, input: GetShardIteratorInput): Promise<object> {
  const name = nameOf(input);
  const shardNumber = shardNumberIn(input.ShardId);
  if (shardNumber === undefined) throw shardNotFound(input.ShardId, name);
  const shardId = shardIdOf(shardNumber);
  const stream = context.catalog.find(name);
  const shards = stream && isReadable(stream) ? await stream.shards() : [];
  if (!stream || !shards.some(shard => shard.shardId === shardId)) throw shardNotThere(shardId, name);
  if (context.meter?.mayLocate(keyOf(stream, shardNumber)) === false) throw rateExceeded(name, shardId);
  const after = await placeOf(context, stream, shardNumber, input);
  const place = { streamName: name, createdAtMs: stream.settings.createdAtMs, shardNumber, after };
  return { ShardIterator: context.iterators.write(place) };
}

async function placeOf(
  { clock }: Context,
  stream: CatalogStream,
  shardNumber: number,
  { ShardIteratorType: type, StartingSequenceNumber: text, Timestamp: seconds }: GetShardIteratorInput,
): Promise<SequenceNumber | null> {
  const shardId = shardIdOf(shardNumber);
  if (text !== undefined) return afterFor(stream, shardNumber, type, text);
  if (type === 'TRIM_HORIZON' || type === 'LATEST') return stream.locate(shardId, { type });
  if (type !== 'AT_TIMESTAMP') throw oneOf(type, 'no');
  if (seconds === undefined) {
    throw invalidArgument(
      'Must specify timestampInMillis parameter for iterator of type AT_TIMESTAMP. Current request has no timestamp parameter.',
    );
  }
  const atMs = seconds * 1_000;
  const nowMs = clock.nowMs();
  if (atMs > nowMs) {
    throw invalidArgument(
      `The timestampInMillis parameter cannot be greater than the currentTimestampInMillis. timestampInMillis: ${atMs}, currentTimestampInMillis: ${nowMs}`,
    );
  }
  return stream.locate(shardId, { type, atMs });
}

/** What to read after to begin with a sequence number, or behind it. */
function afterFor(
  stream: CatalogStream,
  shardNumber: number,
  type: StartingPosition['type'],
  text: string,
): SequenceNumber | null {
  if (type === 'TRIM_HORIZON' || type === 'LATEST') throw oneOf(type, 'also a');
  const shardId = shardIdOf(shardNumber);
  const used = `StartingSequenceNumber ${text} used in GetShardIterator on shard ${shardId} in stream ${stream.name} under account ${accountId} is invalid`;
  const read = readSequenceNumber(text);
  if (read === undefined) throw invalidArgument(`${used}.`);
  if (read.shardNumber !== shardNumber) {
    throw invalidArgument(
      `Invalid StartingSequenceNumber. It encodes ${shardIdOf(read.shardNumber)}, while it was used in a call to a shard with ${shardId}`,
    );
  }
  if (!numbersOf(stream).isOwn(read)) throw invalidArgument(`${used} because it did not come from this stream.`);
  if (type !== 'AT_SEQUENCE_NUMBER') return read.number;
  return read.number === 0n ? null : read.number - 1n;
}

const oneOf = (type: string, which: string) =>
  invalidArgument(
    `Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER and StartingSequenceNumber or (2) TRIM_HORIZON or LATEST and no StartingSequenceNumber. Request specified ${type} and ${which} StartingSequenceNumber.`,
  );

interface GetRecordsInput {
  readonly ShardIterator: string;
  readonly Limit?: number;
  readonly StreamARN?: string;
}

export async function getRecords(context: Context, input: GetRecordsInput): Promise<object> {
  const place = context.iterators.read(input.ShardIterator);
  const { streamName, createdAtMs, shardNumber, after } = place;
  if (input.StreamARN !== undefined && streamNameIn(input.StreamARN) !== streamName) {
    throw invalidArgument(`ShardIterator is of stream ${streamName}, and StreamARN is ${input.StreamARN}.`);
  }
  const shardId = shardIdOf(shardNumber);
  const stream = context.catalog.find(streamName);
  const isThere = stream?.settings.createdAtMs === createdAtMs && isReadable(stream);
  const shards = isThere ? await stream.shards() : [];
  const shard = shards.find(each => each.shardId === shardId);
  if (!isThere || !shard) throw shardNotThere(shardId, streamName);
  const meterKey = keyOf(stream, shardNumber);
  if (context.meter?.mayRead(meterKey) === false) throw rateExceeded(streamName, shardId);
  const recordsMax = input.Limit ?? kinesisLimits.getRecordsMax;
  const page = await stream.read(shardId, after, { recordsMax, bytesMax: kinesisLimits.getBytesMax });
  context.meter?.hasRead(
    meterKey,
    page.records.reduce((bytes, record) => bytes + bytesOf(record), 0),
  );
  const numberOf = numbersOf(stream).ofShard(shardNumber);
  const last = page.records.at(-1);
  const isOver = shard.endingSequenceNumber !== undefined && page.next === undefined;
  const behindFrom = page.next && (last ?? page.next).arrivalAtMs;
  return {
    Records: page.records.map(({ sequenceNumber, partitionKey, data, arrivalAtMs }) => ({
      SequenceNumber: numberOf(sequenceNumber),
      ApproximateArrivalTimestamp: new Date(arrivalAtMs),
      Data: data,
      PartitionKey: partitionKey,
    })),
    NextShardIterator: isOver ? null : nextIterator(context, place, last?.sequenceNumber ?? after),
    MillisBehindLatest: behindFrom === undefined ? 0 : Math.max(context.clock.nowMs() - behindFrom, 0),
    ChildShards: isOver ? childrenOf(shard, shards) : undefined,
  };
}

function nextIterator({ iterators }: Context, place: ShardPlace, after: SequenceNumber | null): string {
  return iterators.write({ ...place, after });
}

function childrenOf({ shardId }: Shard, shards: readonly Shard[]): object[] {
  const children = shards.filter(each => each.parentShardId === shardId || each.adjacentParentShardId === shardId);
  return children.map(child => ({
    ShardId: child.shardId,
    ParentShards: [child.parentShardId, child.adjacentParentShardId].filter(id => id !== undefined),
    HashKeyRange: hashKeyRange(child),
  }));
}

function isReadable({ status }: CatalogStream): boolean {
  return status === 'ACTIVE' || status === 'UPDATING';
}

function keyOf({ name, settings }: CatalogStream, shardNumber: number): string {
  return `${name} ${settings.createdAtMs} ${shardNumber}`;
}
