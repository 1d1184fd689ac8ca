/** What the operations on streams share: finding a stream by its ARN, and how sequence numbers are written. */
import type { StoreReader } from '../../../kernel/store.ts';
import { streamArn, streamArnPattern } from '../arn.ts';
import { invalid, shardNotFound, streamNotFound } from '../errors.ts';
import { findStored, type StoredShard, type StoredStream } from './stream-state.ts';

export function arnOf({ tableName, label }: StoredStream): string {
  return streamArn(tableName, label);
}

/** Throws `table.invalid` for what is no ARN of a stream, `table.streamNotFound`. */
export function streamByArn(reader: StoreReader, arn: unknown): StoredStream {
  if (typeof arn !== 'string' || !streamArnPattern.test(arn)) throw invalid('Invalid StreamArn');
  const found = findStored(reader, arn);
  if (found === undefined) throw streamNotFound(arn);
  return found;
}

export function shardById({ shards }: StoredStream, shardId: unknown): StoredShard {
  const found = shards.find(shard => shard.shardId === shardId);
  if (found === undefined) throw shardNotFound();
  return found;
}

/** Ours count from 1; those of AWS have 21 to 40 digits, and tools check it. */
const sequenceBase = 10n ** 20n;

export function sequenceText(sequenceNumber: bigint): string {
  return String(sequenceBase + sequenceNumber);
}

/** Throws `table.invalid`. */
export function sequenceFrom(text: string): bigint {
  const number = /^\d{21,40}$/.test(text) ? BigInt(text) - sequenceBase : 0n;
  if (number < 1n) throw invalid(`Invalid SequenceNumber: ${text}`);
  return number;
}
