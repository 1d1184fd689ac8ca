import { createHash } from 'node:crypto';
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

/** Where a record with this partition key belongs, unless it has an explicit hash key. */
export function hashKeyOf(partitionKey: string): bigint {
  return BigInt(`0x${createHash('md5').update(partitionKey, 'utf8').digest('hex')}`);
}

/** The ranges of so many shards of equal width; the last one takes what does not divide [Kinesis "CreateStream"]. */
export function equalRanges(count: number): Shard['hashKeys'][] {
  const width = (hashKeyMax + 1n) / BigInt(count);
  return Array.from({ length: count }, (_, index) => ({
    from: BigInt(index) * width,
    to: index === count - 1 ? hashKeyMax : BigInt(index + 1) * width - 1n,
  }));
}
