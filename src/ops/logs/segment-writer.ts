/**
 * Adds lines to the segments of one writer in one channel, and removes what is too old or too much. Every call is done
 * when it returns: a line that was added is readable, by whomever, whatever becomes of this thread. What the disk refuses
 * is thrown, and this writer is over then: opening another repairs what is torn.
 */
import type { AppendFile, AppendFiles } from '../../kernel/append-files.ts';
import type { LogLevel } from '../../kernel/log.ts';
import { logLimits } from '../limits.ts';
import { type Block, BlockBuilder, blockEntryBytes, decodeBlocks, encodeBlock, type Terms } from './block.ts';
import { parseLine } from './line.ts';
import { listSegments, type Segment, segmentNumberMax, segmentOf } from './segments.ts';

export interface SegmentWriterOptions {
  readonly files: AppendFiles;
  /** Of the channel. */
  readonly directory: string;
  readonly writer: string;
  readonly retention: Retention;
  readonly nowMs: number;
  /** Default: `logLimits.segmentBytesMax`, or less so that retention has eight to choose from. */
  readonly segmentBytesMax?: number;
}

export interface Retention {
  readonly ms: number;
  readonly bytesMax: number;
}

interface Kept {
  readonly segment: Segment;
  readonly bytes: number;
  /** No line of it is newer, unless the clock was set. */
  readonly endedAtMs: number;
}

export class SegmentWriter {
  readonly #options: SegmentWriterOptions;
  readonly #segmentBytesMax: number;
  /** The older ones, oldest first. */
  readonly #kept: Kept[] = [];
  #segment: Segment;
  #lines: AppendFile;
  #index: AppendFile;
  #block: BlockBuilder;
  #indexBytes = 0;
  #lastAtMs: number;
  readonly #buffer = Buffer.allocUnsafe(logLimits.lineBytesMax * 3 + 1); // as UTF-8 may take it

  constructor(options: SegmentWriterOptions) {
    const { files, directory, writer, nowMs, retention } = options;
    this.#options = options;
    const share = Math.max(Math.floor(retention.bytesMax / 8), logLimits.lineBytesMax);
    this.#segmentBytesMax = options.segmentBytesMax ?? Math.min(logLimits.segmentBytesMax, share);
    files.makeDirectory(directory);
    const segments = listSegments(files, directory).get(writer) ?? [];
    const newest = segments.pop();
    for (const [index, segment] of segments.entries()) {
      const next = segments[index + 1] ?? newest;
      this.#kept.push({ segment, bytes: bytesOf(files, segment), endedAtMs: next.begunAtMs });
    }
    this.#segment = newest ?? segmentOf(directory, writer, 1, nowMs);
    this.#lines = files.openToAppend(this.#segment.linesPath);
    this.#index = files.openToAppend(this.#segment.indexPath);
    this.#lastAtMs = nowMs;
    this.#block = new BlockBuilder(0);
    if (newest !== undefined) this.#recover();
    this.retain(nowMs);
  }

  /** Which segment is written, and how far: what is added next lies there. */
  get position(): { number: number; offset: number } {
    return { number: this.#segment.number, offset: this.#block.end };
  }

  /** @param line  without its end */
  append(line: string, atMs: number, level: LogLevel, terms: Terms): void {
    const bytes = this.#buffer.write(line, 'utf8');
    this.#buffer[bytes] = 0x0a;
    this.#lines.append(this.#buffer.subarray(0, bytes + 1));
    this.#block.add(bytes + 1, atMs, level, terms);
    this.#lastAtMs = atMs;
    if (this.#block.isFull) this.#endBlock();
    if (this.#block.end >= this.#segmentBytesMax) this.#roll(atMs);
  }

  /** Removes what retention does not keep. The newest segment stays, so that its number is never used again. */
  retain(nowMs: number): void {
    const { files, retention } = this.#options;
    if (files.sizeOf(this.#segment.linesPath) === undefined) throw new Error('somebody has removed the newest segment');
    const isOld = this.#lastAtMs < nowMs - retention.ms;
    if (isOld && this.#block.end > 0) this.#roll(nowMs);
    let bytes = Math.max(this.#block.end + this.#indexBytes, this.#segmentBytesMax * withIndex); // room to be filled
    for (const kept of this.#kept) bytes += kept.bytes;
    while (this.#kept.length > 0) {
      const [{ segment, bytes: freed, endedAtMs }] = this.#kept;
      if (bytes <= retention.bytesMax && endedAtMs >= nowMs - retention.ms) return;
      files.remove(segment.linesPath);
      files.remove(segment.indexPath);
      this.#kept.shift();
      bytes -= freed;
    }
  }

  close(): void {
    this.#lines.close();
    this.#index.close();
  }

  /** Ends what a crash has torn, and makes again what is missing of the index. */
  #recover(): void {
    const { files } = this.#options;
    const lines = files.readAll(this.#segment.linesPath) ?? Buffer.alloc(0);
    const index = files.readAll(this.#segment.indexPath) ?? Buffer.alloc(0);
    const end = lines.lastIndexOf(0x0a) + 1;
    if (end < lines.length) this.#lines.truncate(end);
    const blocks = decodeBlocks(index, end);
    if (blocks.length * blockEntryBytes < index.length) this.#index.truncate(blocks.length * blockEntryBytes);
    this.#indexBytes = blocks.length * blockEntryBytes;
    const last: Block | undefined = blocks.at(-1);
    if (last !== undefined) this.#lastAtMs = last.maxMs;
    this.#block = new BlockBuilder(last?.end ?? 0);
    for (let at = this.#block.start; at < end; ) {
      const next = lines.indexOf(0x0a, at) + 1;
      this.#addRecovered(lines.toString('utf8', at, next - 1), next - at);
      at = next;
    }
  }

  #addRecovered(text: string, bytes: number): void {
    const line = parseLine(text);
    const atMs = line === undefined ? this.#lastAtMs : Date.parse(line.time);
    // What is no line takes its place in the block all the same: blocks follow on each other.
    this.#block.add(bytes, Number.isNaN(atMs) ? this.#lastAtMs : atMs, line?.level ?? 'info', line ?? {});
    this.#lastAtMs = this.#block.maxMs;
    if (this.#block.isFull) this.#endBlock();
  }

  #endBlock(): void {
    this.#index.append(encodeBlock(this.#block.build()));
    this.#indexBytes += blockEntryBytes;
    this.#block = new BlockBuilder(this.#block.end);
  }

  #roll(nowMs: number): void {
    const { files, directory, writer } = this.#options;
    if (!this.#block.isEmpty) this.#endBlock();
    this.close();
    const bytes = this.#block.end + this.#indexBytes;
    this.#kept.push({ segment: this.#segment, bytes, endedAtMs: this.#lastAtMs });
    if (this.#segment.number >= segmentNumberMax) throw new Error('there are no more names for segments');
    this.#segment = segmentOf(directory, writer, this.#segment.number + 1, nowMs);
    this.#lines = files.openToAppend(this.#segment.linesPath);
    this.#index = files.openToAppend(this.#segment.indexPath);
    this.#indexBytes = 0;
    this.#block = new BlockBuilder(0);
    this.retain(nowMs);
  }
}

const withIndex = 1.1; // ours: an entry a block is 3 % of it, or more where a block is ended early by many terms

function bytesOf(files: AppendFiles, { linesPath, indexPath }: Segment): number {
  return (files.sizeOf(linesPath) ?? 0) + (files.sizeOf(indexPath) ?? 0);
}
