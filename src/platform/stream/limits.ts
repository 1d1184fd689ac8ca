export const streamLimits = {
  recordBytesMax: 1024 * 1024, // Kinesis default: key and data, before base64
  partitionKeyBytesMax: 1_024, // Kinesis: 256 Unicode characters
  blockBytesMax: 4 * 1024 * 1024, // ours: one group commit; a reader holds one block in memory
  pendingBytesMax: 64 * 1024 * 1024, // ours: what may wait for the disk before senders are slowed down
  segmentBytesMax: 64 * 1024 * 1024, // ours: recovery scans at most one segment
  retentionBytesMax: 2 * 1024 * 1024 * 1024, // ours, by default; segments not yet consumed are kept beyond it
  retentionMs: 24 * 3_600_000, // Kinesis default: 24 h
} as const;
