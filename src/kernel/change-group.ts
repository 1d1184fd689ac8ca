/**
 * Changes that become durable together, packed as they are made: first the body of a block of the journal, then, until
 * the base has taken them, the memory that holds the values. No object or copy per change besides its `Version`.
 *
 * The block, little endian:
 *   0 magic "MMJ1" · 4 crc32 of everything from byte 8 u32 · 8 body bytes u32 · 12 number of changes u32
 *   16 sequence number f64 (a whole number) · 24 crc32 of the block before in the same file (0 = none) u32 · 28 salt of the file u32
 * A change: key bytes u16 · value bytes u32 (0xffffffff = deleted) · key · value.
 */
import assert from 'node:assert/strict';
import { crc32 } from 'node:zlib';
import { storeLimits } from './store.ts';

export const blockHeaderBytes = 32;
export const blockMagic = Buffer.from('MMJ1', 'latin1'); // the last character is the version of the format
const changeHeaderBytes = 6;
const deleted = 0xffffffff;
assert(storeLimits.keyBytesMax <= 0xffff && storeLimits.valueBytesMax < deleted); // so that they fit their fields

/** What a key holds after a change. `older` is what the base would not know if this change were taken back. */
export interface Version {
  readonly group: ChangeGroup;
  readonly keyAt: number;
  readonly keyBytes: number;
  /** -1: the key was deleted. */
  readonly valueBytes: number;
  older: Version | undefined;
}

export class ChangeGroup {
  /** Groups are numbered from 1 in the order in which they become durable. */
  readonly sequenceNumber: number;
  /** Whether it would survive a power cut. */
  durable = false;
  #buffer: Buffer;
  #end = blockHeaderBytes;
  #count = 0;

  constructor(sequenceNumber: number, expectedBytes: number) {
    this.sequenceNumber = sequenceNumber;
    this.#buffer = Buffer.allocUnsafe(expectedBytes);
  }

  get count(): number {
    return this.#count;
  }

  get bytes(): number {
    return this.#end;
  }

  add(key: Uint8Array, value: Uint8Array | undefined): Version {
    const start = this.#end;
    const keyAt = start + changeHeaderBytes;
    const end = keyAt + key.length + (value?.length ?? 0);
    if (end > this.#buffer.length) this.#grow(end);
    const buffer = this.#buffer;
    buffer.writeUInt16LE(key.length, start);
    buffer.writeUInt32LE(value === undefined ? deleted : value.length, start + 2);
    buffer.set(key, keyAt);
    if (value !== undefined) buffer.set(value, keyAt + key.length);
    this.#end = end;
    this.#count++;
    return { group: this, keyAt, keyBytes: key.length, valueBytes: value?.length ?? -1, older: undefined };
  }

  /** Takes back the changes made since it had that many and was that long. */
  rewind(count: number, bytes: number): void {
    this.#count = count;
    this.#end = bytes;
  }

  /** A view, good while nothing is added to the group. */
  keyIn(version: Version): Uint8Array {
    return this.#buffer.subarray(version.keyAt, version.keyAt + version.keyBytes);
  }

  /** A view, good while nothing is added to the group. */
  valueIn({ keyAt, keyBytes, valueBytes }: Version): Uint8Array | undefined {
    if (valueBytes < 0) return undefined;
    return this.#buffer.subarray(keyAt + keyBytes, keyAt + keyBytes + valueBytes);
  }

  /** Completes the block. Called when nothing is added any more. */
  seal(place: { readonly previousChecksum: number; readonly salt: number }): { bytes: Buffer; checksum: number } {
    const block = this.#buffer.subarray(0, this.#end);
    block.set(blockMagic, 0);
    block.writeUInt32LE(this.#end - blockHeaderBytes, 8);
    block.writeUInt32LE(this.#count, 12);
    block.writeDoubleLE(this.sequenceNumber, 16);
    block.writeUInt32LE(place.previousChecksum, 24);
    block.writeUInt32LE(place.salt, 28);
    const checksum = crc32(block.subarray(8));
    block.writeUInt32LE(checksum, 4);
    return { bytes: block, checksum };
  }

  #grow(needed: number): void {
    const larger = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, needed));
    this.#buffer.copy(larger, 0, 0, this.#end);
    this.#buffer = larger;
  }
}

export interface BlockHeader {
  readonly checksum: number;
  readonly bodyBytes: number;
  readonly count: number;
  readonly sequenceNumber: number;
  readonly previousChecksum: number;
  readonly salt: number;
}

/** The header of the intact block at `position`; undefined when there is none. */
export function readBlock(bytes: Buffer, position: number): BlockHeader | undefined {
  if (position + blockHeaderBytes > bytes.length) return undefined;
  if (blockMagic.compare(bytes, position, position + blockMagic.length) !== 0) return undefined;
  const checksum = bytes.readUInt32LE(position + 4);
  const bodyBytes = bytes.readUInt32LE(position + 8);
  const end = position + blockHeaderBytes + bodyBytes;
  if (end > bytes.length || crc32(bytes.subarray(position + 8, end)) !== checksum) return undefined;
  return {
    checksum,
    bodyBytes,
    count: bytes.readUInt32LE(position + 12),
    sequenceNumber: bytes.readDoubleLE(position + 16),
    previousChecksum: bytes.readUInt32LE(position + 24),
    salt: bytes.readUInt32LE(position + 28),
  };
}

export interface Change {
  readonly key: Uint8Array;
  /** Undefined deletes the key. */
  readonly value: Uint8Array | undefined;
}

/** The changes of an intact block, as views into `bytes`. */
export function* changesOf(bytes: Buffer, position: number, header: BlockHeader): Generator<Change> {
  let at = position + blockHeaderBytes;
  for (let index = 0; index < header.count; index++) {
    const keyAt = at + changeHeaderBytes;
    const valueAt = keyAt + bytes.readUInt16LE(at);
    const valueBytes = bytes.readUInt32LE(at + 2);
    at = valueBytes === deleted ? valueAt : valueAt + valueBytes;
    yield {
      key: bytes.subarray(keyAt, valueAt),
      value: valueBytes === deleted ? undefined : bytes.subarray(valueAt, at),
    };
  }
  assert(at === position + blockHeaderBytes + header.bodyBytes); // an intact block is one that we wrote
}
