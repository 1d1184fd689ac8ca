import { blockHeaderBytes, recordHeaderBytes } from './log/block.ts';
import type { RecordBatch } from './record-batch.ts';

/** Where one record stands in a buffer of records packed one behind the other, as `RecordBatch` packs them. */
export interface PackedRecord {
  readonly start: number;
  readonly dataStart: number;
  readonly end: number;
}

/** The records of a batch as they are packed, without what the log puts before them. A view, not a copy. */
export function packedRecordsOf(batch: RecordBatch): Buffer {
  return batch.take().subarray(blockHeaderBytes);
}

/** The records of `packed`, in their order. Throws a RangeError when it was cut off in the middle of one. */
export function* walkRecords(packed: Buffer): Generator<PackedRecord> {
  for (let start = 0; start < packed.length; ) {
    const end = start + 4 + packed.readUInt32LE(start);
    const dataStart = start + recordHeaderBytes + packed.readUInt16LE(start + 4);
    if (end > packed.length || dataStart > end) throw new RangeError(`A packed record ends at byte ${end}.`);
    yield { start, dataStart, end };
    start = end;
  }
}

export function partitionKeyOf(packed: Buffer, { start, dataStart }: PackedRecord): string {
  return packed.toString('utf8', start + recordHeaderBytes, dataStart);
}
