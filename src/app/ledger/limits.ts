import assert from 'node:assert/strict';
import { tableLimits } from '../../platform/table/index.ts';

export const ledgerLimits = {
  minuteMs: 60_000,
  thingsMax: 10_000, // ours: things of one minute that are counted by name; what others send is counted together
  namesBytesMax: 192 * 1024, // ours: of their names in one minute, so that a minute is one item
  retentionMinutes: 7 * 24 * 60, // ours: a week, to look back over a week end
  bytesMax: 256 * 1024 * 1024, // ours: of all that is kept; beyond it the oldest minutes go before a week is over
  flushEveryMs: 10_000, // ours: what is counted is stored so often, and recounted from the log after a kill
  flushRecordsMax: 50_000, // ours: or after so many records; a recount of as many takes about 50 ms
  exceptionsMax: 500, // ours: dead-lettered and expired records whose numbers lie beside a checkpoint
  transactionMinutesMax: 24, // ours: buckets stored at once
  bucketsCachedMax: 4, // ours: of one consumer; more are read from the table when they are added to
  closedAfterMs: 5_000, // ours: a minute is over so long after its end; what the gateway counted has come by then
  checkedMax: 100, // ours: minutes compared at a time; a consumer that catches up has a day of them in a quarter of an hour
  deletesMax: 100, // ours: old minutes deleted at a time
  imbalancesKept: 100, // ours: found imbalances that can still be looked at
  imbalancesShown: 10, // ours: things that one alarm names
  readBytesMax: 1024 * 1024, // ours: of the log at a time
  auditMinutes: 10, // ours: so many at a time are counted from the log by a check by hand
} as const;

assert(ledgerLimits.namesBytesMax * 2 < tableLimits.itemBytesMax); // names, and counts of a few bytes each
assert(ledgerLimits.transactionMinutesMax < tableLimits.transactionItemsMax);
