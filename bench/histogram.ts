// Latencies counted in fixed memory: 64 buckets per power of two, so a percentile is right to 1.6 %.

const subBuckets = 64;
const microsMax = 2 ** 31 - 1; // 35 minutes; longer counts as this
const bucketsMax = 25 * subBuckets + subBuckets; // enough for microsMax

export class LatencyHistogram {
  readonly #counts = new Float64Array(bucketsMax);
  #total = 0;

  clear(): void {
    this.#counts.fill(0);
    this.#total = 0;
  }

  record(latencyMs: number): void {
    this.#counts[bucketOf(Math.min(latencyMs * 1_000, microsMax) | 0)] += 1;
    this.#total += 1;
  }

  /** The upper end of the bucket that holds the percentile, so that rounding never flatters; 0 when empty. */
  percentileMs(percent: number): number {
    const wanted = Math.ceil((this.#total * percent) / 100);
    let seen = 0;
    for (let bucket = 0; bucket < bucketsMax && wanted > 0; bucket++) {
      seen += this.#counts[bucket] ?? 0;
      if (seen >= wanted) return (upperEndOf(bucket) + 1) / 1_000;
    }
    return 0;
  }
}

/** Below 128 µs each has its bucket; above, the leading 7 bits choose it. */
function bucketOf(micros: number): number {
  const shift = Math.max(0, 25 - Math.clz32(micros));
  return shift * subBuckets + (micros >>> shift);
}

function upperEndOf(bucket: number): number {
  const shift = Math.max(0, Math.floor(bucket / subBuckets) - 1);
  return (bucket - shift * subBuckets + 1) * 2 ** shift - 1;
}
