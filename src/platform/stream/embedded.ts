import assert from 'node:assert/strict';
import type { Clock } from '../../kernel/clock.ts';
import { codeOf } from '../../kernel/errors.ts';
import { type File, type Files, joinPath } from '../../kernel/files.ts';
import { type Random, systemRandom } from '../../kernel/random.ts';
import { appendedInOrder } from './appended.ts';
import { streamBusy, streamClosed, streamCorrupt, streamFailed, streamFull } from './errors.ts';
import { streamLimits } from './limits.ts';
import type { Appended, SequenceNumber, Shard, ShardId, Stream } from './port.ts';
import { blockHeaderBytes, type RecordBatch, readBlockHeader } from './record-batch.ts';
import {
  type IntactBlocks,
  type LastBlock,
  listSegments,
  readWhole,
  rejectDamage,
  type Segment,
  segmentPath,
  walkBlocks,
} from './segment.ts';
import { shardIdOf, wholeShard } from './shards.ts';

export interface EmbeddedStreamOptions {
  readonly files: Files;
  readonly clock: Clock;
  /** Salts a new log. The system's when absent. */
  readonly random?: Random;
  /** Created when absent. */
  readonly directory: string;
  readonly segmentBytesMax?: number;
  readonly retentionBytesMax?: number;
  readonly retentionMs?: number;
  /** The record every consumer is done with, or null; segments up to it may be deleted, younger ones never. */
  readonly consumedUpTo?: () => SequenceNumber | null;
  /** Called after each group commit with the last durable sequence number. */
  readonly onDurable?: (lastSequenceNumber: SequenceNumber) => void;
}

/** The only shard of the embedded engine. */
export const onlyShard: ShardId = shardIdOf(0);

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

/** What opening found on the disk. */
interface Recovered {
  readonly file: File;
  readonly fileBytes: number;
  readonly tornBytes: number;
  readonly nextSequenceNumber: SequenceNumber;
  readonly last: LastBlock;
}

/**
 * A segmented append-only log. Everything that is waiting when the disk becomes free is written and synced together
 * (group commit), then acknowledged; while one group is on its way to the disk the next one gathers.
 */
export class EmbeddedStream implements Stream {
  readonly #options: EmbeddedStreamOptions;
  readonly #salt: number;
  /** Bytes of a torn write that were cut off when it was opened; none of them was acknowledged. */
  readonly tornBytes: number;
  #file: File;
  #fileBytes: number;
  #lastArrivalAtMs: number;
  #nextSequenceNumber: SequenceNumber;
  #checksum: number;
  #waiting: Waiting[] = [];
  #pendingBytes = 0;
  #committing: Promise<void> | undefined;
  #closing: Promise<void> | undefined;
  #failure: Error | undefined;

  private constructor(options: EmbeddedStreamOptions, recovered: Recovered) {
    this.#options = options;
    this.#salt = recovered.last.salt;
    this.tornBytes = recovered.tornBytes;
    this.#file = recovered.file;
    this.#fileBytes = recovered.fileBytes;
    this.#nextSequenceNumber = recovered.nextSequenceNumber;
    this.#checksum = recovered.last.checksum;
    this.#lastArrivalAtMs = recovered.last.arrivalAtMs;
  }

