/**
 * Values under text keys, kept in key order: sorted pieces of bounded length, so that an insert moves at most one
 * piece. Keys are compared by UTF-16 code unit; bytes turned into `latin1` text therefore compare as bytes do, and
 * far faster than byte arrays. Holds what is not yet on disk; not a general collection.
 */
import { bufferOf } from './bytes.ts';
export class SortedMap<Value> {
  readonly #pieces: Piece<Value>[] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(key: string): Value | undefined {
    const piece = this.#pieces[this.#pieceFor(key)];
    if (piece === undefined) return undefined;
    const index = firstAtOrAfter(piece.keys, key);
    return piece.keys[index] === key ? piece.values[index] : undefined;
  }

  set(key: string, value: Value): void {
    if (this.#pieces.length === 0) this.#pieces.push({ keys: [], values: [] });
    const pieceIndex = this.#pieceFor(key);
    const piece = this.#pieces[pieceIndex];
    const index = firstAtOrAfter(piece.keys, key);
    if (piece.keys[index] === key) {
      piece.values[index] = value;
      return;
    }
    piece.keys.splice(index, 0, key);
    piece.values.splice(index, 0, value);
    this.#size++;
    if (piece.keys.length > pieceLengthMax) this.#split(pieceIndex);
  }

  /** Content if there was nothing. */
  delete(key: string): void {
    const pieceIndex = this.#pieceFor(key);
    const piece = this.#pieces[pieceIndex];
    if (piece === undefined) return;
    const index = firstAtOrAfter(piece.keys, key);
    if (piece.keys[index] !== key) return;
    piece.keys.splice(index, 1);
    piece.values.splice(index, 1);
    this.#size--;
    if (piece.keys.length === 0) this.#pieces.splice(pieceIndex, 1);
  }

  /** All values in key order. */
  toArray(): Value[] {
    return this.#pieces.flatMap(piece => piece.values);
  }

  /** The same keys and values, in a map of its own. */
  copy(): SortedMap<Value> {
    const copy = new SortedMap<Value>();
    for (const { keys, values } of this.#pieces) copy.#pieces.push({ keys: keys.slice(), values: values.slice() });
    copy.#size = this.#size;
    return copy;
  }

  /** Adds a key behind all others. */
  append(key: string, value: Value): void {
    let piece = this.#pieces.at(-1);
    if (piece === undefined || piece.keys.length >= pieceLengthMax) {
      piece = { keys: [], values: [] };
      this.#pieces.push(piece);
    }
    piece.keys.push(key);
    piece.values.push(value);
    this.#size++;
  }

  /** From `start` inclusive to `end` exclusive, or the reverse. The map must not change while iterating. */
  *range(start: string, end: string, reverse: boolean): Generator<[key: string, value: Value]> {
    if (reverse) {
      yield* this.#backwards(start, end);
      return;
    }
    for (let at = this.#pieceFor(start); at < this.#pieces.length; at++) {
      const { keys, values } = this.#pieces[at];
      for (let index = firstAtOrAfter(keys, start); index < keys.length; index++) {
        if (keys[index] >= end) return;
        yield [keys[index], values[index]];
      }
    }
  }

  *#backwards(start: string, end: string): Generator<[key: string, value: Value]> {
    for (let at = Math.min(this.#pieceFor(end), this.#pieces.length - 1); at >= 0; at--) {
      const { keys, values } = this.#pieces[at];
      for (let index = firstAtOrAfter(keys, end) - 1; index >= 0; index--) {
        if (keys[index] < start) return;
        yield [keys[index], values[index]];
      }
    }
  }

  /** The last piece that begins at or before `key`; the first when all begin later. */
  #pieceFor(key: string): number {
    let low = 0;
    let high = this.#pieces.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#pieces[middle].keys[0] <= key) low = middle + 1;
      else high = middle;
    }
    return Math.max(0, low - 1);
  }

  #split(pieceIndex: number): void {
    const { keys, values } = this.#pieces[pieceIndex];
    const half = keys.length >>> 1;
    this.#pieces.splice(pieceIndex + 1, 0, { keys: keys.splice(half), values: values.splice(half) });
  }
}

interface Piece<Value> {
  readonly keys: string[];
  readonly values: Value[];
}

/** Long enough that 100,000 keys need a few hundred pieces, short enough that moving one is cheap. */
const pieceLengthMax = 512;

function firstAtOrAfter(keys: readonly string[], key: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (keys[middle] < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** One UTF-16 code unit for each byte, so that texts compare as their bytes do. `Buffer.from(text, 'latin1')` undoes it. */
export function toText(bytes: Uint8Array): string {
  return bufferOf(bytes).toString('latin1');
}
