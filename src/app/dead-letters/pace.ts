import { type Clock, delay } from '../../kernel/clock.ts';

/** Lets so many pass in a second, one after the other, however many ask at once. */
export class Pace {
  readonly #clock: Clock;
  readonly #everyMs: number;
  #nextMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock, perSecond: number) {
    this.#clock = clock;
    this.#everyMs = 1_000 / perSecond;
  }

  /** Resolves when it is the caller's turn, or at once when `signal` aborts. */
  async next(signal: AbortSignal): Promise<void> {
    const nowMs = this.#clock.monotonicMs();
    const atMs = Math.max(this.#nextMs, nowMs);
    this.#nextMs = atMs + this.#everyMs;
    if (atMs > nowMs) await delay(this.#clock, atMs - nowMs, signal);
  }
}
