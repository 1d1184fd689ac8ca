import assert from 'node:assert/strict';
import { it, mock } from 'node:test';
import { forEachAtOnce, withPatience } from './generator-child.ts';

it('is patient as long as something happens, and complains half a minute after it stopped', async () => {
  mock.timers.enable({ apis: ['setInterval'] });
  let progress = 0;
  let complaints = 0;
  const done = Promise.withResolvers<string>();
  const waiting = withPatience(
    done.promise,
    () => progress,
    () => {
      complaints += 1;
    },
  );
  for (let second = 0; second < 100; second++) {
    if (second % 20 === 0) progress += 1;
    mock.timers.tick(1_000);
  }
  assert.equal(complaints, 0);
  mock.timers.tick(30_000);
  assert.equal(complaints, 1);
  done.resolve('result');
  assert.equal(await waiting, 'result');
  mock.timers.tick(60_000);
  assert.equal(complaints, 1); // it is over
  mock.timers.reset();
});

it('works on every item, on no more than so many at once', async () => {
  const seen: number[] = [];
  let atOnce = 0;
  let atOnceMost = 0;
  await forEachAtOnce([1, 2, 3, 4, 5, 6, 7], 3, async item => {
    atOnce += 1;
    atOnceMost = Math.max(atOnceMost, atOnce);
    await Promise.resolve();
    seen.push(item);
    atOnce -= 1;
  });
  assert.deepEqual(seen, [1, 2, 3, 4, 5, 6, 7]);
  assert.equal(atOnceMost, 3);
});
