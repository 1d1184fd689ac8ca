import { type PackedRecord, packedRecordsOf, partitionKeyOf, walkRecords } from '../packed-records.ts';
import type { RecordBatch } from '../record-batch.ts';
import { hashKeyOf, type KeptShard } from '../shards.ts';
import { PendingBatch, type Run } from './pending-batch.ts';
import { findByHashKey } from './shard-map.ts';

/** What one message holds at most. */
export interface MessageRoom {
  readonly recordsMax: number;
  /** Of a group of records. */
  readonly bytesMax: number;
  /** Of one record alone. */
  readonly recordBytesMax: number;
}

/** All of a batch, before it is known where it goes. */
export function wholeRun(batch: RecordBatch): Run {
  const pending = new PendingBatch(batch.count, batch.explicitHashKeys);
  return { batch: pending, firstIndex: 0, count: batch.count, packed: packedRecordsOf(batch) };
}

/**
 * Parts a run by the shards its records go to, in pieces that fit into messages, in their order; `open` by range. What no
 * message may hold goes to no shard, and no record that follows one of its key and batch.
 */
export function* partRun(
  run: Run,
  open: readonly KeptShard[],
  room: MessageRoom,
): Generator<[shard: number | undefined, part: Run]> {
  const { batch, packed } = run;
  const shardOf = chooser(run, open, room);
  let [start, end, first, index] = [0, 0, run.firstIndex, run.firstIndex];
  let shard: number | undefined;
  const part = (): [number | undefined, Run] => [
    shard,
    { batch, firstIndex: first, count: index - first, packed: packed.subarray(start, end) },
  ];
  for (const record of walkRecords(packed)) {
    const shardOfRecord = shardOf(record, index);
    const isFull = index - first >= room.recordsMax || record.end - start > room.bytesMax;
    if (index > first && (shardOfRecord !== shard || isFull)) {
      yield part();
      first = index;
      start = record.start;
    }
    shard = shardOfRecord;
    end = record.end;
    index++;
  }
  yield part();
}

function chooser({ batch, packed }: Run, open: readonly KeptShard[], room: MessageRoom) {
  const refusedKeys = new Set<string>();
  return (record: PackedRecord, index: number): number | undefined => {
    const isTooLarge = record.end - record.start > room.recordBytesMax;
    if (open.length === 1 && !isTooLarge && refusedKeys.size === 0) return open[0].number;
    const partitionKey = partitionKeyOf(packed, record);
    if (isTooLarge) refusedKeys.add(partitionKey);
    if (refusedKeys.has(partitionKey)) return undefined;
    return findByHashKey(open, batch.explicitHashKeys?.get(index) ?? hashKeyOf(partitionKey)).number;
  };
}
