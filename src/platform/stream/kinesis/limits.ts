import assert from 'node:assert/strict';
import { streamLimits } from '../limits.ts';

export const kinesisLimits = {
  callRecordsMax: 500, // PutRecords
  callBytesMax: 10 * 1024 * 1024, // PutRecords: all data and partition keys of a call
  callsMax: 8, // ours: PutRecords under way at once
  pendingBytesMax: streamLimits.pendingBytesMax,
  pendingRecordsMax: 100_000, // ours: each is a few objects while it waits
  giveUpMs: 60_000, // ours: how long a partition key may go on failing before its records are refused
  retryDelayMsMin: 50, // ours: doubled with each attempt, half of it by chance
  retryDelayMsMax: 5_000, // ours
  readIntervalMs: 200, // GetRecords: 5 per second and shard, for all readers together
  pollIntervalMs: 1_000, // Lambda's own cadence for a shard that is waited at
  readAttemptsMax: 6, // ours: throttled or failed GetRecords before the reader says so
  emptyAnswersMax: 100, // ours: answers without records, though behind the latest, before a read gives up
  latestMax: 16, // ours: iterators at the latest record that a reader keeps for whoever asked
  listCallsMax: 100, // ours: pages of ListShards, of up to 1,000 shards each
  activeWithinMs: 10 * 60_000, // ours: how long a split or merge may take
  activePollMs: 1_000, // ours: DescribeStreamSummary may be asked 20 times a second, by all of an account
} as const;
assert(streamLimits.recordBytesMax <= kinesisLimits.callBytesMax); // A call holds at least one record.
assert(streamLimits.blockBytesMax <= kinesisLimits.pendingBytesMax); // One batch can always wait.

/** Those that tests, and endpoints that are not AWS', set otherwise. */
export type KinesisLimits = { readonly [Name in keyof typeof kinesisLimits]: number };
