import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Alarm } from '../../kernel/alarms.ts';
import { type Cause, fromOutside } from '../../kernel/causes.ts';
import { delay } from '../../kernel/clock.ts';
import { codeOf, MimamoriError } from '../../kernel/errors.ts';
import { VirtualClock } from '../../kernel/virtual-clock.ts';
import { Breaker, type BreakerStop } from './breaker.ts';
import { Allowance } from './budget.ts';
import { FunctionHost, type FunctionHostOptions } from './host.ts';
import { budgetLimits, functionLimits } from './limits.ts';
import type { InvocationReport, Trigger } from './port.ts';

const byFunctions: Cause = { depth: 1, originId: 'a test', path: ['other'] };

/** A host whose handlers take 100 ms, and what is seen of it. */
function world(options: Partial<FunctionHostOptions> = {}) {
  const clock = new VirtualClock();
  const alarms = new Map<string, Alarm>();
  const notRun: InvocationReport[] = [];
  const stops: (BreakerStop | undefined)[] = [];
  const seen = { running: 0, most: 0, done: [] as string[] };
  let ids = 0;
  const host = new FunctionHost({
    clock,
    newId: () => `request-${++ids}`,
    alarms: {
      raise: alarm => void alarms.set(`${alarm.name} ${alarm.subject}`, alarm),
      clear: (name, subject) => void alarms.delete(`${name} ${subject}`),
    },
    onNotRun: report => notRun.push(report),
    onStopped: (_functionName, stop) => stops.push(stop),
    ...options,
  });
  const work = async (name: string, ms: number) => {
    seen.running++;
    seen.most = Math.max(seen.most, seen.running);
    await delay(clock, ms);
    seen.running--;
    seen.done.push(name);
  };
  const call = (
    functionName: string,
    trigger: Trigger = 'telemetry',
    { cause = fromOutside('a test'), ms = 100 } = {},
  ) => host.invoke({ functionName, trigger, cause }, () => work(functionName, ms));
  const reportOf = (functionName: string) => {
    const report = host.reports().find(each => each.functionName === functionName);
    assert(report);
    return report;
  };
  return { host, clock, alarms, notRun, stops, seen, call, reportOf };
}

const codesOf = (settled: PromiseSettledResult<unknown>[]) =>
  settled.map(each => (each.status === 'fulfilled' ? 'done' : codeOf(each.reason)));

