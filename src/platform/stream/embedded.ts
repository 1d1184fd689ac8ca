import assert from 'node:assert/strict';
import type { Timer } from '../../kernel/clock.ts';
import { codeOf } from '../../kernel/errors.ts';
import type { EmbeddedStreamOptions } from './embedded-options.ts';
import { recordTooLarge, shardsNotChanged, streamBusy, streamClosed, streamFailed } from './errors.ts';
import { streamLimits } from './limits.ts';
import { type OpenedLog, openLog } from './log/opening.ts';
import { retire } from './log/retention.ts';
import type { SegmentedLog } from './log/segmented-log.ts';
import { writeShardMap } from './log/shard-map-file.ts';
import { type Parted, partByShard, partWhole, Scratch } from './parting.ts';
import type { Appended, Resharding, SequenceNumber, Shard, ShardId, Stream } from './port.ts';
import type { RecordBatch } from './record-batch.ts';
import { Router } from './router.ts';
import {
  type ChangePoint,
  listed,
  type ShardMap,
  shardIdOf,
  withoutForgotten,
  withShardSplit,
  withShardsMerged,
} from './shards.ts';
import { Throttle } from './throughput.ts';

/** The shard of an embedded stream that has one. */
export const onlyShard: ShardId = shardIdOf(0);

interface Waiting {
  readonly batch: RecordBatch;
  readonly resolve: (appended: Appended) => void;
  readonly reject: (error: Error) => void;
}

/**
 * One segmented append-only log for all shards. Everything that is waiting when the disk becomes free is written and
 * synced together (group commit), then acknowledged; while one group is on its way to the disk the next one gathers.
 * Between two groups the shards change and retention does its work, so neither ever meets a half-written group.
 */
export class EmbeddedStream implements Stream, Resharding {
  readonly #options: EmbeddedStreamOptions;
  readonly #log: SegmentedLog;
  readonly #logDirectory: string;
  readonly #throttle: Throttle | undefined;
  readonly #scratch = new Scratch();
  /** Key and data of a record. */
  readonly recordBytesMax: number;
  /** Bytes of a torn write that were cut off when it was opened; none of them was acknowledged. */
  readonly tornBytes: number;
  #map: ShardMap;
  #router: Router;
  #retentionMs: number;
  #retentionTimer: Timer | undefined;
  #waiting: Waiting[] = [];
  #betweenGroups: (() => Promise<void>)[] = [];
  #pendingBytes = 0;
  #working: Promise<void> | undefined;
  #closing: Promise<void> | undefined;
  #failure: Error | undefined;

  private constructor(options: EmbeddedStreamOptions, { log, logDirectory, map, tornBytes }: OpenedLog) {
    this.#options = options;
    this.#log = log;
    this.#logDirectory = logDirectory;
    this.#throttle = options.throughput && new Throttle(options.clock, options.throughput);
    this.recordBytesMax = options.recordBytesMax ?? streamLimits.recordBytesMax;
    this.tornBytes = tornBytes;
    this.#map = map;
    this.#router = new Router(map);
    this.#retentionMs = options.retentionMs ?? streamLimits.retentionMs;
    this.#armRetention();
  }

  /**
   * Opens or creates the stream; cuts off a torn tail and nothing else. Throws `stream.corrupt`, `stream.notWritable`,
   * `stream.full`, `stream.failed`.
   */
  static async open(options: EmbeddedStreamOptions): Promise<EmbeddedStream> {
    const { recordBytesMax = streamLimits.recordBytesMax } = options;
    assert(recordBytesMax >= streamLimits.recordBytesMax && recordBytesMax <= streamLimits.largeRecordBytesMax);
    const stream = new EmbeddedStream(options, await openLog(options));
    stream.#tellTail();
    return stream;
  }

  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /** The last record that is durable; 0 when there was never one. */
  get lastSequenceNumber(): SequenceNumber {
    return this.#log.lastSequenceNumber;
  }

