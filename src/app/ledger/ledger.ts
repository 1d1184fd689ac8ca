/**
 * The ledger: per thing and minute, what the gateway took in and what became of it for each consumer. The two ends are
 * counted apart from each other, and compared when a minute is over: a record that was lost in between, or handled and
 * never received, is an alarm that says whose it was and when.
 */
import type { ReceivedCounts } from '../../iot/rules/index.ts';
import type { Alarms } from '../../kernel/alarms.ts';
import type { Clock, Timer } from '../../kernel/clock.ts';
import type { Log } from '../../kernel/log.ts';
import type { Settled, ShardId, StreamReader, StreamRecord } from '../../platform/stream/index.ts';
import type { Table } from '../../platform/table/index.ts';
import { LedgerAlarms } from './alarms.ts';
import { type AuditProgress, type AuditResult, audit } from './audit.ts';
import { Checker } from './checker.ts';
import { ConsumerBook } from './consumer-book.ts';
import { countingReader } from './counting-reader.ts';
import { ledgerLimits } from './limits.ts';
import { minuteOf, startOf } from './minutes.ts';
import { ReceivedBook } from './received-book.ts';
import { Retention } from './retention.ts';
import type { CheckpointItem, ShardAccount } from './shard-account.ts';
import { thingOf } from './thing-names.ts';

export interface LedgerOptions {
  readonly table: Table;
  readonly clock: Clock;
  readonly log: Log;
  readonly alarms: Alarms;
  readonly openReader: () => StreamReader;
  /** Lets the gateway tell now what it has counted until now; resolves when it has. Default: it tells when it tells. */
  readonly askReceived?: () => Promise<void>;
  /** Some telemetry is not keyed by its thing. */
  readonly namesLieInTopics: boolean;
}

/** What must be known of a consumer to count for it. */
export interface AccountedConsumer {
  readonly consumer: string;
  /** Whether it passes a record by. What throws is none of those. */
  readonly isFiltered: (record: StreamRecord) => boolean;
}

export class Ledger {
  readonly received: ReceivedBook;
  readonly books = new Map<string, ConsumerBook>();
  readonly alarms: LedgerAlarms;
  readonly checker: Checker;
  readonly #options: LedgerOptions;
  readonly #retention: Retention;
  #timer: Timer | undefined;
  #closed = false;
  /** Of the last look: if nothing was told since and the log is ahead, nobody will tell. */
  #receivedBefore = -1n;
  #ticking: Promise<void> = Promise.resolve();
  #opening: Promise<void> | undefined;
  #accepting: Promise<void> = Promise.resolve();

  constructor(options: LedgerOptions) {
    const { table, clock, log, alarms, openReader } = options;
    this.#options = options;
    this.received = new ReceivedBook({
      table,
      openReader,
      thingOf: record => thingOf(record, options.namesLieInTopics),
      nowMs: () => clock.nowMs(),
      onBytes: bytes => this.#retention.noteBytes(bytes),
    });
    this.alarms = new LedgerAlarms({ table, alarms, log, nowMs: () => clock.nowMs() });
    this.checker = new Checker({ table, openReader, received: this.received, alarms: this.alarms });
    this.#retention = new Retention({ table, nowMs: () => clock.nowMs() });
  }

  nowMs(): number {
    return this.#options.clock.nowMs();
  }

  /** Before the consumer runs. */
  register({ consumer, isFiltered }: AccountedConsumer): void {
    const { table, clock, openReader, namesLieInTopics } = this.#options;
    const book = new ConsumerBook({
      table,
      clock,
      consumer,
      isFiltered,
      openReader,
      namesLieInTopics,
      onBytes: bytes => this.#retention.noteBytes(bytes),
      onImbalance: found => this.alarms.noteRecount(consumer, found),
    });
    this.books.set(consumer, book);
  }

  /** A reader for a registered consumer: what it passes by is counted. */
  readerFor(consumer: string): StreamReader {
    const book = this.books.get(consumer);
    const reader = this.#options.openReader();
    return book === undefined ? reader : countingReader(reader, shardId => book.passedBy(shardId));
  }

