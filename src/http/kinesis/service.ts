/** A catalog of streams as what the endpoint serves: operations by name, and what their errors are called. */
import { codeOf, MimamoriError, messageOf } from '../../kernel/errors.ts';
import { ShardsTooManyError, StreamInUseError } from '../../platform/stream/index.ts';
import type { WireBody } from '../aws-json/protocol.ts';
import { Refusal } from '../aws-json/refusal.ts';
import { checkConstraints } from './check-constraints.ts';
import { checkTypes, type Input } from './check-types.ts';
import { type Context, nameOf, type StreamNamed } from './context.ts';
import { getRecords, getShardIterator } from './operations/get-records.ts';
import { isThrottled, putRecord, putRecords, shardIdIn } from './operations/put-records.ts';
import * as settings from './operations/settings.ts';
import * as shards from './operations/shards.ts';
import * as streams from './operations/streams.ts';
import * as tags from './operations/tags.ts';
import {
  accessDenied,
  internalFailure,
  KinesisError,
  limitExceeded,
  rateExceeded,
  shardNotThere,
  shardsTooMany,
  streamExists,
  streamInUse,
  streamNotFound,
} from './refusals.ts';
import { type OperationName, requests } from './requests.ts';

// biome-ignore lint/suspicious/noExplicitAny: each takes what the shape of its request has checked.
type Operation = (context: Context, input: any) => Promise<object | undefined>;

const operations: Readonly<Record<OperationName, Operation>> = {
  AddTagsToStream: tags.addTagsToStream,
  CreateStream: streams.createStream,
  DecreaseStreamRetentionPeriod: settings.decreaseStreamRetentionPeriod,
  DeleteStream: streams.deleteStream,
  DescribeLimits: streams.describeLimits,
  DescribeStream: streams.describeStream,
  DescribeStreamSummary: streams.describeStreamSummary,
  DisableEnhancedMonitoring: settings.disableEnhancedMonitoring,
  EnableEnhancedMonitoring: settings.enableEnhancedMonitoring,
  GetRecords: getRecords,
  GetShardIterator: getShardIterator,
  IncreaseStreamRetentionPeriod: settings.increaseStreamRetentionPeriod,
  ListShards: shards.listShards,
  ListStreams: streams.listStreams,
  ListTagsForResource: tags.listTagsForResource,
  ListTagsForStream: tags.listTagsForStream,
  MergeShards: shards.mergeShards,
  PutRecord: putRecord,
  PutRecords: putRecords,
  RemoveTagsFromStream: tags.removeTagsFromStream,
  SplitShard: shards.splitShard,
  TagResource: tags.tagResource,
  UntagResource: tags.untagResource,
  UpdateMaxRecordSize: settings.updateMaxRecordSize,
  UpdateShardCount: shards.updateShardCount,
  UpdateStreamMode: settings.updateStreamMode,
};

export function operationNamed(name: string): OperationName | undefined {
  return Object.hasOwn(operations, name) ? (name as OperationName) : undefined; // a cast: it is one of the names
}

/** The way back to who asked. */
export interface Asking {
  readonly requestId: string;
  readonly encode: (output: object | undefined) => WireBody;
}

/** Carries out one request. Never rejects. */
export async function callOperation(
  context: Context,
  name: OperationName,
  parsed: unknown,
  { requestId, encode }: Asking,
): Promise<WireBody | Refusal> {
  const input = checkTypes(parsed, requests[name]);
  if (input instanceof Refusal) return input;
  const wrong = checkConstraints(input, requests[name]);
  if (wrong) return wrong;
  try {
    return encode(await operations[name](context, input));
  } catch (error) {
    const told = toldOf(context, input, error, requestId);
    return new Refusal(told.status, told.name, told.message);
  }
}

function toldOf(context: Context, input: Input, error: unknown, requestId: string): KinesisError {
  if (error instanceof KinesisError) return error;
  const named = streamNamedIn(input);
  if (error instanceof StreamInUseError) return streamInUse(named, error.status);
  if (error instanceof ShardsTooManyError) return shardsTooMany(error.open, error.more);
  if (isThrottled(error)) return rateExceeded(named, shardIdIn(error));
  switch (codeOf(error)) {
    case 'catalog.streamNotFound':
      return streamNotFound(named);
    case 'catalog.streamExists':
      return streamExists(named);
    case 'catalog.streamsTooMany':
    case 'stream.shardsTooMany':
      return limitExceeded(messageOf(error));
    case 'catalog.readOnly':
      return accessDenied(messageOf(error));
    case 'stream.shardNotFound':
      return shardNotThere(shardIdIn(error), named);
    default:
      return failureOf(context, error, requestId);
  }
}

/** The client is told nothing but that a disk is full: what went wrong on our side is in the log, under the request's id. */
function failureOf({ log }: Context, error: unknown, requestId: string): KinesisError {
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  const fix = error instanceof MimamoriError ? { fix: error.fix } : {};
  log.error({ requestId, code: codeOf(error), error: stack, ...fix }, 'A request to a stream failed.');
  const cause = error instanceof Error ? error.cause : undefined;
  return internalFailure(isFull(error) || isFull(cause) ? 'The disk has no room.' : undefined);
}

function isFull(error: unknown): boolean {
  return ['stream.full', 'ENOSPC', 'EDQUOT'].includes(codeOf(error));
}

function streamNamedIn(input: Input): string {
  return nameOf(input as StreamNamed); // a cast: its types were checked
}
