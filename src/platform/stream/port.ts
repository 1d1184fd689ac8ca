import type { MimamoriError } from '../../kernel/errors.ts';
import type { RecordBatch } from './record-batch.ts';

/** Orders the records of one shard. Never comparable between shards; never a JS number (Kinesis' have 56 digits). */
export type SequenceNumber = bigint;
export type ShardId = string;

/**
 * An append-only log in shards. Order is kept within a partitionKey, not across keys. The model is that of Kinesis Data
 * Streams: a record goes to the open shard in whose range the MD5 of its partition key lies.
 */
export interface Stream {
  /**
   * Resolves once every record of the batch, which must not be empty, would survive a power cut, or is among `failed`.
   * Batches are kept in the order of the calls; a batch is the stream's from the call on. Rejects with `stream.full` or
   * `stream.busy` (nothing of the batch was kept, try later), `stream.failed` (this stream is over; nothing is promised
   * of the batch) or `stream.closed`.
   */
  append(batch: RecordBatch): Promise<Appended>;
  /** Bytes appended whose durability is still awaited: callers slow their senders down by it. */
  readonly pendingBytes: number;
  /** Open ones and closed ones that are still kept, oldest first. */
  shards(): Promise<Shard[]>;
  /** Makes durable what was appended before, and refuses what comes after. */
  close(): Promise<void>;
}

/** Changes the shards of a stream while it runs: appends go on meanwhile, and no key's records change places. */
export interface Resharding {
  /**
   * Closes a shard and opens two in its place, the second from `newStartingHashKey` on. Throws `stream.shardNotFound`,
   * `stream.shardNotOpen`, `stream.hashKeyNotValid`, `stream.shardsTooMany`.
   */
  splitShard(shardId: ShardId, newStartingHashKey: bigint): Promise<void>;
  /** Closes two shards whose ranges touch and opens one in their place. Throws as `splitShard`, and `stream.shardsNotAdjacent`. */
  mergeShards(shardId: ShardId, adjacentShardId: ShardId): Promise<void>;
}

/** What became of a batch, record by record. */
export interface Appended {
  /** Where the record with this index in the batch lies. Not to be asked for one that failed. */
  placeOf(index: number): Place;
  /** Records that were not kept, by index, with the reason. If one of a key failed, the later ones of it did, too. */
  readonly failed: ReadonlyMap<number, MimamoriError>;
  /** When the stream took them, Unix epoch milliseconds. Absent when the engine does not say: Kinesis tells readers only. */
  readonly arrivalAtMs?: number;
}

export interface Place {
  readonly shardId: ShardId;
  readonly sequenceNumber: SequenceNumber;
}

/** A range of hash keys, and the records whose keys fell into it while it was open. */
export interface Shard {
  readonly shardId: ShardId;
  /** That it was split or merged from. Their records come before its own. */
  readonly parentShardId?: ShardId;
  readonly adjacentParentShardId?: ShardId;
  /** Both inclusive, 0 to 2^128 - 1. */
  readonly hashKeys: { readonly from: bigint; readonly to: bigint };
  /** No record of it is before this one. */
  readonly startingSequenceNumber: SequenceNumber;
  /** Of a closed shard: no record of it is behind this one. Absent while it is open. */
  readonly endingSequenceNumber?: SequenceNumber;
}

/** Whether the record whose data lie in `bytes` from `start` to `end` is wanted at all. Looks, and keeps nothing. */
export type RecordFilter = (bytes: Buffer, start: number, end: number) => boolean;

/** Where a reader begins: as Kinesis' shard iterator types. */
export type StartingPosition =
  | { readonly type: 'TRIM_HORIZON' | 'LATEST' }
  | { readonly type: 'AT_SEQUENCE_NUMBER' | 'AFTER_SEQUENCE_NUMBER'; readonly sequenceNumber: SequenceNumber }
  /** The first record at or after this instant, Unix epoch milliseconds. */
  | { readonly type: 'AT_TIMESTAMP'; readonly atMs: number };

/** Is told of records that a reader passes by because a filter refuses them, in the order of the shard. No object is made. */
export interface PassedRecords {
  /** The records told of next stand in one block: the first of it has this number, and all came in at this time. */
  begin(firstSequenceNumber: SequenceNumber, arrivalAtMs: number): void;
  /** The record at this place of the block: its partition key from `keyStart` to `dataStart`, its data from there to `end`. */
  add(index: number, bytes: Buffer, keyStart: number, dataStart: number, end: number): void;
}

export interface StreamReader {
  /**
   * Durable records after `after` (exclusive; null = oldest kept), oldest first; [] means caught up. Stops at the
   * first storage block that passes `bytesMax`. What retention has removed is passed over. Throws `stream.corrupt`,
   * once what stands before the damage was read, `stream.checkpointNotReached` and `stream.shardNotFound`.
   * Records that `wants` refuses are left out, except for the last one: it tells how far the reader has come. `passed` is
   * told of each.
   */
  read(
    shardId: ShardId,
    after: SequenceNumber | null,
    bytesMax: number,
    wants?: RecordFilter,
    passed?: PassedRecords,
  ): Promise<StreamRecord[]>;
  /** Resolves when there is a record behind `after`, when the shard was closed, or when `signal` aborts. */
  waitBeyond(shardId: ShardId, after: SequenceNumber | null, signal: AbortSignal): Promise<void>;
  /** What to read after to begin at `position`: the sequence number before it, or null for the oldest. */
  locate(shardId: ShardId, position: StartingPosition): Promise<SequenceNumber | null>;
  /** Open ones and closed ones that are still kept, oldest first. */
  shards(): Promise<Shard[]>;
  close(): Promise<void>;
}

export interface StreamRecord {
  readonly sequenceNumber: SequenceNumber;
  readonly partitionKey: string;
  readonly data: Buffer;
  /** When the stream took it, Unix epoch milliseconds. */
  readonly arrivalAtMs: number;
}
