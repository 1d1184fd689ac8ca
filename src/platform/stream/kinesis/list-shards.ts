import type { Kinesis, Shard as KinesisShard } from '@aws-sdk/client-kinesis';
import type { Shard, ShardId } from '../port.ts';
import { refusalOf } from './errors.ts';
import { kinesisLimits } from './limits.ts';

/** Open and closed shards, oldest first. Throws as `refusalOf` says. */
export async function listShards(client: Kinesis, streamName: string): Promise<Shard[]> {
  const shards: Shard[] = [];
  let nextToken: string | undefined;
  for (let call = 0; call < kinesisLimits.listCallsMax; call++) {
    const page = nextToken === undefined ? { StreamName: streamName } : { NextToken: nextToken };
    const answer = await client.listShards(page).catch(error => {
      throw refusalOf(error, streamName);
    });
    for (const shard of answer.Shards ?? []) shards.push(shardOf(shard));
    nextToken = answer.NextToken;
    if (nextToken === undefined) break;
  }
  // Ids have 12 digits and grow, so they sort by age as texts.
  return shards.sort((left, right) => (left.shardId < right.shardId ? -1 : 1));
}

function shardOf(shard: KinesisShard): Shard {
  const { StartingHashKey = '0', EndingHashKey = '0' } = shard.HashKeyRange ?? {};
  const { StartingSequenceNumber = '0', EndingSequenceNumber } = shard.SequenceNumberRange ?? {};
  return {
    shardId: shard.ShardId ?? '',
    ...(shard.ParentShardId && { parentShardId: shard.ParentShardId }),
    ...(shard.AdjacentParentShardId && { adjacentParentShardId: shard.AdjacentParentShardId }),
    hashKeys: { from: BigInt(StartingHashKey), to: BigInt(EndingHashKey) },
    startingSequenceNumber: BigInt(StartingSequenceNumber),
    ...(EndingSequenceNumber && { endingSequenceNumber: BigInt(EndingSequenceNumber) }),
  };
}

export function findShard(shards: readonly Shard[], shardId: ShardId): Shard | undefined {
  return shards.find(shard => shard.shardId === shardId);
}
