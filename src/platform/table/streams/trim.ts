/** Takes away what is older than a stream's retention: changes, then shards without any, then streams. */
import type { StoreReader, StoreTransaction } from '../../../kernel/store.ts';
import { tableCorrupt } from '../errors.ts';
import { tableLimits } from '../limits.ts';
import { changedAtMs } from './change-record.ts';
import {
  changeKey,
  deleteStream,
  listStored,
  putStream,
  readState,
  type StoredStream,
  type StreamState,
  writeState,
} from './stream-state.ts';

/** One transaction's worth; more may be due afterwards. */
export function trimChunk(transaction: StoreTransaction, tableId: number, nowMs: number): void {
  const before = readState(transaction, tableId);
  let { trimmed, bytes } = before;
  let room = tableLimits.streamTrimChunkRecordsMax;
  for (; trimmed < before.last && room > 0; room--) {
    const key = changeKey(tableId, trimmed + 1n);
    const oldest = transaction.get(key);
    if (oldest === undefined) throw tableCorrupt(`change ${trimmed + 1n} of a stream`); // all up to `last` are kept
    if (!isOver(changedAtMs(oldest), nowMs)) break;
    transaction.delete(key);
    trimmed++;
    bytes -= oldest.length;
  }
  const after = { ...before, trimmed, bytes };
  if (trimmed > before.trimmed) writeState(transaction, tableId, after);
  for (const stream of listStored(transaction, tableId)) trimStream(transaction, stream, after, nowMs);
}

function trimStream(
  transaction: StoreTransaction,
  stream: StoredStream,
  { trimmed }: StreamState,
  nowMs: number,
): void {
  if (stream.disabledAtMs !== undefined) {
    if (isOver(stream.disabledAtMs, nowMs)) deleteStream(transaction, stream);
    return;
  }
  const shards = stream.shards.filter(({ last }) => last === undefined || BigInt(last) > trimmed);
  if (shards.length < stream.shards.length) putStream(transaction, { ...stream, shards });
}

/** When something of the table will have to be trimmed next; undefined when there is nothing. */
export function trimDueAtMs(reader: StoreReader, tableId: number): number | undefined {
  const { trimmed, last } = readState(reader, tableId);
  const oldest = trimmed < last ? reader.get(changeKey(tableId, trimmed + 1n)) : undefined;
  const sinceMs = listStored(reader, tableId).flatMap(({ disabledAtMs }) => disabledAtMs ?? []);
  if (oldest !== undefined) sinceMs.push(changedAtMs(oldest));
  return sinceMs.length === 0 ? undefined : Math.min(...sinceMs) + tableLimits.streamRetentionMs;
}

function isOver(sinceMs: number, nowMs: number): boolean {
  return nowMs >= sinceMs + tableLimits.streamRetentionMs;
}
