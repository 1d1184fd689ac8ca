import type { Clock } from '../../../kernel/clock.ts';

/**
 * Wakes whoever waits for something to have changed. Each looks for itself whether it can go on, and waits in the same
 * turn if it cannot, so that no ring is missed.
 */
export class Bell {
  readonly #clock: Clock;
  #waiting: (() => void)[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  ring(): void {
    const waiting = this.#waiting;
    if (waiting.length === 0) return;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }

  /** Resolves at the next ring, or when the monotonic clock shows `untilMs`. */
  wait(untilMs = Number.POSITIVE_INFINITY): Promise<void> {
    return new Promise(resolve => {
      if (untilMs === Number.POSITIVE_INFINITY) {
        this.#waiting.push(resolve);
        return;
      }
      const timer = this.#clock.setTimer(Math.max(0, untilMs - this.#clock.monotonicMs()), () => this.ring());
      this.#waiting.push(() => {
        timer.cancel();
        resolve();
      });
    });
  }
}
