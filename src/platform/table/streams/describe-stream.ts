import type { DescribeStreamCommandInput, DescribeStreamCommandOutput, Shard } from '@aws-sdk/client-dynamodb-streams';
import type { Engine } from '../engine.ts';
import { tableLimits } from '../limits.ts';
import type { Answer } from '../port.ts';
import type { StoredShard, StoredStream } from './stream-state.ts';
import { arnOf, sequenceText, streamByArn } from './streams-read.ts';

export async function describeStream(
  { store }: Engine,
  input: DescribeStreamCommandInput,
): Promise<Answer<DescribeStreamCommandOutput>> {
  const stream = streamByArn(store, input.StreamArn);
  const limit = Math.min(input.Limit ?? tableLimits.describedShardsMax, tableLimits.describedShardsMax);
  const shards = wantedShards(stream, input);
  const page = shards.slice(0, limit);
  return {
    StreamDescription: {
      StreamArn: arnOf(stream),
      StreamLabel: stream.label,
      StreamStatus: stream.disabledAtMs === undefined ? 'ENABLED' : 'DISABLED',
      StreamViewType: stream.viewType,
      CreationRequestDateTime: new Date(stream.createdAtMs),
      TableName: stream.tableName,
      KeySchema: [
        ...stream.partitionKeys.map(({ name }) => ({ AttributeName: name, KeyType: 'HASH' as const })),
        ...stream.sortKeys.map(({ name }) => ({ AttributeName: name, KeyType: 'RANGE' as const })),
      ],
      Shards: page.map(describeShard),
      ...(shards.length > limit && { LastEvaluatedShardId: page[limit - 1].shardId }),
    },
  };
}

/** Oldest first, so that parents come before their children; ids are in that order too. */
function wantedShards({ shards }: StoredStream, input: DescribeStreamCommandInput): readonly StoredShard[] {
  const { ExclusiveStartShardId: start, ShardFilter } = input;
  const wanted =
    ShardFilter?.Type === 'CHILD_SHARDS'
      ? shards.filter(({ parentShardId }) => parentShardId === ShardFilter.ShardId)
      : shards;
  return start === undefined ? wanted : wanted.filter(({ shardId }) => shardId > start);
}

function describeShard({ shardId, parentShardId, first, last }: StoredShard): Shard {
  // A closed shard that got nothing ends where it begins.
  const end = last !== undefined && BigInt(last) < BigInt(first) ? first : last;
  return {
    ShardId: shardId,
    SequenceNumberRange: {
      StartingSequenceNumber: sequenceText(BigInt(first)),
      ...(end !== undefined && { EndingSequenceNumber: sequenceText(BigInt(end)) }),
    },
    ...(parentShardId !== undefined && { ParentShardId: parentShardId }),
  };
}
