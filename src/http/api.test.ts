import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import type { Hono } from 'hono';
import { SignJWT } from 'jose';
import { z } from 'zod';
import { defineApp, defineModel, Runtime } from '../app/index.ts';
import { silentLog } from '../kernel/log.ts';
import { seededRandom } from '../kernel/random.ts';
import { VirtualClock } from '../kernel/virtual-clock.ts';
import type { Table } from '../platform/table/index.ts';
import { makeApi } from './api.ts';
import { Feed } from './feed.ts';
import { httpLimits } from './limits.ts';
import { TokenIssuer } from './tokens.ts';

const model = defineModel('notes', { telemetry: {}, commands: {}, entities: {} });
const note = z.strictObject({ text: z.string().max(100) });
const app = defineApp(model, {
  functions: {},
  routes: [
    model.route(
      'POST /v1/notes',
      { summary: 'Say it back', body: note, status: 201, answer: note },
      async ({ body }) => body,
    ),
    model.route('GET /v1/notes/{id}', { summary: 'Fail', answer: note }, async ({ params }) => {
      throw new Error(`secret path /etc/${params.id}`);
    }),
    model.route('GET /v1/slow', { summary: 'Never' }, () => new Promise<void>(() => {})),
    model.route('DELETE /v1/notes/{id}', { summary: 'Nothing' }, async () => {}),
  ],
});

const clock = new VirtualClock();
const key = seededRandom(1).bytes(32);
const tokens = new TokenIssuer({ key, application: 'notes', clock });
let api: Hono;
let token: string;

before(async () => {
  // No entity, function or command of this app touches them.
  const unused = {} as never;
  const runtime = new Runtime({
    app,
    table: unused as Table,
    openReader: unused,
    iot: unused,
    clock,
    random: seededRandom(2),
    cursorKey: new Uint8Array(32),
    log: silentLog,
    announce: () => {},
    onFailure: error => assert.fail(String(error)),
    functions: { concurrencyMax: 3 },
  });
  api = makeApi({ runtime, tokens, feed: new Feed(), log: silentLog, health: async () => ({}) });
  token = await tokens.issue({ user: 'alice', readOnly: false });
});

async function call(method: string, path: string, options: { body?: string; type?: string; bearer?: string } = {}) {
  const headers: Record<string, string> = { Authorization: `Bearer ${options.bearer ?? token}` };
  if (options.body !== undefined) headers['Content-Type'] = options.type ?? 'application/json';
  const answer = await api.request(path, { method, headers, body: options.body });
  const text = await answer.text();
  return { status: answer.status, headers: answer.headers, body: text && JSON.parse(text) };
}

