import type { ListStreamsCommandInput, ListStreamsCommandOutput } from '@aws-sdk/client-dynamodb-streams';
import { streamArnPattern, tableArn } from '../arn.ts';
import type { Engine } from '../engine.ts';
import { invalid } from '../errors.ts';
import { tableLimits } from '../limits.ts';
import type { Answer } from '../port.ts';
import { listStored } from './stream-state.ts';
import { arnOf } from './streams-read.ts';

/** Streams that can be read, by ARN: a table's disabled ones are among them for 24 hours. */
export async function listStreams(
  { store }: Engine,
  { TableName, Limit, ExclusiveStartStreamArn: start }: ListStreamsCommandInput,
): Promise<Answer<ListStreamsCommandOutput>> {
  if (start !== undefined && !streamArnPattern.test(start)) throw invalid('Invalid StreamArn');
  const limit = Math.min(Limit ?? tableLimits.listStreamsMax, tableLimits.listStreamsMax);
  const all = listStored(store)
    .filter(({ tableName }) => [undefined, tableName, tableArn(tableName)].includes(TableName))
    .map(stream => ({ StreamArn: arnOf(stream), TableName: stream.tableName, StreamLabel: stream.label }))
    .filter(({ StreamArn }) => start === undefined || StreamArn > start)
    .sort((left, right) => (left.StreamArn < right.StreamArn ? -1 : 1));
  const Streams = all.slice(0, limit);
  return all.length > limit ? { Streams, LastEvaluatedStreamArn: Streams[limit - 1].StreamArn } : { Streams };
}
