import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { z } from 'zod';
import { entityWorld } from './entity-world.ts';
import { entityIsThere } from './repository.ts';

const note = {
  attributes: z.object({
    noteId: z.string(),
    owner: z.string(),
    rank: z.string(),
    done: z.boolean(),
    text: z.string().optional(),
  }),
  id: 'noteId',
  patterns: {
    byOwner: { by: ['owner'], order: 'rank' },
    open: { by: ['owner'], order: 'rank', when: (each: { done: boolean }) => !each.done },
  },
} as const;

async function repository() {
  const world = await entityWorld({ Note: note });
  const { Note } = world.entities;
  const add = (noteId: string, owner: string, rank: string) =>
    world.until(Note.create({ noteId, owner, rank, done: false }));
  return { ...world, Note, add };
}

describe('entities (covers S0-16, S0-18)', () => {
  it('lists by declared pattern, in order, either way', async () => {
    const { Note, until, add } = await repository();
    await add('1', 'alice', 'b');
    await add('2', 'alice', 'a');
    await add('3', 'bob', 'c');
    const ids = async (newestFirst: boolean) => {
      const page = await until(Note.list.byOwner({ owner: 'alice' }, { newestFirst }));
      return page.items.map(({ noteId }) => noteId);
    };
    assert.deepEqual(await ids(false), ['2', '1']);
    assert.deepEqual(await ids(true), ['1', '2']);
  });

  it('keeps values apart that look like parts of a key', async () => {
    const { Note, until, add } = await repository();
    await add('1', 'a#b', 'c');
    await add('2', 'a', 'b#c');
    await add('3', 'a%23b', 'c');
    for (const [owner, id] of [
      ['a#b', '1'],
      ['a', '2'],
      ['a%23b', '3'],
    ]) {
      const { items } = await until(Note.list.byOwner({ owner }));
      assert.deepEqual(
        items.map(({ noteId }) => noteId),
        [id],
      );
    }
  });

  it('keeps lookups in step with updates and deletes', async () => {
    const { Note, until, add } = await repository();
    await add('1', 'alice', 'a');
    await until(Note.update('1', () => ({ done: true })));
    assert.deepEqual((await until(Note.list.open({ owner: 'alice' }))).items, []);
    await until(Note.update('1', () => ({ owner: 'bob' })));
    assert.deepEqual((await until(Note.list.byOwner({ owner: 'alice' }))).items, []);
    assert.equal((await until(Note.list.byOwner({ owner: 'bob' }))).items.length, 1);
    await until(Note.delete('1'));
    await until(Note.delete('1'));
    assert.deepEqual((await until(Note.list.byOwner({ owner: 'bob' }))).items, []);
    assert.equal(await until(Note.find('1')), undefined);
  });

  it('refuses a second entity with the same id, and what does not fit', async () => {
    const { Note, until, add } = await repository();
    await add('1', 'alice', 'a');
    await assert.rejects(add('1', 'bob', 'b'), { code: 'entity.exists' });
    assert.equal(
      await until(
        Note.create({ noteId: '1', owner: 'x', rank: 'x', done: true }).then(() => true, entityIsThere.already),
      ),
      false,
    );
    const wrong = { noteId: '2', owner: 7, rank: 'a', done: false } as never;
    await assert.rejects(until(Note.create(wrong)), { code: 'entity.notValid' });
    await assert.rejects(until(Note.get('2')), { code: 'entity.notFound' });
  });

  it('loses no update when several change one entity at once', async () => {
    const { Note, until, add } = await repository();
    await add('1', 'alice', '');
    const append = () => Note.update('1', current => ({ rank: `${current.rank}x` }));
    await until(Promise.all([append(), append(), append()]));
    assert.equal((await until(Note.get('1'))).rank, 'xxx');
  });

  it('refuses a cursor of another list (hostile H12)', async () => {
    const { Note, until, add } = await repository();
    for (const rank of ['a', 'b', 'c']) {
      await add(`alice-${rank}`, 'alice', rank);
      await add(`bob-${rank}`, 'bob', rank);
    }
    const { next } = await until(Note.list.byOwner({ owner: 'bob' }, { limit: 1 }));
    assert(next);
    const forge = (cursor: object) => Buffer.from(JSON.stringify(cursor)).toString('base64url');
    const own = { PK: 'Note-alice-a', SK: 'Note-byOwner', SortKey: 'alice#a' };
    const forged = [
      { PK: 1 },
      { ...own, PK: '' },
      { ...own, PK: '\ud800' },
      { ...own, SortKey: `alice#${'x'.repeat(2_000)}` },
      { ...own, SK: 'Note' },
    ].map(forge);
    for (const cursor of [next, 'x', '', ...forged]) {
      await assert.rejects(until(Note.list.byOwner({ owner: 'alice' }, { cursor })), { code: 'entity.cursorNotValid' });
    }
  });
});
