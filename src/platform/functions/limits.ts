import assert from 'node:assert/strict';

export const functionLimits = {
  timeoutMsDefault: 3_000, // Lambda's default
  timeoutMsMax: 900_000, // Lambda "Timeout": 15 minutes
  concurrencyMaxDefault: 1_000, // Lambda "concurrent executions" of an account and Region
  isolatedConcurrencyMaxDefault: 4, // ours: each has a thread, and tens of megabytes
  unreservedMin: 100, // Lambda: reservations leave at least so many to the functions without one
  waitingMax: 10_000, // ours: invocations of one function that wait in memory for their turn; further ones are refused
  functionsMax: 1_000, // ours: an app's functions and routes; further ones share one line and one account
  throttledRetryMs: 1_000, // ours: after which a refused caller is told to ask again
  stopGraceMs: 3_000, // ours: after which a stop aborts what still runs; below the 5 s after which its thread is ended
  memoryMegabytesDefault: 128, // Lambda "MemorySize"
  memoryMegabytesMax: 10_240, // Lambda "MemorySize"
} as const;

export const budgetLimits = {
  windowMs: 60_000, // a budget is for a minute
  warnShare: 0.8, // S0-41: told at 80 %, stopped at 100 %
  /*
   * What a function may use that declares no budget. Only invocations that other functions have caused are counted: what
   * comes from outside is no runaway, whatever it is. A chain of one event is ended by its depth; this ends those that
   * branch, since sixteen steps of four each are already 4 thousand million invocations.
   */
  causedPerEventMax: 100, // ours: for each event from outside, so that what grows with the traffic is never stopped
  causedPerSecondMax: 1_000, // ours: for everything that does not come from outside, such as a backfill
  causedReserveMax: 10_000_000, // ours: saved up, and there at the start; about 2 dollars of requests on Lambda
} as const;

/** Invocations that are stored first and run later. */
export const laterLimits = {
  attemptsMaxDefault: 3, // Lambda "MaximumRetryAttempts": 2, and the first
  attemptsMax: 100, // ours
  eventAgeMsMaxDefault: 6 * 3_600_000, // Lambda "MaximumEventAgeInSeconds"
  eventAgeMsMax: 14 * 24 * 3_600_000, // ours: as long as a queue of SQS keeps a message
  retryDelayMs: 1_000, // ours (Lambda: a minute): at most so long before the second attempt, doubled before each further one
  retryDelayMsMax: 300_000, // Lambda's, after throttling
  delayMsMax: 366 * 24 * 3_600_000, // ours: a year ahead
  inputBytesMax: 256 * 1024, // Lambda: the event of an asynchronous invocation, as JSON
  queuedPerFunctionMax: 100_000, // ours: about 20 MB of memory
  queuedMax: 500_000, // ours: all functions together
  startedMax: 256, // ours: of one function, taken from the table and running, or waiting for their turn
  pageItemsMax: 500, // ours: read at once when the app starts
  lookAgainMs: 5_000, // ours: by then the index shows what was stored just before a stop
  storeFullRetryMs: 1_000, // ours: how often a full disk is tried again
  idempotencyMs: 24 * 3_600_000, // the same key within this time is the same call
} as const;
assert(laterLimits.queuedPerFunctionMax <= laterLimits.queuedMax);

/** Effects that are done once. */
export const onceLimits = {
  ttlMsDefault: 24 * 3_600_000, // as long as a table's stream tells a change again
  ttlMsMin: 1_000, // time to live counts seconds
  ttlMsMax: 366 * 24 * 3_600_000, // ours: a year
  keyCharactersMax: 512, // ours: a partition key of DynamoDB holds 2,048 bytes
  resultBytesMax: 256 * 1024, // ours: an item holds 400 KB
  pollMs: 50, // ours: how often one that waits looks whether the other is done; doubled each time
  pollMsMax: 1_000, // ours
} as const;
