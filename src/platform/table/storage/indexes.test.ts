import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { tableOn } from '../embedded.ts';
import type { TableSchema } from '../port.ts';
import type { Item } from '../values/value.ts';
import { readCount } from './counters.ts';
import { entriesOf, readableIndex } from './entries.ts';
import { buildProgress } from './index-work.ts';
import { afterPrefix, spacePrefix } from './key-encoding.ts';
import { itemKey } from './layout.ts';
import { openEngine } from './open-engine.ts';
import { StorageWorld } from './storage-world.ts';
import { verifyIndexes } from './verify-indexes.ts';

const s = (name: string) => ({ name, type: 'S' }) as const;
const n = (name: string) => ({ name, type: 'N' }) as const;

const things: TableSchema = {
  tableName: 'things',
  partitionKey: s('pk'),
  sortKey: s('sk'),
  ttlAttribute: 'expires',
  indexes: [
    { indexName: 'byOwner', partitionKey: s('owner'), sortKey: n('rank') },
    { indexName: 'keysOnly', partitionKey: s('owner'), projection: 'KEYS_ONLY' },
    { indexName: 'some', partitionKey: s('owner'), projection: ['note', 'absent'] },
    { indexName: 'overloaded', partitionKey: s('sk'), sortKey: s('pk') },
    { indexName: 'many', partitionKey: [s('owner'), n('rank')], sortKey: [n('rank2'), s('note')] },
    { indexName: 'local', kind: 'local', partitionKey: s('pk'), sortKey: n('rank') },
  ],
};

async function world(tables: readonly TableSchema[] = [things]): Promise<StorageWorld> {
  const made = new StorageWorld();
  await made.open({ tables });
  return made;
}

