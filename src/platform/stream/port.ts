import type { RecordBatch } from './record-batch.ts';

/** Orders the records of one shard. Never comparable between shards; never a JS number (Kinesis' have 56 digits). */
export type SequenceNumber = bigint;
export type ShardId = string;

/** An append-only log. Order is kept within a partitionKey, not across keys. The model is that of Kinesis Data Streams. */
export interface Stream {
  /**
   * Resolves once every record of the batch would survive a power cut. The batch is the stream's from then on.
   * Throws `stream.full` (nothing of the batch was kept, try later) or `stream.failed` (this stream is over).
   */
  append(batch: RecordBatch): Promise<Appended>;
  /** Bytes appended whose durability is still awaited: callers slow their senders down by it. */
  readonly pendingBytes: number;
  shards(): Promise<ShardId[]>;
  close(): Promise<void>;
}

export interface Appended {
  readonly shardId: ShardId;
  /** Sequence number of the batch's first record; the others follow by ones in the embedded engine. */
  readonly firstSequenceNumber: SequenceNumber;
}

export interface StreamReader {
  /**
   * Durable records after `after` (exclusive; null = oldest kept), oldest first; [] means caught up. Stops at the
   * first storage block that passes `bytesMax`. Throws `stream.corrupt`.
   */
  read(shardId: ShardId, after: SequenceNumber | null, bytesMax: number): Promise<StreamRecord[]>;
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
