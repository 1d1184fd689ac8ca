import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { codeOf } from '../../../kernel/errors.ts';
import type { BatchContext } from './batch.ts';
import { ConsumersWorld, countsOf, type TextHandler } from './consumer-world.ts';
import { consumerLimits } from './limits.ts';
import type { ConsumerSettings } from './settings.ts';
import { windowGraceMs } from './windows.ts';

interface Counting {
  count: number;
}

/** What the ends of windows were told. */
interface Ended {
  readonly start: string;
  readonly state: unknown;
  readonly isEarly: boolean;
}

/** Counts the records of each window, in its state. */
function counting(
  ended: Ended[],
  fails: (batch: string[], context: BatchContext) => boolean = () => false,
): TextHandler {
  return async (batch, context, isDead) => {
    const { window, state, isFinalInvokeForWindow, isWindowTerminatedEarly } = context;
    const texts = batch.map(({ event }) => event);
    if (fails(texts, context)) throw new Error(`no ${texts.join(' ')}`);
    if (isFinalInvokeForWindow) {
      assert.deepEqual(texts, []);
      if (!isDead()) ended.push({ start: window?.start ?? '', state, isEarly: isWindowTerminatedEarly ?? false });
      return {};
    }
    const { count = 0 } = state as Partial<Counting>;
    return { state: { count: count + texts.length } };
  };
}

const minute: ConsumerSettings = { tumblingWindowMs: 60_000, batchRecordsMax: 10, retryDelayMs: 10 };

/** Puts so many records over the next `ms`. */
async function putOver(world: ConsumersWorld, ms: number, count: number): Promise<void> {
  for (let index = 0; index < count; index++) {
    world.stream.put(`k${index % 3}`, `k${index % 3}:${index}`);
    await world.clock.advance(ms / count);
  }
}

const states = (ended: Ended[]) => ended.map(({ start, state }) => [start.slice(11, 19), (state as Counting).count]);

