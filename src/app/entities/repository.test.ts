import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { z } from 'zod';
import { defineEntity } from './definition.ts';
import { entityWorld } from './entity-world.ts';
import { VersionConflictError } from './errors.ts';
import { entityIsThere } from './repository.ts';
import { shapesOf } from './shape.ts';

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

const user = defineEntity(
  z.object({
    userId: z.string(),
    mail: z.string().optional(),
    team: z.string(),
    nick: z.string().optional(),
    settings: z.record(z.string(), z.unknown()).optional(),
  }),
  {
    id: 'userId',
    unique: ['mail'],
    patterns: {
      byTeam: { by: ['team'], project: ['nick'] },
      nickInTeam: { by: ['team', 'nick'], unique: true },
    },
  },
);

describe('unique attributes', () => {
  it('are refused a second time, and free again when their entity lets go of them', async () => {
    const { entities, until } = await entityWorld({ User: user });
    const { User } = entities;
    const notUnique = { code: 'entity.notUnique', message: /same mail\./ };
    await until(User.create({ userId: '1', mail: 'a@b.c', team: 'x' }));
    await assert.rejects(until(User.create({ userId: '2', mail: 'a@b.c', team: 'x' })), notUnique);
    assert.equal(await until(User.find('2')), undefined);
    await until(User.create({ userId: '2', mail: 'd@e.f', team: 'x' }));
    await assert.rejects(until(User.update('2', { mail: 'a@b.c' })), notUnique);
    await until(User.update('1', { mail: 'g@h.i' }));
    await until(User.update('2', { mail: 'a@b.c' }));
    await until(User.delete('2'));
    await until(User.update('1', { mail: 'a@b.c' }));
    await until(User.update('1', { mail: undefined }));
    await until(User.create({ userId: '3', mail: 'a@b.c', team: 'x' }));
  });

  it('count for whoever has them, and together where a pattern says so', async () => {
    const { entities, until } = await entityWorld({ User: user });
    const { User } = entities;
    await until(User.create({ userId: '1', team: 'x', nick: 'al' }));
    await until(User.create({ userId: '2', team: 'y', nick: 'al' }));
    await until(User.create({ userId: '3', team: 'x' }));
    await until(User.create({ userId: '4', team: 'x' }));
    await assert.rejects(until(User.update('2', { team: 'x' })), {
      code: 'entity.notUnique',
      message: /team and nick/,
    });
    assert.equal((await until(User.get('2'))).team, 'y');
  });

  it('tell an id that is taken from a value that is', async () => {
    const { entities, until } = await entityWorld({ User: user });
    await until(entities.User.create({ userId: '1', mail: 'a', team: 'x' }));
    await assert.rejects(until(entities.User.create({ userId: '1', mail: 'a', team: 'x' })), { code: 'entity.exists' });
  });

  it('go to exactly one of many who want the same at once', async () => {
    const { entities, until } = await entityWorld({ User: user });
    const tries = Array.from({ length: 20 }, (_, index) =>
      entities.User.create({ userId: String(index), mail: 'a', team: 'x' }).then(
        () => 'created',
        error => error.code,
      ),
    );
    const outcomes = await until(Promise.all(tries));
    assert.equal(outcomes.filter(outcome => outcome === 'created').length, 1);
    assert.equal(outcomes.filter(outcome => outcome === 'entity.notUnique').length, 19);
  });
});

