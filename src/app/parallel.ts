/** Work on many items at once, but not on all of them, and not in vain when some of it fails. */
import type { Clock } from '../kernel/clock.ts';
import { MimamoriError } from '../kernel/errors.ts';
import { interleaved } from '../kernel/interleaved.ts';
import type { Random } from '../kernel/random.ts';
import { backOff } from './entities/environment.ts';
import { isThrottling } from './entities/index.ts';

export const parallelLimits = {
  concurrencyDefault: 16, // ours: enough to hide a network's latency
  concurrencyMax: 256, // ours: bounds what is under way in memory
  attemptsMaxDefault: 8, // ours: with the delays between them about three seconds
  retryDelayMs: 10, // ours: doubled per attempt, half of it left to chance
} as const;

export interface ParallelOptions<Item> {
  readonly clock: Clock;
  readonly random: Random;
  /** At most so many at once, 1–256; default 16. */
  readonly concurrency?: number;
  /** Of an item: its partition key. Partitions take turns then, instead of being filled one after the other. */
  readonly spreadBy?: (item: Item) => string;
  /** Attempts per item, and which failures are worth another; default 8, and what says of itself that it passes. */
  readonly retry?: { readonly attemptsMax?: number; readonly when?: (error: unknown) => boolean };
}

/** One for each item, in their order. */
export type Settled<Result> =
  | { readonly isDone: true; readonly result: Result }
  | { readonly isDone: false; readonly error: unknown };

/** Runs `work` for every item and never rejects: what failed after its last attempt is told beside what succeeded. */
export async function inParallel<Item, Result>(
  items: readonly Item[],
  work: (item: Item) => Promise<Result>,
  options: ParallelOptions<Item>,
): Promise<Settled<Result>[]> {
  const { clock, random, concurrency = parallelLimits.concurrencyDefault, retry = {}, spreadBy } = options;
  const { attemptsMax = parallelLimits.attemptsMaxDefault, when = isPassing } = retry;
  const settled = new Array<Settled<Result>>(items.length);
  const attempt = async (item: Item): Promise<Settled<Result>> => {
    for (let attempts = 1; ; attempts++) {
      try {
        return { isDone: true, result: await work(item) };
      } catch (error) {
        if (attempts >= attemptsMax || !when(error)) return { isDone: false, error };
        await backOff({ clock, random }, parallelLimits.retryDelayMs, attempts);
      }
    }
  };
  const entries = [...items.entries()];
  const next = (spreadBy === undefined ? entries : interleaved(entries, ([, item]) => spreadBy(item))).values();
  const lane = async () => {
    for (const [index, item] of next) settled[index] = await attempt(item);
  };
  const lanes = Math.max(1, Math.min(Math.trunc(concurrency) || 1, parallelLimits.concurrencyMax, items.length));
  await Promise.all(Array.from({ length: lanes }, lane));
  return settled;
}

function isPassing(error: unknown): boolean {
  return isThrottling(error) || (error instanceof MimamoriError && error.retryable);
}
