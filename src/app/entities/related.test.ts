import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { z } from 'zod';
import type { Table } from '../../platform/table/index.ts';
import { defineEntity } from './definition.ts';
import { entityWorld } from './entity-world.ts';
import { BatchIncompleteError, ScanBudgetError } from './errors.ts';
import { shapesOf } from './shape.ts';

const sensors = {
  User: defineEntity(z.object({ userId: z.string(), name: z.string() }), { id: 'userId', patterns: {} }),
  Device: defineEntity(z.object({ deviceId: z.string(), ownerId: z.string(), name: z.string() }), {
    id: 'deviceId',
    patterns: { ofOwner: { by: ['ownerId'], order: 'name' } },
    related: {
      owner: { entity: 'User', key: 'ownerId' },
      lastReading: { entity: 'Reading', pattern: 'ofDevice', latest: 1 },
      recent: { entity: 'Reading', pattern: 'ofDevice', latest: 3 },
    },
  }),
  Reading: defineEntity(z.object({ readingId: z.string(), deviceId: z.string(), at: z.int(), celsius: z.number() }), {
    id: 'readingId',
    patterns: { ofDevice: { by: ['deviceId'], order: 'at', project: [] } },
    scan: { readUnitsMax: 100 },
  }),
};

/** A table that leaves out or refuses what it is told to. */
function throttledTable(table: Table, refuse: () => 'all' | 'half' | 'none'): Table {
  const batchGet: Table['batchGet'] = async input => {
    const how = refuse();
    if (how === 'all') throw Object.assign(new Error('Too fast'), { name: 'ProvisionedThroughputExceededException' });
    const [[TableName, { Keys = [], ...rest }]] = Object.entries(input.RequestItems ?? {});
    const done = how === 'half' ? Keys.slice(0, Math.ceil(Keys.length / 2)) : Keys;
    const answer = await table.batchGet({ RequestItems: { [TableName]: { Keys: done, ...rest } } });
    const open = Keys.slice(done.length);
    return { ...answer, UnprocessedKeys: open.length > 0 ? { [TableName]: { Keys: open, ...rest } } : {} };
  };
  return new Proxy(table, {
    get: (target, name: keyof Table) => (name === 'batchGet' ? batchGet : target[name].bind(target)),
  });
}

async function hundredDevices(refuse: () => 'all' | 'half' | 'none' = () => 'none') {
  const world = await entityWorld(sensors, table => throttledTable(table, refuse));
  const { User, Device, Reading } = world.entities;
  await world.until(User.create({ userId: 'alice', name: 'Alice' }));
  const numbers = Array.from({ length: 100 }, (_, index) => String(index).padStart(3, '0'));
  const create = async (number: string) => {
    await Device.create({ deviceId: `d${number}`, ownerId: 'alice', name: `Device ${number}` });
    for (const at of [1, 2]) {
      await Reading.create({
        readingId: `${number}-${at}`,
        deviceId: `d${number}`,
        at,
        celsius: Number(number) + at / 10,
      });
    }
  };
  await world.until(Promise.all(numbers.map(create)));
  return { ...world, numbers };
}

describe('related entities (covers S1-22)', () => {
  it('come with a list of 100 devices in two calls: the list, and the last reading of each', async () => {
    const { entities, callsOf, numbers } = await hundredDevices();
    const options = { limit: 100, with: ['lastReading'] } as const;
    const { calls, result } = await callsOf(() => entities.Device.list.ofOwner({ ownerId: 'alice' }, options));
    assert.deepEqual(
      result.items.map(({ lastReading }) => lastReading?.readingId),
      numbers.map(number => `${number}-2`),
    );
    assert.deepEqual(
      calls.map(({ name }) => name),
      ['query', 'batchGet'],
    );
  });

  it('that many share are read once', async () => {
    const { entities, callsOf } = await hundredDevices();
    const options = { limit: 100, with: ['owner'] } as const;
    const { calls, result } = await callsOf(() => entities.Device.list.ofOwner({ ownerId: 'alice' }, options));
    assert(result.items.every(({ owner }) => owner?.name === 'Alice'));
    const { RequestItems } = calls[1].input as { RequestItems: Record<string, { Keys: unknown[] }> };
    assert.equal(RequestItems.app.Keys.length, 1);
  });

  it('that are lists come with one entity, not with a list', async () => {
    const { entities, until } = await hundredDevices();
    const device = await until(entities.Device.get('d007', { with: ['recent', 'owner'] }));
    assert.deepEqual(
      device.recent.map(({ at, celsius }) => [at, celsius]),
      [
        [2, 7.2],
        [1, 7.1],
      ],
    );
    assert.equal(device.owner?.name, 'Alice');
    const asked = entities.Device.list.ofOwner({ ownerId: 'alice' }, { with: ['recent'] });
    await assert.rejects(until(asked), { code: 'entity.relationNotDeclared' });
  });

  it('are undefined where there is none', async () => {
    const { entities, until } = await entityWorld(sensors);
    await until(entities.Device.create({ deviceId: 'd1', ownerId: 'nobody', name: 'x' }));
    const { items } = await until(
      entities.Device.list.ofOwner({ ownerId: 'nobody' }, { with: ['owner', 'lastReading'] }),
    );
    assert.deepEqual(items, [
      { deviceId: 'd1', ownerId: 'nobody', name: 'x', owner: undefined, lastReading: undefined },
    ]);
    assert.equal(await until(entities.Device.find('d2', { with: ['owner'] })), undefined);
  });
});

