import type { Clock } from './clock.ts';
import type { Random } from './random.ts';

const crockford = '0123456789abcdefghjkmnpqrstvwxyz'; // lower case, so that an id is also a valid topic segment

/**
 * Makes ids that sort by the time they were made: 10 characters of milliseconds, 16 of chance (80 bits), as a ULID
 * does, in lower case. Ids of one maker keep increasing even when the wall clock is set back.
 */
export function idMaker(clock: Clock, random: Random): () => string {
  let lastMs = 0;
  return () => {
    lastMs = Math.max(lastMs, clock.nowMs());
    let text = '';
    for (let rest = lastMs, digit = 0; digit < 10; digit++, rest = Math.floor(rest / 32)) {
      text = crockford[rest % 32] + text;
    }
    for (const byte of random.bytes(16)) text += crockford[byte & 31];
    return text;
  };
}

/** Crockford's base 32, in lower case, with zeros in front up to `characters`: texts of one length sort as numbers do. */
export function base32Of(value: bigint, characters = 1): string {
  let text = '';
  for (let rest = value; rest > 0n; rest >>= 5n) text = crockford[Number(rest & 31n)] + text;
  return text.padStart(characters, '0');
}
