import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { VirtualClock } from './virtual-clock.ts';

describe('a virtual clock', () => {
  it('has a wall clock that jumps without any time passing', async () => {
    const clock = new VirtualClock(1_000_000);
    const seen: number[] = [];
    clock.setTimer(10, () => seen.push(clock.monotonicMs()));
    for (const byMs of [86_400_000, -3 * 86_400_000]) {
      const [wallMs, monotonicMs] = [clock.nowMs(), clock.monotonicMs()];
      clock.jumpWallClock(byMs);
      assert.deepEqual([clock.nowMs(), clock.monotonicMs()], [wallMs + byMs, monotonicMs]);
    }
    await clock.settle();
    assert.deepEqual(seen, []);
    await clock.advance(10);
    assert.deepEqual(seen, [10]);
    assert.equal(clock.nowMs(), 1_000_010 - 2 * 86_400_000);
  });

  it('runs what fell due while it was suspended afterwards, late and in order', async () => {
    const clock = new VirtualClock();
    const seen: string[] = [];
    const note = (name: string) => () => seen.push(`${name} ${clock.monotonicMs()}`);
    clock.setTimer(50, note('second'));
    clock.setTimer(20, note('first'));
    clock.setTimer(5_000, note('not yet'));
    await clock.suspend(1_000);
    assert.deepEqual(seen, ['first 1000', 'second 1000']);
    await clock.advance(4_000);
    assert.deepEqual(seen.at(-1), 'not yet 5000');
  });
});
