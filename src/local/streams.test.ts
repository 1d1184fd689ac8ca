import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { z } from 'zod';
import { defineApp, defineModel, telemetryTopic } from '../app/index.ts';
import { OneThreadBackend, TestWorld } from './one-thread.ts';

const reading = z.object({ device: z.string(), celsius: z.number() });
const model = defineModel('streams', {
  telemetry: { climate: { reading: z.object({ celsius: z.number() }) } },
  commands: {},
  entities: {},
  streams: {
    funnel: { record: reading, shards: 2, partitionKey: { field: 'device' } },
    flood: { record: reading, shards: 4, partitionKey: 'random' },
    plain: { record: reading },
  },
  partitionKeys: { climate: 'random' },
});

type Functions = Parameters<typeof defineApp>[1]['functions'];
const start = (functions: Functions, world = new TestWorld()) =>
  OneThreadBackend.start(defineApp(model, { functions, routes: [] }), world, { indexLagMs: 0 });

const oneSim = (count: number) =>
  Array.from({ length: count }, (_, index) => ({
    partitionKey: 'sim-1',
    record: { device: `bed-${index % 5}`, celsius: index },
  }));

describe('a stream that others write to (covers S1-20, S1-36)', () => {
  it('feeds a function with what fits, in order by what the model keys it by, whatever key it came with', async () => {
    const seen: { device: string; celsius: number; key: string }[] = [];
    const note = model.onRecords('funnel', async ({ record, partitionKey }) => {
      seen.push({ ...record, key: partitionKey });
    });
    const backend = await start({ note });
    await backend.putRecords('funnel', oneSim(50));
    await backend.putRecords('funnel', [{ partitionKey: 'sim-1', record: { device: 7 } }]);
    await backend.putRecords('funnel', oneSim(50));
    await backend.world.clock.advance(5_000);
    assert.equal(seen.length, 100);
    for (const device of ['bed-0', 'bed-1', 'bed-2', 'bed-3', 'bed-4']) {
      const own = seen.filter(({ key }) => key === device);
      const expected = Array.from({ length: 50 }, (_, index) => index).filter(index => `bed-${index % 5}` === device);
      assert.deepEqual(
        own.map(({ celsius }) => celsius),
        [...expected, ...expected],
      );
    }
    const { letters } = await backend.world.clock.until(backend.runtime.deadLetters.letters.page({}));
    assert.deepEqual(
      letters.map(({ consumer, error }) => [consumer, error.code]),
      [['note', 'stream.recordNotValid']],
    );
  });

  it('spreads what comes with one key evenly over its shards, if the model says so', async () => {
    const backend = await start({});
    await backend.putRecords('flood', oneSim(2_000));
    const reader = await backend.world.clock.until(readersOf(backend, 'flood'));
    for (const count of reader) assert.ok(count > 400 && count < 600, `${reader}`);
  });

  it('is read by several functions on their own, and a slow one delays no other', async () => {
    const seen = { fast: 0, slow: 0 };
    const fast = model.onRecordsBatch('plain', async events => {
      seen.fast += events.length;
    });
    const slow = model.onRecordsBatch(
      'plain',
      async (events, { clock }) => {
        await new Promise<void>(resolve => clock.setTimer(60_000, resolve));
        seen.slow += events.length;
      },
      { timeoutMs: 120_000 },
    );
    const backend = await start({ fast, slow });
    await backend.putRecords('plain', oneSim(10));
    await backend.world.clock.advance(100);
    await backend.putRecords('plain', oneSim(10));
    await backend.world.clock.advance(100);
    assert.deepEqual(seen, { fast: 20, slow: 0 });
    await backend.world.clock.advance(180_000);
    assert.deepEqual(seen, { fast: 20, slow: 20 });
  });

  it('loses and repeats nothing when its shards are split and merged and the app starts again', async () => {
    const world = new TestWorld();
    const seen: number[] = [];
    const note = model.onRecords('funnel', async ({ record: { celsius } }) => void seen.push(celsius));
    let backend = await start({ note }, world);
    await backend.putRecords('funnel', oneSim(20));
    const stream = backend.declaredStream('funnel');
    const [first, second] = await stream.shards();
    await world.clock.until(stream.splitShard(first.shardId, first.hashKeys.to / 2n));
    await backend.putRecords('funnel', oneSim(20));
    const open = (await stream.shards()).filter(({ endingSequenceNumber }) => endingSequenceNumber === undefined);
    const neighbour = open.find(({ hashKeys }) => hashKeys.to + 1n === second.hashKeys.from);
    assert(neighbour);
    await world.clock.until(stream.mergeShards(neighbour.shardId, second.shardId));
    await world.clock.advance(1_000);
    await backend.stop();
    backend = await start({ note }, world);
    await backend.putRecords('funnel', oneSim(20));
    await world.clock.advance(1_000);
    assert.deepEqual(seen.length, 60);
    for (const celsius of [0, 7, 19]) assert.equal(seen.filter(number => number === celsius).length, 3);
  });
});

