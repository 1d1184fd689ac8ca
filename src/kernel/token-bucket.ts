/**
 * Lets through `perSecond` on average, and what `burstSeconds` bring at once (default: one). An infinite rate lets
 * everything through.
 */
export class TokenBucket {
  readonly #perSecond: number;
  readonly #tokensMax: number;
  #tokens: number;
  #filledAtMs: number;

  constructor(perSecond: number, nowMs: number, burstSeconds = 1) {
    this.#perSecond = perSecond;
    this.#tokensMax = perSecond * burstSeconds;
    this.#tokens = this.#tokensMax;
    this.#filledAtMs = nowMs;
  }

  /** Takes `count` if there is at least one; a large one may leave a debt, which later ones wait for. */
  take(nowMs: number, count = 1): boolean {
    if (this.#perSecond === Number.POSITIVE_INFINITY) return true;
    this.#fill(nowMs);
    if (this.#tokens < Math.min(count, 1)) return false;
    this.#tokens -= count;
    return true;
  }

  /** Whether there is anything left: for work whose cost is known only afterwards. */
  hasAny(nowMs: number): boolean {
    if (this.#perSecond === Number.POSITIVE_INFINITY) return true;
    this.#fill(nowMs);
    return this.#tokens > 0;
  }

  /** Takes what the work has cost; may leave a debt. */
  charge(nowMs: number, count: number): void {
    this.#fill(nowMs);
    this.#tokens -= count;
  }

  /** Milliseconds until `take` can succeed. */
  waitMs(nowMs: number): number {
    if (this.#perSecond === Number.POSITIVE_INFINITY) return 0;
    this.#fill(nowMs);
    return this.#tokens >= 1 ? 0 : Math.ceil(((1 - this.#tokens) * 1_000) / this.#perSecond);
  }

  #fill(nowMs: number): void {
    const elapsedMs = Math.max(nowMs - this.#filledAtMs, 0);
    this.#tokens = Math.min(this.#tokens + (elapsedMs * this.#perSecond) / 1_000, this.#tokensMax);
    this.#filledAtMs = nowMs;
  }
}