describe('a host of functions', () => {
  it('never runs more at once than is reserved, at ten times the load; a stream loses nothing (covers S0-42)', async () => {
    const { clock, call, seen, reportOf } = world({ settings: { narrow: { reservedConcurrency: 5 } } });
    const all = Promise.all(Array.from({ length: 50 }, () => call('narrow')));
    await clock.settle();
    assert.deepEqual([reportOf('narrow').running, reportOf('narrow').waiting], [5, 45]);
    await clock.until(all);
    assert.deepEqual([seen.most, seen.done.length], [5, 50]);
    assert.deepEqual([reportOf('narrow').invocations, reportOf('narrow').running], [50, 0]);
  });

  it('refuses at once who waits for an answer, and says when to ask again', async () => {
    const { clock, call, notRun, reportOf } = world({ settings: { narrow: { reservedConcurrency: 1 } } });
    const settled = await clock.until(
      Promise.allSettled([call('narrow', 'route'), call('narrow', 'route'), call('narrow', 'direct')]),
    );
    assert.deepEqual(codesOf(settled), ['done', 'function.throttled', 'function.throttled']);
    assert.equal(settled[1].status === 'rejected' && settled[1].reason.retryAfterMs, functionLimits.throttledRetryMs);
    assert.deepEqual(
      notRun.map(({ outcome, trigger }) => [outcome, trigger]),
      [
        ['refused', 'route'],
        ['refused', 'direct'],
      ],
    );
    assert.equal(reportOf('narrow').throttles, 2);
    await clock.until(call('narrow', 'route'));
  });

  it('lets functions that wait take turns, however long the line of one is (covers S2-03)', async () => {
    const { clock, call, seen } = world({ concurrencyMax: 2 });
    const greedy = Array.from({ length: 40 }, () => call('greedy'));
    await clock.settle();
    const modest = Array.from({ length: 5 }, () => call('modest'));
    await clock.until(Promise.all(modest));
    assert(seen.done.filter(name => name === 'greedy').length <= 9, seen.done.join(' '));
    await clock.until(Promise.all(greedy));
    assert.equal(seen.most, 2);
  });

  it('keeps what is reserved free for its function, and leaves something to the others', async () => {
    const { clock, call, reportOf } = world({ concurrencyMax: 10, settings: { steady: { reservedConcurrency: 4 } } });
    for (let count = 0; count < 20; count++) void call('flood');
    await clock.settle();
    assert.equal(reportOf('flood').running, 6);
    await clock.until(call('steady', 'route'));
    const reserving = (reservedConcurrency: number) => () =>
      world({ concurrencyMax: 10, settings: { all: { reservedConcurrency } } });
    assert.throws(reserving(10), { code: 'function.concurrencyNotValid' });
    reserving(9)();
    const isolated = { many: { isolated: true, reservedConcurrency: 20 }, one: { isolated: true } };
    const { reportOf: report } = world({ isolatedConcurrencyMax: 2, settings: isolated }); // On a small machine, too.
    assert.deepEqual([report('many').concurrencyMax, report('one').concurrencyMax], [20, 1]);
  });

  it('runs nothing of a function whose reservation is 0', async () => {
    const { clock, call, seen } = world({ settings: { off: { reservedConcurrency: 0 } } });
    void call('off').catch(() => {});
    await assert.rejects(clock.until(call('off', 'direct')), { code: 'function.throttled' });
    await clock.advance(60_000);
    assert.equal(seen.most, 0);
  });

  it('ends what takes too long, counts it, and gives its place to the next (covers S2-04)', async () => {
    const { clock, host, call, reportOf } = world({ settings: { narrow: { reservedConcurrency: 1 } } });
    let signal: AbortSignal | undefined;
    const hanging = host.invoke({ functionName: 'narrow', trigger: 'telemetry' }, invocation => {
      signal = invocation.signal;
      return delay(clock, 10_000);
    });
    hanging.catch(() => {});
    await clock.until(call('narrow'));
    await assert.rejects(hanging, { code: 'function.timedOut' });
    assert.equal(clock.monotonicMs(), functionLimits.timeoutMsDefault + 100);
    assert(signal?.aborted && codeOf(signal.reason) === 'function.timedOut');
    const { timeouts, leftBehind, running } = reportOf('narrow');
    assert.deepEqual({ timeouts, leftBehind, running }, { timeouts: 1, leftBehind: 1, running: 0 });
    await clock.advance(10_000);
    assert.equal(reportOf('narrow').leftBehind, 0);
  });

  it('bounds how many wait', async () => {
    const { clock, call } = world({ settings: { narrow: { reservedConcurrency: 1 } } });
    for (let count = 0; count <= functionLimits.waitingMax; count++) void call('narrow').catch(() => {});
    await clock.settle();
    await assert.rejects(call('narrow'), { code: 'function.throttled' });
  });

  it('tells who waits that it stops, and what still runs after a while', async () => {
    const { clock, host, call } = world({ settings: { narrow: { reservedConcurrency: 1 } } });
    const options = { functionName: 'narrow', trigger: 'telemetry', timeoutMs: 60_000 } as const;
    const running = host.invoke(options, async ({ signal }) => {
      await delay(clock, 50_000, signal);
      signal.throwIfAborted();
    });
    const settled = Promise.allSettled([running, call('narrow')]);
    host.stop();
    assert.deepEqual(codesOf(await clock.until(settled)), ['function.throttled', 'function.throttled']);
    assert.equal(clock.monotonicMs(), functionLimits.stopGraceMs);
    await clock.until(call('narrow')); // What need not wait is let finish.
  });

  it('measures the processor time of what runs alone', async () => {
    let cpuMs = 0;
    const usage = { cpuMs: () => cpuMs, memoryBytes: () => 0 };
    const { clock, host, call, reportOf } = world({ usage });
    const compute = () =>
      host.invoke({ functionName: 'compute', trigger: 'direct' }, async () => {
        cpuMs += 40;
        await delay(clock, 100);
      });
    await clock.until(compute());
    assert.equal(reportOf('compute').cpuMs, 40);
    await clock.until(Promise.all([call('other'), compute()]));
    assert.equal(reportOf('compute').cpuMs, 40);
    assert.equal(reportOf('other').cpuMs, undefined);
    assert.equal(reportOf('compute').advice?.memoryMegabytes, 1_216); // 1,769 × 40 / 60, up to the next step
  });

  it('charges an error that nobody caught to the function, and to the invocation if it still runs', async () => {
    const { clock, host, reportOf } = world();
    const error = new MimamoriError({ code: 'test.stray', message: 'Stray.', fix: 'None.' });
    const running = host.invoke({ functionName: 'stray', trigger: 'direct' }, () => delay(clock, 1_000));
    host.noteStrayError('stray', 'request-1', error);
    await assert.rejects(running, { code: 'test.stray' });
    host.noteStrayError('stray', 'request-1', error); // It is over.
    const { strayErrors, errors } = reportOf('stray');
    assert.deepEqual({ strayErrors, errors }, { strayErrors: 2, errors: 1 });
  });
});

