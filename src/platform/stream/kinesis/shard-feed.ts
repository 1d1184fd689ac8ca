import type { GetRecordsCommandOutput, Kinesis, _Record as KinesisRecord } from '@aws-sdk/client-kinesis';
import { type Clock, delay } from '../../../kernel/clock.ts';
import { Fifo } from '../../../kernel/fifo.ts';
import type { Random } from '../../../kernel/random.ts';
import { shardNotFound } from '../errors.ts';
import type { SequenceNumber, ShardId, StreamRecord } from '../port.ts';
import { checkpointOfAnother, streamUnavailable } from '../remote-errors.ts';
import { nameOf, refusalOf } from './errors.ts';
import type { KinesisLimits } from './limits.ts';
import { findShard, listShards } from './list-shards.ts';
import { iteratorTypeOf, type StartingPlaces } from './starting-places.ts';

export interface ShardFeedOptions {
  readonly client: Kinesis;
  readonly streamName: string;
  readonly shardId: ShardId;
  readonly clock: Clock;
  readonly random: Random;
  readonly limits: KinesisLimits;
  readonly startingPlaces: StartingPlaces;
}

/**
 * What one reader knows of one shard: an iterator, and records that came with an answer (up to 10 MiB) and were not asked
 * for yet. One call after the other; who uses it takes care of that.
 */
export class ShardFeed {
  readonly #options: ShardFeedOptions;
  /** What was given out last; undefined before the first use. */
  #after: SequenceNumber | null | undefined;
  /** What the iterator goes on from. */
  #fetchedUpTo: SequenceNumber | null = null;
  #iterator: string | undefined;
  #fetched = new Fifo<StreamRecord>();
  #isEnded = false;
  #isBehind = true;
  #nextCallAtMs = 0;

  constructor(options: ShardFeedOptions) {
    this.#options = options;
  }

