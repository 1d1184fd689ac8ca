/**
 * Invocations that are stored, and when they run: when they are due and there is room, again when they fail, at least once
 * whatever ends the app meanwhile.
 */
import { delay, type Timer } from '../../kernel/clock.ts';
import { codeOf } from '../../kernel/errors.ts';
import { Fifo } from '../../kernel/fifo.ts';
import type { Log } from '../../kernel/log.ts';
import { DueHeap } from './due-heap.ts';
import { queueFull } from './errors.ts';
import type { FunctionHost } from './host.ts';
import type { LaterInvocation, OpenLater } from './later.ts';
import { LaterAttempts, type LaterAttemptsOptions } from './later-attempts.ts';
import { laterLimits } from './limits.ts';

export interface LaterQueueOptions extends Omit<LaterAttemptsOptions, 'stopped'> {
  readonly host: FunctionHost;
  readonly log: Log;
  /** How many calls may be open, of a function and of all. Default: `laterLimits`. */
  readonly bounds?: { readonly queuedPerFunctionMax: number; readonly queuedMax: number };
  /** Nothing of the function is open any more. */
  readonly onIdle?: (functionName: string) => void;
  /** Storage has failed. */
  readonly onFailure: (error: unknown) => void;
}

/** Of one function. */
interface QueueLine {
  readonly functionName: string;
  /** Due, by id. */
  readonly ready: Fifo<string>;
  /** Taken from `ready` and not done. */
  started: number;
  /** All that are open. */
  queued: number;
}

export class LaterQueue {
  readonly #options: LaterQueueOptions;
  readonly #attempts: LaterAttempts;
  readonly #lines = new Map<string, QueueLine>();
  readonly #delayed = new DueHeap<{ readonly id: string; readonly line: QueueLine }>();
  /** All that are open. */
  readonly #known = new Set<string>();
  readonly #stopped = new AbortController();
  readonly #underWay = new Set<Promise<void>>();
  #timer: Timer | undefined;
  #timerDueMs = Number.POSITIVE_INFINITY;
  /** What was open when the app started has been listed, and what was at work then has been run. */
  #isResumed = false;

  constructor(options: LaterQueueOptions) {
    this.#options = options;
    this.#attempts = new LaterAttempts({ ...options, stopped: this.#stopped.signal });
  }

  /** Invocations of a function that have not ended. */
  queued(functionName: string): number {
    return this.#lines.get(functionName)?.queued ?? 0;
  }

  /** Stores it; it runs when it is due. False when it is there already. Throws `function.queueFull`. */
  async put(invocation: LaterInvocation): Promise<boolean> {
    const { functionName } = invocation;
    const line = this.#lineOf(functionName);
    const { queuedPerFunctionMax, queuedMax } = this.#options.bounds ?? laterLimits;
    const isFull = line.queued >= queuedPerFunctionMax || this.#known.size >= queuedMax;
    if (isFull) throw queueFull(functionName, line.queued);
    return this.#putIn(line, invocation, () => this.#options.store.put(invocation));
  }

  /** The same for a time of a schedule, which is never refused. */
  putScheduled(invocation: LaterInvocation, scheduledAtMs: number): Promise<boolean> {
    const { store } = this.#options;
    const line = this.#lineOf(invocation.functionName);
    return this.#putIn(line, invocation, () => store.putScheduled(invocation, scheduledAtMs));
  }

  /**
   * Takes up what is stored. What was at work when the app ended runs first and one at a time: if it is what ended the
   * app, no other is charged with it. Resolves when all of it is listed.
   */
  async resume(): Promise<void> {
    const suspects = await this.#list();
    this.#follow(this.#runSuspects(suspects));
    this.#follow(this.#lookAgain());
  }

  /** Takes up one that is known to be stored, if it is; for what a list may not show yet. */
  takeUp(open: OpenLater): void {
    this.#take(open);
  }

  /** Begins nothing any more. What is at work is waited for by `close`. */
  stop(): void {
    this.#stopped.abort();
    this.#timer?.cancel();
  }

