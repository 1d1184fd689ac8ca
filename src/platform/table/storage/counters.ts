/** How many items and bytes a table and each of its indexes hold, kept in the transaction that changes them. */
import { bufferOf } from '../../../kernel/bytes.ts';
import type { StoreReader, StoreTransaction } from '../../../kernel/store.ts';
import { spacePrefix } from './key-encoding.ts';
import { systemSpaces } from './records.ts';

export interface Count {
  readonly items: number;
  readonly bytes: number;
}

/** By how much one write changes the count of a space (0 is the table itself, then the ids of its indexes). */
export interface CountChange extends Count {
  readonly space: number;
}

/** A space, then items and bytes as doubles: exact up to 2^53. */
const recordBytes = 1 + 8 + 8;

export function countersKey(tableId: number): Uint8Array {
  const key = new Uint8Array(6);
  key.set(spacePrefix(0, systemSpaces.counters));
  key[4] = tableId >>> 8;
  key[5] = tableId & 0xff;
  return key;
}

export function readCount(reader: StoreReader, tableId: number, space: number): Count {
  const found = reader.get(countersKey(tableId));
  const counters = found === undefined ? Buffer.alloc(0) : bufferOf(found);
  const at = positionOf(counters, space);
  return at < 0
    ? { items: 0, bytes: 0 }
    : { items: counters.readDoubleLE(at + 1), bytes: counters.readDoubleLE(at + 9) };
}

export function changeCounts(transaction: StoreTransaction, tableId: number, changes: readonly CountChange[]): void {
  const effective = changes.filter(({ items, bytes }) => items !== 0 || bytes !== 0);
  if (effective.length === 0) return;
  const key = countersKey(tableId);
  const found = transaction.get(key);
  let counters = found === undefined ? Buffer.alloc(0) : bufferOf(found);
  for (const { space, items, bytes } of effective) {
    let at = positionOf(counters, space);
    if (at < 0) {
      at = counters.length;
      counters = Buffer.concat([counters, Buffer.alloc(recordBytes)]);
      counters[at] = space;
    }
    counters.writeDoubleLE(counters.readDoubleLE(at + 1) + items, at + 1);
    counters.writeDoubleLE(counters.readDoubleLE(at + 9) + bytes, at + 9);
  }
  transaction.put(key, counters);
}

/** When an index is gone, so that whoever gets its id begins with nothing. */
export function forgetCount(transaction: StoreTransaction, tableId: number, space: number): void {
  const { items, bytes } = readCount(transaction, tableId, space);
  changeCounts(transaction, tableId, [{ space, items: -items, bytes: -bytes }]);
}

function positionOf(counters: Buffer, space: number): number {
  for (let at = 0; at < counters.length; at += recordBytes) if (counters[at] === space) return at;
  return -1;
}
