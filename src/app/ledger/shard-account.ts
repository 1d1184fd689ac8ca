/**
 * What became of the records of one shard for one consumer. It is counted in memory, and stored with the checkpoint: not
 * each time, which would cost as much as the work itself, but every few seconds, with the position up to which the stored
 * counts are exact. The checkpoint carries how many were counted since, and which of them were no ordinary records; after
 * a kill that part is counted again from the log (`recount.ts`).
 *
 *   checkpoint   PK=Checkpoint-<consumer>   SK=<shardId>             UpTo, Ledger: what is not stored yet
 *   bucket       PK=$Ledger-<consumer>      SK=<minute>#<shardId>    Counts
 */
import { asCaller } from '../../kernel/callers.ts';
import type { Clock } from '../../kernel/clock.ts';
import type { Fate, SequenceNumber, Settled, ShardId, StreamRecord } from '../../platform/stream/index.ts';
import type { Table } from '../../platform/table/index.ts';
import { appTable } from '../entities/index.ts';
import { Counts } from './counts.ts';
import { ledgerLimits } from './limits.ts';
import { minuteOf, minuteText } from './minutes.ts';
import { packCounts, unpackCounts } from './packing.ts';
import type { PassedBy } from './passed-by.ts';

const { tableName: TableName } = appTable;

/** The columns of an account. Stored by place: never reorder. */
export const fates = ['handled', 'filtered', 'deadLettered', 'expired'] as const satisfies readonly Fate[];

/** What a checkpoint says of records that are settled, but in no stored bucket yet. */
export interface StoredTail {
  /** Up to here buckets are exact. */
  readonly UpTo: string;
  /** Of the records behind it, by fate. */
  readonly Sums: readonly number[];
  /** Which of them were dead-lettered or had expired. */
  readonly DeadLettered?: readonly string[];
  readonly Expired?: readonly string[];
}

export interface CheckpointItem extends Record<string, unknown> {
  readonly PK: string;
  readonly SK: ShardId;
  readonly UpTo: string;
  readonly Ledger?: StoredTail;
}

interface Minute {
  readonly counts: Counts;
  /** Of all things, by fate: asked for with each checkpoint. */
  readonly sums: number[];
  /** The last record of it that was counted. */
  upTo: SequenceNumber;
}

export interface ShardAccountOptions {
  readonly table: Table;
  readonly clock: Clock;
  readonly consumer: string;
  readonly shardId: ShardId;
  readonly thingOf: (record: StreamRecord) => string;
  readonly passedBy: PassedBy;
  /** Up to where everything is settled and, but for `tail`, stored. */
  readonly settledUpTo: SequenceNumber;
  readonly storedUpTo: SequenceNumber;
  /** What is kept has grown by so much. */
  readonly onBytes: (bytes: number) => void;
}

interface Bucket {
  readonly counts: Counts;
  /** As it is stored. */
  readonly bytes: number;
}

export class ShardAccount {
  readonly #options: ShardAccountOptions;
  /** Counted and not stored, oldest first. */
  readonly #minutes = new Map<number, Minute>();
  #lastMinute = -1;
  #lastInto: Minute | undefined;
  #exceptions: { fate: Fate; sequenceNumber: SequenceNumber }[] = [];
  #settledUpTo: SequenceNumber;
  #storedUpTo: SequenceNumber;
  #lastArrivalAtMs = 0;
  #recordsSince = 0;
  #flushedAtMs: number;
  /** As it was written last: a flush without a new checkpoint writes it again. */
  #item: CheckpointItem | undefined;
  /** Buckets written last, by minute. */
  readonly #buckets = new Map<number, Bucket>();
  #writing: Promise<unknown> = Promise.resolve();

  constructor(options: ShardAccountOptions) {
    this.#options = options;
    this.#settledUpTo = options.settledUpTo;
    this.#storedUpTo = options.storedUpTo;
    this.#flushedAtMs = options.clock.monotonicMs();
  }

  get settledUpTo(): SequenceNumber {
    return this.#settledUpTo;
  }

  /** When the last settled record came in; 0 when none was since the start. */
  get lastArrivalAtMs(): number {
    return this.#lastArrivalAtMs;
  }

  get storedUpTo(): SequenceNumber {
    return this.#storedUpTo;
  }

