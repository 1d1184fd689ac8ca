import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Alarm } from '../../kernel/alarms.ts';
import { fromOutside } from '../../kernel/causes.ts';
import { MimamoriError } from '../../kernel/errors.ts';
import { silentLog } from '../../kernel/log.ts';
import { MemoryAppendFiles } from '../../kernel/memory-append-files.ts';
import { VirtualClock } from '../../kernel/virtual-clock.ts';
import { alarmLimits, logLimits } from '../limits.ts';
import { type LogLine, LogReader, LogStore } from '../logs/index.ts';
import { counter, FunctionMetrics, gauge, MetricCollector, type Sample } from '../metrics/index.ts';
import {
  AlarmBook,
  type AlarmChange,
  AlarmEvaluator,
  type AlarmMessage,
  AlarmRelay,
  type AlarmState,
  defaultRules,
  FailedInvocations,
  Notifier,
  quietMs,
  readAlarms,
  sentenceOf,
  webhook,
} from './index.ts';

const alarm = (name: string, subject = 's'): Alarm => ({ name, subject, message: 'It happened.', fix: 'Mend it.' });

function openBook(files = new MemoryAppendFiles(), clock = new VirtualClock()) {
  const options = { files, directory: '/data', clock, quietMs };
  const book = new AlarmBook(options);
  const changes: AlarmChange[] = [];
  book.onChange(change => void changes.push(change));
  const told = () => changes.splice(0).map(({ event, alarm: { name, subject } }) => `${event} ${name} ${subject}`);
  return { book, clock, files, options, told };
}

describe('an alarm', () => {
  it('is told when it is raised and when it is over, and counted between', async () => {
    const { book, clock, told } = openBook();
    book.raise(alarm('breakerOpen', 'play'));
    await clock.advance(5_000);
    book.raise({ ...alarm('breakerOpen', 'play'), message: 'Again.' });
    book.raise(alarm('breakerOpen', 'other'));
    assert.deepEqual(told(), ['raised breakerOpen play', 'raised breakerOpen other']);
    const [, first] = book.list();
    assert.deepEqual(
      [first.count, first.message, first.lastAtMs - first.raisedAtMs, first.state],
      [2, 'Again.', 5_000, 'raised'],
    );
    book.clear('breakerOpen', 'play');
    book.clear('breakerOpen', 'play');
    book.clear('never', 'raised');
    assert.deepEqual(told(), ['cleared breakerOpen play']);
    assert.deepEqual(
      book.list().map(({ subject, state }) => [subject, state]),
      [
        ['other', 'raised'],
        ['play', 'cleared'],
      ],
    );
  });

  it('is known after a restart, acknowledged or not, and to whoever reads the folder', async () => {
    const { book, clock, files, options, told } = openBook();
    book.raise(alarm('a'));
    book.raise(alarm('b'));
    book.acknowledge('b', 's');
    book.acknowledge('b', 's');
    assert.deepEqual(told(), ['raised a s', 'raised b s', 'acknowledged b s']);
    assert.throws(() => book.acknowledge('c', 's'), { code: 'alarms.notFound' });
    await clock.advance(alarmLimits.saveMs);
    const again = openBook(files, clock);
    assert.deepEqual(
      again.book.list().map(({ name, state }) => [name, state]),
      [
        ['a', 'raised'],
        ['b', 'acknowledged'],
      ],
    );
    assert.deepEqual(readAlarms(options), again.book.list());
    again.book.raise(alarm('b'));
    assert.deepEqual(again.told(), []); // It lasts; nobody needs to be told again.
    for (const damage of ['', '{', '[]', '{"active":[5,null,{}],"cleared":7}']) {
      files.replace('/data/alarms.json', Buffer.from(damage));
      assert.deepEqual(openBook(files).book.list(), []);
    }
  });

  it('is bounded in number and size, hides secrets, and needs no disk', async () => {
    const { book, files, clock } = openBook();
    files.roomBytes = 0;
    for (let index = 0; index < alarmLimits.alarmsMax + 10; index++) book.raise(alarm('many', `s${index}`));
    assert.deepEqual([book.list().length, book.dropped], [alarmLimits.alarmsMax, 10]);
    for (let index = 0; index < alarmLimits.alarmsMax; index++) book.clear('many', `s${index}`);
    assert.equal(book.list().length, alarmLimits.clearedMax);
    const long = 'x'.repeat(100_000);
    const facts = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`f${index}`, long]));
    book.raise({ name: 'a', subject: long, message: `Bearer hunter2hunter2 ${long}`, fix: long, facts });
    book.clear('a', long);
    const text = JSON.stringify(book.list()[0]);
    assert(text.length < 12_000 && !text.includes('hunter2'), text.slice(0, 500));
    await clock.advance(60_000);
    assert.equal(readAlarms({ files, directory: '/data' }).length, 0);
    files.roomBytes = Number.POSITIVE_INFINITY;
    await clock.advance(alarmLimits.saveMs);
    assert.equal(readAlarms({ files, directory: '/data' }).length, alarmLimits.clearedMax);
  });
});

