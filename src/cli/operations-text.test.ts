import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { LogLine } from '../ops/index.ts';
import { alarmText } from './alarms.ts';
import { letterLine } from './dead-letters-text.ts';
import { explanationText } from './explain-text.ts';
import { logText } from './log-text.ts';
import { metricsText } from './metrics.ts';
import { durationMs, momentMs } from './options.ts';

const plain = { hasColors: false };
const line: LogLine = { time: '2026-01-01T12:00:00.007Z', level: 'info', channel: 'app', message: 'Said.' };

describe('a log line on a terminal', () => {
  it('is one line: when, how urgent, who, about what, and the facts', () => {
    const text = logText(
      { ...line, functionName: 'onPress', thingName: 'spk-1', facts: { button: 3, why: 'by hand', deep: { a: [1] } } },
      plain,
    );
    assert.match(
      text,
      /^2026-01-01 \d\d:00:00\.007 {2}INFO {3}onPress {2}spk-1 {2}Said\. {2}button=3 why="by hand" deep=\{"a":\[1\]\}$/,
    );
  });

  it('has its error below, indented, with the errors behind it', () => {
    const cause = { code: 'ENOSPC', message: 'no room', stack: 'at write (disk.ts:1:2)' };
    const error = { code: 'store.full', message: 'Full.', fix: 'Free space.', stack: 'at a (b.ts:3:4)\nat c', cause };
    const [, ...below] = logText({ ...line, level: 'error', channel: 'system', error }, plain).split('\n');
    assert.deepEqual(below, [
      '    Full. [store.full]',
      '    Free space.',
      '      at a (b.ts:3:4)',
      '      at c',
      '    caused by',
      '      no room [ENOSPC]',
      '        at write (disk.ts:1:2)',
    ]);
  });

  it('cannot steer the terminal, whatever is in it', () => {
    const evil = '\u001b[2J\u009b31m\u202e\r\n\u0007\u2028';
    const error = { code: evil, message: evil, stack: `at ${evil}` };
    const hostile = { ...line, time: evil, channel: evil, functionName: evil, thingName: evil, message: evil, error };
    const text = logText({ ...hostile, facts: { [evil]: evil } }, plain);
    assert(!/[\p{Cf}\p{Zl}\p{Zp}]|(?!\n)\p{Cc}/u.test(text), JSON.stringify(text));
    assert.equal(text.split('\n').length, 3 + evil.split('\n').length - 1);
    assert(logText(line, { hasColors: true }).includes('\u001b[36mINFO'));
  });
});

describe('metrics and alarms on a terminal', () => {
  it('are a table, with the middle and the slow end of a distribution', () => {
    const distribution = { count: 4, sum: 0.5, bounds: [0.1, 1], counts: [3, 1, 0] };
    const text = metricsText([
      { kind: 'counter', name: 'a_total', help: '', labels: { function: 'play' }, value: 1_234_567 },
      { kind: 'histogram', name: 'b_seconds', help: '', labels: {}, value: distribution },
    ]);
    assert.match(text, /a_total +function=play +1,234,567\n/);
    assert.match(text, /b_seconds +4 \(mean 0\.125, p50 ≤ 0\.1, p99 ≤ 1\)$/);
    assert.equal(metricsText([]), 'Nothing was measured.');
  });

  it('say since when, how often, and what to do', () => {
    const alarm = { name: 'a', subject: 's\u001b[0m', message: 'It happened.', fix: 'Mend it.', count: 3 } as const;
    const text = alarmText({ ...alarm, state: 'raised', raisedAtMs: 0, lastAtMs: 0 }, false);
    assert.match(
      text,
      /^RAISED {2}a {2}s·\[0m {2}\(since 1970-01-01 [\d:]+, 3 times\)\n {4}It happened\.\n {4}Mend it\.$/,
    );
  });
});

describe('a dead letter and a message on a terminal', () => {
  it('name the thing and its topic in full', () => {
    const letter = {
      id: 'l1',
      kind: 'message',
      consumer: 'onReading',
      eventId: 'shardId-000000000000:3',
      receivedAtMs: 0,
      storedAtMs: 0,
      thingName: 'spk-1',
      topic: 'dt/app/reading/spk-1/temperature',
      error: { code: 'internal', message: 'no' },
      attempts: 3,
      firstAttemptAtMs: 0,
      lastAttemptAtMs: 0,
      payloadBytes: 2,
      redrives: 0,
    } as const;
    assert.match(
      letterLine(letter),
      / {2}l1 {2}onReading {2}spk-1 {2}dt\/app\/reading\/spk-1\/temperature {2}\(3×\)\n/,
    );
    assert.match(
      letterLine({ ...letter, thingName: undefined, topic: undefined, kind: 'change' }),
      / {2}change {2}\(3×\)/,
    );
  });

  it('name all functions that led to it', () => {
    const cause = { depth: 2, originId: 'r1', path: ['POST /v1/rooms', 'onRoom'] };
    const place = { id: 'shardId-000000000000:3', shardId: 'shardId-000000000000', sequenceNumber: '3' };
    const about = { thingName: 'spk-1', partitionKey: 'spk-1', receivedAtMs: 0, payloadBytes: 2, payload: '{}', cause };
    const text = explanationText({ message: { ...place, ...about }, consumers: [], neighbours: [] });
    assert.match(text, /made by functions: r1 → POST \/v1\/rooms → onRoom\n/);
  });
});

describe('times on the command line', () => {
  it('are durations ago or ISO times', () => {
    assert.deepEqual([durationMs('30s'), durationMs('2h'), durationMs('1d')], [30_000, 7_200_000, 86_400_000]);
    assert.equal(momentMs('2026-01-31T12:00:00Z'), Date.UTC(2026, 0, 31, 12));
    assert(Math.abs(momentMs('10m') - (Date.now() - 600_000)) < 1_000);
    for (const wrong of ['', '10', 'soon', '10 m', '-1s']) {
      assert.throws(() => durationMs(wrong));
      assert.throws(() => momentMs(wrong === '10' ? 'x' : wrong));
    }
  });
});
