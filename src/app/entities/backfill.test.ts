import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { z } from 'zod';
import { seededRandom } from '../../kernel/random.ts';
import type { Table } from '../../platform/table/index.ts';
import { appTable } from './app-table.ts';
import { Backfill } from './backfill.ts';
import { defineEntity, type EntityMap } from './definition.ts';
import { type EntityWorld, entityWorld } from './entity-world.ts';
import { partName } from './fingerprints.ts';
import { compareText } from './keys.ts';
import { guardRecords, lookupRecords } from './records.ts';
import { makeRepositories } from './repository.ts';
import { shapesOf } from './shape.ts';

const attributes = z.object({
  noteId: z.string(),
  owner: z.string(),
  rank: z.number(),
  mail: z.string().optional(),
  bookId: z.string(),
});
const book = { attributes: z.object({ bookId: z.string() }), id: 'bookId', patterns: {} } as const;
const before = {
  Book: book,
  Note: defineEntity(attributes, {
    id: 'noteId',
    unique: ['noteId'],
    patterns: { byOwner: { by: ['owner'], order: 'rank' }, gone: { by: ['bookId'] }, same: { by: ['rank'] } },
  }),
};
const after = {
  Book: { ...book, related: { last: { entity: 'Note', pattern: 'ofBook', latest: 1 } } },
  Note: defineEntity(attributes, {
    id: 'noteId',
    unique: ['mail'],
    patterns: {
      byOwner: { by: ['owner'], order: 'rank', shards: 2 },
      ofBook: { by: ['bookId'], order: 'rank' },
      same: { by: ['rank'] },
    },
  }),
} as const;

type Before = EntityWorld<typeof before>;

async function filled(count: number): Promise<Before> {
  const world = await entityWorld(before);
  const { Note, Book } = world.entities;
  const notes = Array.from({ length: count }, (_, index) => ({
    noteId: String(index),
    owner: `owner ${index % 3}`,
    rank: index % 7,
    mail: index % 2 ? `mail ${index}` : undefined,
    bookId: `b${index % 2}`,
  }));
  await world.until(Promise.all([Book.create({ bookId: 'b0' }), Book.create({ bookId: 'b1' })]));
  await world.until(Promise.all(notes.map(note => Note.create(note))));
  await world.until(Backfill.open(world.options, before).then(backfill => backfill.run()));
  return world;
}

/** All that the new definitions say, and nothing else. */
async function checkAll(world: Before): Promise<void> {
  const records = await world.records();
  const shape = shapesOf(after).get('Note');
  assert(shape);
  const notes = records.filter(({ SK }) => SK === 'Note');
  const sorted = (all: { PK: string; SK: string }[]) =>
    all
      .map(({ PK, SK, ...rest }) => ({ PK, SK, Data: Reflect.get(rest, 'Data'), OfPK: Reflect.get(rest, 'OfPK') }))
      .sort((left, right) => compareText(left.PK + left.SK, right.PK + right.SK));
  assert.deepEqual(
    sorted(records.filter(({ SK }) => SK.startsWith('Note-') || SK === 'Unique')),
    sorted(
      notes.flatMap(({ Data, ...meta }) => [
        ...lookupRecords(shape, Data, meta),
        ...guardRecords(shape, Data).map(({ record }) => record),
      ]),
    ),
  );
  for (const bookId of ['b0', 'b1']) {
    const ranks = notes.filter(({ Data }) => Data.bookId === bookId).map(({ Data }) => Number(Data.rank));
    const copy = records.find(({ PK, SK }) => PK === `Book-${bookId}` && SK === 'Book#last#last');
    assert.equal(copy?.Data?.rank, ranks.length > 0 ? Math.max(...ranks) : undefined);
  }
}

