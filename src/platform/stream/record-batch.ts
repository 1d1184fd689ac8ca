import assert from 'node:assert/strict';
import { crc32 } from 'node:zlib';
import { hashKeyNotValid, partitionKeyNotValid, recordTooLarge } from './errors.ts';
import { streamLimits } from './limits.ts';
import type { RecordFilter, SequenceNumber, StreamRecord } from './port.ts';
import { hashKeyMax } from './shards.ts';

/**
 * The block is what one batch becomes in the log: a header, then the records. Little endian.
 *   0 magic u32 · 4 crc32 of everything from byte 8 · 8 body bytes u32 · 12 record count u32
 *   16 first sequence number u64 · 24 arrival f64 (Unix epoch ms) · 32 crc32 of the block before (0 = none) u32
 *   36 bytes of the same group commit before this block u32 · 40 salt of the log u32
 * A record: bytes behind this field u32 · partition key bytes u16 · partition key (UTF-8) · data.
 * A block is valid as a whole or not at all, so a torn write loses only what was never acknowledged; the chained
 * checksum shows a block that is intact but from another time. A group is written only after the one before it was
 * synced, so where a group starts tells a torn tail from damage; nobody who does not know the salt can write a payload
 * that is taken for a block.
 */
export const blockHeaderBytes = 44;
const magic = 0x32534d4d; // "MMS2": the stream format, version 2
export const magicBytes = Buffer.from('MMS2', 'latin1');
const recordHeaderBytes = 6;

/** Records on their way into the log, packed as they arrive: no object, promise or copy per record. */
export class RecordBatch {
  #buffer: Buffer;
  #end = blockHeaderBytes;
  #count = 0;
  #sealed = false;
  #explicitHashKeys: Map<number, bigint> | undefined;

  constructor(capacityBytes = 64 * 1024) {
    this.#buffer = Buffer.allocUnsafe(capacityBytes);
  }

  /** By index of the record; most batches have none. */
  get explicitHashKeys(): ReadonlyMap<number, bigint> | undefined {
    return this.#explicitHashKeys;
  }

  get count(): number {
    return this.#count;
  }

  /** Bytes this batch will take in the log. */
  get bytes(): number {
    return this.#end;
  }

  /** Whether the next record should go into another batch: one as large as a record may be could be refused. */
  get isFull(): boolean {
    return this.#end + recordHeaderBytes + streamLimits.recordBytesMax > streamLimits.blockBytesMax;
  }

  /**
   * Adds one record. It goes to the shard of its partition key, or of the explicit hash key if there is one.
   * Throws as `reserve` does, and `stream.hashKeyNotValid`.
   */
  add(partitionKey: string, data: Uint8Array, explicitHashKey?: bigint): void {
    if (explicitHashKey !== undefined) checkHashKey(explicitHashKey);
    const at = this.reserve(partitionKey, data.length);
    this.buffer.set(data, at);
    if (explicitHashKey === undefined) return;
    this.#explicitHashKeys ??= new Map();
    this.#explicitHashKeys.set(this.#count - 1, explicitHashKey);
  }

