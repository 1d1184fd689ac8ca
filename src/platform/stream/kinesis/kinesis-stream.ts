import assert from 'node:assert/strict';
import type { Kinesis, PutRecordsResultEntry } from '@aws-sdk/client-kinesis';
import { type Clock, delay } from '../../../kernel/clock.ts';
import type { MimamoriError } from '../../../kernel/errors.ts';
import { type Random, systemRandom } from '../../../kernel/random.ts';
import {
  hashKeyNotValid,
  shardNotFound,
  shardNotOpen,
  shardsNotAdjacent,
  shardsTooMany,
  streamClosed,
} from '../errors.ts';
import type { Appended, Place, Resharding, Shard, ShardId, Stream } from '../port.ts';
import type { RecordBatch } from '../record-batch.ts';
import { recordsWaiting, streamNotFound, streamUnavailable } from '../remote-errors.ts';
import { isOpen } from '../shards.ts';
import { nameOf, refusalOf, refusalOfRecord } from './errors.ts';
import { type KinesisLimits, kinesisLimits } from './limits.ts';
import { findShard, listShards } from './list-shards.ts';
import { PendingAppend } from './pending-append.ts';
import { type OutgoingRecord, Sender } from './sender.ts';

export interface KinesisStreamOptions {
  /** Made by whoever composes the app, with the region, credentials and retries it wants. It stays the caller's to end. */
  readonly client: Kinesis;
  readonly streamName: string;
  readonly clock: Clock;
  /** For delays between attempts. The system's when absent. */
  readonly random?: Random;
  readonly limits?: Partial<KinesisLimits>;
}

/** Throws `stream.notFound`, `stream.accessDenied`, `stream.unavailable`. */
export async function openKinesisStream(options: KinesisStreamOptions): Promise<KinesisStream> {
  const stream = new KinesisStream(options);
  await stream.active();
  return stream;
}

/**
 * Kinesis Data Streams. Records are sent in as few calls as their order allows (`Sender`); what Kinesis throttles or
 * fails on is sent again until it is kept or given up, and is then among `failed`.
 */
export class KinesisStream implements Stream, Resharding {
  readonly #client: Kinesis;
  readonly #streamName: string;
  readonly #clock: Clock;
  readonly #limits: KinesisLimits;
  readonly #sender: Sender;
  readonly #pending = new Set<PendingAppend>();
  #pendingBytes = 0;
  #pendingRecords = 0;
  #closing: Promise<void> | undefined;

