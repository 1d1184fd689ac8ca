import type { RecordBatch } from './record-batch.ts';

/** Orders the records of one shard. Never comparable between shards; never a JS number (Kinesis' have 56 digits). */
export type SequenceNumber = bigint;
export type ShardId = string;

/** An append-only log. Order is kept within a partitionKey, not across keys. The model is that of Kinesis Data Streams. */
export interface Stream {
  /**
   * Resolves once every record of the batch, which must not be empty, would survive a power cut. Batches are kept in
   * the order of the calls; a batch is the stream's from the call on. Rejects with `stream.full` or `stream.busy`
   * (nothing of the batch was kept, try later), `stream.failed` (this stream is over; nothing is promised of the batch)
   * or `stream.closed`.
   */
  append(batch: RecordBatch): Promise<Appended>;
  /** Bytes appended whose durability is still awaited: callers slow their senders down by it. */
  readonly pendingBytes: number;
  shards(): Promise<ShardId[]>;
  /** Makes durable what was appended before, and refuses what comes after. */
  close(): Promise<void>;
}

export interface Appended {
  readonly shardId: ShardId;
  /** Sequence number of the batch's first record; the others follow by ones in the embedded engine. */
  readonly firstSequenceNumber: SequenceNumber;
}

/** Whether the record whose data lie in `bytes` from `start` to `end` is wanted at all. Looks, and keeps nothing. */
export type RecordFilter = (bytes: Buffer, start: number, end: number) => boolean;

export interface StreamReader {
  /**
   * Durable records after `after` (exclusive; null = oldest kept), oldest first; [] means caught up. Stops at the
   * first storage block that passes `bytesMax`. What retention has removed is passed over. Throws `stream.corrupt`,
   * once what stands before the damage was read, and `stream.checkpointNotReached`.
   * Records that `wants` refuses are left out, except for the last one: it tells how far the reader has come.
   */
  read(shardId: ShardId, after: SequenceNumber | null, bytesMax: number, wants?: RecordFilter): Promise<StreamRecord[]>;
  /** Resolves when there is a record behind `after`, or when `signal` aborts. */
  waitBeyond(shardId: ShardId, after: SequenceNumber | null, signal: AbortSignal): Promise<void>;
  shards(): Promise<ShardId[]>;
  close(): Promise<void>;
}

export interface StreamRecord {
  readonly sequenceNumber: SequenceNumber;
  readonly partitionKey: string;
  readonly data: Buffer;
  /** When the stream took it, Unix epoch milliseconds. */
  readonly arrivalAtMs: number;
}