describe('many at once (covers S2-16)', () => {
  it('are read 100 per request, in the order asked for, again where the table left some out', async () => {
    const { entities, callsOf, numbers } = await hundredDevices(() => 'half');
    const ids = [...numbers.map(number => `${number}-2`), 'nobody', ...numbers.map(number => `${number}-1`), '000-2'];
    const { calls, result } = await callsOf(() => entities.Reading.getMany(ids));
    assert.deepEqual(
      result.map(reading => reading?.readingId),
      ids.map(id => (id === 'nobody' ? undefined : id)),
    );
    assert(calls.length >= 6);
    for (const { input } of calls) {
      const { RequestItems } = input as { RequestItems: Record<string, { Keys: unknown[] }> };
      assert(RequestItems.app.Keys.length <= 100);
    }
  });

  it('end with what was read and what remains when the table keeps refusing', async () => {
    let requests = 0;
    const { entities, until, numbers, clock } = await hundredDevices(() => (requests++ === 0 ? 'half' : 'all'));
    const startMs = clock.nowMs();
    const ids = numbers.map(number => `${number}-2`);
    const error: unknown = await until(entities.Reading.getMany(ids).catch(error => error));
    assert(error instanceof BatchIncompleteError);
    assert.deepEqual([error.code, error.found.length, error.remaining.length], ['entity.batchIncomplete', 50, 50]);
    assert.equal(requests, 1 + 8); // What was left over had eight attempts of its own.
    assert(clock.nowMs() - startMs > 1_000); // It has waited longer and longer.
  });
});

