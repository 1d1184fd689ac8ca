/**
 * Readers for callers who come and go, each with a place of its own: who goes on where somebody stopped gets the same reader,
 * with what it has read beyond. Files and bytes are bounded over all streams.
 */

import { codeOf } from '../../../kernel/errors.ts';
import { Fifo } from '../../../kernel/fifo.ts';
import type { SequenceNumber, ShardId, StreamReader, StreamRecord } from '../port.ts';
import { catalogLimits } from './limits.ts';

/** What readers are opened on. */
export interface Source {
  openReader(): StreamReader;
}

export interface ReadSize {
  readonly recordsMax: number;
  /** Of keys and data. One record is given whatever its size. */
  readonly bytesMax: number;
}

export interface ReadPage {
  readonly records: readonly StreamRecord[];
  /** The first record behind them, when there is one. */
  readonly next: StreamRecord | undefined;
}

interface Cursor {
  source: Source;
  reader: StreamReader;
  shardId: ShardId;
  /** What it has given out; null: nothing yet. */
  after: SequenceNumber | null;
  /** What comes behind, as far as it has been read. */
  rest: StreamRecord[];
  restBytes: number;
  isBusy: boolean;
}

const chunkBytes = 256 * 1024; // ours: what is read at once; a block may be larger

export class Cursors {
  /** The least recently used first. */
  readonly #cursors = new Set<Cursor>();
  readonly #waiting = new Fifo<() => void>();
  #restBytes = 0;

  /** Throws as `StreamReader.read`, but behind the last record there are none. */
  async read(source: Source, shardId: ShardId, after: SequenceNumber | null, size: ReadSize): Promise<ReadPage> {
    const cursor = await this.#acquire(source, shardId, after);
    try {
      return await this.#take(cursor, size);
    } catch (error) {
      await this.#drop(cursor);
      if (codeOf(error) === 'stream.checkpointNotReached') return { records: [], next: undefined };
      throw error;
    } finally {
      this.#release(cursor);
    }
  }

  /** Ends all readers of a source, those at work included. */
  async close(source?: Source): Promise<void> {
    const ending = [...this.#cursors].filter(cursor => source === undefined || cursor.source === source);
    await Promise.all(ending.map(cursor => this.#drop(cursor)));
  }

  async #take(cursor: Cursor, { recordsMax, bytesMax }: ReadSize): Promise<ReadPage> {
    const records: StreamRecord[] = [];
    let bytes = 0;
    for (;;) {
      if (cursor.rest.length === 0) await this.#readOn(cursor);
      const next = cursor.rest[0];
      if (next === undefined) return { records, next };
      let taken = 0;
      for (const record of cursor.rest) {
        const recordBytes = bytesOf(record);
        const isFull = records.length === recordsMax || (records.length > 0 && bytes + recordBytes > bytesMax);
        if (isFull) break;
        records.push(record);
        bytes += recordBytes;
        taken++;
      }
      if (taken === 0) return { records, next };
      cursor.after = records[records.length - 1].sequenceNumber;
      cursor.rest = cursor.rest.slice(taken);
    }
  }

  async #readOn(cursor: Cursor): Promise<void> {
    this.#forget(cursor);
    cursor.rest = await cursor.reader.read(cursor.shardId, cursor.after, chunkBytes);
    for (const record of cursor.rest) cursor.restBytes += bytesOf(record);
    this.#restBytes += cursor.restBytes;
    for (const other of this.#cursors) {
      if (this.#restBytes <= catalogLimits.restBytesMax) break;
      if (!other.isBusy) this.#forget(other);
    }
  }

  /** What was read beyond is read again when somebody comes for it. */
  #forget(cursor: Cursor): void {
    this.#restBytes -= cursor.restBytes;
    cursor.restBytes = 0;
    cursor.rest = [];
  }

  async #acquire(source: Source, shardId: ShardId, after: SequenceNumber | null): Promise<Cursor> {
    for (;;) {
      const idle = [...this.#cursors].filter(cursor => !cursor.isBusy);
      const same = idle.find(each => each.source === source && each.shardId === shardId && each.after === after);
      const cursor = same ?? this.#open(source, shardId, after, idle);
      if (cursor) {
        cursor.isBusy = true;
        this.#cursors.delete(cursor);
        this.#cursors.add(cursor);
        return cursor;
      }
      await new Promise<void>(resolve => void this.#waiting.push(resolve));
    }
  }

  /** Undefined while all that there may be are at work. */
  #open(source: Source, shardId: ShardId, after: SequenceNumber | null, idle: Cursor[]): Cursor | undefined {
    if (this.#cursors.size >= catalogLimits.readersMax) {
      const [oldest] = idle;
      if (oldest === undefined) return undefined;
      void this.#drop(oldest);
    }
    return { source, reader: source.openReader(), shardId, after, rest: [], restBytes: 0, isBusy: false };
  }

  #release(cursor: Cursor): void {
    cursor.isBusy = false;
    if (!this.#cursors.has(cursor)) this.#forget(cursor); // Its source was closed meanwhile.
    this.#waiting.shift()?.();
  }

  async #drop(cursor: Cursor): Promise<void> {
    this.#cursors.delete(cursor);
    this.#forget(cursor);
    await cursor.reader.close();
  }
}

/** What a record counts for in limits: its key and its data. */
export function bytesOf({ partitionKey, data }: StreamRecord): number {
  return Buffer.byteLength(partitionKey) + data.length;
}
