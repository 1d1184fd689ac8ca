/** A sum over the last minute, to ten seconds: old parts are dropped when it is looked at or added to. */
const partMs = 10_000; // ours
const partsMax = 6;

export class LastMinute {
  readonly #parts = new Float64Array(partsMax);
  #part = 0;

  add(nowMs: number, amount: number): void {
    this.#moveTo(nowMs);
    this.#parts[this.#part % partsMax] += amount;
  }

  sum(nowMs: number): number {
    this.#moveTo(nowMs);
    let sum = 0;
    for (const part of this.#parts) sum += part;
    return sum;
  }

  #moveTo(nowMs: number): void {
    const now = Math.floor(nowMs / partMs);
    if (now - this.#part >= partsMax) this.#parts.fill(0);
    else for (let part = this.#part + 1; part <= now; part++) this.#parts[part % partsMax] = 0;
    this.#part = now;
  }
}
