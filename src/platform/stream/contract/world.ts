/** What the promises of the stream are told with, whatever the engine. */
import assert from 'node:assert/strict';
import { codeOf } from '../../../kernel/errors.ts';
import type {
  Appended,
  Resharding,
  SequenceNumber,
  Shard,
  ShardId,
  StartingPosition,
  Stream,
  StreamReader,
  StreamRecord,
} from '../port.ts';
import { RecordBatch } from '../record-batch.ts';
import { hashKeyOf } from '../shards.ts';

/** A place where one stream, empty at first, can be opened again and again, on this machine or far away. */
export interface StreamWorld {
  open(): Promise<Stream & Partial<Resharding>>;
  openReader(): Promise<StreamReader>;
  /**
   * The same stream, so opened that a shard takes some records of a batch of `throttledRecords` and refuses others. Absent
   * where an engine cannot be brought to that.
   */
  openThrottled?(): Promise<Stream>;
  /** Waits for `promise`, moving the clock if time does not pass by itself. */
  until<T>(promise: Promise<T>): Promise<T>;
  /** Lets so much time pass. */
  pass(ms: number): Promise<void>;
  nowMs(): number;
  cleanUp(): Promise<void>;
}

export interface WorldOptions {
  /** How many shards the stream is made with, of equal width. */
  readonly shards: number;
}

/** More than two shards of Kinesis take in a second. */
export const throttledRecords = 3_000;

const readBytesMax = 64 * 1024;

/** A stream that was opened, a reader of it, and what a test says and asks of them. */
export class Story {
  readonly world: StreamWorld;
  readonly stream: Stream & Partial<Resharding>;
  readonly reader: StreamReader;
  /** Of a stream with one shard: the shard. */
  readonly shardId: ShardId;

  constructor(world: StreamWorld, stream: Stream, reader: StreamReader, shards: Shard[]) {
    this.world = world;
    this.stream = stream;
    this.reader = reader;
    this.shardId = shards[0].shardId;
  }

  append(...records: NewRecord[]): Promise<Appended> {
    return this.world.until(this.stream.append(batchOf(...records)));
  }

  /** All that a shard holds behind `after`. */
  async readAll(shardId: ShardId, after: SequenceNumber | null = null, reader = this.reader): Promise<StreamRecord[]> {
    const all: StreamRecord[] = [];
    for (let at = after; ; at = all[all.length - 1].sequenceNumber) {
      const records = await this.world.until(reader.read(shardId, at, readBytesMax));
      all.push(...records);
      if (records.length === 0) return all;
    }
  }

  /** All that the stream holds; of a key, what was appended earlier comes earlier. */
  async readEverything(reader = this.reader): Promise<StreamRecord[]> {
    const all: StreamRecord[] = [];
    // Parents are listed before their children.
    for (const { shardId } of await this.world.until(reader.shards())) {
      all.push(...(await this.readAll(shardId, null, reader)));
    }
    return all;
  }

  /** What is read from a starting position on. */
  async readFrom(position: StartingPosition): Promise<string[]> {
    const after = await this.world.until(this.reader.locate(this.shardId, position));
    return (await this.readAll(this.shardId, after)).map(textOf);
  }

  async openShards(): Promise<Shard[]> {
    const shards = await this.world.until(this.stream.shards());
    return shards.filter(({ endingSequenceNumber }) => endingSequenceNumber === undefined);
  }

  async shard(shardId: ShardId): Promise<Shard> {
    const shard = (await this.world.until(this.stream.shards())).find(each => each.shardId === shardId);
    assert(shard, `${shardId} is listed`);
    return shard;
  }

  /** The open shard that a key's records go to now. */
  async shardOf(partitionKey: string): Promise<ShardId> {
    const hashKey = hashKeyOf(partitionKey);
    const found = (await this.openShards()).find(({ hashKeys }) => hashKeys.from <= hashKey && hashKey <= hashKeys.to);
    assert(found, `one shard is open for ${partitionKey}`);
    return found.shardId;
  }

  split(shardId: ShardId, newStartingHashKey: bigint): Promise<void> {
    assert(this.stream.splitShard);
    return this.world.until(this.stream.splitShard(shardId, newStartingHashKey));
  }

  /** In two halves. */
  async halve(shardId: ShardId): Promise<void> {
    const { hashKeys } = await this.shard(shardId);
    await this.split(shardId, middleOf(hashKeys));
  }

  merge(shardId: ShardId, adjacentShardId: ShardId): Promise<void> {
    assert(this.stream.mergeShards);
    return this.world.until(this.stream.mergeShards(shardId, adjacentShardId));
  }
}

/** Where the upper half of a range begins. */
export function middleOf({ from, to }: Shard['hashKeys']): bigint {
  return from + (to - from) / 2n + 1n;
}

export type NewRecord = [partitionKey: string, data: string | Uint8Array, explicitHashKey?: bigint];

export function batchOf(...records: NewRecord[]): RecordBatch {
  const batch = new RecordBatch();
  for (const [partitionKey, data, explicitHashKey] of records) {
    batch.add(partitionKey, typeof data === 'string' ? Buffer.from(data) : data, explicitHashKey);
  }
  return batch;
}

export function textOf(record: StreamRecord): string {
  return record.data.toString();
}

/** What each key's records say, in the order they are in. */
export function textsByKey(records: StreamRecord[]): Map<string, string[]> {
  const texts = new Map<string, string[]>();
  for (const record of records) {
    const ofKey = texts.get(record.partitionKey);
    if (ofKey) ofKey.push(textOf(record));
    else texts.set(record.partitionKey, [textOf(record)]);
  }
  return texts;
}

export function hasCode(code: string): (error: unknown) => boolean {
  return error => codeOf(error) === code;
}

/** Adds a promise to the contract. `shards`: how many the stream has. */
export type StreamPromise = (promise: string, run: (story: Story) => Promise<void>, options?: WorldOptions) => void;
