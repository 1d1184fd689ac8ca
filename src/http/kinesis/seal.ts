/** Text that callers bring back unchanged, and cannot read or make up: AES-256-GCM, then base64. */
import { createCipheriv, createDecipheriv } from 'node:crypto';
import type { Random } from '../../kernel/random.ts';

/** What AWS' iterators begin with; here it is the version of the format. */
const head = Buffer.from([0, 0, 0, 0, 0, 0, 0, 1]);
const ivBytes = 12;
const tagBytes = 16;

export class Seal {
  readonly #key: Uint8Array;
  readonly #random: Random;

  /** @param key  32 bytes; the same after a restart, so that what was sealed before is good then, too */
  constructor({ key, random }: { key: Uint8Array; random: Random }) {
    this.#key = key;
    this.#random = random;
  }

  close(bytes: Buffer): string {
    const iv = this.#random.bytes(ivBytes);
    const cipher = createCipheriv('aes-256-gcm', this.#key, iv, { authTagLength: tagBytes });
    return Buffer.concat([head, iv, cipher.update(bytes), cipher.final(), cipher.getAuthTag()]).toString('base64');
  }

  /** Undefined when it was changed, or sealed with another key. */
  open(text: string): Buffer | undefined {
    const sealed = Buffer.from(text, 'base64');
    const bytesAt = head.length + ivBytes;
    const tagAt = sealed.length - tagBytes;
    if (tagAt < bytesAt || !sealed.subarray(0, head.length).equals(head)) return undefined;
    const iv = sealed.subarray(head.length, bytesAt);
    const decipher = createDecipheriv('aes-256-gcm', this.#key, iv, { authTagLength: tagBytes });
    decipher.setAuthTag(sealed.subarray(tagAt));
    try {
      return Buffer.concat([decipher.update(sealed.subarray(bytesAt, tagAt)), decipher.final()]);
    } catch {
      return undefined;
    }
  }
}