describe('secondary indexes', () => {
  it('hold an item that has all their keys, and show what is projected', async () => {
    const w = await world();
    const item = { pk: 'a', sk: '1', owner: 'ada', rank: 2, rank2: 1, note: 'x', other: [1] };
    await w.put('things', item);
    await w.put('things', { pk: 'a', sk: '2', owner: 'bob' });
    assert.deepEqual(w.query('things', 'byOwner', 'ada'), [item]);
    assert.deepEqual(w.query('things', 'byOwner', 'bob'), []);
    assert.deepEqual(w.query('things', 'keysOnly', 'ada'), [{ pk: 'a', sk: '1', owner: 'ada' }]);
    assert.deepEqual(w.query('things', 'some', 'ada'), [{ pk: 'a', sk: '1', owner: 'ada', note: 'x' }]);
    assert.deepEqual(w.query('things', 'overloaded', '1'), [item]);
    assert.deepEqual(w.query('things', 'many', 'ada', 2), [item]);
    assert.deepEqual(w.query('things', 'many', 'ada', 1), []);
    assert.deepEqual(w.query('things', 'local', 'a'), [item]);
  });

  it('weigh what they show, and an item in a local index can be had whole', async () => {
    const w = await world();
    await w.put('things', { pk: 'a', sk: '1', owner: 'ada', rank: 2, note: 'abc' });
    const table = w.engine.catalog.table('things');
    const index = readableIndex(table, 'some');
    const range = { start: spacePrefix(table.id, index.id), end: afterPrefix(spacePrefix(table.id, index.id)) };
    const [entry] = entriesOf(w.engine, table, index, range);
    assert.equal(entry.bytes, 3 + 3 + 8 + 7);
    assert.equal(entry.wholeBytes, 3 + 3 + 8 + 7 + 6);
    assert.equal(entry.whole.rank, 2);
  });

  it('are refused by name when they are not there', async () => {
    const w = await world();
    assert.throws(() => w.query('things', 'none', 'a'), {
      name: 'ValidationException',
      message: 'The table does not have the specified index: none',
    });
  });

  it('order entries by several sort attributes, byte for byte', async () => {
    const w = await world();
    const items = [
      { rank2: -1, note: 'b' },
      { rank2: 0, note: 'a' },
      { rank2: 0, note: 'a\0' },
      { rank2: 0, note: 'b' },
      { rank2: 1.5, note: 'a' },
    ].map((keys, at) => ({ pk: 'p', sk: `${9 - at}`, owner: 'o', rank: 1, ...keys }));
    for (const item of items.toReversed()) await w.put('things', item);
    assert.deepEqual(w.query('things', 'many', 'o', 1), items);
  });

  it('equal a rebuild after any writes, and so do their counts', async () => {
    const w = await world();
    let expected = new Map<string, Item>();
    await fc.assert(
      fc
        .asyncProperty(fc.array(write, { minLength: 5, maxLength: 40 }), async writes => {
          for (const { key, next } of writes) {
            void w.write('things', key, next && { ...key, ...next });
            const name = JSON.stringify([key.pk, key.sk]);
            if (next === undefined) expected.delete(name);
            else expected.set(name, { ...key, ...next });
          }
          await w.clock.settle();
          const report = verifyIndexes(w.engine, 'things');
          assert.deepEqual(report, { items: expected.size, differences: [] });
          const fit = [...expected.values()].filter(
            ({ owner, rank }) => typeof owner === 'string' && owner !== '' && typeof rank === 'number',
          );
          const { id } = readableIndex(w.engine.catalog.table('things'), 'byOwner');
          assert.equal(readCount(w.engine.store, w.engine.catalog.table('things').id, id).items, fit.length);
        })
        .beforeEach(async () => {
          for (const { pk, sk } of expected.values()) void w.write('things', { pk, sk }, undefined);
          expected = new Map();
          await w.clock.advance(1);
        }),
      { numRuns: 150 },
    );
  });

  it('have their difference to a rebuild found', async () => {
    const w = await world();
    await w.put('things', { pk: 'a', sk: '1', owner: 'ada', rank: 2 });
    const table = w.engine.catalog.table('things');
    const { id } = readableIndex(table, 'byOwner');
    const [entry] = w.engine.store.range({
      start: spacePrefix(table.id, id),
      end: afterPrefix(spacePrefix(table.id, id)),
    });
    await w.clock.until(w.engine.store.write(transaction => transaction.delete(entry.key)));
    const { differences } = verifyIndexes(w.engine, 'things');
    assert.match(differences[0], /^index byOwner has no entry for item/);
    assert.match(differences[1], /^index byOwner has 0 entries, a rebuild would give 1/);
  });

  it('are never served with an entry whose item is gone', async () => {
    const w = await world();
    await w.put('things', { pk: 'a', sk: '1', owner: 'ada', rank: 2 });
    const place = itemKey(w.engine.catalog.table('things'), { pk: 'a', sk: '1' });
    await w.clock.until(w.engine.store.write(transaction => transaction.delete(place)));
    assert.throws(() => w.query('things', 'byOwner', 'ada'), { code: 'table.indexDamaged' });
  });

  it('limit the length of several key attributes together, for puts and updates', async () => {
    const w = await world();
    const table = tableOn(w.engine);
    const Item = { pk: 'a', sk: '1', owner: 'x'.repeat(2_000), rank: 1, rank2: 1, note: 'y'.repeat(1_024) };
    await w.clock.until(table.put({ TableName: 'things', Item }));
    assert.equal(w.query('things', 'many', Item.owner, 1).length, 1);
    const joint: TableSchema = {
      tableName: 'joint',
      partitionKey: s('pk'),
      indexes: [{ indexName: 'both', partitionKey: s('pk'), sortKey: [s('a'), s('b')] }],
    };
    await w.clock.until(w.engine.close());
    await w.open({ tables: [joint] });
    const reopened = tableOn(w.engine);
    const [a, b] = ['x'.repeat(512), 'y'.repeat(512)];
    await w.clock.until(reopened.put({ TableName: 'joint', Item: { pk: 'p', a, b } }));
    const refused = {
      name: 'ValidationException',
      message:
        'One or more parameter values were invalid: Aggregated size of all range keys has exceeded the size limit of 1024 bytes',
    };
    await assert.rejects(reopened.put({ TableName: 'joint', Item: { pk: 'p', a, b: `${b}y` } }), refused);
    const update = { TableName: 'joint', Key: { pk: 'p' }, UpdateExpression: 'SET b = :b' };
    await assert.rejects(reopened.update({ ...update, ExpressionAttributeValues: { ':b': `${b}y` } }), refused);
    assert.equal(w.query('joint', 'both', 'p').length, 1);
  });

  it('follow the declaration: others come and go, a local one stays as it is', async () => {
    const w = await world();
    for (let count = 0; count < 700; count++) {
      void w.write('things', { pk: 'p', sk: `${count}` }, { pk: 'p', sk: `${count}`, owner: 'o', rank: count });
    }
    await w.clock.advance(1);
    const [byOwner, , , , , local] = things.indexes ?? [];
    const fresh = { indexName: 'fresh', partitionKey: n('rank') };
    const ranked = { ...byOwner, sortKey: s('sk') };
    await w.clock.until(w.engine.close());
    await w.open({ tables: [{ ...things, indexes: [ranked, fresh, local] }] });
    assert.equal(w.query('things', 'byOwner', 'o').length, 700);
    assert.deepEqual(
      w.query('things', 'fresh', 5).map(({ sk }) => sk),
      ['5'],
    );
    await w.clock.until(w.engine.upkeep.settled());
    assert.deepEqual(verifyIndexes(w.engine, 'things').differences, []);
    assert.deepEqual(
      w.engine.catalog
        .stored('things')
        .indexes.filter(({ kind }) => kind !== 'expiry')
        .map(({ indexName }) => indexName)
        .sort(),
      ['byOwner', 'fresh', 'local'],
    );
    const store = w.disk.open();
    const changed = openEngine({ store, clock: w.clock, tables: [{ ...things, indexes: [byOwner] }] });
    await assert.rejects(w.clock.until(changed), { code: 'table.schemaChanged' });
    assert.throws(() => store.get(Uint8Array.of(1)), { code: 'store.failed' }); // it was closed
    const other = { ...local, indexName: 'other' };
    await assert.rejects(w.open({ tables: [{ ...things, indexes: [local, other] }] }), { code: 'table.schemaChanged' });
  });

  it('tell how far a build has come', () => {
    const index = { id: 1, indexName: 'i', kind: 'global', projection: 'ALL' } as const;
    const keys = { partitionKeys: [s('a')], sortKeys: [] };
    const at = (bytes: number[]) =>
      buildProgress({ ...index, keys, isBuilding: true, builtTo: Uint8Array.from([0x44, 0, 1, 0, ...bytes]) });
    assert.equal(at([]), 0);
    assert.equal(at([0x40, 0, 0, 0, 9]), 0.25);
    assert.equal(buildProgress({ ...index, keys, isBuilding: false }), 1);
  });
});

/** Few names, so that they meet; some unfit for some indexes, as items older than an index are. */
const key = fc.record({ pk: fc.constantFrom('p', 'p\0', 'q'), sk: fc.constantFrom('a', 'a\0', 'b') });
const attributes = fc.record(
  {
    owner: fc.constantFrom<string | number>('o', 'o\0', '', 7),
    rank: fc.constantFrom<string | number>(-1, 0, 0.5, 'first'),
    rank2: fc.constantFrom(1, 2),
    note: fc.constantFrom('x', 'y'.repeat(1_020), 'y'.repeat(1_025)),
    expires: fc.constantFrom<string | number>(2 ** 40, 2 ** 41, 'never', -1),
    other: fc.integer(),
  },
  { requiredKeys: [], noNullPrototype: true },
);
const write = fc.record({ key, next: fc.option(attributes, { nil: undefined }) });