  /** Counts what was settled and stores the checkpoint. Called again after a failure, it counts nothing twice. */
  save(item: CheckpointItem, settled: Settled): Promise<void> {
    return this.#inTurn(async () => {
      this.fold(BigInt(item.UpTo), settled);
      await this.#write(item, this.#isDue);
    });
  }

  /** Stores what is counted so far. Nothing happens when there is nothing. */
  flush(): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#item !== undefined && this.#minutes.size > 0) await this.#write(this.#item, true);
    });
  }

  /** Of a minute, stored or not. */
  countsOf(minute: number): Promise<Counts> {
    return this.#inTurn(async () => {
      const counts = (await this.#bucket(minute)).counts.copy();
      const unstored = this.#minutes.get(minute);
      if (unstored) counts.addAll(unstored.counts);
      return counts;
    });
  }

  get unstoredMinutes(): number[] {
    return [...this.#minutes.keys()];
  }

  fold(upTo: SequenceNumber, settled: Settled): void {
    if (upTo <= this.#settledUpTo) return; // It was counted before its checkpoint could be stored, or is done again.
    for (const [column, fate] of fates.entries()) {
      for (const record of settled[fate]) {
        const { sequenceNumber, arrivalAtMs } = record;
        if (sequenceNumber <= this.#settledUpTo) continue;
        this.#count(this.#options.thingOf(record), column, sequenceNumber, arrivalAtMs, 1);
        if (fate === 'deadLettered' || fate === 'expired') this.#exceptions.push({ fate, sequenceNumber });
      }
    }
    const filtered = fates.indexOf('filtered');
    this.#options.passedBy.take(upTo, (thingName, sequenceNumber, arrivalAtMs, count) =>
      this.#count(thingName, filtered, sequenceNumber, arrivalAtMs, count),
    );
    this.#settledUpTo = upTo;
  }

  /** As a recount found it, of a kill before it was stored. */
  foldRecounted(record: StreamRecord, fate: Fate): void {
    const { sequenceNumber, arrivalAtMs } = record;
    this.#count(this.#options.thingOf(record), fates.indexOf(fate), sequenceNumber, arrivalAtMs, 1);
    if (fate === 'deadLettered' || fate === 'expired') this.#exceptions.push({ fate, sequenceNumber });
  }

  noteItem(item: CheckpointItem): void {
    this.#item = item;
  }

  #count(
    thingName: string | undefined,
    column: number,
    sequenceNumber: SequenceNumber,
    arrivalAtMs: number,
    count: number,
  ): void {
    const minute = minuteOf(arrivalAtMs);
    const into = this.#lastMinute === minute && this.#lastInto ? this.#lastInto : this.#into(minute, sequenceNumber);
    if (sequenceNumber > into.upTo) into.upTo = sequenceNumber;
    if (thingName === undefined) into.counts.addOthers(fates.map((_, at) => (at === column ? count : 0)));
    else into.counts.add(thingName, column, count);
    into.sums[column] += count;
    if (arrivalAtMs > this.#lastArrivalAtMs) this.#lastArrivalAtMs = arrivalAtMs;
    this.#recordsSince += count;
  }

  /** Most records are of the minute that the one before was of. */
  #into(minute: number, sequenceNumber: SequenceNumber): Minute {
    let into = this.#minutes.get(minute);
    if (into === undefined) {
      into = { counts: new Counts(fates.length), sums: fates.map(() => 0), upTo: sequenceNumber };
      this.#minutes.set(minute, into);
    }
    this.#lastMinute = minute;
    this.#lastInto = into;
    return into;
  }

  get #isDue(): boolean {
    const { flushEveryMs, flushRecordsMax, exceptionsMax, transactionMinutesMax } = ledgerLimits;
    return (
      this.#recordsSince >= flushRecordsMax ||
      this.#exceptions.length >= exceptionsMax ||
      this.#minutes.size >= transactionMinutesMax ||
      this.#options.clock.monotonicMs() - this.#flushedAtMs >= flushEveryMs
    );
  }

  async #write(item: CheckpointItem, flushes: boolean): Promise<void> {
    const { table } = this.#options;
    if (!flushes || this.#minutes.size === 0) {
      const Item = { ...item, Ledger: this.#tailAfter(0) };
      await asCaller({ accessPattern: '$checkpoint' }, () => table.put({ TableName, Item }));
      this.#item = item;
      return;
    }
    while (this.#minutes.size > 0) await this.#writeOldest(item);
    this.#item = item;
    this.#recordsSince = 0;
    this.#flushedAtMs = this.#options.clock.monotonicMs();
  }

  /** The checkpoint, and the oldest minutes added to their buckets: one transaction. */
  async #writeOldest(item: CheckpointItem): Promise<void> {
    const { table } = this.#options;
    const chosen = [...this.#minutes]
      .sort(([left], [right]) => left - right)
      .slice(0, ledgerLimits.transactionMinutesMax);
    const written: [number, Bucket][] = [];
    const puts = [];
    let grownBy = 0;
    for (const [minute, { counts: unstored }] of chosen) {
      const bucket = await this.#bucket(minute);
      const counts = bucket.counts.copy();
      counts.addAll(unstored);
      const packed = packCounts(counts);
      written.push([minute, { counts, bytes: packed.length }]);
      grownBy += packed.length - bucket.bytes;
      puts.push({ Put: { TableName, Item: { ...this.#keyOf(minute), Counts: packed, PackedBytes: packed.length } } });
    }
    const Item = { ...item, Ledger: this.#tailAfter(chosen.length) };
    const TransactItems = [{ Put: { TableName, Item } }, ...puts];
    await asCaller({ accessPattern: '$checkpoint' }, () => table.transactWrite({ TransactItems }));
    this.#options.onBytes(grownBy);
    for (const [minute, bucket] of written) this.#noteWritten(minute, bucket);
    this.#storedUpTo = BigInt(Item.Ledger.UpTo);
    this.#exceptions = this.#exceptions.filter(({ sequenceNumber }) => sequenceNumber > this.#storedUpTo);
  }

  /** What is left to be stored once the oldest `minutes` are. */
  #tailAfter(minutes: number): StoredTail {
    const sorted = [...this.#minutes].sort(([left], [right]) => left - right);
    const left = sorted.slice(minutes);
    const upTo = left.length === 0 ? this.#settledUpTo : minutes === 0 ? this.#storedUpTo : sorted[minutes - 1][1].upTo;
    const sums = fates.map(() => 0);
    for (const [, minute] of left) for (const [column, sum] of minute.sums.entries()) sums[column] += sum;
    const numbersOf = (fate: Fate) =>
      this.#exceptions
        .flatMap(each => (each.fate === fate && each.sequenceNumber > upTo ? [String(each.sequenceNumber)] : []))
        .slice(0, ledgerLimits.exceptionsMax); // More are only between two writes of one flush.
    const [dead, expired] = [numbersOf('deadLettered'), numbersOf('expired')];
    return {
      UpTo: String(upTo),
      Sums: sums,
      ...(dead.length > 0 && { DeadLettered: dead }),
      ...(expired.length > 0 && { Expired: expired }),
    };
  }

  #noteWritten(minute: number, bucket: Bucket): void {
    this.#minutes.delete(minute);
    this.#lastInto = undefined;
    this.#buckets.delete(minute);
    this.#buckets.set(minute, bucket);
    const [oldest] = this.#buckets.keys();
    if (this.#buckets.size > ledgerLimits.bucketsCachedMax) this.#buckets.delete(oldest);
  }

  async #bucket(minute: number): Promise<Bucket> {
    const known = this.#buckets.get(minute);
    if (known !== undefined) return known;
    const { Item } = await this.#options.table.get({ TableName, Key: this.#keyOf(minute), ConsistentRead: true });
    if (Item === undefined) return { counts: new Counts(fates.length), bytes: 0 };
    return { counts: unpackCounts(Item.Counts), bytes: Item.Counts.length };
  }

  #keyOf(minute: number): { PK: string; SK: string } {
    return { PK: accountKey(this.#options.consumer), SK: `${minuteText(minute)}#${this.#options.shardId}` };
  }

  /** Saves and flushes write the same items, so they do so one after the other. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#writing.then(work);
    this.#writing = done.catch(() => {});
    return done;
  }
}

export function accountKey(consumer: string): string {
  return `$Ledger-${consumer}`;
}