describe('versions (covers S0-18, S4-12)', () => {
  it('rise by one, with the times of creation and change', async () => {
    const { entities, until, clock } = await entityWorld({ User: user });
    await until(entities.User.create({ userId: '1', team: 'x' }));
    const created = await until(entities.User.getVersioned('1'));
    await clock.advance(5_000);
    await until(entities.User.update('1', { team: 'y' }));
    const { data, version, createdAt, updatedAt } = await until(entities.User.getVersioned('1'));
    assert.deepEqual([data.team, version, createdAt], ['y', 2, created.createdAt]);
    assert(Date.parse(updatedAt) >= Date.parse(createdAt) + 5_000);
    assert.equal(await until(entities.User.findVersioned('2')), undefined);
  });

  it('let exactly one of many concurrent updates of one version win, and name both versions to the others', async () => {
    const { entities, until } = await entityWorld({ User: user });
    await until(entities.User.create({ userId: '1', team: 'x' }));
    const tries = Array.from({ length: 20 }, (_, index) =>
      entities.User.update('1', { team: `team ${index}` }, { version: 1 }).then(
        () => undefined,
        (error: unknown) => error,
      ),
    );
    const outcomes = await until(Promise.all(tries));
    const refusals = outcomes.filter(outcome => outcome !== undefined);
    assert.equal(refusals.length, 19);
    for (const error of refusals) {
      assert(error instanceof VersionConflictError);
      assert.deepEqual([error.code, error.expectedVersion, error.storedVersion], ['entity.versionConflict', 1, 2]);
      assert.match(error.message, /is at version 2, the change was made for 1\./);
    }
    await assert.rejects(until(entities.User.delete('1', { version: 1 })), { code: 'entity.versionConflict' });
    await until(entities.User.delete('1', { version: 2 }));
  });

  it('keep concurrent changes of different nested attributes', async () => {
    const { entities, until } = await entityWorld({ User: user });
    await until(entities.User.create({ userId: '1', team: 'x', settings: { sound: { volume: 1 } } }));
    const names = ['a', 'b', 'c', 'd', 'e', 'f'];
    await until(Promise.all(names.map(name => entities.User.update('1', { settings: { sound: { [name]: 1 } } }))));
    const { settings } = await until(entities.User.get('1'));
    assert.deepEqual(settings, { sound: { volume: 1, a: 1, b: 1, c: 1, d: 1, e: 1, f: 1 } });
    const { version } = await until(entities.User.getVersioned('1'));
    assert.equal(version, 7);
  });

  it('send only the attributes that have changed', async () => {
    const { entities, callsOf, until } = await entityWorld({ User: user });
    await until(
      entities.User.create({ userId: '1', team: 'x', settings: { big: 'x'.repeat(1_000), sound: { volume: 1 } } }),
    );
    const { calls } = await callsOf(() => entities.User.update('1', { settings: { sound: { volume: 2 } } }));
    const update = calls.find(({ name }) => name === 'update');
    assert(update && JSON.stringify(update.input).length < 600, JSON.stringify(calls));
    assert.deepEqual((await until(entities.User.get('1'))).settings?.sound, { volume: 2 });
  });

  it('stay as they are when nothing changes, and no record is written', async () => {
    const { entities, callsOf, until } = await entityWorld({ User: user });
    await until(entities.User.create({ userId: '1', team: 'x' }));
    const { calls } = await callsOf(() => entities.User.update('1', { team: 'x' }));
    assert.deepEqual(
      calls.map(({ name }) => name),
      ['get'],
    );
    assert.equal((await until(entities.User.getVersioned('1'))).version, 1);
  });

  it('do not let an id change, nor what is no part of the schema in', async () => {
    const { entities, until } = await entityWorld({ User: user });
    await until(entities.User.create({ userId: '1', team: 'x' }));
    await assert.rejects(until(entities.User.update('1', { userId: '2' })), { code: 'entity.notValid' });
    await assert.rejects(until(entities.User.update('2', { team: 'y' })), { code: 'entity.notFound' });
    const polluting = JSON.parse('{"settings":{"__proto__":{"isAdmin":true}}}');
    await until(entities.User.update('1', polluting));
    assert.equal(Reflect.get({}, 'isAdmin'), undefined);
  });
});

describe('lookup records', () => {
  it('are not written again when what they show stays the same', async () => {
    const { entities, callsOf, until } = await entityWorld({ User: user });
    await until(entities.User.create({ userId: '1', team: 'x', nick: 'al' }));
    const { calls } = await callsOf(() => entities.User.update('1', { settings: { a: 1 } }));
    const write = calls.find(({ name }) => name === 'transactWrite')?.input as { TransactItems: unknown[] };
    assert.equal(write.TransactItems.length, 2); // The base and nickInTeam, which keeps everything; byTeam does not show it.
  });

  it('are in one transaction with their entity, of at most 100 records, or nothing is sent (covers S0-32)', async () => {
    const names = Array.from({ length: 60 }, (_, index) => `a${index}`);
    const wide = {
      attributes: z.object({ id: z.string(), ...Object.fromEntries(names.map(name => [name, z.string()])) }),
      id: 'id',
      unique: names,
      patterns: {},
    };
    const { entities, until, callsOf } = await entityWorld({ Wide: wide });
    const filled = (text: string) => Object.fromEntries(names.map(name => [name, `${name}${text}`]));
    await until(entities.Wide.create({ id: '1', ...filled('x') }));
    const { calls, result } = await callsOf(() => entities.Wide.update('1', filled('y')).catch(error => error));
    assert.equal(result.code, 'entity.transactionTooLarge');
    assert.match(result.message, /takes 121 records/);
    assert.deepEqual(
      calls.map(({ name }) => name),
      ['get'],
    );
    const [warning] = shapesOf({ Wide: wide }).get('Wide')?.warnings ?? [];
    assert.match(warning, /an update that changes every key takes 121 records/);
    const wider = { ...wide, unique: [...names, ...names] };
    assert.throws(() => shapesOf({ Wider: wider }), { code: 'entity.definitionNotValid' });
  });
});

