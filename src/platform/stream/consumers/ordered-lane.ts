/**
 * The lane that behaves as Lambda's: a batch is in hand until all of it is done or given up, and everything behind it
 * waits. Also the lane of tumbling windows, whose state goes from batch to batch.
 */
import assert from 'node:assert/strict';
import { delay } from '../../../kernel/clock.ts';
import { consumerEnded } from '../errors.ts';
import type { SequenceNumber, ShardId, StreamRecord } from '../port.ts';
import type { WindowFacts } from './invoker.ts';
import { type Item, mostAttempts, Tracked } from './item.ts';
import { batchDueAtMs, type Lane, type LaneParts, retryDelayMs, throttleDelayMs, withoutExpired } from './lane.ts';
import type { Verdict } from './verdict.ts';
import type { WindowState, Windows } from './windows.ts';

interface Group<Event> {
  readonly items: Item<Event>[];
  readonly attempts: number;
}

/** What a lane with tumbling windows needs beside. */
export interface WindowParts {
  readonly windows: Windows;
  /** Nothing that came before now is unread. */
  readonly isCaughtUp: () => boolean;
  /** The shard is closed, and read to its end. */
  readonly isAtEnd: () => boolean;
  /** The window or its state has changed. */
  readonly onChange: () => void;
  /** What the end of a window is marked with for a watcher, and how often it has already ended the thread. */
  readonly marked: () => SequenceNumber;
  readonly restartsOf: (marked: SequenceNumber) => number;
  readonly consumer: string;
  readonly shardId: ShardId;
}

export class OrderedLane<Event> implements Lane<Event> {
  readonly #parts: LaneParts<Event>;
  readonly #window: WindowParts | undefined;
  #left = 0;
  #throttles = 0;

  constructor(parts: LaneParts<Event>, window?: WindowParts) {
    this.#parts = parts;
    this.#window = window;
  }

  get queue() {
    return this.#parts.queue;
  }

  /** Those of the batch in hand. */
  get waiting(): number {
    return this.#left;
  }

  get isIdle(): boolean {
    return this.#left === 0 && this.queue.length === 0;
  }

