/**
 * How long things took, in a bounded number of counts: each is for durations up to a ninth longer than those of the one
 * before. A percentile is therefore right to within a ninth, whatever the number of durations.
 */
const stepsPerDoubling = 6;
const leastMs = 0.01;
const doublings = 27; // up to 22 minutes, above the longest time-out

export class DurationHistogram {
  readonly #counts = new Uint32Array(stepsPerDoubling * doublings + 1);
  #count = 0;
  #sumMs = 0;
  #maxMs = 0;

  add(durationMs: number): void {
    const step = Math.ceil(Math.log2(Math.max(durationMs, leastMs) / leastMs) * stepsPerDoubling);
    this.#counts[Math.min(step, this.#counts.length - 1)]++;
    this.#count++;
    this.#sumMs += durationMs;
    this.#maxMs = Math.max(this.#maxMs, durationMs);
  }

  get count(): number {
    return this.#count;
  }

  get averageMs(): number {
    return this.#count === 0 ? 0 : this.#sumMs / this.#count;
  }

  get maxMs(): number {
    return this.#maxMs;
  }

  /** So that the given share of all were not longer. 0 when there is none. @param share  0 to 1 */
  percentileMs(share: number): number {
    const rank = Math.max(1, Math.ceil(this.#count * share));
    let seen = 0;
    for (const [step, count] of this.#counts.entries()) {
      seen += count;
      if (count > 0 && seen >= rank) return Math.min(leastMs * 2 ** (step / stepsPerDoubling), this.#maxMs);
    }
    return 0;
  }
}
