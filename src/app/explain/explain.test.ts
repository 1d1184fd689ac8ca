import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { z } from 'zod';
import { delay } from '../../kernel/clock.ts';
import { OneThreadBackend, TestWorld } from '../../local/one-thread.ts';
import { appTable, defineApp, defineEntity, defineModel, type Explanation, telemetryTopic } from '../index.ts';

const model = defineModel('homes', {
  telemetry: { lights: { state: z.object({ state: z.string() }) }, doors: { state: z.object({ state: z.string() }) } },
  commands: { blink: { request: z.object({ sessionId: z.string() }), response: z.object({ sessionId: z.string() }) } },
  entities: { Light: defineEntity(z.object({ name: z.string(), state: z.string() }), { id: 'name', patterns: {} }) },
});

/** An app, a lamp and a bell that send it messages, and somebody who asks what became of them. */
class ExplainWorld {
  readonly world = new TestWorld();
  backend!: OneThreadBackend; // `start` comes first
  isBroken = false;
  slowMs = 0;

  readonly #app = defineApp(model, {
    functions: {
      onLight: model.onTelemetry('lights', async ({ payload, thingName, sequenceNumber }, context) => {
        await delay(context.clock, this.slowMs);
        if (payload.state === 'broken' && this.isBroken) throw new Error('cannot bear it');
        await context.entities.Light.create({ name: `${thingName}-${sequenceNumber}`, state: payload.state });
        await context.commands.blink.send({ thingName, sessionId: `s-${sequenceNumber}`, request: {} });
        await context.iot.publish({ topic: `news/${thingName}`, payload: Buffer.from('!'), qos: 0 });
      }),
      onDoors: model.onTelemetryBatch('doors', async () => {}),
    },
    routes: [],
  });

  async start(): Promise<this> {
    this.backend = await OneThreadBackend.start(this.#app, this.world);
    return this;
  }

  until<T>(promise: Promise<T>): Promise<T> {
    return this.world.clock.until(promise);
  }

  /** @returns when it was sent */
  async send(thingName: string, context: 'lights' | 'doors', state: string, type = 'state'): Promise<number> {
    const { iot } = this.backend.runtime.context;
    const atMs = this.world.clock.nowMs();
    const payload = Buffer.from(state === 'garbage' ? '{' : JSON.stringify({ state }));
    await this.until(iot.publish({ topic: telemetryTopic('homes', context, thingName, type), payload, qos: 1 }));
    return atMs;
  }

  async things(...names: string[]): Promise<void> {
    for (const name of names) await this.until(this.backend.runtime.context.iot.createThing(name));
  }

  explain(thingName: string, which: Parameters<OneThreadBackend['runtime']['explainer']['explain']>[1]) {
    return this.until(this.backend.runtime.explainer.explain(thingName, which));
  }
}

function fatesOf({ consumers }: Explanation): Record<string, string> {
  return Object.fromEntries(consumers.map(({ consumer, fate }) => [consumer, fate]));
}

function of({ consumers }: Explanation, name: string) {
  const found = consumers.find(({ consumer }) => consumer === name);
  assert(found);
  return found;
}

