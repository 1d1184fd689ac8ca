/** From the shards there are to so many of equal width, as UpdateShardCount's UNIFORM_SCALING has them. */
import type { Resharding, Shard, Stream } from '../port.ts';
import { equalRanges } from '../shards.ts';

/**
 * First splits wherever a wanted range begins inside a shard, then merges what lies in one wanted range. Each step leaves
 * the stream whole, so it may end anywhere and be begun again.
 */
export async function reshardTo(stream: Stream & Resharding, count: number): Promise<void> {
  const ranges = equalRanges(count);
  for (const { from } of ranges) {
    const shard = (await openShards(stream)).find(({ hashKeys }) => hashKeys.from < from && from <= hashKeys.to);
    if (shard) await stream.splitShard(shard.shardId, from);
  }
  for (const { from, to } of ranges) {
    for (;;) {
      const [first, second] = (await openShards(stream)).filter(
        ({ hashKeys }) => from <= hashKeys.from && hashKeys.to <= to,
      );
      if (second === undefined) break;
      await stream.mergeShards(first.shardId, second.shardId);
    }
  }
}

/** In the order of their hash keys. */
async function openShards(stream: Stream): Promise<Shard[]> {
  const shards = (await stream.shards()).filter(({ endingSequenceNumber }) => endingSequenceNumber === undefined);
  return shards.sort((left, right) => (left.hashKeys.from < right.hashKeys.from ? -1 : 1));
}
