import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { hashKeyNotValid, shardNotFound, shardNotOpen, shardsNotAdjacent, shardsTooMany } from './errors.ts';
import { streamLimits } from './limits.ts';
import type { SequenceNumber, Shard, ShardId } from './port.ts';

/** Hash keys are the MD5 of the partition key as an unsigned number [Kinesis "PutRecord"]. */
export const hashKeyMax = 2n ** 128n - 1n;

export function shardIdOf(number: number): ShardId {
  return `shardId-${String(number).padStart(12, '0')}`;
}

/** The only shard of a stream that has one and keeps it. */
export function wholeShard(): Shard {
  return { shardId: shardIdOf(0), hashKeys: { from: 0n, to: hashKeyMax }, startingSequenceNumber: 1n };
}

/** Where a record with this partition key belongs, unless it has an explicit hash key. */
export function hashKeyOf(partitionKey: string): bigint {
  return BigInt(`0x${hash('md5', partitionKey, 'hex')}`);
}

/** The ranges of so many shards of equal width; the last one takes what does not divide [Kinesis "CreateStream"]. */
export function equalRanges(count: number): Shard['hashKeys'][] {
  const width = (hashKeyMax + 1n) / BigInt(count);
  return Array.from({ length: count }, (_, index) => ({
    from: BigInt(index) * width,
    to: index === count - 1 ? hashKeyMax : BigInt(index + 1) * width - 1n,
  }));
}

/** A shard as the embedded engine remembers it. */
export interface KeptShard extends Shard {
  /** What its blocks carry. */
  readonly number: number;
  readonly closedAtMs?: number;
}

/** The shards of an embedded stream. The open ones share all hash keys among them, always. */
export interface ShardMap {
  /** Raised by one with every change. */
  readonly generation: number;
  /** Numbers are never given twice. */
  readonly nextNumber: number;
  /** Open ones and closed ones that are still kept; parents before their children. */
  readonly shards: readonly KeptShard[];
}

/** When and where in the log shards are changed: everything up to `lastSequenceNumber` is durable and in the old ones. */
export interface ChangePoint {
  readonly lastSequenceNumber: SequenceNumber;
  readonly nowMs: number;
}

export function newShardMap(shardCount: number): ShardMap {
  assert(Number.isInteger(shardCount) && shardCount > 0);
  if (shardCount > streamLimits.shardsOpenMax) throw shardsTooMany(streamLimits.shardsOpenMax);
  const shards = equalRanges(shardCount).map((hashKeys, number) => newShard(number, hashKeys, 0n));
  return { generation: 1, nextNumber: shardCount, shards };
}

/** Of a stream that was made before there were shards. */
export const unshardedMap: ShardMap = { ...newShardMap(1), generation: 0 };

export function isOpen({ endingSequenceNumber }: Shard): boolean {
  return endingSequenceNumber === undefined;
}

/** As the port shows them. */
export function listed(map: ShardMap): Shard[] {
  return map.shards.map(({ number: _number, closedAtMs: _closedAtMs, ...shard }) => shard);
}

export function openShardsOf(map: ShardMap): KeptShard[] {
  return map.shards.filter(isOpen).sort((left, right) => (left.hashKeys.from < right.hashKeys.from ? -1 : 1));
}

/** Throws `stream.shardNotFound`. */
export function getShard(map: ShardMap, shardId: ShardId): KeptShard {
  const shard = map.shards.find(each => each.shardId === shardId);
  if (!shard) throw shardNotFound(shardId);
  return shard;
}

/** The map with a shard split in two. Throws as `Resharding.splitShard`. */
export function withShardSplit(map: ShardMap, shardId: ShardId, newStartingHashKey: bigint, at: ChangePoint): ShardMap {
  const parent = getOpenShard(map, shardId);
  const { from, to } = parent.hashKeys;
  if (newStartingHashKey <= from || newStartingHashKey > to) {
    throw hashKeyNotValid(`is not inside the range of ${shardId}, or its first`);
  }
  const lower = newShard(map.nextNumber, { from, to: newStartingHashKey - 1n }, at.lastSequenceNumber);
  const upper = newShard(map.nextNumber + 1, { from: newStartingHashKey, to }, at.lastSequenceNumber);
  const children = [lower, upper].map(child => ({ ...child, parentShardId: shardId }));
  return replaced(map, [parent], children, at);
}

/** The map with two shards merged into one. Throws as `Resharding.mergeShards`. */
export function withShardsMerged(map: ShardMap, shardId: ShardId, adjacentShardId: ShardId, at: ChangePoint): ShardMap {
  const parent = getOpenShard(map, shardId);
  const adjacent = getOpenShard(map, adjacentShardId);
  const [lower, upper] = parent.hashKeys.from < adjacent.hashKeys.from ? [parent, adjacent] : [adjacent, parent];
  if (lower.hashKeys.to + 1n !== upper.hashKeys.from) throw shardsNotAdjacent(shardId, adjacentShardId);
  const hashKeys = { from: lower.hashKeys.from, to: upper.hashKeys.to };
  const child = newShard(map.nextNumber, hashKeys, at.lastSequenceNumber);
  const parents = { parentShardId: shardId, adjacentParentShardId: adjacentShardId };
  return replaced(map, [parent, adjacent], [{ ...child, ...parents }], at);
}

/** The map without closed shards whose records retention has removed; the same map when there are none. */
export function withoutForgotten(map: ShardMap, oldestKept: SequenceNumber, closedBeforeMs: number): ShardMap {
  const shards = map.shards.filter(({ endingSequenceNumber: ending, closedAtMs = 0 }) => {
    return ending === undefined || ending >= oldestKept || closedAtMs >= closedBeforeMs;
  });
  return shards.length === map.shards.length ? map : { ...map, generation: map.generation + 1, shards };
}

function newShard(number: number, hashKeys: Shard['hashKeys'], after: SequenceNumber): KeptShard {
  return { number, shardId: shardIdOf(number), hashKeys, startingSequenceNumber: after + 1n };
}

function getOpenShard(map: ShardMap, shardId: ShardId): KeptShard {
  const shard = getShard(map, shardId);
  if (!isOpen(shard)) throw shardNotOpen(shardId);
  return shard;
}

function replaced(map: ShardMap, parents: KeptShard[], children: KeptShard[], at: ChangePoint): ShardMap {
  const kept = map.shards.map(shard => (parents.includes(shard) ? closed(shard, at) : shard));
  const shards = [...kept, ...children];
  if (shards.length > streamLimits.shardsKeptMax) throw shardsTooMany(streamLimits.shardsKeptMax);
  if (shards.filter(isOpen).length > streamLimits.shardsOpenMax) throw shardsTooMany(streamLimits.shardsOpenMax);
  return { generation: map.generation + 1, nextNumber: map.nextNumber + children.length, shards };
}

function closed(shard: KeptShard, { lastSequenceNumber, nowMs }: ChangePoint): KeptShard {
  return { ...shard, endingSequenceNumber: lastSequenceNumber, closedAtMs: nowMs };
}
