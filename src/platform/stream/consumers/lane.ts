/** One line of batches: at most one of them is in hand at a time. A shard has as many lanes as its parallelization factor. */
import type { Clock } from '../../../kernel/clock.ts';
import type { Random } from '../../../kernel/random.ts';
import { recordExpired } from '../errors.ts';
import { backOffMs } from './back-off.ts';
import type { GivingUp } from './giving-up.ts';
import type { Invoker } from './invoker.ts';
import type { Item } from './item.ts';
import type { LaneQueue } from './lane-queue.ts';
import { consumerDefaults } from './limits.ts';
import type { FullSettings } from './settings.ts';

export interface Lane<Event> {
  readonly queue: LaneQueue<Event>;
  /** Records that wait to be tried again, or behind one that does. */
  readonly waiting: number;
  /** Nothing is in hand, in the queue or waiting. */
  readonly isIdle: boolean;
  /** The work to do now, or when to ask again on the monotonic clock; Infinity: when something has changed. */
  next(nowMs: number): (() => Promise<void>) | number;
}

/** What lanes are made of. */
export interface LaneParts<Event> {
  readonly settings: FullSettings;
  readonly clock: Clock;
  readonly random?: Random;
  readonly queue: LaneQueue<Event>;
  readonly invoker: Invoker<Event>;
  readonly givingUp: GivingUp;
  /** No more will come for now: a batch that is not full is as full as it gets. */
  readonly isFlushing: () => boolean;
  /** Whether an error cannot end otherwise by being tried again. */
  readonly isFinal: (error: unknown) => boolean;
  /** Records of this lane have ended, so many of them handled; or their places in the queue are free. */
  readonly onDone: (handled: number) => void;
  readonly signal: AbortSignal;
}

/** When the queue's next batch may be taken: now or earlier, later, or Infinity. */
export function batchDueAtMs<Event>({ queue, isFlushing }: LaneParts<Event>): number {
  if (queue.length === 0) return Number.POSITIVE_INFINITY;
  return queue.isFull || isFlushing() ? Number.NEGATIVE_INFINITY : queue.dueAtMs;
}

/** Gives up those that are older than the consumer accepts; returns the others. */
export async function withoutExpired<Event>(items: Item<Event>[], parts: LaneParts<Event>): Promise<Item<Event>[]> {
  const { recordAgeMsMax } = parts.settings;
  if (recordAgeMsMax === Number.POSITIVE_INFINITY) return items;
  const nowMs = parts.clock.nowMs();
  const isExpired = ({ record }: Item<Event>) => nowMs - record.arrivalAtMs > recordAgeMsMax;
  const expired = items.filter(isExpired);
  if (expired.length === 0) return items;
  await parts.givingUp.giveUp(expired, {
    error: recordExpired(nowMs - expired[0].record.arrivalAtMs, recordAgeMsMax),
    attempts: Math.max(...expired.map(({ attempts }) => attempts)),
    condition: 'MaximumRecordAgeExceeded',
  });
  parts.onDone(0);
  return items.filter(item => !isExpired(item));
}

export function retryDelayMs<Event>(attempts: number, { settings, random }: LaneParts<Event>): number {
  return backOffMs(attempts, settings.retryDelayMs, random);
}

/** How long a lane pauses when it was refused for want of room, the `times`-th time in a row. */
export function throttleDelayMs(times: number): number {
  return Math.min(consumerDefaults.retryDelayMs * 2 ** (times - 1), consumerDefaults.throttledRetryMsMax);
}
