import assert from 'node:assert/strict';
import type { MimamoriError } from '../../kernel/errors.ts';
import { appendedInOrder, noneFailed } from './appended.ts';
import { blockHeaderBytes, recordHeaderBytes } from './log/block.ts';
import type { PackedBlock, Piece } from './log/segmented-log.ts';
import type { Appended, Place } from './port.ts';
import type { RecordBatch } from './record-batch.ts';
import type { Router } from './router.ts';
import type { KeptShard } from './shards.ts';
import type { Throttle } from './throughput.ts';

const partingLimits = {
  mergedBatchBytesMax: 128 * 1024, // ours: below it a copy costs less than one more write
  mergedBlockBytesMax: 1024 * 1024, // ours: what must be read and checked to read one record
  scratchBytesMax: 1024 * 1024, // ours: kept between groups; what is larger is made and dropped
} as const;

/** What a group of batches becomes in the log. */
export interface Parted {
  readonly pieces: Piece[];
  /** What became of the batch with this index. To be asked once the pieces are in the log, with when they came. */
  appendedOf(index: number, arrivalAtMs: number): Appended;
}

/** Memory for the copies of one group at a time. */
export class Scratch {
  #kept = Buffer.alloc(0);

  take(bytes: number): Buffer {
    const { scratchBytesMax } = partingLimits;
    if (bytes > scratchBytesMax) return Buffer.allocUnsafe(bytes);
    if (bytes > this.#kept.length) {
      this.#kept = Buffer.allocUnsafe(Math.min(Math.max(bytes, this.#kept.length * 2), scratchBytesMax));
    }
    return this.#kept.subarray(0, bytes);
  }
}

/** Consecutive batches that become one block. */
interface Run {
  readonly from: number;
  readonly to: number;
  readonly bytes: number;
}

/**
 * All of the group goes to one shard. Large batches are written from where they are; small ones that follow each other
 * are copied into one block, so that many callers of one record each cost one write.
 */
export function partWhole(batches: readonly RecordBatch[], shard: KeptShard, scratch: Scratch): Parted {
  const runs = runsOf(batches);
  const merged = runs.filter(({ from, to }) => to > from + 1);
  const copies = merged.length === 0 ? undefined : scratch.take(merged.reduce((sum, { bytes }) => sum + bytes, 0));
  const blockOf: PackedBlock[] = [];
  const offsetOf: number[] = [];
  let copied = 0;
  const pieces = runs.map(({ from, to, bytes }): Piece => {
    const isCopied = copies !== undefined && to > from + 1;
    const room = isCopied ? copies.subarray(copied, copied + bytes) : batches[from].take();
    if (isCopied) copied += bytes;
    const block = { bytes: room, count: 0, shardNumber: shard.number, firstSequenceNumber: 0n };
    let at = blockHeaderBytes;
    for (let index = from; index < to; index++) {
      blockOf.push(block);
      offsetOf.push(block.count);
      block.count += batches[index].count;
      if (isCopied) at += batches[index].take().copy(room, at, blockHeaderBytes);
    }
    return { bytes: room, blocks: [block] };
  });
  const { shardId } = shard;
  const placeIn = (index: number) => blockOf[index].firstSequenceNumber + BigInt(offsetOf[index]);
  return { pieces, appendedOf: (index, arrivalAtMs) => appendedInOrder(shardId, placeIn(index), arrivalAtMs) };
}

function runsOf(batches: readonly RecordBatch[]): Run[] {
  const runs: Run[] = [];
  for (let from = 0; from < batches.length; ) {
    let to = from;
    let bytes = blockHeaderBytes;
    do bytes += batches[to++].bytes - blockHeaderBytes;
    while (
      to < batches.length &&
      isMergeable(batches[from]) &&
      isMergeable(batches[to]) &&
      hasRoom(bytes, batches[to])
    );
    runs.push({ from, to, bytes });
    from = to;
  }
  return runs;
}

function isMergeable({ bytes }: RecordBatch): boolean {
  return bytes <= partingLimits.mergedBatchBytesMax;
}

function hasRoom(bytes: number, batch: RecordBatch): boolean {
  return bytes + batch.bytes <= partingLimits.mergedBlockBytesMax;
}

/** A record that goes nowhere. */
const noSlot = 0xffff;

/**
 * The records of the group go to the shards of their keys: one block for each shard that gets any, in one piece. What a
 * shard may not take now is refused, and with it what follows of its key in the same batch.
 */
export function partByShard(
  batches: readonly RecordBatch[],
  router: Router,
  throttle: Throttle | undefined,
  scratch: Scratch,
): Parted {
  const sorting = new Sorting(batches, router, throttle);
  const pieces = sorting.copyInto(scratch);
  return { pieces, appendedOf: (index, arrivalAtMs) => sorting.appendedOf(index, arrivalAtMs) };
}

