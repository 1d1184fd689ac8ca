/**
 * Moves the virtual clock of an app. One moves it at a time; whoever waits for something meanwhile rides along. Between
 * two timers everything that can happen happens, and handlers that wait for the world outside are waited for.
 */
import type { VirtualClock } from '../../kernel/virtual-clock.ts';
import { neverHappened, notIdle, optionsNotValid } from '../errors.ts';
import { testingLimits } from '../limits.ts';
import type { Activity } from './activity.ts';

export interface TestTimeOptions {
  readonly clock: VirtualClock;
  readonly activity: () => Activity;
  /** Throws what went wrong meanwhile without anybody having been there to be told. */
  readonly throwProblems: () => void;
}

export class TestTime {
  readonly #options: TestTimeOptions;
  #moving: Promise<void> | undefined;

  constructor(options: TestTimeOptions) {
    this.#options = options;
  }

  /** Moves time just as far as `work` needs. Rejects with `testing.neverHappened` when `withinMs` are over. */
  async until<T>(what: string, work: Promise<T>, withinMs: number = testingLimits.happenMsMax): Promise<T> {
    let isSettled = false;
    const watched = work.finally(() => {
      isSettled = true;
    });
    const settled = watched.then(nothing, nothing); // The caller gets the rejection from the return below.
    while (!isSettled) {
      if (this.#moving) await Promise.race([this.#moving, settled]);
      else await this.#alone(() => this.#moveUntil(what, () => isSettled, withinMs));
    }
    return watched;
  }

  /** Moves time until `isDone`, at most `withinMs`; false when it is not done then. */
  async untilTrue(isDone: () => boolean, withinMs: number): Promise<boolean> {
    await this.#exclusively(async () => {
      const { clock } = this.#options;
      const endMs = clock.monotonicMs() + withinMs;
      do await this.settle();
      while (!isDone() && clock.passToNextTimer(endMs - clock.monotonicMs()));
    });
    return isDone();
  }

  /** Runs what moves the clock by itself, while nobody else does. */
  async alone<T>(work: () => Promise<T>): Promise<T> {
    const done: T[] = [];
    await this.#exclusively(async () => void done.push(await work()));
    return done[0];
  }

  async advance(ms: number): Promise<void> {
    await this.#exclusively(() => this.#pass(ms));
    this.#options.throwProblems();
  }

  async runUntilIdle(withinMs: number): Promise<void> {
    await this.#exclusively(() => this.#moveUntilIdle(withinMs));
    this.#options.throwProblems();
  }

  /** Moves no time forward, but lets everything happen that can happen now. */
  async settle(): Promise<void> {
    const { clock, activity } = this.#options;
    await clock.settle();
    const untilMs = performance.now() + testingLimits.outsideWaitMsMax;
    while (activity().waitsOutside) {
      if (performance.now() > untilMs) return activity().giveUpOutside();
      await realMillisecond();
      await clock.settle();
    }
  }

  async #exclusively(work: () => Promise<void>): Promise<void> {
    while (this.#moving) await this.#moving;
    await this.#alone(work);
  }

  async #alone(work: () => Promise<void>): Promise<void> {
    const moving = work().finally(() => {
      this.#moving = undefined;
    });
    this.#moving = moving.catch(nothing); // Who rides along is not told of it.
    await moving;
  }

  async #moveUntil(what: string, isDone: () => boolean, withinMs: number): Promise<void> {
    const { clock, activity } = this.#options;
    const endMs = clock.monotonicMs() + withinMs;
    for (let idleTurns = 0; ; ) {
      await this.settle();
      if (isDone()) return;
      if (clock.passToNextTimer(endMs - clock.monotonicMs())) continue;
      if (++idleTurns > testingLimits.idleTurnsMax) throw neverHappened(what, withinMs, activity().busy());
      await realMillisecond(); // Something outside, a thread pool say, may still be at work.
    }
  }

  async #pass(ms: number): Promise<void> {
    if (!(Number.isFinite(ms) && ms >= 0))
      throw optionsNotValid(`Time cannot pass for ${ms} ms.`, 'Give a later time.');
    const { clock } = this.#options;
    const endMs = clock.monotonicMs() + ms;
    do await this.settle();
    while (clock.passToNextTimer(endMs - clock.monotonicMs()));
    await clock.advance(Math.max(0, endMs - clock.monotonicMs()));
    await this.settle();
  }

  async #moveUntilIdle(withinMs: number): Promise<void> {
    const { clock, activity, throwProblems } = this.#options;
    const endMs = clock.monotonicMs() + withinMs;
    for (;;) {
      await this.settle();
      throwProblems();
      const busy = activity().busy();
      const lagMs = activity().indexesLagUntilMs - clock.monotonicMs();
      if (busy.length === 0 && lagMs <= 0) return;
      const leftMs = endMs - clock.monotonicMs();
      if (busy.length === 0 && lagMs <= leftMs) {
        if (!clock.passToNextTimer(lagMs)) await clock.advance(lagMs);
      } else if (!clock.passToNextTimer(leftMs)) throw notIdle(withinMs, busy);
    }
  }
}

function nothing(): void {}

function realMillisecond(): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, 1));
}
