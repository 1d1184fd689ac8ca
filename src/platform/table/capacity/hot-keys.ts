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
  #cold: { key: string; units: number }[] = [];

  constructor(keysMax: number) {
    this.#keysMax = keysMax;
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
    const all = [...this.#counters].map(([key, { units }]) => ({ key, units }));
    this.#cold = all.sort((left, right) => left.units - right.units).slice(0, Math.ceil(this.#keysMax / 16));
    this.#cold.reverse();
    const coldest = this.#cold.pop();
    assert(coldest !== undefined); // there are keysMax counters
    return coldest.key;
  }
}
