import { type File, type Files, joinPath } from '../../kernel/files.ts';
import { streamCorrupt } from './errors.ts';
import { streamLimits } from './limits.ts';
import type { SequenceNumber, ShardId, StreamReader, StreamRecord } from './port.ts';
import { type BlockHeader, blockHeaderBytes, blockIsIntact, readBlockHeader, unpackRecords } from './record-batch.ts';
import { listSegments, type Segment } from './segment.ts';

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
}

/** Reads the log of the embedded engine from its files, never past what `tail` says is durable. One consumer each. */
export class EmbeddedStreamReader implements StreamReader {
  readonly #files: Files;
  readonly #directory: string;
  readonly #tail: StreamTail;
  #position: ReadPosition | undefined;

  constructor(options: { files: Files; directory: string; tail: StreamTail }) {
    this.#files = options.files;
    this.#directory = options.directory;
    this.#tail = options.tail;
  }

  async shards(): Promise<ShardId[]> {
    return this.#files.list(this.#directory);
  }

  async read(shardId: ShardId, after: SequenceNumber | null, bytesMax: number): Promise<StreamRecord[]> {
    const last = this.#tail.lastSequenceNumber();
    const wanted = (after ?? 0n) + 1n;
    const records: StreamRecord[] = [];
    if (wanted > last) return records;
    let position = await this.#seek(shardId, wanted);
    for (let bytes = 0; bytes < bytesMax && position.nextSequenceNumber <= last; ) {
      const chunk = await this.#readBlocks(position, bytesMax - bytes);
      if (chunk.length === 0) {
        position = await this.#openSegmentOf(shardId, position.nextSequenceNumber, position);
        continue;
      }
      bytes += this.#unpack(chunk, position, last, after, records);
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

  /** The position of the block that holds `wanted`, by going on where the last read stopped if possible. */
  async #seek(shardId: ShardId, wanted: SequenceNumber): Promise<ReadPosition> {
    const at = this.#position;
    if (at && at.nextSequenceNumber === wanted) return at;
    const position = await this.#openSegmentOf(shardId, wanted, undefined);
    const header = Buffer.allocUnsafe(blockHeaderBytes);
    for (;;) {
      const bytes = await position.file.read(header, position.offset);
      const found = readBlockHeader(header.subarray(0, bytes), 0);
      if (!found || found.firstSequenceNumber + BigInt(found.count) > wanted) return position;
      position.offset += blockHeaderBytes + found.bodyBytes;
      position.nextSequenceNumber = found.firstSequenceNumber + BigInt(found.count);
    }
  }

  /** Opens the newest segment that starts at or before `wanted` (or the oldest kept, when that is gone). */
  async #openSegmentOf(
    shardId: ShardId,
    wanted: SequenceNumber,
    leaving: ReadPosition | undefined,
  ): Promise<ReadPosition> {
    const segments = await listSegments(this.#files, this.#directory, shardId);
    const segment = segments.findLast(candidate => candidate.firstSequenceNumber <= wanted) ?? segments[0];
    if (!segment || (leaving && segment.path === leaving.segment.path)) {
      const where = leaving?.segment.path ?? joinPath(this.#directory, shardId);
      throw streamCorrupt(where, leaving?.offset ?? 0, `record ${wanted}, which was made durable, is not there`);
    }
    await this.#position?.file.close();
    this.#position = {
      segment,
      file: await this.#files.open(segment.path),
      offset: 0,
      nextSequenceNumber: segment.firstSequenceNumber,
    };
    return this.#position;
  }

  /** One read of at least one whole block, or nothing at the end of the file. */
  async #readBlocks(position: ReadPosition, bytesWanted: number): Promise<Buffer> {
    const atLeast = Math.max(bytesWanted, blockHeaderBytes);
    const chunk = Buffer.allocUnsafe(Math.min(atLeast, streamLimits.blockBytesMax));
    const bytes = await position.file.read(chunk, position.offset);
    const header = readBlockHeader(chunk.subarray(0, bytes), 0);
    if (!header) return chunk.subarray(0, 0);
    const blockBytes = blockHeaderBytes + header.bodyBytes;
    if (blockBytes <= bytes) return chunk.subarray(0, bytes);
    const whole = Buffer.allocUnsafe(blockBytes);
    return whole.subarray(0, await position.file.read(whole, position.offset));
  }

  /** Unpacks the whole blocks of `chunk` up to the durable end, moving `position`; returns the bytes used. */
  #unpack(
    chunk: Buffer,
    position: ReadPosition,
    last: SequenceNumber,
    after: SequenceNumber | null,
    into: StreamRecord[],
  ): number {
    let used = 0;
    while (position.nextSequenceNumber <= last) {
      const header = readBlockHeader(chunk, used);
      if (!header || (used > 0 && used + blockHeaderBytes + header.bodyBytes > chunk.length)) break;
      this.#check(chunk, used, header, position);
      unpackRecords(chunk, used, header, after, into);
      used += blockHeaderBytes + header.bodyBytes;
      position.offset += blockHeaderBytes + header.bodyBytes;
      position.nextSequenceNumber += BigInt(header.count);
    }
    return used;
  }

  #check(chunk: Buffer, used: number, header: BlockHeader, position: ReadPosition): void {
    if (header.firstSequenceNumber !== position.nextSequenceNumber) {
      throw streamCorrupt(position.segment.path, position.offset, `expected record ${position.nextSequenceNumber}`);
    }
    if (!blockIsIntact(chunk, used, header)) {
      throw streamCorrupt(position.segment.path, position.offset, 'the checksum does not match');
    }
  }
}
