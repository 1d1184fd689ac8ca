import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { z } from 'zod';
import { type ContextOf, defineApp, defineEntity, defineModel, telemetryTopic } from '../app/index.ts';
import type { Alarm } from '../kernel/alarms.ts';
import { causeLimits } from '../kernel/causes.ts';
import { OneThreadBackend, TestWorld } from './one-thread.ts';

const model = defineModel('loops', {
  telemetry: { ping: { tick: z.object({ count: z.number() }) }, pong: { tick: z.object({ count: z.number() }) } },
  commands: { blink: { request: z.object({ sessionId: z.string() }), response: z.object({ sessionId: z.string() }) } },
  entities: {
    Note: defineEntity(z.object({ noteId: z.string(), count: z.number() }), { id: 'noteId', patterns: {} }),
  },
});
type Context = ContextOf<typeof model>;

const tickOn = (context: string) => telemetryTopic('loops', context, 'lamp', 'tick');

function publishTick({ iot }: Context, context: string, count: number) {
  return iot.publish({ topic: tickOn(context), payload: Buffer.from(JSON.stringify({ count })), qos: 1 });
}

/** A backend with these functions and a connected lamp, and what it comes to when the lamp has sent one message. */
async function afterOneMessage(functions: Parameters<typeof defineApp>[1]['functions'], { answers = false } = {}) {
  const alarms: Alarm[] = [];
  const world = new TestWorld();
  const backend = await OneThreadBackend.start(defineApp(model, { functions, routes: [] }), world, {
    alarms: {
      raise: alarm => {
        if (alarm.name !== 'deadLetters') alarms.push(alarm);
      },
      clear: () => {},
    },
  });
  const credentials = await world.clock.until(backend.runtime.context.iot.createThing('lamp'));
  const lamp = await backend.connect({
    ...credentials,
    onMessage: (topic, payload) => {
      if (answers) void lamp.publish(topic.replace(/req$/, 'res'), payload);
    },
  });
  await world.clock.until(lamp.subscribe('cmd/loops/blink/lamp/req'));
  await world.clock.until(lamp.publish(tickOn('ping'), JSON.stringify({ count: 0 })));
  await world.clock.advance(10_000);
  const deadOf = async (consumer: string) => {
    const { letters } = await world.clock.until(backend.runtime.deadLetters.letters.page({ consumer }));
    return letters.map(({ error }) => error.code);
  };
  return { backend, world, alarms, deadOf };
}

describe('a chain of functions that does not end (covers S0-39, S0-40)', () => {
  it('is stopped when a function publishes to its own trigger, with an alarm that names it', async () => {
    const counts: number[] = [];
    const again = model.onTelemetry('ping', async ({ payload: { count } }, context) => {
      counts.push(count);
      await publishTick(context, 'ping', count + 1);
    });
    const { alarms, deadOf } = await afterOneMessage({ again });
    assert.deepEqual(
      counts,
      Array.from({ length: causeLimits.depthMax }, (_, index) => index),
    );
    assert.deepEqual(
      alarms.map(({ name, subject }) => [name, subject]),
      [['functionLoop', 'again']],
    );
    assert.match(alarms[0].message, /again → again → again/);
    assert.deepEqual(await deadOf('again'), ['function.loop']);
  });

  it('is stopped when two functions feed each other, and says on which way', async () => {
    const ping = model.onTelemetry('ping', async ({ payload: { count } }, context) => {
      await publishTick(context, 'pong', count + 1);
    });
    const pong = model.onTelemetryBatch('pong', async (events, context) => {
      for (const { payload } of events) await publishTick(context, 'ping', payload.count + 1);
    });
    const { alarms } = await afterOneMessage({ ping, pong });
    assert.equal(alarms.length, 1);
    assert.match(alarms[0].message, /ping → pong → ping → pong/);
  });

  it('is stopped when a function changes the entity it listens to', async () => {
    let calls = 0;
    const write = model.onTelemetry('ping', async (_event, { entities }) => {
      await entities.Note.create({ noteId: 'note-1', count: 0 });
    });
    const raise = model.onEntityChange('Note', async ({ newImage }, { entities }) => {
      calls++;
      if (newImage) await entities.Note.update('note-1', { count: newImage.count + 1 });
    });
    const { alarms, deadOf } = await afterOneMessage({ write, raise });
    assert.equal(calls, causeLimits.depthMax - 1); // `write` was the first of the chain.
    assert.deepEqual(
      alarms.map(({ subject }) => subject),
      ['raise'],
    );
    assert.equal((await deadOf('raise')).length, 1);
  });

  it('is stopped when the result of a command sends the next one, each answered by the device', async () => {
    let sent = 0;
    const send = (context: Context) =>
      context.commands.blink.send({ thingName: 'lamp', sessionId: `session-${++sent}`, request: {} });
    const first = model.onTelemetry('ping', (_event, context) => send(context));
    const next = model.onCommandResult('blink', (_result, context) => send(context));
    const { alarms, deadOf } = await afterOneMessage({ first, next }, { answers: true });
    assert.equal(sent, causeLimits.depthMax);
    assert.deepEqual(
      alarms.map(({ subject }) => subject),
      ['next'],
    );
    assert.deepEqual(await deadOf('$commands'), ['function.loop']);
  });

  it('is stopped long before the sixteenth in line when each makes two', async () => {
    let calls = 0;
    const twice = model.onTelemetryBatch('ping', async (events, context) => {
      for (const { payload } of events) {
        calls++;
        await publishTick(context, 'ping', payload.count + 1);
        await publishTick(context, 'ping', payload.count + 1);
      }
    });
    const { alarms } = await afterOneMessage({ twice });
    assert.ok(calls > 500 && calls < 5_000, `${calls}`);
    assert.deepEqual([...new Set(alarms.map(({ subject }) => subject))], ['twice']);
    assert.match(alarms[0].message, /more than a thousand times/);
  });

  it('holds up nothing else, and a chain that ends by itself is none', async () => {
    const seen: number[] = [];
    const count = model.onTelemetry('ping', async ({ payload }, context) => {
      seen.push(payload.count);
      if (payload.count < causeLimits.depthMax - 1) await publishTick(context, 'ping', payload.count + 1);
    });
    const { alarms, backend, world } = await afterOneMessage({ count });
    assert.equal(seen.length, causeLimits.depthMax);
    assert.deepEqual(alarms, []);
    await world.clock.until(publishTick(backend.runtime.context as unknown as Context, 'ping', 100)); // From outside of any function.
    await world.clock.advance(1_000);
    assert.equal(seen.at(-1), 100);
  });
});

describe('a function', () => {
  it('cannot be given where something else is expected (covers S0-40)', () => {
    const listen = model.onTelemetry('ping', async () => {});
    // @ts-expect-error: what handles telemetry is no route.
    const route: Parameters<typeof defineApp>[1]['routes'][number] = listen;
    // @ts-expect-error: an entity that the model lacks.
    const stray = () => model.onEntityChange('Nothing', async () => {});
    // @ts-expect-error: a handler of notes is no handler of ticks.
    const wrong = () => model.onTelemetry('ping', async (event: { noteId: string }) => void event.noteId);
    assert.equal(typeof route, 'object');
    assert.deepEqual([typeof stray, typeof wrong], ['function', 'function']);
  });
});