describe('an error of a function', () => {
  function open() {
    const { book, clock, told } = openBook();
    const files = new MemoryAppendFiles();
    const log = new LogStore({ files, directory: '/logs', writer: 'app', clock });
    const reader = new LogReader({ files, directory: '/logs', clock });
    const invocations = new FailedInvocations({ alarms: book, log });
    const report = {
      functionName: 'play',
      trigger: 'telemetry',
      outcome: 'failed',
      attempt: 1,
      durationMs: 3,
    } as const;
    let id = 0;
    const fail = (error: unknown, more: Partial<Parameters<FailedInvocations['note']>[0]> = {}) =>
      invocations.note({ ...report, requestId: `r${++id}`, cause: fromOutside('o'), error, ...more });
    const linesOf = async (requestId: string): Promise<LogLine[]> =>
      (await reader.newest({ requestId })).map(({ line }) => line);
    return { book, clock, told, fail, linesOf };
  }

  it('is one alarm however often it happens, with the request whose lines tell of it (covers S0-38)', async () => {
    const { book, told, fail, linesOf } = open();
    const broken = (value: number) => new TypeError(`no ${value}`);
    for (let index = 0; index < 100; index++) fail(broken(index), { thingName: 'spk-1' });
    assert.equal(told().length, 1);
    const [{ name, subject, count, facts, message, fix }] = book.list();
    assert.deepEqual([name, count, message], ['functionError', 100, 'play failed: no 99.']);
    // Our own tests lie inside of the package, where no line is the app's.
    assert.match(subject, /^play: internal/);
    // Of a hundred at once only so many are logged; the alarm names one that is.
    const last = `r${logLimits.systemLinesPerSecondMax}`;
    assert.deepEqual([facts?.requestId, facts?.thingName], [last, 'spk-1']);
    assert.match(fix, new RegExp(`mimamori logs --request ${last}\\b`));
    assert.equal((await linesOf(last)).length, 1);
    fail(broken(1), { functionName: 'other', requestId: 'of another' });
    assert.equal((await linesOf('of another')).length, 1);
    const [line] = await linesOf('r7');
    assert.deepEqual([line.level, line.error?.message, line.functionName], ['error', 'no 6', 'play']);
    assert.match(line.error?.stack ?? '', /alarms\.test\.ts/);
  });

  it('is another alarm in another function, with another code, and at another line of the app', () => {
    const { told, fail } = open();
    const at = (line: number) =>
      Object.assign(new Error('x'), { stack: `Error: x\n    at run (${process.cwd()}/apps/a.ts:${line}:7)` });
    fail(at(3));
    fail(at(3));
    fail(at(4));
    fail(at(3), { functionName: 'other' });
    fail(new MimamoriError({ code: 'table.invalid', message: 'No.', fix: 'Yes.' }));
    fail('thrown text');
    fail(undefined, {
      outcome: 'timedOut',
      error: new MimamoriError({ code: 'function.timedOut', message: 'Late.', fix: '' }),
    });
    assert.deepEqual(told(), [
      'raised functionError play: internal at apps/a.ts:3',
      'raised functionError play: internal at apps/a.ts:4',
      'raised functionError other: internal at apps/a.ts:3',
      'raised functionError play: table.invalid',
      'raised functionError play: internal',
      'raised functionError play: function.timedOut',
    ]);
  });

  it('is none when a route refuses, and over when it has not happened for an hour', async () => {
    const { book, told, fail, clock } = open();
    fail(new MimamoriError({ code: 'api.notFound', message: 'None.', fix: '' }), { trigger: 'route' });
    fail(undefined, { outcome: 'succeeded' });
    assert.deepEqual(told(), []);
    fail(new Error('once'));
    await clock.advance(50 * 60_000);
    fail(new Error('twice'));
    await clock.advance(50 * 60_000);
    book.clearQuiet();
    assert.equal(told().length, 1);
    await clock.advance(11 * 60_000);
    book.clearQuiet();
    assert.match(told()[0], /^cleared functionError/);
  });

  it('with codes from outside does not make alarms without end', () => {
    const { told, fail } = open();
    for (let index = 0; index < 1_000; index++) fail(Object.assign(new Error('x'), { code: `c${index}` }));
    assert.equal(told().length, alarmLimits.errorGroupsMax + 1);
  });
});

