import { crc32 } from 'node:zlib';
import { streamLimits } from '../limits.ts';
import type { PassedRecords, RecordFilter, SequenceNumber, StreamRecord } from '../port.ts';

/**
 * A block is what the records of one shard in one group commit become in the log: a header, then the records. Little
 * endian.
 *   0 magic u32 · 4 crc32 of the body u32 · 8 body bytes u32 · 12 record count u32
 *   16 first sequence number u64 · 24 arrival f64 (Unix epoch ms) · 32 checksum of the block before (0 = none) u32
 *   36 bytes of the same group commit before this block u32 · 40 salt of the log u32 · 44 number of the shard u32
 *   48 crc32 of bytes 0 to 48, the checksum of the block u32
 * A record: bytes behind this field u32 · partition key bytes u16 · partition key (UTF-8) · data.
 * A block is valid as a whole or not at all, so a torn write loses only what was never acknowledged. The header has a
 * checksum of its own, so that a reader can step over the blocks of other shards; the chain of checksums shows a block
 * that is intact but from another time. A group is written only after the one before it was synced, so where a group
 * starts tells a torn tail from damage; nobody who does not know the salt can write a payload that is taken for a block.
 *
 * Version 2 had one shard: no bytes from 44 on, and at 4 the crc32 of everything from byte 8, the checksum of the block.
 */
export const blockHeaderBytes = 52;
const magic = 0x33534d4d; // "MMS3": the stream format, version 3
const magicBefore = 0x32534d4d; // "MMS2"
const blockHeaderBytesBefore = 44;
/** What the blocks of all versions begin with. */
export const magicStart = Buffer.from('MMS', 'latin1');
export const recordHeaderBytes = 6;

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

export interface BlockHeader extends BlockPlace {
  readonly headerBytes: number;
  readonly checksum: number;
  readonly bodyChecksum: number;
  readonly bodyBytes: number;
  readonly count: number;
  readonly shardNumber: number;
}

/**
 * Completes the header of a block whose records stand in `block` from `blockHeaderBytes` on; the result is the block's
 * checksum. May be done again, when a full disk refused the block.
 */
export function sealBlock(block: Buffer, count: number, shardNumber: number, place: BlockPlace): number {
  block.writeUInt32LE(magic, 0);
  block.writeUInt32LE(crc32(block.subarray(blockHeaderBytes)), 4);
  block.writeUInt32LE(block.length - blockHeaderBytes, 8);
  block.writeUInt32LE(count, 12);
  block.writeBigUInt64LE(place.firstSequenceNumber, 16);
  block.writeDoubleLE(place.arrivalAtMs, 24);
  block.writeUInt32LE(place.previousChecksum, 32);
  block.writeUInt32LE(place.groupBytesBefore, 36);
  block.writeUInt32LE(place.salt, 40);
  block.writeUInt32LE(shardNumber, 44);
  const checksum = crc32(block.subarray(0, 48));
  block.writeUInt32LE(checksum, 48);
  return checksum;
}

/** The header at `position`, or undefined when no block can start there. Says nothing about the body. */
export function readBlockHeader(bytes: Buffer, position: number): BlockHeader | undefined {
  if (position + blockHeaderBytesBefore > bytes.length) return undefined;
  const start = bytes.readUInt32LE(position);
  if (start !== magic && start !== magicBefore) return undefined;
  const headerBytes = start === magic ? blockHeaderBytes : blockHeaderBytesBefore;
  const bodyBytes = bytes.readUInt32LE(position + 8);
  // Damage must not cost memory.
  if (position + headerBytes > bytes.length || headerBytes + bodyBytes > streamLimits.largeBlockBytesMax)
    return undefined;
  const bodyChecksum = bytes.readUInt32LE(position + 4);
  const checksum = start === magic ? bytes.readUInt32LE(position + 48) : bodyChecksum;
  if (start === magic && crc32(bytes.subarray(position, position + 48)) !== checksum) return undefined;
  return {
    headerBytes,
    checksum,
    bodyChecksum,
    bodyBytes,
    count: bytes.readUInt32LE(position + 12),
    firstSequenceNumber: bytes.readBigUInt64LE(position + 16),
    arrivalAtMs: bytes.readDoubleLE(position + 24),
    previousChecksum: bytes.readUInt32LE(position + 32),
    groupBytesBefore: bytes.readUInt32LE(position + 36),
    salt: bytes.readUInt32LE(position + 40),
    shardNumber: start === magic ? bytes.readUInt32LE(position + 44) : 0,
  };
}

export function blockBytesOf(header: BlockHeader): number {
  return header.headerBytes + header.bodyBytes;
}

export function lastSequenceNumberOf(header: BlockHeader): SequenceNumber {
  return header.firstSequenceNumber + BigInt(header.count) - 1n;
}

/** Whether the whole block of `header` stands at `position`, unharmed. */
export function blockIsIntact(bytes: Buffer, position: number, header: BlockHeader): boolean {
  const end = position + blockBytesOf(header);
  if (end > bytes.length) return false;
  const from = header.headerBytes === blockHeaderBytes ? position + blockHeaderBytes : position + 8;
  return crc32(bytes.subarray(from, end)) === header.bodyChecksum;
}

/** Which records of a block are unpacked, and into what. */
export interface Unpacking {
  /** The first sequence number. */
  readonly wanted: SequenceNumber;
  readonly wants: RecordFilter | undefined;
  readonly passed?: PassedRecords;
  readonly into: StreamRecord[];
}

/**
 * Unpacks the wanted records of an intact block, and its last one in any case, which replaces a last one that was there
 * only for that reason. Their data are views into `bytes`.
 */
export function unpackRecords(bytes: Buffer, position: number, header: BlockHeader, unpacking: Unpacking): void {
  const { firstSequenceNumber, arrivalAtMs, count } = header;
  const { wanted, wants, passed, into } = unpacking;
  const skip = wanted <= firstSequenceNumber ? 0 : Number(wanted - firstSequenceNumber);
  dropMarker(into, wants);
  passed?.begin(firstSequenceNumber, arrivalAtMs);
  let at = position + header.headerBytes;
  for (let index = 0; index < count; index++) {
    const next = at + 4 + bytes.readUInt32LE(at);
    if (index >= skip) {
      const dataAt = at + recordHeaderBytes + bytes.readUInt16LE(at + 4);
      const isWanted = !wants || wants(bytes, dataAt, next);
      if (!isWanted) passed?.add(index, bytes, at + recordHeaderBytes, dataAt, next);
      if (isWanted || index === count - 1) {
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
