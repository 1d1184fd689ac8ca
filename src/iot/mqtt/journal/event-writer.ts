import assert from 'node:assert/strict';

const initialBytes = 4 * 1024;
/** Room that one large event needed is not kept for the small ones that follow. */
const keptBytesMax = 1024 * 1024;

/**
 * One event on its way into the log. Little endian. The room is used again for the next event, so that an event costs
 * no object; from here it goes into a batch, where its size must be known before the first byte.
 */
export class EventWriter {
  #bytes = Buffer.allocUnsafe(initialBytes);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Begins the next event. */
  restart(): this {
    this.#length = 0;
    if (this.#bytes.length > keptBytesMax) this.#bytes = Buffer.allocUnsafe(initialBytes);
    return this;
  }

  uint8(value: number): void {
    const at = this.#grow(1);
    this.#bytes[at] = value;
  }

  /** A whole number from 0 to 2^53 - 1, seven bits to the byte, the lowest first. */
  varint(value: number): void {
    assert(Number.isSafeInteger(value) && value >= 0);
    let at = this.#grow(8);
    let rest = value;
    for (; rest > 0x7f; rest = rest > 0x7fffffff ? Math.floor(rest / 0x80) : rest >>> 7) {
      this.#bytes[at++] = (rest & 0x7f) | 0x80;
    }
    this.#bytes[at++] = rest;
    this.#length = at;
  }

  float64(value: number): void {
    const at = this.#grow(8);
    this.#bytes.writeDoubleLE(value, at);
  }

  text(value: string): void {
    assert(value.isWellFormed()); // UTF-8 has no lone surrogates: another text would come back.
    const length = Buffer.byteLength(value);
    this.varint(length);
    const at = this.#grow(length);
    this.#bytes.write(value, at, length, 'utf8');
  }

  binary(value: Uint8Array): void {
    this.varint(value.length);
    const at = this.#grow(value.length);
    this.#bytes.set(value, at);
  }

  /** Writes bytes `from` to `to` of the event into `target`. */
  copyTo(target: Buffer, at: number, from: number, to: number): void {
    // A call into the runtime costs more than the few bytes that most events have.
    if (to - from > 64) this.#bytes.copy(target, at, from, to);
    else for (let index = from; index < to; index++) target[at + index - from] = this.#bytes[index];
  }

  /** @returns where the new room begins */
  #grow(length: number): number {
    const at = this.#length;
    this.#length += length;
    if (this.#length > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.#length, this.#bytes.length * 2));
      this.#bytes.copy(larger, 0, 0, at);
      this.#bytes = larger;
    }
    return at;
  }
}
