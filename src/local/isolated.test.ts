import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import app, { type model } from '../../test/apps/isolated.ts';
import { eventually } from '../../test/support.ts';
import { type Announcement, appTable, type ContextOf, Runtime, type Served } from '../app/index.ts';
import type { Iot } from '../iot/port.ts';
import { systemClock } from '../kernel/clock.ts';
import { codeOf } from '../kernel/errors.ts';
import { silentLog } from '../kernel/log.ts';
import { openMemoryStore } from '../kernel/memory-store.ts';
import { systemRandom } from '../kernel/random.ts';
import type { InvocationReport } from '../platform/functions/index.ts';
import { wholeShard } from '../platform/stream/index.ts';
import { type OpenTable, openEmbeddedTable } from '../platform/table/index.ts';
import { inward, outward } from './crossing.ts';
import { IsolatedCalls, isolatedCallsMax } from './isolated-calls.ts';
import type { ToIsolated } from './isolated-messages.ts';
import { IsolatedPool } from './isolated-pool.ts';

const appUrl = new URL('../../test/apps/isolated.ts', import.meta.url).href;
const announcements: Announcement[] = [];
const lines: string[] = [];
const reports: InvocationReport[] = [];
let table: OpenTable;
let runtime: Runtime;
let functions: ContextOf<typeof model>['functions'];

before(async () => {
  table = await openEmbeddedTable({
    store: await openMemoryStore({ clock: systemClock }),
    clock: systemClock,
    tables: [appTable],
  });
  const log = { ...silentLog, info: (_facts: object, message: string) => void lines.push(message) };
  runtime = new Runtime({
    app,
    table,
    openReader: () => ({
      // Nothing is ever in this stream.
      shards: async () => [wholeShard()],
      locate: async () => null,
      read: async () => [],
      waitBeyond: (_shardId, _after, signal) =>
        new Promise<void>(resolve => {
          if (signal.aborted) resolve();
          signal.addEventListener('abort', () => resolve());
        }),
      close: async () => {},
    }),
    iot: {} as Iot, // No function of this app asks for anything of it.
    clock: systemClock,
    random: systemRandom,
    cursorKey: new Uint8Array(32),
    log,
    announce: (_audience, announcement) => announcements.push(announcement),
    onFailure: error => assert.fail(String(error)),
    functions: {
      isolation: served =>
        new IsolatedPool({ appUrl, served, clock: systemClock, log: silentLog, abortGraceMs: 1_000 }),
      onInvocation: report => void reports.push(report),
    },
  });
  await runtime.start();
  functions = runtime.context.functions as unknown as typeof functions; // Of the model of the app above.
});

after(async () => {
  await runtime.close();
  await table.close();
});

const work = (what: string) => functions.work.invoke({ what });
type Behaviour = Parameters<typeof functions.behave.invoke>[0]['how'];
const behave = (how: Behaviour) => functions.behave.invoke({ how });
const hurry = (how: Behaviour) => functions.hurry.invoke({ how });

const reportOf = (name: string) => runtime.functions.reports().find(({ functionName }) => functionName === name);

async function failing(promise: Promise<unknown>): Promise<Error> {
  const thrown = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  assert(thrown instanceof Error);
  return thrown;
}

async function failureOf(promise: Promise<unknown>) {
  const error = await failing(promise);
  return { code: codeOf(error), message: error.message };
}

