import type { Clock } from '../../kernel/clock.ts';
import { codeOf } from '../../kernel/errors.ts';
import { type File, type Files, joinPath } from '../../kernel/files.ts';
import { streamClosed, streamFailed, streamFull } from './errors.ts';
import { streamLimits } from './limits.ts';
import type { Appended, SequenceNumber, ShardId, Stream } from './port.ts';
import { blockHeaderBytes, type RecordBatch, readBlockHeader } from './record-batch.ts';
import { findSegmentEnd, listSegments, type Segment, segmentPath } from './segment.ts';

export interface EmbeddedStreamOptions {
  readonly files: Files;
  readonly clock: Clock;
  /** Created when absent. */
  readonly directory: string;
  readonly segmentBytesMax?: number;
  readonly retentionBytesMax?: number;
  readonly retentionMs?: number;
  /** The record every consumer is done with, or null; older segments may be deleted, younger ones never. */
  readonly consumedUpTo?: () => SequenceNumber | null;
  /** Called after each group commit with the last durable sequence number. */
  readonly onDurable?: (lastSequenceNumber: SequenceNumber) => void;
}

/** The only shard of the embedded engine. */
export const onlyShard: ShardId = 'shardId-000000000000';

interface Waiting {
  readonly batch: RecordBatch;
  readonly resolve: (appended: Appended) => void;
  readonly reject: (error: Error) => void;
}

/** What one write and sync made durable. */
interface Written {
  readonly firstSequenceNumber: SequenceNumber;
  readonly nextSequenceNumber: SequenceNumber;
  readonly checksum: number;
  readonly bytes: number;
}

/**
 * A segmented append-only log. Everything that is waiting when the disk becomes free is written and synced together
 * (group commit), then acknowledged; while one group is on its way to the disk the next one gathers.
 */
export class EmbeddedStream implements Stream {
  readonly #options: EmbeddedStreamOptions;
  #file: File;
  #fileBytes: number;
  #lastArrivalAtMs: number;
  #nextSequenceNumber: SequenceNumber;
  #checksum: number;
  #waiting: Waiting[] = [];
  #pendingBytes = 0;
  #committing: Promise<void> | undefined;
  #over: Error | undefined;

  private constructor(options: EmbeddedStreamOptions, file: File, end: StreamEnd) {
    this.#options = options;
    this.#file = file;
    this.#fileBytes = end.fileBytes;
    this.#nextSequenceNumber = end.nextSequenceNumber;
    this.#checksum = end.checksum;
    this.#lastArrivalAtMs = end.lastArrivalAtMs;
  }

  /** Opens or creates the log; cuts off a torn tail and nothing else. Throws `stream.corrupt`. */
  static async open(options: EmbeddedStreamOptions): Promise<EmbeddedStream> {
    const { files, directory } = options;
    const shardDirectory = joinPath(directory, onlyShard);
    await files.makeDirectory(shardDirectory);
    await files.syncDirectory(directory);
    const segments = await listSegments(files, directory, onlyShard);
    const newest = segments.at(-1) ?? { firstSequenceNumber: 1n, path: segmentPath(directory, onlyShard, 1n) };
    const file = await files.open(newest.path, { create: true });
    await files.syncDirectory(shardDirectory);
    const end = await findSegmentEnd(file, newest);
    if (end.intactBytes < end.fileBytes) {
      await file.truncate(end.intactBytes);
      await file.sync();
    }
    return new EmbeddedStream(options, file, { ...end, fileBytes: end.intactBytes });
  }

  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /** The last record that is durable; 0 when there was never one. */
  get lastSequenceNumber(): SequenceNumber {
    return this.#nextSequenceNumber - 1n;
  }

