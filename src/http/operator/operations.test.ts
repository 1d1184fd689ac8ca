import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Hono } from 'hono';
import { MemoryAppendFiles } from '../../kernel/memory-append-files.ts';
import { seededRandom } from '../../kernel/random.ts';
import { VirtualClock } from '../../kernel/virtual-clock.ts';
import { AlarmBook, counter, LogReader, LogStore, logLimits, MetricCollector } from '../../ops/index.ts';
import { problemOf } from '../problems.ts';
import { addOpenMetrics, addOperatorRoutes, alarmRoutes, logRoutes, metricRoutes, OperatorTokens } from './index.ts';

async function open() {
  const clock = new VirtualClock();
  const files = new MemoryAppendFiles();
  const logs = new LogStore({ files, directory: '/logs', writer: 'app', clock });
  const reader = new LogReader({ files, directory: '/logs', clock, onWritten: listener => logs.onWritten(listener) });
  const book = new AlarmBook({ files, directory: '/', clock });
  const collector = new MetricCollector(clock);
  collector.register('test', { collect: () => [counter('a_total', 'A.', 3)] });
  const tokens = new OperatorTokens(seededRandom(1).bytes(32), clock);
  const routes = [
    ...logRoutes({ reader, levels: logs.levels, nowMs: () => clock.nowMs() }),
    ...metricRoutes(collector),
    ...alarmRoutes({ list: () => book.list(), control: book }),
  ];
  const api = new Hono();
  api.onError(error => {
    const problem = problemOf(error);
    return new Response(JSON.stringify(problem), { status: problem.status });
  });
  addOperatorRoutes(api, { tokens, routes });
  addOpenMetrics(api, collector);
  const headers = { Authorization: `Bearer ${await tokens.issue()}` };
  const ask = async (method: string, path: string, body?: unknown) =>
    api.request(`/operator/${path}`, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  const codeOf = async (answer: Response) => {
    const { code } = (await answer.json()) as { code?: string };
    return [answer.status, code];
  };
  const linesOf = async (answer: Response) =>
    (await answer.text())
      .trimEnd()
      .split('\n')
      .map(text => JSON.parse(text));
  return { clock, logs, book, api, ask, codeOf, linesOf };
}

describe('the logs, over HTTP', () => {
  it('are lines of JSON behind a first one that says that there is an answer', async () => {
    const { logs, ask, linesOf } = await open();
    for (let index = 0; index < 2_000; index++) logs.app.info({ index }, `line ${index % 10}`);
    const answer = await ask('GET', 'logs?limit=2');
    assert.equal(answer.headers.get('Content-Type'), 'application/x-ndjson');
    const [{ head }, ...lines] = await linesOf(answer);
    assert.equal(typeof head.nowMs, 'number');
    assert.deepEqual(
      lines.map(({ facts }) => facts.index),
      [1_998, 1_999],
    );
    assert.equal((await linesOf(await ask('GET', 'logs?limit=all'))).length, 2_001);
    assert.equal((await linesOf(await ask('GET', 'logs'))).length, 1 + logLimits.linesDefault);
    assert.equal((await linesOf(await ask('GET', 'logs?grep=nothing'))).length, 1);
  });

  it('are followed by so many and no more, and who is gone makes room', async () => {
    const { clock, logs, ask, codeOf } = await open();
    const answers = await Promise.all(
      Array.from({ length: logLimits.followersMax }, () => ask('GET', 'logs?follow=1')),
    );
    assert.deepEqual(await codeOf(await ask('GET', 'logs?follow=1')), [503, 'logs.tooManyFollowers']);
    const [reader, ...others] = answers.map(answer => answer.body?.getReader());
    const next = async () =>
      Buffer.from((await clock.until(reader?.read() ?? Promise.reject()))?.value ?? []).toString();
    assert.match(await next(), /^\{"head"/);
    logs.app.info('new');
    assert.match(await next(), /"message":"new"\}\n$/);
    for (const other of [reader, ...others]) await clock.until(other?.cancel() ?? Promise.reject());
    const again = await ask('GET', 'logs?follow=1');
    assert.equal(again.status, 200);
    await clock.until(again.body?.cancel() ?? Promise.reject());
  });

  it('are asked for, and their levels set, in words that mean something', async () => {
    const { logs, clock, ask, codeOf } = await open();
    const wrong = [
      'level=loud',
      'sinceMs=soon',
      'limit=-1',
      'limit=some',
      `limit=${logLimits.linesMax + 1}`,
      `thing=${'x'.repeat(5_000)}`,
    ];
    for (const question of wrong) {
      assert.deepEqual(await codeOf(await ask('GET', `logs?${question}`)), [400, 'logs.questionNotValid'], question);
    }
    const set = (body: unknown) => ask('POST', 'logs/levels', body);
    for (const body of [
      undefined,
      [],
      { level: 'loud', forMs: 1 },
      { level: 'debug', forMs: 0 },
      { level: 'debug', forMs: 1, x: 1 },
    ]) {
      assert.deepEqual(await codeOf(await set(body)), [400, 'api.inputNotValid']);
    }
    assert.deepEqual(await codeOf(await set({ level: 'debug', forMs: 1e12 })), [400, 'logs.questionNotValid']);
    assert.equal((await set({ level: 'debug', thingName: 't1', forMs: 60_000 })).status, 200);
    assert.deepEqual(logs.levels.all(), [{ level: 'debug', thingName: 't1', untilMs: clock.nowMs() + 60_000 }]);
    await ask('DELETE', 'logs/levels');
    assert.deepEqual(logs.levels.all(), []);
  });
});

describe('metrics and alarms, over HTTP', () => {
  it('are text for Prometheus, samples for a command, and nothing to whom nobody knows', async () => {
    const { ask, api } = await open();
    const text = await ask('GET', 'metrics');
    assert.equal(text.headers.get('Content-Type'), 'text/plain; version=0.0.4; charset=utf-8');
    assert.match(await text.text(), /^a_total 3$/m);
    const { samples } = (await (await ask('GET', 'metrics?format=json')).json()) as { samples: object[] };
    assert.equal(samples.length, 2);
    const without = await api.request('/metrics', { headers: { Host: 'localhost' } }); // over no socket
    assert.equal(without.status, 404);
  });

  it('are acknowledged and cleared by name and subject', async () => {
    const { book, ask, codeOf } = await open();
    book.raise({ name: 'a', subject: 's', message: 'It happened.', fix: 'Mend it.' });
    const alarm = { name: 'a', subject: 's' };
    assert.equal((await ask('POST', 'alarms/ack', alarm)).status, 200);
    const { alarms } = (await (await ask('GET', 'alarms')).json()) as { alarms: { state: string }[] };
    assert.deepEqual(
      alarms.map(({ state }) => state),
      ['acknowledged'],
    );
    assert.equal((await ask('POST', 'alarms/clear', alarm)).status, 200);
    assert.deepEqual(await codeOf(await ask('POST', 'alarms/clear', alarm)), [404, 'alarms.notFound']);
    assert.deepEqual(await codeOf(await ask('POST', 'alarms/ack', { name: 'a' })), [400, 'api.inputNotValid']);
  });
});
