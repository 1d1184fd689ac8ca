/**
 * Things that fall due, by the second: one bucket per second instead of one timer per thing. Times are the monotonic
 * clock's, so that a jump of the wall clock lets nothing fall due (hostile C01).
 */
export class DueQueue<T> {
  readonly #buckets = new Map<number, Set<T>>();
  readonly #dueSeconds = new Map<T, number>();
  #lastSecond: number;
  /** The first second that has something, as far as it is known. */
  #earliest = Number.POSITIVE_INFINITY;

  constructor(nowMs: number) {
    this.#lastSecond = Math.floor(nowMs / 1_000) - 1;
  }

  get size(): number {
    return this.#dueSeconds.size;
  }

  /** Sets when `item` falls due; what was set before counts no more. Never early, up to a second late. */
  set(item: T, dueAtMs: number): void {
    this.delete(item);
    const second = Math.max(Math.ceil(dueAtMs / 1_000), this.#lastSecond + 1);
    if (!Number.isFinite(second)) return; // Never.
    const bucket = this.#buckets.get(second);
    if (bucket) bucket.add(item);
    else this.#buckets.set(second, new Set([item]));
    this.#dueSeconds.set(item, second);
    if (second < this.#earliest) this.#earliest = second;
  }

  /** Content when it was not there. */
  delete(item: T): void {
    const second = this.#dueSeconds.get(item);
    if (second === undefined) return;
    this.#dueSeconds.delete(item);
    const bucket = this.#buckets.get(second);
    bucket?.delete(item);
    if (bucket?.size === 0) this.#buckets.delete(second);
  }

  /** The one set longest ago; undefined when there is none. */
  oldest(): T | undefined {
    return this.#dueSeconds.keys().next().value;
  }

  /** One of those that fall due next; undefined when there is none. Looks at all seconds once per second that is used up. */
  next(): T | undefined {
    if (!this.#buckets.has(this.#earliest)) {
      this.#earliest = Number.POSITIVE_INFINITY;
      for (const second of this.#buckets.keys()) if (second < this.#earliest) this.#earliest = second;
    }
    return this.#buckets.get(this.#earliest)?.values().next().value;
  }

  /** Takes out and gives what is due, earliest first. */
  take(nowMs: number): T[] {
    const nowSecond = Math.floor(nowMs / 1_000);
    const due: T[] = [];
    // After a long pause it is cheaper to look at the buckets there are than at every second that has passed.
    const seconds =
      nowSecond - this.#lastSecond > this.#buckets.size
        ? [...this.#buckets.keys()].filter(second => second <= nowSecond).sort((left, right) => left - right)
        : Array.from({ length: Math.max(nowSecond - this.#lastSecond, 0) }, (_, n) => this.#lastSecond + 1 + n);
    for (const second of seconds) {
      for (const item of this.#buckets.get(second) ?? []) {
        this.#dueSeconds.delete(item);
        due.push(item);
      }
      this.#buckets.delete(second);
    }
    this.#lastSecond = Math.max(nowSecond, this.#lastSecond);
    return due;
  }
}
