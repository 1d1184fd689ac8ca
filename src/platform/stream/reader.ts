import { codeOf } from '../../kernel/errors.ts';
import { type File, type Files, joinPath } from '../../kernel/files.ts';
import { checkpointNotReached, streamCorrupt } from './errors.ts';
import type {
  RecordFilter,
  SequenceNumber,
  Shard,
  ShardId,
  StartingPosition,
  StreamReader,
  StreamRecord,
} from './port.ts';
import {
  type BlockHeader,
  blockHeaderBytes,
  blockIsIntact,
  readBlockHeader,
  type Unpacking,
  unpackRecords,
} from './record-batch.ts';
import { listSegments, type Segment } from './segment.ts';
import { wholeShard } from './shards.ts';

/** How a reader, which may live on another thread than the writer, learns what is durable. */
export interface StreamTail {
  /** The last durable sequence number; 0 when there is none. */
  lastSequenceNumber(): SequenceNumber;
  /** Calls `wake` once, soon after the tail is beyond `sequenceNumber` (or already is); returns how to stop waiting. */
  onceBeyond(sequenceNumber: SequenceNumber, wake: () => void): () => void;
}

/** Where the next block to read begins, and what it must begin with. */
interface ReadPosition {
  readonly segment: Segment;
  readonly file: File;
  offset: number;
  nextSequenceNumber: SequenceNumber;
  /** Of the block before; undefined when the reader has not come past it. */
  checksum: number | undefined;
}

const readerLimits = {
  chunkBytesMin: 64 * 1024, // ours: what a reader asks for while little comes
  chunkBytesMax: 2 * 1024 * 1024, // ours: and while much comes; a larger block is read alone
  openAttemptsMax: 3, // ours: retention may remove a file between listing and opening it
} as const;

/** Reads the log of the embedded engine from its files, never past what `tail` says is durable. One consumer each. */
export class EmbeddedStreamReader implements StreamReader {
  readonly #files: Files;
  readonly #directory: string;
  readonly #tail: StreamTail;
  #position: ReadPosition | undefined;
  #chunkBytes: number = readerLimits.chunkBytesMin;

  constructor(options: { files: Files; directory: string; tail: StreamTail }) {
    this.#files = options.files;
    this.#directory = options.directory;
    this.#tail = options.tail;
  }

  async shards(): Promise<Shard[]> {
    return [wholeShard()];
  }

  async locate(shardId: ShardId, position: StartingPosition): Promise<SequenceNumber | null> {
    switch (position.type) {
      case 'TRIM_HORIZON':
        return null;
      case 'LATEST':
        return this.#tail.lastSequenceNumber();
      case 'AT_SEQUENCE_NUMBER':
        return position.sequenceNumber - 1n;
      case 'AFTER_SEQUENCE_NUMBER':
        return position.sequenceNumber;
      case 'AT_TIMESTAMP':
        return this.#beforeTime(shardId, position.atMs);
    }
  }

