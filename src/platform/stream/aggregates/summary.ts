/** Count, sum, least and greatest of numbers: a plain value, merged in any order to the same result. */
import { sampleNotValid } from '../errors.ts';

export interface Summary {
  readonly count: number;
  /** What `sum` rounds off, so that a day of small values does not vanish beside a large one [Neumaier]. */
  readonly sum: number;
  readonly carry: number;
  /** Absent in a summary of nothing. */
  readonly min?: number;
  readonly max?: number;
}

export const emptySummary: Summary = { count: 0, sum: 0, carry: 0 };

/** Throws `stream.sampleNotValid`. */
export function summaryOf(values: Iterable<number>): Summary {
  let [count, sum, carry] = [0, 0, 0];
  let [min, max] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of values) {
    if (!Number.isFinite(value)) throw sampleNotValid(value, 'a finite number');
    count++;
    carry += roundedOff(sum, value);
    sum += value;
    if (value < min) min = value;
    if (value > max) max = value;
  }
  return count === 0 ? emptySummary : { count, sum, carry, min, max };
}

export function mergeSummaries(left: Summary, right: Summary): Summary {
  if (left.count === 0) return right;
  if (right.count === 0) return left;
  return {
    count: left.count + right.count,
    sum: left.sum + right.sum,
    carry: left.carry + right.carry + roundedOff(left.sum, right.sum),
    min: Math.min(left.min ?? Number.POSITIVE_INFINITY, right.min ?? Number.POSITIVE_INFINITY),
    max: Math.max(left.max ?? Number.NEGATIVE_INFINITY, right.max ?? Number.NEGATIVE_INFINITY),
  };
}

export function totalOf({ sum, carry }: Summary): number {
  return sum + carry;
}

/** Undefined of nothing. */
export function meanOf(summary: Summary): number | undefined {
  return summary.count === 0 ? undefined : totalOf(summary) / summary.count;
}

/** What is lost in the addition of two doubles. */
function roundedOff(left: number, right: number): number {
  const sum = left + right;
  return Math.abs(left) >= Math.abs(right) ? left - sum + right : right - sum + left;
}
