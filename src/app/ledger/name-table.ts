/** Names found in bytes, as small numbers: the same bytes are the same number, and no text is made to find that out. */
import { bufferOf } from '../../kernel/bytes.ts';

const namesMax = 16_384; // ours: then it is emptied, when nothing of it is in use
const slotsCount = 4 * namesMax; // a power of two; at most a quarter full, so that most names are found at once
const fnvOffset = 0x811c9dc5; // FNV-1a, 32 bits
const fnvPrime = 0x01000193;

export class NameTable {
  /** Hash to number + 1; 0: free. */
  readonly #slots = new Int32Array(slotsCount);
  readonly #hashes: number[] = [];
  readonly #starts: number[] = [0];
  #bytes = Buffer.allocUnsafe(16 * 1024);

  get isFull(): boolean {
    return this.#hashes.length >= namesMax;
  }

  /** The number of the name in `bytes` from `start` to `end`; -1 when there is no room for another. */
  numberOf(bytes: Uint8Array, start: number, end: number): number {
    let hash = fnvOffset;
    for (let at = start; at < end; at++) hash = Math.imul(hash ^ bytes[at], fnvPrime);
    for (let slot = hash & (slotsCount - 1); ; slot = (slot + 1) & (slotsCount - 1)) {
      const number = this.#slots[slot] - 1;
      if (number < 0) return this.isFull ? -1 : this.#put(slot, hash, bufferOf(bytes).subarray(start, end));
      if (this.#hashes[number] === hash && this.#isAt(number, bytes, start, end)) return number;
    }
  }

  nameOf(number: number): string {
    return this.#bytes.toString('utf8', this.#starts[number], this.#starts[number + 1]);
  }

  clear(): void {
    this.#slots.fill(0);
    this.#hashes.length = 0;
    this.#starts.length = 1;
  }

  #isAt(number: number, bytes: Uint8Array, start: number, end: number): boolean {
    const from = this.#starts[number];
    if (this.#starts[number + 1] - from !== end - start) return false;
    for (let at = start; at < end; at++) if (this.#bytes[from + at - start] !== bytes[at]) return false;
    return true;
  }

  #put(slot: number, hash: number, name: Buffer): number {
    const number = this.#hashes.length;
    const from = this.#starts[number];
    if (from + name.length > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, from + name.length));
      this.#bytes.copy(larger, 0, 0, from);
      this.#bytes = larger;
    }
    name.copy(this.#bytes, from);
    this.#hashes.push(hash);
    this.#starts.push(from + name.length);
    this.#slots[slot] = number + 1;
    return number;
  }
}
