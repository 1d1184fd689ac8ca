/** Streams: made, deleted, listed, described. */
import {
  type CatalogStream,
  catalogLimits,
  type StreamMode,
  type StreamSettings,
} from '../../../platform/stream/index.ts';
import { streamArn } from '../arn.ts';
import { type Context, type StreamNamed, streamOf } from '../context.ts';
import { kinesisLimits } from '../limits.ts';
import { invalidArgument, limitExceeded } from '../refusals.ts';
import { byId, isOpen, shardIdFrom, shardOutput } from '../shard-output.ts';
import { checkTags } from './tags.ts';

interface CreateStreamInput {
  readonly StreamName: string;
  readonly ShardCount?: number;
  readonly StreamModeDetails?: { readonly StreamMode: StreamMode };
  readonly MaxRecordSizeInKiB?: number;
  readonly Tags?: ReadonlyMap<string, string>;
}

export async function createStream({ catalog }: Context, input: CreateStreamInput): Promise<undefined> {
  const { StreamName: name, StreamModeDetails: details, ShardCount: shardCount, Tags: tags } = input;
  const mode = details?.StreamMode ?? 'PROVISIONED';
  if (mode === 'ON_DEMAND') checkOnDemand(catalog.list());
  if (mode === 'PROVISIONED' && shardCount === undefined) {
    throw invalidArgument('A stream of StreamMode PROVISIONED needs a ShardCount.');
  }
  if (mode === 'ON_DEMAND' && shardCount !== undefined) {
    throw invalidArgument('A stream of StreamMode ON_DEMAND cannot be made with a ShardCount.');
  }
  const kib = input.MaxRecordSizeInKiB;
  await catalog.create({
    name,
    shardCount: shardCount ?? kinesisLimits.onDemandShards,
    mode,
    ...(kib !== undefined && { recordBytesMax: kib * 1_024 }),
    ...(tags !== undefined && { tags: checkTags(name, {}, tags) }),
  });
}

export async function deleteStream(context: Context, input: StreamNamed): Promise<undefined> {
  await context.catalog.delete(streamOf(context, input).name);
}

interface ListStreamsInput {
  readonly Limit?: number;
  readonly ExclusiveStartStreamName?: string;
  readonly NextToken?: string;
}

export async function listStreams({ catalog }: Context, input: ListStreamsInput): Promise<object> {
  // A token is the last name before, which tells no secret.
  const start = input.NextToken ?? input.ExclusiveStartStreamName ?? '';
  const limit = input.Limit ?? kinesisLimits.listStreamsDefault;
  const behind = catalog.list().filter(({ name }) => name > start);
  const streams = behind.slice(0, limit);
  const hasMore = behind.length > limit;
  return {
    StreamNames: streams.map(({ name }) => name),
    HasMoreStreams: hasMore,
    NextToken: hasMore ? streams[streams.length - 1].name : undefined,
    StreamSummaries: streams.map(stream => ({
      StreamName: stream.name,
      StreamARN: streamArn(stream.name),
      StreamStatus: stream.status,
      StreamModeDetails: { StreamMode: stream.settings.mode },
      StreamCreationTimestamp: createdAt(stream.settings),
    })),
  };
}

interface DescribeStreamInput extends StreamNamed {
  readonly Limit?: number;
  readonly ExclusiveStartShardId?: string;
}

export async function describeStream(context: Context, input: DescribeStreamInput): Promise<object> {
  const stream = streamOf(context, input);
  const { Limit: limit = kinesisLimits.describeShardsDefault, ExclusiveStartShardId: start } = input;
  const after = start === undefined ? '' : shardIdFrom(start, stream.name);
  const shards = (await shardsOf(stream)).sort(byId).filter(({ shardId }) => shardId > after);
  return {
    StreamDescription: {
      ...descriptionOf(stream),
      HasMoreShards: shards.length > limit,
      Shards: shards.slice(0, limit).map(shard => shardOutput(stream, shard)),
    },
  };
}

export async function describeStreamSummary(context: Context, input: StreamNamed): Promise<object> {
  const stream = streamOf(context, input);
  return {
    StreamDescriptionSummary: {
      ...descriptionOf(stream),
      OpenShardCount: (await shardsOf(stream)).filter(isOpen).length,
      ConsumerCount: 0,
      MaxRecordSizeInKiB: stream.settings.recordBytesMax / 1_024,
    },
  };
}

export async function describeLimits({ catalog }: Context): Promise<object> {
  const onDemand = catalog.list().filter(({ settings }) => settings.mode === 'ON_DEMAND');
  return {
    ShardLimit: catalogLimits.openShardsMax,
    OpenShardCount: catalog.openShardCount,
    OnDemandStreamCount: onDemand.length,
    OnDemandStreamCountLimit: kinesisLimits.onDemandStreamsMax,
  };
}

/** Throws `LimitExceededException` when there may be no further one. */
export function checkOnDemand(streams: readonly CatalogStream[]): void {
  const { onDemandStreamsMax } = kinesisLimits;
  const count = streams.filter(({ settings }) => settings.mode === 'ON_DEMAND').length;
  if (count >= onDemandStreamsMax) throw limitExceeded(`There may be ${onDemandStreamsMax} on-demand streams.`);
}

/** One that is being made or deleted has none that anybody may use. */
async function shardsOf(stream: CatalogStream) {
  return stream.status === 'ACTIVE' || stream.status === 'UPDATING' ? stream.shards() : [];
}

function descriptionOf({ name, status, settings }: CatalogStream): object {
  return {
    StreamName: name,
    StreamARN: streamArn(name),
    StreamStatus: status,
    StreamModeDetails: { StreamMode: settings.mode },
    RetentionPeriodHours: settings.retentionHours,
    StreamCreationTimestamp: createdAt(settings),
    EnhancedMonitoring: [{ ShardLevelMetrics: settings.shardLevelMetrics }],
    EncryptionType: 'NONE',
  };
}

/** In whole seconds, as AWS tells it. */
function createdAt({ createdAtMs }: StreamSettings): Date {
  return new Date(Math.floor(createdAtMs / 1_000) * 1_000);
}
