import assert from 'node:assert/strict';

export const streamLimits = {
  recordBytesMax: 1024 * 1024, // Kinesis default: key and data, before base64
  partitionKeyCharactersMax: 256, // Kinesis: 1 to 256 Unicode characters
  blockBytesMax: 4 * 1024 * 1024, // ours: one batch; a reader holds one block in memory
  pendingBytesMax: 64 * 1024 * 1024, // ours: what may wait for the disk before appends are refused
  segmentBytesMax: 64 * 1024 * 1024, // ours: recovery scans one segment and what was pending behind it
  retentionBytesMax: 2 * 1024 * 1024 * 1024, // ours, by default; segments not yet consumed are kept beyond it
  retentionMs: 24 * 3_600_000, // Kinesis default: 24 h
} as const;
assert(streamLimits.recordBytesMax * 2 <= streamLimits.blockBytesMax); // a batch that is not full holds one more record
assert(streamLimits.blockBytesMax * 2 <= streamLimits.pendingBytesMax); // one batch gathers while one is written
