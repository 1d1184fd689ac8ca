/**
 * Ids of dead letters: the same event of the same consumer has the same id, so that giving up on it twice (because the
 * app was killed before its checkpoint moved) makes one letter; and ids sort by when events came in, then by their order.
 *
 *   10 characters of milliseconds · 2 the length of the order · the order · 8 of chance made of consumer and event
 *
 * all in Crockford's base 32, as other ids of ours are. A number behind its length sorts as it counts: Kinesis' sequence
 * numbers have up to 38 digits in base 32, ours few.
 */
import { createHash } from 'node:crypto';
import { base32Of } from '../../kernel/ids.ts';

const timeCharacters = 10;
const lengthCharacters = 2;
const chanceBytes = 5; // 40 bits: only events of one millisecond and one order can meet

export function letterId(event: {
  readonly consumer: string;
  readonly eventId: string;
  readonly receivedAtMs: number;
  readonly order?: bigint;
}): string {
  const { consumer, eventId, receivedAtMs, order = 0n } = event;
  const orderText = order === 0n ? '' : base32Of(order);
  const length = base32Of(BigInt(orderText.length), lengthCharacters);
  const digest = createHash('sha256').update(`${consumer.length}:${consumer}${eventId}`).digest();
  const chance = base32Of(BigInt(`0x${digest.toString('hex', 0, chanceBytes)}`), (chanceBytes * 8) / 5);
  return `${timeText(receivedAtMs)}${length}${orderText}${chance}`;
}

/** No id of an event that came in at `ms` or later sorts before it. */
export function firstIdAt(ms: number): string {
  return timeText(ms);
}

/** Whether it can be one; what is asked for comes from outside. */
export function isLetterId(text: string): boolean {
  return /^[0-9a-hjkmnp-tv-z]{20,80}$/.test(text);
}

function timeText(ms: number): string {
  const most = 32 ** timeCharacters - 1;
  return base32Of(BigInt(Math.min(Math.max(0, Math.trunc(ms) || 0), most)), timeCharacters);
}
