/** The settings of a consumer: those of a Lambda event source mapping, with defaults that let no record stop a shard. */
import { consumerNotValid } from '../errors.ts';
import { consumerDefaults, consumerLimits } from './limits.ts';

/** Where a consumer begins that has no checkpoint yet. Shards that a split or merge opens later are read from their start. */
export type ConsumerStart =
  | { readonly type: 'TRIM_HORIZON' | 'LATEST' }
  | { readonly type: 'AT_TIMESTAMP'; readonly atMs: number };

/** As Lambda's: each pattern is JSON, and a record is given to the function if one of them matches. */
export interface FilterCriteria {
  readonly filters: readonly { readonly pattern: string }[];
}

export interface ConsumerSettings {
  /** 1 to 10,000. */
  readonly batchRecordsMax?: number;
  /** Waits at most this long for a batch to fill once something is there; 0 (the default) takes what is there. */
  readonly batchWindowMs?: number;
  /** Up to 6 MB, the data counted as base64. A larger record comes alone. */
  readonly batchBytesMax?: number;
  /** Batches of a shard that may run beside each other, 1 to 10. Records of one key are never in two of them at once. */
  readonly parallelizationFactor?: number;
  /** Default: the oldest record that is kept. */
  readonly startingPosition?: ConsumerStart;
  readonly filter?: FilterCriteria;
  /** Halves a batch that throws until the record that does it is found; costs no attempt. Default: true. */
  readonly bisectBatchOnError?: boolean;
  /** How often a record is tried before it is given up: Lambda's MaximumRetryAttempts and one. Infinity: never given up. */
  readonly attemptsMax?: number;
  /** A record older than this is not tried (again), but set aside as expired. Default: any age. */
  readonly recordAgeMsMax?: number;
  /** Heeds `batchItemFailures` in what the handler returns. */
  readonly reportsBatchItemFailures?: boolean;
  /** Groups batches by arrival time and hands a state along; then one batch at a time, and failures block the lane. */
  readonly tumblingWindowMs?: number;
  /** The longest wait before the second attempt, doubled before each further one; chance takes a part of it. */
  readonly retryDelayMs?: number;
  /**
   * What waits while a failed record waits to be tried again: the later records of its key (the default), or, as with
   * Lambda, everything behind it in its lane.
   */
  readonly failureBlocks?: 'key' | 'lane';
  /** Records that may be read beyond the first that is not done. Default: 20,000, or two batches for every lane. */
  readonly lookAheadRecordsMax?: number;
}

/** With every default filled in. */
export type FullSettings = Required<Omit<ConsumerSettings, 'filter'>> & Pick<ConsumerSettings, 'filter'>;

/** Checks `settings` and fills in what they leave out. Throws `stream.consumerNotValid`. */
export function fullSettings(consumer: string, settings: ConsumerSettings): FullSettings {
  const { batchRecordsMax = consumerDefaults.batchRecordsMax, parallelizationFactor = 1 } = settings;
  const { tumblingWindowMs = 0 } = settings;
  const full: FullSettings = {
    batchRecordsMax,
    batchWindowMs: settings.batchWindowMs ?? 0,
    batchBytesMax: settings.batchBytesMax ?? consumerLimits.batchBytesMax,
    parallelizationFactor,
    startingPosition: settings.startingPosition ?? { type: 'TRIM_HORIZON' },
    filter: settings.filter,
    bisectBatchOnError: settings.bisectBatchOnError ?? true,
    attemptsMax: settings.attemptsMax ?? consumerDefaults.attemptsMax,
    recordAgeMsMax: settings.recordAgeMsMax ?? Number.POSITIVE_INFINITY,
    reportsBatchItemFailures: settings.reportsBatchItemFailures ?? false,
    tumblingWindowMs,
    retryDelayMs: settings.retryDelayMs ?? consumerDefaults.retryDelayMs,
    failureBlocks: settings.failureBlocks ?? (tumblingWindowMs > 0 ? 'lane' : 'key'),
    lookAheadRecordsMax:
      settings.lookAheadRecordsMax ??
      Math.max(consumerDefaults.lookAheadRecordsMax, 2 * batchRecordsMax * parallelizationFactor),
  };
  checkRanges(consumer, full);
  checkTogether(consumer, full);
  return full;
}

