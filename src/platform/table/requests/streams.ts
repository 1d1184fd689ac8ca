/** The calls of DynamoDB Streams. */
import { indexName, type Member, type RequestDescription, type TextShape, text } from './shapes.ts';

const streamArn: TextShape = { type: 'string', lengthMin: 37, lengthMax: 1_024 };
const shardId: TextShape = { type: 'string', lengthMin: 28, lengthMax: 65 };
const pageSize: Member = { type: 'integer', min: 1, max: 100 };

export const streamRequests = {
  ListStreams: {
    wording: 'older',
    members: { TableName: { ...indexName, orArn: true }, Limit: pageSize, ExclusiveStartStreamArn: streamArn },
  },
  DescribeStream: {
    wording: 'older',
    members: {
      StreamArn: { ...streamArn, required: true },
      Limit: pageSize,
      ExclusiveStartShardId: shardId,
      ShardFilter: {
        type: 'structure',
        name: 'ShardFilter',
        members: { Type: { type: 'string', values: ['CHILD_SHARDS'] }, ShardId: shardId },
      },
    },
  },
  GetShardIterator: {
    wording: 'older',
    members: {
      StreamArn: { ...streamArn, required: true },
      ShardId: { ...shardId, required: true },
      ShardIteratorType: {
        type: 'string',
        required: true,
        values: ['TRIM_HORIZON', 'LATEST', 'AT_SEQUENCE_NUMBER', 'AFTER_SEQUENCE_NUMBER'],
      },
      SequenceNumber: { ...text, lengthMin: 21, lengthMax: 40 },
    },
  },
  GetRecords: {
    wording: 'older',
    members: {
      ShardIterator: { type: 'string', required: true, lengthMin: 1, lengthMax: 2_048 },
      Limit: { type: 'integer', min: 1, max: 1_000 },
    },
  },
} as const satisfies Record<string, RequestDescription>;
