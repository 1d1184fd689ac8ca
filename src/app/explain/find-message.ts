/** Finds the message that somebody asks about: by its id, or by its thing and about when it came. */
import type { SequenceNumber, ShardId, StreamReader, StreamRecord } from '../../platform/stream/index.ts';
import { messageNotThere, tooManyMessages } from './errors.ts';
import { explainLimits } from './limits.ts';

export interface PlacedRecord {
  readonly shardId: ShardId;
  readonly record: StreamRecord;
}

/** Of any shard when none is given. Throws `explain.notFound`. */
export async function findByNumber(
  reader: StreamReader,
  sequenceNumber: SequenceNumber,
  shardId?: ShardId,
): Promise<PlacedRecord> {
  for (const shard of await reader.shards()) {
    if (shardId !== undefined && shard.shardId !== shardId) continue;
    const [record] = await readAt(reader, shard.shardId, sequenceNumber);
    if (record?.sequenceNumber === sequenceNumber) return { shardId: shard.shardId, record };
  }
  throw messageNotThere(`number ${sequenceNumber}`);
}

/** A number beyond the end is none, and no failure. */
async function readAt(reader: StreamReader, shardId: ShardId, sequenceNumber: SequenceNumber): Promise<StreamRecord[]> {
  const last = (await reader.locate(shardId, { type: 'LATEST' })) ?? 0n;
  if (sequenceNumber > last || sequenceNumber < 1n) return [];
  const records = await reader.read(shardId, sequenceNumber === 1n ? null : sequenceNumber - 1n, 1);
  return records.filter(record => record.sequenceNumber === sequenceNumber);
}

/** Those of a thing around a time, the nearest first. Throws `explain.notFound` and `explain.tooMany`. */
export async function findByTime(
  reader: StreamReader,
  { atMs, isOfThing }: { readonly atMs: number; readonly isOfThing: (record: StreamRecord) => boolean },
): Promise<PlacedRecord[]> {
  const { aroundMs, readBytesMax, pageBytesMax } = explainLimits;
  const found: PlacedRecord[] = [];
  let bytes = 0;
  for (const { shardId } of await reader.shards()) {
    let after = await reader.locate(shardId, { type: 'AT_TIMESTAMP', atMs: atMs - aroundMs });
    for (let isOver = false; !isOver; ) {
      const records: StreamRecord[] = await reader.read(shardId, after, pageBytesMax);
      if (records.length === 0) break;
      for (const record of records) {
        bytes += record.data.length;
        if (record.arrivalAtMs > atMs + aroundMs) isOver = true;
        else if (record.arrivalAtMs >= atMs - aroundMs && isOfThing(record)) found.push({ shardId, record });
      }
      if (bytes > readBytesMax) throw tooManyMessages();
      after = records[records.length - 1].sequenceNumber;
    }
  }
  const distance = ({ record }: PlacedRecord) => Math.abs(record.arrivalAtMs - atMs);
  return found.sort((left, right) => distance(left) - distance(right));
}