describe('the history of an entity (covers S0-21)', () => {
  const page = (history: true | { keep: number }) => ({
    attributes: z.object({ pageId: z.string(), text: z.string(), tag: z.string().optional() }),
    id: 'pageId',
    patterns: {},
    history,
  });

  it('gives any version, lists them and restores one', async () => {
    const { entities, until } = await entityWorld({ Page: page(true) });
    const { Page } = entities;
    await until(Page.create({ pageId: 'p', text: 'one', tag: 'x' }));
    await until(Page.update('p', { text: 'two', tag: undefined }));
    await until(Page.update('p', { text: 'three' }));
    assert.deepEqual((await until(Page.readVersion('p', 1))).data, { pageId: 'p', text: 'one', tag: 'x' });
    assert.equal((await until(Page.readVersion('p', 0))).data.text, 'three');
    assert.equal((await until(Page.readVersion('p', 3))).data.text, 'three');
    await assert.rejects(until(Page.readVersion('p', 4)), { code: 'entity.notFound' });
    const first = await until(Page.listHistory('p', { limit: 1, newestFirst: true }));
    assert.deepEqual(
      first.items.map(({ version, data }) => [version, data.text]),
      [[2, 'two']],
    );
    const rest = await until(Page.listHistory('p', { cursor: first.next, newestFirst: true }));
    assert.deepEqual(
      rest.items.map(({ version }) => version),
      [1],
    );
    assert.equal(rest.next, undefined);
    await until(Page.update('p', { tag: 'y' }));
    assert.deepEqual(await until(Page.restore('p', 2)), { pageId: 'p', text: 'two' });
    assert.equal((await until(Page.getVersioned('p'))).version, 5);
  });

  it('keeps only the newest when told so, and goes with its entity', async () => {
    const { entities, until, records } = await entityWorld({ Page: page({ keep: 2 }) });
    await until(entities.Page.create({ pageId: 'p', text: '1' }));
    for (const text of ['2', '3', '4', '5']) await until(entities.Page.update('p', { text }));
    const { items } = await until(entities.Page.listHistory('p'));
    assert.deepEqual(
      items.map(({ version }) => version),
      [3, 4],
    );
    await until(entities.Page.delete('p'));
    assert.deepEqual(await records(), []);
  });

  it('begins anew when an entity is deleted and made again, and stays when a deletion is refused', async () => {
    const { entities, until, clock, table } = await entityWorld({ Page: page(true) });
    const { Page } = entities;
    await until(Page.create({ pageId: 'p', text: '1' }));
    for (const text of ['2', '3']) await until(Page.update('p', { text }));
    await assert.rejects(until(Page.delete('p', { version: 2 })), { code: 'entity.versionConflict' });
    assert.equal((await until(Page.listHistory('p'))).items.length, 2);
    await until(Page.delete('p'));
    const left = { PK: 'Page-p', SK: 'v0000000001', Version: 1, CreatedAt: 'before', UpdatedAt: 'before', Data: {} };
    await until(table.put({ TableName: 'app', Item: left })); // As after a power cut in the midst of a long deletion.
    await clock.advance(1_000);
    await until(Page.create({ pageId: 'p', text: 'new' }));
    assert.deepEqual(await until(Page.listHistory('p')), { items: [] });
    await until(Page.update('p', { text: 'newer' }));
    assert.equal((await until(Page.readVersion('p', 1))).data.text, 'new');
  });

  it('of any length goes with its entity', async () => {
    const { entities, until, records } = await entityWorld({ Page: page(true) });
    await until(entities.Page.create({ pageId: 'p', text: '' }));
    for (let version = 2; version <= 130; version++) await until(entities.Page.update('p', { text: String(version) }));
    await until(entities.Page.delete('p'));
    assert.deepEqual(await records(), []);
  });
});
