const grownBytesMin = 256; // ours: the first few single bytes do not each move what came before

/**
 * What has arrived of a packet that is not whole yet. Room doubles as bytes come, so that a packet sent byte by byte
 * costs twice its length in copying and not the square of it, and none is taken because a length was announced.
 * Bytes that were handed out are never written again: views into them stay valid.
 */
export class PartialPacket {
  #room: Buffer;
  #length: number;

  /** Keeps `bytes` from `position` on; they belong to it from now on. */
  constructor(bytes: Buffer, position: number) {
    const rest = bytes.subarray(position);
    // A small rest must not keep a large read alive.
    this.#room = rest.length * 2 < bytes.length ? Buffer.from(rest) : rest;
    this.#length = rest.length;
  }

  /** All there is, with `chunk` behind it. */
  join(chunk: Buffer): Buffer {
    const length = this.#length + chunk.length;
    if (length > this.#room.length) {
      const larger = Buffer.allocUnsafe(Math.max(length, this.#room.length * 2, grownBytesMin));
      this.#room.copy(larger, 0, 0, this.#length);
      this.#room = larger;
    }
    chunk.copy(this.#room, this.#length);
    this.#length = length;
    return this.bytes;
  }

  get bytes(): Buffer {
    return this.#room.subarray(0, this.#length);
  }
}