/** A counting sort of the records by shard: first it is decided where each goes, then each is copied there, once. */
class Sorting {
  readonly #batches: readonly RecordBatch[];
  readonly #router: Router;
  readonly #throttle: Throttle | undefined;
  /** Of each batch, the number of its first record in the group. */
  readonly #firstRecords: number[] = [];
  readonly #failed: Appended['failed'][] = [];
  /** By record of the group: its slot, and how many came to the slot before it. */
  readonly #slots: Uint16Array;
  readonly #places: Uint32Array;
  /** By slot. */
  readonly #counts: Uint32Array;
  readonly #bytes: Uint32Array;
  readonly #blocks: (PackedBlock | undefined)[];

  constructor(batches: readonly RecordBatch[], router: Router, throttle: Throttle | undefined) {
    this.#batches = batches;
    this.#router = router;
    this.#throttle = throttle;
    const records = batches.reduce((sum, { count }) => sum + count, 0);
    this.#slots = new Uint16Array(records);
    this.#places = new Uint32Array(records);
    this.#counts = new Uint32Array(router.shards.length);
    this.#bytes = new Uint32Array(router.shards.length);
    this.#blocks = router.shards.map(() => undefined);
    let record = 0;
    for (const batch of batches) {
      this.#firstRecords.push(record);
      this.#failed.push(this.#route(batch, record));
      record += batch.count;
    }
  }

  #route(batch: RecordBatch, firstRecord: number): Appended['failed'] {
    const router = this.#router;
    const bytes = batch.take();
    const { explicitHashKeys } = batch;
    let refusals: Refusals | undefined;
    let at = blockHeaderBytes;
    for (let index = 0; index < batch.count; index++) {
      const next = at + 4 + bytes.readUInt32LE(at);
      const keyAt = at + recordHeaderBytes;
      const keyEnd = keyAt + bytes.readUInt16LE(at + 4);
      const explicit = explicitHashKeys?.get(index);
      let slot = explicit === undefined ? router.slotOfKey(bytes, keyAt, keyEnd) : router.slotOf(explicit);
      if (this.#throttle) {
        refusals ??= new Refusals();
        const key = bytes.toString('latin1', keyAt, keyEnd);
        const refusal = refusals.of(key) ?? this.#throttle.refusalOf(router.shards[slot].shardId, next - keyAt);
        if (refusal) slot = refusals.add(index, key, refusal);
      }
      this.#slots[firstRecord + index] = slot;
      if (slot !== noSlot) {
        this.#places[firstRecord + index] = this.#counts[slot]++;
        this.#bytes[slot] += next - at;
      }
      at = next;
    }
    return refusals?.failed ?? noneFailed;
  }

  copyInto(scratch: Scratch): Piece[] {
    const used = [...this.#counts.keys()].filter(slot => this.#counts[slot] > 0);
    if (used.length === 0) return [];
    const total = used.reduce((sum, slot) => sum + blockHeaderBytes + this.#bytes[slot], 0);
    // A batch of one shard alone is written from where it is.
    const isWhole = this.#batches.length === 1 && used.length === 1 && total === this.#batches[0].bytes;
    const bytes = isWhole ? this.#batches[0].take() : scratch.take(total);
    const ends = new Uint32Array(this.#counts.length);
    let end = 0;
    for (const slot of used) {
      const start = end;
      end += blockHeaderBytes + this.#bytes[slot];
      const { number: shardNumber } = this.#router.shards[slot];
      const block = {
        bytes: bytes.subarray(start, end),
        count: this.#counts[slot],
        shardNumber,
        firstSequenceNumber: 0n,
      };
      this.#blocks[slot] = block;
      ends[slot] = start + blockHeaderBytes;
    }
    if (!isWhole) this.#copyRecords(bytes, ends);
    return [{ bytes, blocks: this.#blocks.filter(block => block !== undefined) }];
  }

  /** @param ends  by slot: where its next record goes */
  #copyRecords(into: Buffer, ends: Uint32Array): void {
    let record = 0;
    for (const batch of this.#batches) {
      const bytes = batch.take();
      let at = blockHeaderBytes;
      for (const last = record + batch.count; record < last; record++) {
        const next = at + 4 + bytes.readUInt32LE(at);
        const slot = this.#slots[record];
        if (slot !== noSlot) ends[slot] += bytes.copy(into, ends[slot], at, next);
        at = next;
      }
    }
  }

  appendedOf(index: number, arrivalAtMs: number): Appended {
    const firstRecord = this.#firstRecords[index];
    return { placeOf: record => this.#placeOf(firstRecord + record), failed: this.#failed[index], arrivalAtMs };
  }

  #placeOf(record: number): Place {
    const slot = this.#slots[record];
    const block = this.#blocks[slot];
    assert(block); // It did not fail.
    const { shardId } = this.#router.shards[slot];
    return { shardId, sequenceNumber: block.firstSequenceNumber + BigInt(this.#places[record]) };
  }
}

/** What a batch's records are refused for. */
class Refusals {
  readonly failed = new Map<number, MimamoriError>();
  readonly #byKey = new Map<string, MimamoriError>();

  /** Why an earlier record of the key was refused. */
  of(key: string): MimamoriError | undefined {
    return this.#byKey.get(key);
  }

  add(index: number, key: string, refusal: MimamoriError): number {
    this.failed.set(index, refusal);
    this.#byKey.set(key, refusal);
    return noSlot;
  }
}