  /** Also rejects with `stream.recordTooLarge` when a record is larger than this stream takes. */
  append(batch: RecordBatch): Promise<Appended> {
    assert(batch.count > 0); // Kinesis refuses an empty PutRecords, too.
    const refusal = this.#refusalOf(batch);
    if (refusal) return Promise.reject(refusal);
    batch.take();
    return new Promise((resolve, reject) => {
      this.#waiting.push({ batch, resolve, reject });
      this.#pendingBytes += batch.bytes;
      this.#working ??= this.#work();
    });
  }

  async shards(): Promise<Shard[]> {
    return listed(this.#map);
  }

  splitShard(shardId: ShardId, newStartingHashKey: bigint): Promise<void> {
    return this.#changeShards((map, at) => withShardSplit(map, shardId, newStartingHashKey, at));
  }

  mergeShards(shardId: ShardId, adjacentShardId: ShardId): Promise<void> {
    return this.#changeShards((map, at) => withShardsMerged(map, shardId, adjacentShardId, at));
  }

  get retentionMs(): number {
    return this.#retentionMs;
  }

  /** How long records are kept from now on. What is gone does not come back. */
  setRetentionMs(retentionMs: number): void {
    this.#retentionMs = retentionMs;
    this.#retentionTimer?.cancel();
    this.#armRetention();
    this.#doBetweenGroups(() => this.#retain());
  }

  /** Makes durable what was appended, then closes. */
  close(): Promise<void> {
    this.#retentionTimer?.cancel();
    this.#closing ??= Promise.resolve(this.#working).then(() => this.#log.close());
    return this.#closing;
  }

  #refusalOf(batch: RecordBatch): Error | undefined {
    if (this.#failure) return this.#failure;
    if (this.#closing) return streamClosed();
    if (this.#pendingBytes + batch.bytes > streamLimits.pendingBytesMax) return streamBusy(this.#pendingBytes);
    if (batch.recordBytesMax <= this.recordBytesMax) return undefined;
    const largest = batch.largestRecordBytes();
    return largest > this.recordBytesMax ? recordTooLarge(largest, this.recordBytesMax) : undefined;
  }

  async #work(): Promise<void> {
    while (this.#waiting.length > 0 || this.#betweenGroups.length > 0) {
      while (this.#betweenGroups.length > 0) await this.#betweenGroups.shift()?.();
      if (this.#waiting.length > 0) await this.#commit(this.#nextGroup());
    }
    this.#working = undefined;
  }

  #doBetweenGroups(change: () => Promise<void>): void {
    if (this.#closing) return;
    this.#betweenGroups.push(change);
    this.#working ??= this.#work();
  }

  /** As much of what waits as may go to the disk together. */
  #nextGroup(): Waiting[] {
    const waiting = this.#waiting;
    let bytes = 0;
    const end = waiting.findIndex(({ batch }, index) => {
      bytes += batch.bytes;
      return index > 0 && bytes > streamLimits.groupBytesMax;
    });
    this.#waiting = end < 0 ? [] : waiting.slice(end);
    return end < 0 ? waiting : waiting.slice(0, end);
  }

  async #commit(group: Waiting[]): Promise<void> {
    try {
      if (this.#failure) throw this.#failure;
      const nowMs = this.#options.clock.nowMs();
      if (this.#log.isDue(nowMs, this.#retentionMs / streamLimits.segmentsPerRetention)) await this.#roll();
      const parted = this.#part(group);
      if (parted.pieces.length > 0) await this.#log.append(parted.pieces, nowMs);
      this.#tellTail();
      const { lastArrivalAtMs } = this.#log;
      for (let index = 0; index < group.length; index++)
        group[index].resolve(parted.appendedOf(index, lastArrivalAtMs));
    } catch (error) {
      if (codeOf(error) !== 'stream.full') this.#fail(error);
      const refusal = this.#failure ?? error;
      for (const { reject } of group) reject(refusal as Error);
    }
    for (const { batch } of group) this.#pendingBytes -= batch.bytes;
  }

  #part(group: Waiting[]): Parted {
    const batches = group.map(({ batch }) => batch);
    const { shards } = this.#router;
    if (shards.length === 1 && !this.#throttle) return partWhole(batches, shards[0], this.#scratch);
    return partByShard(batches, this.#router, this.#throttle, this.#scratch);
  }

  /** This stream is over: what it says from now on is why. */
  #fail(cause: unknown): void {
    this.#failure ??= codeOf(cause) === 'stream.failed' && cause instanceof Error ? cause : streamFailed(cause);
  }

  #tellTail(): void {
    this.#options.onDurable?.(this.lastSequenceNumber, this.#map.generation);
  }

  /** Stores what `change` makes of the shards, between two groups; what is appended meanwhile goes to the new ones. */
  #changeShards(change: (map: ShardMap, at: ChangePoint) => ShardMap): Promise<void> {
    if (this.#closing) return Promise.reject(streamClosed());
    if (this.#betweenGroups.length >= streamLimits.changesWaitingMax) {
      return Promise.reject(shardsNotChanged('too many other changes wait'));
    }
    return new Promise((resolve, reject) => {
      this.#doBetweenGroups(async () => {
        try {
          if (this.#failure) throw this.#failure;
          const { lastSequenceNumber } = this;
          await this.#storeShards(change(this.#map, { lastSequenceNumber, nowMs: this.#options.clock.nowMs() }));
          resolve();
        } catch (error) {
          if (codeOf(error) === 'stream.failed') this.#fail(error);
          reject(error as Error);
        }
      });
    });
  }

  async #storeShards(map: ShardMap): Promise<void> {
    const { files, directory } = this.#options;
    await writeShardMap(files, directory, map);
    this.#map = map;
    this.#router = new Router(map);
    this.#throttle?.keepOnly(this.#router.shards.map(({ shardId }) => shardId));
    this.#tellTail();
  }

  async #roll(): Promise<void> {
    await this.#log.roll();
    await this.#retain();
  }

