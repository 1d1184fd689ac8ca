import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { z } from 'zod';
import { type ContextOf, defineApp, defineEntity, defineModel } from '../app/index.ts';
import { OneThreadBackend, TestWorld } from './one-thread.ts';

const attributes = z.object({ noteId: z.string(), owner: z.string(), text: z.string() });
const telemetry = { room: { entered: z.object({ by: z.string() }) } };

const first = defineModel('notes', {
  telemetry,
  commands: {},
  entities: { Note: defineEntity(attributes, { id: 'noteId', patterns: { byOwner: { by: ['owner'] } } }) },
});
const second = defineModel('notes', {
  telemetry,
  commands: {},
  entities: {
    Note: defineEntity(attributes, {
      id: 'noteId',
      patterns: { byOwner: { by: ['owner'] }, byText: { by: ['text'] } },
    }),
  },
});

describe('an app that starts with a new access pattern', () => {
  it('answers what is complete, fills the rest, and lets its functions wait for it', async () => {
    const world = new TestWorld();
    const { clock } = world;
    let backend = await OneThreadBackend.start(defineApp(first, { functions: {}, routes: [] }), world);
    // A cast, here and below: the runtime was made for an app of this model.
    const before = backend.runtime.context as unknown as ContextOf<typeof first>;
    const notes = Array.from({ length: 500 }, (_, index) => ({ noteId: String(index), owner: 'alice', text: 'hello' }));
    const created = await clock.until(before.inParallel(notes, note => before.entities.Note.create(note)));
    assert(created.every(({ isDone }) => isDone));
    await backend.stop();

    const found: number[] = [];
    const whenEntered = second.onTelemetry('room', async (_event, { entities }) => {
      found.push((await entities.Note.list.byText({ text: 'hello' }, { limit: 100 })).items.length);
    });
    backend = await OneThreadBackend.start(defineApp(second, { functions: { whenEntered }, routes: [] }), world);
    const { entities } = backend.runtime.context as unknown as ContextOf<typeof second>;
    const [building, complete] = await Promise.allSettled([
      entities.Note.list.byText({ text: 'hello' }),
      entities.Note.list.byOwner({ owner: 'alice' }),
    ]);
    assert.equal(building.status === 'rejected' && building.reason.code, 'entity.patternBuilding');
    assert.equal(complete.status, 'fulfilled');
    const credentials = await clock.until(backend.runtime.context.iot.createThing('lamp'));
    const posted = await backend.post(credentials, '/topics/dt/notes/room/lamp/entered?qos=1', { by: 'bob' });
    assert.equal(posted.status, 200);
    await clock.advance(1_000);
    assert.deepEqual(found, [100]);
    assert.equal(backend.runtime.counters.get('functions.deadLettered'), 0);
    await backend.stop();
  });
});