  /** Takes up the accounts of the release before, or of the run before. Consumers need not wait for it. */
  start(): Promise<void> {
    this.#opening ??= this.#open().catch(error => {
      this.#opening = undefined; // The next one who needs it tries again.
      this.#failed(error);
      throw error;
    });
    return this.#opening;
  }

  async #open(): Promise<void> {
    const missing = await this.received.open();
    if (missing > 0n) this.alarms.noteMissing(missing);
    this.#arm();
  }

  /** The gateway tells what it has counted. */
  accept(received: ReceivedCounts): void {
    this.#arm();
    const accepting = this.start().then(() => this.received.accept(received));
    this.#accepting = accepting.catch(error => this.#failed(error));
  }

  /** The gateway tells seldom. Whoever is shown what was received must not see less of it than of what was done with it. */
  async hearLatest(): Promise<void> {
    await this.#options.askReceived?.();
    await this.#accepting;
  }

  /** Of a minute that is over, the gateway has told everything. */
  isOver(minute: number): boolean {
    return minute < minuteOf(this.#options.clock.nowMs() - ledgerLimits.closedAfterMs);
  }

  /** The account of a shard, with what a kill left uncounted. Undefined when nobody counts for this consumer. */
  async open(consumer: string, shardId: ShardId, item: CheckpointItem | undefined): Promise<ShardAccount | undefined> {
    return isShard(shardId) ? this.books.get(consumer)?.open(shardId, item) : undefined;
  }

  /** Stores a checkpoint and what was settled up to it. False when nobody counts for this consumer. */
  async save(consumer: string, item: CheckpointItem, settled: Settled): Promise<boolean> {
    const book = this.books.get(consumer);
    if (book === undefined || !isShard(item.SK)) return false;
    this.#arm();
    const account = book.accountOf(item.SK) ?? (await book.open(item.SK, undefined));
    await account.save(item, settled);
    return true;
  }

  /** The shard is gone, and so is its checkpoint; what was counted stays. */
  async forget(consumer: string, shardId: ShardId): Promise<void> {
    await this.books.get(consumer)?.forget(shardId);
  }

  /** It sees its stream again: what it counts twice from here on is compared no more. */
  async startOver(consumer: string): Promise<void> {
    await this.#inTurn(async () => this.books.get(consumer)?.startOver());
  }

  /** The log is needed behind it: what was settled there is not stored yet. Undefined: all is. */
  storedUpTo(consumer: string): bigint | undefined {
    return this.books.get(consumer)?.storedUpTo;
  }

  /** Stores what is counted. */
  async flush(): Promise<void> {
    await this.received.flush();
    for (const book of this.books.values()) await book.flush();
  }

  /** One look at everything: what nobody told of is counted, minutes that are over are compared, old ones are deleted. */
  look(): Promise<void> {
    return this.#inTurn(async () => {
      await this.start();
      if (this.received.upTo === this.#receivedBefore) await this.received.catchUp();
      this.#receivedBefore = this.received.upTo;
      await this.flush();
      const lastClosed = minuteOf(this.#options.clock.nowMs() - ledgerLimits.closedAfterMs) - 1;
      let isAll = true;
      for (const book of this.books.values()) if (!(await this.checker.check(book, lastClosed))) isAll = false;
      if (!isAll) this.#arm();
      await this.#retention.apply([...this.books.keys()]);
      this.alarms.noteSuccess();
    });
  }

  /** Compares all minutes again, also those that were compared before. */
  recheck(): Promise<void> {
    return this.#inTurn(async () => {
      await this.start();
      await this.flush();
      for (const book of this.books.values()) await this.checker.recheck(book);
    });
  }

  /** Counts everything once more. */
  audit(): AsyncGenerator<AuditProgress | AuditResult> {
    const { openReader, namesLieInTopics } = this.#options;
    const reader = openReader();
    const counting = audit(this, reader, record => thingOf(record, namesLieInTopics));
    return closing(counting, reader);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    await this.#ticking.catch(() => {});
    await this.#opening?.catch(() => {});
    await this.flush().catch(() => {}); // What is not stored is counted again at the next start.
  }

  /** Looks soon after the end of this minute, and of the next ones while there is something to look for. */
  #arm(): void {
    if (this.#closed || this.#timer !== undefined) return;
    const nowMs = this.#options.clock.nowMs();
    const nextMs = startOf(minuteOf(nowMs - ledgerLimits.closedAfterMs) + 1) + ledgerLimits.closedAfterMs;
    this.#timer = this.#options.clock.setTimer(Math.max(1, nextMs - nowMs), () => {
      this.#timer = undefined;
      this.look().catch(error => this.#failed(error));
    });
  }

  /** Nothing is lost by it: the next look finds it all. Storage that is over is told by those who handle events. */
  #failed(error: unknown): void {
    if (this.#closed) return;
    this.alarms.noteFailure(error);
    this.#arm();
  }

  /** One after the other, also behind one that has failed. */
  #inTurn(work: () => Promise<void>): Promise<void> {
    this.#ticking = this.#ticking.catch(() => {}).then(work);
    return this.#ticking;
  }
}

async function* closing<Value>(values: AsyncGenerator<Value>, reader: StreamReader): AsyncGenerator<Value> {
  try {
    yield* values;
  } finally {
    await reader.close();
  }
}

/** Consumers keep marks of their own under names that no shard has. */
function isShard(shardId: ShardId): boolean {
  return !shardId.startsWith('$');
}
