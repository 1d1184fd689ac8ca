import { codeOf } from '../../../kernel/errors.ts';
import type { File, Files } from '../../../kernel/files.ts';
import { streamCorrupt } from '../errors.ts';
import type { SequenceNumber } from '../port.ts';
import { type BlockHeader, blockBytesOf, blockHeaderBytes, blockIsIntact, readBlockHeader } from './block.ts';
import { readIndex } from './index-file.ts';
import { listSegments, type Segment } from './segment.ts';

const cursorLimits = {
  chunkBytesMin: 64 * 1024, // ours: what is read at once while little comes
  chunkBytesMax: 2 * 1024 * 1024, // ours: and while much comes; a larger block is read alone
  openAttemptsMax: 3, // ours: retention may remove a file between listing and opening it
} as const;

/** Looks at a block; false: it is not to be passed, the cursor stays in front of it. */
export type VisitBlock = (chunk: Buffer, position: number, header: BlockHeader) => boolean;

/** The files of a log. */
export interface LogFiles {
  readonly files: Files;
  /** Where the segments lie. */
  readonly directory: string;
}

/** Goes through the blocks of a log, of all shards, from one segment to the next; checks that each follows the last. */
export class LogCursor {
  readonly #log: LogFiles;
  #segment: Segment;
  #file: File;
  #offset = 0;
  #nextSequenceNumber: SequenceNumber;
  /** Of the block before; undefined when the cursor has not come past it. */
  #checksum: number | undefined;
  #chunkBytes: number = cursorLimits.chunkBytesMin;

  private constructor(log: LogFiles, segment: Segment, file: File) {
    this.#log = log;
    this.#segment = segment;
    this.#file = file;
    this.#nextSequenceNumber = segment.firstSequenceNumber;
  }

  /** One that comes to `wanted` soon, or stands at the oldest block when retention has removed it. Throws `stream.corrupt`. */
  static async open(log: LogFiles, wanted: SequenceNumber): Promise<LogCursor> {
    const oldestOrHolding = (segments: Segment[]) =>
      segments.findLast(({ firstSequenceNumber }) => firstSequenceNumber <= wanted) ?? segments[0];
    const opened = await openSegment(log, oldestOrHolding);
    if (!opened) throw streamCorrupt(log.directory, 0, 'the records, which were durable, are not there');
    const cursor = new LogCursor(log, opened.segment, opened.file);
    await cursor.#jumpTowards(wanted);
    return cursor;
  }

  /** What the next block begins with. Everything before was passed. */
  get nextSequenceNumber(): SequenceNumber {
    return this.#nextSequenceNumber;
  }

  /**
   * Reads once, and visits the whole blocks that this brings, up to `last`, which must be durable. Returns false when
   * the visitor stopped it. Throws `stream.corrupt`.
   * @param bytesWanted  what the caller has use for; a chunk may be larger all the same
   */
  async advance(last: SequenceNumber, bytesWanted: number, visit: VisitBlock): Promise<boolean> {
    const chunk = await this.#readBlocks(bytesWanted);
    if (chunk.length === 0) {
      await this.#openNextSegment();
      return true;
    }
    for (let used = 0; this.#nextSequenceNumber <= last; ) {
      const header = readBlockHeader(chunk, used);
      if (!header || (used > 0 && used + blockBytesOf(header) > chunk.length)) break;
      this.#check(chunk, used, header);
      if (!visit(chunk, used, header)) return false;
      used += blockBytesOf(header);
      this.#offset += blockBytesOf(header);
      this.#nextSequenceNumber += BigInt(header.count);
      this.#checksum = header.checksum;
    }
    return true;
  }

