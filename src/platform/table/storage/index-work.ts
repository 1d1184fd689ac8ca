/**
 * One step each of what takes long: filling an index, emptying one, and removing what a deleted table held. A step is
 * one transaction with a bounded number of items, and leaves everything so that the next can be taken after a crash.
 */
import type { StoreEntry, StoreReader } from '../../../kernel/store.ts';
import { tableLimits } from '../limits.ts';
import { listStored } from '../streams/stream-state.ts';
import { decodeItem, encodedItemBytes } from '../values/item-encoding.ts';
import type { CatalogChange, DeletedTable } from './catalog.ts';
import { type CountChange, changeCounts, countersKey, forgetCount } from './counters.ts';
import { entryKeyOf } from './index-entries.ts';
import { viewOf } from './index-view.ts';
import { afterKey, afterPrefix, spacePrefix, tablePrefix } from './key-encoding.ts';
import type { TableLayout } from './layout.ts';
import { indexLayout, layoutOf, type StoredIndex, type StoredTable } from './stored-table.ts';

/** Gives the next items their entries. An item that is unfit for the index has none. */
export function buildStep(change: CatalogChange, stored: StoredTable, index: StoredIndex): void {
  const { transaction } = change;
  const table = layoutOf(stored);
  const layout = indexLayout(index);
  const start = index.builtTo === undefined ? spacePrefix(stored.id, 0) : afterKey(Buffer.from(index.builtTo, 'hex'));
  const { entries, isLast } = nextEntries(transaction, start, afterPrefix(spacePrefix(stored.id, 0)));
  let count: CountChange = { space: index.id, items: 0, bytes: 0 };
  const added: StoreEntry[] = [];
  for (const { key, value } of entries) {
    const item = decodeItem(value);
    const entryKey = entryKeyOf(table, layout, item, key);
    if (entryKey === undefined || transaction.get(entryKey) !== undefined) continue;
    added.push({ key: entryKey, value: key });
    const bytes = viewOf(table, layout).measure(item, encodedItemBytes(value));
    count = { space: index.id, items: count.items + 1, bytes: count.bytes + bytes };
  }
  for (const { key, value } of added) transaction.put(key, value);
  if (index.kind !== 'expiry') changeCounts(transaction, stored.id, [count]);
  const { builtTo: _builtTo, ...rest } = index;
  const last = entries.at(-1);
  const next: StoredIndex =
    isLast || last === undefined
      ? { ...rest, status: 'ready' }
      : { ...rest, builtTo: Buffer.from(last.key).toString('hex') };
  change.put({ ...stored, indexes: stored.indexes.map(each => (each.id === index.id ? next : each)) });
}

/** Empties an index, and forgets it when it is empty. */
export function dropStep(change: CatalogChange, stored: StoredTable, index: StoredIndex): void {
  const { transaction } = change;
  const start = spacePrefix(stored.id, index.id);
  const { entries, isLast } = nextEntries(transaction, start, afterPrefix(start));
  for (const { key } of entries) transaction.delete(key);
  if (!isLast) return;
  forgetCount(transaction, stored.id, index.id);
  change.put({ ...stored, indexes: stored.indexes.filter(({ id }) => id !== index.id) });
}

/** Removes what a deleted table held; its id is free when nothing is left, not even in its stream. */
export function deleteStep(change: CatalogChange, deleted: DeletedTable): void {
  const { transaction } = change;
  if (deleted.hasOnlyStream) return change.forget(deleted);
  const start = tablePrefix(deleted.id);
  const { entries, isLast } = nextEntries(transaction, start, afterPrefix(start));
  for (const { key } of entries) transaction.delete(key);
  if (!isLast) return;
  transaction.delete(countersKey(deleted.id));
  if (hasStream(transaction, deleted)) change.keepStream(deleted);
  else change.forget(deleted);
}

/** Whether something can still be done about what a deleted table left. */
export function canGo(reader: StoreReader, deleted: DeletedTable): boolean {
  return deleted.hasOnlyStream !== true || !hasStream(reader, deleted);
}

function hasStream(reader: StoreReader, { id }: DeletedTable): boolean {
  return listStored(reader, id).length > 0;
}

/** As many as one step may have; at least one, if there is one. */
export function nextEntries(
  reader: StoreReader,
  start: Uint8Array,
  end: Uint8Array,
  itemsMax: number = tableLimits.upkeepItemsMax,
  bytesMax: number = tableLimits.upkeepBytesMax,
): { entries: StoreEntry[]; isLast: boolean } {
  const entries: StoreEntry[] = [];
  let bytes = 0;
  for (const entry of reader.range({ start, end })) {
    if (entries.length >= itemsMax || bytes >= bytesMax) return { entries, isLast: false };
    entries.push(entry);
    bytes += entry.key.length + entry.value.length;
  }
  return { entries, isLast: true };
}

/** How much of a table the build of an index has seen, from 0 to 1: items lie in the order of an even hash. */
export function buildProgress({ builtTo }: TableLayout['indexes'][number]): number {
  if (builtTo === undefined) return 1;
  return builtTo.length < 8 ? 0 : Buffer.from(builtTo).readUInt32BE(4) / 2 ** 32;
}
