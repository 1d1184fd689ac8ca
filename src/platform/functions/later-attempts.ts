/**
 * One attempt at an invocation that is stored, from counting it to what becomes of it. It is counted before it begins, so
 * that one that ends the thread counts as one that throws.
 */
import { fromOutside } from '../../kernel/causes.ts';
import { type Clock, delay } from '../../kernel/clock.ts';
import type { Counters } from '../../kernel/counters.ts';
import { codeOf } from '../../kernel/errors.ts';
import type { Random } from '../../kernel/random.ts';
import { type GivenUp, type LaterEnd, toldTo } from './destinations.ts';
import { eventTooOld, invocationInterrupted, isRefusalOf } from './errors.ts';
import type { Place } from './host.ts';
import type { LaterDeadLetter, LaterInvocation, LaterSettings, LaterStore } from './later.ts';
import { laterLimits } from './limits.ts';
import type { LoopGuard } from './loop-guard.ts';

export interface LaterAttemptsOptions {
  readonly store: LaterStore;
  readonly loopGuard: LoopGuard;
  readonly clock: Clock;
  readonly random: Random;
  readonly newId: () => string;
  readonly counters: Counters;
  /** Undefined: the app has no such function any more. */
  readonly settingsOf: (functionName: string) => LaterSettings | undefined;
  /** Runs the function in `place`. */
  readonly run: (place: Place, invocation: LaterInvocation) => Promise<unknown>;
  readonly deadLetter: (letter: LaterDeadLetter) => Promise<void>;
  /** The app stops. */
  readonly stopped: AbortSignal;
}

/** What is to be done after an attempt; nothing: it has ended. */
interface Attempted {
  /** Unix epoch milliseconds. */
  readonly again?: { readonly atMs: number };
  /** The call of a destination, which is stored. */
  readonly next?: LaterInvocation;
}

export class LaterAttempts {
  readonly #options: LaterAttemptsOptions;

  constructor(options: LaterAttemptsOptions) {
    this.#options = options;
  }

  /** Uses `place`, or leaves it. Rejects when storage fails. */
  async attempt(id: string, place: Place): Promise<Attempted> {
    const { store, run } = this.#options;
    const invocation = await this.#stored(() => store.begin(id)).catch(error => {
      place.leave();
      throw error;
    });
    const whyNot = invocation && this.#whyNotRun(invocation);
    if (invocation === undefined || whyNot !== undefined) {
      place.leave();
      return invocation && whyNot ? this.#giveUp(invocation, whyNot) : {};
    }
    const outcome = await run(place, invocation).then(
      answer => ({ answer }),
      (error: unknown) => ({ error }),
    );
    if ('error' in outcome) return this.#fail(invocation, outcome.error);
    const { onSuccess } = this.#settingsOf(invocation.functionName);
    return this.#finish(invocation, onSuccess, { condition: 'Success', answer: outcome.answer });
  }

  #whyNotRun(invocation: LaterInvocation): GivenUp | undefined {
    const { functionName, attempts, dueAtMs, cause = fromOutside(invocation.id) } = invocation;
    const { attemptsMax, eventAgeMsMax } = this.#settingsOf(functionName);
    const isTooOld = this.#options.clock.nowMs() - dueAtMs > eventAgeMsMax;
    if (isTooOld) return { condition: 'EventAgeExceeded', error: eventTooOld(functionName, eventAgeMsMax) };
    if (attempts > attemptsMax) return { condition: 'RetriesExhausted', error: invocationInterrupted(functionName) };
    try {
      this.#options.loopGuard.check(functionName, cause);
    } catch (error) {
      return { condition: 'RetriesExhausted', error };
    }
    return undefined;
  }

  async #fail(invocation: LaterInvocation, error: unknown): Promise<Attempted> {
    const { clock, store, counters, stopped } = this.#options;
    const { id, attempts, dueAtMs, functionName } = invocation;
    const { attemptsMax, eventAgeMsMax } = this.#settingsOf(functionName);
    const nowMs = clock.nowMs();
    if (stopped.aborted && isRefusalOf(functionName, error)) {
      await this.#stored(() => store.putBack(id, nowMs, attempts - 1)); // It was told to stop: that costs no attempt.
      return { again: { atMs: nowMs } };
    }
    const isLast = attempts >= attemptsMax || hopeless.has(codeOf(error));
    if (isLast) return this.#giveUp(invocation, { condition: 'RetriesExhausted', error });
    const atMs = nowMs + this.#retryDelayMs(attempts);
    if (atMs - dueAtMs > eventAgeMsMax) return this.#giveUp(invocation, { condition: 'EventAgeExceeded', error });
    counters.add('functions.retriedLater');
    await this.#stored(() => store.putBack(id, atMs, attempts));
    return { again: { atMs } };
  }

  async #giveUp(invocation: LaterInvocation, { condition, error }: GivenUp): Promise<Attempted> {
    const { onFailure } = this.#settingsOf(invocation.functionName);
    await this.#stored(() => this.#options.deadLetter({ invocation, error, condition }));
    return this.#finish(invocation, onFailure, { condition, error });
  }

  /** Ends it, and stores the call of its destination in the same step. */
  async #finish(invocation: LaterInvocation, destination: string | undefined, end: LaterEnd): Promise<Attempted> {
    const { newId, clock, store } = this.#options;
    const told = { id: newId(), nowMs: clock.nowMs() };
    const next = destination === undefined ? undefined : toldTo(destination, invocation, end, told);
    await this.#stored(() => store.finish(invocation, next));
    return { next };
  }

  /** With full jitter: what failed together is not tried again together. */
  #retryDelayMs(attempts: number): number {
    const { retryDelayMs, retryDelayMsMax } = laterLimits;
    const mostMs = Math.min(retryDelayMs * 2 ** (attempts - 1), retryDelayMsMax);
    return this.#options.random.integer(mostMs + 1);
  }

  /** What is called is a function of the app, or it would not have been taken up. */
  #settingsOf(functionName: string): LaterSettings {
    const { attemptsMaxDefault: attemptsMax, eventAgeMsMaxDefault: eventAgeMsMax } = laterLimits;
    return this.#options.settingsOf(functionName) ?? { attemptsMax, eventAgeMsMax };
  }

  /** A full disk is waited for. */
  async #stored<T>(store: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await store();
      } catch (error) {
        if (codeOf(error) !== 'store.full') throw error;
        await delay(this.#options.clock, laterLimits.storeFullRetryMs, this.#options.stopped);
        if (this.#options.stopped.aborted) throw error;
      }
    }
  }
}

/** Trying again would not help. */
const hopeless: ReadonlySet<string> = new Set(['function.loop', 'function.inputNotValid', 'function.outputNotValid']);
