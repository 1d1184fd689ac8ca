/**
 * The lane of our default: while a record waits to be tried again, the later records of its key wait with it, and those
 * of all other keys go on. So one bad record holds up its own key for a moment, and never a shard.
 */
import type { Outcome } from './batch.ts';
import type { Reason } from './giving-up.ts';
import { type Item, mostAttempts } from './item.ts';
import { batchDueAtMs, type Lane, type LaneParts, retryDelayMs, throttleDelayMs, withoutExpired } from './lane.ts';
import { withinLimits } from './lane-queue.ts';

/** A key whose first record here has failed; the others wait behind it. */
interface WaitingKey<Event> {
  readonly items: Item<Event>[];
  readonly dueAtMs: number;
  /** It failed while it ran alone in a batch that said no more: it is tried alone, not to fail others again. */
  readonly isAlone: boolean;
}

export class KeyLane<Event> implements Lane<Event> {
  readonly #parts: LaneParts<Event>;
  readonly #waitingKeys = new Map<string, WaitingKey<Event>>();
  /** Older than what is in the queue, and free to go: in the order of reading. */
  #released: Item<Event>[] = [];
  /** Not after the first of the waiting keys is due. */
  #dueAtMs = Number.POSITIVE_INFINITY;
  #pausedUntilMs = Number.NEGATIVE_INFINITY;
  #throttles = 0;
  #waiting = 0;
  #isBusy = false;

  constructor(parts: LaneParts<Event>) {
    this.#parts = parts;
  }

  get queue() {
    return this.#parts.queue;
  }

  get waiting(): number {
    return this.#waiting;
  }

  get isIdle(): boolean {
    return !this.#isBusy && this.queue.length === 0 && this.#waiting === 0 && this.#released.length === 0;
  }

