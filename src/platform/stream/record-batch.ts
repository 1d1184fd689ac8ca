import assert from 'node:assert/strict';
import { hashKeyNotValid, partitionKeyNotValid, recordTooLarge } from './errors.ts';
import { streamLimits } from './limits.ts';
import { blockHeaderBytes, recordHeaderBytes } from './log/block.ts';
import { hashKeyMax } from './shards.ts';

/**
 * Records on their way into a stream, packed as they arrive: no object, promise or copy per record. They are packed as
 * the embedded engine's log has them, behind room for a block's header, so that it can write a batch from where it is.
 */
export class RecordBatch {
  /** Key and data of a record in this batch. A stream may take larger ones than the default. */
  readonly recordBytesMax: number;
  readonly #bytesMax: number;
  #buffer: Buffer;
  #end = blockHeaderBytes;
  #count = 0;
  #taken = false;
  #explicitHashKeys: Map<number, bigint> | undefined;

  constructor(capacityBytes = 64 * 1024, recordBytesMax: number = streamLimits.recordBytesMax) {
    assert(recordBytesMax <= streamLimits.largeRecordBytesMax);
    this.recordBytesMax = recordBytesMax;
    const isLarge = recordBytesMax > streamLimits.recordBytesMax;
    this.#bytesMax = isLarge ? streamLimits.largeBlockBytesMax : streamLimits.blockBytesMax;
    this.#buffer = Buffer.allocUnsafe(capacityBytes);
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
    return this.#end + recordHeaderBytes + this.recordBytesMax > this.#bytesMax;
  }

  /** By index of the record; most batches have none. */
  get explicitHashKeys(): ReadonlyMap<number, bigint> | undefined {
    return this.#explicitHashKeys;
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
    assert(!this.#taken); // The batch is the stream's: what came now would never be written.
    checkPartitionKey(partitionKey);
    const keyBytesAtMost = partitionKey.length * 3; // A UTF-16 unit takes at most three bytes of UTF-8.
    const needed = recordHeaderBytes + keyBytesAtMost + dataBytes;
    if (keyBytesAtMost + dataBytes > this.recordBytesMax) {
      const bytes = Buffer.byteLength(partitionKey) + dataBytes;
      if (bytes > this.recordBytesMax) throw recordTooLarge(bytes, this.recordBytesMax);
    }
    if (this.#end + needed > this.#buffer.length) this.#grow(needed);
    const start = this.#end;
    const keyBytes = this.#buffer.write(partitionKey, start + recordHeaderBytes, 'utf8');
    this.#buffer.writeUInt32LE(2 + keyBytes + dataBytes, start);
    this.#buffer.writeUInt16LE(keyBytes, start + 4);
    const dataAt = start + recordHeaderBytes + keyBytes;
    this.#end = dataAt + dataBytes;
    assert(this.#end <= this.#bytesMax); // The caller asks `isFull` before it adds.
    this.#count++;
    return dataAt;
  }

  /** Where `reserve` points into. Changes when the batch grows, so ask again after each `reserve`. */
  get buffer(): Buffer {
    return this.#buffer;
  }

  /** Room for a block's header, and the records behind it. From now on nothing can be added: the batch is an engine's. */
  take(): Buffer {
    this.#taken = true;
    return this.#buffer.subarray(0, this.#end);
  }

  /** The records one after the other, for engines that send them one by one. */
  forEach(visit: (partitionKey: string, data: Buffer, index: number) => void): void {
    let at = blockHeaderBytes;
    for (let index = 0; index < this.#count; index++) {
      const next = at + 4 + this.#buffer.readUInt32LE(at);
      const dataAt = at + recordHeaderBytes + this.#buffer.readUInt16LE(at + 4);
      visit(this.#buffer.toString('utf8', at + recordHeaderBytes, dataAt), this.#buffer.subarray(dataAt, next), index);
      at = next;
    }
  }

  /** Key and data of the largest record. */
  largestRecordBytes(): number {
    let largest = 0;
    for (let at = blockHeaderBytes; at < this.#end; ) {
      const behind = this.#buffer.readUInt32LE(at);
      largest = Math.max(largest, behind - 2);
      at += 4 + behind;
    }
    return largest;
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
