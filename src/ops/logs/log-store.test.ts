import assert from 'node:assert/strict';
import { appendFileSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { temporaryFolder, testScale } from '../../../test/support.ts';
import { systemAppendFiles } from '../../kernel/append-files.ts';
import { asCaller, type Caller } from '../../kernel/callers.ts';
import { MemoryAppendFiles } from '../../kernel/memory-append-files.ts';
import { seededRandom } from '../../kernel/random.ts';
import { VirtualClock } from '../../kernel/virtual-clock.ts';
import { logLimits } from '../limits.ts';
import { LogChannelReader, type LogQuestion, LogReader, LogStore, type LogStoreOptions } from './index.ts';

const directory = '/logs';

function open(options: Partial<LogStoreOptions> = {}) {
  const shown: string[] = [];
  const clock = new VirtualClock();
  const files = new MemoryAppendFiles();
  const show = { from: 'warn', line: (line: string) => void shown.push(line) } as const;
  const all = { files, directory, writer: 'app', clock, show, ...options };
  const store = new LogStore(all);
  const reader = new LogReader({ ...all, onWritten: listener => store.onWritten(listener) });
  const messages = async (question: LogQuestion = {}, limit?: number) =>
    (await reader.newest(question, limit)).map(({ line }) => line.message);
  return { store, reader, messages, clock, files, shown, options: all };
}

const who = (caller: Caller, work: () => void) => asCaller(caller, work);

describe('a log', () => {
  it('notes who wrote a line, and for which thing, request and event', async () => {
    const { store, reader } = open();
    const cause = { depth: 2, originId: 'o', path: ['a', 'b'] };
    who({ functionName: 'onPress', thingName: 'spk-1', requestId: 'r1', eventId: 'e1', cause }, () => {
      store.app.info({ button: 3 }, 'A button was pressed.');
      store.system.warn({}, 'Slow.');
    });
    store.app.info('No facts.');
    const [first, second, third] = (await reader.newest({})).map(({ line }) => line);
    assert.deepEqual(first, {
      time: '2026-01-01T00:00:00.000Z',
      level: 'info',
      channel: 'app',
      functionName: 'onPress',
      thingName: 'spk-1',
      requestId: 'r1',
      eventId: 'e1',
      depth: 2,
      message: 'A button was pressed.',
      facts: { button: 3 },
    });
    assert.deepEqual([second.channel, second.requestId, second.order], ['system', 'r1', 1]);
    assert.deepEqual([third.channel, third.requestId, third.order], ['app', undefined, 2]);
  });

  it('finds lines by everything they are about, the newest ones, in the order they were written', async () => {
    const { store, messages, clock } = open();
    const startMs = clock.nowMs();
    for (let index = 0; index < 2_000; index++) {
      const caller = { functionName: `f${index % 3}`, thingName: `t${index % 50}`, requestId: `r${index}` };
      who(caller, () => store.app[index % 100 === 7 ? 'error' : 'info']({ index }, `line ${index}`));
      await clock.advance(10);
    }
    assert.deepEqual(await messages({ requestId: 'r1234' }), ['line 1234']);
    assert.deepEqual(await messages({ thingName: 't7', functionName: 'f1' }, 3), [
      'line 1657',
      'line 1807',
      'line 1957',
    ]);
    assert.deepEqual(await messages({ level: 'error', untilMs: startMs + 2_500 }), ['line 7', 'line 107', 'line 207']);
    assert.deepEqual(await messages({ sinceMs: startMs + 19_980 }), ['line 1998', 'line 1999']);
    assert.deepEqual(await messages({ grep: 'line 77' }), [
      'line 77',
      ...Array.from({ length: 10 }, (_, at) => `line ${770 + at}`),
    ]);
    assert.deepEqual(await messages({ eventId: 'e1' }), []);
    assert.deepEqual(await messages({ channel: 'system' }), []);
    assert.equal((await messages({}, 10)).length, 10);
  });

  it('merges what several threads have written by time', async () => {
    const { store, reader, messages, clock, options } = open();
    const gateway = new LogStore({ ...options, writer: 'gateway' });
    for (let index = 0; index < 10; index++) {
      (index % 3 === 0 ? gateway : store).system.info({}, `line ${index}`);
      await clock.advance(1);
    }
    const inOrder = Array.from({ length: 10 }, (_, index) => `line ${index}`);
    assert.deepEqual(await messages(), inOrder);
    const all: string[] = [];
    for await (const { line } of reader.all({})) all.push(line.message);
    assert.deepEqual(all, inOrder);
  });

  it('never throws, whatever is logged', () => {
    const { store } = open();
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    const nothing = null as unknown as object; // As a handler without types may call it.
    for (const facts of [proxy, nothing, 'text', 5, () => {}, Symbol('s')] as object[]) {
      store.app.info(facts, 'Odd.');
      store.app.error(facts, Symbol('s') as unknown as string);
    }
    store.app.info(undefined as unknown as string);
  });

  it('lets a message repeat only so often a second, and says how often it was left out', async () => {
    const { store, reader, clock } = open();
    for (let index = 0; index < 50; index++) store.system.warn({ index }, 'Refused.');
    await clock.advance(1_000);
    store.system.warn({}, 'Refused.');
    const lines = (await reader.newest({})).map(({ line }) => line);
    assert.equal(lines.length, logLimits.systemLinesPerSecondMax + 1);
    assert.deepEqual(lines.at(-1)?.facts, { leftOut: 50 - logLimits.systemLinesPerSecondMax });
    for (let index = 0; index < 2 * logLimits.channelLinesPerSecondMax; index++) store.app.info({}, `m${index}`);
    assert(store.counters.get('app.dropped.rate') > 0); // However different they are.
  });
});

describe('the level of a log', () => {
  it('is lowered for one thing for a while, and for nobody else (covers S4-15)', async () => {
    const { store, messages, clock, options } = open();
    const debug = (thingName: string, text: string) => who({ thingName }, () => store.app.debug(text));
    debug('t1', 'before');
    store.levels.set({ level: 'debug', thingName: 't1', untilMs: clock.nowMs() + 600_000 });
    debug('t1', 'of it');
    debug('t2', 'of another');
    const restarted = new LogStore(options);
    who({ thingName: 't1' }, () => restarted.app.debug('after a restart'));
    await clock.advance(600_000);
    debug('t1', 'after');
    assert.deepEqual(await messages(), ['of it', 'after a restart']);
    assert.deepEqual(store.levels.all(), []);
  });

  it('is lowered for all lines of a share of the requests, or raised for a function', async () => {
    const { store, messages, clock } = open();
    store.levels.set({ level: 'debug', share: 0.1, untilMs: clock.nowMs() + 1_000 });
    store.levels.set({ level: 'error', functionName: 'loud', untilMs: clock.nowMs() + 1_000 });
    for (let index = 0; index < 1_000; index++) {
      who({ requestId: `r${index}` }, () => {
        store.app.debug({}, `a${index}`);
        store.app.debug({}, `b${index}`);
      });
    }
    const texts = await messages();
    const kept = texts.filter(text => text.startsWith('a')).map(text => text.slice(1));
    assert(kept.length > 60 && kept.length < 150, `${kept.length}`);
    assert.deepEqual(
      texts,
      kept.flatMap(number => [`a${number}`, `b${number}`]),
    );
    who({ functionName: 'loud', requestId: 'x' }, () => store.app.warn('quiet'));
    who({ functionName: 'loud', requestId: 'x' }, () => store.app.error('loud'));
    assert.deepEqual(await messages({ functionName: 'loud' }), ['loud']);
    store.levels.reset();
    assert.deepEqual(store.levels.all(), []);
  });

  it('is refused when it is none, holds for ever, or there are too many', () => {
    const { store, clock, options } = open();
    const untilMs = clock.nowMs() + 1_000;
    const refused = { code: 'logs.questionNotValid' };
    for (const rule of [
      { level: 'verbose', untilMs },
      { level: 'debug', untilMs: Number.POSITIVE_INFINITY },
      { level: 'debug', untilMs: 0 },
      { level: 'debug', untilMs, share: 2 },
      { level: 'debug', untilMs, thingName: 'x'.repeat(1_000) },
    ]) {
      assert.throws(() => store.levels.set(rule as Parameters<typeof store.levels.set>[0]), refused);
    }
    for (let index = 0; index < logLimits.levelRulesMax; index++)
      store.levels.set({ level: 'debug', thingName: `t${index}`, untilMs });
    assert.throws(() => store.levels.set({ level: 'debug', thingName: 'one more', untilMs }), refused);
    options.files.replace('/logs/levels.json', Buffer.from('nonsense'));
    assert.deepEqual(new LogStore(options).levels.all(), []);
  });
});

describe('a named channel', () => {
  it('has lines and retention of its own, apart from the others (covers S1-09)', async () => {
    const { store, messages, clock } = open({ retention: { audit: { days: 100 } } });
    store.app.channel('business', { days: 1 }).info({ cents: 250 }, 'Sold.');
    store.app.channel('audit', { days: 1 }).info('Seen.'); // What the operator says holds.
    store.app.info('Other.');
    assert.deepEqual(await messages({ channel: 'business' }), ['Sold.']);
    assert.equal(store.app.channel('business'), store.app.channel('business').channel('business'));
    await clock.advance(50 * 3_600_000);
    store.retain();
    assert.deepEqual(await messages(), ['Seen.', 'Other.']);
    await clock.advance(20 * 24 * 3_600_000);
    store.retain();
    assert.deepEqual(await messages(), ['Seen.']);
  });

  it('has a name that fits a folder, and there are not many', async () => {
    const { store, messages } = open();
    for (const name of ['', 'system', 'app', '../etc', 'A', 'a'.repeat(33)]) {
      assert.throws(() => store.app.channel(name), { code: 'logs.channelNotValid' });
    }
    for (let index = 0; index < logLimits.channelsMax; index++) store.app.channel(`c${index}`).info('Own.');
    store.app.channel('one-more').info('Here, then.');
    assert.deepEqual(await messages({ channel: 'app' }), ['Here, then.']);
  });

  it('is a stream: read from the start, behind a record, from the end, from a time, and followed', async () => {
    const { store, clock, options } = open({ writer: 'app' });
    const log = store.app.channel('business');
    const reader = new LogChannelReader({
      ...options,
      channel: 'business',
      onWritten: listener => store.onWritten(listener),
    });
    assert.deepEqual([await reader.shards(), await reader.read('app', null, 1e6)], [[], []]);
    const write = (text: string) => who({ thingName: `t-${text}` }, () => log.info(text));
    const texts = async (after: bigint | null, wants?: (bytes: Buffer, start: number, end: number) => boolean) =>
      (await reader.read('app', after, 1e6, wants)).map(({ data }) => JSON.parse(data.toString()).message);
    for (const text of ['a', 'b', 'c']) {
      write(text);
      await clock.advance(1_000);
    }
    const [{ shardId, startingSequenceNumber }] = await reader.shards();
    const records = await reader.read(shardId, null, 1e6);
    assert.deepEqual(
      records.map(({ partitionKey }) => partitionKey),
      ['t-a', 't-b', 't-c'],
    );
    assert(startingSequenceNumber <= records[0].sequenceNumber);
    assert.deepEqual(await texts(records[0].sequenceNumber), ['b', 'c']);
    assert.deepEqual(await texts(null, (bytes, start, end) => bytes.toString('utf8', start, end).includes('t-a')), [
      'a',
      'c',
    ]);
    const at = async (position: Parameters<typeof reader.locate>[1]) => texts(await reader.locate('app', position));
    const { sequenceNumber } = records[1];
    assert.deepEqual(await at({ type: 'TRIM_HORIZON' }), ['a', 'b', 'c']);
    assert.deepEqual(await at({ type: 'AT_SEQUENCE_NUMBER', sequenceNumber }), ['b', 'c']);
    assert.deepEqual(await at({ type: 'AFTER_SEQUENCE_NUMBER', sequenceNumber }), ['c']);
    assert.deepEqual(await at({ type: 'AT_TIMESTAMP', atMs: records[1].arrivalAtMs }), ['b', 'c']);
    assert.deepEqual(await at({ type: 'AT_TIMESTAMP', atMs: clock.nowMs() }), []);
    assert.deepEqual(await at({ type: 'LATEST' }), []);
    const latest = await reader.locate('app', { type: 'LATEST' });
    const waiting = reader.waitBeyond('app', latest, new AbortController().signal);
    await clock.advance(1_000);
    write('d');
    await clock.until(waiting);
    assert.deepEqual(await texts(latest), ['d']);
    await reader.waitBeyond('app', null, new AbortController().signal);
    await reader.waitBeyond('app', records[2].sequenceNumber + 1_000_000n, AbortSignal.abort());
  });
});

describe('segments of a log', () => {
  it('go when there are too many bytes of them, the oldest first, and are never more than allowed', async () => {
    const { store, reader, files } = open({ retention: { app: { megabytesMax: 1 } } });
    for (let index = 0; index < 12_000; index++) {
      who({ requestId: `r${index}` }, () => store.app.info({ index }, `line ${index % 200}`));
    }
    const names = files.list('/logs/app');
    const bytes = names.reduce((sum, name) => sum + (files.sizeOf(`/logs/app/${name}`) ?? 0), 0);
    assert(bytes <= 1024 * 1024, `${bytes}`);
    const lines = await reader.newest({}, 100_000);
    assert(lines.length > 2_000, `${lines.length}`);
    assert.equal((await reader.newest({ requestId: 'r0' })).length, 0);
    const [{ line }] = lines;
    assert.equal((await reader.newest({ requestId: line.requestId })).length, 1);
  });

  it('lose at most the line that was torn, and are repaired when they are opened', async () => {
    const random = seededRandom(7);
    const parent = temporaryFolder();
    for (let round = 0; round < testScale(20, 400); round++) {
      const folder = path.join(parent, String(round));
      const world = { files: systemAppendFiles, directory: folder };
      const { store } = open(world);
      const count = 200 + random.integer(600);
      for (let index = 0; index < count; index++)
        who({ requestId: `r${index}` }, () => store.app.info({ index }, `l${index % 500}`));
      store.close();
      const [, lines] = readdirSync(path.join(folder, 'app')).map(name => path.join(folder, 'app', name));
      const [index] = readdirSync(path.join(folder, 'app')).map(name => path.join(folder, 'app', name));
      const cut = random.integer(100);
      truncateSync(lines, statSync(lines).size - cut);
      damageIndex(index, round, random.integer);
      const again = open(world);
      again.store.app.info({}, 'after');
      const found = (await again.reader.newest({}, 100_000)).map(({ line }) => line.message);
      const lostMax = Math.ceil(cut / 80) + 1; // A line has over 80 bytes.
      assert(
        found.length >= count - lostMax + 1 && found.length <= count + 1,
        `${found.length} of ${count}, ${cut} cut`,
      );
      assert.equal(found.at(-1), 'after');
      for (const id of [0, 100, count - lostMax - 1])
        assert.equal((await again.messages({ requestId: `r${id}` })).length, 1);
      rmSync(folder, { recursive: true });
    }
  });

  it('may be removed by somebody while they are written', async () => {
    const folder = temporaryFolder();
    const { store, messages, clock } = open({ files: systemAppendFiles, directory: folder });
    store.app.info('before');
    rmSync(path.join(folder, 'app'), { recursive: true });
    store.retain();
    await clock.advance(logLimits.retryMs);
    store.app.info('after');
    assert.deepEqual(await messages({ channel: 'app' }), ['after']);
  });

  it('hold what a file beside them, a foreign one or a damaged one, cannot spoil', async () => {
    const folder = temporaryFolder();
    const { store, messages } = open({ files: systemAppendFiles, directory: folder });
    store.app.info('ours');
    writeFileSync(path.join(folder, 'app', 'notes.txt'), 'foreign');
    writeFileSync(path.join(folder, 'README'), 'foreign');
    const lines = readdirSync(path.join(folder, 'app')).find(name => name.endsWith('.jsonl')) ?? '';
    appendFileSync(path.join(folder, 'app', lines), '\u0000\u0000\n{"time":5}\nnull\n{"time":"x","message":1}\n');
    store.app.info('ours, too');
    const found = await messages();
    assert.deepEqual([found[0], found.at(-1)], ['ours', 'ours, too']);
    assert(readFileSync(path.join(folder, 'app', lines), 'utf8').startsWith('{"time":"2026-'));
  });
});

function damageIndex(file: string, round: number, integer: (below: number) => number): void {
  const { size } = statSync(file);
  if (round % 4 === 0) rmSync(file);
  else if (round % 4 === 1) truncateSync(file, integer(size + 1));
  else if (round % 4 === 2 && size > 0) {
    const bytes = readFileSync(file);
    bytes[integer(size)] ^= 1 << integer(8);
    writeFileSync(file, bytes);
  }
}

describe('a log on a disk that is full', () => {
  it('drops and counts lines, says so once, and goes on when there is room', async () => {
    const { store, messages, clock, files, shown } = open();
    store.app.info('before');
    files.roomBytes = 50;
    for (let index = 0; index < 100; index++) {
      store.app.info({ index }, `lost ${index}`);
      await clock.advance(100);
    }
    assert.equal(store.counters.get('app.dropped.disk'), 100);
    assert.deepEqual(shown.length, 1);
    assert.match(shown[0], /cannot be stored.*ENOSPC/);
    files.roomBytes = Number.POSITIVE_INFINITY;
    await clock.advance(logLimits.retryMs);
    store.app.info('after');
    assert.deepEqual(await messages({ channel: 'app' }), ['before', 'after']);
    assert.deepEqual(await messages({ channel: 'system' }), ['The disk takes log lines again; some were dropped.']);
  });

  it('is no reason to keep an app from starting', () => {
    const { options } = open();
    const broken = new Proxy(options.files, {
      get: () => () => {
        throw Object.assign(new Error('EROFS: read-only'), { code: 'EROFS' });
      },
    });
    const store = new LogStore({ ...options, files: broken });
    store.app.info('nowhere');
    assert.equal(store.counters.get('app.dropped.disk'), 1);
  });
});

describe('following a log', () => {
  it('gives each line once, from where the answer before it ended, of all threads', async () => {
    const { store, reader, clock, options } = open();
    store.app.info('old');
    const gone = new AbortController();
    const after = await reader.end({});
    const got: string[] = [];
    const following = (async () => {
      for await (const { line } of reader.follow({}, after, gone.signal)) got.push(line.message);
    })();
    await clock.settle();
    store.app.info('new');
    await clock.settle();
    assert.deepEqual(got, ['new']); // At once when it is of this thread.
    const gateway = new LogStore({ ...options, writer: 'gateway' });
    gateway.system.warn({}, 'of the gateway');
    store.app.channel('business').info('of a new channel');
    await clock.advance(logLimits.followPollMs);
    assert.deepEqual(got.toSorted(), ['new', 'of a new channel', 'of the gateway']);
    gone.abort();
    await clock.until(following);
  });

  it('costs nothing to be slow at: what retention removes meanwhile is said to be missing', async () => {
    const { store, reader, clock } = open({ retention: { app: { megabytesMax: 0.2 } } });
    const lines = reader.follow({ channel: 'app' }, await reader.end({}), new AbortController().signal);
    const first = lines.next();
    await clock.settle();
    store.app.info('first');
    assert.equal((await clock.until(first)).value?.line.message, 'first');
    for (let index = 0; index < 3_000; index++) store.app.info({ text: 'x'.repeat(300) }, `line ${index}`);
    const next = await clock.until(lines.next());
    assert.match(next.value?.line.message ?? '', /^Lines were removed/);
    assert.match((await clock.until(lines.next())).value?.line.message ?? '', /^line \d+$/);
    await lines.return(undefined);
  });
});
