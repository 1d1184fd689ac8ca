import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { TokenBucket } from './token-bucket.ts';

describe('a token bucket', () => {
  it('lets through a burst, and then the rate', () => {
    const bucket = new TokenBucket(10, 0);
    let taken = 0;
    for (let n = 0; n < 100; n++) if (bucket.take(0)) taken++;
    assert.equal(taken, 10);
    assert.equal(bucket.waitMs(0), 100);
    for (let nowMs = 1; nowMs <= 10_000; nowMs++) if (bucket.take(nowMs)) taken++;
    assert(taken >= 109 && taken <= 110, `${taken}`);
    assert(!new TokenBucket(1, 5_000).take(0, 2) === false); // Time that goes back takes nothing away.
  });

  it('lets a large one leave a debt that the next ones wait for', () => {
    const bucket = new TokenBucket(100, 0);
    assert(bucket.take(0, 300));
    assert(!bucket.take(1_000));
    assert(!bucket.take(2_000));
    assert(bucket.take(2_010));
  });

  it('never refuses at an infinite rate', () => {
    const bucket = new TokenBucket(Number.POSITIVE_INFINITY, 0);
    for (let n = 0; n < 1_000; n++) assert(bucket.take(0, 1e9));
    assert.equal(bucket.waitMs(0), 0);
  });
});
