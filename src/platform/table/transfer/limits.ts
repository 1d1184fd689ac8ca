import assert from 'node:assert/strict';
import { tableLimits } from '../limits.ts';

export const transferLimits = {
  snapshotsMax: 2, // ours: held for exports over the endpoint; each keeps pages of its time from being used again
  snapshotIdleMs: 5 * 60_000, // ours: for how long one is kept that nobody reads, so that an export can be resumed
  snapshotHeldMs: 6 * 3_600_000, // ours: for how long one is kept at all
  snapshotPageBytesMax: 1024 * 1024, // ours: as of a scan
  fileBytesMax: 32 * 1024 * 1024, // ours: of text in a data file before the next begins; what a kill makes us write again
  lineBytesMax: 4 * 1024 * 1024, // ours: far above 400 KB of item with every byte escaped
  manifestBytesMax: 64 * 1024 * 1024, // ours: far above the manifest of a million files
  stateLinesMax: 1_000_000, // ours: data files of one export
  scanSegments: 4, // ours: at once, where there is no snapshot to read
  batchItems: 25, // DynamoDB BatchWriteItem
  batchBytesMax: 4 * 1024 * 1024, // ours: text in a batch; DynamoDB takes 16 MB
  batchesAtOnce: 8, // ours
  checkpointItems: 2_000, // ours: how many are written again after a kill, at most
  retriesMax: 12, // ours: of what was throttled, with growing pauses: about two minutes
  retryMsMin: 50, // ours
  retryMsMax: 20_000, // ours
  activeWaitMs: 10 * 60_000, // ours: for a table that is being made
} as const;

assert(transferLimits.batchItems <= tableLimits.batchWriteItemsMax);
