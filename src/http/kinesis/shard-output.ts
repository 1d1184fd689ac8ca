/** Shards as Kinesis shows them. */
import { type CatalogStream, type Shard, type ShardId, shardIdOf } from '../../platform/stream/index.ts';
import { shardNotFound } from './refusals.ts';
import { SequenceNumbers } from './sequence-numbers.ts';

/** Undefined when it cannot be that of a shard. As on AWS, `shardId-1` and `1` are `shardId-000000000001`. */
export function shardNumberIn(shardId: string): number | undefined {
  const digits = shardId.split('-')[1] || shardId;
  const number = /^\d{1,12}$/.test(digits) ? Number(digits) : Number.NaN;
  return number < 2 ** 31 ? number : undefined;
}

export function shardNumberOf(shardId: ShardId): number {
  return Number(shardId.slice('shardId-'.length));
}

export function numbersOf(stream: CatalogStream): SequenceNumbers {
  return new SequenceNumbers(stream.settings);
}

export function shardOutput(stream: CatalogStream, shard: Shard): object {
  const numbers = numbersOf(stream);
  const number = shardNumberOf(shard.shardId);
  const { parentShardId, adjacentParentShardId, endingSequenceNumber } = shard;
  return {
    ShardId: shard.shardId,
    ParentShardId: parentShardId,
    AdjacentParentShardId: adjacentParentShardId,
    HashKeyRange: hashKeyRange(shard),
    SequenceNumberRange: {
      // On AWS every record comes after it, and to begin after it is to begin with the first.
      StartingSequenceNumber: numbers.write(number, shard.startingSequenceNumber - 1n),
      EndingSequenceNumber:
        endingSequenceNumber === undefined ? undefined : numbers.write(number, endingSequenceNumber),
    },
  };
}

export function hashKeyRange({ hashKeys }: Shard): object {
  return { StartingHashKey: String(hashKeys.from), EndingHashKey: String(hashKeys.to) };
}

export function isOpen(shard: Shard): boolean {
  return shard.endingSequenceNumber === undefined;
}

/** Parents before children, as their ids rise. */
export function byId(left: Shard, right: Shard): number {
  return left.shardId < right.shardId ? -1 : 1;
}

/** Throws `ResourceNotFoundException` for what cannot be a shard. */
export function shardIdFrom(text: string, streamName: string): ShardId {
  const number = shardNumberIn(text);
  if (number === undefined) throw shardNotFound(text, streamName);
  return shardIdOf(number);
}
