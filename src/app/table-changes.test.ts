import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { z } from 'zod';
import { OneThreadBackend, TestWorld } from '../local/one-thread.ts';
import { payloadText } from './dead-letters/index.ts';
import { type App, appTable, defineApp, defineModel, type EntityChange, tablesOf } from './index.ts';

const note = z.object({
  noteId: z.string(),
  owner: z.string(),
  text: z.string(),
  place: z.object({ room: z.string(), shelf: z.object({ row: z.number() }).optional() }).optional(),
  order: z.string(),
});
const tag = z.object({ tagId: z.string(), order: z.string() });

const model = defineModel('notes-app', {
  telemetry: {},
  commands: {},
  entities: {
    Note: { attributes: note, id: 'noteId', patterns: { byOwner: { by: ['owner'], order: 'order' } } },
    Tag: { attributes: tag, id: 'tagId', patterns: {} },
  },
});

type NoteChange = EntityChange<(typeof model.entities)['Note']>;

/** An app whose function `listen` notes every change it is given, and a world to run it in. */
class NotesWorld {
  readonly world = new TestWorld();
  readonly told: NoteChange[] = [];
  backend!: OneThreadBackend; // `start` comes first

  app(functions: App['functions'] = { listen: this.listen() }): App {
    return defineApp(model, { functions, routes: [] });
  }

  listen() {
    return model.onEntityChange('Note', async change => void this.told.push(change));
  }

  async start(app = this.app()): Promise<this> {
    this.backend = await OneThreadBackend.start(app, this.world);
    return this;
  }

  get notes() {
    // The backend is typed for every app; this one is started with `model`.
    return this.backend.runtime.context.entities.Note;
  }

  until<T>(promise: Promise<T>): Promise<T> {
    return this.world.clock.until(promise);
  }

  async settle(): Promise<void> {
    await this.world.clock.advance(5);
  }

  get dead() {
    return this.backend.runtime.deadLetters;
  }
}

const first = { noteId: 'n1', owner: 'ada', text: 'hello', order: '1', place: { room: 'attic', shelf: { row: 2 } } };