describe('a budget', () => {
  it('is told at 80 %, stops at 100 %, and begins anew with the minute; a stream waits (covers S0-41)', async () => {
    const { clock, alarms, call, seen, reportOf } = world({
      settings: { busy: { budget: { invocationsPerMinuteMax: 10 } } },
    });
    const run = (count: number) => clock.until(Promise.all(Array.from({ length: count }, () => call('busy'))));
    await run(7);
    assert.equal(alarms.size, 0);
    await run(1);
    assert.deepEqual([...alarms.keys()], ['functionBudgetNear busy']);
    const rest = Promise.all(Array.from({ length: 12 }, () => call('busy')));
    await clock.advance(1_000);
    assert.deepEqual([seen.done.length, reportOf('busy').breaker, reportOf('busy').waiting], [10, 'open', 10]);
    assert.match(alarms.get('functionBudgetExceeded busy')?.message ?? '', /10 of 10 invocations/);
    const refused = await call('busy', 'route').catch(error => error);
    assert.deepEqual(
      [codeOf(refused), refused.retryAfterMs],
      ['function.budgetExceeded', 60_000 - clock.monotonicMs()],
    );
    await clock.until(rest);
    assert(clock.monotonicMs() >= 60_000 && clock.monotonicMs() < 61_000);
    await clock.advance(120_000);
    assert.deepEqual([seen.done.length, reportOf('busy').breaker, alarms.size], [20, 'closed', 0]);
  });

  it('can be of running time, which counts when an invocation ends', async () => {
    const { clock, call, seen } = world({ settings: { slow: { budget: { computeMsPerMinuteMax: 1_000 } } } });
    for (let count = 0; count < 20; count++) void call('slow', 'schedule');
    await clock.advance(59_000);
    assert.equal(seen.done.length, 20); // All had begun before the first had ended.
    await assert.rejects(call('slow', 'direct'), { code: 'function.budgetExceeded' });
    await clock.advance(1_000);
    await clock.until(call('slow', 'direct'));
  });

  it('that ends by hand does so, also after a restart', async () => {
    const settings = { busy: { budget: { invocationsPerMinuteMax: 2, resume: 'manual' } } } as const;
    const before = world({ settings });
    await before.clock.until(Promise.all([before.call('busy'), before.call('busy')]));
    await before.clock.advance(600_000);
    await assert.rejects(before.call('busy', 'route'), { code: 'function.budgetExceeded', retryAfterMs: undefined });
    const [stop] = before.stops;
    assert(stop);
    const after = world({ settings });
    after.host.restore({ busy: stop, gone: stop });
    assert.equal(after.alarms.size, 1);
    const waiting = after.call('busy');
    await after.clock.advance(600_000);
    assert.equal(after.seen.most, 0);
    after.host.reset('busy');
    await after.clock.until(waiting);
    assert.deepEqual([after.stops, after.alarms.size], [[undefined], 0]);
    assert.throws(() => after.host.reset('gone'), { code: 'function.notFound' });
  });

  it('is not needed to stop what functions call without end; what comes from outside is never stopped', async () => {
    const { clock, call, reportOf } = world();
    for (let count = 0; count < 1_000; count++) void call('spun');
    await clock.advance(1_000);
    assert.equal(reportOf('spun').budgetUsedShare, 0);
    const reports = async (cause: Cause) => {
      await clock.until(call('spun', 'telemetry', { cause }));
      return Math.round(reportOf('spun').budgetUsedShare * budgetLimits.causedReserveMax);
    };
    assert.equal(await reports(byFunctions), 0); // What comes by itself makes up for it.

    const stops: (BreakerStop | undefined)[] = [];
    const events = { fromOutside: 0 };
    const allowance = new Allowance(() => events.fromOutside, 0);
    const alarms: string[] = [];
    const breaker = new Breaker({
      functionName: 'spun',
      budget: undefined,
      allowance,
      clock,
      alarms: { raise: ({ name }) => void alarms.push(name), clear: () => {} },
      onStopped: stop => stops.push(stop),
    });
    events.fromOutside = 1; // Its events make more events, and those more.
    let invocations = 0;
    while (breaker.state === 'closed' && invocations < 20_000_000) {
      breaker.noteBegin(true);
      invocations++;
    }
    assert.equal(invocations, budgetLimits.causedReserveMax);
    assert.deepEqual([alarms, stops.length], [['functionBudgetNear', 'functionBudgetExceeded'], 1]);
  });
});
