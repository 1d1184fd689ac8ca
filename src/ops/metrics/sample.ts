/**
 * What was measured, as everything that shows or sends it takes it. Names are those of Prometheus: base units, and
 * `_total` behind what only grows.
 */
export type Sample = CountSample | DistributionSample;

interface Described {
  readonly name: string;
  /** One sentence. The same for all samples of a name. */
  readonly help: string;
  readonly labels: Readonly<Record<string, string>>;
}

export interface CountSample extends Described {
  /** A counter only grows, until its thread is started again. */
  readonly kind: 'counter' | 'gauge';
  readonly value: number;
}

export interface DistributionSample extends Described {
  readonly kind: 'histogram';
  readonly value: Distribution;
}

export interface Distribution {
  readonly count: number;
  readonly sum: number;
  /** Upper ends of the buckets, inclusive, without the last one, which has none. */
  readonly bounds: readonly number[];
  /** What fell into each bucket alone; one more than bounds. */
  readonly counts: readonly number[];
}

/** Whoever has something to tell. Asked when somebody wants to know; what it throws is its own failure. */
export interface MetricSource {
  collect(): Iterable<Sample> | Promise<Iterable<Sample>>;
}

/** Samples of one name, for whoever makes them one after the other. */
export function counter(name: string, help: string, value: number, labels: Record<string, string> = {}): CountSample {
  return { kind: 'counter', name, help, labels, value };
}

export function gauge(name: string, help: string, value: number, labels: Record<string, string> = {}): CountSample {
  return { kind: 'gauge', name, help, labels, value };
}

/** Seconds. Wide enough for what a function may take, fine enough to see 5 ms become 10. */
export const secondsBounds: readonly number[] = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
];

export class Histogram {
  readonly #bounds: readonly number[];
  readonly #counts: number[];
  #count = 0;
  #sum = 0;

  constructor(bounds: readonly number[] = secondsBounds) {
    this.#bounds = bounds;
    this.#counts = new Array<number>(bounds.length + 1).fill(0);
  }

  observe(value: number): void {
    let bucket = 0;
    while (bucket < this.#bounds.length && value > this.#bounds[bucket]) bucket++;
    this.#counts[bucket]++;
    this.#count++;
    this.#sum += value;
  }

  value(): Distribution {
    return { count: this.#count, sum: this.#sum, bounds: this.#bounds, counts: [...this.#counts] };
  }
}

/** What so large a part of the values was at most, to the end of the bucket it lies in; undefined when there are none. */
export function quantile({ count, bounds, counts }: Distribution, part: number): number | undefined {
  if (count === 0) return undefined;
  let passed = 0;
  for (const [bucket, inIt] of counts.entries()) {
    passed += inIt;
    if (passed >= part * count) return bounds[bucket] ?? Number.POSITIVE_INFINITY;
  }
  return Number.POSITIVE_INFINITY;
}
