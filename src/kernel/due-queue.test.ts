import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { DueQueue } from './due-queue.ts';

describe('a due queue', () => {
  it('gives each thing once, not early and at most a second late', () => {
    const steps = fc.array(
      fc.oneof(
        fc.record({ item: fc.nat(20), inMs: fc.nat(10_000) }),
        fc.record({ drop: fc.nat(20) }),
        fc.record({ passMs: fc.nat(5_000) }),
        fc.record({ passMs: fc.integer({ min: 100_000, max: 1_000_000 }) }),
      ),
    );
    fc.assert(
      fc.property(steps, all => {
        let nowMs = 12_345;
        const queue = new DueQueue<number>(nowMs);
        const model = new Map<number, number>();
        for (const step of all) {
          if ('item' in step) {
            queue.set(step.item, nowMs + step.inMs);
            model.set(step.item, nowMs + step.inMs);
          } else if ('drop' in step) {
            queue.delete(step.drop);
            model.delete(step.drop);
          } else {
            nowMs += step.passMs;
            for (const item of queue.take(nowMs)) {
              const dueAtMs = model.get(item);
              assert(dueAtMs !== undefined && dueAtMs <= nowMs);
              model.delete(item);
            }
            for (const dueAtMs of model.values()) assert(dueAtMs > nowMs - 1_000);
          }
          assert.equal(queue.size, model.size);
          const next = queue.next();
          const second = (item: number) => Math.ceil((model.get(item) ?? 0) / 1_000);
          const earliest = Math.min(...[...model.keys()].map(second));
          if (next === undefined) assert.equal(model.size, 0);
          else assert(second(next) <= Math.max(earliest, Math.floor(nowMs / 1_000) + 1));
        }
      }),
    );
  });

  it('keeps for ever what is never due', () => {
    const queue = new DueQueue<string>(0);
    queue.set('never', Number.POSITIVE_INFINITY);
    assert.deepEqual(queue.take(1e12), []);
  });
});
