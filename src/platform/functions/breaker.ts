/** Stops a function that uses more than it may: what it is asked to run is refused, or waits, until it may again. */
import type { Alarms } from '../../kernel/alarms.ts';
import type { Clock, Timer } from '../../kernel/clock.ts';
import { type Allowance, Budget } from './budget.ts';
import { budgetExceeded, resumeAdvice } from './errors.ts';
import { budgetLimits } from './limits.ts';
import type { FunctionBudget } from './port.ts';

export const budgetAlarms = { near: 'functionBudgetNear', exceeded: 'functionBudgetExceeded' } as const;

export interface BreakerOptions {
  readonly functionName: string;
  readonly budget: FunctionBudget | undefined;
  /** For a function without a budget of its own. */
  readonly allowance: Allowance;
  readonly clock: Clock;
  readonly alarms: Alarms;
  /** It has stopped until somebody resets it, or has been reset: to be remembered. */
  readonly onStopped?: (stop: BreakerStop | undefined) => void;
}

/** A stop that ends only by hand. */
export interface BreakerStop {
  readonly reason: string;
  readonly sinceMs: number;
}

/** `closed`: runs. `open`: stopped until the next minute. `stopped`: until it is reset. */
export type BreakerState = 'closed' | 'open' | 'stopped';

export class Breaker {
  readonly #options: BreakerOptions;
  readonly #budget: Budget | undefined;
  #state: BreakerState = 'closed';
  #reason = '';
  #hasWarned = false;
  #timer: Timer | undefined;
  #waiting: (() => void)[] = [];

  constructor(options: BreakerOptions) {
    this.#options = options;
    this.#budget = options.budget && new Budget(options.budget);
  }

  get state(): BreakerState {
    return this.#state;
  }

  /** What has been used of the budget of this minute, or of the allowance; 0 to 1, or somewhat more. */
  get usedShare(): number {
    const nowMs = this.#nowMs();
    return this.#budget?.usedShare(nowMs) ?? this.#options.allowance.usedShare(nowMs);
  }

  /** Why an invocation may not begin; undefined: it may. */
  refusal(): Error | undefined {
    if (this.#state === 'closed') return undefined;
    const retryAfterMs = this.#state === 'stopped' ? undefined : this.#budget?.untilNextMs(this.#nowMs());
    return budgetExceeded(this.#options.functionName, this.#reason, retryAfterMs);
  }

  /** Resolves when it runs again, or when all who wait are sent on. */
  untilClosed(): Promise<void> {
    return new Promise(resolve => void this.#waiting.push(resolve));
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** An invocation begins. @param isCaused  a function has led to it */
  noteBegin(isCaused: boolean): void {
    const nowMs = this.#nowMs();
    if (this.#budget !== undefined) {
      this.#budget.noteInvocation(nowMs);
      this.#judge(this.#budget, nowMs);
    } else if (isCaused) this.#judgeAllowance(nowMs);
  }

  noteEnd(durationMs: number): void {
    if (this.#budget === undefined) return;
    const nowMs = this.#nowMs();
    this.#budget.noteCompute(nowMs, durationMs);
    this.#judge(this.#budget, nowMs);
  }

  /** It runs again, with a whole budget. */
  reset(): void {
    this.#budget?.reset(this.#nowMs());
    this.#options.allowance.reset(this.#nowMs());
    this.#options.alarms.clear(budgetAlarms.near, this.#options.functionName);
    this.#hasWarned = false;
    if (this.#state === 'stopped') this.#options.onStopped?.(undefined);
    this.#close();
  }

  /** It was stopped before the app was restarted. */
  restore({ reason }: BreakerStop): void {
    this.#open('stopped', reason);
  }

  /** Nobody waits any more. */
  sendOn(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  close(): void {
    this.#timer?.cancel();
    this.sendOn();
  }

  #nowMs(): number {
    return this.#options.clock.monotonicMs();
  }

  #judge(budget: Budget, nowMs: number): void {
    const share = budget.usedShare(nowMs);
    if (share >= 1 && this.#state === 'closed') {
      const state = budget.resume === 'manual' ? 'stopped' : 'open';
      this.#stop(state, `it has used its budget of a minute, ${budget.used()}`);
    } else if (share >= budgetLimits.warnShare && !this.#hasWarned) this.#warn(`of its budget of a minute`, share);
    if (this.#hasWarned || this.#state === 'open') this.#lookAgain(budget, nowMs);
  }

  #judgeAllowance(nowMs: number): void {
    const { allowance } = this.#options;
    const share = allowance.take(nowMs);
    if (share >= 1 && this.#state === 'closed') {
      this.#stop('stopped', 'functions have called it far more often than what came from outside accounts for');
    } else if (share >= budgetLimits.warnShare && !this.#hasWarned) {
      this.#warn('of what functions may cause beyond what comes from outside', share);
    } else if (share < budgetLimits.warnShare / 2 && this.#hasWarned) this.#forgetWarning();
  }

  #warn(whatOf: string, share: number): void {
    const { functionName, alarms } = this.#options;
    this.#hasWarned = true;
    const message = `${functionName} has used ${Math.floor(share * 100)} % ${whatOf}.`;
    const fix = 'Find out who calls it so often, or give it a larger budget; at 100 % it is stopped.';
    alarms.raise({ name: budgetAlarms.near, subject: functionName, message, fix });
  }

  #forgetWarning(): void {
    this.#hasWarned = false;
    this.#options.alarms.clear(budgetAlarms.near, this.#options.functionName);
  }

  #stop(state: 'open' | 'stopped', reason: string): void {
    this.#open(state, reason);
    if (state === 'stopped') this.#options.onStopped?.({ reason, sinceMs: this.#options.clock.nowMs() });
  }

  #open(state: 'open' | 'stopped', reason: string): void {
    const { functionName, alarms } = this.#options;
    this.#state = state;
    this.#reason = reason;
    const message = `${functionName} is stopped: ${reason}.`;
    const fix = resumeAdvice(functionName, state === 'stopped');
    alarms.raise({ name: budgetAlarms.exceeded, subject: functionName, message, fix });
  }

  /** At the end of the minute, so that whoever waits need not be asked by others. */
  #lookAgain(budget: Budget, nowMs: number): void {
    if (this.#timer !== undefined) return;
    this.#timer = this.#options.clock.setTimer(budget.untilNextMs(nowMs), () => {
      this.#timer = undefined;
      const nowMs = this.#nowMs();
      if (budget.untilNextMs(nowMs) > 0) return this.#lookAgain(budget, nowMs); // It was reset meanwhile.
      const isNear = budget.usedShare(nowMs) >= budgetLimits.warnShare;
      if (this.#hasWarned && !isNear) this.#forgetWarning();
      if (this.#state === 'open') this.#close();
    });
  }

  #close(): void {
    this.#state = 'closed';
    this.#options.alarms.clear(budgetAlarms.exceeded, this.#options.functionName);
    this.sendOn();
  }
}
