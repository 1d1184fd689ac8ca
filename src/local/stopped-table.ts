import { type App, tablesOf } from '../app/index.ts';
import { systemClock } from '../kernel/clock.ts';
import { joinPath } from '../kernel/files.ts';
import { openLmdbStore } from '../kernel/lmdb-store.ts';
import { openEmbeddedTable, type Table } from '../platform/table/index.ts';
import { lockDataDirectory } from './data-lock.ts';

/** Works on the table of a backend that is stopped. Throws `data.inUse`. */
export async function withStoppedTable(
  dataDirectory: string,
  app: App,
  work: (table: Table) => Promise<void>,
): Promise<void> {
  const lock = await lockDataDirectory(dataDirectory);
  try {
    const store = await openLmdbStore({ path: joinPath(dataDirectory, 'table'), durability: 'sync' });
    const table = await openEmbeddedTable({ store, clock: systemClock, tables: tablesOf(app) });
    await work(table).finally(() => table.close());
  } finally {
    await lock.release();
  }
}
