import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Alarm } from '../../kernel/alarms.ts';
import { causeLimits, fromOutside } from '../../kernel/causes.ts';
import { LoopGuard } from '../../platform/functions/index.ts';
import { streamTrigger } from './stream-trigger.ts';

describe('what a record means to a function', () => {
  it('can be asked without an alarm for a loop, which was raised when the record came', () => {
    const alarms: Alarm[] = [];
    const loopGuard = new LoopGuard({ alarms: { raise: alarm => void alarms.push(alarm), clear: () => {} } });
    const event = { cause: { ...fromOutside('a'), depth: causeLimits.depthMax, path: ['again'] } };
    const { select, meaningOf } = streamTrigger(
      {
        functionName: 'again',
        trigger: 'telemetry',
        options: {},
        handler: { each: async () => {} },
        select: () => event,
      },
      { loopGuard, invoke: (_call, work) => work({}) },
    );
    const record = { sequenceNumber: 1n, partitionKey: 'k', data: Buffer.alloc(0), arrivalAtMs: 0 };
    assert.equal(meaningOf?.(record), event);
    assert.deepEqual(alarms, []);
    assert.throws(() => select(record), { code: 'function.loop' });
    assert.equal(alarms.length, 1);
  });
});