  async #beforeTime(shardId: ShardId, atMs: number): Promise<SequenceNumber | null> {
    for (let after: SequenceNumber | null = null; ; ) {
      const records: StreamRecord[] = await this.read(shardId, after, readerLimits.chunkBytesMax);
      if (records.length === 0) return this.#tail.lastSequenceNumber();
      const first = records.find(({ arrivalAtMs }) => arrivalAtMs >= atMs);
      if (first !== undefined) return first.sequenceNumber - 1n;
      after = records[records.length - 1].sequenceNumber;
    }
  }

  async read(
    shardId: ShardId,
    after: SequenceNumber | null,
    bytesMax: number,
    wants?: RecordFilter,
  ): Promise<StreamRecord[]> {
    const last = this.#tail.lastSequenceNumber();
    const wanted = (after ?? 0n) + 1n;
    const records: StreamRecord[] = [];
    if (wanted > last + 1n) throw checkpointNotReached(wanted - 1n, last);
    if (wanted > last) return records;
    try {
      let position = await this.#seek(shardId, wanted);
      for (let bytes = 0; bytes < bytesMax && position.nextSequenceNumber <= last; ) {
        const chunk = await this.#readBlocks(position);
        if (chunk.length === 0) position = await this.#openNextSegment(shardId, position);
        else bytes += this.#unpack(chunk, position, last, { wanted, wants, into: records });
      }
    } catch (error) {
      if (records.length === 0) throw error; // What stands before damage is served; the next read throws.
    }
    return records;
  }

  async waitBeyond(_shardId: ShardId, after: SequenceNumber | null, signal: AbortSignal): Promise<void> {
    while (!signal.aborted && this.#tail.lastSequenceNumber() <= (after ?? 0n)) {
      await new Promise<void>(resolve => {
        const stop = this.#tail.onceBeyond(after ?? 0n, done);
        function done() {
          stop();
          signal.removeEventListener('abort', done);
          resolve();
        }
        signal.addEventListener('abort', done);
      });
    }
  }

  async close(): Promise<void> {
    await this.#position?.file.close();
    this.#position = undefined;
  }

  /** Goes on where the last read stopped if possible, else from the start of the segment that holds `wanted`. */
  async #seek(shardId: ShardId, wanted: SequenceNumber): Promise<ReadPosition> {
    if (this.#position?.nextSequenceNumber === wanted) return this.#position;
    return this.#open(shardId, undefined, segments => {
      // The oldest kept when retention has removed it, as TRIM_HORIZON.
      return segments.findLast(segment => segment.firstSequenceNumber <= wanted) ?? segments[0];
    });
  }

  #openNextSegment(shardId: ShardId, leaving: ReadPosition): Promise<ReadPosition> {
    const { nextSequenceNumber, segment: left } = leaving;
    return this.#open(shardId, leaving, segments => {
      const next = segments.find(({ firstSequenceNumber }) => firstSequenceNumber > left.firstSequenceNumber);
      if (next?.firstSequenceNumber === nextSequenceNumber) return next;
      // Retention has overtaken this reader; a gap behind a segment that is still there is damage.
      return next === segments[0] ? next : undefined;
    });
  }

  async #open(
    shardId: ShardId,
    leaving: ReadPosition | undefined,
    choose: (segments: Segment[]) => Segment | undefined,
  ): Promise<ReadPosition> {
    for (let attempt = 1; ; attempt++) {
      const segment = choose(await listSegments(this.#files, this.#directory, shardId));
      if (!segment) {
        const where = leaving?.segment.path ?? joinPath(this.#directory, shardId);
        throw streamCorrupt(where, leaving?.offset ?? 0, 'the records behind it, which were durable, are not there');
      }
      try {
        const file = await this.#files.open(segment.path);
        await this.close();
        const follows = leaving?.nextSequenceNumber === segment.firstSequenceNumber;
        const checksum = follows ? leaving.checksum : undefined;
        this.#position = { segment, file, offset: 0, nextSequenceNumber: segment.firstSequenceNumber, checksum };
        return this.#position;
      } catch (error) {
        if (codeOf(error) !== 'ENOENT' || attempt === readerLimits.openAttemptsMax) throw error;
      }
    }
  }

  /** One read of at least one whole block, or nothing at the end of the file. */
  async #readBlocks(position: ReadPosition): Promise<Buffer> {
    const chunk = Buffer.allocUnsafe(this.#chunkBytes);
    const bytes = await position.file.read(chunk, position.offset);
    this.#adaptTo(bytes);
    const header = readBlockHeader(chunk.subarray(0, bytes), 0);
    if (!header) return chunk.subarray(0, 0);
    const blockBytes = blockHeaderBytes + header.bodyBytes;
    if (blockBytes <= bytes || bytes < chunk.length) return chunk.subarray(0, bytes);
    const whole = Buffer.allocUnsafe(blockBytes);
    return whole.subarray(0, await position.file.read(whole, position.offset));
  }

  /** A reader that keeps up finds little each time, and should not take megabytes for it. */
  #adaptTo(bytesFound: number): void {
    const { chunkBytesMin, chunkBytesMax } = readerLimits;
    if (bytesFound === this.#chunkBytes) this.#chunkBytes = Math.min(this.#chunkBytes * 2, chunkBytesMax);
    else if (bytesFound < this.#chunkBytes / 4) this.#chunkBytes = Math.max(this.#chunkBytes / 2, chunkBytesMin);
  }

  /** Unpacks the whole blocks of `chunk` up to the durable end, moving `position`; returns the bytes of wanted ones. */
  #unpack(chunk: Buffer, position: ReadPosition, last: SequenceNumber, unpacking: Unpacking): number {
    let wantedBytes = 0;
    for (let used = 0; position.nextSequenceNumber <= last; ) {
      const header = readBlockHeader(chunk, used);
      const blockBytes = blockHeaderBytes + (header?.bodyBytes ?? 0);
      if (!header || (used > 0 && used + blockBytes > chunk.length)) break;
      this.#check(chunk, used, header, position);
      const nextSequenceNumber = position.nextSequenceNumber + BigInt(header.count);
      if (nextSequenceNumber > unpacking.wanted) {
        unpackRecords(chunk, used, header, unpacking);
        wantedBytes += blockBytes;
      }
      used += blockBytes;
      position.offset += blockBytes;
      position.nextSequenceNumber = nextSequenceNumber;
      position.checksum = header.checksum;
    }
    return wantedBytes;
  }

  #check(chunk: Buffer, used: number, header: BlockHeader, position: ReadPosition): void {
    const { segment, offset, nextSequenceNumber, checksum } = position;
    if (header.firstSequenceNumber !== nextSequenceNumber) {
      throw streamCorrupt(segment.path, offset, `expected record ${nextSequenceNumber}`);
    }
    if (!blockIsIntact(chunk, used, header)) throw streamCorrupt(segment.path, offset, 'the checksum does not match');
    if (checksum !== undefined && header.previousChecksum !== checksum) {
      throw streamCorrupt(segment.path, offset, 'the block does not follow the one before it');
    }
  }
}
