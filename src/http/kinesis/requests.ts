/** The members of each request, in the order in which Kinesis tells what is wrong with them. Source: botocore, "kinesis" 2013-12-02. */

import { catalogLimits } from '../../platform/stream/index.ts';
import { kinesisLimits } from './limits.ts';
import { integer, list, type Members, required, structure, text } from './shapes.ts';

const name = text({ pattern: '[a-zA-Z0-9_.-]+', lengthMin: 1, lengthMax: 128 });
const arn = text({
  pattern: 'arn:aws.*:kinesis:.*:\\d{12}:stream/\\S+',
  checkedAs: /^arn:aws[^:]*:kinesis:[^:]*:\d{12}:stream\/\S+$/,
  lengthMin: 1,
  lengthMax: 2_048,
});
const resourceArn = text({
  pattern: 'arn:aws.*:kinesis:.*:\\d{12}:.*stream/\\S+',
  checkedAs: /^arn:aws[^:]*:kinesis:[^:]*:\d{12}:[^:/]*stream\/\S+$/,
  lengthMin: 1,
  lengthMax: 2_048,
});
const sequenceNumber = text({ pattern: '0|([1-9]\\d{0,128})' });
const hashKey = text({ pattern: '0|([1-9]\\d{0,38})' });
const partitionKey = text({ lengthMin: 1, lengthMax: 256 });
const data = { type: 'Blob', lengthMax: catalogLimits.recordBytesMax } as const;
const page = integer({ min: 1, max: 10_000 });
const token = text({ lengthMin: 1, lengthMax: 1_048_576 });
const timestamp = { type: 'Timestamp' } as const;
const retentionHours = required(integer({ min: 1, max: catalogLimits.retentionHoursMax }));
const recordKib = integer({ min: catalogLimits.recordBytesMin / 1_024, max: catalogLimits.recordBytesMax / 1_024 });
const tagKey = { lengthMin: 1, lengthMax: 128 } as const;
const tags = {
  type: 'Map',
  key: tagKey,
  value: { lengthMin: 0, lengthMax: 256 },
  lengthMin: 1,
  lengthMax: 200,
} as const;
const tagKeys = list(text(tagKey), { lengthMin: 1, lengthMax: 50, isRequired: true });
const mode = structure({ StreamMode: required(text({ oneOf: ['PROVISIONED', 'ON_DEMAND'] })) });
const metrics = list(
  text({
    oneOf: [
      'IncomingBytes',
      'IncomingRecords',
      'OutgoingBytes',
      'OutgoingRecords',
      'WriteProvisionedThroughputExceeded',
      'ReadProvisionedThroughputExceeded',
      'IteratorAgeMilliseconds',
      'ALL',
    ],
  }),
  { lengthMin: 1, lengthMax: 7, isRequired: true },
);
const shardFilter = structure({
  Type: required(
    text({
      oneOf: ['AFTER_SHARD_ID', 'AT_TRIM_HORIZON', 'FROM_TRIM_HORIZON', 'AT_LATEST', 'AT_TIMESTAMP', 'FROM_TIMESTAMP'],
    }),
  ),
  ShardId: name,
  Timestamp: timestamp,
});

/** A stream is told by its name, its ARN, or both. */
const stream = { StreamName: { ...name, isRequired: true, unless: 'StreamARN' }, StreamARN: arn } as const;

const putRecordsEntry = structure({
  PartitionKey: required(partitionKey),
  ExplicitHashKey: hashKey,
  Data: required(data),
});

export const requests = {
  AddTagsToStream: { Tags: required(tags), ...stream },
  CreateStream: {
    ShardCount: integer({ isRequired: true, unless: 'StreamModeDetails', min: 1, max: 100_000 }),
    StreamName: required(name),
    StreamModeDetails: mode,
    Tags: tags,
    MaxRecordSizeInKiB: recordKib,
    WarmThroughputMiBps: integer({ min: 0 }),
  },
  DecreaseStreamRetentionPeriod: { RetentionPeriodHours: retentionHours, ...stream },
  DeleteStream: { EnforceConsumerDeletion: { type: 'Boolean' }, ...stream },
  DescribeLimits: {},
  DescribeStream: { Limit: page, ExclusiveStartShardId: name, ...stream },
  DescribeStreamSummary: stream,
  DisableEnhancedMonitoring: { ShardLevelMetrics: metrics, ...stream },
  EnableEnhancedMonitoring: { ShardLevelMetrics: metrics, ...stream },
  GetRecords: {
    Limit: integer({ min: 1, max: kinesisLimits.getRecordsMax }),
    ShardIterator: required(text({ lengthMin: 1, lengthMax: 512 })),
    StreamARN: arn,
  },
  GetShardIterator: {
    ShardId: required(name),
    ShardIteratorType: required(
      text({ oneOf: ['AFTER_SEQUENCE_NUMBER', 'LATEST', 'AT_TIMESTAMP', 'AT_SEQUENCE_NUMBER', 'TRIM_HORIZON'] }),
    ),
    StartingSequenceNumber: sequenceNumber,
    ...stream,
    Timestamp: timestamp,
  },
  IncreaseStreamRetentionPeriod: { RetentionPeriodHours: retentionHours, ...stream },
  ListShards: {
    ExclusiveStartShardId: name,
    MaxResults: page,
    NextToken: token,
    StreamCreationTimestamp: timestamp,
    StreamName: name,
    StreamARN: arn,
    ShardFilter: shardFilter,
  },
  ListStreams: { Limit: page, ExclusiveStartStreamName: name, NextToken: token },
  ListTagsForResource: { ResourceARN: required(resourceArn) },
  ListTagsForStream: { Limit: integer({ min: 1, max: 50 }), ExclusiveStartTagKey: text(tagKey), ...stream },
  MergeShards: { ShardToMerge: required(name), AdjacentShardToMerge: required(name), ...stream },
  PutRecord: {
    SequenceNumberForOrdering: sequenceNumber,
    PartitionKey: required(partitionKey),
    ExplicitHashKey: hashKey,
    Data: required(data),
    ...stream,
  },
  PutRecords: {
    Records: list(putRecordsEntry, {
      lengthMin: 1,
      lengthMax: kinesisLimits.putRecordsMax,
      memberName: 'com.amazonaws.kinesis.v20131202.PutRecordsRequestEntry@c965e310', // a number that Java made up
      isRequired: true,
    }),
    ...stream,
  },
  RemoveTagsFromStream: { TagKeys: tagKeys, ...stream },
  SplitShard: { NewStartingHashKey: required(hashKey), ...stream, ShardToSplit: required(name) },
  TagResource: { Tags: required(tags), ResourceARN: required(resourceArn) },
  UntagResource: { TagKeys: tagKeys, ResourceARN: required(resourceArn) },
  UpdateMaxRecordSize: { MaxRecordSizeInKiB: required(recordKib), StreamARN: required(arn) },
  UpdateShardCount: {
    TargetShardCount: integer({ isRequired: true, min: 1 }),
    ScalingType: required(text({ oneOf: ['UNIFORM_SCALING'] })),
    ...stream,
  },
  UpdateStreamMode: { StreamARN: required(arn), StreamModeDetails: required(mode) },
} as const satisfies Record<string, Members>;

export type OperationName = keyof typeof requests;