describe('what devices send', () => {
  it('is keyed as the model says, and is still told by its thing', async () => {
    const things: string[] = [];
    const note = model.onTelemetry('climate', async ({ thingName }) => void things.push(thingName));
    const app = defineApp(model, { functions: { note }, routes: [] });
    const backend = await OneThreadBackend.start(app, new TestWorld(), { shards: 3 });
    const { clock } = backend.world;
    const credentials = await clock.until(backend.runtime.context.iot.createThing('lamp'));
    const lamp = await backend.connect(credentials);
    assert.equal((await backend.stream.shards()).length, 3);
    const topic = telemetryTopic('streams', 'climate', 'lamp', 'reading');
    for (let count = 0; count < 20; count++) await clock.until(lamp.publish(topic, '{"celsius":21}'));
    await clock.advance(1_000);
    assert.deepEqual(things, new Array(20).fill('lamp'));
  });
});

describe('a window of a context (covers S1-33)', () => {
  const tops: { from: number; top: string[]; count: number }[] = [];
  const countByThing = model.onTelemetryWindow('climate', {
    windowMs: 60_000,
    initial: (): Record<string, number> => ({}),
    add: (counts, { thingName }) => ({ ...counts, [thingName]: (counts[thingName] ?? 0) + 1 }),
    close: async (counts, { startAtMs }) => {
      const ranked = Object.entries(counts).sort(([, left], [, right]) => right - left);
      const count = ranked.reduce((sum, [, each]) => sum + each, 0);
      tops.push({ from: startAtMs, top: ranked.slice(0, 2).map(([thingName]) => thingName), count });
    },
  });

  it('is folded as it comes and closed once, also when the app was killed in the middle of it', async () => {
    const world = new TestWorld();
    let backend = await start({ countByThing }, world);
    const publish = async (thingName: string, count: number) => {
      const topic = telemetryTopic('streams', 'climate', thingName, 'reading');
      const payload = Buffer.from('{"celsius":20}');
      for (let sent = 0; sent < count; sent++) {
        await world.clock.until(backend.runtime.context.iot.publish({ topic, payload, qos: 1 }));
      }
    };
    await publish('a', 5);
    await publish('b', 7);
    await world.clock.advance(2_000);
    backend.powerCut();
    backend = await start({ countByThing }, world);
    await publish('a', 4);
    await world.clock.advance(61_500);
    await publish('c', 1);
    await world.clock.advance(70_000);
    const startAtMs = Math.floor(Date.UTC(2026, 0, 1) / 60_000) * 60_000;
    assert.deepEqual(tops, [
      { from: startAtMs, top: ['a', 'b'], count: 16 },
      { from: startAtMs + 60_000, top: ['c'], count: 1 },
    ]);
  });
});

describe('a window whose state grows too large for an item of the table', () => {
  it('is closed early, and goes on with an empty one', async () => {
    const closed: number[] = [];
    const hoard = model.onTelemetryWindow('climate', {
      windowMs: 60_000,
      initial: (): string[] => [],
      add: texts => [...texts, 'x'.repeat(100_000)],
      close: async texts => void closed.push(texts.length),
    });
    const backend = await start({ hoard });
    const topic = telemetryTopic('streams', 'climate', 'a', 'reading');
    for (let sent = 0; sent < 10; sent++) {
      const publishing = backend.runtime.context.iot.publish({ topic, payload: Buffer.from('{"celsius":20}'), qos: 1 });
      await backend.world.clock.until(publishing);
      await backend.world.clock.advance(100);
    }
    await backend.world.clock.advance(70_000);
    assert.ok(closed.length > 1, `${closed}`);
    assert.equal(
      closed.reduce((sum, count) => sum + count, 0),
      10,
    );
    assert.deepEqual(backend.failures, []);
  });
});

/** How many records each shard of a declared stream holds. */
async function readersOf(backend: OneThreadBackend, name: string): Promise<number[]> {
  const counts: number[] = [];
  for (const { shardId } of await backend.declaredStream(name).shards()) {
    const reader = backend.declaredReader(name);
    let count = 0;
    for (let after: bigint | null = null; ; ) {
      const records = await reader.read(shardId, after, 1e6);
      if (records.length === 0) break;
      count += records.length;
      after = records[records.length - 1].sequenceNumber;
    }
    counts.push(count);
    await reader.close();
  }
  return counts;
}

