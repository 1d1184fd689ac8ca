import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { z } from 'zod';
import { openMemoryStore } from '../kernel/memory-store.ts';
import { VirtualClock } from '../kernel/virtual-clock.ts';
import { openEmbeddedTable } from '../platform/table/index.ts';
import { appTable, makeRepositories } from './entities.ts';
import { defineApp, defineModel, devicePolicy, entityIsThere } from './index.ts';
import { meaningOfTopic } from './topics.ts';

const reading = z.object({ celsius: z.number() });
const parts = { telemetry: { climate: { reading } }, commands: {}, entities: {} };

describe('an app description', () => {
  it('refuses names that cannot be a level of a topic', () => {
    for (const name of ['', 'a/b', 'A', '+', '#', '$aws', 'a b', 'x'.repeat(65)]) {
      assert.throws(() => defineModel(name, parts), { code: 'app.notValid' }, name);
      assert.throws(() => defineModel('app', { ...parts, telemetry: { [name]: {} } }), { code: 'app.notValid' }, name);
    }
  });

  it('refuses two routes that are the same request (covers S0-24)', () => {
    const model = defineModel('app', parts);
    const one = model.route('GET /v1/things/{id}', { summary: 'One' }, async () => {});
    const other = model.route('GET /v1/things/{name}', { summary: 'Other' }, async () => {});
    assert.throws(() => defineApp(model, { functions: {}, routes: [one, other] }), { code: 'app.notValid' });
  });

  it('refuses a path that cannot be matched', () => {
    const model = defineModel('app', parts);
    for (const path of ['v1', '/v1/', '/v1/{a b}', '/v1/*', '/v1//x'] as const) {
      const route = model.route(`GET ${path}`, { summary: 'Bad' }, async () => {});
      assert.throws(() => defineApp(model, { functions: {}, routes: [route] }), { code: 'app.notValid' }, path);
    }
  });

  it('gives devices exactly their declared topics (covers S0-28, S0-29)', () => {
    const play = { request: z.object({ sessionId: z.string() }), response: z.object({ sessionId: z.string() }) };
    const policy = devicePolicy(defineModel('app', { ...parts, commands: { play } }));
    assert.deepEqual(policy.publish, ['dt/app/climate/{thing}/reading', 'cmd/app/play/{thing}/res']);
    assert.deepEqual(policy.ingest, policy.publish);
    assert.deepEqual(policy.subscribe, ['cmd/app/+/{thing}/#', 'dt/app/+/{thing}/#']);
  });

  it('reads the meaning of a topic back, and of no other', () => {
    const telemetry = { kind: 'telemetry', context: 'climate', thingName: 't1', type: 'reading' };
    assert.deepEqual(meaningOfTopic('app', 'dt/app/climate/t1/reading'), telemetry);
    assert.deepEqual(meaningOfTopic('app', 'cmd/app/play/t1/res'), {
      kind: 'response',
      command: 'play',
      thingName: 't1',
    });
    const connected = { kind: 'lifecycle', event: 'connected', thingName: 't1' };
    assert.deepEqual(meaningOfTopic('app', '$aws/events/presence/connected/t1.pub'), connected);
    for (const topic of ['dt/other/climate/t1/reading', 'dt/app/t1', 'cmd/app/play/t1/req', '$aws/events/x', '']) {
      assert.equal(meaningOfTopic('app', topic), undefined, topic);
    }
  });
});

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
  const clock = new VirtualClock();
  const store = await openMemoryStore({ clock });
  const table = await clock.until(openEmbeddedTable({ store, clock, tables: [appTable] }));
  const { Note } = makeRepositories({ Note: note }, table, clock);
  const until = <T>(promise: Promise<T>) => clock.until(promise);
  const add = (noteId: string, owner: string, rank: string) => until(Note.create({ noteId, owner, rank, done: false }));
  return { Note, until, add };
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