describe('the story of a message', () => {
  it('says when it came, who handled it, on which attempt, and what that has written, sent and published', async () => {
    const world = await new ExplainWorld().start();
    await world.things('lamp');
    const atMs = await world.send('lamp', 'lights', 'on');
    await world.world.clock.advance(6_000);
    const story = await world.explain('lamp', { atMs });
    const { receivedAtMs, ...message } = story.message;
    assert.ok(receivedAtMs >= atMs && receivedAtMs < atMs + 100);
    assert.deepEqual(message, {
      id: 'shardId-000000000000:1',
      thingName: 'lamp',
      partitionKey: 'lamp',
      shardId: 'shardId-000000000000',
      sequenceNumber: '1',
      topic: 'dt/homes/lights/lamp/state',
      payloadBytes: 14,
      payload: '{"state":"on"}',
      receivedInMinute: 1,
    });
    assert.deepEqual(fatesOf(story), { $commands: 'filtered', onLight: 'handled', onDoors: 'filtered' });
    const [trace] = of(story, 'onLight').traces;
    assert.deepEqual([trace.outcome, trace.attempt, trace.first], ['succeeded', 1, '1']);
    assert.deepEqual(trace.effects, ['write Light-lamp-1 Light', 'command blink s-1', 'publish news/lamp']);
    await world.backend.stop();
  });

  it('is told after a restart, too, and without details when those are not kept any more', async () => {
    const world = await new ExplainWorld().start();
    await world.things('lamp');
    await world.send('lamp', 'lights', 'on');
    await world.world.clock.advance(2_000);
    await world.backend.stop();
    await world.start();
    await world.world.clock.advance(1_000);
    const which = { sequenceNumber: 1n };
    assert.equal(of(await world.explain('lamp', which), 'onLight').traces.length, 1);
    const { table } = world.backend;
    const { Items = [] } = await world.until(table.scan({ TableName: appTable.tableName }));
    for (const { PK, SK } of Items.filter(({ PK }) => PK.startsWith('$Trace-')))
      await world.until(table.delete({ TableName: appTable.tableName, Key: { PK, SK } }));
    const { fate, why, minute } = of(await world.explain('lamp', which), 'onLight');
    assert.equal(fate, 'handled');
    assert.match(why, /details .* not kept any more/);
    assert.deepEqual(minute, { handled: 1, filtered: 0, deadLettered: 0, expired: 0 });
    await world.backend.stop();
  });

  it('has every attempt of one that was dead-lettered, and of one that was redriven', async () => {
    const world = await new ExplainWorld().start();
    await world.things('lamp');
    world.isBroken = true;
    await world.send('lamp', 'lights', 'broken');
    await world.world.clock.advance(10_000);
    const which = { sequenceNumber: 1n, shardId: 'shardId-000000000000' };
    const dead = of(await world.explain('lamp', which), 'onLight');
    assert.equal(dead.fate, 'deadLettered');
    assert.match(dead.why, /It failed 3 times: cannot bear it/);
    assert.deepEqual(
      dead.traces.map(({ attempt, outcome, error }) => [attempt, outcome, error?.message]),
      [1, 2, 3].map(attempt => [attempt, 'failed', 'cannot bear it']),
    );
    assert.equal(dead.letter?.attempts, 3);
    world.isBroken = false;
    await world.until(world.backend.runtime.deadLetters.redriver.start({}));
    await world.world.clock.advance(2_000);
    const handled = of(await world.explain('lamp', which), 'onLight');
    assert.deepEqual([handled.fate, handled.letter, handled.traces.length], ['handled', undefined, 4]);
    await world.backend.stop();
  });

  it('says how far a consumer is behind that has not come to it', async () => {
    const world = await new ExplainWorld().start();
    await world.things('lamp');
    world.slowMs = 2_500;
    for (const state of ['one', 'two', 'three']) await world.send('lamp', 'lights', state);
    await world.world.clock.advance(1_000);
    const { fate, why, recordsBehind, behindMs } = of(await world.explain('lamp', { sequenceNumber: 3n }), 'onLight');
    assert.deepEqual([fate, recordsBehind], ['waiting', '3']);
    assert.match(why, /done up to number 0 of 3/);
    assert.ok((behindMs ?? 0) >= 1_000);
    await world.world.clock.advance(20_000);
    assert.equal(of(await world.explain('lamp', { sequenceNumber: 3n }), 'onLight').fate, 'handled');
    await world.backend.stop();
  });

  it('finds the message nearest to a time, and names the others', async () => {
    const world = await new ExplainWorld().start();
    await world.things('lamp', 'bell');
    const times: number[] = [];
    for (const thing of ['lamp', 'bell', 'lamp', 'lamp']) {
      times.push(await world.send(thing, 'lights', 'on'));
      await world.world.clock.advance(10_000);
    }
    const { message, neighbours } = await world.explain('lamp', { atMs: times[2] + 200 });
    assert.equal(message.sequenceNumber, '3');
    assert.deepEqual(
      neighbours.map(({ id }) => id.split(':')[1]),
      ['4', '1'],
    );
    await assert.rejects(world.explain('lamp', { atMs: times[0] - 600_000 }), { code: 'explain.notFound' });
    await assert.rejects(world.explain('door', { atMs: times[0] }), { code: 'explain.notFound' });
    await assert.rejects(world.explain('lamp', { sequenceNumber: 2n }), { code: 'explain.ofAnother' });
    for (const sequenceNumber of [0n, 99n, 10n ** 19n])
      await assert.rejects(world.explain('lamp', { sequenceNumber }), { code: 'explain.notFound' });
    await assert.rejects(world.explain('lamp', { sequenceNumber: 1n, shardId: 'shardId-000000000007' }), {
      code: 'explain.notFound',
    });
    await world.backend.stop();
  });

  it('tells of a batch by its ends, and that what it passed by was not in it', async () => {
    const world = await new ExplainWorld().start();
    await world.things('door');
    for (const context of ['doors', 'lights', 'doors'] as const) await world.send('door', context, 'open');
    await world.world.clock.advance(2_000);
    for (const [sequenceNumber, fate] of [
      [1n, 'handled'],
      [2n, 'filtered'],
      [3n, 'handled'],
    ] as const)
      assert.equal(of(await world.explain('door', { sequenceNumber }), 'onDoors').fate, fate);
    await world.backend.stop();
  });

  it('of one that cannot be read is that who wants it gave it up, the others passed it by, and that it is counted', async () => {
    const world = await new ExplainWorld().start();
    await world.things('lamp');
    await world.send('lamp', 'lights', 'garbage');
    await world.world.clock.advance(5_000);
    const story = await world.explain('lamp', { sequenceNumber: 1n });
    assert.deepEqual(fatesOf(story), { $commands: 'filtered', onLight: 'deadLettered', onDoors: 'filtered' });
    await world.world.clock.advance(70_000);
    assert.deepEqual(
      world.backend.alarms
        .list()
        .map(({ name }) => name)
        .filter(name => name.startsWith('ledger')),
      [],
    );
    await world.backend.stop();
  });
});
