/**
 * Percentiles of any number of values in a few kilobytes: DDSketch [Masson, Rim, Lee 2019]. Values are counted in buckets
 * whose bounds grow geometrically, so that a quantile is off by at most `accuracy` of its own value. A plain value; merging
 * is adding up, in any order.
 */
import { sampleNotValid } from '../errors.ts';
import { aggregateLimits } from './limits.ts';

export interface QuantileSketch {
  readonly accuracy: number;
  readonly count: number;
  readonly zeros: number;
  /** Bucket number and count, by number; `negative` by the numbers of the absolute values. */
  readonly positive: readonly Bucket[];
  readonly negative: readonly Bucket[];
}

type Bucket = readonly [index: number, count: number];

const smallest = 1e-300; // What is nearer to zero counts as zero: its logarithm would have no room.

/** Throws `stream.sampleNotValid`. */
export function sketchOf(values: Iterable<number>, accuracy: number = aggregateLimits.sketchAccuracy): QuantileSketch {
  if (!(accuracy > 0 && accuracy < 1)) throw sampleNotValid(accuracy, 'an accuracy between 0 and 1');
  const logGamma = logGammaOf(accuracy);
  const positive = new Map<number, number>();
  const negative = new Map<number, number>();
  let count = 0;
  let zeros = 0;
  for (const value of values) {
    if (!Number.isFinite(value)) throw sampleNotValid(value, 'a finite number');
    count++;
    const size = Math.abs(value);
    if (size < smallest) zeros++;
    else {
      const buckets = value > 0 ? positive : negative;
      const index = Math.ceil(Math.log(size) / logGamma);
      buckets.set(index, (buckets.get(index) ?? 0) + 1);
    }
  }
  return { accuracy, count, zeros, positive: bounded([...positive]), negative: bounded([...negative]) };
}

/** Both must have been made with one accuracy. */
export function mergeSketches(left: QuantileSketch, right: QuantileSketch): QuantileSketch {
  if (left.accuracy !== right.accuracy)
    throw sampleNotValid(right.accuracy, `an accuracy of ${left.accuracy}, as the other's`);
  return {
    accuracy: left.accuracy,
    count: left.count + right.count,
    zeros: left.zeros + right.zeros,
    positive: bounded([...left.positive, ...right.positive]),
    negative: bounded([...left.negative, ...right.negative]),
  };
}

/** The value that a share `quantile` (0 to 1) of all values does not exceed; undefined of nothing. */
export function quantileOf(sketch: QuantileSketch, quantile: number): number | undefined {
  const { accuracy, count, zeros, positive, negative } = sketch;
  if (!(quantile >= 0 && quantile <= 1)) throw sampleNotValid(quantile, 'a share between 0 and 1');
  if (count === 0) return undefined;
  let rest = Math.floor(quantile * (count - 1)) + 1; // How many values, from the least on.
  for (const [index, inBucket] of negative.toReversed()) {
    rest -= inBucket;
    if (rest <= 0) return -middleOf(index, accuracy);
  }
  rest -= zeros;
  if (rest <= 0) return 0;
  for (const [index, inBucket] of positive) {
    rest -= inBucket;
    if (rest <= 0) return middleOf(index, accuracy);
  }
  return undefined; // Not of a sketch made here: its counts do not add up.
}

function logGammaOf(accuracy: number): number {
  return Math.log((1 + accuracy) / (1 - accuracy));
}

/** The value that is nearest, in proportion, to everything in a bucket. */
function middleOf(index: number, accuracy: number): number {
  const logGamma = logGammaOf(accuracy);
  return 2 * Math.exp(index * logGamma - Math.log1p(Math.exp(logGamma)));
}

/** By number, each once; when there are too many, the lowest are put together, as high quantiles are what is asked for. */
function bounded(buckets: Bucket[]): Bucket[] {
  const sorted = buckets.sort(([left], [right]) => left - right);
  const merged: [number, number][] = [];
  for (const [index, count] of sorted) {
    const last = merged.at(-1);
    if (last?.[0] === index) last[1] += count;
    else merged.push([index, count]);
  }
  const surplus = merged.length - aggregateLimits.sketchBucketsMax;
  if (surplus <= 0) return merged;
  const together = merged.slice(0, surplus + 1).reduce((sum, [, count]) => sum + count, 0);
  return [[merged[surplus][0], together], ...merged.slice(surplus + 1)];
}
