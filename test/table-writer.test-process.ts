/** Writes to a table as fast as it can until it is killed; says on stdout what was acknowledged. Told on by table-kill.test.ts. */
import { systemClock } from '../src/kernel/clock.ts';
import { openLmdbStore } from '../src/kernel/lmdb-store.ts';
import { openEmbeddedTable, type Table, type TableSchema } from '../src/platform/table/index.ts';

export const killTable = {
  tableName: 'killed',
  partitionKey: { name: 'PK', type: 'S' },
  sortKey: { name: 'SK', type: 'N' },
  indexes: [
    { indexName: 'byColour', partitionKey: { name: 'Colour', type: 'S' }, sortKey: { name: 'Weight', type: 'N' } },
    { indexName: 'byDay', partitionKey: { name: 'Day', type: 'S' }, projection: 'KEYS_ONLY' },
  ],
  stream: 'NEW_AND_OLD_IMAGES',
} as const satisfies TableSchema;

export const lanes = 12;
/** A lane keeps so many of its notes. */
export const notesKept = 15;

/** Everything one step of a lane writes, in one transaction: its head, a new note, and the end of an old one. */
export function step(lane: number, count: number) {
  const TableName = killTable.tableName;
  const PK = `lane-${lane}`;
  const colours = ['red', 'green', 'blue'];
  const note = {
    PK,
    SK: count,
    Colour: colours[count % 3],
    Weight: (count * 7) % 11,
    Day: `day-${count % 5}`,
    text: 'x'.repeat(count % 700),
  };
  return {
    TransactItems: [
      {
        Update: {
          TableName,
          Key: { PK, SK: 0 },
          UpdateExpression: 'SET #count = :count, Weight = :count, Colour = :colour',
          ConditionExpression: 'attribute_not_exists(PK) OR #count = :before',
          ExpressionAttributeNames: { '#count': 'count' },
          ExpressionAttributeValues: { ':count': count, ':before': count - 1, ':colour': 'head' },
        },
      },
      { Put: { TableName, Item: note, ConditionExpression: 'attribute_not_exists(PK)' } },
      ...(count > notesKept ? [{ Delete: { TableName, Key: { PK, SK: count - notesKept } } }] : []),
    ],
  };
}

if (import.meta.main) await writeUntilKilled(process.argv[2]);

async function writeUntilKilled(path: string): Promise<never> {
  const store = await openLmdbStore({ path, durability: 'sync', limits: { journalFileBytesMax: 400_000 } });
  const table = await openEmbeddedTable({ store, clock: systemClock, tables: [killTable] });
  process.stdout.write('open\n');
  await Promise.all(Array.from({ length: lanes }, (_, lane) => runLane(table, lane)));
  throw new Error('lanes never end');
}

async function runLane(table: Table, lane: number): Promise<void> {
  const Key = { PK: `lane-${lane}`, SK: 0 };
  const { Item } = await table.get({ TableName: killTable.tableName, Key });
  for (let count = Number(Item?.count ?? 0) + 1; ; count++) {
    await table.transactWrite(step(lane, count));
    process.stdout.write(`${lane} ${count}\n`); // a pipe is written to at once
  }
}