  /** Opens or creates the log; cuts off a torn tail and nothing else. Throws `stream.corrupt`. */
  static async open(options: EmbeddedStreamOptions): Promise<EmbeddedStream> {
    const { files, directory } = options;
    const shardDirectory = joinPath(directory, onlyShard);
    await files.makeDirectory(shardDirectory);
    const segments = await listSegments(files, directory, onlyShard);
    if (segments.length === 0) segments.push({ firstSequenceNumber: 1n, path: segmentPath(directory, onlyShard, 1n) });
    const file = await files.open(segments[segments.length - 1].path, { create: true });
    try {
      await files.syncDirectory(shardDirectory);
      return new EmbeddedStream(options, await recover(options, segments, file));
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /** The last record that is durable; 0 when there was never one. */
  get lastSequenceNumber(): SequenceNumber {
    return this.#nextSequenceNumber - 1n;
  }

  append(batch: RecordBatch): Promise<Appended> {
    assert(batch.count > 0); // Kinesis refuses an empty PutRecords, too.
    if (this.#failure) return Promise.reject(this.#failure);
    if (this.#closing) return Promise.reject(streamClosed());
    if (this.#pendingBytes + batch.bytes > streamLimits.pendingBytesMax) {
      return Promise.reject(streamBusy(this.#pendingBytes));
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ batch, resolve, reject });
      this.#pendingBytes += batch.bytes;
      this.#committing ??= this.#commitAll();
    });
  }

  async shards(): Promise<Shard[]> {
    return [wholeShard()];
  }

  /** Makes durable what was appended, then closes. */
  close(): Promise<void> {
    this.#closing ??= Promise.resolve(this.#committing).then(() => this.#file.close());
    return this.#closing;
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
      if (this.#failure) throw this.#failure;
      if (this.#fileBytes >= (this.#options.segmentBytesMax ?? streamLimits.segmentBytesMax)) await this.#roll();
      const written = await this.#writeAndSync(group);
      this.#fileBytes += written.bytes;
      this.#nextSequenceNumber = written.nextSequenceNumber;
      this.#checksum = written.checksum;
      this.#options.onDurable?.(this.lastSequenceNumber);
      let firstSequenceNumber = written.firstSequenceNumber;
      for (const { batch, resolve } of group) {
        resolve(appendedInOrder(onlyShard, firstSequenceNumber));
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
      const block = batch.seal({
        firstSequenceNumber: nextSequenceNumber,
        arrivalAtMs: this.#lastArrivalAtMs,
        previousChecksum: checksum,
        groupBytesBefore: bytes,
        salt: this.#salt,
      });
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
    if (this.#failure) return this.#failure;
    if (['ENOSPC', 'EDQUOT'].includes(codeOf(cause))) {
      try {
        await this.#file.truncate(this.#fileBytes);
        await this.#file.sync(); // Else a power cut could bring refused records back.
        return streamFull(cause);
      } catch (failedToTakeBack) {
        cause = failedToTakeBack;
      }
    }
    this.#failure = codeOf(cause) === 'stream.failed' && cause instanceof Error ? cause : streamFailed(cause);
    return this.#failure;
  }

  async #roll(): Promise<void> {
    const { files, directory } = this.#options;
    const next = await files.open(segmentPath(directory, onlyShard, this.#nextSequenceNumber), { create: true });
    await files.syncDirectory(joinPath(directory, onlyShard));
    const full = this.#file;
    this.#file = next;
    this.#fileBytes = 0;
    await full.close();
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
      // One by one, or a power cut could bring back an older one than it keeps, and leave a gap.
      await files.syncDirectory(joinPath(directory, onlyShard));
      total -= sizes[index];
    }
  }
}

/**
 * Reads the newest segment, and the one before it when the newest has no block yet; cuts off a torn tail. When it
 * resolves, everything that is left is durable, whether or not the process before got to sync it.
 */
async function recover(options: EmbeddedStreamOptions, segments: Segment[], file: File): Promise<Recovered> {
  const newest = segments[segments.length - 1];
  const bytes = await readWhole(file);
  const intact = walkBlocks(bytes, newest);
  const last = intact.last ?? (await lastBlockBefore(options.files, segments));
  if (intact.bytes < bytes.length) rejectDamage(bytes, newest, intact.bytes, last?.salt);
  await file.truncate(intact.bytes);
  // After a failed sync the page cache may show what the disk does not have and will not be asked for again: the last
  // group is the only one that nobody may have heard to be safe, so it is written once more.
  await file.write(bytes.subarray(intact.lastGroupPosition, intact.bytes), intact.lastGroupPosition);
  await file.sync();
  return {
    file,
    fileBytes: intact.bytes,
    tornBytes: bytes.length - intact.bytes,
    nextSequenceNumber: intact.nextSequenceNumber,
    last: last ?? { checksum: 0, arrivalAtMs: 0, salt: newSalt(options.random ?? systemRandom) },
  };
}

/** The block the first one of the newest segment follows; undefined when there is none. */
async function lastBlockBefore(files: Files, segments: Segment[]): Promise<LastBlock | undefined> {
  const [segment, newest] = segments.slice(-2);
  if (!newest) return undefined;
  const file = await files.open(segment.path);
  try {
    const bytes = await readWhole(file);
    const intact: IntactBlocks = walkBlocks(bytes, segment);
    if (intact.bytes < bytes.length || intact.nextSequenceNumber !== newest.firstSequenceNumber) {
      throw streamCorrupt(segment.path, intact.bytes, `record ${newest.firstSequenceNumber - 1n} should be its last`);
    }
    return intact.last;
  } finally {
    await file.close();
  }
}

function newSalt(random: Random): number {
  return Buffer.from(random.bytes(4)).readUInt32LE();
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
