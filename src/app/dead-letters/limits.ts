import assert from 'node:assert/strict';
import { streamLimits } from '../../platform/stream/index.ts';
import { tableLimits } from '../../platform/table/index.ts';

export const deadLetterLimits = {
  lettersMax: 100_000, // ours, per consumer: what somebody may still look through; at it the consumer waits
  bytesMax: 256 * 1024 * 1024, // ours, per consumer: payloads; with 65 consumers at most 16 GiB of the disk
  nearlyFullShare: 0.8, // ours: from here on an alarm says how long there is still room
  thingShare: 0.1, // ours: of both bounds, so that one broken or hostile device cannot make a consumer wait for all
  partBytesMax: 300 * 1024, // ours: an item holds 400 KB
  partsMax: 8, // ours: 2.3 MiB; a record of the stream is at most 1 MiB, a change of a table two images of 400 KB
  inlineBytesMax: 4 * 1024, // ours: payloads up to this lie in the letter itself; larger ones would make listing slow
  messageCharactersMax: 1_000, // ours
  stackCharactersMax: 4_000, // ours: about 40 frames
  nameCharactersMax: 256, // ours: names and ids that come from outside
  pageLettersDefault: 50,
  pageLettersMax: 1_000,
  examinedPerPageMax: 5_000, // ours: letters that a filter looks at before it says how far it has come
  bulkMax: 1_000, // ours: letters that one request deletes; then it says how many are left
  growthWindowMs: 5 * 60_000, // ours
  growthLettersMax: 100, // ours: more in one window are an alarm of their own: not one bad record, but something broken
  fullRetryMs: 1_000, // ours: how often a consumer looks whether there is room again
} as const;

assert(deadLetterLimits.partsMax * deadLetterLimits.partBytesMax > 2 * streamLimits.recordBytesMax);
assert(deadLetterLimits.partBytesMax < tableLimits.itemBytesMax);
assert(deadLetterLimits.partsMax * deadLetterLimits.partBytesMax < tableLimits.transactionBytesMax); // one write each

export const redriveLimits = {
  redrivesMax: 10, // ours: times a letter may be redriven; then it has to be edited first, or the limit raised
  perSecondDefault: 100, // ours: beside what devices send, and slow enough to stop what turns out to be wrong
  perSecondMax: 10_000,
  lanesMax: 8, // ours: letters of different partition keys that run beside each other
  pageLetters: 100, // ours: letters in hand at once; keys keep their order across pages, too
  idsMax: 1_000, // ours: letters named one by one
  failuresInARowMax: 100, // ours: then nothing is right yet, and it stops by itself
  triesAloneMax: 2, // ours: a letter that was alone in hand while the app ended twice is taken for the reason
  leaseMs: 20 * 60_000, // ours: longer than any handler may take; then the redrive that had it in hand is taken for dead
  failuresKept: 100, // ours: of one redrive, the ones last noted
  messageCharactersMax: 200, // ours: of what they say
  storeFullRetryMs: 1_000, // ours: how often a full disk is tried again
  redrivesKept: 20, // ours: redrives that are over and can still be looked at
} as const;