  next(nowMs: number): (() => Promise<void>) | number {
    if (nowMs < this.#pausedUntilMs) return this.#pausedUntilMs;
    const due = nowMs >= this.#dueAtMs ? this.#takeDue(nowMs) : [];
    if (due.length > 0) return () => this.#work(due);
    const released = this.#takeReleased();
    if (released.length > 0) return () => this.#work([released]);
    const dueAtMs = batchDueAtMs(this.#parts);
    if (nowMs < dueAtMs) return Math.min(dueAtMs, this.#dueAtMs);
    const held = this.#waiting;
    const divert = this.#waitingKeys.size > 0 ? (item: Item<Event>) => this.#holdBack(item) : undefined;
    const fresh = this.queue.take(undefined, divert);
    if (fresh.length > 0) return () => this.#work([fresh]);
    if (this.#waiting > held) this.#parts.onDone(0); // All of them wait now, and the queue has room again.
    return this.#dueAtMs;
  }

  /** Groups that are due to be tried again, oldest first. */
  #takeDue(nowMs: number): Item<Event>[][] {
    const alone: Item<Event>[][] = [];
    const together: Item<Event>[] = [];
    this.#dueAtMs = Number.POSITIVE_INFINITY;
    for (const [partitionKey, { items, dueAtMs, isAlone }] of this.#waitingKeys) {
      if (dueAtMs > nowMs) {
        this.#dueAtMs = Math.min(this.#dueAtMs, dueAtMs);
        continue;
      }
      this.#waitingKeys.delete(partitionKey);
      this.#waiting -= items.length;
      if (isAlone) {
        alone.push(items.slice(0, 1));
        this.#release(items.slice(1));
      } else for (const item of items) together.push(item);
    }
    const group = withinLimits(together.sort(byPlace), this.#parts.settings);
    this.#release(together.slice(group.length));
    return group.length > 0 ? [...alone, group] : alone;
  }

  #takeReleased(): Item<Event>[] {
    if (this.#released.length === 0) return this.#released;
    const free = this.#waitingKeys.size === 0 ? this.#released : this.#released.filter(item => !this.#holdBack(item));
    const group = withinLimits(free, this.#parts.settings);
    this.#released = free.slice(group.length);
    return group;
  }

  /** Works through groups in their order. One that fails as a whole is replaced by its halves, so that order is kept. */
  async #work(groups: Item<Event>[][]): Promise<void> {
    this.#isBusy = true;
    const stack = groups.reverse();
    for (let group = stack.pop(); group; group = stack.pop()) {
      // Stopped, or paused: what was not tried is not lost; it comes again, after a restart or the pause.
      if (this.#parts.signal.aborted || this.#parts.clock.monotonicMs() < this.#pausedUntilMs) this.#release(group);
      else await this.#try(group, stack);
    }
    this.#isBusy = false;
  }

  async #try(all: Item<Event>[], stack: Item<Event>[][]): Promise<void> {
    const { invoker, settings } = this.#parts;
    const free = this.#waitingKeys.size === 0 ? all : all.filter(item => !this.#holdBack(item));
    const items = await withoutExpired(free, this.#parts);
    if (items.length === 0) return;
    const verdict = await invoker.invoke({ items, attempts: mostAttempts(items) });
    if (verdict.kind === 'done') this.#finish(items);
    else if (verdict.kind === 'partial') await this.#sort(items, verdict.outcome, stack);
    else if (invoker.isThrottle(verdict.error)) {
      this.#pause();
      this.#release(items);
    } else if (items.length > 1 && settings.bisectBatchOnError) {
      const middle = items.length >> 1;
      stack.push(items.slice(middle), items.slice(0, middle));
    } else await this.#fail(new Map(items.map(item => [item, verdict.error])), items.length === 1);
  }

  /** Some are done, some failed, and some were not tried: those come next, before later ones of their keys. */
  async #sort(items: Item<Event>[], { failed, skipped }: Outcome, stack: Item<Event>[][]): Promise<void> {
    const done: Item<Event>[] = [];
    const again: Item<Event>[] = [];
    const failures = new Map<Item<Event>, unknown>();
    for (const [index, item] of items.entries()) {
      if (skipped.has(index)) again.push(item);
      else if (!failed.has(index)) done.push(item);
      else if (!this.#parts.invoker.isThrottle(failed.get(index))) failures.set(item, failed.get(index));
      else again.push(item);
    }
    this.#finish(done);
    if (failures.size + skipped.size < items.length - done.length) this.#pause(); // Some were throttled.
    await this.#fail(failures, false);
    if (again.length > 0) stack.push(again); // `#try` holds back those whose key waits.
  }

  /** Each has cost an attempt: it waits for the next, with its key, or was tried often enough. */
  async #fail(failures: ReadonlyMap<Item<Event>, unknown>, isAlone: boolean): Promise<void> {
    const { settings, givingUp, clock, isFinal, onDone } = this.#parts;
    const givenUp: { tracked: Item<Event>; reason: Reason }[] = [];
    for (const [item, error] of failures) {
      const attempts = ++item.attempts;
      if (attempts >= settings.attemptsMax || isFinal(error)) {
        givenUp.push({ tracked: item, reason: { error, attempts, condition: 'RetryAttemptsExhausted' } });
      } else if (!this.#holdBack(item)) {
        const dueAtMs = clock.monotonicMs() + retryDelayMs(attempts, this.#parts);
        this.#waitingKeys.set(item.record.partitionKey, { items: [item], dueAtMs, isAlone });
        this.#waiting++;
        this.#dueAtMs = Math.min(this.#dueAtMs, dueAtMs);
      }
    }
    if (givenUp.length === 0) return;
    await givingUp.giveUpEach(givenUp);
    onDone(0);
  }

  #finish(items: Item<Event>[]): void {
    if (items.length > 0) this.#throttles = 0;
    for (const item of items) item.fate = 'handled';
    this.#parts.onDone(items.length);
  }

  #pause(): void {
    this.#throttles++;
    this.#pausedUntilMs = this.#parts.clock.monotonicMs() + throttleDelayMs(this.#throttles);
  }

  /** Puts a record behind the earlier one of its key that waits; false when none does. */
  #holdBack(item: Item<Event>): boolean {
    const key = this.#waitingKeys.get(item.record.partitionKey);
    if (key === undefined) return false;
    key.items.push(item);
    this.#waiting++;
    return true;
  }

  #release(items: Item<Event>[]): void {
    if (items.length === 0) return;
    for (const item of items) this.#released.push(item);
    this.#released.sort(byPlace);
  }
}

function byPlace(left: Item<unknown>, right: Item<unknown>): number {
  return left.place - right.place;
}