  /** Records after `after`, of at least `bytesMax` bytes if there are so many; [] when it has caught up. */
  async take(after: SequenceNumber | null, bytesMax: number): Promise<StreamRecord[]> {
    this.#seek(after);
    for (let answers = 0; this.#fetched.length === 0 && !this.#isEnded; answers++) {
      if (answers > 0 && !this.#isBehind) break; // An empty answer says nothing while it is behind the latest record.
      if (answers >= this.#options.limits.emptyAnswersMax) break;
      await this.#fetch();
    }
    const records: StreamRecord[] = [];
    for (let bytes = 0; bytes < bytesMax; ) {
      const record = this.#fetched.shift();
      if (!record) break;
      records.push(record);
      bytes += record.data.length;
      this.#after = record.sequenceNumber;
    }
    return records;
  }

  /** Whether there is a record behind `after`, or nothing to wait for, as the shard is closed and read to its end. */
  async hasMoreOrEnded(after: SequenceNumber | null): Promise<boolean> {
    this.#seek(after);
    if (this.#fetched.length === 0 && !this.#isEnded) await this.#fetch();
    return this.#fetched.length > 0 || this.#isEnded;
  }

  /** Where the last record was given out, it goes on; anywhere else it begins anew. */
  #seek(after: SequenceNumber | null): void {
    if (after === this.#after) return;
    this.#after = after;
    this.#fetchedUpTo = after;
    this.#iterator = undefined;
    this.#fetched = new Fifo();
    this.#isEnded = false;
  }

  async #fetch(): Promise<void> {
    const answer = await this.#getRecords();
    for (const record of answer.Records ?? []) {
      this.#fetched.push(recordOf(record));
      this.#fetchedUpTo = BigInt(record.SequenceNumber ?? 0);
    }
    this.#iterator = answer.NextShardIterator;
    this.#isEnded = answer.NextShardIterator === undefined;
    this.#isBehind = (answer.MillisBehindLatest ?? 0) > 0;
  }

  /** At the pace that Kinesis allows, again when it is throttled, with a new iterator when the old one has expired. */
  async #getRecords(): Promise<GetRecordsCommandOutput> {
    const { client, clock, random, streamName, limits } = this.#options;
    for (let attempt = 1; ; attempt++) {
      await delay(clock, Math.max(0, this.#nextCallAtMs - clock.monotonicMs()));
      this.#nextCallAtMs = clock.monotonicMs() + limits.readIntervalMs;
      this.#iterator ??= await this.#makeIterator();
      try {
        return await client.getRecords({ ShardIterator: this.#iterator });
      } catch (error) {
        if (nameOf(error) === 'ExpiredIteratorException') this.#iterator = undefined;
        const refusal = refusalOf(error, streamName, this.#options.shardId);
        const isWorthIt = refusal.retryable || this.#iterator === undefined;
        if (!isWorthIt || attempt >= limits.readAttemptsMax) throw refusal;
        const delayMs = Math.min(limits.retryDelayMsMin * 2 ** attempt, limits.retryDelayMsMax);
        this.#nextCallAtMs += delayMs / 2 + random.integer(Math.ceil(delayMs / 2) + 1);
      }
    }
  }

  async #makeIterator(): Promise<string> {
    const { startingPlaces } = this.#options;
    const kept = startingPlaces.takeIterator(this.#fetchedUpTo);
    if (kept !== undefined) return kept;
    const type = iteratorTypeOf(this.#fetchedUpTo);
    try {
      return await this.#askForIterator(type);
    } catch (error) {
      if (nameOf(error) === 'ResourceNotFoundException') throw await this.#whatIsNotFound(error);
      const isUnknown = nameOf(error) === 'InvalidArgumentException' && this.#fetchedUpTo !== null;
      if (!isUnknown || type.ShardIteratorType !== 'AFTER_SEQUENCE_NUMBER') throw this.#refusalOf(error);
      return await this.#askForIteratorAtNext(this.#fetchedUpTo);
    }
  }

  /** `locate` answers "at N" with N - 1, which is no record's number, so Kinesis may not take it. */
  async #askForIteratorAtNext(after: SequenceNumber | null): Promise<string> {
    const next = (after ?? 0n) + 1n;
    try {
      return await this.#askForIterator({
        ShardIteratorType: 'AT_SEQUENCE_NUMBER',
        StartingSequenceNumber: String(next),
      });
    } catch (error) {
      if (nameOf(error) !== 'InvalidArgumentException') throw this.#refusalOf(error);
      throw checkpointOfAnother(this.#options.streamName, next - 1n, error);
    }
  }

  /** For a reader that asks for the latest record, before anything is read. */
  async makeIteratorAtLatest(): Promise<string> {
    try {
      return await this.#askForIterator({ ShardIteratorType: 'LATEST' });
    } catch (error) {
      throw nameOf(error) === 'ResourceNotFoundException' ? await this.#whatIsNotFound(error) : this.#refusalOf(error);
    }
  }

  async #askForIterator(type: ReturnType<typeof iteratorTypeOf>): Promise<string> {
    const { client, streamName, shardId } = this.#options;
    const answer = await client.getShardIterator({ StreamName: streamName, ShardId: shardId, ...type });
    if (answer.ShardIterator === undefined) throw streamUnavailable(streamName, 'an answer without an iterator');
    return answer.ShardIterator;
  }

  #refusalOf(error: unknown): Error {
    return refusalOf(error, this.#options.streamName, this.#options.shardId);
  }

  /** Kinesis has one name for a stream and a shard that are not there. */
  async #whatIsNotFound(error: unknown): Promise<Error> {
    const { client, streamName, shardId } = this.#options;
    const shards = await listShards(client, streamName); // Throws when it is the stream.
    return findShard(shards, shardId) ? this.#refusalOf(error) : shardNotFound(shardId);
  }
}

function recordOf({ Data, PartitionKey, SequenceNumber, ApproximateArrivalTimestamp }: KinesisRecord): StreamRecord {
  const bytes = Data ?? new Uint8Array();
  return {
    sequenceNumber: BigInt(SequenceNumber ?? 0),
    partitionKey: PartitionKey ?? '',
    data: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength),
    arrivalAtMs: ApproximateArrivalTimestamp?.getTime() ?? 0,
  };
}
