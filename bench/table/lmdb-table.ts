// Plain lmdb as a program without a table engine would use it: MessagePack, one more database as the index.
import { open } from 'lmdb';
import { type BenchItem, listItems, type TableUnderLoad } from './table-under-load.ts';

export async function openLmdbTable(folder: string): Promise<TableUnderLoad> {
  const root = open({ path: folder, noSubdir: false, separateFlushed: true, maxDbs: 4 } as Parameters<typeof open>[0]);
  const items = root.openDB<BenchItem, [string, string]>({ name: 'items' });
  const byCity = root.openDB<null, [string, string, string, string]>({ name: 'byCity' });
  const write = (item: BenchItem) => {
    void items.put([item.PK, item.SK], item);
    return byCity.put([item.City, item.Rank, item.PK, item.SK], null);
  };
  // `put` resolves when it is committed; it is on the disk when `flushed` resolves.
  const durable = async (written: Promise<unknown>) => {
    await written;
    await root.flushed;
  };
  const putAll = (all: readonly BenchItem[]) => durable(root.batch(() => all.forEach(write)) as Promise<unknown>);
  return {
    put: item => putAll([item]),
    update: id => {
      const key: [string, string] = [`User-${id}`, 'Profile'];
      return durable(
        root.transaction(() => {
          const item = items.get(key);
          if (item !== undefined) void items.put(key, { ...item, count: item.count + 1 });
        }),
      );
    },
    get: async id => items.get([`User-${id}`, 'Profile']),
    query: async list => {
      const found: BenchItem[] = [];
      for (const { value } of items.getRange({ start: [`List-${list}`, ''], limit: listItems })) found.push(value);
      return found;
    },
    transact: all =>
      durable(
        root.transaction(() => {
          if (all.every(({ PK, SK }) => items.get([PK, SK]) === undefined)) all.forEach(write);
        }),
      ),
    batch: putAll,
    close: () => root.close(),
  };
}
