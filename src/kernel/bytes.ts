/** One empty byte string for everyone who needs none. */
export const noBytes: Buffer = Buffer.alloc(0);
