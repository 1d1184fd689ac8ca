/** What a write leaves in the stream of its table. */
import assert from 'node:assert/strict';
import { currentCause } from '../../../kernel/causes.ts';
import type { StoreTransaction } from '../../../kernel/store.ts';
import { tableLimits } from '../limits.ts';
import type { StreamViewType } from '../port.ts';
import { keyOf, type TableLayout } from '../storage/layout.ts';
import { equals, type Item } from '../values/value.ts';
import { type ChangeName, encodeChange, encodeSized, type UserIdentity } from './change-record.ts';
import { type Recording, recordingOf } from './recording.ts';
import { changeKey, readState, rollOver, type StreamState, writeState } from './stream-state.ts';

export interface Change {
  /** The item before; undefined when there was none. */
  readonly stored: Item | undefined;
  /** The item after; undefined when there is none. */
  readonly next: Item | undefined;
  readonly atMs: number;
  /** Who made it, if no caller did: `ttlIdentity`. */
  readonly userIdentity?: UserIdentity;
  /** The two items as `encodeItem` gave them with their size, for who has them at hand. */
  readonly encodedStored?: Uint8Array;
  readonly encodedNext?: Uint8Array;
}

/** Part of the write: stored with it, or not at all. A write that changes nothing leaves nothing. */
export function recordChange(transaction: StoreTransaction, table: TableLayout, change: Change): void {
  const { stored, next, atMs } = change;
  if (table.stream === undefined) return;
  if (stored === undefined && next === undefined) return;
  if (stored !== undefined && next !== undefined && equals(stored, next)) return;
  const item = next ?? stored;
  assert(item !== undefined); // one of them is there
  const encoded = encodeChange({
    name: nameOf(change),
    atMs,
    keys: encodeSized(keyOf(table.keys, item)),
    newImage: keepsNew(table.stream) && next !== undefined ? (change.encodedNext ?? encodeSized(next)) : undefined,
    oldImage:
      keepsOld(table.stream) && stored !== undefined ? (change.encodedStored ?? encodeSized(stored)) : undefined,
    userIdentity: change.userIdentity,
    cause: currentCause(),
  });
  const before = rollOver(transaction, table.id, readState(transaction, table.id), atMs);
  assert(before.streamNumber > 0); // `setStream` comes before a table's layout tells of a stream
  const sequenceNumber = before.last + 1n;
  transaction.put(changeKey(table.id, sequenceNumber), encoded);
  const recording = recordingOf(transaction);
  recording.last.set(table.id, sequenceNumber);
  const grown = {
    ...before,
    last: sequenceNumber,
    bytes: before.bytes + encoded.length,
    shardStartedAtMs: before.shardStartedAtMs === 0 ? atMs : before.shardStartedAtMs,
  };
  writeState(transaction, table.id, withinLimit(transaction, table.id, grown, recording));
}

function nameOf({ stored, next }: Change): ChangeName {
  if (stored === undefined) return 'INSERT';
  return next === undefined ? 'REMOVE' : 'MODIFY';
}

function keepsNew(viewType: StreamViewType): boolean {
  return viewType === 'NEW_IMAGE' || viewType === 'NEW_AND_OLD_IMAGES';
}

function keepsOld(viewType: StreamViewType): boolean {
  return viewType === 'OLD_IMAGE' || viewType === 'NEW_AND_OLD_IMAGES';
}

/** Over the limit, the oldest changes go before their time: writes are never refused for the sake of a stream. */
function withinLimit(
  transaction: StoreTransaction,
  tableId: number,
  grown: StreamState,
  recording: Recording,
): StreamState {
  let { trimmed, bytes } = grown;
  for (let room = tableLimits.streamEarlyTrimsPerWriteMax; room > 0; room--) {
    if (bytes <= recording.streamBytesMax || trimmed + 1n >= grown.last) break;
    const key = changeKey(tableId, ++trimmed);
    const oldest = transaction.get(key);
    assert(oldest !== undefined); // the numbers between `trimmed` and `last` are all there
    transaction.delete(key);
    bytes -= oldest.length;
    recording.trimmedEarly++;
  }
  return { ...grown, trimmed, bytes };
}