function checkRanges(consumer: string, full: FullSettings): void {
  const limits = consumerLimits;
  const check = (name: keyof FullSettings, min: number, max: number, orElse?: number) => {
    const value = full[name];
    if (value === orElse || (Number.isInteger(value) && (value as number) >= min && (value as number) <= max)) return;
    const otherwise = orElse === undefined ? '' : `, or ${orElse}`;
    throw consumerNotValid(
      consumer,
      `${name} is ${value}; it must be a whole number from ${min} to ${max}${otherwise}`,
    );
  };
  check('batchRecordsMax', 1, limits.batchRecordsMax);
  check('batchWindowMs', 0, limits.batchWindowMsMax);
  check('batchBytesMax', 1, limits.batchBytesMax);
  check('parallelizationFactor', 1, limits.parallelizationFactorMax);
  check('attemptsMax', 1, limits.attemptsMax, Number.POSITIVE_INFINITY);
  check('recordAgeMsMax', limits.recordAgeMsMin, limits.recordAgeMsMax, Number.POSITIVE_INFINITY);
  check('tumblingWindowMs', 0, limits.tumblingWindowMsMax);
  check('retryDelayMs', 0, consumerDefaults.retryDelayMsMax);
  check('lookAheadRecordsMax', full.batchRecordsMax, 2 * limits.batchRecordsMax * limits.parallelizationFactorMax);
}

function checkTogether(consumer: string, full: FullSettings): void {
  const refuse = (reason: string) => {
    throw consumerNotValid(consumer, reason);
  };
  if (full.tumblingWindowMs > 0) {
    if (full.parallelizationFactor > 1)
      refuse('a tumbling window has one state per shard, so parallelizationFactor must be 1');
    if (full.failureBlocks === 'key')
      refuse("a tumbling window is worked through in order, so failureBlocks must be 'lane'");
  }
  const { startingPosition } = full;
  if (startingPosition.type === 'AT_TIMESTAMP' && !Number.isFinite(startingPosition.atMs)) {
    refuse(`startingPosition.atMs is ${startingPosition.atMs}; it must be a point in time`);
  }
}

/** An event source mapping as Lambda's API and templates write it. */
export interface EventSourceMapping {
  readonly BatchSize?: number;
  readonly MaximumBatchingWindowInSeconds?: number;
  readonly ParallelizationFactor?: number;
  readonly StartingPosition: 'TRIM_HORIZON' | 'LATEST' | 'AT_TIMESTAMP';
  /** Unix epoch seconds. */
  readonly StartingPositionTimestamp?: number;
  readonly MaximumRecordAgeInSeconds?: number;
  readonly MaximumRetryAttempts?: number;
  readonly BisectBatchOnFunctionError?: boolean;
  readonly FunctionResponseTypes?: readonly 'ReportBatchItemFailures'[];
  readonly TumblingWindowInSeconds?: number;
  readonly FilterCriteria?: { readonly Filters?: readonly { readonly Pattern: string }[] };
}

const defaultBatchSize = 100; // Lambda

/** The settings that behave as Lambda does with this mapping, its unkind defaults included. */
export function likeLambda(mapping: EventSourceMapping): ConsumerSettings {
  const { MaximumRetryAttempts = -1, MaximumRecordAgeInSeconds = -1, FilterCriteria } = mapping;
  return {
    batchRecordsMax: mapping.BatchSize ?? defaultBatchSize,
    batchWindowMs: (mapping.MaximumBatchingWindowInSeconds ?? 0) * 1_000,
    parallelizationFactor: mapping.ParallelizationFactor ?? 1,
    startingPosition: startOf(mapping),
    ...(FilterCriteria?.Filters?.length && {
      filter: { filters: FilterCriteria.Filters.map(({ Pattern }) => ({ pattern: Pattern })) },
    }),
    bisectBatchOnError: mapping.BisectBatchOnFunctionError ?? false,
    attemptsMax: MaximumRetryAttempts === -1 ? Number.POSITIVE_INFINITY : MaximumRetryAttempts + 1,
    recordAgeMsMax: MaximumRecordAgeInSeconds === -1 ? Number.POSITIVE_INFINITY : MaximumRecordAgeInSeconds * 1_000,
    reportsBatchItemFailures: mapping.FunctionResponseTypes?.includes('ReportBatchItemFailures') ?? false,
    tumblingWindowMs: (mapping.TumblingWindowInSeconds ?? 0) * 1_000,
    failureBlocks: 'lane',
  };
}

function startOf({ StartingPosition, StartingPositionTimestamp }: EventSourceMapping): ConsumerStart {
  if (StartingPosition !== 'AT_TIMESTAMP') return { type: StartingPosition };
  return { type: 'AT_TIMESTAMP', atMs: (StartingPositionTimestamp ?? Number.NaN) * 1_000 };
}