describe('an alarm of another thread', () => {
  it('is handed over at once, and then with how often it came', async () => {
    const { book, clock } = openBook();
    const sent: AlarmMessage[] = [];
    const relay = new AlarmRelay({ clock, send: message => void sent.push(structuredClone(message)) });
    for (let index = 0; index < 1_000; index++) relay.raise({ ...alarm('a'), facts: { index } });
    relay.raise(alarm('b'));
    assert.equal(sent.length, 2);
    await clock.advance(alarmLimits.relayMs);
    relay.raise(alarm('a'));
    relay.raise(alarm('a'));
    relay.clear('a', 's');
    relay.acknowledge('b', 's');
    relay.raise({ ...alarm('odd'), facts: { run: () => {} } }); // What cannot cross is left out.
    for (const message of sent) {
      if (message.action === 'raise') book.raise(message.alarm, message.times);
      else book[message.action](message.name, message.subject);
    }
    const [b, odd, a] = book.list();
    assert.deepEqual(
      [odd.name, odd.facts, b.state, a.state, a.count],
      ['odd', undefined, 'acknowledged', 'cleared', 1_002],
    );
    await clock.advance(60_000);
    assert.equal(sent.length, 8);
  });
});

/** Metrics that a test sets, and what the default rules make of them. */
function openRules(active?: readonly AlarmState[]) {
  const { book, clock, told } = openBook();
  const samples = new Map<string, Sample>();
  const collector = new MetricCollector(clock);
  collector.register('test', { collect: () => [...samples.values()] });
  const evaluator = new AlarmEvaluator({ collector, alarms: book, clock, active });
  const set = (sample: Sample) => void samples.set(`${sample.name}${JSON.stringify(sample.labels)}`, sample);
  const count = (name: string, value: number, labels = {}) => set(counter(name, 'C.', value, labels));
  const level = (name: string, value: number, labels = {}) => set(gauge(name, 'G.', value, labels));
  evaluator.start();
  return { book, clock, told, collector, count, level, samples };
}

const minute = 60_000;

