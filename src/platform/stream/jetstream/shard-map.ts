import assert from 'node:assert/strict';
import { shardsTooMany } from '../errors.ts';
import type { Shard, ShardId } from '../port.ts';
import {
  type ShardMap as EmbeddedMap,
  isOpen,
  type KeptShard,
  listed,
  newShardMap as newEmbeddedMap,
  openShardsOf,
  withShardSplit,
  withShardsMerged,
} from '../shards.ts';
import { lastNumberIn, sequenceNumberAt } from './message.ts';

/** Shards that are being closed, and those that come in their place once each has its end message. */
export interface ShardChange {
  readonly closing: readonly number[];
  readonly opening: readonly KeptShard[];
}

/** The embedded engine's map, and a change that is under way. There is at most one. */
export interface ShardMap extends EmbeddedMap {
  /** How long records are kept, and with them what is known of the shard they were in. */
  readonly retentionMs: number;
  readonly change?: ShardChange;
}

/** Each shard counts for itself, and every one from here. */
const beforeFirst = { lastSequenceNumber: sequenceNumberAt(1, 0) - 1n, nowMs: 0 };
const startingSequenceNumber = sequenceNumberAt(1, 0);

/** Throws `stream.shardsTooMany`. */
export function newShardMap(count: number, retentionMs: number): ShardMap {
  const map = newEmbeddedMap(count);
  const shards = map.shards.map(shard => ({ ...shard, startingSequenceNumber }));
  return { ...map, shards, retentionMs };
}

/** Throws as `Resharding.splitShard`. */
export function planSplit(map: ShardMap, shardId: ShardId, newStartingHashKey: bigint, shardsMax: number): ShardMap {
  return planned(map, withShardSplit(map, shardId, newStartingHashKey, beforeFirst), shardsMax);
}

/** Throws as `Resharding.mergeShards`. */
export function planMerge(map: ShardMap, shardId: ShardId, adjacentShardId: ShardId, shardsMax: number): ShardMap {
  return planned(map, withShardsMerged(map, shardId, adjacentShardId, beforeFirst), shardsMax);
}

/** The present map, with what is to come as a change under way. */
function planned(map: ShardMap, next: EmbeddedMap, shardsMax: number): ShardMap {
  assert(map.change === undefined); // The one before is finished first.
  if (next.shards.length > shardsMax) throw shardsTooMany(shardsMax);
  const closing = openShardsOf(map).filter(({ number }) => !openShardsOf(next).some(shard => shard.number === number));
  const opening = next.shards.slice(map.shards.length);
  const { generation, nextNumber } = next;
  return { ...map, generation, nextNumber, change: { closing: closing.map(({ number }) => number), opening } };
}

/** The map once each closing shard has its end message. */
export function finishChange(map: ShardMap, endMessages: ReadonlyMap<number, number>, nowMs: number): ShardMap {
  const { change, ...rest } = map;
  assert(change);
  const shards = map.shards.map(shard => {
    const endMessage = endMessages.get(shard.number);
    if (endMessage === undefined) return shard;
    return { ...shard, endingSequenceNumber: lastNumberIn(endMessage), closedAtMs: nowMs };
  });
  return { ...rest, generation: map.generation + 1, shards: [...shards, ...change.opening] };
}

/** Closed shards of which retention has removed all. */
export function goneShards({ shards, retentionMs }: ShardMap, nowMs: number): KeptShard[] {
  return shards.filter(({ closedAtMs }) => closedAtMs !== undefined && nowMs - closedAtMs > retentionMs);
}

/** As the port lists them. */
export function keptShards(map: ShardMap, nowMs: number): Shard[] {
  const gone = new Set(goneShards(map, nowMs));
  return listed({ ...map, shards: map.shards.filter(shard => !gone.has(shard)) });
}

/** Whether records go to the shard, as far as the map knows. */
export function takesRecords(map: ShardMap, number: number): boolean {
  const shard = map.shards.find(each => each.number === number);
  return shard !== undefined && isOpen(shard) && !map.change?.closing.includes(number);
}

/** `open` by range. */
export function findByHashKey(open: readonly KeptShard[], hashKey: bigint): KeptShard {
  let [low, high] = [0, open.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (hashKey <= open[middle].hashKeys.to) high = middle;
    else low = middle + 1;
  }
  const { from, to } = open[low].hashKeys;
  assert(from <= hashKey && hashKey <= to); // Ranges leave no hash key out.
  return open[low];
}