describe('the copy of the last child', () => {
  it('stays when an older one comes late, and follows when the last one goes or changes', async () => {
    const { entities, until } = await entityWorld(sensors);
    const { Device, Reading } = entities;
    await until(Device.create({ deviceId: 'd', ownerId: 'a', name: 'x' }));
    const last = async () => (await until(Device.get('d', { with: ['lastReading'] }))).lastReading;
    const read = (readingId: string, at: number) => until(Reading.create({ readingId, deviceId: 'd', at, celsius: 1 }));
    await read('a', 10);
    await read('b', 30);
    await read('c', 20);
    assert.equal((await last())?.readingId, 'b');
    await until(Reading.update('b', { celsius: 5 }));
    assert.equal((await last())?.celsius, 5);
    await until(Reading.update('a', { celsius: 6 }));
    assert.equal((await last())?.readingId, 'b');
    await until(Reading.update('b', { at: 15 }));
    assert.equal((await last())?.readingId, 'c');
    await until(Reading.delete('c'));
    assert.equal((await last())?.readingId, 'b');
    await until(Reading.update('a', { at: 40 }));
    assert.equal((await last())?.readingId, 'a');
    await until(Reading.update('a', { deviceId: 'other' }));
    assert.equal((await last())?.readingId, 'b');
    await until(Reading.delete('b'));
    assert.equal(await last(), undefined);
  });

  it('goes with its parent', async () => {
    const { entities, until, records } = await entityWorld(sensors);
    await until(entities.Device.create({ deviceId: 'd', ownerId: 'a', name: 'x' }));
    await until(entities.Reading.create({ readingId: 'r', deviceId: 'd', at: 1, celsius: 1 }));
    await until(entities.Device.delete('d'));
    assert.deepEqual(
      (await records()).map(({ PK }) => PK),
      ['Reading-r', 'Reading-r'],
    );
  });

  it('is the last one after any sequence of writes, several at once (covers S0-16)', async () => {
    const step = fc.record({
      kind: fc.constantFrom('create', 'update', 'update', 'delete'),
      readingId: fc.constantFrom('a', 'b', 'c', 'd'),
      deviceId: fc.constantFrom('x', 'y'),
      at: fc.integer({ min: 0, max: 5 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), fc.integer({ min: 1, max: 3 }), async (steps, atOnce) => {
        const { entities, until } = await entityWorld(sensors);
        const { Device, Reading } = entities;
        for (const deviceId of ['x', 'y']) await until(Device.create({ deviceId, ownerId: 'a', name: deviceId }));
        for (let index = 0; index < steps.length; index += atOnce) {
          const writes = steps.slice(index, index + atOnce).map(({ kind, readingId, deviceId, at }) => {
            if (kind === 'create') return Reading.create({ readingId, deviceId, at, celsius: index });
            return kind === 'update' ? Reading.update(readingId, { deviceId, at }) : Reading.delete(readingId);
          });
          for (const outcome of await until(Promise.allSettled(writes))) {
            if (outcome.status === 'fulfilled') continue;
            assert(['entity.exists', 'entity.notFound'].includes(outcome.reason.code), outcome.reason);
          }
        }
        const readings = (await until(Reading.getMany(['a', 'b', 'c', 'd']))).filter(reading => reading !== undefined);
        for (const deviceId of ['x', 'y']) {
          const { lastReading } = await until(Device.get(deviceId, { with: ['lastReading'] }));
          const own = readings.filter(reading => reading.deviceId === deviceId);
          assert.equal(lastReading?.at, own.length > 0 ? Math.max(...own.map(({ at }) => at)) : undefined);
          if (lastReading)
            assert.deepEqual(
              lastReading,
              readings.find(({ readingId }) => readingId === lastReading.readingId),
            );
        }
      }),
      { numRuns: 60 },
    );
  });
});

describe('a scan (covers S1-21)', () => {
  it('needs its definition to say so, and stays within its budget', async () => {
    const { entities, until, numbers } = await hundredDevices();
    const { Reading } = entities;
    await assert.rejects(until(Reading.scan({ readUnits: 101 }).next()), { code: 'entity.scanNotAllowed' });
    const seen: string[] = [];
    let cursor: string | undefined;
    let rounds = 0;
    const scan = async () => {
      for await (const { readingId } of Reading.scan({ readUnits: 5, cursor })) seen.push(readingId);
    };
    for (;;) {
      rounds++;
      const error: unknown = await until(
        scan().then(
          () => undefined,
          each => each,
        ),
      );
      if (error === undefined) break;
      assert(error instanceof ScanBudgetError);
      assert.equal(error.code, 'entity.scanBudgetUsed');
      cursor = error.cursor;
    }
    assert(rounds > 1);
    assert.deepEqual(
      seen.toSorted(),
      numbers.flatMap(number => [`${number}-1`, `${number}-2`]),
    );
    await assert.rejects(until(Reading.scan({ readUnits: 1, cursor: 'x' }).next()), { code: 'entity.cursorNotValid' });
  });
});

describe('a definition', () => {
  const attributes = z.object({ id: z.string(), name: z.string() });
  const plain = { attributes, id: 'id', patterns: {} };

  it('is refused when it contradicts itself', () => {
    const wrong: Record<string, Parameters<typeof shapesOf>[0]> = {
      'a name of the runtime': { Command: plain },
      'a name with a dash': { 'Command-x': plain },
      'an id that is none': { Note: { ...plain, id: 'noteId' } },
      'a by that is none': { Note: { ...plain, patterns: { byMail: { by: ['mail'] } } } },
      'a pattern with a mark': { Note: { ...plain, patterns: { 'by#name': { by: ['name'] } } } },
      'no shards': { Note: { ...plain, patterns: { byName: { by: ['name'], shards: 0 } } } },
      'too many shards': { Note: { ...plain, patterns: { byName: { by: ['name'], shards: 65 } } } },
      'unique by nothing': { Note: { ...plain, patterns: { all: { by: [], unique: true } } } },
      'no such parent': { Note: { ...plain, within: 'Book' } },
      'no id of its own': { Note: { ...plain, within: 'Book' }, Book: plain },
      'a relation to nothing': { Note: { ...plain, related: { book: { entity: 'Book', key: 'name' } } } },
      'a relation by nothing': { Note: { ...plain, related: { note: { entity: 'Note', key: 'noteId' } } } },
      'a relation named as an attribute': { Note: { ...plain, related: { name: { entity: 'Note', key: 'id' } } } },
      'a relation by no pattern': { Note: { ...plain, related: { notes: { entity: 'Note', pattern: 'all' } } } },
      'no history': { Note: { ...plain, history: { keep: 0 } } },
    };
    for (const [what, entities] of Object.entries(wrong))
      assert.throws(() => shapesOf(entities), { code: 'entity.definitionNotValid' }, what);
  });

  it('by nothing is spread over shards, with a warning', () => {
    const shape = shapesOf({ Note: { ...plain, patterns: { all: { by: [], order: 'name' } } } }).get('Note');
    assert.equal(shape?.patterns.get('all')?.shards, 8);
    assert.match(shape?.warnings[0] ?? '', /Note.all is by nothing/);
  });
});
