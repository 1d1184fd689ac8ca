/** Deletes items that have expired, as the service itself: without capacity, and marked so in the feed of the table. */
import type { KeyValueStore, StoreTransaction } from '../../../kernel/store.ts';
import { ttlIdentity } from '../streams/change-record.ts';
import { decodeItem, encodedItemBytes } from '../values/item-encoding.ts';
import { compareBytes } from '../values/value.ts';
import { applyWrite, type WriteParts } from './apply-write.ts';
import { expiredRange, expiryEntryKey, secondsOfEntry } from './expiry.ts';
import { nextEntries } from './index-work.ts';
import { afterPrefix, spacePrefix } from './key-encoding.ts';
import type { IndexLayout, TableLayout } from './layout.ts';

export type SweepParts = WriteParts & { readonly store: KeyValueStore };

/**
 * One batch of each table.
 * @returns when the next item expires, Unix epoch seconds; undefined: none ever does
 */
export async function sweepExpired(engine: SweepParts): Promise<number | undefined> {
  const nowMs = engine.clock.nowMs();
  const hasExpired = ({ table, expiry }: Expiring) => firstEntry(engine.store, table, expiry, nowMs) !== undefined;
  // One for each table, in one turn: they share a sync, and what is damaged in one keeps no other from going on.
  const sweeps = expiringTables(engine)
    .filter(hasExpired)
    .map(({ table, expiry }) =>
      engine.store.write(transaction => deleteExpired(transaction, engine, table, expiry, nowMs)),
    );
  for (const outcome of await Promise.allSettled(sweeps)) if (outcome.status === 'rejected') throw outcome.reason;
  return nextSeconds(engine, nowMs);
}

interface Expiring {
  readonly table: TableLayout;
  readonly expiry: IndexLayout;
}

function expiringTables({ catalog }: SweepParts): Expiring[] {
  return [...catalog.all()].flatMap(({ id }) => {
    const table = catalog.current(id);
    return table?.expiry === undefined ? [] : [{ table, expiry: table.expiry }];
  });
}

function firstEntry(store: KeyValueStore, table: TableLayout, expiry: IndexLayout, nowMs: number) {
  return [...take(store.range(expiredRange(table.id, expiry.id, nowMs)), 1)].at(0);
}

function deleteExpired(
  transaction: StoreTransaction,
  engine: SweepParts,
  table: TableLayout,
  expiry: IndexLayout,
  nowMs: number,
): void {
  const { start, end } = expiredRange(table.id, expiry.id, nowMs);
  for (const { key, value: itemKey } of nextEntries(transaction, start, end).entries) {
    const encoded = transaction.get(itemKey);
    const stored = encoded && { item: decodeItem(encoded), bytes: encodedItemBytes(encoded), encoded };
    const own = stored && expiryEntryKey(table, expiry, stored.item, itemKey);
    if (own === undefined || compareBytes(own, key) !== 0) {
      transaction.delete(key); // of no item: only damage leaves it, and it would be found again and again
    } else {
      applyWrite(transaction, engine, table, itemKey, stored, undefined, { userIdentity: ttlIdentity });
    }
  }
}

function nextSeconds(engine: SweepParts, nowMs: number): number | undefined {
  let next: number | undefined;
  for (const { table, expiry } of expiringTables(engine)) {
    const { start } = expiredRange(table.id, expiry.id, nowMs);
    const end = afterPrefix(spacePrefix(table.id, expiry.id));
    for (const { key } of take(engine.store.range({ start, end }), 1)) {
      next = Math.min(next ?? Number.POSITIVE_INFINITY, secondsOfEntry(key));
    }
  }
  return next;
}

function* take<Element>(elements: Iterable<Element>, count: number): Generator<Element> {
  let left = count;
  for (const element of elements) {
    if (left-- <= 0) return;
    yield element;
    if (left <= 0) return;
  }
}
