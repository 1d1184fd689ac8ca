import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { z } from 'zod';
import { OneThreadBackend, TestWorld } from '../local/one-thread.ts';
import { AggregateKeeper } from './aggregate-keeper.ts';
import { addExactly } from './decimal-sum.ts';
import { type AggregateDefinition, type App, appTable, defineApp, defineModel } from './index.ts';

const reading = z.object({
  readingId: z.string(),
  room: z.string(),
  celsius: z.number(),
  watts: z.number().optional(),
  order: z.string(),
});
type Reading = z.output<typeof reading>;

const byRoom = { by: ['room'], sum: ['celsius', 'watts'], minMax: ['celsius'] } as const;
const isWarm = ({ celsius }: Reading) => celsius > 0;

function modelWith<const A extends Readonly<Record<string, AggregateDefinition>>>(aggregates: A) {
  const Reading = { attributes: reading, id: 'readingId', patterns: {}, aggregates } as const;
  return defineModel('readings', { telemetry: {}, commands: {}, entities: { Reading } });
}

const model = modelWith({ byRoom, warm: { by: [], when: isWarm, sum: ['celsius'] } });

type Context = OneThreadBackend['runtime']['context'];

class ReadingsWorld {
  readonly world = new TestWorld();
  backend!: OneThreadBackend; // `start` comes first

  async start(of: { readonly application: string } = model): Promise<this> {
    this.backend = await OneThreadBackend.start(defineApp(of, { functions: {}, routes: [] }), this.world);
    return this;
  }

  /** Typed for any model; the tests that name groups use `room` and `warm`. */
  get readings() {
    return this.backend.runtime.context.entities.Reading as unknown as ReturnType<typeof typedReadings>;
  }

  until<T>(promise: Promise<T>): Promise<T> {
    return this.world.clock.until(promise);
  }

  async settle(): Promise<void> {
    await this.world.clock.advance(50);
  }

  create(readingId: string, room: string, celsius: number, watts?: number): Promise<unknown> {
    return this.until(this.readings.create({ readingId, room, celsius, watts, order: readingId }));
  }
}

/** The repository of `model`, for its type only. */
declare function typedReadings(context: Context): import('./context.ts').ContextOf<typeof model>['entities']['Reading'];

/** The table keeps no number closer to 0 than 1e-130. */
const isStorable = (value: number) => value === 0 || Math.abs(value) > 1e-130;

/** What an aggregate must be, computed from everything there is. */
function naive(all: readonly Reading[]) {
  const exact = (values: (number | undefined)[]) =>
    Number(values.reduce<string>((sum, value) => (value === undefined ? sum : addExactly(sum, value, 1)), '0'));
  const celsius = all.map(each => each.celsius);
  const watts = all.flatMap(each => each.watts ?? []);
  const average = (values: number[]) => (values.length === 0 ? undefined : exact(values) / values.length);
  return {
    count: all.length,
    sum: { celsius: exact(celsius), watts: exact(watts) },
    average: { celsius: average(celsius), watts: average(watts) },
    min: { celsius: celsius.length === 0 ? undefined : Math.min(...celsius) },
    max: { celsius: celsius.length === 0 ? undefined : Math.max(...celsius) },
  };
}

