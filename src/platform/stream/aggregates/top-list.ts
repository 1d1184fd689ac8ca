/**
 * Who has the most: names with sums, as many as there is room for. Exact until the names outnumber the capacity; beyond
 * that every sum says by how much it may be too high [Space-Saving: Metwally 2005; merging: Agarwal et al. 2012]. A plain
 * value; merging in any order gives the same list as long as it is exact.
 */
import { sampleNotValid } from '../errors.ts';
import { aggregateLimits } from './limits.ts';

export interface TopList {
  readonly capacity: number;
  /** What a name that is not in it may have at most; 0 while it is exact. */
  readonly floor: number;
  /** The greatest first; equal ones by name. */
  readonly entries: readonly TopEntry[];
}

/** The true score is at most `score`, and at least `score - error`. */
export type TopEntry = readonly [name: string, score: number, error: number];

/** Adds up the amounts of each name. Amounts are not negative. Throws `stream.sampleNotValid`. */
export function topListOf(
  amounts: Iterable<readonly [name: string, amount: number]>,
  capacity: number = aggregateLimits.topListCapacity,
): TopList {
  const { topListCapacityMax } = aggregateLimits;
  if (!Number.isInteger(capacity) || capacity < 1 || capacity > topListCapacityMax) {
    throw sampleNotValid(capacity, `a capacity from 1 to ${topListCapacityMax}`);
  }
  const sums = new Map<string, number>();
  for (const [name, amount] of amounts) {
    if (!Number.isFinite(amount) || amount < 0) throw sampleNotValid(amount, 'an amount that is not negative');
    sums.set(name, (sums.get(name) ?? 0) + amount);
  }
  return truncated(
    [...sums].map(([name, sum]) => [name, sum, 0]),
    capacity,
    0,
  );
}

/** Has the smaller of the two capacities. */
export function mergeTopLists(left: TopList, right: TopList): TopList {
  const entries = new Map<string, TopEntry>();
  // A name that is missing in the other may have had as much as its floor there.
  for (const [name, score, error] of left.entries) entries.set(name, [name, score + right.floor, error + right.floor]);
  for (const [name, score, error] of right.entries) {
    const known = entries.get(name);
    if (known === undefined) entries.set(name, [name, score + left.floor, error + left.floor]);
    else entries.set(name, [name, known[1] - right.floor + score, known[2] - right.floor + error]);
  }
  return truncated([...entries.values()], Math.min(left.capacity, right.capacity), left.floor + right.floor);
}

/** The first `count` of the list. */
export function topOf({ entries }: TopList, count: number): readonly TopEntry[] {
  return entries.slice(0, count);
}

/** 1 for the greatest; equal scores share a rank and leave the next ones out, as RANK in SQL. Undefined if it is not in it. */
export function rankOf({ entries }: TopList, name: string): number | undefined {
  const entry = entries.find(([other]) => other === name);
  return entry && 1 + entries.findIndex(([, score]) => score === entry[1]);
}

/** Nothing had to be left out. */
export function isExact({ floor }: TopList): boolean {
  return floor === 0;
}

function truncated(entries: TopEntry[], capacity: number, floor: number): TopList {
  entries.sort(([leftName, left], [rightName, right]) => right - left || (leftName < rightName ? -1 : 1));
  const dropped = entries[capacity]; // The greatest of those for which there is no room.
  return { capacity, floor: Math.max(floor, dropped?.[1] ?? 0), entries: entries.slice(0, capacity) };
}
