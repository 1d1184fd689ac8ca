/** Time, handed in: the wall clock for what is stored, the monotonic clock for how long something takes. */
export interface Clock {
  /** Unix epoch milliseconds. May jump when the machine's clock is set. */
  nowMs(): number;
  /** Milliseconds from an arbitrary start; never goes back. */
  monotonicMs(): number;
  /** Runs `run` once after `delayMs` (any non-negative number; fractions are rounded up). */
  setTimer(delayMs: number, run: () => void): Timer;
  /** Runs `run` once after the input that is ready now, so that what it brings can be handled together. */
  soon(run: () => void): void;
}

export interface Timer {
  /** Content if the timer has already run. */
  cancel(): void;
  /** The process may end before it has run. Absent where nothing waits for timers. */
  unref?(): void;
}

/** Node fires a longer timeout at once, so longer ones are chained. Source: Node.js "setTimeout", TIMEOUT_MAX. */
const nodeTimeoutMsMax = 2 ** 31 - 1;

class SystemTimer implements Timer {
  #handle: NodeJS.Timeout;
  #isAwaited = true;

  constructor(delayMs: number, run: () => void) {
    this.#handle = this.#arm(Math.ceil(delayMs), run);
  }

  #arm(remainingMs: number, run: () => void): NodeJS.Timeout {
    if (remainingMs <= nodeTimeoutMsMax) return setTimeout(run, remainingMs);
    return setTimeout(() => {
      this.#handle = this.#arm(remainingMs - nodeTimeoutMsMax, run);
      if (!this.#isAwaited) this.#handle.unref();
    }, nodeTimeoutMsMax);
  }

  cancel(): void {
    clearTimeout(this.#handle);
  }

  unref(): void {
    this.#isAwaited = false;
    this.#handle.unref();
  }
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  setTimer: (delayMs, run) => new SystemTimer(delayMs, run),
  soon: run => void setImmediate(run),
};

/** Resolves after `delayMs` on `clock`, or at once when `signal` aborts. */
export function delay(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal?.aborted) return resolve();
    const done = () => {
      timer.cancel();
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = clock.setTimer(delayMs, done);
    signal?.addEventListener('abort', done);
  });
}
