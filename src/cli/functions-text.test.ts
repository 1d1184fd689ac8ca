import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { AppFunctionReport } from '../app/index.ts';
import { lambdaPrices, memoryAdvice } from '../platform/functions/index.ts';
import { functionsText } from './functions-text.ts';

const nothing: AppFunctionReport = {
  functionName: 'idle',
  kind: 'schedule',
  trigger: undefined,
  isIsolated: false,
  running: 0,
  waiting: 0,
  queued: 0,
  concurrencyMax: 1_000,
  isReserved: false,
  invocations: 0,
  errors: 0,
  timeouts: 0,
  throttles: 0,
  stops: 0,
  retries: 0,
  leftBehind: 0,
  strayErrors: 0,
  durationMs: { average: 0, p50: 0, p99: 0, max: 0 },
  coldStarts: { count: 0, averageMs: 0, maxMs: 0 },
  cpuMs: undefined,
  memoryBytesMax: undefined,
  memoryMegabytes: undefined,
  breaker: 'closed',
  budgetUsedShare: 0,
  hasBudget: false,
  advice: undefined,
};

const busy: AppFunctionReport = {
  ...nothing,
  functionName: 'resize',
  kind: 'direct',
  isIsolated: true,
  running: 2,
  queued: 30,
  concurrencyMax: 4,
  invocations: 12_345,
  errors: 3,
  throttles: 7,
  durationMs: { average: 80, p50: 75.3, p99: 4.25, max: 300 },
  coldStarts: { count: 4, averageMs: 180, maxMs: 200 },
  cpuMs: 78,
  memoryBytesMax: 40 * 2 ** 20,
  memoryMegabytes: 128,
  breaker: 'stopped',
  budgetUsedShare: 1,
  hasBudget: true,
  advice: memoryAdvice({ durationMs: 80, cpuMs: 78, memoryBytes: 40 * 2 ** 20 }),
};

describe('what mimamori functions prints', () => {
  it('is what each function does, why one is stopped, and its size on Lambda', () => {
    const text = functionsText({ functions: [nothing, busy], prices: lambdaPrices });
    const [, head, first, second] = text.split('\n');
    assert.match(head, /^ {2}function +for +runs +errors +time-outs +refused +p50 +p99 +now +waiting +budget$/);
    assert.match(first, /^ {2}resize +direct, isolated +12,345 +3 +0 +7 +75 ms +4\.3 ms +2\/4 +30 +100%$/);
    assert.match(second, /^ {2}idle +schedule +0 +0 +0 +0 +- +- +0\/1,000 +0 +-$/);
    assert.match(text, /resize is stopped: .* mimamori functions reset resize/);
    assert.match(text, /resize +processor +1769 MB +80 ms +\$2\.50 +78 ms +40 MB +4 of 180 ms/);
    assert.match(text, /Estimates at list prices .* never a bill\.$/);
  });

  it('cannot be made to print what a terminal would obey', () => {
    const functionName = 'GET /v1/\u001b[2J';
    const text = functionsText({ functions: [{ ...nothing, functionName }], prices: lambdaPrices });
    assert(!text.includes('\u001b'));
  });
});
