import type { Appended, SequenceNumber, ShardId } from './port.ts';

/** The outcome of a batch that was kept as a whole, in one shard, with numbers that follow by ones. */
export function appendedInOrder(shardId: ShardId, firstSequenceNumber: SequenceNumber, arrivalAtMs?: number): Appended {
  return {
    arrivalAtMs,
    placeOf: index => ({ shardId, sequenceNumber: firstSequenceNumber + BigInt(index) }),
    failed: noneFailed,
  };
}

export const noneFailed: Appended['failed'] = new Map();
