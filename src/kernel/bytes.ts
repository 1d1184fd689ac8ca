/** One empty byte string for everyone who needs none. */
export const noBytes: Uint8Array = new Uint8Array(0);

/** The bytes of `bytes` as a Buffer over the same memory. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
