/** What does not compile. `npx tsc` is the test: an error that is expected and does not come is one. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { z } from 'zod';
import { defineEntity } from './definition.ts';
import { entityWorld } from './entity-world.ts';

const user = defineEntity(z.object({ userId: z.string(), name: z.string(), age: z.number().optional() }), {
  id: 'userId',
  patterns: { byName: { by: [], order: 'name', shards: 1 }, byAge: { by: ['name'], order: 'age' } },
});

const device = {
  attributes: z.object({
    deviceId: z.string(),
    ownerId: z.string(),
    state: z.enum(['on', 'off']),
    place: z.object({ room: z.string(), floor: z.number() }).optional(),
    note: z.string(),
  }),
  id: 'deviceId',
  patterns: { byState: { by: ['state'], project: ['ownerId'] } },
  related: { owner: { entity: 'User', key: 'ownerId' }, readings: { entity: 'Reading', pattern: 'ofDevice' } },
} as const;

const reading = defineEntity(z.object({ deviceId: z.string(), at: z.string(), celsius: z.number() }), {
  id: ['deviceId', 'at'],
  within: 'Device',
  patterns: { ofDevice: { by: ['deviceId'], order: 'at' } },
  history: true,
  scan: { readUnitsMax: 10 },
});

const world = () => entityWorld({ User: user, Device: device, Reading: reading });

describe('the types of entities (covers S0-15)', () => {
  it('refuse a pattern that is not declared, at compile time and at run time', async () => {
    const { entities } = await world();
    // @ts-expect-error: no such pattern
    assert.throws(() => entities.User.list.byMail, { code: 'entity.patternNotDeclared' });
  });

  it('refuse a question without its by, with another, or of another type', async () => {
    const { entities, until } = await world();
    const refused = { code: 'entity.questionNotValid' };
    // @ts-expect-error: name is missing
    await assert.rejects(until(entities.User.list.byAge({})), refused);
    // @ts-expect-error: mail is no part of the pattern
    await assert.rejects(until(entities.User.list.byAge({ name: 'a', mail: 'b' })), refused);
    // @ts-expect-error: not one of the states
    assert.deepEqual((await until(entities.Device.list.byState({ state: 'broken' }))).items, []);
    // @ts-expect-error: an age is a number
    await until(entities.User.list.byAge({ name: 'a' }, { from: 'b' }));
    // @ts-expect-error: only text has a prefix
    await assert.rejects(until(entities.User.list.byAge({ name: 'a' }, { prefix: 3 })), refused);
  });

  it('give what the pattern keeps, and no more', async () => {
    const { entities, until } = await world();
    await until(entities.Device.create({ deviceId: 'd1', ownerId: 'u1', state: 'on', note: 'n' }));
    const { items } = await until(entities.Device.list.byState({ state: 'on' }));
    // @ts-expect-error: the pattern does not project it
    assert.equal(items[0].note, undefined);
    const shown: { deviceId: string; ownerId: string; state: 'on' | 'off' } = items[0];
    assert.deepEqual(shown, { deviceId: 'd1', ownerId: 'u1', state: 'on' });
    const whole = await until(entities.Device.list.byState.whole({ state: 'on' }));
    assert.equal(whole.items[0].note, 'n');
  });

  it('give relations the types of the other entity, and only declared ones', async () => {
    const { entities, until } = await world();
    await until(entities.Device.create({ deviceId: 'd1', ownerId: 'u1', state: 'on', note: '' }));
    await until(entities.User.create({ userId: 'u1', name: 'Alice' }));
    const { items } = await until(entities.Device.list.byState({ state: 'on' }, { with: ['owner'] }));
    const name: string | undefined = items[0].owner?.name;
    assert.equal(name, 'Alice');
    // @ts-expect-error: it was not asked for
    assert.equal(items[0].readings, undefined);
    // @ts-expect-error: no such relation
    await assert.rejects(until(entities.Device.find('d1', { with: ['maker'] })), {
      code: 'entity.relationNotDeclared',
    });
    const found = await until(entities.Device.get('d1', { with: ['readings'] }));
    const celsius: number[] = found.readings.map(each => each.celsius);
    assert.deepEqual(celsius, []);
  });

  it('ask for every attribute of an id', async () => {
    const { entities, until } = await world();
    assert.equal(await until(entities.Reading.find({ deviceId: 'd1', at: 't1' })), undefined);
    // @ts-expect-error: at is missing
    await assert.rejects(until(entities.Reading.find({ deviceId: 'd1' })), { code: 'entity.notValid' });
    // @ts-expect-error: one value is not enough
    await assert.rejects(until(entities.Reading.find('d1')), { code: 'entity.notValid' });
  });

  it('know scan and history only where they are declared', async () => {
    const { entities, until } = await world();
    // @ts-expect-error: no scan is declared
    await assert.rejects(until(entities.User.scan({ readUnits: 1 }).next()), { code: 'entity.scanNotAllowed' });
    assert.equal((await until(entities.Reading.scan({ readUnits: 1 }).next())).done, true);
    // @ts-expect-error: no history is declared
    assert.equal(typeof entities.User.listHistory, 'function');
    assert.deepEqual(await until(entities.Reading.listHistory({ deviceId: 'd1', at: 't1' })), { items: [] });
  });

  it('let a change say only what is there, at any depth', async () => {
    const { entities, until } = await world();
    await until(
      entities.Device.create({ deviceId: 'd1', ownerId: 'u1', state: 'on', note: '', place: { room: 'a', floor: 1 } }),
    );
    const changed = await until(entities.Device.update('d1', { place: { floor: 2 } }));
    assert.deepEqual(changed.place, { room: 'a', floor: 2 });
    // @ts-expect-error: a floor is a number
    await assert.rejects(until(entities.Device.update('d1', { place: { floor: 'x' } })), { code: 'entity.notValid' });
    // @ts-expect-error: no such attribute
    await until(entities.Device.update('d1', { color: 'red' }));
  });

  it('check the names in a definition where it is written', () => {
    const attributes = z.object({ userId: z.string(), name: z.string() });
    // @ts-expect-error: no such attribute
    defineEntity(attributes, { id: 'id', patterns: {} });
    // @ts-expect-error: no such attribute
    defineEntity(attributes, { id: 'userId', patterns: { byMail: { by: ['mail'] } } });
    defineEntity(attributes, { id: 'userId', patterns: { named: { by: [], when: each => each.name !== '' } } });
  });
});
