import assert from 'node:assert/strict';
import { streamLimits } from '../limits.ts';

export const jetStreamLimits = {
  streamNameCharactersMax: 200, // ours: NATS takes names of up to 255, and a suffix is added for each shard
  shardsMax: 1_000, // ours: the shard map is one message, and each shard is a stream of JetStream
  messageRecordsMax: 65_536, // ours: a record's place in its message is the low 16 bits of its sequence number
  messageBytesMax: 2 * 1024 * 1024, // ours: a group commit; NATS advises against messages over 8 MB
  headerBytesMax: 512, // ours: what the headers of a message take at most, of NATS' max_payload
  pendingBytesMax: streamLimits.pendingBytesMax,
  requestTimeoutMs: 2_000, // ours: a server that was killed answers nothing; an election takes 1 to 4 s
  giveUpMs: 60_000, // ours: how long a message may go unanswered before its records are refused
  retryDelayMsMin: 20, // ours: doubled with each attempt, half of it by chance
  retryDelayMsMax: 1_000, // ours
  outrunsMax: 1_000, // ours: how often others may come first before a shard counts as not to be had
  pollIntervalMs: 1_000, // ours: how often a reader looks that heard of nothing new
  readWindowMax: 32, // ours: messages asked for at once by a reader that is behind
  retentionMs: 24 * 3_600_000, // Kinesis' default, as the embedded engine's
  duplicateWindowMs: 120_000, // NATS' default
  mapVersionsMax: 16, // ours: shard maps kept, for who wants to know what happened
} as const;
assert(jetStreamLimits.messageBytesMax >= streamLimits.recordBytesMax * 2); // A message holds a record and then some.
assert(streamLimits.blockBytesMax <= jetStreamLimits.pendingBytesMax); // One batch can always wait.

/** Those that tests set otherwise. */
export type JetStreamLimits = { readonly [Name in keyof typeof jetStreamLimits]: number };
