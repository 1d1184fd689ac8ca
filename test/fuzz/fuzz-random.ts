import type { Random } from '../../src/kernel/random.ts';

/**
 * Chance for one case of a campaign, from the campaign's seed and the case's index alone: case 4,999,999 is replayed
 * without the cases before it. One object serves all of them, since millions of closures would be what is measured.
 */
export class FuzzRandom implements Random {
  #state = 0;

  /** From here on the sequence of that case. */
  restart(seed: number, index: number): this {
    this.#state = mixed(mixed(seed >>> 0) ^ Math.imul(index + 1, 0x9e3779b1));
    return this;
  }

  /** A whole number from 0 up to and not including `below` (at most 2^32). */
  integer(below: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    return Math.floor((mixed(this.#state) / 2 ** 32) * below);
  }

  /** True once in `times`. */
  onceIn(times: number): boolean {
    return this.integer(times) === 0;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.integer(from.length)];
  }

  bytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length; at++) bytes[at] = this.integer(256);
    return bytes;
  }
}

/** The output function of mulberry32. */
function mixed(state: number): number {
  let value = Math.imul(state ^ (state >>> 15), state | 1);
  value ^= value + Math.imul(value ^ (value >>> 7), value | 61);
  return (value ^ (value >>> 14)) >>> 0;
}
