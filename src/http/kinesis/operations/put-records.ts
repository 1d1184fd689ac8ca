/** PutRecord and PutRecords: each record is stored, and then told where, or told why not. */
import { codeOf, MimamoriError } from '../../../kernel/errors.ts';
import { type Appended, type CatalogStream, hashKeyMax, RecordBatch } from '../../../platform/stream/index.ts';
import { type Context, type StreamNamed, streamOf } from '../context.ts';
import { kinesisLimits } from '../limits.ts';
import { invalidArgument, notValid, rateExceeded, streamNotFound } from '../refusals.ts';
import { readSequenceNumber } from '../sequence-numbers.ts';
import { numbersOf, shardNumberOf } from '../shard-output.ts';

interface Entry {
  readonly PartitionKey: string;
  readonly ExplicitHashKey?: string;
  readonly Data: Uint8Array;
}

export async function putRecord(
  context: Context,
  input: StreamNamed & Entry & { SequenceNumberForOrdering?: string },
): Promise<object> {
  const stream = streamOf(context, input);
  checkUsable(stream);
  const hashKey = hashKeyIn(input);
  const { SequenceNumberForOrdering: ordering } = input;
  if (ordering !== undefined && readSequenceNumber(ordering) === undefined) {
    throw invalidArgument(
      `ExclusiveMinimumSequenceNumber ${ordering} used in PutRecord on stream ${stream.name} is invalid.`,
    );
  }
  checkSize(stream, input, 'data');
  const batch = new RecordBatch(input.Data.length + roomBytes, stream.settings.recordBytesMax);
  add(batch, keyed(stream, input), hashKey);
  const appended = await stream.append(batch);
  const failure = appended.failed.get(0);
  if (failure) throw failure;
  const { shardId, sequenceNumber } = appended.placeOf(0);
  return { ShardId: shardId, SequenceNumber: numbersOf(stream).write(shardNumberOf(shardId), sequenceNumber) };
}

/** Throws only when nothing was stored. */
export async function putRecords(
  context: Context,
  input: StreamNamed & { readonly Records: readonly Entry[] },
): Promise<object> {
  const stream = streamOf(context, input);
  checkUsable(stream);
  const hashKeys = input.Records.map(hashKeyIn);
  let bytes = 0;
  for (const [index, entry] of input.Records.entries()) {
    checkSize(stream, entry, `records.${index + 1}.member.data`);
    bytes += sizeOf(entry);
  }
  if (bytes > kinesisLimits.putBytesMax) throw invalidArgument('Records size exceeds 10 MB limit');
  const { recordBytesMax } = stream.settings;
  const batches = [new RecordBatch(Math.min(bytes, firstBatchBytesMax) + roomBytes, recordBytesMax)];
  for (const [index, entry] of input.Records.entries()) {
    if (batches[batches.length - 1].isFull) batches.push(new RecordBatch(undefined, recordBytesMax));
    add(batches[batches.length - 1], keyed(stream, entry), hashKeys[index]);
  }
  const counts = batches.map(({ count }) => count); // A batch is the stream's once it is appended.
  const outcomes = await Promise.allSettled(batches.map(batch => stream.append(batch)));
  const [first] = outcomes;
  if (first.status === 'rejected' && outcomes.every(({ status }) => status === 'rejected')) throw first.reason;
  const results = outcomes.flatMap((outcome, index) =>
    Array.from({ length: counts[index] }, (_, at) => resultOf(context, stream, outcome, at)),
  );
  return { FailedRecordCount: results.filter(result => 'ErrorCode' in result).length, Records: results };
}

const roomBytes = 32 * 1024; // ours: for keys and headers, so that a batch seldom has to grow
const firstBatchBytesMax = 4 * 1024 * 1024; // ours: what a batch takes at most, or nearly

function resultOf(
  { log }: Context,
  stream: CatalogStream,
  outcome: PromiseSettledResult<Appended>,
  at: number,
): object {
  const failure = outcome.status === 'rejected' ? outcome.reason : outcome.value.failed.get(at);
  if (outcome.status === 'fulfilled' && failure === undefined) {
    const { shardId, sequenceNumber } = outcome.value.placeOf(at);
    return { ShardId: shardId, SequenceNumber: numbersOf(stream).write(shardNumberOf(shardId), sequenceNumber) };
  }
  if (isThrottled(failure)) {
    const { name, message } = rateExceeded(stream.name, shardIdIn(failure));
    return { ErrorCode: name, ErrorMessage: message };
  }
  log.error({ stream: stream.name, code: codeOf(failure) }, 'A record was not stored.');
  return { ErrorCode: 'InternalFailure', ErrorMessage: 'Internal service failure.' };
}

/** Whether it is only too much at once. */
export function isThrottled(error: unknown): boolean {
  return ['stream.throttled', 'stream.busy'].includes(codeOf(error));
}

/** Which shard was asked too much; nobody is told when it was all of the stream. */
export function shardIdIn(error: unknown): string {
  return (error instanceof MimamoriError && /shardId-\d{12}/.exec(error.message)?.[0]) || 'shardId-000000000000';
}

/** With the key that the app wants in place of the producer's. */
function keyed({ rekey }: CatalogStream, entry: Entry): Entry {
  return rekey === undefined ? entry : { ...entry, PartitionKey: rekey(entry.PartitionKey, entry.Data) };
}

function add(batch: RecordBatch, { PartitionKey, Data }: Entry, hashKey: bigint | undefined): void {
  try {
    batch.add(PartitionKey, Data, hashKey);
  } catch (error) {
    throw error instanceof MimamoriError ? invalidArgument(error.message) : error; // a key that is no text
  }
}

/** Throws `InvalidArgumentException`. */
function hashKeyIn({ ExplicitHashKey: text }: Entry): bigint | undefined {
  if (text === undefined) return undefined;
  const hashKey = BigInt(text);
  if (hashKey <= hashKeyMax) return hashKey;
  throw invalidArgument(
    `Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. Specified value was ${text}`,
  );
}

function checkSize({ settings }: CatalogStream, entry: Entry, at: string): void {
  const { recordBytesMax } = settings;
  if (sizeOf(entry) <= recordBytesMax) return;
  const { length } = entry.Data;
  throw notValid(
    length > recordBytesMax
      ? `1 validation error detected: Value 'java.nio.HeapByteBuffer[pos=0 lim=${length} cap=${length}]' at '${at}' failed to satisfy constraint: Member must have length less than or equal to ${recordBytesMax}`
      : `The record at '${at}' and its partition key are ${sizeOf(entry)} bytes, over the limit of ${recordBytesMax}.`,
  );
}

function sizeOf({ PartitionKey, Data }: Entry): number {
  return Buffer.byteLength(PartitionKey) + Data.length;
}

/** A stream that is being made or deleted is not there for records. */
function checkUsable({ name, status }: CatalogStream): void {
  if (status === 'CREATING' || status === 'DELETING') throw streamNotFound(name);
}
