/** The log as whoever counts anew reads it: all records of a shard between two positions. */
import type { SequenceNumber, ShardId, StreamReader, StreamRecord } from '../../platform/stream/index.ts';
import { ledgerLimits } from './limits.ts';

export interface LogRange {
  readonly shardId: ShardId;
  /** Exclusive; 0: from the oldest record that is kept. */
  readonly after: SequenceNumber;
  /** Inclusive; absent: to the end. */
  readonly upTo?: SequenceNumber;
}

/** Page by page, so that whoever reads much lets others work in between. */
export async function* walkLog(reader: StreamReader, range: LogRange): AsyncGenerator<StreamRecord[]> {
  const { shardId, upTo } = range;
  for (let after: SequenceNumber | null = range.after === 0n ? null : range.after; ; ) {
    const read: StreamRecord[] = await reader.read(shardId, after, ledgerLimits.readBytesMax);
    const records: StreamRecord[] =
      upTo === undefined ? read : read.filter(({ sequenceNumber }) => sequenceNumber <= upTo);
    if (records.length > 0) yield records;
    if (read.length === 0 || records.length < read.length) return;
    after = read[read.length - 1].sequenceNumber;
    if (upTo !== undefined && after >= upTo) return;
  }
}