describe('the default rules', () => {
  it('raise an alarm when a consumer is behind, and clear it when it has caught up (covers S1-35)', async () => {
    const { clock, told, level } = openRules();
    const age = (seconds: number) =>
      level('mimamori_consumer_iterator_age_seconds', seconds, { consumer: 'play', shard: 's0' });
    level('mimamori_consumer_iterator_age_seconds', 1, { consumer: 'play', shard: 's1' });
    for (let seconds = 0; seconds <= 60; seconds += 10) {
      age(seconds);
      await clock.advance(10_000);
    }
    assert.deepEqual(told(), []);
    age(61);
    await clock.advance(minute);
    assert.deepEqual(told(), ['raised consumerBehind play']);
    age(2);
    await clock.advance(minute / 2);
    assert.deepEqual(told(), []);
    await clock.advance(minute);
    assert.deepEqual(told(), ['cleared consumerBehind play']);
  });

  it('raise an alarm of throttles, also by a counter that began again (covers S2-27)', async () => {
    const { clock, told, count } = openRules();
    const labels = { function: 'play', trigger: 'route' };
    const refused = (value: number) => count('mimamori_function_throttles_total', value, labels);
    refused(9);
    await clock.advance(minute);
    assert.deepEqual(told(), []);
    refused(10);
    await clock.advance(10_000);
    assert.deepEqual(told(), ['raised functionThrottled play']);
    await clock.advance(12 * minute);
    assert.deepEqual(told(), ['cleared functionThrottled play']);
    refused(3);
    await clock.advance(10_000);
    assert.deepEqual(told(), []);
    refused(10); // The thread was started again: 3, then 7 more.
    await clock.advance(10_000);
    assert.deepEqual(told(), ['raised functionThrottled play']);
  });

  it('raise an alarm of a function that mostly fails, not of one that failed once', async () => {
    const { book, clock, told, collector } = openRules();
    const functions = new FunctionMetrics();
    collector.register('functions', functions);
    const run = (functionName: string, outcome: 'succeeded' | 'failed', times: number) => {
      const of = { trigger: 'direct', durationMs: 1, attempt: 1, error: new Error('x'), measures: {} } as const;
      for (let count = 0; count < times; count++) functions.note({ functionName, outcome, ...of });
    };
    run('once', 'failed', 1);
    run('mostly', 'failed', 15);
    run('mostly', 'succeeded', 6);
    run('sometimes', 'failed', 40);
    run('sometimes', 'succeeded', 60);
    await clock.advance(10_000);
    assert.deepEqual(told(), ['raised functionFailing mostly']);
    assert.match(book.list()[0].message, /^71 % of the invocations of mostly failed/);
    run('mostly', 'succeeded', 100);
    await clock.advance(11 * minute);
    assert.deepEqual(told(), ['cleared functionFailing mostly']);
  });

  it('raise an alarm of skewed keys and shards, a paused consumer, a full disk, lost log lines', async () => {
    const { clock, told, level, count, samples } = openRules();
    level('mimamori_stream_hot_key_share', 0.8, { key: 'spk-1' });
    level('mimamori_disk_free_bytes', 5);
    level('mimamori_disk_total_bytes', 100);
    level('mimamori_consumer_paused', 1, { consumer: 'idle' });
    count('mimamori_log_lines_dropped_total', 4, { channel: 'app', reason: 'disk' });
    count('mimamori_log_lines_dropped_total', 4, { channel: 'system', reason: 'rate' });
    for (let step = 1; step <= 15; step++) {
      count('mimamori_stream_shard_records_total', step * 1_000, { shard: 's0' });
      for (const shard of ['s1', 's2', 's3']) count('mimamori_stream_shard_records_total', step * 100, { shard });
      await clock.advance(10_000);
    }
    assert.deepEqual(told().toSorted(), [
      'raised diskNearlyFull backend',
      'raised logsDropped app',
      'raised partitionSkew spk-1',
      'raised shardSkew s0',
    ]);
    await clock.advance(10 * minute);
    assert(told().includes('raised consumerPaused idle'));
    samples.clear();
    await clock.advance(10 * minute);
    const gone = ['consumerPaused idle', 'diskNearlyFull backend'];
    assert.deepEqual(told().toSorted(), [...gone, 'partitionSkew spk-1'].map(text => `cleared ${text}`).toSorted());
  });

  it('clear what was raised before a restart and is over', async () => {
    const before = openBook();
    before.book.raise(alarm('diskNearlyFull', 'backend'));
    before.book.raise(alarm('consumerBehind', 'gone'));
    before.book.raise(alarm('functionLoop', 'loops'));
    const cleared: string[] = [];
    const { clock } = before;
    const alarms = {
      raise: () => {},
      clear: (name: string, subject: string) => void cleared.push(`${name} ${subject}`),
    };
    new AlarmEvaluator({ collector: new MetricCollector(clock), alarms, clock, active: before.book.list() }).start();
    await clock.advance(2 * minute);
    assert.deepEqual(cleared.toSorted(), ['consumerBehind gone', 'diskNearlyFull backend']);
  });

  it('have a name each, and say what happened and what to do', () => {
    assert.equal(new Set(defaultRules.map(({ name }) => name)).size, defaultRules.length);
    for (const { message, fix, metric } of defaultRules) {
      assert.match(message('play', 0.5), /\.$/);
      assert(fix.length > 10 && metric.startsWith('mimamori_'));
    }
  });
});

