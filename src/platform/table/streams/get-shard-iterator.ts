import type { GetShardIteratorCommandInput, GetShardIteratorCommandOutput } from '@aws-sdk/client-dynamodb-streams';
import type { Engine } from '../engine.ts';
import { changesTrimmed, invalid } from '../errors.ts';
import type { Answer } from '../port.ts';
import { iteratorOf } from './iterator.ts';
import { readState, type StoredShard, type StoredStream } from './stream-state.ts';
import { arnOf, sequenceFrom, shardById, streamByArn } from './streams-read.ts';

/** Throws `table.invalid`, `table.streamNotFound`, `table.shardNotFound`, `table.changesTrimmed`. */
export async function getShardIterator(
  engine: Engine,
  input: GetShardIteratorCommandInput,
): Promise<Answer<GetShardIteratorCommandOutput>> {
  const stream = streamByArn(engine.store, input.StreamArn);
  const asked = sequenceAsked(input);
  const shard = shardById(stream, input.ShardId);
  const next = nextFor(engine, stream, shard, input, asked);
  const position = { streamArn: arnOf(stream), shardId: shard.shardId, next };
  return { ShardIterator: iteratorOf(position, engine.clock.nowMs()) };
}

function sequenceAsked({ ShardIteratorType: type, SequenceNumber: text }: GetShardIteratorCommandInput) {
  const needsOne = type === 'AT_SEQUENCE_NUMBER' || type === 'AFTER_SEQUENCE_NUMBER';
  if (needsOne && text === undefined) {
    throw invalid(`The SequenceNumber parameter must be given with the ShardIteratorType ${type}`);
  }
  if (!needsOne && text !== undefined) {
    throw invalid(`The SequenceNumber parameter must not be given with the ShardIteratorType ${type}`);
  }
  return text === undefined ? undefined : sequenceFrom(text);
}

function nextFor(
  { store, changes }: Engine,
  { tableId }: StoredStream,
  shard: StoredShard,
  { ShardIteratorType: type, SequenceNumber: text }: GetShardIteratorCommandInput,
  asked: bigint | undefined,
): bigint {
  const first = BigInt(shard.first);
  const durable = changes.lastDurable(tableId);
  const last = shard.last === undefined ? durable : BigInt(shard.last);
  const { trimmed } = readState(store, tableId);
  if (asked === undefined) {
    const from = type === 'LATEST' ? last + 1n : trimmed + 1n;
    return from > first ? from : first;
  }
  // A shard's first number may be asked for before it is used.
  if (asked < first || (asked > last && asked !== first)) {
    throw invalid(`Invalid SequenceNumber: ${text} is not in shard ${shard.shardId}`);
  }
  // The change itself need not be there any more to go on behind it.
  const next = type === 'AFTER_SEQUENCE_NUMBER' && asked <= last ? asked + 1n : asked;
  if (next <= trimmed) throw changesTrimmed();
  return next;
}
