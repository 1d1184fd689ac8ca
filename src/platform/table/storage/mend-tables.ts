/** Puts right what a check has found, on a store that no engine runs on. A kill in between leaves what a call again ends. */
import type { Clock } from '../../../kernel/clock.ts';
import { silentLog } from '../../../kernel/log.ts';
import type { KeyValueStore, StoreEntry } from '../../../kernel/store.ts';
import { tableLimits } from '../limits.ts';
import { changeKey, readState, tablesWithStreams, writeState } from '../streams/stream-state.ts';
import { encodedItemBytes } from '../values/item-encoding.ts';
import { Catalog } from './catalog.ts';
import { everything, remedyOf, streamDamage, undamaged } from './check-tables.ts';
import { checkedStore, checkedTransaction, contentOf } from './checked-store.ts';
import { changeCounts, countersKey } from './counters.ts';
import { damageOf } from './damage.ts';
import { nextEntries } from './index-work.ts';
import { afterPrefix, placeOf, spacePrefix, tablePrefix } from './key-encoding.ts';
import type { StoredTable } from './stored-table.ts';
import { Upkeep } from './upkeep.ts';

/**
 * Takes away the damaged entries that everything else can do without. What is left of a stream begins behind its last
 * damaged change, so that readers are told that changes are gone.
 * @param keep  is given each entry before it goes
 * @returns how many went
 */
export async function removeDamaged(store: KeyValueStore, keep: (entry: StoreEntry) => Promise<void>): Promise<number> {
  let removed = 0;
  for (const entry of damagedEntries(store)) {
    if (remedyOf(entry.key) === 'restore') continue;
    await keep(entry);
    await store.write(transaction => transaction.delete(entry.key));
    removed++;
  }
  const reader = undamaged(store);
  for (const { tableId } of tablesWithStreams(reader)) await shortenStream(store, tableId);
  return removed;
}

function damagedEntries(store: KeyValueStore): StoreEntry[] {
  const damaged: StoreEntry[] = [];
  for (const entry of store.range(everything)) {
    if (contentOf(entry.key, entry.value) === undefined) damaged.push(entry);
  }
  return damaged;
}

async function shortenStream(store: KeyValueStore, tableId: number): Promise<void> {
  const reader = undamaged(store);
  const { trimmed, bytes: counted } = readState(reader, tableId);
  const { lastBad = trimmed, bytes } = streamDamage(reader, tableId);
  if (lastBad === trimmed && bytes === counted) return;
  await store.write(transaction => {
    const checked = checkedTransaction(transaction, key => damageOf(key, () => undefined));
    const state = readState(checked, tableId);
    for (let number = trimmed + 1n; number <= lastBad; number++) checked.delete(changeKey(tableId, number));
    writeState(checked, tableId, { ...state, trimmed: lastBad, bytes });
  });
}

/** All indexes and counts from the items. Throws `table.corrupt` while items are damaged. */
export async function rebuildIndexes(store: KeyValueStore, clock: Clock): Promise<void> {
  let known: Catalog | undefined;
  const checked = checkedStore(store, key => damageOf(key, () => known));
  const catalog = new Catalog(checked);
  known = catalog;
  const upkeep = new Upkeep({ store: checked, catalog, clock, log: silentLog, sweep: async () => undefined });
  for (const { key } of damagedEntries(store)) {
    if (remedyOf(key) === 'rebuild') await store.write(transaction => transaction.delete(key)); // also of no table
  }
  try {
    for (const { tableName } of catalog.list()) {
      await emptyIndexes(store, catalog, tableName);
      await upkeep.completeIndexes([tableName]);
    }
  } finally {
    await upkeep.close();
  }
}

async function emptyIndexes(store: KeyValueStore, catalog: Catalog, tableName: string): Promise<void> {
  const { id } = catalog.stored(tableName);
  await catalog.change(change => change.put(asUnbuilt(catalog.stored(tableName))));
  const start = spacePrefix(id, 1);
  const end = afterPrefix(tablePrefix(id));
  let isLast = false;
  while (!isLast) {
    isLast = await store.write(transaction => {
      const step = nextEntries(transaction, start, end, tableLimits.upgradeItemsMax, tableLimits.upgradeBytesMax);
      for (const { key } of step.entries) transaction.delete(key);
      return step.isLast;
    });
  }
  let items = 0;
  let bytes = 0;
  const ofItems = spacePrefix(id, 0);
  for (const { key, value } of store.range({ start: ofItems, end: afterPrefix(ofItems) })) {
    const content = contentOf(key, value);
    if (content === undefined) throw damageOf(key, () => catalog);
    items++;
    bytes += encodedItemBytes(content);
  }
  await catalog.change(({ transaction }) => {
    transaction.delete(countersKey(id));
    changeCounts(transaction, id, [{ space: 0, items, bytes }]);
  });
}

function asUnbuilt(stored: StoredTable): StoredTable {
  const indexes = stored.indexes.map(({ builtTo: _builtTo, ...index }) =>
    index.status === 'dropping' ? index : { ...index, status: 'building' as const },
  );
  return { ...stored, indexes };
}

/** Of an entry that goes, for whoever wants to look at its bytes. */
export function rawEntry({ key, value }: StoreEntry): object {
  const { tableId, space } = placeOf(key);
  return { tableId, space, key: Buffer.from(key).toString('hex'), value: Buffer.from(value).toString('base64') };
}