  next(nowMs: number): (() => Promise<void>) | number {
    if (this.#window) return this.#nextOfWindow(nowMs, this.#window);
    const dueAtMs = batchDueAtMs(this.#parts);
    if (nowMs < dueAtMs) return dueAtMs;
    const items = this.queue.take();
    return () => this.#work(items);
  }

  #nextOfWindow(nowMs: number, { windows, isCaughtUp, isAtEnd }: WindowParts): (() => Promise<void>) | number {
    const { first, last } = this.queue;
    const overInMs = windows.overAtMs - this.#parts.clock.nowMs();
    if (windows.isOpen) {
      const isOver = first ? !windows.belongs(first) : (isCaughtUp() && overInMs <= 0) || isAtEnd();
      if (isOver) return () => this.#endWindow().then(() => {});
    }
    if (first === undefined || last === undefined) return overInMs > 0 ? nowMs + overInMs : Number.POSITIVE_INFINITY;
    const isComplete = !windows.areTogether(first, last) || overInMs <= 0;
    const dueAtMs = Math.min(batchDueAtMs(this.#parts), windows.isOpen ? nowMs + overInMs : Number.POSITIVE_INFINITY);
    if (nowMs < dueAtMs && !isComplete) return dueAtMs;
    windows.openFor(first);
    const items = this.queue.take(item => windows.belongs(item));
    return () => this.#work(items);
  }

  async #work(items: Item<Event>[]): Promise<void> {
    this.#left = items.length;
    const stack: Group<Event>[] = [{ items, attempts: mostAttempts(items) }];
    for (let group = stack.pop(); group && !this.#parts.signal.aborted; group = stack.pop()) {
      await this.#try(group, stack);
    }
    this.#left = 0;
  }

  async #try(group: Group<Event>, stack: Group<Event>[]): Promise<void> {
    const items = await withoutExpired(group.items, this.#parts);
    this.#left -= group.items.length - items.length;
    if (items.length === 0) return;
    const { attempts } = group;
    const window = this.#window?.windows.facts(false);
    const answered = await this.#parts.invoker.invoke({ items, attempts, window });
    const { verdict, state } = this.#withState(answered);
    if (verdict.kind === 'thrown') return this.#failed({ items, attempts }, verdict.error, stack);
    // Everything from the lowest on is tried again, also what had succeeded: only the order is sure.
    const lowest = verdict.kind === 'done' ? items.length : Math.min(...verdict.outcome.failed.keys());
    const error = verdict.kind === 'done' ? undefined : verdict.outcome.failed.get(lowest);
    if (lowest === 0) return this.#failed({ items, attempts }, error, stack);
    if (!(await this.#finish(items.slice(0, lowest), state)) || lowest === items.length) return;
    const rest = { items: items.slice(lowest), attempts };
    // With bisection the batch was split there, which costs no attempt; without, this was one.
    if (this.#parts.settings.bisectBatchOnError) stack.push(rest);
    else await this.#again(rest, error, stack);
  }

  /** A state that cannot be kept is a failure of the batch. */
  #withState(verdict: Verdict): { verdict: Verdict; state?: WindowState } {
    if (!this.#window || verdict.kind === 'thrown') return { verdict };
    try {
      return { verdict, state: this.#window.windows.read(verdict.state) };
    } catch (error) {
      return { verdict: { kind: 'thrown', error } };
    }
  }

  /** False when it was stopped before they were done. */
  async #finish(items: Item<Event>[], state: WindowState | undefined): Promise<boolean> {
    this.#throttles = 0;
    // A state that is too large is never kept: its records are done when the end of the window is.
    if (state?.isTooLarge) return this.#endWindow({ state, items });
    if (this.#window && state) {
      this.#window.windows.remember(state);
      this.#window.onChange();
    }
    this.#markHandled(items);
    return true;
  }

  #markHandled(items: Item<Event>[]): void {
    this.#left -= items.length;
    for (const item of items) item.fate = 'handled';
    this.#parts.onDone(items.length);
  }

  async #failed(group: Group<Event>, error: unknown, stack: Group<Event>[]): Promise<void> {
    const { settings, invoker } = this.#parts;
    const { items, attempts } = group;
    if (invoker.isThrottle(error)) {
      stack.push(group);
      await this.#pause();
    } else if (items.length > 1 && settings.bisectBatchOnError) {
      const middle = items.length >> 1;
      stack.push({ items: items.slice(middle), attempts }, { items: items.slice(0, middle), attempts });
    } else await this.#again(group, error, stack);
  }

  /** It has cost an attempt: it is tried again after a while, or was tried often enough. */
  async #again(group: Group<Event>, error: unknown, stack: Group<Event>[]): Promise<void> {
    const { settings, clock, givingUp, isFinal, onDone, signal } = this.#parts;
    const { items } = group;
    const attempts = group.attempts + 1;
    for (const item of items) item.attempts = attempts;
    if (attempts >= settings.attemptsMax || isFinal(error)) {
      await givingUp.giveUp(items, { error, attempts, condition: 'RetryAttemptsExhausted' });
      this.#left -= items.length;
      onDone(0);
    } else {
      stack.push({ items, attempts });
      await delay(clock, retryDelayMs(attempts, this.#parts), signal);
    }
  }

  #pause(): Promise<void> {
    return delay(this.#parts.clock, throttleDelayMs(++this.#throttles), this.#parts.signal);
  }

  /** The last invocation of a window, with no records. `early`: it ends because of this state of these records. */
  async #endWindow(early?: { readonly state: WindowState; readonly items: Item<Event>[] }): Promise<boolean> {
    assert(this.#window); // or nobody would ask
    const { windows, marked, restartsOf, onChange } = this.#window;
    const { settings, clock, invoker, isFinal, signal } = this.#parts;
    const mark = marked();
    for (let attempts = restartsOf(mark); ; ) {
      if (signal.aborted) return false;
      const verdict =
        attempts >= settings.attemptsMax
          ? { kind: 'thrown' as const, error: consumerEnded(this.#window.consumer, attempts) }
          : await invoker.invoke({ items: [], attempts, window: windows.facts(true, early?.state), marked: mark });
      if (verdict.kind !== 'thrown') break;
      if (invoker.isThrottle(verdict.error)) await this.#pause();
      else if (++attempts >= settings.attemptsMax || isFinal(verdict.error)) {
        await this.#giveUpWindow(windows.facts(true, early?.state), early !== undefined, verdict.error, attempts);
        break;
      } else await delay(clock, retryDelayMs(attempts, this.#parts), signal);
    }
    this.#throttles = 0;
    windows.close(early !== undefined);
    onChange();
    if (early) this.#markHandled(early.items);
    return true;
  }

  /** Nobody has handled the end of a window: its letter holds what was remembered, as far as there is room. */
  #giveUpWindow(facts: WindowFacts, isTooLarge: boolean, error: unknown, attempts: number): Promise<void> {
    const { shardId, marked } = this.#window as WindowParts; // `#endWindow` has just asserted it.
    const { state, ...where } = facts;
    const record: StreamRecord = {
      sequenceNumber: marked(),
      partitionKey: shardId,
      data: Buffer.from(JSON.stringify(isTooLarge ? where : facts)),
      arrivalAtMs: this.#parts.clock.nowMs(),
    };
    return this.#parts.givingUp.giveUp([new Tracked(record)], { error, attempts, condition: 'RetryAttemptsExhausted' });
  }
}
