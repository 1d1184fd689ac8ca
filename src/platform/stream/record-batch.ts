import { crc32 } from 'node:zlib';
import { recordTooLarge } from './errors.ts';
import { streamLimits } from './limits.ts';
import type { SequenceNumber, StreamRecord } from './port.ts';

/**
 * The block is what one group commit writes: a header, then the records. Little endian.
 *   0 magic u32 · 4 crc32 of everything from byte 8 · 8 body bytes u32 · 12 record count u32
 *   16 first sequence number u64 · 24 arrival f64 (Unix epoch ms) · 32 crc32 of the block before (0 = none) · 36 zero u32
 * A record: bytes behind this field u32 · partition key bytes u16 · partition key (UTF-8) · data.
 * A block is valid as a whole or not at all, so a torn write loses only what was never acknowledged; the chained
 * checksum shows a block that is intact but from another time.
 */
export const blockHeaderBytes = 40;
const magic = 0x31534d4d; // "MMS1": the stream format, version 1
const recordHeaderBytes = 6;

/** Records on their way into the log, packed as they arrive: no object, promise or copy per record. */
export class RecordBatch {
  #buffer: Buffer;
  #end = blockHeaderBytes;
  #count = 0;

  constructor(capacityBytes = 64 * 1024) {
    this.#buffer = Buffer.allocUnsafe(capacityBytes);
  }

  get count(): number {
    return this.#count;
  }

  /** Bytes this batch will take in the log. */
  get bytes(): number {
    return this.#end;
  }

  /** Whether the batch should be appended before it takes more. */
  get isFull(): boolean {
    return this.#end >= streamLimits.blockBytesMax;
  }

  /** Adds one record. Throws `stream.recordTooLarge`. */
  add(partitionKey: string, data: Uint8Array): void {
    const at = this.reserve(partitionKey, data.length);
    this.buffer.set(data, at);
  }

  /** Adds one record whose `dataBytes` bytes of data the caller writes into `buffer` at the returned position. */
  reserve(partitionKey: string, dataBytes: number): number {
    const keyBytesAtMost = partitionKey.length * 3; // A UTF-16 unit takes at most three bytes of UTF-8.
    const needed = recordHeaderBytes + keyBytesAtMost + dataBytes;
    if (keyBytesAtMost + dataBytes > streamLimits.recordBytesMax) {
      const bytes = Buffer.byteLength(partitionKey) + dataBytes;
      if (bytes > streamLimits.recordBytesMax) throw recordTooLarge(bytes, streamLimits.recordBytesMax);
    }
    if (this.#end + needed > this.#buffer.length) this.#grow(needed);
    const start = this.#end;
    const keyBytes = this.#buffer.write(partitionKey, start + recordHeaderBytes, 'utf8');
    this.#buffer.writeUInt32LE(2 + keyBytes + dataBytes, start);
    this.#buffer.writeUInt16LE(keyBytes, start + 4);
    const dataAt = start + recordHeaderBytes + keyBytes;
    this.#end = dataAt + dataBytes;
    this.#count++;
    return dataAt;
  }

  /** Where `reserve` points into. Changes when the batch grows, so ask again after each `reserve`. */
  get buffer(): Buffer {
    return this.#buffer;
  }

  /** Completes the header; the result is the block as it stands in the log. Called once, by the engine. */
  seal(firstSequenceNumber: SequenceNumber, arrivalAtMs: number, previousChecksum: number): SealedBlock {
    const block = this.#buffer.subarray(0, this.#end);
    block.writeUInt32LE(magic, 0);
    block.writeUInt32LE(this.#end - blockHeaderBytes, 8);
    block.writeUInt32LE(this.#count, 12);
    block.writeBigUInt64LE(firstSequenceNumber, 16);
    block.writeDoubleLE(arrivalAtMs, 24);
    block.writeUInt32LE(previousChecksum, 32);
    block.writeUInt32LE(0, 36);
    const checksum = crc32(block.subarray(8));
    block.writeUInt32LE(checksum, 4);
    return { bytes: block, checksum };
  }

  #grow(needed: number): void {
    const larger = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#end + needed));
    this.#buffer.copy(larger, 0, 0, this.#end);
    this.#buffer = larger;
  }
}

export interface SealedBlock {
  readonly bytes: Buffer;
  readonly checksum: number;
}

export interface BlockHeader {
  readonly checksum: number;
  readonly bodyBytes: number;
  readonly count: number;
  readonly firstSequenceNumber: SequenceNumber;
  readonly arrivalAtMs: number;
  readonly previousChecksum: number;
}

/** The header at `position`, or undefined when no block can start there. Says nothing about the body. */
export function readBlockHeader(bytes: Buffer, position: number): BlockHeader | undefined {
  if (position + blockHeaderBytes > bytes.length || bytes.readUInt32LE(position) !== magic) return undefined;
  return {
    checksum: bytes.readUInt32LE(position + 4),
    bodyBytes: bytes.readUInt32LE(position + 8),
    count: bytes.readUInt32LE(position + 12),
    firstSequenceNumber: bytes.readBigUInt64LE(position + 16),
    arrivalAtMs: bytes.readDoubleLE(position + 24),
    previousChecksum: bytes.readUInt32LE(position + 32),
  };
}

/** Whether the whole block of `header` stands at `position`, unharmed. */
export function blockIsIntact(bytes: Buffer, position: number, header: BlockHeader): boolean {
  const end = position + blockHeaderBytes + header.bodyBytes;
  return end <= bytes.length && crc32(bytes.subarray(position + 8, end)) === header.checksum;
}

/** The records of an intact block that come after `after`, appended to `into`. */
export function unpackRecords(
  bytes: Buffer,
  position: number,
  header: BlockHeader,
  after: SequenceNumber | null,
  into: StreamRecord[],
): void {
  let at = position + blockHeaderBytes;
  const skip =
    after === null || after < header.firstSequenceNumber ? 0 : Number(after - header.firstSequenceNumber) + 1;
  for (let index = 0; index < header.count; index++) {
    const next = at + 4 + bytes.readUInt32LE(at);
    if (index >= skip) {
      const dataAt = at + recordHeaderBytes + bytes.readUInt16LE(at + 4);
      into.push({
        sequenceNumber: header.firstSequenceNumber + BigInt(index),
        partitionKey: bytes.toString('utf8', at + recordHeaderBytes, dataAt),
        data: bytes.subarray(dataAt, next),
        arrivalAtMs: header.arrivalAtMs,
      });
    }
    at = next;
  }
}
