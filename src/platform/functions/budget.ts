/** What a function has used of what it may use: of a declared budget by the minute, or of the allowance that all have. */
import { budgetLimits } from './limits.ts';
import type { FunctionBudget } from './port.ts';

/** Counts anew each minute, which begins with the first invocation after the last one's end. */
export class Budget {
  readonly resume: 'nextMinute' | 'manual';
  readonly #invocationsMax: number;
  readonly #computeMsMax: number;
  #endsAtMs = 0;
  #invocations = 0;
  #computeMs = 0;

  constructor(budget: FunctionBudget) {
    const { resume = 'nextMinute', invocationsPerMinuteMax, computeMsPerMinuteMax } = budget;
    this.resume = resume;
    this.#invocationsMax = invocationsPerMinuteMax ?? Number.POSITIVE_INFINITY;
    this.#computeMsMax = computeMsPerMinuteMax ?? Number.POSITIVE_INFINITY;
  }

  noteInvocation(nowMs: number): void {
    this.#turn(nowMs);
    this.#invocations++;
  }

  /** Counted when it ends: what is under way when a budget is used up is let finish. */
  noteCompute(nowMs: number, durationMs: number): void {
    this.#turn(nowMs);
    this.#computeMs += durationMs;
  }

  usedShare(nowMs: number): number {
    this.#turn(nowMs);
    return Math.max(this.#invocations / this.#invocationsMax, this.#computeMs / this.#computeMsMax);
  }

  used(): string {
    const { invocations, computeMs } = { invocations: this.#invocations, computeMs: Math.round(this.#computeMs) };
    return this.#invocations / this.#invocationsMax >= 1
      ? `${invocations} of ${this.#invocationsMax} invocations`
      : `${computeMs} of ${this.#computeMsMax} ms of running`;
  }

  untilNextMs(nowMs: number): number {
    return Math.max(0, this.#endsAtMs - nowMs);
  }

  reset(nowMs: number): void {
    this.#invocations = 0;
    this.#computeMs = 0;
    this.#endsAtMs = nowMs + budgetLimits.windowMs;
  }

  #turn(nowMs: number): void {
    if (nowMs >= this.#endsAtMs) this.reset(nowMs);
  }
}

/**
 * What a function may run because of other functions: so many times for each event from outside, and so many a second
 * for all else. What is not used is saved up, to a limit, and there is that much at the start: nothing is stopped that
 * works through a backlog, and a runaway is, after the limit.
 */
export class Allowance {
  readonly #eventsFromOutside: () => number;
  #left: number = budgetLimits.causedReserveMax;
  #filledAtMs: number;
  #eventsSeen: number;

  /** @param eventsFromOutside  that have come since the start */
  constructor(eventsFromOutside: () => number, nowMs: number) {
    this.#eventsFromOutside = eventsFromOutside;
    this.#eventsSeen = eventsFromOutside();
    this.#filledAtMs = nowMs;
  }

  /** One invocation. @returns the share that is used; 1: nothing is left */
  take(nowMs: number): number {
    this.#fill(nowMs);
    this.#left = Math.max(0, this.#left - 1);
    return this.#share();
  }

  usedShare(nowMs: number): number {
    this.#fill(nowMs);
    return this.#share();
  }

  reset(nowMs: number): void {
    this.#fill(nowMs);
    this.#left = budgetLimits.causedReserveMax;
  }

  #share(): number {
    return 1 - this.#left / budgetLimits.causedReserveMax;
  }

  #fill(nowMs: number): void {
    const events = this.#eventsFromOutside();
    const { causedPerEventMax, causedPerSecondMax, causedReserveMax } = budgetLimits;
    const gained =
      (events - this.#eventsSeen) * causedPerEventMax + ((nowMs - this.#filledAtMs) / 1_000) * causedPerSecondMax;
    this.#left = Math.min(causedReserveMax, this.#left + gained);
    this.#eventsSeen = events;
    this.#filledAtMs = nowMs;
  }
}
