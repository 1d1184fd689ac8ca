/**
 * The cloud's throughput on one machine, so that a hot partition shows here: `--limits aws`.
 *
 * A model of what is published (reference: capacity). A table or index has its provisioned units with 300 s of burst,
 * or on demand 4,000 write and 12,000 read units, doubling with its previous peak. Its partitions each give at most 1,000
 * write and 3,000 read units a second; a partition that stays throttled while the table has room is split in two, as
 * adaptive capacity does, until a single key is alone in it. What AWS does not publish (when it splits, how keys fall
 * into partitions) is ours.
 */
import type { Clock } from '../../../kernel/clock.ts';
import { TokenBucket } from '../../../kernel/token-bucket.ts';
import { ThrottledError } from '../errors.ts';
import { partitionText } from './ledger.ts';
import type { Meter, Use } from './meter.ts';

export const throughputLimits = {
  partitionUnits: { read: 3_000, write: 1_000 }, // DynamoDB "partition throughput"
  onDemandUnits: { read: 12_000, write: 4_000 }, // DynamoDB "initial throughput for on-demand"
  burstSeconds: 300, // DynamoDB "burst capacity"
  peakWindowMs: 30 * 60_000, // DynamoDB on demand: doubling within 30 minutes may throttle
  splitAfterMs: 60_000, // ours: how long a partition has to stay throttled before it is split
  splitsMax: 24, // ours: hash bits by which keys can be told apart
  partitionsMax: 100_000, // ours: bounds the memory of the model
} as const;

export interface Throughput {
  /** Units per second; undefined: on demand. */
  readonly provisioned?: { readonly read: number; readonly write: number };
  /** Of the table or index, for the answer. */
  readonly arn: string;
}

interface Partition {
  readonly bucket: TokenBucket;
  /** When it was first and last throttled without a quiet second between. */
  throttled?: { readonly sinceMs: number; untilMs: number };
}

/** One table or index, reads or writes. */
interface Lane {
  readonly arn: string;
  readonly kind: Use['kind'];
  readonly isProvisioned: boolean;
  unitsPerSecond: number;
  bucket: TokenBucket;
  /** Partitions by the bits of the hash their keys begin with. */
  readonly partitions: Map<string, Partition>;
  readonly splits: Set<string>;
  firstBits: number;
  window: { readonly startedAtMs: number; units: number; peak: number; secondAtMs: number; secondUnits: number };
  peakBefore: number;
}

export class AwsThroughput implements Meter {
  readonly #clock: Clock;
  readonly #throughputOf: (tableName: string, indexName: string | undefined) => Throughput;
  readonly #lanes = new Map<string, Lane>();

  constructor(clock: Clock, throughputOf: (tableName: string, indexName: string | undefined) => Throughput) {
    this.#clock = clock;
    this.#throughputOf = throughputOf;
  }

  admit(use: Use): void {
    const nowMs = this.#clock.monotonicMs();
    const lane = this.#laneOf(use, nowMs);
    if (!lane.bucket.hasAny(nowMs))
      throw refusal(use, lane, lane.isProvisioned ? 'ProvisionedThroughput' : 'AccountLimit');
    if (use.partition === undefined) return;
    const [bits, partition] = partitionOf(lane, use, nowMs);
    if (partition.bucket.hasAny(nowMs)) return;
    noteThrottled(lane, bits, partition, nowMs);
    throw refusal(use, lane, 'KeyRangeThroughput');
  }

  charge(use: Use, units: number): void {
    const nowMs = this.#clock.monotonicMs();
    const lane = this.#laneOf(use, nowMs);
    lane.bucket.charge(nowMs, units);
    noteUse(lane, units, nowMs);
    if (use.partition !== undefined) partitionOf(lane, use, nowMs)[1].bucket.charge(nowMs, units);
  }

