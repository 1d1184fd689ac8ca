import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { defineEntity } from './definition.ts';
import { type EntityWorld, entityWorld } from './entity-world.ts';
import { chat } from './examples/chat.ts';
import { orderEntry } from './examples/order-entry.ts';
import type { StoredEntity } from './records.ts';
import { schemaDocument } from './schema-document.ts';
import { schemaReport } from './schema-report.ts';

/** The golden document is written with `MIMAMORI_WRITE_GOLDEN=1 node --test <this file>`, and read before it is committed. */
describe('the schema document (covers S0-14, S2-11)', () => {
  for (const [name, entities] of Object.entries({ 'order-entry': orderEntry, chat })) {
    it(`of the ${name} example is the committed one`, async () => {
      const file = new URL(`./examples/${name}.md`, import.meta.url);
      const document = schemaDocument(name, entities);
      if (process.env.MIMAMORI_WRITE_GOLDEN) (await import('node:fs')).writeFileSync(file, document);
      assert.equal(document, readFileSync(file, 'utf8'));
    });
  }

  it('lists a question for each of the 17 of the order-entry example, and warns of a hot partition', () => {
    const document = schemaDocument('order-entry', orderEntry);
    for (const question of [
      'Employee.list.byName({ name })',
      'Order.list.open({ status })',
      'RepSales.list.ranked({ period })',
    ])
      assert(document.includes(`| \`${question}\` |`), question);
    assert.match(document, /Employee\.hired is by nothing/);
  });
});

describe('the questions in the schema document', () => {
  it('include aggregates, with what they cost', () => {
    const aggregates = { byRoom: { by: ['room'], sum: ['celsius'], minMax: ['celsius'] } };
    const attributes = z.object({ id: z.string(), room: z.string(), celsius: z.number() });
    const [{ patterns }] = schemaReport('app', {
      Reading: { attributes, id: 'id', patterns: {}, aggregates },
    }).entities;
    const { question, requests, keeps } = patterns[1];
    assert.deepEqual(
      [question, requests, keeps],
      ['Reading.aggregate.byRoom({ room })', 4, ['count', 'sum of celsius', 'extremes of celsius']],
    );
    const wrong = { Reading: { attributes, id: 'id', patterns: {}, aggregates: { byHouse: { by: ['house'] } } } };
    assert.throws(() => schemaReport('app', wrong), { code: 'entity.definitionNotValid' });
  });
});

const everything = {
  Parent: defineEntity(z.object({ parentId: z.string() }), {
    id: 'parentId',
    patterns: {},
    related: { last: { entity: 'Child', pattern: 'ofParent', latest: 1 } },
  }),
  Child: defineEntity(
    z.object({
      childId: z.string(),
      parentId: z.string(),
      a: z.string(),
      b: z.number(),
      mail: z.string(),
      text: z.string(),
    }),
    {
      id: 'childId',
      unique: ['mail'],
      history: { keep: 1 },
      patterns: {
        ofParent: { by: ['parentId'], order: 'b' },
        byA: { by: ['a'], order: 'b', project: [] },
        all: { by: [], order: 'b' },
      },
    },
  ),
};

/** What the ledger has of a call of an entity, e.g. `Child.create`. */
function writeUnitsOf({ ledger }: EntityWorld<typeof everything>, accessPattern: string): number {
  const rows = ledger.rows().filter(row => row.kind === 'write' && row.accessPattern === accessPattern);
  return rows.reduce((sum, { units }) => sum + units, 0);
}

/** Records sent, changes of the index (a changed key is one entry less and one more), and the units in the ledger. */
async function measure(world: EntityWorld<typeof everything>, accessPattern: string, work: () => Promise<unknown>) {
  const unitsBefore = writeUnitsOf(world, accessPattern);
  const before = await world.records();
  const { calls } = await world.callsOf(work);
  const after = await world.records();
  const writes = calls.filter(({ name }) => ['put', 'update', 'delete', 'transactWrite'].includes(name));
  assert.equal(writes.length, 1);
  const { TransactItems } = writes[0].input as { TransactItems?: unknown[] };
  const textOf = ({ PK, SK, SortKey }: StoredEntity) => JSON.stringify([PK, SK, SortKey]);
  const entries = (records: StoredEntity[]) =>
    new Map(records.filter(({ SortKey }) => SortKey !== undefined).map(record => [textOf(record), record]));
  const [old, now] = [entries(before), entries(after)];
  const changed = [...now].filter(([key, record]) => !isDeepStrictEqual(old.get(key), record)).length;
  const gone = [...old.keys()].filter(key => !now.has(key)).length;
  const writeUnits = writeUnitsOf(world, accessPattern) - unitsBefore;
  return { records: TransactItems?.length ?? 1, indexEntries: changed + gone, writeUnits };
}

describe('the reported cost of writes (covers S0-22)', () => {
  it('is what the ledger has measured', async () => {
    const world = await entityWorld(everything);
    const { Parent, Child } = world.entities;
    const writes = schemaReport('app', everything).entities.find(({ name }) => name === 'Child')?.writes;
    assert(writes);
    const child = { childId: 'c', parentId: 'p', a: 'a', b: 1, mail: 'm', text: 't' };
    assert.deepEqual(await measure(world, 'Child.create', () => Child.create(child)), writes.create);
    await world.until(Child.update('c', { text: 'once' })); // So that there is an old version to drop.
    assert.deepEqual(await measure(world, 'Child.update', () => Child.update('c', { text: 'twice' })), writes.update);
    const all = { parentId: 'q', a: 'b', b: 2, mail: 'n', text: 'x' };
    assert.deepEqual(await measure(world, 'Child.update', () => Child.update('c', all)), writes.updateMost);
    await world.until(Child.update('c', { b: 3 }));
    assert.deepEqual(await measure(world, 'Child.delete', () => Child.delete('c')), writes.delete);
    const ofParent = schemaReport('app', everything).entities.find(({ name }) => name === 'Parent')?.writes;
    assert.deepEqual(await measure(world, 'Parent.create', () => Parent.create({ parentId: 'p' })), ofParent?.create);
  });
});