describe('tumbling windows', () => {
  it('hand a state from batch to batch, and end once with nothing but the state', async () => {
    const world = new ConsumersWorld(); // It begins at a full minute.
    const ended: Ended[] = [];
    const life = world.start(counting(ended), minute);
    await putOver(world, 60_000, 120);
    await putOver(world, 30_000, 5);
    await world.clock.advance(30_000 + windowGraceMs);
    assert.deepEqual(states(ended), [
      ['00:00:00', 120],
      ['00:01:00', 5],
    ]);
    assert.equal(world.windows.size, 0);
    assert.deepEqual(countsOf(world.account), { handled: 125 });
    await life.stop();
  });

  it('cut a backlog where the windows end', async () => {
    const world = new ConsumersWorld();
    await putOver(world, 180_000, 90);
    const ended: Ended[] = [];
    const life = world.start(counting(ended), { ...minute, batchRecordsMax: 1_000 });
    await world.clock.advance(60_000);
    assert.deepEqual(states(ended), [
      ['00:00:00', 30],
      ['00:01:00', 30],
      ['00:02:00', 30],
    ]);
    await life.stop();
  });

  it('keep their state with the checkpoint, so that a kill at any moment neither loses nor doubles a record of it', async () => {
    for (let seed = 1; seed <= 15; seed++) {
      const world = new ConsumersWorld(seed);
      world.saveLatencyMs = 7;
      const ended: Ended[] = [];
      let life = world.start(counting(ended), minute);
      for (let step = 0; step < 20; step++) {
        await putOver(world, 9_000, 1 + world.random.integer(30));
        if (world.random.integer(2) === 0) continue;
        world.stream.put('a', 'in flight');
        await world.clock.advance(world.random.integer(12));
        life.kill();
        life = world.start(counting(ended), minute);
      }
      await world.clock.advance(120_000);
      // An end may be told twice when the kill came before it was kept; with the same state, then.
      const byStart = new Map(ended.map(({ start, state }) => [start, (state as Counting).count]));
      assert.equal(
        [...byStart.values()].reduce((sum, count) => sum + count, 0),
        world.account.size,
      );
      for (const { start, state } of ended) assert.equal((state as Counting).count, byStart.get(start));
      await life.stop();
    }
  });

  it('try a batch that fails again with the state before it, isolate what fails, and count the others once', async () => {
    const world = new ConsumersWorld();
    const ended: Ended[] = [];
    let trouble = 3;
    const fails = (texts: string[]) => texts.includes('k2:5') || (texts.includes('k1:7') && trouble-- > 1);
    for (let index = 0; index < 20; index++) world.stream.put(`k${index % 3}`, `k${index % 3}:${index}`);
    const life = world.start(counting(ended, fails), minute);
    await world.clock.advance(62_000);
    assert.deepEqual(states(ended), [['00:00:00', 19]]);
    assert.deepEqual(world.deadTexts, ['k2:5']);
    assert.deepEqual(countsOf(world.account), { handled: 19, deadLettered: 1 });
    await life.stop();
  });

  it('hand each attempt a state of its own, whatever the one before has done to it', async () => {
    const world = new ConsumersWorld();
    let trouble = 2;
    const seen: unknown[] = [];
    const handler: TextHandler = async (batch, { state, isFinalInvokeForWindow }) => {
      seen.push(structuredClone(state));
      const counted = state as Counting;
      counted.count = (counted.count ?? 0) + batch.length;
      if (trouble-- > 0 || (isFinalInvokeForWindow && seen.length < 5)) throw new Error('not now');
      return { state };
    };
    world.stream.put('a', 'a:1');
    const life = world.start(handler, minute);
    await world.clock.advance(62_000);
    assert.deepEqual(seen, [{}, {}, {}, { count: 1 }, { count: 1 }]);
    await life.stop();
  });

  it('set the state aside when nobody can handle their end, and go on', async () => {
    const world = new ConsumersWorld();
    const ended: Ended[] = [];
    const fails = (_texts: string[], { isFinalInvokeForWindow, window }: BatchContext) =>
      isFinalInvokeForWindow === true && window?.start === '2026-01-01T00:00:00.000Z';
    const life = world.start(counting(ended, fails), minute);
    await putOver(world, 120_000, 20);
    await world.clock.advance(windowGraceMs);
    assert.deepEqual(states(ended), [['00:01:00', 10]]);
    assert.equal(world.dead.length, 1);
    const { record, attempts } = world.dead[0];
    assert.equal(attempts, 3);
    assert.deepEqual(JSON.parse(record.data.toString()), {
      window: { start: '2026-01-01T00:00:00.000Z', end: '2026-01-01T00:01:00.000Z' },
      state: { count: 10 },
      isFinalInvokeForWindow: true,
      isWindowTerminatedEarly: false,
    });
    await life.stop();
  });

  it('end early when the state grows over 1 MB, which is never kept, and start again empty', async () => {
    const world = new ConsumersWorld();
    const sizes: number[] = [];
    const early: unknown[] = [];
    const handler: TextHandler = async (batch, { state, isFinalInvokeForWindow, isWindowTerminatedEarly }) => {
      const { text = '' } = state as { text?: string };
      if (isFinalInvokeForWindow) {
        early.push(isWindowTerminatedEarly);
        sizes.push(text.length);
        return undefined;
      }
      return { state: { text: text + 'x'.repeat(batch.length * 400_000) } };
    };
    const life = world.start(handler, { ...minute, batchRecordsMax: 1 });
    for (let index = 0; index < 5; index++) {
      world.stream.put('a', `a:${index}`);
      await world.clock.advance(10);
      for (const { state } of world.windows.values()) assert.ok(state.length <= consumerLimits.windowStateBytesMax);
    }
    assert.deepEqual([sizes, early], [[1_200_000], [true]]);
    await world.clock.advance(62_000);
    assert.deepEqual(
      [sizes, early],
      [
        [1_200_000, 800_000],
        [true, false],
      ],
    );
    assert.deepEqual(countsOf(world.account), { handled: 5 });
    await life.stop();
  });

  it('take a state that is no JSON for a failure, and none for an empty one', async () => {
    const world = new ConsumersWorld();
    const cyclic: Record<string, unknown> = {};
    cyclic.self = cyclic;
    const answers: unknown[] = [{ state: cyclic }, { state: 5n }, { state: () => {} }, undefined];
    const seen: unknown[] = [];
    const handler: TextHandler = async (_batch, { state, isFinalInvokeForWindow }) => {
      if (isFinalInvokeForWindow) seen.push(state);
      return answers.shift() as undefined; // Whatever the type says, this is what a handler may return.
    };
    world.stream.put('a', 'a:1');
    const life = world.start(handler, { ...minute, attemptsMax: 4 });
    await world.clock.advance(62_000);
    assert.deepEqual([seen, world.dead], [[{}], []]);
    answers.push({ state: 5n }, { state: 5n }, { state: 5n }, { state: 5n });
    world.stream.put('a', 'a:2');
    await world.clock.advance(1_000);
    assert.deepEqual(
      world.dead.map(({ error }) => codeOf(error)),
      ['stream.windowStateNotValid'],
    );
    await life.stop();
  });

  it('end with their shard, so that the children begin with new ones', async () => {
    const world = new ConsumersWorld();
    const ended: Ended[] = [];
    const life = world.start(counting(ended), minute);
    await putOver(world, 10_000, 10);
    world.stream.split('shardId-000000000000');
    await world.clock.advance(100);
    assert.deepEqual(states(ended), [['00:00:00', 10]]);
    await putOver(world, 10_000, 10);
    await world.clock.advance(60_000);
    assert.equal(
      ended.slice(1).reduce((sum, { state }) => sum + (state as Counting).count, 0),
      10,
    );
    await life.stop();
  });

  it('count what comes late, after the end, to the next', async () => {
    const world = new ConsumersWorld();
    const ended: Ended[] = [];
    const life = world.start(counting(ended), minute);
    await putOver(world, 60_000, 10);
    await world.clock.advance(windowGraceMs + 1_000);
    world.clock.jumpWallClock(-5_000); // It is before the end of the window that was told.
    world.stream.put('a', 'a:late');
    await world.clock.advance(1_000);
    world.clock.jumpWallClock(5_000);
    await putOver(world, 10_000, 10);
    await world.clock.advance(60_000);
    assert.deepEqual(states(ended), [
      ['00:00:00', 10],
      ['00:01:00', 11],
    ]);
    await life.stop();
  });
});
