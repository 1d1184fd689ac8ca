import { codeOf } from '../../../kernel/errors.ts';
import type { File, Files } from '../../../kernel/files.ts';
import { streamFailed, streamFull } from '../errors.ts';
import { streamLimits } from '../limits.ts';
import type { SequenceNumber } from '../port.ts';
import { sealBlock } from './block.ts';
import { IndexWriter } from './index-file.ts';
import type { Recovered } from './recovery.ts';
import { type Segment, segmentPath } from './segment.ts';

/** The records of one shard, ready to become a block. */
export interface PackedBlock {
  /** Room for the header, then the records. */
  readonly bytes: Buffer;
  readonly count: number;
  readonly shardNumber: number;
  /** Set when it is appended. */
  firstSequenceNumber: SequenceNumber;
}

/** Blocks that stand one behind the other in one buffer, and are written at once. */
export interface Piece {
  readonly bytes: Buffer;
  readonly blocks: readonly PackedBlock[];
}

export interface LogOptions {
  readonly files: Files;
  /** Where the segments lie. */
  readonly directory: string;
  readonly segmentBytesMax: number;
  readonly indexEveryBytes: number;
  /** Zeros written ahead of small groups; 0 for none. */
  readonly paddingBytes: number;
}

/** The writer of the segments: a group of blocks at a time, in one file after the other. */
export class SegmentedLog {
  readonly #options: LogOptions;
  readonly #salt: number;
  #file: File;
  #segment: Segment;
  #index: IndexWriter;
  /** Up to where the file holds blocks, and up to where zeros behind them. */
  #fileBytes: number;
  #paddedBytes: number;
  /** Of the first block in the segment; undefined while there is none. */
  #firstArrivalAtMs: number | undefined;
  #lastArrivalAtMs: number;
  #nextSequenceNumber: SequenceNumber;
  #checksum: number;

  constructor(options: LogOptions, recovered: Recovered) {
    this.#options = options;
    this.#salt = recovered.last.salt;
    this.#file = recovered.file;
    this.#segment = recovered.segment;
    this.#index = recovered.index;
    this.#fileBytes = recovered.fileBytes;
    this.#paddedBytes = recovered.fileBytes;
    this.#firstArrivalAtMs = recovered.firstArrivalAtMs;
    this.#lastArrivalAtMs = recovered.last.arrivalAtMs;
    this.#nextSequenceNumber = recovered.nextSequenceNumber;
    this.#checksum = recovered.last.checksum;
  }

  /** The last record that is durable; 0 when there was never one. */
  get lastSequenceNumber(): SequenceNumber {
    return this.#nextSequenceNumber - 1n;
  }

  get lastArrivalAtMs(): number {
    return this.#lastArrivalAtMs;
  }

  /** Whether the newest segment holds anything. */
  get hasBlocks(): boolean {
    return this.#fileBytes > 0;
  }

