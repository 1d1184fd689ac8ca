/** After a kill: what was settled and not stored is counted again from the log, and compared with how much it was. */
import type { Fate, SequenceNumber, ShardId, StreamReader, StreamRecord } from '../../platform/stream/index.ts';
import { sumOf } from './counts.ts';
import { walkLog } from './log-walk.ts';
import type { ShardAccount, StoredTail } from './shard-account.ts';

export interface RecountRange {
  readonly shardId: ShardId;
  readonly after: SequenceNumber;
  readonly upTo: SequenceNumber;
  readonly tail: StoredTail;
}

export interface Recount {
  readonly counted: number;
  /** By the checkpoint. */
  readonly expected: number;
  /** Some of it is not in the log any more, so the two cannot be compared. */
  readonly isPartly: boolean;
}

/** @param isFiltered  whether the consumer passes a record by */
export async function recount(
  account: ShardAccount,
  reader: StreamReader,
  { shardId, after, upTo, tail }: RecountRange,
  isFiltered: (record: StreamRecord) => boolean,
): Promise<Recount> {
  const dead = new Set(tail.DeadLettered);
  const expired = new Set(tail.Expired);
  const fateOf = (record: StreamRecord): Fate => {
    const number = String(record.sequenceNumber);
    if (dead.has(number)) return 'deadLettered';
    if (expired.has(number)) return 'expired';
    return isFiltered(record) ? 'filtered' : 'handled';
  };
  const [oldest] = await reader.read(shardId, null, 1);
  let counted = 0;
  for await (const records of walkLog(reader, { shardId, after, upTo })) {
    for (const record of records) account.foldRecounted(record, fateOf(record));
    counted += records.length;
  }
  const isPartly = oldest === undefined || oldest.sequenceNumber > after + 1n;
  return { counted, expected: sumOf(tail.Sums), isPartly };
}
