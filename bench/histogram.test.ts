import assert from 'node:assert/strict';
import { it } from 'node:test';
import { LatencyHistogram } from './histogram.ts';

it('gives percentiles within 1.6 %, never below the truth', () => {
  for (const scaleMs of [0.001, 0.1, 1, 250, 10_000]) {
    const histogram = new LatencyHistogram();
    for (let i = 1; i <= 1_000; i++) histogram.record((i * scaleMs) / 10);
    for (const percent of [1, 50, 99, 100]) {
      const truth = percent * scaleMs;
      const told = histogram.percentileMs(percent);
      assert(told >= truth * 0.999999, `p${percent} of scale ${scaleMs}: ${told} < ${truth}`);
      assert(told <= truth * 1.017 + 0.0011, `p${percent} of scale ${scaleMs}: ${told} > ${truth}`);
    }
  }
});

it('counts what is longer than it can tell apart as the longest', () => {
  const histogram = new LatencyHistogram();
  histogram.record(1e12);
  assert(histogram.percentileMs(50) > 2_000_000);
});

it('says 0 when nothing was recorded, also after clear', () => {
  const histogram = new LatencyHistogram();
  assert.equal(histogram.percentileMs(99), 0);
  histogram.record(5);
  histogram.clear();
  assert.equal(histogram.percentileMs(99), 0);
});