  /** Does not look whether the stream is there: `openKinesisStream` does. */
  constructor({ client, streamName, clock, random = systemRandom, limits }: KinesisStreamOptions) {
    this.#client = client;
    this.#streamName = streamName;
    this.#clock = clock;
    this.#limits = { ...kinesisLimits, ...limits };
    this.#sender = new Sender({ put: records => this.#put(records), clock, random, limits: this.#limits });
  }

  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  append(batch: RecordBatch): Promise<Appended> {
    assert(batch.count > 0); // Kinesis refuses an empty PutRecords.
    if (this.#closing) return Promise.reject(streamClosed());
    const isTooMuch =
      this.#pendingBytes + batch.bytes > this.#limits.pendingBytesMax ||
      (this.#pendingRecords > 0 && this.#pendingRecords + batch.count > this.#limits.pendingRecordsMax);
    if (isTooMuch) return Promise.reject(recordsWaiting(this.#pendingBytes, this.#pendingRecords));
    const append = new PendingAppend(batch.count);
    this.#pending.add(append);
    this.#pendingBytes += batch.bytes;
    this.#pendingRecords += batch.count;
    this.#enqueue(batch, append);
    this.#sender.send();
    return append.settled.finally(() => {
      this.#pending.delete(append);
      this.#pendingBytes -= batch.bytes;
      this.#pendingRecords -= batch.count;
    });
  }

  shards(): Promise<Shard[]> {
    return listShards(this.#client, this.#streamName);
  }

  close(): Promise<void> {
    this.#closing ??= Promise.allSettled([...this.#pending].map(append => append.settled)).then(() => {});
    return this.#closing;
  }

  async splitShard(shardId: ShardId, newStartingHashKey: bigint): Promise<void> {
    const { hashKeys } = openShardOf(await this.shards(), shardId);
    if (newStartingHashKey <= hashKeys.from || newStartingHashKey > hashKeys.to) {
      throw hashKeyNotValid(`is not inside the range of ${shardId}, or its first`);
    }
    const input = {
      StreamName: this.#streamName,
      ShardToSplit: shardId,
      NewStartingHashKey: String(newStartingHashKey),
    };
    await this.#reshard(shardId, () => this.#client.splitShard(input));
  }

  async mergeShards(shardId: ShardId, adjacentShardId: ShardId): Promise<void> {
    const shards = await this.shards();
    const both = [openShardOf(shards, shardId), openShardOf(shards, adjacentShardId)];
    const [lower, upper] = both[0].hashKeys.from <= both[1].hashKeys.from ? both : both.toReversed();
    if (lower.hashKeys.to + 1n !== upper.hashKeys.from) throw shardsNotAdjacent(shardId, adjacentShardId);
    // Kinesis takes the pair only in this order.
    const input = {
      StreamName: this.#streamName,
      ShardToMerge: lower.shardId,
      AdjacentShardToMerge: upper.shardId,
    };
    await this.#reshard(shardId, () => this.#client.mergeShards(input));
  }

  /** Waits until the stream is ready for use, or for the next change of its shards. */
  async active(): Promise<void> {
    const untilMs = this.#clock.monotonicMs() + this.#limits.activeWithinMs;
    for (;;) {
      const status = await this.#status();
      if (status === 'ACTIVE') return;
      if (status === 'DELETING') throw streamNotFound(this.#streamName);
      if (this.#clock.monotonicMs() > untilMs) throw streamUnavailable(this.#streamName, status);
      await delay(this.#clock, this.#limits.activePollMs);
    }
  }

  async #status(): Promise<string | undefined> {
    const input = { StreamName: this.#streamName };
    const answer = await this.#client.describeStreamSummary(input).catch(error => {
      throw refusalOf(error, this.#streamName);
    });
    return answer.StreamDescriptionSummary?.StreamStatus;
  }

  /** Asks once the stream takes it, and waits until it is done. */
  async #reshard(shardId: ShardId, ask: () => Promise<unknown>): Promise<void> {
    await this.active();
    try {
      await ask();
    } catch (error) {
      if (isQuota(error)) throw shardsTooMany((await this.shards()).filter(isOpen).length);
      if (nameOf(error) === 'InvalidArgumentException')
        throw hashKeyNotValid(`is not inside the range of ${shardId}, or its first`);
      throw refusalOf(error, this.#streamName);
    }
    await this.active();
  }

  #enqueue(batch: RecordBatch, append: PendingAppend): void {
    batch.take();
    batch.forEach((partitionKey, data, index) => {
      const explicitHashKey = batch.explicitHashKeys?.get(index);
      const bytes = Buffer.byteLength(partitionKey) + data.length;
      this.#sender.add({ append, index, partitionKey, explicitHashKey, data, bytes });
    });
  }

  async #put(records: readonly OutgoingRecord[]): Promise<(Place | MimamoriError)[]> {
    const input = {
      StreamName: this.#streamName,
      Records: records.map(({ data, partitionKey, explicitHashKey }) => ({
        Data: data,
        PartitionKey: partitionKey,
        ...(explicitHashKey !== undefined && { ExplicitHashKey: String(explicitHashKey) }),
      })),
    };
    const answer = await this.#client.putRecords(input).catch(error => {
      throw refusalOf(error, this.#streamName);
    });
    const results = answer.Records ?? [];
    if (results.length !== records.length) throw streamUnavailable(this.#streamName, 'an answer of another length');
    return results.map(result => this.#outcomeOf(result));
  }

  #outcomeOf({ ErrorCode, ErrorMessage, ShardId, SequenceNumber }: PutRecordsResultEntry): Place | MimamoriError {
    if (ShardId !== undefined && SequenceNumber !== undefined) {
      return { shardId: ShardId, sequenceNumber: BigInt(SequenceNumber) };
    }
    return refusalOfRecord(ErrorCode ?? '', this.#streamName, shardNamedIn(ErrorMessage) ?? this.#streamName);
  }
}

/** "Rate exceeded for shard shardId-000000000000 in stream …" */
function shardNamedIn(message: string | undefined): ShardId | undefined {
  return message && /shardId-\d+/.exec(message)?.[0];
}

/** The same exception says that an account has as many shards as it may, and that it asks too often. */
function isQuota(error: unknown): boolean {
  return error instanceof Error && error.name === 'LimitExceededException' && !/rate/i.test(error.message);
}

function openShardOf(shards: readonly Shard[], shardId: ShardId): Shard {
  const shard = findShard(shards, shardId);
  if (!shard) throw shardNotFound(shardId);
  if (!isOpen(shard)) throw shardNotOpen(shardId);
  return shard;
}