describe('whoever is told of alarms', () => {
  const change: AlarmChange = {
    event: 'raised',
    alarm: { ...alarm('a'), state: 'raised', count: 1, raisedAtMs: 0, lastAtMs: 0 },
  };
  const open = (hook: (change: AlarmChange) => void | Promise<void>) => {
    const clock = new VirtualClock();
    return { clock, notifier: new Notifier({ hook, clock, log: silentLog }) };
  };

  it('is tried again a few times, later and later, and then the next one is told', async () => {
    const atMs: number[] = [];
    const told: string[] = [];
    const { clock, notifier } = open(async ({ alarm: { name } }) => {
      if (name === 'b') return void told.push(name);
      atMs.push(clock.monotonicMs());
      throw new Error('away');
    });
    notifier.notify(change);
    notifier.notify({ ...change, alarm: { ...change.alarm, name: 'b' } });
    await clock.advance(120_000);
    assert.deepEqual(atMs, [0, 1_000, 3_000, 7_000, 15_000, 31_000]);
    assert.deepEqual([told, notifier.dropped], [['b'], 1]);
  });

  it('gets only so many at a time, and what is too much is counted', async () => {
    const { clock, notifier } = open(() => new Promise(() => {}));
    for (let index = 0; index < 1_000; index++) {
      notifier.notify(change);
      await clock.advance(1_000);
    }
    assert(notifier.dropped >= 1_000 - alarmLimits.noticesMax - 1, `${notifier.dropped}`);
    notifier.close();
  });

  it('may be an address on the web, which gets JSON and a sentence', async () => {
    const posts: [string, string][] = [];
    let status = 200;
    const hook = webhook('https://hooks.example/x', async (url, body) => {
      posts.push([url, body]);
      return status;
    });
    await hook(change);
    const [[url, body]] = posts;
    assert.deepEqual(
      [url, JSON.parse(body)],
      ['https://hooks.example/x', { ...change, text: 'Alarm: a (s). It happened. Mend it.' }],
    );
    assert.equal(sentenceOf({ ...change, event: 'cleared' }), 'Over: a (s).');
    status = 404; // It will not take it, however often it is asked.
    await hook(change);
    for (const passing of [500, 302, 429]) {
      status = passing;
      await assert.rejects(async () => hook(change));
    }
    for (const wrong of ['', 'ftp://a', 'hooks.example', 'javascript:0']) {
      assert.throws(() => webhook(wrong, async () => 200), { code: 'alarms.webhookNotValid' });
    }
  });
});