describe('a change of the access patterns', () => {
  it('refuses what is being filled, answers the rest, and has everything right in the end', async () => {
    const world = await filled(450);
    const backfill = await world.until(Backfill.open(world.options, after));
    assert.deepEqual(backfill.building.toSorted(), ['Book>last', 'Note!mail', 'Note.byOwner', 'Note.ofBook']);
    const buildingOf = (part: string) => backfill.scannedFor(part);
    const { Note, Book } = makeRepositories(after, { ...world.options, buildingOf });
    await world.until(backfill.step());
    const building = { code: 'entity.patternBuilding', message: /200 records looked at/ };
    await assert.rejects(world.until(Note.list.byOwner({ owner: 'owner 1' })), building);
    await assert.rejects(world.until(Book.get('b0', { with: ['last'] })), building);
    assert((await world.until(Note.list.same({ rank: 3 }))).items.length > 10);
    const seen: number[] = [];
    await world.until(backfill.run(({ scanned }) => seen.push(scanned)));
    assert(backfill.isDone && seen.length > 3);
    assert.equal(backfill.progress.notUnique, 0);
    assert.equal((await world.until(Note.list.byOwner({ owner: 'owner 1' }, { limit: 100 }))).items.length, 100);
    assert.equal((await world.until(Book.get('b1', { with: ['last'] }))).last?.rank, 6);
    await checkAll(world);
  });

  it('costs one read when there is none', async () => {
    const world = await filled(3);
    const { calls, result } = await world.callsOf(() => Backfill.open(world.options, before));
    assert.deepEqual([calls.map(({ name }) => name), result.isDone], [['get'], true]);
  });

  it('is done at once for a table that is empty', async () => {
    const world = await entityWorld(before);
    const backfill = await world.until(Backfill.open(world.options, before));
    await world.until(backfill.step());
    assert(backfill.isDone);
  });

  it('fills the records that the first version laid otherwise', async () => {
    const world = await entityWorld({ Note: after.Note });
    const Data = { noteId: '1', owner: 'alice', rank: 1, bookId: 'b0' };
    const common = { PK: 'Note-1', Version: 4, CreatedAt: 't', UpdatedAt: 'u', Data };
    for (const keys of [{ SK: 'Note' }, { SK: 'Note-byOwner', SortKey: 'alice#1' }])
      await world.until(world.table.put({ TableName: appTable.tableName, Item: { ...common, ...keys } }));
    const backfill = await world.until(Backfill.open(world.options, { Note: after.Note }));
    await world.until(backfill.run());
    assert.deepEqual((await world.until(world.entities.Note.list.byOwner({ owner: 'alice' }))).items, [Data]);
    assert.equal((await world.records()).filter(({ SK }) => SK === 'Note-byOwner').length, 0);
  });

  it('counts the entities that cannot have a value that is to be unique', async () => {
    const world = await filled(2);
    await world.until(world.entities.Note.update('0', { mail: 'mail 1' }));
    const backfill = await world.until(Backfill.open(world.options, after));
    await world.until(backfill.run());
    assert.equal(backfill.progress.notUnique, 1);
    const { Note } = makeRepositories(after, world.options);
    const [guard] = (await world.records()).filter(({ SK }) => SK === 'Unique');
    const other = Reflect.get(guard, 'OfPK') === 'Note-0' ? '1' : '0';
    await world.until(Note.delete(other)); // Which has no guard of its own, and takes nobody's.
    await assert.rejects(world.until(Note.create({ noteId: '9', owner: 'x', rank: 1, bookId: 'b', mail: 'mail 1' })), {
      code: 'entity.notUnique',
    });
  });

  it('makes the last copies anew when another child is the last now, and drops those of no relation', async () => {
    const world = await filled(40);
    const run = (definitions: EntityMap) => Backfill.open(world.options, definitions).then(backfill => backfill.run());
    await world.until(run(after));
    const { ofBook, ...patterns } = after.Note.patterns;
    const byName = {
      ...after,
      Note: { ...after.Note, patterns: { ...patterns, ofBook: { ...ofBook, order: 'noteId' } } },
    };
    await world.until(run(byName));
    const { Book } = makeRepositories(byName, world.options);
    assert.equal((await world.until(Book.get('b0', { with: ['last'] }))).last?.noteId, '8');
    await world.until(run(before));
    assert.equal((await world.records()).filter(({ SK }) => SK === 'Book#last#last').length, 0);
  });

  it('does not move entities', async () => {
    const world = await filled(1);
    const moved = { ...before, Note: { ...before.Note, within: 'Book', id: ['bookId', 'noteId'], unique: [] } };
    await assert.rejects(world.until(Backfill.open(world.options, moved)), { code: 'entity.moved' });
  });

  it('is done by one at a time', async () => {
    const world = await filled(300);
    const first = await world.until(Backfill.open(world.options, after));
    const second = await world.until(Backfill.open(world.options, after));
    await assert.rejects(world.until(first.run()), { code: 'entity.backfillSuperseded' });
    await world.until(second.run());
    await checkAll(world);
  });

  it('survives being killed at any moment, goes on where it was, while the app writes', async t => {
    const livesOf: number[] = [];
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 2 ** 31 }), async seed => {
        const random = seededRandom(seed);
        const world = await filled(60);
        let callsLeft = 0;
        const dying = dyingTable(world.table, () => callsLeft-- > 0);
        let scanned = 0;
        let lives = 1;
        for (; ; lives++) {
          callsLeft = 5 + random.integer(150);
          const environment = { ...world.options, table: dying, pageRecordsMax: 20 };
          const running = Backfill.open(environment, after as EntityMap).then(async backfill => {
            assert(backfill.progress.scanned >= scanned);
            scanned = backfill.progress.scanned;
            await backfill.run();
          });
          const [outcome] = await world.until(Promise.allSettled([running, appWrites(world, random)]));
          if (outcome.status === 'fulfilled') break;
          assert.equal(outcome.reason.message, 'killed');
        }
        await checkAll(world);
        livesOf.push(lives);
      }),
      { numRuns: 15 },
    );
    t.diagnostic(`lives needed: ${livesOf.join(', ')}`);
    assert(Math.max(...livesOf) > 3);
  });
});

/** Half done is done: what it has sent stays sent. */
function dyingTable(table: Table, lives: () => boolean): Table {
  return new Proxy(table, {
    get: (target, name: keyof Table) => async (input: never) => {
      if (!lives()) throw new Error('killed');
      const answer = await target[name](input);
      if (!lives()) throw new Error('killed');
      return answer;
    },
  });
}

/** With the new definitions, as the app that was started with them. */
async function appWrites(world: Before, random: ReturnType<typeof seededRandom>): Promise<void> {
  const { Note } = makeRepositories(after, world.options);
  for (let write = 0; write < 10; write++) {
    const noteId = String(random.integer(70));
    const note = { owner: `owner ${random.integer(4)}`, rank: random.integer(9), bookId: `b${random.integer(2)}` };
    const work = [
      () => Note.create({ noteId, ...note }),
      () => Note.update(noteId, note),
      () => Note.update(noteId, { mail: `new mail of ${noteId}, ${random.integer(3)}` }),
      () => Note.delete(noteId),
    ][random.integer(4)];
    await work().catch(error => {
      if (!['entity.exists', 'entity.notFound', 'entity.notUnique'].includes(error.code)) throw error;
    });
  }
}

it('names the parts of a schema so that no two are the same', () => {
  const names = [partName.pattern('A', 'b'), partName.unique('A', 'b'), partName.lastCopy('A', 'b')];
  assert.equal(new Set(names).size, 3);
});