  async close(): Promise<void> {
    this.stop();
    while (this.#underWay.size > 0) await Promise.allSettled(this.#underWay);
  }

  // --- What is open -----------------------------------------------------------------------------------------------

  async #putIn(line: QueueLine, { id, dueAtMs }: LaterInvocation, store: () => Promise<boolean>): Promise<boolean> {
    if (this.#known.has(id)) return false;
    this.#know(line, id);
    try {
      if (await store()) {
        this.#await(line, id, dueAtMs);
        return true;
      }
    } catch (error) {
      this.#forget(line, id);
      throw error;
    }
    this.#forget(line, id);
    return false;
  }

  /** Those that were at work. */
  async #list(): Promise<OpenLater[]> {
    const suspects: OpenLater[] = [];
    const left = new Map<string, number>();
    for await (const open of this.#options.store.open()) {
      if (this.#stopped.signal.aborted) break;
      const { functionName } = open;
      if (this.#options.settingsOf(functionName) === undefined)
        left.set(functionName, (left.get(functionName) ?? 0) + 1);
      else if (open.wasBegun && !this.#known.has(open.id)) suspects.push(open);
      else this.#take(open);
    }
    for (const [functionName, count] of left) {
      this.#options.log.warn({ functionName, count }, 'Calls wait for a function that the app does not have any more.');
    }
    return suspects;
  }

  #take({ id, functionName, dueAtMs }: OpenLater): void {
    if (this.#known.has(id)) return;
    const line = this.#lineOf(functionName);
    this.#know(line, id);
    this.#await(line, id, dueAtMs);
  }

  async #runSuspects(suspects: readonly OpenLater[]): Promise<void> {
    for (const { id, functionName } of suspects) {
      if (this.#stopped.signal.aborted) return;
      const line = this.#lineOf(functionName);
      this.#know(line, id);
      line.started++;
      await this.#start(line, id);
    }
    this.#isResumed = true;
    for (const line of this.#lines.values()) this.#pump(line);
  }

  /** The list lags: what was stored just before the app ended may not have been on it. */
  async #lookAgain(): Promise<void> {
    await delay(this.#options.clock, laterLimits.lookAgainMs, this.#stopped.signal);
    if (this.#stopped.signal.aborted) return;
    for (const open of await this.#list()) this.#take(open);
  }

  #lineOf(functionName: string): QueueLine {
    let line = this.#lines.get(functionName);
    if (line === undefined) {
      line = { functionName, ready: new Fifo(), started: 0, queued: 0 };
      this.#lines.set(functionName, line);
    }
    return line;
  }

  #know(line: QueueLine, id: string): void {
    this.#known.add(id);
    line.queued++;
  }

  #forget(line: QueueLine, id: string): void {
    this.#known.delete(id);
    line.queued--;
    if (line.queued === 0) this.#options.onIdle?.(line.functionName);
  }

  // --- When it is due ---------------------------------------------------------------------------------------------

  #await(line: QueueLine, id: string, dueAtMs: number): void {
    const { clock } = this.#options;
    const inMs = dueAtMs - clock.nowMs();
    if (inMs <= 0) {
      line.ready.push(id);
      this.#pump(line);
      return;
    }
    // By the monotonic clock from here on: when the wall clock is set, nothing is run early or a year late.
    this.#delayed.push(clock.monotonicMs() + inMs, { id, line });
    this.#arm();
  }

  #arm(): void {
    const { clock } = this.#options;
    const { nextMs } = this.#delayed;
    if (nextMs === undefined || nextMs >= this.#timerDueMs || this.#stopped.signal.aborted) return;
    this.#timer?.cancel();
    this.#timerDueMs = nextMs;
    this.#timer = clock.setTimer(Math.max(0, nextMs - clock.monotonicMs()), () => {
      this.#timerDueMs = Number.POSITIVE_INFINITY;
      const nowMs = clock.monotonicMs();
      for (let due = this.#delayed.take(nowMs); due !== undefined; due = this.#delayed.take(nowMs)) {
        due.line.ready.push(due.id);
        this.#pump(due.line);
      }
      this.#arm();
    });
  }

  #pump(line: QueueLine): void {
    while (this.#isResumed && line.started < laterLimits.startedMax && !this.#stopped.signal.aborted) {
      const id = line.ready.shift();
      if (id === undefined) return;
      line.started++;
      this.#follow(this.#start(line, id));
    }
  }

  #follow(work: Promise<void>): void {
    const fail = (error: unknown) => {
      const isWaitedFor = codeOf(error) === 'store.full'; // Only a stop ends the wait for a full disk.
      if (!isWaitedFor) this.#options.onFailure(error);
    };
    const followed = work.catch(fail).finally(() => this.#underWay.delete(followed));
    this.#underWay.add(followed);
  }

  // --- Running it -------------------------------------------------------------------------------------------------

  /** Rejects when storage fails. */
  async #start(line: QueueLine, id: string): Promise<void> {
    try {
      const place = await this.#options.host.enter(line.functionName).catch(() => undefined);
      if (place === undefined) {
        // The app is stopping, or more wait in memory than may: it lies in the table.
        if (!this.#stopped.signal.aborted)
          this.#await(line, id, this.#options.clock.nowMs() + laterLimits.retryDelayMs);
        return;
      }
      if (this.#stopped.signal.aborted) return place.leave();
      const { again, next } = await this.#attempts.attempt(id, place);
      if (next !== undefined) this.#take({ ...next, wasBegun: false });
      if (again !== undefined) this.#await(line, id, again.atMs);
      else this.#forget(line, id);
    } finally {
      line.started--;
      this.#pump(line);
    }
  }
}