  /** A table or index has other settings now, or is gone. */
  forget(tableName: string): void {
    for (const key of this.#lanes.keys()) if (key.startsWith(`${tableName}\n`)) this.#lanes.delete(key);
  }

  #laneOf({ kind, tableName, indexName }: Use, nowMs: number): Lane {
    const key = `${tableName}\n${indexName ?? ''}\n${kind}`;
    const known = this.#lanes.get(key);
    if (known !== undefined) return known;
    const lane = makeLane(kind, this.#throughputOf(tableName, indexName), nowMs);
    this.#lanes.set(key, lane);
    return lane;
  }
}

function makeLane(kind: Use['kind'], { provisioned, arn }: Throughput, nowMs: number): Lane {
  const unitsPerSecond = provisioned?.[kind] ?? throughputLimits.onDemandUnits[kind];
  return {
    arn,
    kind,
    isProvisioned: provisioned !== undefined,
    unitsPerSecond,
    bucket: new TokenBucket(unitsPerSecond, nowMs, provisioned === undefined ? 1 : throughputLimits.burstSeconds),
    partitions: new Map(),
    splits: new Set(),
    firstBits: firstBitsFor(kind, unitsPerSecond),
    window: newWindow(nowMs),
    peakBefore: 0,
  };
}

/** There are as many partitions as the units need. */
function firstBitsFor(kind: Use['kind'], unitsPerSecond: number): number {
  return Math.ceil(Math.log2(Math.max(unitsPerSecond / throughputLimits.partitionUnits[kind], 1)));
}

function newWindow(nowMs: number): Lane['window'] {
  return { startedAtMs: nowMs, units: 0, peak: 0, secondAtMs: nowMs, secondUnits: 0 };
}

/** On demand follows twice the highest second of the windows before. */
function noteUse(lane: Lane, units: number, nowMs: number): void {
  if (lane.isProvisioned) return;
  const { window } = lane;
  if (nowMs - window.secondAtMs >= 1_000) {
    window.peak = Math.max(window.peak, window.secondUnits);
    window.secondAtMs = nowMs;
    window.secondUnits = 0;
  }
  window.secondUnits += units;
  if (nowMs - window.startedAtMs < throughputLimits.peakWindowMs) return;
  const peak = Math.max(lane.peakBefore, window.peak);
  if (peak * 2 > lane.unitsPerSecond) {
    lane.unitsPerSecond = peak * 2;
    lane.bucket = new TokenBucket(lane.unitsPerSecond, nowMs);
    lane.firstBits = firstBitsFor(lane.kind, lane.unitsPerSecond);
    lane.partitions.clear();
  }
  lane.peakBefore = peak;
  lane.window = newWindow(nowMs);
}

function partitionOf(lane: Lane, { kind, partition = [] }: Use, nowMs: number): readonly [string, Partition] {
  const hash = hashBits(partitionText(partition));
  let bits = hash.slice(0, lane.firstBits);
  while (lane.splits.has(bits)) bits = hash.slice(0, bits.length + 1);
  let found = lane.partitions.get(bits);
  if (found === undefined) {
    found = { bucket: new TokenBucket(throughputLimits.partitionUnits[kind], nowMs) };
    lane.partitions.set(bits, found);
  }
  return [bits, found];
}

function noteThrottled(lane: Lane, bits: string, partition: Partition, nowMs: number): void {
  const { throttled } = partition;
  if (throttled === undefined || nowMs - throttled.untilMs > 1_000) {
    partition.throttled = { sinceMs: nowMs, untilMs: nowMs };
    return;
  }
  throttled.untilMs = nowMs;
  if (nowMs - throttled.sinceMs < throughputLimits.splitAfterMs) return;
  if (bits.length >= throughputLimits.splitsMax || lane.partitions.size >= throughputLimits.partitionsMax) return;
  lane.splits.add(bits);
  lane.partitions.delete(bits);
}

/** FNV-1a, as bits. */
function hashBits(text: string): string {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  // Mixed once more: the first bits of FNV hardly differ for keys that differ at their end.
  hash = Math.imul(hash ^ (hash >>> 16), 0x45d9f3b);
  return ((hash ^ (hash >>> 15)) >>> 0).toString(2).padStart(32, '0');
}

function refusal({ kind, indexName }: Use, { arn }: Lane, what: string): ThrottledError {
  const where = indexName === undefined ? 'Table' : 'Index';
  const reason = `${where}${kind === 'read' ? 'Read' : 'Write'}${what}Exceeded`;
  const whose = indexName === undefined ? 'the table' : 'one or more global secondary indexes of the table';
  return new ThrottledError([{ reason, resource: arn }], whose);
}
