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
