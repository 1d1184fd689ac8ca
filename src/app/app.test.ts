import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { z } from 'zod';
import { defineApp, defineModel, devicePolicy } from './index.ts';
import { meaningOfTopic } from './topics.ts';

const reading = z.object({ celsius: z.number() });
const parts = { telemetry: { climate: { reading } }, commands: {}, entities: {} };

describe('an app description', () => {
  it('refuses names that cannot be a level of a topic', () => {
    for (const name of ['', 'a/b', 'A', '+', '#', '$aws', 'a b', 'x'.repeat(65)]) {
      assert.throws(() => defineModel(name, parts), { code: 'app.notValid' }, name);
      assert.throws(() => defineModel('app', { ...parts, telemetry: { [name]: {} } }), { code: 'app.notValid' }, name);
    }
  });

  it('refuses two routes that are the same request (covers S0-24)', () => {
    const model = defineModel('app', parts);
    const one = model.route('GET /v1/things/{id}', { summary: 'One' }, async () => {});
    const other = model.route('GET /v1/things/{name}', { summary: 'Other' }, async () => {});
    assert.throws(() => defineApp(model, { functions: {}, routes: [one, other] }), { code: 'app.notValid' });
  });

  it('refuses a path that cannot be matched', () => {
    const model = defineModel('app', parts);
    for (const path of ['v1', '/v1/', '/v1/{a b}', '/v1/*', '/v1//x'] as const) {
      const route = model.route(`GET ${path}`, { summary: 'Bad' }, async () => {});
      assert.throws(() => defineApp(model, { functions: {}, routes: [route] }), { code: 'app.notValid' }, path);
    }
  });

  it('gives devices exactly their declared topics (covers S0-28, S0-29)', () => {
    const play = { request: z.object({ sessionId: z.string() }), response: z.object({ sessionId: z.string() }) };
    const policy = devicePolicy(defineModel('app', { ...parts, commands: { play } }));
    assert.deepEqual(policy.publish, ['dt/app/climate/{thing}/reading', 'cmd/app/play/{thing}/res']);
    assert.deepEqual(policy.ingest, policy.publish);
    assert.deepEqual(policy.subscribe, ['cmd/app/+/{thing}/#', 'dt/app/+/{thing}/#']);
  });

  it('reads the meaning of a topic back, and of no other', () => {
    const telemetry = { kind: 'telemetry', context: 'climate', thingName: 't1', type: 'reading' };
    assert.deepEqual(meaningOfTopic('app', 'dt/app/climate/t1/reading'), telemetry);
    assert.deepEqual(meaningOfTopic('app', 'cmd/app/play/t1/res'), {
      kind: 'response',
      command: 'play',
      thingName: 't1',
    });
    const connected = { kind: 'lifecycle', event: 'connected', thingName: 't1' };
    assert.deepEqual(meaningOfTopic('app', '$aws/events/presence/connected/t1.pub'), connected);
    for (const topic of ['dt/other/climate/t1/reading', 'dt/app/t1', 'cmd/app/play/t1/req', '$aws/events/x', '']) {
      assert.equal(meaningOfTopic('app', topic), undefined, topic);
    }
  });

  it('refuses functions that could not be run as they are declared', () => {
    const functions = { count: { input: z.number() } };
    const model = defineModel('app', { ...parts, functions });
    const define = (options: object) => () =>
      defineApp(model, { functions: { count: model.onInvoke('count', async () => {}, options) }, routes: [] });
    define({ timeoutMs: 900_000, reservedConcurrency: 0, onFailure: 'count', isolated: true, memoryMegabytes: 256 })();
    const wrong = [
      { timeoutMs: 0 },
      { timeoutMs: 900_001 },
      { timeoutMs: Number.POSITIVE_INFINITY },
      { attemptsMax: 0 },
      { reservedConcurrency: -1 },
      { reservedConcurrency: 1.5 },
      { budget: { invocationsPerMinuteMax: 0 } },
      { budget: { computeMsPerMinuteMax: Number.NaN } },
      { memoryMegabytes: 256 },
      { isolated: true, memoryMegabytes: 64 },
      { eventAgeMsMax: 0 },
      { onSuccess: 'nobody' },
    ];
    for (const options of wrong) assert.throws(define(options), { code: 'app.notValid' }, JSON.stringify(options));
    const count = model.onInvoke('count', async () => {});
    assert.throws(() => defineApp(model, { functions: {}, routes: [] }), { code: 'app.notValid' });
    assert.throws(() => defineApp(model, { functions: { count, again: count }, routes: [] }), { code: 'app.notValid' });
    const never = model.onSchedule({ cron: '0 0 31 2 *' }, async () => {});
    assert.throws(() => defineApp(model, { functions: { count, never }, routes: [] }), { code: 'app.notValid' });
  });
});
