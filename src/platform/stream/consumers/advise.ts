/** What batches and latencies to expect of a consumer, and what it needs, before it is deployed. */
import { type Random, seededRandom } from '../../../kernel/random.ts';
import { sampleNotValid } from '../errors.ts';

export interface BatchQuestion {
  readonly recordsPerSecond: number;
  /** What an invocation takes whatever its batch holds, and what each record adds to that. */
  readonly perBatchMs: number;
  readonly perRecordMs: number;
  /** Batches that run beside each other: shards, times the parallelization factor. Default: 1. */
  readonly concurrency?: number;
  readonly batchRecordsMax: number;
  /** Default: 0. */
  readonly batchWindowMs?: number;
}

export interface BatchAdvice {
  /** On average. */
  readonly recordsPerBatch: number;
  /** From arrival in the stream until the batch was handled; Infinity when more comes than can be handled. */
  readonly latencyMsMean: number;
  readonly latencyMsP99: number;
  /** The part of their time in which the lanes work: 0 to 1. */
  readonly utilisation: number;
  /** What can be handled at most, in full batches. */
  readonly recordsPerSecondMax: number;
  /** Lanes for which full batches would leave a fifth of the time free, so that a burst is worked off. */
  readonly concurrencyNeeded: number;
}

const playedRecords = 20_000; // ours: then the figures are within a few percent
const utilisationWanted = 0.8;

/**
 * Plays one lane with records that come by chance (Poisson) at its share of the rate. There is no closed formula for a
 * batch that ends by size or by time, whichever is first, while the one before is still at work. Throws
 * `stream.sampleNotValid`.
 */
export function adviseBatch(question: BatchQuestion): BatchAdvice {
  check(question);
  const { recordsPerSecond, perBatchMs, perRecordMs, concurrency = 1, batchRecordsMax } = question;
  const fullBatchMs = perBatchMs + perRecordMs * batchRecordsMax;
  const recordsPerSecondMax =
    fullBatchMs === 0 ? Number.POSITIVE_INFINITY : (concurrency * batchRecordsMax * 1_000) / fullBatchMs;
  const laneRate = batchRecordsMax / fullBatchMs; // per ms
  const limits = {
    recordsPerSecondMax,
    concurrencyNeeded: Math.max(1, Math.ceil(recordsPerSecond / 1_000 / laneRate / utilisationWanted)),
  };
  if (recordsPerSecond >= recordsPerSecondMax) {
    const never = Number.POSITIVE_INFINITY;
    return { recordsPerBatch: batchRecordsMax, latencyMsMean: never, latencyMsP99: never, utilisation: 1, ...limits };
  }
  return { ...playLane(question, recordsPerSecond / concurrency / 1_000, seededRandom(1)), ...limits };
}

function check(question: BatchQuestion): void {
  const { recordsPerSecond, perBatchMs, perRecordMs, concurrency = 1, batchRecordsMax, batchWindowMs = 0 } = question;
  const isPositive = (value: number) => value > 0 && Number.isFinite(value);
  if (!isPositive(recordsPerSecond)) throw sampleNotValid(recordsPerSecond, 'a rate above zero');
  for (const ms of [perBatchMs, perRecordMs, batchWindowMs]) {
    if (ms !== 0 && !isPositive(ms)) throw sampleNotValid(ms, 'a time that is not negative');
  }
  for (const count of [concurrency, batchRecordsMax]) {
    if (!Number.isInteger(count) || count < 1) throw sampleNotValid(count, 'a whole number from 1 on');
  }
}

function playLane(
  { perBatchMs, perRecordMs, batchRecordsMax, batchWindowMs = 0 }: BatchQuestion,
  ratePerMs: number,
  random: Random,
): Pick<BatchAdvice, 'recordsPerBatch' | 'latencyMsMean' | 'latencyMsP99' | 'utilisation'> {
  const arrivals = arrivalsOf(ratePerMs, random);
  const latencies: number[] = [];
  let [freeAtMs, busyMs, batches] = [0, 0, 0];
  for (let from = 0; from < arrivals.length; ) {
    const fullAtMs = arrivals[from + batchRecordsMax - 1] ?? Number.POSITIVE_INFINITY;
    const takenAtMs = Math.max(freeAtMs, Math.min(fullAtMs, arrivals[from] + batchWindowMs));
    let to = from + 1;
    while (to < arrivals.length && to - from < batchRecordsMax && arrivals[to] <= takenAtMs) to++;
    const workMs = perBatchMs + perRecordMs * (to - from);
    freeAtMs = takenAtMs + workMs;
    busyMs += workMs;
    batches++;
    for (; from < to; from++) latencies.push(freeAtMs - arrivals[from]);
  }
  const sorted = latencies.sort((left, right) => left - right);
  return {
    recordsPerBatch: sorted.length / batches,
    latencyMsMean: sorted.reduce((sum, ms) => sum + ms, 0) / sorted.length,
    latencyMsP99: sorted[Math.floor(sorted.length * 0.99)],
    utilisation: Math.min(1, busyMs / freeAtMs),
  };
}

/** Instants whose distances are exponential. */
function arrivalsOf(ratePerMs: number, random: Random): number[] {
  const chances = 2 ** 32; // what `Random` gives at most
  let atMs = 0;
  return Array.from({ length: playedRecords }, () => {
    atMs -= Math.log((random.integer(chances) + 1) / chances) / ratePerMs;
    return atMs;
  });
}