describe('the HTTP API', () => {
  it('answers a valid request with the declared status', async () => {
    const { status, body } = await call('POST', '/v1/notes', { body: '{"text":"hi"}' });
    assert.deepEqual([status, body], [201, { text: 'hi' }]);
    assert.equal((await call('DELETE', '/v1/notes/1')).status, 204);
  });

  const badBodies: [name: string, body: string, type: string | undefined, status: number, code: string][] = [
    ['a body that is not JSON', '{"text":', undefined, 400, 'api.inputNotValid'],
    ['a body that does not fit', '{"text":7}', undefined, 400, 'api.inputNotValid'],
    ['fields that are not declared (hostile A10)', '{"text":"a","role":"admin"}', undefined, 400, 'api.inputNotValid'],
    ['a prototype key (hostile H05)', '{"text":"a","__proto__":{"x":1}}', undefined, 400, 'api.inputNotValid'],
    [
      'JSON nested 100,000 deep (hostile H04)',
      '['.repeat(30_000) + ']'.repeat(30_000),
      undefined,
      400,
      'api.inputNotValid',
    ],
    ['half a surrogate pair', '{"text":"\\ud800"}', undefined, 400, 'api.inputNotValid'],
    ['another content type (hostile H06)', 'text=a', 'application/x-www-form-urlencoded', 415, 'api.notJson'],
    ['a content type with junk (hostile H06)', '{"text":"a"}', 'application/json; charset=utf-16', 415, 'api.notJson'],
    [
      'a body over the limit (hostile H02)',
      `{"text":"${'a'.repeat(httpLimits.bodyBytesMax)}"}`,
      undefined,
      413,
      'api.bodyTooLarge',
    ],
  ];
  for (const [name, body, type, status, code] of badBodies) {
    it(`refuses ${name}`, async () => {
      const answer = await call('POST', '/v1/notes', { body, type });
      assert.deepEqual([answer.status, answer.body.code], [status, code]);
      assert.equal(answer.headers.get('content-type'), 'application/problem+json');
      assert(answer.body.fix.length > 0);
    });
  }

  it('tells nothing of an unexpected error (hostile H14)', async () => {
    const { status, body } = await call('GET', '/v1/notes/passwd');
    assert.equal(status, 500);
    assert(!JSON.stringify(body).includes('secret'));
  });

  it('ends a handler that never answers', async () => {
    const { status, body } = await clock.until(call('GET', '/v1/slow'));
    assert.deepEqual([status, body.code], [503, 'function.timedOut']);
  });

  it('refuses what it has no room for, and says when to ask again', async () => {
    const slow = Array.from({ length: 3 }, () => call('GET', '/v1/slow'));
    await clock.settle();
    const { status, headers, body } = await call('DELETE', '/v1/notes/1');
    assert.deepEqual([status, body.code, headers.get('retry-after')], [429, 'function.throttled', '1']);
    await clock.until(Promise.all(slow));
    assert.equal((await call('DELETE', '/v1/notes/1')).status, 204);
  });

  it('answers what is not there with a problem', async () => {
    for (const path of ['/v1/nothing', '/v1/notes/../secret', '/demo-token', '//v1/notes', '/v1/notes%2F1']) {
      const { status, body } = await call('GET', path);
      assert.deepEqual([status, body.code], [404, 'api.noSuchRoute'], path);
    }
  });

  it('takes an id that nobody can have for one that is not there', async () => {
    for (const id of ['x'.repeat(9_000), '%ED%A0%80']) {
      const { status, body } = await call('DELETE', `/v1/notes/${id}`);
      assert(status === 404 || status === 204, `${status}`); // What is not UTF-8 is taken as the text it stands for.
      if (id.length > 256) assert.equal(body.code, 'api.noSuchRoute');
    }
  });

  it('describes every route in OpenAPI and in the reference', async () => {
    const openapi = (await (await api.request('/openapi.json')).json()) as { paths: object };
    assert.deepEqual(Object.keys(openapi.paths), ['/v1/notes', '/v1/notes/{id}', '/v1/slow']);
    const docs = await (await api.request('/docs')).text();
    assert(docs.replaceAll('<wbr>', '').includes('/v1/notes/{id}'));
  });

  it('sets the headers that browsers protect with (hostile U03)', async () => {
    const { headers } = await api.request('/docs');
    assert.match(headers.get('content-security-policy') ?? '', /default-src 'none'.*frame-ancestors 'none'/);
    assert.equal(headers.get('x-content-type-options'), 'nosniff');
  });
});

describe('bearer tokens (hostile K06)', () => {
  const claims = { sub: 'alice', iss: 'mimamori', aud: 'notes' };
  const nowSeconds = Math.floor(clock.nowMs() / 1_000);
  const sign = (payload: object, alg = 'HS256', signingKey = key) => {
    const whole = { iat: nowSeconds, exp: nowSeconds + 60, ...payload };
    return new SignJWT(whole).setProtectedHeader({ alg }).sign(signingKey);
  };
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');

  const bad: [name: string, make: () => Promise<string> | string][] = [
    ['none at all', () => ''],
    ['text that is no token', () => 'abc'],
    [
      'the algorithm none',
      () => `${encode({ alg: 'none' })}.${encode({ ...claims, iat: nowSeconds, exp: nowSeconds + 60 })}.`,
    ],
    ['another algorithm of the same key', () => sign(claims, 'HS512', seededRandom(1).bytes(64))],
    ['another key', () => sign(claims, 'HS256', seededRandom(9).bytes(32))],
    ['another audience', () => sign({ ...claims, aud: 'other' })],
    ['another issuer', () => sign({ ...claims, iss: 'other' })],
    ['no subject', () => sign({ iss: 'mimamori', aud: 'notes' })],
    ['an end in the past', () => sign({ ...claims, exp: nowSeconds - 60 })],
    ['10 KB', () => sign({ ...claims, pad: 'x'.repeat(10_000) })],
  ];
  for (const [name, make] of bad) {
    it(`refuses a token with ${name}`, async () => {
      const { status, body } = await call('GET', '/v1/notes/1', { bearer: await make() });
      assert.deepEqual([status, body.code], [401, 'api.unauthorized']);
    });
  }

  it('lets a read-only token look but not change', async () => {
    const bearer = await tokens.issue({ user: 'alice', readOnly: true });
    const { status, body } = await call('POST', '/v1/notes', { body: '{"text":"hi"}', bearer });
    assert.deepEqual([status, body.code], [403, 'api.readOnly']);
  });
});
