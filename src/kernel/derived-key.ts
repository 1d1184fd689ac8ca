import { hkdfSync } from 'node:crypto';

/** One secret serves several purposes, each with a key of its own. */
export function derivedKey(secret: Uint8Array, purpose: string): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', secret, new Uint8Array(), purpose, 32));
}
