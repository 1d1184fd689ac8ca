import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { tableOn } from '../embedded.ts';
import { tableLimits } from '../limits.ts';
import type { TableSchema } from '../port.ts';
import { compareBytes, type Item } from '../values/value.ts';
import { entriesOf, readableIndex } from './entries.ts';
import { afterPrefix } from './key-encoding.ts';
import { indexEntryKey, partitionPrefix } from './layout.ts';
import { StorageWorld } from './storage-world.ts';

const things: TableSchema = {
  tableName: 'things',
  partitionKey: { name: 'pk', type: 'S' },
  sortKey: { name: 'sk', type: 'S' },
  indexes: [
    { indexName: 'byOwner', partitionKey: { name: 'owner', type: 'S' }, sortKey: { name: 'rank', type: 'N' } },
    {
      indexName: 'local',
      kind: 'local',
      partitionKey: { name: 'pk', type: 'S' },
      sortKey: { name: 'rank', type: 'N' },
    },
  ],
};
const indexLagMs = 50;

async function world(): Promise<StorageWorld> {
  const made = new StorageWorld();
  await made.open({ tables: [things], indexLagMs });
  return made;
}

describe('an index lag', () => {
  const item = { pk: 'p', sk: '1', owner: 'ada', rank: 1 };

  it('shows a global index as it was that long ago, to the millisecond, and nothing else', async () => {
    const w = await world();
    const written = w.write('things', item, item);
    assert.deepEqual(w.query('things', 'byOwner', 'ada'), []);
    assert.deepEqual(w.query('things', 'local', 'p'), [item]);
    assert.deepEqual(w.get('things', item), item);
    await w.clock.advance(indexLagMs - 1);
    await written;
    assert.deepEqual(w.query('things', 'byOwner', 'ada'), []);
    await w.clock.advance(1);
    assert.deepEqual(w.query('things', 'byOwner', 'ada'), [item]);
  });

  it('shows nothing of a deleted table in the next one that has its number', async () => {
    const w = await world();
    void w.write('things', item, item);
    await w.clock.advance(indexLagMs);
    void w.write('things', item, { ...item, rank: 2 }); // the index still knows rank 1
    const { admin } = tableOn(w.engine);
    const { id } = w.engine.catalog.table('things');
    await w.clock.until(admin.deleteTable({ TableName: 'things' }));
    await w.clock.until(w.engine.upkeep.settled());
    const again = admin.createTable({
      TableName: 'things',
      BillingMode: 'PAY_PER_REQUEST',
      AttributeDefinitions: [
        { AttributeName: 'pk', AttributeType: 'S' },
        { AttributeName: 'sk', AttributeType: 'S' },
        { AttributeName: 'owner', AttributeType: 'S' },
      ],
      KeySchema: [
        { AttributeName: 'pk', KeyType: 'HASH' },
        { AttributeName: 'sk', KeyType: 'RANGE' },
      ],
      GlobalSecondaryIndexes: [
        {
          IndexName: 'byOwner',
          KeySchema: [{ AttributeName: 'owner', KeyType: 'HASH' }],
          Projection: { ProjectionType: 'ALL' },
        },
      ],
    });
    await w.clock.until(again);
    assert.equal(w.engine.catalog.table('things').id, id);
    assert.deepEqual(w.query('things', 'byOwner', 'ada'), []);
  });

  it('shows an item where it was and as it was, when it has moved, changed or gone', async () => {
    const w = await world();
    void w.write('things', item, item);
    await w.clock.advance(indexLagMs);
    void w.write('things', item, { ...item, rank: 2 });
    await w.clock.advance(10);
    void w.write('things', item, { ...item, owner: 'bob' });
    await w.clock.advance(10);
    void w.write('things', item, undefined);
    const seen = () => [
      w.query('things', 'byOwner', 'ada').map(({ rank }) => rank),
      w.query('things', 'byOwner', 'bob').length,
    ];
    assert.deepEqual(seen(), [[1], 0]);
    await w.clock.advance(30);
    assert.deepEqual(seen(), [[2], 0]);
    await w.clock.advance(10);
    assert.deepEqual(seen(), [[], 1]);
    await w.clock.advance(10);
    assert.deepEqual(seen(), [[], 0]);
  });

  it('equals a model that looks back, in both directions of reading', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 60 }), async steps => {
        const w = await world();
        const history: { atMs: number; items: Map<string, Item> }[] = [{ atMs: -1, items: new Map() }];
        for (const { sk, next, passMs } of steps) {
          const before = history[history.length - 1].items;
          const items = new Map(before);
          const key = { pk: 'p', sk };
          if (next === undefined) items.delete(sk);
          else items.set(sk, { ...key, ...next });
          void w.write('things', key, items.get(sk));
          history.push({ atMs: w.clock.monotonicMs(), items });
          await w.clock.advance(passMs);
          const seenMs = w.clock.monotonicMs() - indexLagMs;
          const past = history.findLast(({ atMs }) => atMs <= seenMs)?.items ?? new Map();
          const expected = sorted(
            w,
            [...past.values()].filter(each => each.owner === 'ada'),
          );
          assert.deepEqual(read(w, false), expected);
          assert.deepEqual(read(w, true), expected.toReversed());
        }
      }),
      { numRuns: 40 },
    );
  });

  it('forgets the oldest changes when there are too many', async () => {
    const w = await world();
    const note = 'x'.repeat(300_000);
    void w.write('things', item, { ...item, note });
    await w.clock.advance(indexLagMs);
    const changes = Math.ceil(tableLimits.laggingBytesMax / 300_000) + 1;
    for (let count = 0; count < changes; count++) void w.write('things', item, { ...item, rank: count + 2, note });
    await w.clock.settle();
    const [seen] = w.query('things', 'byOwner', 'ada');
    assert.ok(Number(seen.rank) > 1 && Number(seen.rank) < changes, `rank ${seen.rank}`);
  });
});

const step = fc.record({
  sk: fc.constantFrom('1', '2', '3', '4'),
  next: fc.option(
    fc.record(
      { owner: fc.constantFrom('ada', 'bob'), rank: fc.integer({ min: 0, max: 3 }) },
      { noNullPrototype: true },
    ),
    { nil: undefined },
  ),
  passMs: fc.integer({ min: 0, max: 30 }),
});

/** As the index orders them. */
function sorted({ engine }: StorageWorld, items: readonly Item[]): Item[] {
  const table = engine.catalog.table('things');
  const index = readableIndex(table, 'byOwner');
  const keyed = items.map(each => ({ each, key: indexEntryKey(table, index, each) }));
  return keyed.sort((left, right) => compareBytes(left.key, right.key)).map(({ each }) => each);
}

function read({ engine }: StorageWorld, reverse: boolean): Item[] {
  const table = engine.catalog.table('things');
  const index = readableIndex(table, 'byOwner');
  const start = partitionPrefix(table, index, ['ada']);
  return [...entriesOf(engine, table, index, { start, end: afterPrefix(start), reverse })].map(({ item }) => item);
}
