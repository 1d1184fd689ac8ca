/** What a stream is set to: how long it keeps records, its mode, the size of its records, what is measured of it. */
import { catalogLimits, type StreamMode } from '../../../platform/stream/index.ts';
import { streamArn } from '../arn.ts';
import { type Context, type StreamNamed, streamOf } from '../context.ts';
import { invalidArgument, streamInUse } from '../refusals.ts';
import { checkOnDemand } from './streams.ts';

type RetentionInput = StreamNamed & { readonly RetentionPeriodHours: number };

export async function increaseStreamRetentionPeriod(context: Context, input: RetentionInput): Promise<undefined> {
  const stream = streamOf(context, input);
  const { RetentionPeriodHours: hours } = input;
  checkShortest(hours);
  const { retentionHours: before } = stream.settings;
  if (hours < before) {
    throw invalidArgument(
      `Requested retention period (${hours} hours) for stream ${stream.name} can not be shorter than existing retention period (${before} hours). Use DecreaseRetentionPeriod API.`,
    );
  }
  await stream.changeRetention(hours);
}

export async function decreaseStreamRetentionPeriod(context: Context, input: RetentionInput): Promise<undefined> {
  const stream = streamOf(context, input);
  const { RetentionPeriodHours: hours } = input;
  checkShortest(hours);
  const { retentionHours: before } = stream.settings;
  if (hours > before) {
    throw invalidArgument(
      `Requested retention period (${hours} hours) for stream ${stream.name} can not be longer than existing retention period (${before} hours). Use IncreaseRetentionPeriod API.`,
    );
  }
  await stream.changeRetention(hours);
}

function checkShortest(hours: number): void {
  if (hours >= catalogLimits.retentionHoursMin) return;
  throw invalidArgument(
    `Minimum allowed retention period is ${catalogLimits.retentionHoursMin} hours. Requested retention period (${hours} hours) is too short.`,
  );
}

export async function updateStreamMode(
  context: Context,
  input: StreamNamed & { readonly StreamModeDetails: { readonly StreamMode: StreamMode } },
): Promise<undefined> {
  const stream = streamOf(context, input);
  if (stream.status !== 'ACTIVE') throw streamInUse(stream.name, stream.status);
  const { StreamMode: mode } = input.StreamModeDetails;
  if (mode === 'ON_DEMAND' && stream.settings.mode !== mode) checkOnDemand(context.catalog.list());
  await stream.change(() => ({ mode }));
}

export async function updateMaxRecordSize(
  context: Context,
  input: StreamNamed & { readonly MaxRecordSizeInKiB: number },
): Promise<undefined> {
  const stream = streamOf(context, input);
  if (stream.status !== 'ACTIVE') throw streamInUse(stream.name, stream.status);
  await stream.change(() => ({ recordBytesMax: input.MaxRecordSizeInKiB * 1_024 }));
}

type MonitoringInput = StreamNamed & { readonly ShardLevelMetrics: readonly string[] };

export function enableEnhancedMonitoring(context: Context, input: MonitoringInput): Promise<object> {
  const asked = input.ShardLevelMetrics;
  return changeMetrics(context, input, before =>
    asked.includes('ALL') ? ['ALL'] : [...new Set([...before, ...asked])],
  );
}

export function disableEnhancedMonitoring(context: Context, input: MonitoringInput): Promise<object> {
  const asked = input.ShardLevelMetrics;
  return changeMetrics(context, input, before =>
    asked.includes('ALL') ? [] : before.filter(each => !asked.includes(each)),
  );
}

async function changeMetrics(
  context: Context,
  input: StreamNamed,
  change: (before: readonly string[]) => readonly string[],
): Promise<object> {
  const stream = streamOf(context, input);
  const before = stream.settings.shardLevelMetrics;
  await stream.change(({ shardLevelMetrics }) => ({ shardLevelMetrics: change(shardLevelMetrics) }));
  return {
    StreamName: stream.name,
    CurrentShardLevelMetrics: before,
    DesiredShardLevelMetrics: stream.settings.shardLevelMetrics,
    StreamARN: streamArn(stream.name),
  };
}
