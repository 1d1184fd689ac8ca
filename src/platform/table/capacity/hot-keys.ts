/**
 * The partition keys that use most, without remembering all of them: the "space-saving" counters of Metwally, Agrawal
 * and El Abbadi (2005). With `keysMax` counters, whatever uses more than 1/keysMax of everything is among them.
 */
import assert from 'node:assert/strict';

export interface HotKey {
  readonly key: string;
  /** Units it has used at most; `unitsMin` at least. */
  readonly units: number;
  readonly unitsMin: number;
}

interface Counter {
  units: number;
  /** What the counter stood at when the key took it over. */
  taken: number;
}

export class HotKeys {
  readonly #keysMax: number;
  readonly #counters = new Map<string, Counter>();
  /** The coldest last. */
  #cold: { key: string; units: number }[] = [];
  readonly #sorted: Float64Array;

  constructor(keysMax: number) {
    this.#keysMax = keysMax;
    this.#sorted = new Float64Array(keysMax);
  }

  add(key: string, units: number): void {
    const known = this.#counters.get(key);
    if (known !== undefined) {
      known.units += units;
    } else if (this.#counters.size < this.#keysMax) {
      this.#counters.set(key, { units, taken: 0 });
    } else {
      this.#replaceColdest(key, units);
    }
  }

  /** Halves every count, so that what was hot long ago makes room. */
  fade(): void {
    for (const [key, counter] of this.#counters) {
      counter.units /= 2;
      counter.taken /= 2;
      if (counter.units < 0.5) this.#counters.delete(key);
    }
  }

  hottest(count: number): HotKey[] {
    const all = [...this.#counters].map(([key, { units, taken }]) => ({ key, units, unitsMin: units - taken }));
    return all.sort((left, right) => right.units - left.units).slice(0, count);
  }

  #replaceColdest(key: string, units: number): void {
    const coldest = this.#takeColdest();
    const taken = this.#counters.get(coldest)?.units ?? 0;
    this.#counters.delete(coldest);
    this.#counters.set(key, { units: taken + units, taken });
  }

  /** From the coldest of the last look at all of them, as far as nobody has used them since. */
  #takeColdest(): string {
    for (let next = this.#cold.pop(); next !== undefined; next = this.#cold.pop()) {
      if (this.#counters.get(next.key)?.units === next.units) return next.key;
    }
    this.#lookAtAll();
    const coldest = this.#cold.pop();
    assert(coldest !== undefined); // there are keysMax counters
    return coldest.key;
  }

  /** Sorting numbers costs much less than sorting counters, so only the coldest few are sorted as such. */
  #lookAtAll(): void {
    const sorted = this.#sorted;
    let at = 0;
    for (const { units } of this.#counters.values()) sorted[at++] = units;
    const warmest = sorted.sort()[Math.ceil(this.#keysMax / 16) - 1];
    this.#cold = [];
    for (const [key, { units }] of this.#counters) if (units <= warmest) this.#cold.push({ key, units });
    this.#cold.sort((left, right) => right.units - left.units);
  }
}
