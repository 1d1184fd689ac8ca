/**
 * What the gateway took in, by thing and minute: the other end of every consumer's account. The gateway counts what it
 * has made durable and says for which range of the log its counts are exact; what it could not say (it was killed, or
 * records came in another way) is counted here from the log.
 *
 *   bucket     PK=$Ledger           SK=<minute>    Counts, UpTo: the last record of it
 *   position   PK=$LedgerPosition   SK=received    UpTo, Since: the minute before the first that is whole
 */
import type { ReceivedCounts } from '../../iot/rules/index.ts';
import { asCaller } from '../../kernel/callers.ts';
import type { SequenceNumber, StreamReader, StreamRecord } from '../../platform/stream/index.ts';
import type { Table } from '../../platform/table/index.ts';
import { appTable } from '../entities/index.ts';
import { Counts } from './counts.ts';
import { ledgerLimits } from './limits.ts';
import { walkLog } from './log-walk.ts';
import { minuteOf, minuteText } from './minutes.ts';
import { packCounts, unpackCounts } from './packing.ts';

const { tableName: TableName } = appTable;

export const receivedKey = '$Ledger';
export const positionsKey = '$LedgerPosition';

interface Pending {
  readonly counts: Counts;
  upTo: SequenceNumber;
}

interface Bucket extends Pending {
  /** As it is stored. */
  readonly bytes: number;
}

export interface ReceivedBookOptions {
  readonly table: Table;
  readonly openReader: () => StreamReader;
  readonly thingOf: (record: StreamRecord) => string;
  readonly nowMs: () => number;
  /** What is kept has grown by so much. */
  readonly onBytes: (bytes: number) => void;
}

export class ReceivedBook {
  readonly #options: ReceivedBookOptions;
  readonly #pending = new Map<number, Pending>();
  readonly #buckets = new Map<number, Bucket>();
  #upTo: SequenceNumber = 0n;
  #since = -1;
  #lastMinute = -1;
  #work: Promise<unknown> = Promise.resolve();

  constructor(options: ReceivedBookOptions) {
    this.#options = options;
  }

  /** Everything up to this record is counted. */
  get upTo(): SequenceNumber {
    return this.#upTo;
  }

  /** Minutes after this one are whole. */
  get since(): number {
    return this.#since;
  }

  /** That of the last record that is counted. */
  get lastMinute(): number {
    return this.#lastMinute;
  }

