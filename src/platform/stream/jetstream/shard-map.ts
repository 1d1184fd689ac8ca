import assert from 'node:assert/strict';
import { hashKeyNotValid, shardNotFound, shardNotOpen, shardsNotAdjacent, shardsTooMany } from '../errors.ts';
import type { Shard, ShardId } from '../port.ts';
import { equalRanges, shardIdOf } from '../shards.ts';
import { lastNumberIn, sequenceNumberAt } from './message.ts';

/** A shard as the map has it. */
export interface MapShard {
  readonly number: number;
  readonly parents: readonly number[];
  readonly from: bigint;
  readonly to: bigint;
  /** Of a closed shard. */
  readonly closed?: { readonly endMessage: number; readonly atMs: number };
}

/** Shards that are being closed, and those that come in their place once each has its end message. */
export interface ShardChange {
  readonly closing: readonly number[];
  readonly opening: readonly MapShard[];
}

/** All shards of a stream that are still kept, oldest first. At most one change is under way. */
export interface ShardMap {
  readonly nextNumber: number;
  /** How long records are kept, and with them what is known of the shard they were in. */
  readonly retentionMs: number;
  readonly shards: readonly MapShard[];
  readonly change?: ShardChange;
}

export function newShardMap(count: number, retentionMs: number): ShardMap {
  const shards = equalRanges(count).map((range, number) => ({ number, parents: [], ...range }));
  return { nextNumber: count, retentionMs, shards };
}

/** Throws `stream.shardNotFound`, `stream.shardNotOpen`, `stream.hashKeyNotValid`, `stream.shardsTooMany`. */
export function planSplit(map: ShardMap, shardId: ShardId, newStartingHashKey: bigint, shardsMax: number): ShardMap {
  const parent = openShardOf(map, shardId);
  if (newStartingHashKey <= parent.from || newStartingHashKey > parent.to) {
    throw hashKeyNotValid(`is not inside the range of ${shardId}`);
  }
  const parents = [parent.number];
  const number = map.nextNumber;
  return withChange(map, shardsMax, [
    { number, parents, from: parent.from, to: newStartingHashKey - 1n },
    { number: number + 1, parents, from: newStartingHashKey, to: parent.to },
  ]);
}

/** Throws `stream.shardNotFound`, `stream.shardNotOpen`, `stream.shardsNotAdjacent`, `stream.shardsTooMany`. */
export function planMerge(map: ShardMap, shardId: ShardId, adjacentShardId: ShardId, shardsMax: number): ShardMap {
  const [one, two] = [openShardOf(map, shardId), openShardOf(map, adjacentShardId)];
  const [lower, upper] = one.from <= two.from ? [one, two] : [two, one];
  if (lower.to + 1n !== upper.from) throw shardsNotAdjacent(shardId, adjacentShardId);
  const parents = [one.number, two.number];
  return withChange(map, shardsMax, [{ number: map.nextNumber, parents, from: lower.from, to: upper.to }]);
}

function withChange(map: ShardMap, shardsMax: number, opening: readonly MapShard[]): ShardMap {
  assert(map.change === undefined); // The one before is finished first.
  if (map.shards.length + opening.length > shardsMax) throw shardsTooMany(shardsMax);
  const change = { closing: opening[0].parents, opening };
  return { ...map, nextNumber: map.nextNumber + opening.length, change };
}

/** The map once each closing shard has its end message. */
export function finishChange(map: ShardMap, endMessages: ReadonlyMap<number, number>, atMs: number): ShardMap {
  const { change } = map;
  assert(change);
  const shards = map.shards.map(shard => {
    const endMessage = endMessages.get(shard.number);
    return endMessage === undefined ? shard : { ...shard, closed: { endMessage, atMs } };
  });
  return { nextNumber: map.nextNumber, retentionMs: map.retentionMs, shards: [...shards, ...change.opening] };
}

/** Closed shards of which retention has removed all. */
export function goneShards({ shards, retentionMs }: ShardMap, nowMs: number): MapShard[] {
  return shards.filter(({ closed }) => closed !== undefined && nowMs - closed.atMs > retentionMs);
}

/** As the port lists them. */
export function keptShards(map: ShardMap, nowMs: number): Shard[] {
  const gone = new Set(goneShards(map, nowMs));
  return map.shards.filter(shard => !gone.has(shard)).map(shownShard);
}

/** Whether records go to the shard, as far as the map knows. */
export function isOpen(map: ShardMap, number: number): boolean {
  const shard = map.shards.find(each => each.number === number);
  return shard !== undefined && shard.closed === undefined && !map.change?.closing.includes(number);
}

/** Those that records go to, in the order of their ranges. */
export function openShards(map: ShardMap): MapShard[] {
  const open = map.shards.filter(({ closed }) => closed === undefined);
  return open.sort((left, right) => (left.from < right.from ? -1 : 1));
}

export function findByHashKey(open: readonly MapShard[], hashKey: bigint): MapShard {
  let [low, high] = [0, open.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (hashKey <= open[middle].to) high = middle;
    else low = middle + 1;
  }
  const found = open[low];
  assert(found.from <= hashKey && hashKey <= found.to); // Ranges leave no hash key out.
  return found;
}

function shownShard({ number, parents, from, to, closed }: MapShard): Shard {
  const [parent, adjacentParent] = parents;
  return {
    shardId: shardIdOf(number),
    ...(parent !== undefined && { parentShardId: shardIdOf(parent) }),
    ...(adjacentParent !== undefined && { adjacentParentShardId: shardIdOf(adjacentParent) }),
    hashKeys: { from, to },
    startingSequenceNumber: sequenceNumberAt(1, 0),
    ...(closed && { endingSequenceNumber: lastNumberIn(closed.endMessage) }),
  };
}

function openShardOf(map: ShardMap, shardId: ShardId): MapShard {
  const shard = map.shards.find(({ number }) => shardIdOf(number) === shardId);
  if (!shard) throw shardNotFound(shardId);
  if (shard.closed) throw shardNotOpen(shardId);
  return shard;
}