  append(batch: RecordBatch): Promise<Appended> {
    if (this.#over) return Promise.reject(this.#over);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ batch, resolve, reject });
      this.#pendingBytes += batch.bytes;
      this.#committing ??= this.#commitAll();
    });
  }

  async shards(): Promise<ShardId[]> {
    return [onlyShard];
  }

  /** Makes durable what was appended, then closes. */
  async close(): Promise<void> {
    await this.#committing;
    this.#over ??= streamClosed();
    await this.#file.close();
  }

  async #commitAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      const group = this.#waiting;
      this.#waiting = [];
      await this.#commit(group);
    }
    this.#committing = undefined;
  }

  async #commit(group: Waiting[]): Promise<void> {
    try {
      if (this.#over) throw this.#over;
      if (this.#fileBytes >= (this.#options.segmentBytesMax ?? streamLimits.segmentBytesMax)) await this.#roll();
      const written = await this.#writeAndSync(group);
      this.#fileBytes += written.bytes;
      this.#nextSequenceNumber = written.nextSequenceNumber;
      this.#checksum = written.checksum;
      this.#options.onDurable?.(this.lastSequenceNumber);
      let firstSequenceNumber = written.firstSequenceNumber;
      for (const { batch, resolve } of group) {
        resolve({ shardId: onlyShard, firstSequenceNumber });
        firstSequenceNumber += BigInt(batch.count);
      }
    } catch (error) {
      const refusal = await this.#judgeFailure(error);
      for (const { reject } of group) reject(refusal);
    }
    for (const { batch } of group) this.#pendingBytes -= batch.bytes;
  }

  async #writeAndSync(group: Waiting[]): Promise<Written> {
    this.#lastArrivalAtMs = Math.max(this.#lastArrivalAtMs, this.#options.clock.nowMs()); // Arrival never goes back.
    const firstSequenceNumber = this.#nextSequenceNumber;
    let nextSequenceNumber = firstSequenceNumber;
    let checksum = this.#checksum;
    let bytes = 0;
    for (const { batch } of group) {
      const block = batch.seal(nextSequenceNumber, this.#lastArrivalAtMs, checksum);
      await this.#file.write(block.bytes, this.#fileBytes + bytes);
      checksum = block.checksum;
      nextSequenceNumber += BigInt(batch.count);
      bytes += block.bytes.length;
    }
    await this.#file.sync().catch(cause => {
      throw streamFailed(cause); // A failed fsync may have dropped the pages: never retried as if nothing happened.
    });
    return { firstSequenceNumber, nextSequenceNumber, checksum, bytes };
  }

  /** Disk full: take back what was written and stay in service. Anything else: this stream is over. */
  async #judgeFailure(cause: unknown): Promise<Error> {
    if (['ENOSPC', 'EDQUOT'].includes(codeOf(cause))) {
      try {
        await this.#file.truncate(this.#fileBytes);
        return streamFull(cause);
      } catch (truncateFailure) {
        cause = truncateFailure;
      }
    }
    this.#over ??= codeOf(cause) === 'stream.failed' && cause instanceof Error ? cause : streamFailed(cause);
    return this.#over;
  }

  async #roll(): Promise<void> {
    const { files, directory } = this.#options;
    const next = await files.open(segmentPath(directory, onlyShard, this.#nextSequenceNumber), { create: true });
    await files.syncDirectory(joinPath(directory, onlyShard));
    await this.#file.close();
    this.#file = next;
    this.#fileBytes = 0;
    await this.#retire();
  }

  /** Deletes the oldest segments while they are over the size or age kept and every consumer is done with them. */
  async #retire(): Promise<void> {
    const { files, directory, clock } = this.#options;
    const segments = await listSegments(files, directory, onlyShard);
    const sizes = await Promise.all(segments.map(segment => sizeOf(files, segment)));
    let total = sizes.reduce((sum, size) => sum + size, 0);
    const consumed = this.#options.consumedUpTo?.() ?? null;
    for (let index = 0; index + 1 < segments.length; index++) {
      const lastOfSegment = segments[index + 1].firstSequenceNumber - 1n;
      const tooMuch = total > (this.#options.retentionBytesMax ?? streamLimits.retentionBytesMax);
      const endedAtMs = tooMuch ? 0 : await firstArrivalAtMs(files, segments[index + 1]);
      const tooOld = clock.nowMs() - endedAtMs > (this.#options.retentionMs ?? streamLimits.retentionMs);
      if (consumed === null || lastOfSegment > consumed || !(tooMuch || tooOld)) return;
      await files.remove(segments[index].path);
      total -= sizes[index];
    }
  }
}

interface StreamEnd {
  readonly fileBytes: number;
  readonly nextSequenceNumber: SequenceNumber;
  readonly checksum: number;
  readonly lastArrivalAtMs: number;
}

async function sizeOf(files: Files, segment: Segment): Promise<number> {
  const file = await files.open(segment.path);
  try {
    return await file.size();
  } finally {
    await file.close();
  }
}

/** When the first record of a segment arrived; Infinity while it has none, which no age limit reaches. */
async function firstArrivalAtMs(files: Files, segment: Segment): Promise<number> {
  const file = await files.open(segment.path);
  try {
    const header = Buffer.alloc(blockHeaderBytes);
    const bytes = await file.read(header, 0);
    return readBlockHeader(header.subarray(0, bytes), 0)?.arrivalAtMs ?? Number.POSITIVE_INFINITY;
  } finally {
    await file.close();
  }
}
