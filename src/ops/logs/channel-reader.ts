/**
 * A channel of the logs as a stream, so that a function can consume it as it consumes telemetry: each writer is a shard,
 * each line a record. Its partition key is the thing, else the function, so the lines of one stay in order. A sequence
 * number says where the line ends: the segment in the upper bits, the byte in the lower 32.
 */
import { joinPath } from '../../kernel/files.ts';
import {
  type RecordFilter,
  type SequenceNumber,
  type Shard,
  type ShardId,
  type StartingPosition,
  type StreamReader,
  type StreamRecord,
  wholeShard,
} from '../../platform/stream/index.ts';
import { logLimits } from '../limits.ts';
import { decodeBlocks } from './block.ts';
import { parseLine } from './line.ts';
import type { LogReaderOptions } from './log-reader.ts';
import type { Position } from './scan.ts';
import { listSegments, type Segment } from './segments.ts';
import { endOf, readOn, type TailLine } from './tail.ts';
import { WrittenLines } from './written-lines.ts';

export interface LogChannelReaderOptions extends LogReaderOptions {
  readonly channel: string;
}

export class LogChannelReader implements StreamReader {
  readonly #options: LogChannelReaderOptions;
  readonly #written: WrittenLines;

  constructor(options: LogChannelReaderOptions) {
    this.#options = options;
    this.#written = new WrittenLines(options);
  }

  async read(
    shardId: ShardId,
    after: SequenceNumber | null,
    bytesMax: number,
    wants?: RecordFilter,
  ): Promise<StreamRecord[]> {
    const { lines } = await this.#readOn(shardId, after, bytesMax);
    const records: StreamRecord[] = [];
    for (const [index, line] of lines.entries()) {
      const isWanted = wants === undefined || wants(line.bytes, 0, line.bytes.length);
      if (isWanted || index === lines.length - 1) records.push(recordOf(line));
    }
    return records;
  }

  async waitBeyond(shardId: ShardId, after: SequenceNumber | null, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const mark = this.#written.mark();
      const { lines } = await this.#readOn(shardId, after, 1);
      if (lines.length > 0) return;
      await this.#written.beyond(mark, signal);
    }
  }

  async locate(shardId: ShardId, position: StartingPosition): Promise<SequenceNumber | null> {
    const segments = this.#segmentsOf(shardId);
    switch (position.type) {
      case 'TRIM_HORIZON':
        return null;
      case 'AFTER_SEQUENCE_NUMBER':
        return position.sequenceNumber;
      case 'AT_SEQUENCE_NUMBER':
        return this.#startOf(segments, positionOf(position.sequenceNumber));
      case 'LATEST': {
        const end = await endOf(this.#options.files, segments);
        return end === undefined ? null : sequenceNumberOf(end);
      }
      case 'AT_TIMESTAMP':
        return this.#before(segments, position.atMs);
    }
  }

  async shards(): Promise<Shard[]> {
    const { files, directory, channel } = this.#options;
    return [...listSegments(files, joinPath(directory, channel))].map(([writer, segments]) => ({
      shardId: writer,
      hashKeys: wholeShard().hashKeys,
      startingSequenceNumber: sequenceNumberOf({ number: segments[0].number, offset: 1 }),
    }));
  }

  async close(): Promise<void> {
    this.#written.close();
  }

  /** [] when nothing was written yet: a channel begins with its first line. */
  #segmentsOf(shardId: ShardId): readonly Segment[] {
    const { files, directory, channel } = this.#options;
    return listSegments(files, joinPath(directory, channel)).get(shardId) ?? [];
  }

  #readOn(shardId: ShardId, after: SequenceNumber | null, bytesMax: number) {
    const segments = this.#segmentsOf(shardId);
    const newest = segments.at(-1);
    const from = after === null ? oldest : positionOf(after);
    // Somebody has removed the logs, and their numbers begin again. They are no truth that must not be lost.
    const isGone = newest !== undefined && from.number > newest.number;
    return readOn(this.#options.files, segments, isGone ? oldest : from, bytesMax);
  }

  /** What to read after to begin with the line that ends at `end`. */
  async #startOf(segments: readonly Segment[], end: Position): Promise<SequenceNumber> {
    const start = { number: end.number, offset: Math.max(end.offset - logLimits.lineBytesMax * 2, 0) };
    const { lines } = await readOn(this.#options.files, segments, start, 1);
    const line = lines.find(({ at, bytes }) => at.number === end.number && at.offset + bytes.length + 1 >= end.offset);
    return sequenceNumberOf(line?.at ?? end);
  }

  /** What to read after to begin with the first line at or after `atMs`. */
  async #before(segments: readonly Segment[], atMs: number): Promise<SequenceNumber | null> {
    const { files } = this.#options;
    let from: Position = oldest;
    for (const segment of segments) {
      const size = files.sizeOf(segment.linesPath) ?? 0;
      const blocks = decodeBlocks(files.readAll(segment.indexPath) ?? Buffer.alloc(0), size);
      const block = blocks.find(({ maxMs }) => maxMs >= atMs);
      from = { number: segment.number, offset: block?.start ?? blocks.at(-1)?.end ?? 0 };
      if (block !== undefined) break;
    }
    for (;;) {
      const { lines, next } = await readOn(files, segments, from, logLimits.followReadBytes);
      const first = lines.find(({ text }) => timeOf(text) >= atMs);
      if (first !== undefined) return sequenceNumberOf(first.at);
      if (lines.length === 0) return segments.length === 0 ? null : sequenceNumberOf(next);
      from = next;
    }
  }
}

const oldest: Position = { number: 0, offset: 0 };

function recordOf({ bytes, text, at }: TailLine): StreamRecord {
  const line = parseLine(text);
  return {
    sequenceNumber: sequenceNumberOf({ number: at.number, offset: at.offset + bytes.length + 1 }),
    partitionKey: line?.thingName ?? line?.functionName ?? 'none',
    data: bytes,
    arrivalAtMs: timeOf(text),
  };
}

function timeOf(text: string): number {
  const atMs = Date.parse(parseLine(text)?.time ?? '');
  return Number.isNaN(atMs) ? 0 : atMs;
}

function sequenceNumberOf({ number, offset }: Position): SequenceNumber {
  return (BigInt(number) << 32n) | BigInt(offset);
}

function positionOf(sequenceNumber: SequenceNumber): Position {
  return { number: Number(sequenceNumber >> 32n), offset: Number(sequenceNumber & 0xffff_ffffn) };
}
