import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Hono } from 'hono';
import { z } from 'zod';
import { defineApp, defineModel, telemetryTopic } from '../../app/index.ts';
import { OneThreadBackend } from '../../local/one-thread.ts';
import { problemOf } from '../problems.ts';
import { deadLetterRoutes, ledgerRoutes } from './index.ts';

const model = defineModel('homes', {
  telemetry: { lights: { state: z.object({ on: z.boolean() }) } },
  commands: {},
  entities: {},
});

/** A backend whose lamp has sent a good message and so many bad ones, and how its operator asks it. */
async function startWith(bad: number) {
  let isBroken = true;
  const onLight = model.onTelemetry(
    'lights',
    async ({ payload }) => {
      if (isBroken && !payload.on) throw new Error('it is off');
    },
    { attemptsMax: 1 },
  );
  const backend = await OneThreadBackend.start(defineApp(model, { functions: { onLight }, routes: [] }));
  const { clock } = backend.world;
  const { iot } = backend.runtime.context;
  await clock.until(iot.createThing('lamp'));
  const topic = telemetryTopic('homes', 'lights', 'lamp', 'state');
  for (let number = 0; number <= bad; number++)
    await clock.until(iot.publish({ topic, payload: Buffer.from(JSON.stringify({ on: number === 0 })), qos: 1 }));
  await clock.advance(6_000);
  const api = new Hono();
  const routes = [...deadLetterRoutes(backend.runtime.deadLetters), ...ledgerRoutes(backend.runtime)];
  for (const { method, path, answer } of routes) api.on(method, path, answer); // Tokens are tested with the routes' list.
  api.onError(error => {
    const problem = problemOf(error);
    return new Response(JSON.stringify(problem), { status: problem.status });
  });
  const ask = async (method: string, path: string, body?: unknown) => {
    const sent = typeof body === 'string' ? body : JSON.stringify(body);
    const answer = await clock.until(Promise.resolve(api.request(path, { method, body: sent })));
    const text = await clock.until(answer.text());
    const lines = text.split('\n').filter(line => line !== '');
    // biome-ignore lint/suspicious/noExplicitAny: a test says what it expects by comparing.
    const json: any = lines.length === 1 ? JSON.parse(lines[0]) : lines.map(line => JSON.parse(line));
    return { status: answer.status, json };
  };
  return {
    backend,
    clock,
    ask,
    mend: () => {
      isBroken = false;
    },
  };
}