describe('aggregates (covers S1-30)', () => {
  it('count, add up, average, and know the extremes of each group', async () => {
    const world = await new ReadingsWorld().start();
    await world.create('r1', 'attic', 0.1, 5);
    await world.create('r2', 'attic', 0.2);
    await world.create('r3', 'cellar', -7);
    await world.settle();
    assert.deepEqual(await world.readings.aggregate.byRoom({ room: 'attic' }), {
      count: 2,
      sum: { celsius: 0.3, watts: 5 },
      average: { celsius: 0.15, watts: 5 },
      min: { celsius: 0.1 },
      max: { celsius: 0.2 },
    });
    assert.equal((await world.readings.aggregate.byRoom({ room: 'nowhere' })).count, 0);
    const warm = await world.readings.aggregate.warm({});
    assert.deepEqual([warm.count, warm.sum], [2, { celsius: 0.3 }]);
    await world.until(world.readings.update('r1', () => ({ room: 'cellar', celsius: -8 })));
    await world.until(world.readings.delete('r2'));
    await world.settle();
    assert.equal((await world.readings.aggregate.byRoom({ room: 'attic' })).count, 0);
    const cellar = await world.readings.aggregate.byRoom({ room: 'cellar' });
    assert.deepEqual([cellar.count, cellar.sum.celsius, cellar.min.celsius, cellar.max.celsius], [2, -15, -8, -7]);
    assert.equal((await world.readings.aggregate.warm({})).count, 0);
    await world.backend.stop();
  });

  it('are typed by their definition', () => {
    const check = async (readings: ReturnType<typeof typedReadings>) => {
      const { sum, min } = await readings.aggregate.byRoom({ room: 'attic' });
      const celsius: number = sum.celsius;
      const least: number | undefined = min.celsius;
      // @ts-expect-error It is not among those added up.
      const order = sum.order;
      // @ts-expect-error It is not among those with extremes.
      const watts = min.watts;
      // @ts-expect-error The room is missing.
      await readings.aggregate.byRoom({});
      // @ts-expect-error There is no such aggregate.
      await readings.aggregate.byOwner({});
      return [celsius, least, order, watts];
    };
    assert.equal(typeof check, 'function');
  });

  it('equal what is computed from scratch, whatever is written and whenever the power is cut', async () => {
    const value = fc.oneof(
      fc.constantFrom(0, -0, 0.1, 0.2, -0.1, 1e-7, 9007199254740991, 20.5),
      fc
        .double({ min: -1e6, max: 1e6, noNaN: true })
        .map(each => Number(each.toPrecision(9)))
        .filter(isStorable),
    );
    const write = fc.record({
      id: fc.constantFrom('r1', 'r2', 'r3', 'r4', 'r5'),
      room: fc.constantFrom('attic', 'cellar#1'),
      celsius: value,
      watts: fc.option(value, { nil: undefined }),
    });
    const step = fc.oneof(
      { weight: 8, arbitrary: write },
      { weight: 2, arbitrary: fc.record({ gone: fc.constantFrom('r1', 'r2', 'r3') }) },
      { weight: 2, arbitrary: fc.integer({ min: 0, max: 8 }) },
      { weight: 1, arbitrary: fc.constant('cut' as const) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async steps => {
        const world = await new ReadingsWorld().start();
        const all = new Map<string, Reading>();
        for (const each of steps) {
          if (each === 'cut') {
            world.backend.powerCut();
            await world.start();
          } else if (typeof each === 'number') await world.world.clock.advance(each);
          else if ('gone' in each) {
            await world.until(world.readings.delete(each.gone));
            all.delete(each.gone);
          } else {
            const { id, room, celsius, watts } = each;
            const attributes = { readingId: id, room, celsius, order: id, ...(watts !== undefined && { watts }) };
            if (all.has(id)) await world.until(world.readings.delete(id));
            await world.until(world.readings.create(attributes));
            all.set(id, attributes);
          }
        }
        await world.settle();
        for (const room of ['attic', 'cellar#1']) {
          const expected = naive([...all.values()].filter(each => each.room === room));
          const found = await world.readings.aggregate.byRoom({ room });
          assert.deepEqual(JSON.parse(JSON.stringify(found)), JSON.parse(JSON.stringify(expected))); // -0 is 0
        }
        assert.equal((await world.readings.aggregate.warm({})).count, [...all.values()].filter(isWarm).length);
        await world.backend.stop();
      }),
      { numRuns: 40 },
    );
  });

  it('take in a batch of many changes to one group in few writes', async () => {
    const world = await new ReadingsWorld().start();
    const ids = Array.from({ length: 300 }, (_, index) => `r${index}`);
    await world.until(
      Promise.all(ids.map((readingId, at) => world.readings.create({ readingId, room: 'a', celsius: at, order: 'x' }))),
    );
    await world.settle();
    const { count, min, max, sum } = await world.readings.aggregate.byRoom({ room: 'a' });
    assert.deepEqual([count, min.celsius, max.celsius, sum.celsius], [300, 0, 299, (299 * 300) / 2]);
    await world.backend.stop();
  });

  it('are built from what is there when they are declared or changed, and go on from there', async () => {
    const world = await new ReadingsWorld().start(modelWith({}));
    for (let index = 0; index < 250; index++) await world.create(`r${index}`, 'attic', index);
    await world.create('other', 'cellar', 1);
    await world.backend.stop();
    await world.start();
    const attic = async () => {
      const { count, sum, min, max } = await world.readings.aggregate.byRoom({ room: 'attic' });
      return [count, sum.celsius, min.celsius, max.celsius];
    };
    assert.deepEqual(await attic(), [250, (249 * 250) / 2, 0, 249]);
    await world.until(world.readings.delete('r0'));
    await world.until(world.readings.update('r249', () => ({ room: 'cellar' })));
    await world.settle();
    assert.deepEqual(await attic(), [248, (248 * 249) / 2, 1, 248]);
    await world.backend.stop();
    await world.start(modelWith({ byRoom: { by: ['room'] } })); // Others, then the same as before again.
    assert.equal((await world.readings.aggregate.byRoom({ room: 'cellar' })).count, 2);
    await world.until(world.readings.delete('r1'));
    await world.backend.stop();
    await world.start();
    assert.deepEqual(await attic(), [247, (248 * 249) / 2 - 1, 2, 248]);
    const { Items = [] } = await world.backend.table.scan({ TableName: appTable.tableName });
    const epochs = new Set(
      Items.flatMap(({ PK }) => /^\$Aggregate-Reading-byRoom-([^-]+-[^-]+-[^-]+)-/.exec(PK)?.[1] ?? []),
    );
    assert.equal(epochs.size, 1); // Of the earlier ones nothing is left.
    await world.backend.stop();
  });

  it('are not changed by what had happened before they were built', async () => {
    const world = await new ReadingsWorld().start();
    await world.create('r1', 'attic', 1);
    await world.settle();
    await world.until(world.readings.update('r1', () => ({ room: 'cellar' })));
    world.backend.powerCut(); // before that was taken in
    await world.start(modelWith({ byRoom: { by: ['room'] } }));
    await world.settle();
    assert.equal((await world.readings.aggregate.byRoom({ room: 'attic' })).count, 0);
    assert.equal((await world.readings.aggregate.byRoom({ room: 'cellar' })).count, 1);
    await world.backend.stop();
  });

  it('are built again when they have missed changes', async () => {
    const world = await new ReadingsWorld().start();
    await world.create('r1', 'attic', 1);
    await world.settle();
    const { table } = world.backend.runtime.context;
    const keeper = new AggregateKeeper(
      { model: model as unknown as App['model'] }, // Models differ only in what their parts are typed as.
      { table, tableName: appTable.tableName, clock: world.world.clock, changes: undefined },
    );
    await world.until(keeper.noteIncomplete());
    const { Items = [] } = await table.scan({ TableName: appTable.tableName });
    const group = Items.find(({ PK, SK }) => SK === 'Aggregate' && PK.includes('byRoom'));
    await world.until(table.put({ TableName: appTable.tableName, Item: { ...group, Count: 77 } })); // as if it had
    assert.equal((await world.readings.aggregate.byRoom({ room: 'attic' })).count, 77);
    await world.backend.stop();
    await world.start();
    assert.equal((await world.readings.aggregate.byRoom({ room: 'attic' })).count, 1);
    await world.backend.stop();
  });

  it('are built whole although the power is cut while they are built', async () => {
    const world = await new ReadingsWorld().start(modelWith({}));
    for (let index = 0; index < 20; index++) await world.create(`r${index}`, `room ${index % 3}`, index);
    await world.backend.stop();
    for (let cutAfterMs = 1; cutAfterMs < 12; cutAfterMs++) {
      const starting = OneThreadBackend.start(defineApp(model, { functions: {}, routes: [] }), world.world);
      starting.catch(() => {}); // The power goes before it is there, or it is left to itself.
      await world.world.clock.advance(cutAfterMs);
      world.world.disk.powerCut();
      world.world.tableDisk.crash();
      world.world.iotDisk.crash();
      world.world.sockets.cut();
      await world.settle();
    }
    await world.start();
    for (const [room, count] of [7, 7, 6].entries()) {
      assert.equal((await world.readings.aggregate.byRoom({ room: `room ${room}` })).count, count);
    }
    await world.backend.stop();
  });

  it('go on after a restart, and cause no changes by being kept', async () => {
    const world = await new ReadingsWorld().start();
    await world.create('r1', 'attic', 1);
    await world.settle();
    await world.backend.stop();
    await world.start();
    await world.create('r2', 'attic', 2);
    await world.world.clock.advance(10_000);
    assert.equal((await world.readings.aggregate.byRoom({ room: 'attic' })).count, 2);
    const feed = world.backend.table.changesOf(appTable.tableName);
    const before = feed.lastSequenceNumber();
    await world.world.clock.advance(600_000);
    assert.equal(feed.lastSequenceNumber(), before);
    await world.backend.stop();
  });
});

describe('exact sums', () => {
  it('are those of decimals, of any size and sign', () => {
    assert.equal(addExactly('0.1', 0.2, 1), '0.3');
    assert.equal(addExactly('0.3', 0.2, -1), '0.1');
    assert.equal(addExactly('0', 1e-7, 1), '0.0000001');
    assert.equal(addExactly('1', 1e21, 1), '1000000000000000000001');
    assert.equal(addExactly('0.5', 0.5, -1), '0');
    assert.equal(addExactly('0.25', 1, -1), '-0.75');
    assert.equal(addExactly('-0.75', 1.5e-9, 1), '-0.7499999985');
  });

  it('come back to where they were when all that was added is taken away, in any order', () => {
    const numbers = fc.array(fc.double({ noNaN: true, noDefaultInfinity: true }), { maxLength: 20 });
    fc.assert(
      fc.property(numbers, fc.integer(), (values, seed) => {
        const shuffled = values.toSorted((left, right) => Math.sin(left + seed) - Math.sin(right + seed));
        const full = values.reduce((sum, value) => addExactly(sum, value, 1), '0');
        assert.equal(
          shuffled.reduce((sum, value) => addExactly(sum, value, -1), full),
          '0',
        );
      }),
    );
  });
});
