/**
 * The hash that orders partitions among each other: the first 32 bits of the MD5 of `Outliers` and the key's bytes,
 * which is how DynamoDB orders a scan (as public test suites have found it out). Not for secrets.
 */
import { hash } from 'node:crypto';

const salt = Buffer.from('Outliers', 'latin1');
const blockBytes = 64;
const oneBlockKeyBytesMax = blockBytes - 9 - salt.length; // MD5 adds a bit and the length

/** RFC 1321: the sines, and by how much each step rotates. */
const sines = Int32Array.from({ length: 64 }, (_, step) => Math.floor(Math.abs(Math.sin(step + 1)) * 2 ** 32) | 0);
const rotations = Int32Array.from([7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21]);

const block = new Uint8Array(blockBytes);
const words = new Int32Array(16);
block.set(salt);

/** Most keys fit one block, where a few lines here take a sixth of what a call into the crypto library takes. */
export function partitionHash(key: Uint8Array): number {
  if (key.length > oneBlockKeyBytesMax) {
    return hash('md5', Buffer.concat([salt, key]), 'buffer').readUInt32BE(0);
  }
  const end = salt.length + key.length;
  for (let index = 0; index < key.length; index++) block[salt.length + index] = key[index];
  block.fill(0, end);
  block[end] = 0x80;
  block[56] = (end << 3) & 0xff;
  block[57] = end >>> 5;
  for (let word = 0, at = 0; word < 16; word++, at += 4) {
    words[word] = block[at] | (block[at + 1] << 8) | (block[at + 2] << 16) | (block[at + 3] << 24);
  }
  return firstWord();
}

/** The first word of the digest of `words`, its bytes in the order in which they are written. */
function firstWord(): number {
  let a = 0x67452301;
  let b = 0xefcdab89 | 0;
  let c = 0x98badcfe | 0;
  let d = 0x10325476;
  for (let step = 0; step < 64; step++) {
    let mixed: number;
    let word: number;
    if (step < 16) {
      mixed = (b & c) | (~b & d);
      word = step;
    } else if (step < 32) {
      mixed = (d & b) | (~d & c);
      word = (5 * step + 1) & 15;
    } else if (step < 48) {
      mixed = b ^ c ^ d;
      word = (3 * step + 5) & 15;
    } else {
      mixed = c ^ (b | ~d);
      word = (7 * step) & 15;
    }
    const sum = (a + mixed + sines[step] + words[word]) | 0;
    const by = rotations[((step >> 4) << 2) | (step & 3)];
    a = d;
    d = c;
    c = b;
    b = (b + ((sum << by) | (sum >>> (32 - by)))) | 0;
  }
  const first = (a + 0x67452301) | 0;
  return (((first & 0xff) << 24) | ((first & 0xff00) << 8) | ((first >>> 8) & 0xff00) | (first >>> 24)) >>> 0;
}
