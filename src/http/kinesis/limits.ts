import assert from 'node:assert/strict';
import { endpointLimits } from '../aws-json/limits.ts';

/** What Kinesis' protocol takes, beside what every endpoint does (`aws-json/limits.ts`). */
export const kinesisLimits = {
  jsonDepthMax: 32, // ours: the deepest request of Kinesis has 4 levels
  bodyValuesMax: 200_000, // ours: of JSON or CBOR; 500 records with keys that are all escapes are 140,000
  echoCharactersMax: 1_024, // ours: of a wrong value that an error repeats
  validationErrorsMax: 10, // Kinesis: in one answer
  putRecordsMax: 500, // Kinesis: PutRecords
  putBytesMax: 10 * 1024 * 1024, // Kinesis: PutRecords, keys included
  getRecordsMax: 10_000, // Kinesis: GetRecords
  getBytesMax: 10 * 1024 * 1024, // Kinesis: GetRecords
  iteratorValidMs: 5 * 60_000, // Kinesis
  tokenValidMs: 5 * 60_000, // Kinesis: NextToken of ListShards
  listStreamsDefault: 100, // Kinesis
  describeShardsDefault: 100, // Kinesis: DescribeStream
  listShardsDefault: 1_000, // Kinesis
  onDemandShards: 4, // Kinesis: what an on-demand stream begins with
  onDemandStreamsMax: 50, // Kinesis
  readsPerSecond: 5, // Kinesis: GetRecords, and GetShardIterator, of one shard
  readBytesPerSecond: 2 * 1024 * 1024, // Kinesis: of one shard
  metersMax: 2_000, // ours: shards whose reads are metered at once
} as const;
assert((kinesisLimits.putBytesMax * 4) / 3 + 1024 * 1024 < endpointLimits.bodyBytesMax); // in base64, with all around it
