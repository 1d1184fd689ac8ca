import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MimamoriError } from '../../kernel/errors.ts';
import { logLimits } from '../limits.ts';
import { encodeLine, type LogLine } from './line.ts';
import { Redactor } from './redactor.ts';

const secret = 'hunter2-is-not-a-word';

function lineOf(facts: object, message = 'Said.', keys: readonly string[] = []): { text: string; line: LogLine } {
  const entry = { atMs: 0, order: 0, level: 'info', channel: 'app', caller: undefined, facts, message } as const;
  const text = encodeLine(entry, new Redactor(keys));
  assert(Buffer.byteLength(text) <= logLimits.lineBytesMax, `${Buffer.byteLength(text)} bytes`);
  assert(!text.includes('\n'));
  return { text, line: JSON.parse(text) };
}

describe('a secret in a line', () => {
  it('is hidden under every name that says it is one, however it is written and nested', () => {
    const names = [
      'password',
      'userPassword',
      'DB_PASSWORD',
      'client-secret',
      'accessToken',
      'Authorization',
      'Set-Cookie',
    ];
    const more = ['credentials', 'privateKey', 'x-api-key', 'AWS_SECRET_ACCESS_KEY', 'passphrase', 'idJwt'];
    for (const name of [...names, ...more]) {
      const { text } = lineOf({ [name]: secret, deep: [{ in: new Map([[name, { of: secret }]]) }] });
      assert(!text.includes(secret), text);
      assert(text.includes('[redacted]'));
    }
    const { line } = lineOf({ hasToken: true, token: null, sessionId: 's-1', author: 'me', spend: 5 });
    assert.deepEqual(line.facts, { hasToken: true, token: null, sessionId: 's-1', author: 'me', spend: 5 });
  });

  it('is hidden under names that the app adds', () => {
    assert.deepEqual(lineOf({ pin: 1234, doorPIN: '1234' }, 'The pin=1234 was wrong.', ['pin']).line, {
      time: '1970-01-01T00:00:00.000Z',
      level: 'info',
      channel: 'app',
      message: 'The pin=[redacted] was wrong.',
      facts: { pin: '[redacted]', doorPIN: '[redacted]' },
    });
  });

  it('is hidden in texts: headers, tokens, keys, addresses, assignments', () => {
    const jwt = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJtZSJ9.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk';
    const texts = [
      `GET /x with Bearer ${secret}`,
      `basic dXNlcjpodW50ZXIyLWlzLW5vdC1hLXdvcmQ=`,
      `it was ${jwt} that expired`,
      `only the start ${jwt.slice(0, 40)}`,
      'key AKIAIOSFODNN7EXAMPLE',
      'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
      `postgres://root:${secret}@db:5432/app`,
      `https://x.example/?access_token=${secret}&a=1`,
      `{"password":"${secret}","a":1}`,
      `Cookie: a=b; session=${secret}`,
      `-----BEGIN RSA PRIVATE KEY-----\nMIIE${secret}\n-----END RSA PRIVATE KEY-----`,
      `-----BEGIN PRIVATE KEY-----\nMIIE${secret}`,
    ];
    const secrets = [secret, jwt.slice(0, 30), 'dXNlcjpod', 'AKIAIOSF', 'wJalrXUt', 'MIIE'];
    for (const text of texts) {
      for (const { text: written } of [lineOf({ text }), lineOf({}, text), lineOf({ error: new Error(text) })]) {
        for (const hidden of secrets) assert(!written.includes(hidden), written);
        assert(written.includes('[redacted]'), written);
      }
    }
  });

  it('is hidden in errors, behind errors, and where a long text is cut', () => {
    const cause = new AggregateError([new Error(`token=${secret}`)], `Bearer ${secret}`);
    const error = new MimamoriError({ code: 'a.b', message: `password: ${secret}`, fix: 'None.', cause });
    const { text, line } = lineOf({ error, again: [error], password: error });
    assert(!text.includes(secret), text);
    assert.equal(line.error?.code, 'a.b');
    assert.match(line.error?.stack ?? '', /^at .*redaction\.test\.ts/);
    const cut = lineOf({ text: `${'x '.repeat(logLimits.textCharactersMax / 2 - 4)}Bearer ${secret}` });
    assert(!cut.text.includes(secret.slice(0, 6)), cut.text.slice(-100));
  });

  it('leaves other texts as they are', () => {
    const texts = [
      'Unexpected token in JSON',
      'sha1 da39a3ee5e6b4b0d3255bfef95601890afd80709',
      'The key was pressed.',
      'a:b',
    ];
    for (const text of texts) assert.equal(lineOf({}, text).line.message, text);
  });
});

describe('a line', () => {
  it('is bounded, whatever the facts are', () => {
    const cyclic: Record<string, unknown> = { name: 'loop' };
    cyclic.self = cyclic;
    let deep: object = {};
    for (let level = 0; level < 10_000; level++) deep = { deep };
    const hostile = {
      get broken() {
        throw new Error('no');
      },
      toJSON: undefined,
      fine: 1,
    };
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    const wide = Object.fromEntries(Array.from({ length: 5_000 }, (_, index) => [`key-${index}`, index]));
    const values = [
      cyclic,
      deep,
      hostile,
      proxy,
      wide,
      'x'.repeat(5_000_000),
      '\u0000'.repeat(10_000),
      '漢'.repeat(50_000),
    ];
    for (const value of values) lineOf({ value });
    lineOf({ values, again: values, error: new Error('漢'.repeat(50_000)) }, '\u0001'.repeat(100_000));
    lineOf(proxy);
    assert.deepEqual(lineOf({ cyclic, hostile }).line.facts, {
      cyclic: { name: 'loop', self: '[circular]' },
      hostile: { broken: '[unreadable]', fine: 1 },
    });
  });

  it('says what JSON has no word for', () => {
    const error = Object.assign(new Error('no room'), { code: 'ENOSPC' });
    const facts = { big: 2n ** 70n, nan: Number.NaN, bytes: new Uint8Array(3), at: new Date(0), run: () => {}, error };
    const { line } = lineOf({ ...facts, none: undefined, set: new Set([1]), url: new URL('https://a.example') });
    assert.deepEqual(line.facts, {
      big: '1180591620717411303424',
      nan: 'NaN',
      bytes: '[3 bytes]',
      at: '1970-01-01T00:00:00.000Z',
      run: '[function]',
      set: [1],
      url: 'https://a.example/',
    });
    assert.deepEqual([line.error?.code, line.error?.message], ['ENOSPC', 'no room']);
    assert.equal(lineOf(error).line.error?.code, 'ENOSPC'); // An error instead of facts.
    assert.equal(lineOf(error).line.facts, undefined);
  });

  it('brings nothing to a terminal but text', () => {
    const { text } = lineOf({ 'k\u001b[31m': '\u009b2J\u202e\u2028\u007f' }, 'a\nb\r\u001b]0;title\u0007');
    assert(!/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(text), text);
    assert.equal(JSON.parse(text).message, 'a\nb\r\u001b]0;title\u0007'); // Nothing is lost of it either.
  });

  it('costs no more than its length, also to whoever means it badly', () => {
    const started = performance.now();
    const attacks = [
      'a-',
      'eyJ',
      '://a:',
      'secret ',
      'AKIA',
      'bearer ',
      '-----BEGIN PRIVATE KEY-----',
      'aA1/'.repeat(10),
    ];
    for (const attack of attacks) lineOf({ text: attack.repeat(100_000) }, `token ${attack.repeat(100_000)}`);
    assert(performance.now() - started < 2_000); // It takes some 30 ms; a regular expression gone wild takes minutes.
  });
});