  #armRetention(): void {
    const { retentionCheckMsMin, retentionCheckMsMax, segmentsPerRetention } = streamLimits;
    const everyMs = Math.min(
      Math.max(this.#retentionMs / segmentsPerRetention, retentionCheckMsMin),
      retentionCheckMsMax,
    );
    this.#retentionTimer = this.#options.clock.setTimer(everyMs, () => {
      this.#armRetention();
      this.#doBetweenGroups(() => this.#retain());
    });
    this.#retentionTimer.unref?.(); // What is too old can wait for the next start.
  }

  /** Deletes what is too much or too old. What the disk does not let go of is tried again the next time. */
  async #retain(): Promise<void> {
    const { files, clock, consumedUpTo: consumed, retentionBytesMax = streamLimits.retentionBytesMax } = this.#options;
    if (this.#failure) return;
    const { lastSequenceNumber, lastArrivalAtMs } = this.#log;
    const consumedUpTo = consumed ? consumed() : lastSequenceNumber;
    const sinceMs = clock.nowMs() - this.#retentionMs;
    try {
      const isAllDone = consumedUpTo !== null && consumedUpTo >= lastSequenceNumber;
      if (this.#log.hasBlocks && isAllDone && lastArrivalAtMs < sinceMs) await this.#log.roll();
      const retention = { bytesMax: retentionBytesMax, sinceMs, consumedUpTo, lastArrivalAtMs };
      const oldest = await retire(files, this.#logDirectory, retention);
      const map = withoutForgotten(this.#map, oldest, sinceMs);
      if (map !== this.#map) await this.#storeShards(map);
    } catch {
      // Nothing is lost by keeping it longer, and an append will tell if the disk is at its end.
    }
  }
}
