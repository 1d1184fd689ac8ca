import assert from 'node:assert/strict';

export const catalogLimits = {
  streamsMax: 100, // ours: each open one holds a file; on-demand streams are 50 in an account of AWS
  openShardsMax: 1_000, // ours: over all streams; 500 to 20,000 in an account of AWS, by region
  nameCharactersMax: 128, // Kinesis: stream name
  retentionHoursMin: 24, // Kinesis
  retentionHoursMax: 8_760, // Kinesis: 365 days
  recordBytesMin: 1024 * 1024, // Kinesis: MaxRecordSizeInKiB
  recordBytesMax: 10_240 * 1024, // Kinesis: MaxRecordSizeInKiB
  tagsMax: 50, // Kinesis: of one stream
  settingsBytesMax: 128 * 1024, // ours: 50 tags of 128 and 256 characters of four bytes are 75 KiB
  readersMax: 32, // ours: files open for readers, over all streams
  restBytesMax: 64 * 1024 * 1024, // ours: what they have read and not given out yet
} as const;
assert(catalogLimits.tagsMax * (128 + 256) * 4 < catalogLimits.settingsBytesMax / 1.5); // JSON escapes some characters.
