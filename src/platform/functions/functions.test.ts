import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { currentCaller } from '../../kernel/callers.ts';
import { fromOutside } from '../../kernel/causes.ts';
import { delay } from '../../kernel/clock.ts';
import type { Log } from '../../kernel/log.ts';
import { VirtualClock } from '../../kernel/virtual-clock.ts';
import { Invocations } from './index.ts';
import { type InvokeOptions, invoke } from './invoke.ts';

const callOf = (functionName: string, clock: VirtualClock, timeoutMs?: number): InvokeOptions => ({
  call: { functionName, trigger: 'direct', cause: fromOutside('a test'), timeoutMs },
  requestId: 'request-1',
  clock,
});

describe('an invocation', () => {
  it('is who its calls are made for, also after waiting, and forgets whom it was called by', async () => {
    const clock = new VirtualClock();
    const inner = () =>
      invoke(callOf('inner', clock), async () => {
        await delay(clock, 5);
        return currentCaller();
      });
    const outer = invoke(callOf('outer', clock), async () => [await inner(), currentCaller()]);
    const [called, calling] = await clock.until(outer);
    assert.deepEqual([called?.functionName, calling?.functionName], ['inner', 'outer']);
    assert.notEqual(called?.calls, calling?.calls);
    assert.equal(currentCaller(), undefined);
  });

  it('tells what it has used once, before its answer: when it ends, when it fails, when its time is over', async () => {
    const clock = new VirtualClock();
    const ended: string[] = [];
    const run = (functionName: string, work: () => Promise<unknown>) =>
      clock.until(
        invoke({ ...callOf(functionName, clock, 100), onEnd: calls => ended.push(calls.functionName) }, work).then(
          () => ended.push('answered'),
          error => ended.push(error.code ?? error.message),
        ),
      );
    await run('good', async () => {});
    await run('bad', () => {
      throw new Error('failed');
    });
    await run('slow', () => delay(clock, 200));
    await clock.advance(1_000);
    assert.deepEqual(ended, ['good', 'answered', 'bad', 'failed', 'slow', 'function.timedOut']);
  });
});

describe('what invocations use', () => {
  it('is added up by function, the one that used most first, and traced when asked', async () => {
    const clock = new VirtualClock();
    const lines: object[] = [];
    const log: Log = { info: facts => void lines.push(facts), warn: assert.fail, error: assert.fail };
    const invocations = new Invocations({ log, traces: true });
    const use = (functionName: string, units: number) =>
      invoke({ ...callOf(functionName, clock), onEnd: calls => invocations.note(calls) }, async () => {
        currentCaller()?.calls?.noteCall();
        currentCaller()?.calls?.noteUnits('write', units);
      });
    await use('small', 1);
    await use('large', 5);
    await use('small', 2);
    assert.deepEqual(invocations.functions(), [
      { functionName: 'large', invocations: 1, calls: 1, readUnits: 0, writeUnits: 5 },
      { functionName: 'small', invocations: 2, calls: 2, readUnits: 0, writeUnits: 3 },
    ]);
    assert.deepEqual(lines[1], { functionName: 'large', calls: 1, readUnits: 0, writeUnits: 5 });
  });
});