  /**
   * Adds one record whose `dataBytes` bytes of data the caller writes into `buffer` at the returned position.
   * Throws `stream.recordTooLarge` or `stream.partitionKeyNotValid`; the batch is then as it was.
   */
  reserve(partitionKey: string, dataBytes: number): number {
    assert(!this.#sealed); // The batch is the stream's: what came now would never be written.
    checkPartitionKey(partitionKey);
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
    assert(this.#end <= streamLimits.blockBytesMax); // The caller asks `isFull` before it adds.
    this.#count++;
    return dataAt;
  }

  /** Where `reserve` points into. Changes when the batch grows, so ask again after each `reserve`. */
  get buffer(): Buffer {
    return this.#buffer;
  }

  /** Completes the header; the result is the block as it stands in the log. Called once, by the engine. */
  seal(place: BlockPlace): SealedBlock {
    this.#sealed = true;
    const block = this.#buffer.subarray(0, this.#end);
    block.writeUInt32LE(magic, 0);
    block.writeUInt32LE(this.#end - blockHeaderBytes, 8);
    block.writeUInt32LE(this.#count, 12);
    block.writeBigUInt64LE(place.firstSequenceNumber, 16);
    block.writeDoubleLE(place.arrivalAtMs, 24);
    block.writeUInt32LE(place.previousChecksum, 32);
    block.writeUInt32LE(place.groupBytesBefore, 36);
    block.writeUInt32LE(place.salt, 40);
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

function checkHashKey(hashKey: bigint): void {
  if (hashKey < 0n || hashKey > hashKeyMax) throw hashKeyNotValid('is below 0 or above 2^128 - 1');
}

function checkPartitionKey(partitionKey: string): void {
  const { partitionKeyCharactersMax } = streamLimits;
  if (partitionKey.length === 0) throw partitionKeyNotValid('is empty');
  if (partitionKey.length > partitionKeyCharactersMax) {
    // A character takes one or two UTF-16 units; counting is left to the few keys that may still be short enough.
    const isTooLong = partitionKey.length > 2 * partitionKeyCharactersMax;
    if (isTooLong || [...partitionKey].length > partitionKeyCharactersMax) {
      throw partitionKeyNotValid(`is longer than ${partitionKeyCharactersMax} characters`);
    }
  }
  // Stored as UTF-8, keys with lone surrogates would come back changed, and as one.
  if (!partitionKey.isWellFormed()) throw partitionKeyNotValid('is not well-formed Unicode');
}

/** What a block says of its place in the log. */
export interface BlockPlace {
  readonly firstSequenceNumber: SequenceNumber;
  readonly arrivalAtMs: number;
  /** Checksum of the block before, in this segment or the one before it; 0 for the first of a log. */
  readonly previousChecksum: number;
  /** Bytes of the same group commit that stand before this block. */
  readonly groupBytesBefore: number;
  /** The same in every block of a log, and unknown outside. */
  readonly salt: number;
}

export interface SealedBlock {
  readonly bytes: Buffer;
  readonly checksum: number;
}

export interface BlockHeader extends BlockPlace {
  readonly checksum: number;
  readonly bodyBytes: number;
  readonly count: number;
}

/** The header at `position`, or undefined when no block can start there. Says nothing about the body. */
export function readBlockHeader(bytes: Buffer, position: number): BlockHeader | undefined {
  if (position + blockHeaderBytes > bytes.length || bytes.readUInt32LE(position) !== magic) return undefined;
  const bodyBytes = bytes.readUInt32LE(position + 8);
  if (blockHeaderBytes + bodyBytes > streamLimits.blockBytesMax) return undefined; // Damage must not cost memory.
  return {
    checksum: bytes.readUInt32LE(position + 4),
    bodyBytes,
    count: bytes.readUInt32LE(position + 12),
    firstSequenceNumber: bytes.readBigUInt64LE(position + 16),
    arrivalAtMs: bytes.readDoubleLE(position + 24),
    previousChecksum: bytes.readUInt32LE(position + 32),
    groupBytesBefore: bytes.readUInt32LE(position + 36),
    salt: bytes.readUInt32LE(position + 40),
  };
}

/** Whether the whole block of `header` stands at `position`, unharmed. */
export function blockIsIntact(bytes: Buffer, position: number, header: BlockHeader): boolean {
  const end = position + blockHeaderBytes + header.bodyBytes;
  return end <= bytes.length && crc32(bytes.subarray(position + 8, end)) === header.checksum;
}

/** Which records of a block are unpacked, and into what. */
export interface Unpacking {
  /** The first sequence number. */
  readonly wanted: SequenceNumber;
  readonly wants: RecordFilter | undefined;
  readonly into: StreamRecord[];
}

/**
 * Unpacks the wanted records of an intact block, and its last one in any case, which replaces a last one that was there
 * only for that reason. Their data are views into `bytes`.
 */
export function unpackRecords(bytes: Buffer, position: number, header: BlockHeader, unpacking: Unpacking): void {
  const { firstSequenceNumber, arrivalAtMs, count } = header;
  const { wanted, wants, into } = unpacking;
  const skip = wanted <= firstSequenceNumber ? 0 : Number(wanted - firstSequenceNumber);
  dropMarker(into, wants);
  let at = position + blockHeaderBytes;
  for (let index = 0; index < count; index++) {
    const next = at + 4 + bytes.readUInt32LE(at);
    if (index >= skip) {
      const dataAt = at + recordHeaderBytes + bytes.readUInt16LE(at + 4);
      if (!wants || index === count - 1 || wants(bytes, dataAt, next)) {
        into.push({
          sequenceNumber: firstSequenceNumber + BigInt(index),
          partitionKey: bytes.toString('utf8', at + recordHeaderBytes, dataAt),
          data: bytes.subarray(dataAt, next),
          arrivalAtMs,
        });
      }
    }
    at = next;
  }
}

/** Takes out the record that stands for how far the block before reached, unless it is wanted. */
function dropMarker(into: StreamRecord[], wants: RecordFilter | undefined): void {
  const last = into.at(-1);
  if (last && wants && !wants(last.data, 0, last.data.length)) into.pop();
}
