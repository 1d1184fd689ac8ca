import assert from 'node:assert/strict';

export const streamLimits = {
  recordBytesMax: 1024 * 1024, // Kinesis default: key and data, before base64
  largeRecordBytesMax: 10 * 1024 * 1024, // Kinesis MaxRecordSizeInKiB: what `recordBytesMax` of a stream may be raised to
  partitionKeyCharactersMax: 256, // Kinesis: 1 to 256 Unicode characters
  blockBytesMax: 4 * 1024 * 1024, // ours: one batch of records of the default size
  largeBlockBytesMax: 16 * 1024 * 1024, // ours: one batch whatever its records' size; a reader holds one block in memory
  groupBytesMax: 8 * 1024 * 1024, // ours: batches that go to the disk together, unless one alone is larger
  pendingBytesMax: 64 * 1024 * 1024, // ours: what may wait for the disk before appends are refused
  segmentBytesMax: 64 * 1024 * 1024, // ours: recovery scans one segment and what was pending behind it
  segmentsPerRetention: 24, // ours: an older segment is full, so that what is kept for a day goes by the hour
  retentionBytesMax: 2 * 1024 * 1024 * 1024, // ours, by default; segments not yet consumed are kept beyond it
  retentionMs: 24 * 3_600_000, // Kinesis default: 24 h
  retentionCheckMsMax: 3_600_000, // ours: how often a stream looks for what is too old while nothing is appended
  retentionCheckMsMin: 1_000, // ours: the same, of a stream that keeps its records for less than a minute
  indexEveryBytes: 256 * 1024, // ours: how much of a segment is read, at most, to find a record
  paddingBytes: 512 * 1024, // ours: zeros written ahead, so that a small group commit leaves the file's size alone
  writtenNowBytesMax: 16 * 1024, // ours: what this thread copies itself, in 2 µs
  shardsOpenMax: 1_000, // ours: Kinesis' quota is 500 to 20,000, by region
  shardsKeptMax: 4_000, // ours: closed ones included; the map of them stays below a megabyte
  changesWaitingMax: 100, // ours: splits and merges that wait for a group commit to end
  shardBytesPerSecondMax: 1024 * 1024, // Kinesis quota "write per shard"
  shardRecordsPerSecondMax: 1_000, // the same
} as const;
const { recordBytesMax, largeRecordBytesMax, blockBytesMax, largeBlockBytesMax, pendingBytesMax } = streamLimits;
assert(recordBytesMax * 2 <= blockBytesMax); // a batch that is not full holds one more record
assert(largeRecordBytesMax + blockBytesMax <= largeBlockBytesMax); // the same of one for larger records
assert(largeBlockBytesMax * 2 <= pendingBytesMax); // one batch gathers while one is written
