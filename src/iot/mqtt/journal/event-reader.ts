/**
 * Reads what `EventWriter` wrote, in the same order. Checksums keep damage away from it, so whatever does not fit was
 * written by another version or by a mistake of ours: it throws.
 */
export class EventReader {
  readonly #bytes: Buffer;
  #position: number;

  constructor(bytes: Buffer, position = 0) {
    this.#bytes = bytes;
    this.#position = position;
  }

  get isAtEnd(): boolean {
    return this.#position === this.#bytes.length;
  }

  uint8(): number {
    return this.#bytes[this.#take(1)];
  }

  varint(): number {
    let value = 0;
    for (let scale = 1; scale <= 2 ** 49; scale *= 0x80) {
      const byte = this.uint8();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80 && Number.isSafeInteger(value)) return value;
      if (byte < 0x80) break;
    }
    throw new RangeError('a number is beyond 2^53');
  }

  float64(): number {
    return this.#bytes.readDoubleLE(this.#take(8));
  }

  text(): string {
    const length = this.varint();
    const start = this.#take(length);
    return this.#bytes.toString('utf8', start, start + length);
  }

  /** A copy: the bytes that were read stay in memory for nobody's sake. */
  binary(): Buffer {
    const length = this.varint();
    return this.#copy(this.#take(length), length);
  }

  /** A copy of all that follows. */
  rest(): Buffer {
    const length = this.#bytes.length - this.#position;
    return this.#copy(this.#take(length), length);
  }

  #copy(start: number, length: number): Buffer {
    const copy = Buffer.allocUnsafeSlow(length); // not of the pool, of which one small message would keep 8 KiB
    this.#bytes.copy(copy, 0, start, start + length);
    return copy;
  }

  #take(length: number): number {
    const start = this.#position;
    if (length > this.#bytes.length - start) throw new RangeError('a field goes beyond the end of the event');
    this.#position += length;
    return start;
  }
}
