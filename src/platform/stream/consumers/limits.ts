import assert from 'node:assert/strict';

/** What Lambda allows an event source mapping, and what bounds one of ours. */
export const consumerLimits = {
  batchRecordsMax: 10_000, // Lambda "BatchSize"
  batchBytesMax: 6 * 1024 * 1024, // Lambda's synchronous invocation payload; data count as base64, keys as they are
  batchWindowMsMax: 300_000, // Lambda "MaximumBatchingWindowInSeconds"
  parallelizationFactorMax: 10, // Lambda "ParallelizationFactor"
  attemptsMax: 10_001, // Lambda "MaximumRetryAttempts": 10,000, and the first
  recordAgeMsMin: 60_000, // Lambda "MaximumRecordAgeInSeconds"
  recordAgeMsMax: 604_800_000, // the same: seven days
  tumblingWindowMsMax: 900_000, // Lambda "TumblingWindowInSeconds"
  windowStateBytesMax: 1024 * 1024, // Lambda: 1 MB of state per shard, as JSON; more ends the window early
  filterPatternsMax: 10, // Lambda: 5, and 10 by quota
  filterPatternCharactersMax: 4_096, // Lambda
  filterPatternDepthMax: 100, // ours: more than any event has
  filterCombinationsMax: 1_000, // EventBridge: what the alternatives of all `$or` of a pattern multiply to
  lookAheadBytesMax: 16 * 1024 * 1024, // ours: data read beyond the checkpoint, in memory until they are done
} as const;

export const consumerDefaults = {
  /** For functions of one record: what a restart repeats, and what runs alone after a hang. Lambda's default. */
  eachRecordsMax: 100,
  batchRecordsMax: 10_000, // Lambda's largest batch; without a window the loop takes what is there
  readBytesMax: 2 * 1024 * 1024, // ours: one read
  attemptsMax: 3, // ours; Lambda's is for ever, and stops the shard
  retryDelayMs: 200, // ours: at most so long before the second attempt, doubled before each further one
  retryDelayMsMax: 60_000, // ours: doubling would soon mean for ever
  throttledRetryMsMax: 1_000, // ours: how often a full disk, or a function without room, is tried again
  readRetryMsMax: 10_000, // ours: how often a stream that does not answer is asked again
  idleCheckpointMs: 1_000, // ours: passing by other consumers' records need not be remembered more often
  lookAheadRecordsMax: 20_000, // ours: what may be read beyond a record that waits, and what a restart repeats at most
} as const;
assert(consumerDefaults.batchRecordsMax * 2 <= consumerDefaults.lookAheadRecordsMax); // one gathers while one runs
assert(consumerDefaults.readBytesMax * 2 <= consumerLimits.lookAheadBytesMax);
