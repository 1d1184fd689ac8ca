import { randomFillSync } from 'node:crypto';

/** Chance, handed in: the system's for real runs, a seeded one for a run that must be repeatable. */
export interface Random {
  /** `length` random bytes, fresh for the caller. */
  bytes(length: number): Uint8Array;
  /** A whole number from 0 up to and not including `below` (at most 2^32). */
  integer(below: number): number;
}

export const systemRandom: Random = {
  bytes: length => randomFillSync(new Uint8Array(length)),
  integer: below => Math.floor((randomFillSync(new Uint32Array(1))[0] / 2 ** 32) * below),
};

/** The same sequence for the same seed (mulberry32). Never for secrets. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
  return {
    bytes: length => Uint8Array.from({ length }, () => next() & 0xff),
    integer: below => Math.floor((next() / 2 ** 32) * below),
  };
}
