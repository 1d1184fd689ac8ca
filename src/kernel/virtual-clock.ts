import type { Clock, Timer } from './clock.ts';

interface PendingTimer {
  readonly dueMs: number;
  readonly order: number;
  readonly run: () => void;
}

/**
 * A clock that moves only when the test says so. Timers run in the order they are due; between two of them every
 * promise that can settle is given the chance to, so a whole day of an app plays in milliseconds, the same each time.
 */
export class VirtualClock implements Clock {
  /** Moves with the time that passes; the wall clock is this and what it was set forward or back by. */
  #nowMs: number;
  #wallAheadMs = 0;
  readonly #startMs: number;
  #order = 0;
  #timers: PendingTimer[] = [];

  constructor(startMs = Date.UTC(2026, 0, 1)) {
    this.#startMs = startMs;
    this.#nowMs = startMs;
  }

  nowMs(): number {
    return this.#nowMs + this.#wallAheadMs;
  }

  monotonicMs(): number {
    return this.#nowMs - this.#startMs;
  }

  setTimer(delayMs: number, run: () => void): Timer {
    const timer: PendingTimer = { dueMs: this.#nowMs + Math.max(0, Math.ceil(delayMs)), order: this.#order++, run };
    this.#timers.push(timer);
    return {
      cancel: () => {
        this.#timers = this.#timers.filter(pending => pending !== timer);
      },
    };
  }

  soon(run: () => void): void {
    this.setTimer(0, run);
  }

  /** Runs what is due now, and what that makes due now, until nothing is left to do at this instant. */
  async settle(): Promise<void> {
    do await untilQuiet();
    while (this.#runNext(this.#nowMs));
  }

  /** Lets `ms` pass, running every timer that falls due on the way at its own instant. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    await this.settle();
    while (this.#runNext(endMs)) await this.settle();
    this.#nowMs = endMs;
    await this.settle();
  }

  /**
   * Time passes to the next timer, if one falls due within `ms`, and it runs. Nothing that it makes possible is waited for:
   * `settle` does that.
   */
  passToNextTimer(ms: number): boolean {
    return this.#runNext(this.#nowMs + ms);
  }

  /** Somebody sets the wall clock forward, or back with a negative number. No time passes, so no timer falls due. */
  jumpWallClock(byMs: number): void {
    this.#wallAheadMs += byMs;
  }

  /** Time passes while nothing runs, as when the machine is suspended: timers that fell due run late, afterwards. */
  async suspend(ms: number): Promise<void> {
    await this.settle();
    this.#nowMs += ms;
    await this.settle();
  }

  /** Moves time just as far as `promise` needs to settle, at most `withinMs`. */
  async until<T>(promise: Promise<T>, withinMs = 3_600_000): Promise<T> {
    let settled = false;
    const watched = promise.finally(() => {
      settled = true;
    });
    watched.catch(() => {}); // The caller gets the rejection from the return below.
    const endMs = this.#nowMs + withinMs;
    let idleTurns = 0;
    for (;;) {
      await this.settle();
      if (settled) return watched;
      if (this.#runNext(endMs)) continue;
      if (++idleTurns > idleTurnsMax) throw new Error(`Nothing left to happen within ${withinMs} virtual ms.`);
      await new Promise(resolve => setTimeout(resolve, 1)); // Something outside, a thread pool say, may still be at work.
    }
  }

  #runNext(notAfterMs: number): boolean {
    let next: PendingTimer | undefined;
    for (const timer of this.#timers) {
      if (timer.dueMs > notAfterMs) continue;
      if (!next || timer.dueMs < next.dueMs || (timer.dueMs === next.dueMs && timer.order < next.order)) next = timer;
    }
    if (!next) return false;
    this.#timers = this.#timers.filter(timer => timer !== next);
    this.#nowMs = Math.max(this.#nowMs, next.dueMs);
    next.run();
    return true;
  }
}

const idleTurnsMax = 1_000;

/** Three turns of the event loop: promises settle, WebCrypto and file callbacks that are already done get delivered. */
async function untilQuiet(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise(resolve => setImmediate(resolve));
}