describe('the operator of an app', () => {
  it('looks after dead letters: lists, shows, edits, redrives, exports and deletes them', async () => {
    const { ask, clock, mend, backend } = await startWith(4);
    const { json: page } = await ask('GET', '/operator/dead-letters?thingName=lamp&limit=3');
    assert.equal(page.letters.length, 3);
    const { json: rest } = await ask('GET', `/operator/dead-letters?before=${page.next}`);
    assert.equal(rest.letters.length, 1);
    const [{ id }] = page.letters;
    const { json: letter } = await ask('GET', `/operator/dead-letters/${id}`);
    assert.deepEqual(
      [letter.payload, letter.original, letter.error.message],
      [{ text: '{"on":false}' }, undefined, 'it is off'],
    );
    const edited = await ask('PATCH', `/operator/dead-letters/${id}`, { text: '{"on":true}' });
    assert.deepEqual([edited.json.payload.text, edited.json.original.text], ['{"on":true}', '{"on":false}']);
    assert.deepEqual(
      (await ask('GET', '/operator/dead-letters/counts')).json.counts.map(
        ({ letters }: { letters: number }) => letters,
      ),
      [4],
    );
    const started = await ask('POST', '/operator/redrives', { ids: [id] });
    assert.equal(started.status, 202);
    await clock.advance(1_000);
    const { json: state } = await ask('GET', `/operator/redrives/${started.json.redriveId}`);
    assert.deepEqual([state.state, state.handled], ['done', 1]);
    assert.equal((await ask('GET', '/operator/dead-letters/export')).json.length, 3);
    const [last] = rest.letters;
    assert.deepEqual((await ask('DELETE', `/operator/dead-letters/${last.id}`)).json, { deleted: 1 });
    mend();
    const { json: second } = await ask('POST', '/operator/redrives', {
      filter: { consumer: 'onLight' },
      perSecond: 1_000,
    });
    await clock.advance(1_000);
    assert.equal((await ask('POST', `/operator/redrives/${second.redriveId}/stop`)).json.handled, 2);
    assert.deepEqual((await ask('POST', '/operator/dead-letters/delete', {})).json, { deleted: 0, isMore: false });
    assert.equal((await ask('GET', '/operator/redrives')).json.redrives.length, 2);
    await backend.stop();
  });

  it('sees the ledger in totals and in rows, counts it again, and is told the story of a message', async () => {
    const { ask, clock, backend } = await startWith(2);
    await clock.advance(70_000);
    const { json } = await ask('GET', '/operator/ledger?consumer=onLight');
    const [{ received, handled, deadLettered, inFlight, missing }] = json.totals;
    assert.deepEqual([received, handled, deadLettered, inFlight, missing], [3, 1, 2, 0, 0]);
    const { json: rows } = await ask('GET', '/operator/ledger/rows?thingName=lamp');
    assert.deepEqual(
      rows.map((row: { consumer: string; filtered: number }) => [row.consumer, row.filtered]),
      [
        ['$commands', 3],
        ['onLight', 0],
      ],
    );
    const { json: checked } = await ask('GET', '/operator/ledger/check');
    assert.deepEqual(checked.at(-1), { isBalanced: true, minutes: 1, records: 3, imbalances: [] });
    const { json: story } = await ask('GET', '/operator/explain?thing=lamp&id=2');
    assert.equal(
      story.consumers.find(({ consumer }: { consumer: string }) => consumer === 'onLight').fate,
      'deadLettered',
    );
    await backend.stop();
  });

  it('never sees less received than there was done with it, although the gateway tells seldom', async () => {
    const { ask, clock, backend } = await startWith(2);
    const publish = () =>
      backend.runtime.context.iot.publish({
        topic: telemetryTopic('homes', 'lights', 'lamp', 'state'),
        payload: Buffer.from('{"on":true}'),
        qos: 1,
      });
    await clock.until(publish());
    await clock.advance(200); // Handled by now, and not told: that takes 5 s.
    const { json } = await ask('GET', '/operator/ledger');
    assert.deepEqual(
      json.totals.map((row: Record<string, number>) => [row.received, row.handled, row.filtered, row.inFlight]),
      [
        [4, 0, 4, 0],
        [4, 2, 0, 0],
      ],
    );
    await clock.until(publish());
    await clock.advance(200);
    const { json: rows } = await ask('GET', '/operator/ledger/rows?consumer=onLight');
    assert.deepEqual([rows.received, rows.handled, rows.inFlight], [5, 3, 0]);
    await backend.stop();
  });

  it('is refused what makes no sense, in words and with a status that say so', async () => {
    const { ask, backend } = await startWith(1);
    const { json } = await ask('GET', '/operator/dead-letters');
    const path = `/operator/dead-letters/${json.letters[0].id}`;
    const refusals: [string, string, unknown, number, string][] = [
      ['GET', '/operator/dead-letters?limit=0', undefined, 400, 'api.inputNotValid'],
      ['GET', '/operator/dead-letters?sinceMs=yesterday', undefined, 400, 'api.inputNotValid'],
      ['GET', '/operator/dead-letters?colour=red', undefined, 400, 'api.inputNotValid'],
      ['GET', '/operator/dead-letters/none', undefined, 404, 'letter.notFound'],
      ['DELETE', `/operator/dead-letters/${'0'.repeat(30)}`, undefined, 404, 'letter.notFound'],
      ['PATCH', path, {}, 400, 'api.inputNotValid'],
      ['PATCH', path, { text: 'a', base64: 'YQ==' }, 400, 'api.inputNotValid'],
      ['PATCH', path, { base64: '?' }, 400, 'api.inputNotValid'],
      ['PATCH', path, 'no JSON', 400, 'api.inputNotValid'],
      ['POST', '/operator/dead-letters/delete', { all: true }, 400, 'api.inputNotValid'],
      ['POST', '/operator/redrives', { perSecond: 0 }, 400, 'api.inputNotValid'],
      ['POST', '/operator/redrives', { ids: 'all' }, 400, 'api.inputNotValid'],
      ['GET', '/operator/redrives/none', undefined, 404, 'redrive.notFound'],
      ['POST', '/operator/redrives/none/stop', undefined, 404, 'redrive.notFound'],
      ['GET', '/operator/ledger?sinceMs=-1', undefined, 400, 'api.inputNotValid'],
      ['GET', '/operator/ledger/rows?untilMs=1e99', undefined, 400, 'api.inputNotValid'],
      ['GET', '/operator/explain?thing=lamp', undefined, 400, 'api.inputNotValid'],
      ['GET', '/operator/explain?thing=lamp&id=1&atMs=1', undefined, 400, 'api.inputNotValid'],
      ['GET', '/operator/explain?thing=lamp&id=../1', undefined, 400, 'api.inputNotValid'],
      ['GET', '/operator/explain?thing=lamp&id=77', undefined, 404, 'explain.notFound'],
      ['GET', '/operator/explain?thing=bell&id=1', undefined, 404, 'explain.ofAnother'],
    ];
    for (const [method, url, body, status, code] of refusals) {
      const answer = await ask(method, url, body);
      assert.deepEqual([answer.status, answer.json.code], [status, code], `${method} ${url}`);
    }
    await backend.stop();
  });
});
