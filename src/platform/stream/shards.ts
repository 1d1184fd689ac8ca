import type { Shard, ShardId } from './port.ts';

/** Hash keys are the MD5 of the partition key as an unsigned number [Kinesis "PutRecord"]. */
export const hashKeyMax = 2n ** 128n - 1n;

export function shardIdOf(number: number): ShardId {
  return `shardId-${String(number).padStart(12, '0')}`;
}

/** The only shard of a stream that was never split. */
export function wholeShard(): Shard {
  return { shardId: shardIdOf(0), hashKeys: { from: 0n, to: hashKeyMax }, startingSequenceNumber: 1n };
}
