import type { Clock, Timer } from '../../kernel/clock.ts';

const pauseMsMin = 2_000; // ours: the gateway asks at least once a second; what takes longer is no delay but a pause

/**
 * A clock whose monotonic time stands still while the process does: suspended, stopped, blocked. By it connections
 * measure how long a client was silent or slow, so that after an hour of sleep nobody is ended for what could not be
 * heard (hostile C02). A pause is noticed because `monotonicMs` was not asked for so long: ask it every second.
 */
export class AwakeClock implements Clock {
  readonly #clock: Clock;
  #askedAtMs: number;
  #sleptMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#askedAtMs = clock.monotonicMs();
  }

  nowMs(): number {
    return this.#clock.nowMs();
  }

  monotonicMs(): number {
    const nowMs = this.#clock.monotonicMs();
    const passedMs = nowMs - this.#askedAtMs;
    if (passedMs > pauseMsMin) this.#sleptMs += passedMs;
    this.#askedAtMs = nowMs;
    return nowMs - this.#sleptMs;
  }

  setTimer(delayMs: number, run: () => void): Timer {
    return this.#clock.setTimer(delayMs, run);
  }

  soon(run: () => void): void {
    this.#clock.soon(run);
  }
}