describe('a function that is to see its stream again (covers S1-36, S3-07)', () => {
  it('begins where it is told, while others go on, and the ledger still balances', async () => {
    const world = new TestWorld();
    const seen = { replayed: [] as bigint[], other: [] as bigint[] };
    const replayed = model.onTelemetry(
      'climate',
      async ({ sequenceNumber }) => void seen.replayed.push(sequenceNumber),
    );
    const other = model.onTelemetry('climate', async ({ sequenceNumber }) => void seen.other.push(sequenceNumber));
    const backend = await start({ replayed, other }, world);
    const { runtime } = backend;
    const topic = telemetryTopic('streams', 'climate', 'lamp', 'reading');
    const publish = () =>
      world.clock.until(runtime.context.iot.publish({ topic, payload: Buffer.from('{"celsius":20}'), qos: 1 }));
    for (let count = 0; count < 5; count++) await publish();
    await world.clock.advance(60_000);
    const middleMs = world.clock.nowMs();
    for (let count = 0; count < 5; count++) await publish();
    await world.clock.advance(60_000);
    const all = [...seen.replayed];
    assert.equal(all.length, 10);
    await world.clock.until(runtime.replay('replayed', { type: 'AT_TIMESTAMP', atMs: middleMs }));
    await world.clock.advance(5_000);
    assert.deepEqual(seen.replayed.splice(0), [...all, ...all.slice(5)]);
    await world.clock.until(runtime.replay('replayed', { type: 'TRIM_HORIZON' }));
    await world.clock.advance(5_000);
    assert.deepEqual(seen.replayed.splice(0), all);
    await world.clock.until(runtime.replay('replayed', { type: 'LATEST' }));
    await publish();
    await world.clock.advance(180_000);
    assert.equal(seen.replayed.length, 1);
    assert.equal(seen.other.length, 11);
    assert.deepEqual(
      backend.alarms.list().map(({ name }) => name),
      [],
    );
  });

  it('is told to once at a time, so that nobody reads twice from then on', async () => {
    let calls = 0;
    const note = model.onTelemetry('climate', async () => void calls++);
    const backend = await start({ note });
    const { clock } = backend.world;
    const topic = telemetryTopic('streams', 'climate', 'lamp', 'reading');
    const again = () => backend.runtime.replay('note', { type: 'LATEST' });
    const [first, second] = await clock.until(Promise.allSettled([again(), again()]));
    assert.deepEqual([first.status, second.status], ['fulfilled', 'rejected']);
    await clock.until(backend.runtime.context.iot.publish({ topic, payload: Buffer.from('{"celsius":2}'), qos: 1 }));
    await clock.advance(5_000);
    assert.equal(calls, 1);
  });

  it('must be one of the app that reads a stream', async () => {
    const backend = await start({});
    const { clock } = backend.world;
    const replay = (name: string) => clock.until(backend.runtime.replay(name, { type: 'TRIM_HORIZON' }));
    await assert.rejects(replay('nobody'), { code: 'consumer.notFound' });
    await assert.rejects(replay('$commands'), { code: 'consumer.notReplayable' });
  });
});

describe('a channel of the log (covers S1-09)', () => {
  it('feeds a function with its lines, while the log of the system stays apart', async () => {
    const lines: string[] = [];
    const work = model.onTelemetry('climate', async ({ thingName }, { log }) => {
      log.channel('business').info({ thingName }, 'It was measured.');
      log.info({}, 'Nobody listens to this.');
    });
    const listen = model.onLogLine('business', async ({ message, thingName, facts }) => {
      lines.push(`${thingName}: ${message} ${facts?.thingName}`);
    });
    const backend = await start({ work, listen });
    const topic = telemetryTopic('streams', 'climate', 'lamp', 'reading');
    const publish = () => backend.runtime.context.iot.publish({ topic, payload: Buffer.from('{"celsius":2}'), qos: 1 });
    await backend.world.clock.until(publish());
    await backend.world.clock.advance(5_000);
    await backend.world.clock.until(publish());
    await backend.world.clock.advance(5_000);
    assert.deepEqual(lines, ['lamp: It was measured. lamp', 'lamp: It was measured. lamp']);
  });

  it('stops a function that writes to the channel it listens to', async () => {
    let calls = 0;
    const work = model.onTelemetry('climate', async (_event, { log }) => log.channel('echo').info({}, 'Once.'));
    const echo = model.onLogLine('echo', async (_line, { log }) => {
      calls++;
      log.channel('echo').info({}, 'Again.');
    });
    const backend = await start({ work, echo });
    const topic = telemetryTopic('streams', 'climate', 'lamp', 'reading');
    await backend.world.clock.until(
      backend.runtime.context.iot.publish({ topic, payload: Buffer.from('{"celsius":2}'), qos: 1 }),
    );
    await backend.world.clock.advance(60_000);
    assert.equal(calls, 15);
    const alarms = backend.alarms.list().filter(({ name }) => name === 'functionLoop');
    assert.deepEqual(
      alarms.map(({ subject }) => subject),
      ['echo'],
    );
  });
});
