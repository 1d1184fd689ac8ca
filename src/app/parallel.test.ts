import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { delay } from '../kernel/clock.ts';
import { seededRandom } from '../kernel/random.ts';
import { VirtualClock } from '../kernel/virtual-clock.ts';
import { inParallel } from './parallel.ts';

const throttled = () => Object.assign(new Error('Too fast'), { name: 'ProvisionedThroughputExceededException' });

describe('work in parallel (covers S1-25)', () => {
  const clock = new VirtualClock();
  const random = seededRandom(25);
  const items = Array.from({ length: 200 }, (_, index) => index);

  it('completes 200 reads of which 10 are throttled, in order, never more at once than allowed', async () => {
    const toThrottle = new Map(items.filter(item => item % 20 === 0).map(item => [item, 3]));
    let underWay = 0;
    let most = 0;
    const read = async (item: number) => {
      most = Math.max(most, ++underWay);
      await delay(clock, 5);
      underWay--;
      const left = toThrottle.get(item) ?? 0;
      toThrottle.set(item, left - 1);
      if (left > 0) throw throttled();
      return item * 2;
    };
    const settled = await clock.until(inParallel(items, read, { clock, random, concurrency: 20 }));
    assert.deepEqual(
      settled.map(each => each.isDone && each.result),
      items.map(item => item * 2),
    );
    assert.equal(most, 20);
  });

  it('tells what failed beside what succeeded, and tries no mistake again', async () => {
    const attempts = new Map<number, number>();
    const work = async (item: number) => {
      attempts.set(item, (attempts.get(item) ?? 0) + 1);
      if (item === 3) throw new TypeError('a mistake');
      if (item === 5) throw throttled();
      return item;
    };
    const options = { clock, random, retry: { attemptsMax: 4 } };
    const settled = await clock.until(inParallel(items.slice(0, 8), work, options));
    assert.deepEqual(
      settled.map(each => (each.isDone ? each.result : String(each.error))),
      [0, 1, 2, 'TypeError: a mistake', 4, 'ProvisionedThroughputExceededException: Too fast', 6, 7],
    );
    assert.deepEqual([attempts.get(3), attempts.get(5)], [1, 4]);
    assert.deepEqual(await clock.until(inParallel([], work, options)), []);
  });
});
