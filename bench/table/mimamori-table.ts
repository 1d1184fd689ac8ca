// Our engine in process: durable, with one global index.
import { systemClock } from '../../src/kernel/clock.ts';
import { openLmdbStore } from '../../src/kernel/lmdb-store.ts';
import { openEmbeddedTable } from '../../src/platform/table/index.ts';
import { documentTable } from './document-table.ts';
import { benchSchema } from './schema.ts';
import type { TableUnderLoad } from './table-under-load.ts';

export async function openMimamoriTable(folder: string): Promise<TableUnderLoad> {
  const store = await openLmdbStore({ path: folder, durability: 'sync' });
  const table = await openEmbeddedTable({ store, clock: systemClock, tables: [benchSchema] });
  return documentTable(table, () => table.close());
}