describe('an isolated function', () => {
  it('works with its context as every function does', async () => {
    assert.deepEqual(await work('entities'), { code: 'entity.exists', texts: ['hello'] });
    assert.deepEqual(await work('values'), {
      bytes: new Uint8Array(Buffer.from('abc')), // As a table gives it.
      names: new Set(['a', 'b']),
      large: 2n ** 100n,
      custom: 'ValidationException',
      refusal: 'ConditionalCheckFailedException',
    });
    assert.deepEqual(await work('once'), [1, 1, 1]);
    assert.deepEqual(await work('calls'), [2, 4, 6]);
    const expected = { functionName: 'work', attempt: 1, depth: 0, hasTime: true };
    assert.deepEqual(await work('invocation'), expected);
    assert.deepEqual(announcements, [{ type: 'told', functionName: 'work' }]);
    assert.deepEqual(lines, ['An isolated function says something.']);
  });

  it('keeps its worker for the next invocation, and is measured', async () => {
    assert.equal(await behave('compute'), 'invocation 1');
    assert.equal(await behave('well'), 'invocation 2');
    const [cold, warm] = reports.filter(({ functionName }) => functionName === 'behave');
    assert(cold.coldStartMs !== undefined && cold.coldStartMs > 0);
    assert.equal(warm.coldStartMs, undefined);
    assert((cold.measures.cpuMs ?? 0) > 50, `${cold.measures.cpuMs} ms of processor time`);
    assert((cold.measures.memoryBytes ?? 0) > 2 ** 20);
    const report = reportOf('behave');
    assert.equal(report?.advice?.boundBy, 'processor');
    assert.deepEqual([report?.coldStarts.count, report?.isIsolated], [1, true]);
  });

  it('is advised the size that its work asks for (covers S1-10)', async () => {
    await functions.hold.invoke({ megabytes: 100 });
    const advice = reportOf('hold')?.advice;
    assert.equal(advice?.boundBy, 'memory');
    assert(advice.memoryMegabytes >= 192 && advice.memoryMegabytes <= 320, `${advice.memoryMegabytes} MB`);
  });

  it('ends alone when it loops, leaks, exits or forgets an error, and says how; the next one has a new worker', async () => {
    const ends = {
      loop: ['function.timedOut', /^hurry took longer than 200 ms/],
      leak: ['function.outOfMemory', /^behave needed more than its 128 MB of memory \(.*after \d+ ms/],
      leakBuffers: ['function.outOfMemory', /with \d+ MB of heap in use/],
      exit: ['function.exited', /^behave ended its thread: it exited with 3 \(/],
      forget: ['function.exited', /nobody caught "forgotten"/],
      throwLater: ['function.exited', /nobody caught "from a timer"/],
    } as const;
    const beside = Promise.all(Array.from({ length: 20 }, () => functions.outer.invoke({ value: 1 })));
    for (const how of ['loop', 'leak', 'leakBuffers', 'exit', 'forget', 'throwLater'] as const) {
      const [code, message] = ends[how];
      const failure = await failureOf(how === 'loop' ? hurry(how) : behave(how));
      assert.deepEqual(failure.code, code, `${how}: ${failure.message}`);
      assert.match(failure.message, message);
    }
    assert.equal(await behave('well'), 'invocation 1');
    assert.deepEqual(new Set(await beside), new Set([2]));
  });

  it('keeps its worker when it heeds its signal', async () => {
    assert.equal(await hurry('well'), 'invocation 1');
    assert.equal((await failureOf(hurry('heed'))).code, 'function.timedOut');
    // It answers, though nobody waits for it.
    await eventually('it settles', async () => (reportOf('hurry')?.leftBehind === 0 ? true : undefined));
    assert.equal(await hurry('well'), 'invocation 3');
  });

  it('is stopped when it calls itself without end (covers S0-39)', async () => {
    await work('again');
    const isOver = () => runtime.counters.get('functions.deadLettered') > 0;
    await eventually('it is stopped', async () => (isOver() ? true : undefined));
    const chain = reports.filter(({ functionName, eventId }) => functionName === 'work' && eventId !== undefined);
    assert.equal(chain.length, 15);
    assert.equal(chain.at(-1)?.cause.depth, 15);
  });

  it('harms nobody but itself with what it posts', async () => {
    const failure = await failureOf(behave('post'));
    assert.equal(failure.code, 'function.exited', failure.message);
    assert.match(await behave('well'), /^invocation/);
  });

  it('fails as it would have failed here', async () => {
    const error = await failing(work('fails'));
    assert.deepEqual(
      [error.name, error.message, (error.cause as Error).message],
      ['TypeError', 'not like this', 'because'],
    );
    assert.deepEqual(Reflect.get(error, 'bytes'), Buffer.from('b'));
    assert.match(error.stack ?? '', /isolated\.ts/);
    assert.equal((await failureOf(work('unpostable'))).message.includes('could not be cloned'), true);
  });
});

describe('what isolated functions ask for', () => {
  const asked = (served: object) => {
    const posted: ToIsolated[] = [];
    const calls = new IsolatedCalls(served as Served, 'greedy', message => posted.push(message)); // As far as it is asked.
    const call = (id: number, path: readonly string[]) => calls.answer({ type: 'call', id, path, args: [] });
    const codes = () => posted.map(message => message.type === 'refusal' && codeOf(inward(message.error)));
    return { call, codes };
  };

  it('is bounded', async () => {
    const { call, codes } = asked({ table: { get: () => new Promise(() => {}) }, context: () => ({}) });
    for (let id = 0; id < isolatedCallsMax; id++) void call(id, ['table', 'get']);
    await call(isolatedCallsMax, ['table', 'get']);
    assert.deepEqual(codes(), ['function.tooManyCalls']);
  });

  it('is nothing else than what they are served with', async () => {
    const context = { commands: { blink: { send: async () => {} } }, functions: {}, iot: {}, log: {} };
    const { call, codes } = asked({ table: { get: async () => {}, close: async () => {} }, context: () => context });
    await call(1, ['commands', 'blink', 'send']);
    const refused = [
      'table.close',
      'table.constructor',
      'commands.blink.constructor',
      'commands.__proto__.send',
      'none',
      'iot.publish',
    ];
    for (const path of refused) await call(2, path.split('.'));
    assert.deepEqual(codes(), [false, ...refused.map(() => 'function.noSuchCall')]);
  });
});

describe('what crosses between threads', () => {
  it('is on the other side what it was', () => {
    const cyclic: Record<string, unknown> = { bytes: Buffer.from([1, 2]) };
    cyclic.self = cyclic;
    const crossed = inward(structuredClone(outward(cyclic))) as typeof cyclic;
    assert.equal(crossed.self, crossed);
    assert(Buffer.isBuffer(crossed.bytes));
    const proto = JSON.parse('{"__proto__": {"polluted": 1}, "$crossing": "buffer", "value": 3}');
    for (const value of [
      undefined,
      null,
      1n,
      new Date(0),
      new Map([[1, new Set([Buffer.from('x')])]]),
      [proto],
      proto,
    ]) {
      assert.deepEqual(inward(structuredClone(outward(value))), value);
    }
    assert.equal(({} as { polluted?: number }).polluted, undefined);
    const plain = { deep: [{ text: 'as it is' }] };
    assert.equal(outward(plain), plain);
  });
});
