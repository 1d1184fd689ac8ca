/** One empty byte string for everyone who needs none. */
export const noBytes: Buffer = Buffer.alloc(0);

/** The same bytes with the methods of a Buffer: a view, not a copy. */
export function bufferOf(bytes: ArrayBufferView): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