  /**
   * Takes up where the table says it was. What has come to the log since is counted; a ledger that is new begins with the
   * next minute, or with the first record of a stream that is new, too.
   * @returns how many records that were counted are not in the log any more: it ends before them
   */
  open(): Promise<SequenceNumber> {
    return this.#inTurn(async () => {
      const missing = await this.#open();
      await this.#flush();
      return missing;
    });
  }

  async #open(): Promise<SequenceNumber> {
    const { table, nowMs } = this.#options;
    const Key = { PK: positionsKey, SK: 'received' };
    const { Item } = await table.get({ TableName, Key, ConsistentRead: true });
    const last = await this.#lastInLog();
    if (Item === undefined) {
      this.#upTo = last;
      this.#since = last === 0n ? -1 : minuteOf(nowMs());
      await table.put({ TableName, Item: { ...Key, UpTo: String(this.#upTo), Since: this.#since } });
      return 0n;
    }
    const upTo = BigInt(Item.UpTo);
    this.#upTo = upTo < last ? upTo : last;
    this.#since = Item.Since;
    await this.#recount(last);
    return upTo > last ? upTo - last : 0n;
  }

  /** Adds what the gateway has counted; what lies between that and what is known is counted from the log. */
  accept(received: ReceivedCounts): Promise<void> {
    return this.#inTurn(async () => {
      if (received.upTo <= this.#upTo) return; // Counted from the log already.
      if (received.after < this.#upTo) return this.#recount(received.upTo); // A part of it was.
      await this.#recount(received.after);
      for (const { minute, things, counts, others, upTo } of received.minutes) {
        const pending = this.#pendingOf(minute);
        for (const [at, thingName] of things.entries()) pending.counts.add(thingName, 0, counts[at]);
        pending.counts.addOthers([others]);
        pending.upTo = upTo;
      }
      this.#upTo = received.upTo;
    });
  }

  /** Counts from the log what nobody has told of, as of a producer that does not come through the gateway. */
  catchUp(): Promise<void> {
    return this.#inTurn(async () => this.#recount(await this.#lastInLog()));
  }

  /** Of a minute, stored or not. */
  async countsOf(minute: number): Promise<Counts> {
    const counts = (await this.#bucket(minute)).counts.copy();
    const pending = this.#pending.get(minute);
    if (pending) counts.addAll(pending.counts);
    return counts;
  }

  /** The last record of a minute that is counted; 0 when it has none. */
  async lastOf(minute: number): Promise<SequenceNumber> {
    return this.#pending.get(minute)?.upTo ?? (await this.#bucket(minute)).upTo;
  }

  get unstoredMinutes(): number[] {
    return [...this.#pending.keys()];
  }

  /** Stores what is counted, with the position it is exact for. */
  flush(): Promise<void> {
    return this.#inTurn(() => this.#flush());
  }

  async #flush(): Promise<void> {
    const minutes = [...this.#pending].sort(([left], [right]) => left - right);
    while (minutes.length > 0) {
      const chosen = minutes.splice(0, ledgerLimits.transactionMinutesMax);
      await this.#write(chosen, minutes.length === 0);
    }
  }

  async #write(minutes: [number, Pending][], isLast: boolean): Promise<void> {
    const upTo = isLast ? this.#upTo : minutes[minutes.length - 1][1].upTo;
    const written: [number, Bucket][] = [];
    const puts = [];
    let grownBy = 0;
    for (const [minute, pending] of minutes) {
      const bucket = await this.#bucket(minute);
      const counts = bucket.counts.copy();
      counts.addAll(pending.counts);
      const packed = packCounts(counts);
      written.push([minute, { counts, upTo: pending.upTo, bytes: packed.length }]);
      grownBy += packed.length - bucket.bytes;
      const Item = { PK: receivedKey, SK: minuteText(minute), Counts: packed, PackedBytes: packed.length };
      puts.push({ Put: { TableName, Item: { ...Item, UpTo: String(pending.upTo) } } });
    }
    const position = { PK: positionsKey, SK: 'received', UpTo: String(upTo), Since: this.#since };
    const TransactItems = [{ Put: { TableName, Item: position } }, ...puts];
    await asCaller({ accessPattern: '$ledger' }, () => this.#options.table.transactWrite({ TransactItems }));
    this.#options.onBytes(grownBy);
    for (const [minute, bucket] of written) {
      this.#pending.delete(minute);
      this.#keep(minute, bucket);
    }
  }

  /** Counts the log from where the book is to `upTo`, shard by shard; all of it or, when that fails, nothing. */
  async #recount(upTo: SequenceNumber): Promise<void> {
    if (upTo <= this.#upTo) return;
    const counted = new Map<number, Pending>();
    const reader = this.#options.openReader();
    try {
      for (const { shardId } of await reader.shards()) {
        for await (const records of walkLog(reader, { shardId, after: this.#upTo, upTo }))
          for (const record of records) this.#count(record, counted);
      }
    } finally {
      await reader.close();
    }
    for (const [minute, { counts, upTo: last }] of counted) {
      const pending = this.#pendingOf(minute);
      pending.counts.addAll(counts);
      pending.upTo = last;
    }
    this.#upTo = upTo;
  }

  #count(record: StreamRecord, counted: Map<number, Pending>): void {
    const minute = minuteOf(record.arrivalAtMs);
    const pending = counted.get(minute) ?? { counts: new Counts(1), upTo: 0n };
    counted.set(minute, pending);
    pending.counts.add(this.#options.thingOf(record), 0);
    if (record.sequenceNumber > pending.upTo) pending.upTo = record.sequenceNumber;
  }

  #pendingOf(minute: number): Pending {
    let pending = this.#pending.get(minute);
    if (pending === undefined) {
      pending = { counts: new Counts(1), upTo: 0n };
      this.#pending.set(minute, pending);
    }
    if (minute > this.#lastMinute) this.#lastMinute = minute;
    return pending;
  }

  async #bucket(minute: number): Promise<Bucket> {
    const known = this.#buckets.get(minute);
    if (known !== undefined) return known;
    const Key = { PK: receivedKey, SK: minuteText(minute) };
    const { Item } = await this.#options.table.get({ TableName, Key, ConsistentRead: true });
    if (Item === undefined) return { counts: new Counts(1), upTo: 0n, bytes: 0 };
    return { counts: unpackCounts(Item.Counts), upTo: BigInt(Item.UpTo), bytes: Item.Counts.length };
  }

  #keep(minute: number, bucket: Bucket): void {
    this.#buckets.delete(minute);
    this.#buckets.set(minute, bucket);
    const [oldest] = this.#buckets.keys();
    if (this.#buckets.size > ledgerLimits.bucketsCachedMax) this.#buckets.delete(oldest);
  }

  async #lastInLog(): Promise<SequenceNumber> {
    const reader = this.#options.openReader();
    try {
      const [{ shardId }] = await reader.shards();
      return (await reader.locate(shardId, { type: 'LATEST' })) ?? 0n;
    } finally {
      await reader.close();
    }
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#work.then(work);
    this.#work = done.catch(() => {});
    return done;
  }
}
