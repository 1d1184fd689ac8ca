/**
 * What invocations for records of the stream did, for a day or as long as there is room: `mimamori explain` looks here.
 * They are stored in chunks, by function and the last record they reach to; above some rate not each is, and the ledger
 * alone tells of the others.
 *
 *   chunk   PK=$Trace-<function>   SK=<shardId>#<last record, in order>#<request>   Traces, AtMs, PackedBytes
 */
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { asCaller } from '../../kernel/callers.ts';
import type { Clock, Timer } from '../../kernel/clock.ts';
import type { Counters } from '../../kernel/counters.ts';
import { base32Of } from '../../kernel/ids.ts';
import { TokenBucket } from '../../kernel/token-bucket.ts';
import type { InvocationReport } from '../../platform/functions/index.ts';
import type { SequenceNumber, ShardId } from '../../platform/stream/index.ts';
import type { Table } from '../../platform/table/index.ts';
import { appTable } from '../entities/index.ts';
import { traceLimits } from './limits.ts';
import type { Trace } from './port.ts';
import { traceOf } from './trace-of.ts';
import { TraceRetention, traceKey } from './trace-retention.ts';

const { tableName: TableName } = appTable;
const inflatedBytesMax = 16 * 1024 * 1024; // ours: far above a chunk; damage must not cost memory

export interface TracesOptions {
  readonly table: Table;
  readonly clock: Clock;
  readonly counters: Counters;
  /** Of one function; default `traceLimits.bytesMax`. */
  readonly bytesMax?: number;
}

export class Traces {
  readonly #options: TracesOptions;
  readonly #retention: TraceRetention;
  readonly #rate: TokenBucket;
  readonly #failedRate: TokenBucket;
  /** Of one function and shard, newest last. */
  readonly #pending = new Map<string, Trace[]>();
  #timer: Timer | undefined;
  #storing: Promise<void> = Promise.resolve();

  constructor(options: TracesOptions) {
    const nowMs = options.clock.monotonicMs();
    this.#options = options;
    this.#retention = new TraceRetention(options);
    this.#rate = new TokenBucket(traceLimits.perSecondMax, nowMs);
    this.#failedRate = new TokenBucket(traceLimits.failedPerSecondMax, nowMs);
  }

  /** An invocation has ended. Costs next to nothing above the rate that is noted. */
  note(report: InvocationReport): void {
    const { clock, counters } = this.#options;
    if (report.eventId === undefined && report.records === undefined) return;
    const nowMs = clock.monotonicMs();
    const isNoted = this.#rate.take(nowMs) || (report.outcome !== 'succeeded' && this.#failedRate.take(nowMs));
    if (!isNoted) return counters.add('traces.leftOut');
    const trace = traceOf(report);
    if (trace !== undefined) this.#add(trace);
  }

  /** Records that were given up because they were too old: no invocation says so. */
  noteExpired(functionName: string, shardId: ShardId, numbers: readonly SequenceNumber[]): void {
    const atMs = this.#options.clock.nowMs();
    for (let from = 0; from < numbers.length; ) {
      let to = from;
      while (numbers[to + 1] === numbers[to] + 1n) to++;
      const range = { first: String(numbers[from]), last: String(numbers[to]), count: to - from + 1 };
      this.#add({
        functionName,
        requestId: '',
        shardId,
        ...range,
        outcome: 'expired',
        attempt: 0,
        atMs,
        durationMs: 0,
      });
      from = to + 1;
    }
  }

  /** What is known of invocations for a record, oldest first. */
  async find(functionName: string, shardId: ShardId, sequenceNumber: SequenceNumber): Promise<Trace[]> {
    const isOf = ({ first, last }: Trace) => BigInt(first) <= sequenceNumber && sequenceNumber <= BigInt(last);
    const found = (this.#pending.get(keyOf(functionName, shardId)) ?? []).filter(isOf);
    const { Items = [] } = await this.#options.table.query({
      TableName,
      KeyConditionExpression: 'PK = :pk AND SK BETWEEN :from AND :to',
      ExpressionAttributeValues: {
        ':pk': traceKey(functionName),
        ':from': `${shardId}#${orderedText(sequenceNumber)}`,
        ':to': `${shardId}#~`,
      },
      ConsistentRead: true,
      Limit: traceLimits.chunksReadMax,
    });
    for (const { Traces: packed } of Items) found.push(...unpack(packed).filter(isOf));
    return found.sort((left, right) => left.atMs - right.atMs || left.attempt - right.attempt);
  }

  /** Stores what is noted. */
  flush(): Promise<void> {
    this.#storing = this.#storing
      .catch(() => {})
      .then(async () => {
        for (const [key, traces] of this.#pending) {
          this.#pending.delete(key);
          await this.#store(traces);
        }
        await this.#retention.apply();
      });
    return this.#storing;
  }

  async close(): Promise<void> {
    this.#timer?.cancel();
    await this.flush().catch(() => {}); // They are there to explain, and not worth a failure.
  }

  #add(trace: Trace): void {
    const key = keyOf(trace.functionName, trace.shardId);
    const pending = this.#pending.get(key);
    if (pending === undefined) this.#pending.set(key, [trace]);
    else pending.push(trace);
    if ((pending?.length ?? 0) >= traceLimits.pendingMax) void this.flush().catch(() => this.#dropped());
    this.#timer ??= this.#options.clock.setTimer(traceLimits.storeAfterMs, () => {
      this.#timer = undefined;
      this.flush().catch(() => this.#dropped());
    });
  }

  #dropped(): void {
    this.#options.counters.add('traces.notStored');
  }

  async #store(traces: readonly Trace[]): Promise<void> {
    const [{ functionName, shardId }] = traces;
    const last = traces.reduce((most, trace) => (BigInt(trace.last) > most ? BigInt(trace.last) : most), 0n);
    const packed = deflateRawSync(Buffer.from(JSON.stringify(traces)));
    const { atMs, requestId } = traces[traces.length - 1];
    const SK = `${shardId}#${orderedText(last)}#${requestId}${atMs}`;
    const Item = { PK: traceKey(functionName), SK, Traces: packed, AtMs: atMs, PackedBytes: packed.length };
    await asCaller({ accessPattern: '$traces' }, () => this.#options.table.put({ TableName, Item }));
    this.#retention.noteStored(functionName, packed.length);
  }
}

function keyOf(functionName: string, shardId: ShardId): string {
  return JSON.stringify([functionName, shardId]);
}

/** A number behind its length sorts as it counts. */
function orderedText(value: bigint): string {
  const digits = base32Of(value);
  return base32Of(BigInt(digits.length), 2) + digits;
}

function unpack(packed: Uint8Array): Trace[] {
  return JSON.parse(inflateRawSync(packed, { maxOutputLength: inflatedBytesMax }).toString()); // As `#store` packed it.
}
