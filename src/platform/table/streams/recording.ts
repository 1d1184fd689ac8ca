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

/** A transaction's work runs without a break, so one is enough; a WeakMap by transaction took a tenth of every put. */
let current: { readonly transaction: StoreTransaction; readonly recording: Recording } | undefined;

export function beginRecording(transaction: StoreTransaction, streamBytesMax: number): Recording {
  const recording = { streamBytesMax, last: new Map<number, bigint>(), trimmedEarly: 0 };
  current = { transaction, recording };
  return recording;
}

export function recordingOf(transaction: StoreTransaction): Recording {
  assert(current?.transaction === transaction); // writes go through `TableChanges.store`, or nobody would learn of their changes
  return current.recording;
}
