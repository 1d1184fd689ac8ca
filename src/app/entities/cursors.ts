/**
 * Where a page ended, as text that says nothing and cannot be made up: encrypted and authenticated (AES-256-GCM), and
 * bound to the list it came from. The nonce is made of the contents, so the same page has the same cursor.
 */
import { createCipheriv, createDecipheriv, createHmac } from 'node:crypto';
import { derivedKey } from '../../kernel/derived-key.ts';
import { cursorNotValid } from './errors.ts';

const nonceBytes = 12; // NIST SP 800-38D, 8.2
const tagBytes = 16;
const cursorCharactersMax = 64 * 1_024; // ours: far above what the positions of 64 shards take

/** What a cursor is good for: any value JSON can say, the same for the list that made it and the one that reads it. */
export type CursorBinding = readonly unknown[];

export class Cursors {
  readonly #encryptionKey: Uint8Array;
  readonly #nonceKey: Uint8Array;

  /** @param key  secret, at least 16 bytes; cursors made with another are refused */
  constructor(key: Uint8Array) {
    this.#encryptionKey = derivedKey(key, 'mimamori cursor encryption');
    this.#nonceKey = derivedKey(key, 'mimamori cursor nonce');
  }

  seal(binding: CursorBinding, position: unknown): string {
    const bound = Buffer.from(JSON.stringify(binding));
    const plain = Buffer.from(JSON.stringify(position));
    const digest = createHmac('sha256', this.#nonceKey).update(`${bound.length}:`).update(bound).update(plain).digest();
    const nonce = digest.subarray(0, nonceBytes);
    const cipher = createCipheriv('aes-256-gcm', this.#encryptionKey, nonce).setAAD(bound);
    return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]).toString('base64url');
  }

  /** Throws `entity.cursorNotValid`. */
  open(binding: CursorBinding, cursor: unknown): unknown {
    if (typeof cursor !== 'string' || cursor.length > cursorCharactersMax) throw cursorNotValid();
    const sealed = Buffer.from(cursor, 'base64url');
    if (sealed.length < nonceBytes + tagBytes || sealed.toString('base64url') !== cursor) throw cursorNotValid();
    try {
      const nonce = sealed.subarray(0, nonceBytes);
      const decipher = createDecipheriv('aes-256-gcm', this.#encryptionKey, nonce, { authTagLength: tagBytes })
        .setAAD(Buffer.from(JSON.stringify(binding)))
        .setAuthTag(sealed.subarray(-tagBytes));
      const plain = Buffer.concat([decipher.update(sealed.subarray(nonceBytes, -tagBytes)), decipher.final()]);
      return JSON.parse(plain.toString());
    } catch {
      throw cursorNotValid(); // Whatever is wrong with it, the caller learns only that it is not valid.
    }
  }
}
