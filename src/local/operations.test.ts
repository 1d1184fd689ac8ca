import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { z } from 'zod';
import { defineApp, defineModel, telemetryTopic } from '../app/index.ts';
import { delay } from '../kernel/clock.ts';
import { OneThreadBackend, TestWorld } from './one-thread.ts';

const model = defineModel('ops', {
  telemetry: { orders: { order: z.object({ takesMs: z.number().default(0), fails: z.boolean().default(false) }) } },
  commands: {},
  entities: {},
});

const obey = model.onTelemetry(
  'orders',
  async ({ payload: { takesMs, fails } }, { clock, log, metrics }) => {
    log.info({ takesMs }, 'An order came.');
    metrics.count('orders');
    if (takesMs > 0) await delay(clock, takesMs);
    if (fails) throw new Error('as ordered');
  },
  { timeoutMs: 600_000, attemptsMax: 2 },
);

async function start(world = new TestWorld()) {
  const backend = await OneThreadBackend.start(defineApp(model, { functions: { obey }, routes: [] }), world);
  const { iot } = backend.runtime.context;
  const send = (thing: string, order: object = {}) => {
    const topic = telemetryTopic('ops', 'orders', thing, 'order');
    return iot.publish({ topic, payload: Buffer.from(JSON.stringify(order)), qos: 1 });
  };
  /** As a running backend does every ten seconds. */
  const pass = async (ms: number) => {
    for (let passed = 0; passed < ms; passed += 10_000) {
      await world.clock.advance(10_000);
      await backend.operations.evaluator.evaluate();
    }
  };
  const active = () =>
    backend.alarms.list().flatMap(({ name, subject, state }) => (state === 'cleared' ? [] : [`${name} ${subject}`]));
  return { world, backend, send, pass, active };
}

describe('a backend in a test', () => {
  it('has its logs and metrics at hand, also those of before a restart', async () => {
    const { world, backend, send } = await start();
    await world.clock.until(send('one'));
    await world.clock.advance(1_000);
    const [line] = await backend.logs.lines({ functionName: 'obey', level: 'info' });
    assert.deepEqual([line.thingName, line.message, line.facts], ['one', 'An order came.', { takesMs: 0 }]);
    const samples = await world.clock.until(backend.operations.collector.collect());
    const orders = samples.find(({ name }) => name === 'orders_total');
    assert.deepEqual([orders?.value, orders?.labels], [1, { function: 'obey' }]);
    await backend.stop();
    const again = await start(world);
    assert.equal((await again.backend.logs.lines({ thingName: 'one' })).length, 1);
  });

  it('alarms once of an error, with the request that its lines are found by (covers S0-38)', async () => {
    const { world, backend, send, active } = await start();
    await world.clock.until(send('one', { fails: true }));
    await world.clock.until(send('two', { fails: true }));
    await world.clock.advance(60_000);
    const errors = active().filter(text => text.startsWith('functionError'));
    assert.equal(errors.length, 1);
    const alarm = backend.alarms.list().find(({ name }) => name === 'functionError');
    assert.equal(alarm?.count, 4);
    const lines = await backend.logs.lines({ requestId: String(alarm?.facts?.requestId) });
    assert.deepEqual(
      lines.map(({ message, error }) => [message, error?.message]),
      [
        ['An order came.', undefined],
        ['An invocation failed.', 'as ordered'],
      ],
    );
  });

  it('alarms of a consumer that is behind, until it has caught up (covers S1-35)', async () => {
    const { world, send, pass, active } = await start();
    await world.clock.until(send('one', { takesMs: 200_000 }));
    await pass(60_000);
    assert.deepEqual(active(), []);
    await pass(50_000);
    assert.deepEqual(active(), ['consumerBehind obey']);
    await pass(200_000);
    assert.deepEqual(active(), []);
  });

  it('alarms of a device that sends more than all others (covers S1-19)', async () => {
    const { world, send, pass, active } = await start();
    const burst = Array.from({ length: 1_000 }, (_, count) => (count % 4 === 0 ? `spk-${count % 44}` : 'hot'));
    for (let step = 0; step < 6; step++) {
      await world.clock.until(Promise.all(burst.map(thing => send(thing))));
      await pass(10_000);
    }
    assert.deepEqual(active(), []);
    for (let step = 0; step < 10; step++) {
      await world.clock.until(Promise.all(burst.map(thing => send(thing))));
      await pass(10_000);
    }
    assert.deepEqual(active(), ['partitionSkew hot']);
  });
});
