// Plain SQLite (node:sqlite), WAL and synchronous=FULL. Writes of one turn of the event loop share a transaction and so
// a sync, in its favour: without that it would sync for each.
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { BenchItem, TableUnderLoad } from './table-under-load.ts';

export async function openSqliteTable(folder: string): Promise<TableUnderLoad> {
  const database = new DatabaseSync(join(folder, 'bench.sqlite'));
  database.exec(`
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    CREATE TABLE IF NOT EXISTS items (pk TEXT, sk TEXT, city TEXT, rank TEXT, count INTEGER, item TEXT,
      PRIMARY KEY (pk, sk)) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS by_city ON items (city, rank);`);
  const upsert = database.prepare('INSERT OR REPLACE INTO items VALUES (?, ?, ?, ?, ?, ?)');
  const increment = database.prepare("UPDATE items SET count = count + 1 WHERE pk = ? AND sk = 'Profile'");
  const select = database.prepare("SELECT count, item FROM items WHERE pk = ? AND sk = 'Profile'");
  const list = database.prepare('SELECT count, item FROM items WHERE pk = ? ORDER BY sk');
  const exists = database.prepare('SELECT 1 FROM items WHERE pk = ? AND sk = ?');
  const inTurn = groupOfTurn(database);
  const write = (item: BenchItem) =>
    upsert.run(item.PK, item.SK, item.City, item.Rank, item.count, JSON.stringify(item));
  const read = (row: Record<string, unknown> | undefined) =>
    row && { ...JSON.parse(String(row.item)), count: row.count };
  return {
    put: item => inTurn(() => write(item)),
    update: id => inTurn(() => increment.run(`User-${id}`)),
    get: async id => read(select.get(`User-${id}`)),
    query: async id => list.all(`List-${id}`).map(read),
    transact: items =>
      inTurn(() => {
        if (items.every(({ PK, SK }) => exists.get(PK, SK) === undefined)) items.forEach(write);
      }),
    batch: items => inTurn(() => items.forEach(write)),
    close: async () => database.close(),
  };
}

function groupOfTurn(database: DatabaseSync): (work: () => unknown) => Promise<void> {
  let waiting: (() => void)[] = [];
  const commit = () => {
    const done = waiting;
    waiting = [];
    database.exec('COMMIT');
    for (const resolve of done) resolve();
  };
  return work => {
    if (waiting.length === 0) {
      database.exec('BEGIN IMMEDIATE');
      setImmediate(commit);
    }
    work();
    return new Promise(resolve => waiting.push(resolve));
  };
}
