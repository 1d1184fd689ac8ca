import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { z } from 'zod';
import { OneThreadBackend } from '../../local/one-thread.ts';
import { type ContextOf, defineApp, defineModel } from '../index.ts';
import { defineEntity } from './definition.ts';
import { entityOfRecord } from './records.ts';

describe('the records of an entity', () => {
  it('are told from those that belong to it', () => {
    for (const [PK, SK, entity] of [
      ['Device-1', 'Device', 'Device'],
      ['Device-1', 'Device#Reading#t1', 'Reading'],
      ['Device-1', 'Device#Reading#a#b\nc', 'Reading'],
      ['Device-1', 'Device#last#reading', undefined],
      ['Device-1', 'Device-byName#Reading#x', undefined],
      ['Device-1', 'v0000000001', undefined],
      ['Unique-Device-name#x', 'Unique', 'Unique'], // Which no entity may be called.
      ['Other-1', 'Device', undefined],
      ['Checkpoint-Device', 'shard', undefined],
    ] as const)
      assert.equal(entityOfRecord({ PK, SK }), entity, `${PK} ${SK}`);
  });

  it('are heard of and counted also where they live in their parent', async () => {
    const model = defineModel('rooms', {
      telemetry: {},
      commands: {},
      entities: {
        Room: defineEntity(z.object({ roomId: z.string() }), { id: 'roomId', patterns: {} }),
        Reading: defineEntity(z.object({ roomId: z.string(), at: z.string(), celsius: z.number() }), {
          id: ['roomId', 'at'],
          within: 'Room',
          patterns: { ofRoom: { by: ['roomId'] } },
          aggregates: { byRoom: { by: ['roomId'], sum: ['celsius'] } },
        }),
      },
    });
    const heard: string[] = [];
    const whenRead = model.onEntityChange('Reading', async ({ type, newImage }) => {
      heard.push(`${type} ${newImage?.at}`);
    });
    const backend = await OneThreadBackend.start(defineApp(model, { functions: { whenRead }, routes: [] }));
    const { clock } = backend.world;
    // A cast: the runtime was made for an app of this model.
    const { entities } = backend.runtime.context as unknown as ContextOf<typeof model>;
    await clock.until(entities.Room.create({ roomId: 'attic' }));
    await clock.until(entities.Reading.create({ roomId: 'attic', at: 't1', celsius: 20.5 }));
    await clock.until(entities.Reading.create({ roomId: 'attic', at: 't2', celsius: 1 }));
    await clock.advance(100);
    assert.deepEqual(heard, ['INSERT t1', 'INSERT t2']);
    const { count, sum } = await entities.Reading.aggregate.byRoom({ roomId: 'attic' });
    assert.deepEqual([count, sum.celsius], [2, 21.5]);
    await backend.stop();
  });
});
