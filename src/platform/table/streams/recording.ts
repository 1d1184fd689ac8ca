/** What the changes recorded in one transaction come to, for whoever waits until they are durable. */
import assert from 'node:assert/strict';
import type { StoreTransaction } from '../../../kernel/store.ts';

export interface Recording {
  /** Of one table, before the oldest changes go early. */
  readonly streamBytesMax: number;
  /** By table: the last sequence number given. */
  readonly last: Map<number, bigint>;
  trimmedEarly: number;
}

const recordings = new WeakMap<StoreTransaction, Recording>();

export function beginRecording(transaction: StoreTransaction, streamBytesMax: number): Recording {
  const recording = { streamBytesMax, last: new Map<number, bigint>(), trimmedEarly: 0 };
  recordings.set(transaction, recording);
  return recording;
}

export function recordingOf(transaction: StoreTransaction): Recording {
  const recording = recordings.get(transaction);
  assert(recording !== undefined); // writes go through `TableChanges.store`, or nobody would learn of their changes
  return recording;
}