  /** The damage of the block that the cursor stands in front of. */
  corruption(reason: string): Error {
    return streamCorrupt(this.#segment.path, this.#offset, reason);
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  #check(chunk: Buffer, used: number, header: BlockHeader): void {
    if (header.firstSequenceNumber !== this.#nextSequenceNumber) {
      throw this.corruption(`expected record ${this.#nextSequenceNumber}`);
    }
    // The header of the version before has no checksum of its own.
    if (header.headerBytes !== blockHeaderBytes && !blockIsIntact(chunk, used, header)) {
      throw this.corruption('the checksum does not match');
    }
    if (this.#checksum !== undefined && header.previousChecksum !== this.#checksum) {
      throw this.corruption('the block does not follow the one before it');
    }
  }

  /** To the last block the index knows before `wanted`, if it is there. */
  async #jumpTowards(wanted: SequenceNumber): Promise<void> {
    if (wanted <= this.#segment.firstSequenceNumber) return;
    const entries = await readIndex(this.#log.files, this.#segment);
    const entry = entries.findLast(({ firstSequenceNumber }) => firstSequenceNumber <= wanted);
    if (!entry) return;
    const [first, found] = await Promise.all([this.#headerAt(0), this.#headerAt(entry.position)]);
    if (found?.firstSequenceNumber !== entry.firstSequenceNumber || found.salt !== first?.salt) return;
    this.#offset = entry.position;
    this.#nextSequenceNumber = found.firstSequenceNumber;
  }

  async #headerAt(position: number): Promise<BlockHeader | undefined> {
    const bytes = Buffer.alloc(blockHeaderBytes);
    return readBlockHeader(bytes.subarray(0, await this.#file.read(bytes, position)), 0);
  }

  async #openNextSegment(): Promise<void> {
    const opened = await openSegment(this.#log, segments => {
      const next = segments.find(({ firstSequenceNumber }) => firstSequenceNumber > this.#segment.firstSequenceNumber);
      if (next?.firstSequenceNumber === this.#nextSequenceNumber) return next;
      // Retention has overtaken this reader; a gap behind a segment that is still there is damage.
      return next === segments[0] ? next : undefined;
    });
    if (!opened) throw this.corruption('the records behind it, which were durable, are not there');
    const left = this.#file;
    if (opened.segment.firstSequenceNumber !== this.#nextSequenceNumber) this.#checksum = undefined;
    this.#segment = opened.segment;
    this.#file = opened.file;
    this.#offset = 0;
    this.#nextSequenceNumber = opened.segment.firstSequenceNumber;
    await left.close();
  }

  /** One read of at least one whole block, or nothing at the end of the segment. */
  async #readBlocks(bytesWanted: number): Promise<Buffer> {
    const { chunkBytesMin } = cursorLimits;
    const chunk = Buffer.allocUnsafe(Math.min(this.#chunkBytes, Math.max(bytesWanted, chunkBytesMin)));
    const bytes = await this.#file.read(chunk, this.#offset);
    this.#adaptTo(bytes);
    const header = readBlockHeader(chunk.subarray(0, bytes), 0);
    if (!header) return chunk.subarray(0, 0);
    const blockBytes = blockBytesOf(header);
    if (blockBytes <= bytes || bytes < chunk.length) return chunk.subarray(0, bytes);
    const whole = Buffer.allocUnsafe(blockBytes);
    return whole.subarray(0, await this.#file.read(whole, this.#offset));
  }

  /** A reader that keeps up finds little each time, and should not take megabytes for it. */
  #adaptTo(bytesFound: number): void {
    const { chunkBytesMin, chunkBytesMax } = cursorLimits;
    if (bytesFound === this.#chunkBytes) this.#chunkBytes = Math.min(this.#chunkBytes * 2, chunkBytesMax);
    else if (bytesFound < this.#chunkBytes / 4) this.#chunkBytes = Math.max(this.#chunkBytes / 2, chunkBytesMin);
  }
}

async function openSegment(
  { files, directory }: LogFiles,
  choose: (segments: Segment[]) => Segment | undefined,
): Promise<{ segment: Segment; file: File } | undefined> {
  for (let attempt = 1; ; attempt++) {
    const segment = choose(await listSegments(files, directory));
    if (!segment) return undefined;
    try {
      return { segment, file: await files.open(segment.path, { readOnly: true }) };
    } catch (error) {
      if (codeOf(error) !== 'ENOENT' || attempt === cursorLimits.openAttemptsMax) throw error;
    }
  }
}
