/** One empty byte string for everyone who needs none. */
export const noBytes: Uint8Array = new Uint8Array(0);

/** The bytes of `bytes` as a Buffer over the same memory. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Equal length and equal bytes. Not for secrets: see `crypto.timingSafeEqual`. */
export function sameBytes(left: Uint8Array, right: Uint8Array): boolean {
  return asBuffer(left).equals(right);
}