describe('entity changes (covers S4-23)', () => {
  it('tell of what was created, updated and deleted, with both images, nested and all', async () => {
    const world = await new NotesWorld().start();
    const startedAtMs = world.world.clock.nowMs();
    await world.until(world.notes.create(first));
    await world.until(world.notes.update('n1', () => ({ text: 'changed', place: { room: 'hall' } })));
    await world.until(world.notes.delete('n1'));
    await world.settle();
    const second = { ...first, text: 'changed', place: { room: 'hall' } };
    assert.deepEqual(
      world.told.map(({ changedAtMs: _, sequenceNumber: __, ...change }) => change),
      [
        { type: 'INSERT', newImage: first, oldImage: undefined },
        { type: 'MODIFY', newImage: second, oldImage: first },
        { type: 'REMOVE', newImage: undefined, oldImage: second, isExpired: false },
      ],
    );
    for (const { changedAtMs } of world.told) assert.ok(changedAtMs >= startedAtMs);
    const numbers = world.told.map(({ sequenceNumber }) => sequenceNumber);
    assert.ok(numbers[0] < numbers[1] && numbers[1] < numbers[2]);
    await world.backend.stop();
  });

  it('are typed by the entity: a mistake is found by the compiler', () => {
    model.onEntityChange('Note', async change => {
      if (change.type === 'REMOVE') {
        const removed: boolean = change.isExpired;
        const old: string = change.oldImage.text;
        // @ts-expect-error There is no new image of what was removed.
        const gone: string = change.newImage.text;
        return void [removed, old, gone];
      }
      const row: number | undefined = change.newImage.place?.shelf?.row;
      // @ts-expect-error A note has no such attribute.
      const wrong = change.newImage.colour;
      // @ts-expect-error What was just created had no image before.
      const before: string = change.type === 'INSERT' ? change.oldImage.text : '';
      return void [row, wrong, before];
    });
    // @ts-expect-error There is no such entity.
    model.onEntityChange('Notes', async () => {});
    const other = defineModel('other', { telemetry: {}, commands: {}, entities: {} });
    assert.throws(
      () => defineApp(other, { functions: { f: model.onEntityChange('Tag', async () => {}) }, routes: [] }),
      {
        code: 'app.notValid',
      },
    );
  });

  it('come only to those who listen to that entity, and are not kept when nobody does', async () => {
    const world = new NotesWorld();
    const tags: string[] = [];
    const onTag = model.onEntityChange('Tag', async change => void tags.push(change.type));
    await world.start(world.app({ onTag, onNote: world.listen() }));
    await world.until(world.notes.create(first));
    await world.until(world.backend.runtime.context.entities.Tag.create({ tagId: 't', order: '1' }));
    await world.settle();
    assert.deepEqual(tags, ['INSERT']);
    assert.equal(world.told.length, 1);
    await world.backend.stop();
    assert.equal(tablesOf(world.app({}))[0].stream, undefined);
    assert.equal(tablesOf(world.app())[0].stream, 'NEW_AND_OLD_IMAGES');
  });

  it('come in batches, in order, to a function that takes batches', async () => {
    const world = new NotesWorld();
    const batches: string[][] = [];
    const listen = model.onEntityChangeBatch(
      'Note',
      async changes => void batches.push(changes.map(({ newImage }) => newImage?.noteId ?? '')),
      { batchItemsMax: 4, batchWindowMs: 500 },
    );
    await world.start(world.app({ listen }));
    await world.world.clock.advance(10);
    const ids = Array.from({ length: 10 }, (_, index) => `n${index}`);
    await world.until(Promise.all(ids.map(noteId => world.notes.create({ ...first, noteId }))));
    await world.world.clock.advance(2_000);
    assert.deepEqual(
      batches.map(({ length }) => length),
      [4, 4, 2],
    );
    assert.deepEqual(batches.flat(), ids);
    await world.backend.stop();
  });

  it('that a function cannot handle are set aside, and hold up nothing else', async () => {
    const world = new NotesWorld();
    let attempts = 0;
    const fussy = model.onEntityChange('Note', async change => {
      if (change.newImage?.text !== 'poison') return void world.told.push(change);
      attempts++;
      throw new Error('cannot bear it');
    });
    await world.start(world.app({ fussy }));
    await world.until(world.notes.create({ ...first, text: 'poison' }));
    for (const noteId of ['n2', 'n3']) await world.until(world.notes.create({ ...first, noteId }));
    await world.until(world.notes.update('n1', () => ({ text: 'sweet' })));
    await world.world.clock.advance(10_000);
    assert.equal(attempts, 3);
    assert.deepEqual(world.told.map(({ newImage }) => newImage?.noteId).sort(), ['n1', 'n2', 'n3']);
    const { dead } = world;
    const [summary, ...others] = (await world.until(dead.letters.page({ consumer: 'fussy' }))).letters;
    assert.equal(others.length, 0);
    assert.deepEqual([summary.kind, summary.error.message, summary.attempts], ['change', 'cannot bear it', 3]);
    const letter = await world.until(dead.letters.get(summary.id));
    const { name, newImage } = JSON.parse(payloadText('change', letter.payload));
    assert.deepEqual([name, newImage.Data.text], ['INSERT', 'poison']);
    assert.equal(world.backend.runtime.counters.get('functions.deadLettered'), 1);
    await world.backend.stop();
  });

  it('are set aside whole, however large, and told again by a redrive', async () => {
    const world = new NotesWorld();
    let refuses = true;
    const texts: (string | undefined)[][] = [];
    const refusing = model.onEntityChange('Note', async ({ type, oldImage, newImage }) => {
      if (type !== 'MODIFY') return;
      if (refuses) throw new Error('too much');
      texts.push([oldImage?.text, newImage?.text]);
    });
    await world.start(world.app({ refusing }));
    await world.until(world.notes.create(first));
    const large = ['x', 'y'].map(letter => letter.repeat(180 * 1024));
    for (const text of large) await world.until(world.notes.update('n1', () => ({ text })));
    await world.world.clock.advance(10_000);
    refuses = false;
    await world.until(world.dead.redriver.start({}));
    await world.world.clock.advance(1_000);
    assert.deepEqual(texts, [
      [first.text, large[0]],
      [large[0], large[1]],
    ]);
    assert.deepEqual((await world.until(world.dead.letters.page({}))).letters, []);
    await world.backend.stop();
  });

  it('cause no writes by being told: an app at rest stays at rest', async () => {
    const world = new NotesWorld();
    const other = model.onEntityChange('Tag', async () => {});
    await world.start(world.app({ listen: world.listen(), other }));
    await world.until(world.notes.create(first));
    await world.world.clock.advance(10_000);
    const feed = () => world.backend.table.changesOf(appTable.tableName).lastSequenceNumber();
    const before = feed();
    await world.world.clock.advance(3_600_000);
    assert.equal(feed(), before);
    await world.backend.stop();
  });

  it('go on where they stopped after a restart', async () => {
    const world = await new NotesWorld().start();
    await world.until(world.notes.create(first));
    await world.settle();
    await world.backend.stop();
    await world.start();
    await world.until(world.notes.delete('n1'));
    await world.settle();
    assert.deepEqual(
      world.told.map(({ type }) => type),
      ['INSERT', 'REMOVE'],
    );
    await world.backend.stop();
  });

  it('that were gone before a function could be given them are counted', async () => {
    const world = await new NotesWorld().start();
    await world.until(world.notes.create(first));
    await world.settle();
    await world.backend.stop();
    // While no function listens to them, but the stream is kept.
    await world.start(world.app({ other: model.onEntityChange('Tag', async () => {}) }));
    await world.until(world.notes.create({ ...first, noteId: 'n2' }));
    await world.world.clock.advance(25 * 3_600_000);
    await world.backend.stop();
    await world.start();
    await world.until(world.notes.create({ ...first, noteId: 'n3' }));
    await world.settle();
    assert.deepEqual(
      world.told.map(({ newImage }) => newImage?.noteId),
      ['n1', 'n3'],
    );
    assert.ok(world.backend.runtime.counters.get('functions.changesMissed') > 0);
    await world.backend.stop();
  });

  it('lose nothing and keep the order of each entity, whenever the power is cut', async () => {
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.constantFrom('n1', 'n2', 'n3') },
      { weight: 2, arbitrary: fc.constant('settle' as const) },
      { weight: 1, arbitrary: fc.constant('cut' as const) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async steps => {
        const world = await new NotesWorld().start();
        const stored = new Map<string, string[]>();
        const write = async (noteId: string, text: string) => {
          const note = await world.notes.find(noteId);
          if (note) await world.notes.update(noteId, () => ({ text }));
          else await world.notes.create({ ...first, noteId, text });
          stored.set(noteId, [...(stored.get(noteId) ?? []), text]);
        };
        let last = Promise.resolve();
        for (const [index, each] of steps.entries()) {
          if (each === 'settle') await world.settle();
          else if (each === 'cut') {
            world.backend.powerCut();
            await world.start();
          } else {
            // One after the other; a power cut may come before, while or after it is done.
            last = last.then(() => write(each, `text ${index}`)).catch(() => {});
            if (index % 2 === 0) await world.until(last);
          }
        }
        await world.world.clock.advance(1_000);
        for (const [noteId, texts] of stored) {
          const told = world.told.flatMap(({ newImage }) => (newImage?.noteId === noteId ? [newImage.text] : []));
          // At least once: a repetition begins again at something told before, and then goes on in order.
          let next = 0;
          for (const text of told) {
            const place = texts.indexOf(text);
            if (place >= 0) assert.ok(place <= next, `${text} came before ${texts[next]}`);
            if (place === next) next++;
          }
          assert.equal(next, texts.length);
        }
        await world.backend.stop();
      }),
      { numRuns: 30 },
    );
  });
});