  /** Whether the newest segment should take no more: it is large, or what it begins with is older than `ageMsMax`. */
  isDue(nowMs: number, ageMsMax: number): boolean {
    if (this.#fileBytes >= this.#options.segmentBytesMax) return true;
    return this.#firstArrivalAtMs !== undefined && nowMs - this.#firstArrivalAtMs > ageMsMax;
  }

  /**
   * Resolves once the group is durable. Throws `stream.full` (nothing of it is kept) or `stream.failed` (this log must
   * not be used any more).
   */
  async append(pieces: readonly Piece[], nowMs: number): Promise<void> {
    const arrivalAtMs = Math.max(this.#lastArrivalAtMs, nowMs); // Arrival never goes back.
    let nextSequenceNumber = this.#nextSequenceNumber;
    let checksum = this.#checksum;
    let bytes = 0;
    try {
      for (const piece of pieces) {
        const pieceAt = this.#fileBytes + bytes;
        for (const block of piece.blocks) {
          block.firstSequenceNumber = nextSequenceNumber;
          checksum = sealBlock(block.bytes, block.count, block.shardNumber, {
            firstSequenceNumber: nextSequenceNumber,
            arrivalAtMs,
            previousChecksum: checksum,
            groupBytesBefore: bytes,
            salt: this.#salt,
          });
          nextSequenceNumber += BigInt(block.count);
          bytes += block.bytes.length;
        }
        await this.#write(piece.bytes, pieceAt);
      }
      if (this.#fileBytes + bytes > this.#paddedBytes) await this.#pad(bytes);
    } catch (cause) {
      throw await this.#takeBack(cause);
    }
    await this.#file.sync().catch(cause => {
      throw streamFailed(cause); // A failed fsync may have dropped the pages: never retried as if nothing happened.
    });
    for (const { blocks } of pieces) {
      for (const block of blocks) {
        this.#index.note(this.#fileBytes, block.firstSequenceNumber, arrivalAtMs);
        this.#fileBytes += block.bytes.length;
      }
    }
    this.#nextSequenceNumber = nextSequenceNumber;
    this.#checksum = checksum;
    this.#firstArrivalAtMs ??= arrivalAtMs;
    this.#lastArrivalAtMs = arrivalAtMs;
  }

  /** A small group for which zeros were written ahead is copied over them at once: nothing on the disk must be found for it. */
  #write(bytes: Buffer, position: number): Promise<void> | undefined {
    const isCopy = bytes.length <= streamLimits.writtenNowBytesMax && position + bytes.length <= this.#paddedBytes;
    if (!isCopy || !this.#file.writeNow) return this.#file.write(bytes, position);
    this.#file.writeNow(bytes, position);
    return undefined;
  }

  /**
   * Writes zeros behind a small group. Then the next groups do not change the size of the file, and syncing them is a
   * matter of the data alone. Large groups are not helped by it.
   */
  async #pad(groupBytes: number): Promise<void> {
    const end = this.#fileBytes + groupBytes;
    this.#paddedBytes = end;
    const room = Math.min(this.#options.paddingBytes, streamLimits.paddingBytes, this.#options.segmentBytesMax - end);
    if (room <= 0 || groupBytes * 8 > room) return;
    try {
      zeros ??= Buffer.alloc(streamLimits.paddingBytes);
      await this.#file.write(zeros.subarray(0, room), end);
      this.#paddedBytes = end + room;
    } catch (error) {
      if (!isFull(error)) throw error;
      this.#paddedBytes = end + room; // Some of it may be there, so it is as if all of it were. The group has its room.
    }
  }

  /** Disk full: takes back what was written, so that the log stays in service. Anything else: it is over. */
  async #takeBack(cause: unknown): Promise<Error> {
    if (!isFull(cause)) return streamFailed(cause);
    try {
      await this.#file.truncate(this.#fileBytes);
      await this.#file.sync(); // Else a power cut could bring refused records back.
      this.#paddedBytes = this.#fileBytes;
      return streamFull(cause);
    } catch (failedToTakeBack) {
      return streamFailed(failedToTakeBack);
    }
  }

  /** Begins a new segment. Throws `stream.full`, `stream.failed`. */
  async roll(): Promise<void> {
    const { files, directory, indexEveryBytes } = this.#options;
    const firstSequenceNumber = this.#nextSequenceNumber;
    const segment = { firstSequenceNumber, path: segmentPath(directory, firstSequenceNumber) };
    let next: File;
    try {
      next = await files.open(segment.path, { create: true });
    } catch (cause) {
      if (isShortOfDescriptors(cause)) return; // The file was not made, so the full one can go on for a while.
      throw isFull(cause) ? streamFull(cause) : streamFailed(cause);
    }
    try {
      await files.syncDirectory(directory);
    } catch (cause) {
      await next.close();
      if (!isFull(cause) && !isShortOfDescriptors(cause)) throw streamFailed(cause);
      // The old one may go on beyond its number. If a power cut brings it back, recovery sees that it was begun in vain.
      await files.remove(segment.path).catch(notRemoved => {
        throw streamFailed(notRemoved);
      });
      if (isFull(cause)) throw streamFull(cause);
      return;
    }
    await this.close().catch(() => {}); // Whatever it is: all of it is durable.
    this.#file = next;
    this.#segment = segment;
    this.#index = new IndexWriter(files, segment, indexEveryBytes);
    this.#fileBytes = 0;
    this.#paddedBytes = 0;
    this.#firstArrivalAtMs = undefined;
  }

  /** The newest segment. */
  get segment(): Segment {
    return this.#segment;
  }

  async close(): Promise<void> {
    await this.#index.close();
    // Everything in it is durable. Zeros that cannot be cut off, after a failure say, are passed over by who reads it.
    if (this.#paddedBytes > this.#fileBytes) await this.#file.truncate(this.#fileBytes).catch(() => {});
    await this.#file.close();
  }
}

/** Written by every log, changed by none. */
let zeros: Buffer | undefined;

/** Sockets may have taken all of them. */
function isShortOfDescriptors(error: unknown): boolean {
  return ['EMFILE', 'ENFILE'].includes(codeOf(error));
}

function isFull(error: unknown): boolean {
  return ['ENOSPC', 'EDQUOT'].includes(codeOf(error));
}
