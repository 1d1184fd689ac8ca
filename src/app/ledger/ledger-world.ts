/** What the tests of the ledger share: a stream, a table and consumers on a clock and disks that a test owns. */
import assert from 'node:assert/strict';
import { envelopeBytes, ReceivedTally, writeEnvelope } from '../../iot/rules/index.ts';
import { MimamoriError } from '../../kernel/errors.ts';
import { silentLog } from '../../kernel/log.ts';
import { MemoryDisk, openMemoryStore } from '../../kernel/memory-store.ts';
import { seededRandom } from '../../kernel/random.ts';
import { TestDisk } from '../../kernel/test-disk.ts';
import { VirtualClock } from '../../kernel/virtual-clock.ts';
import {
  type ConsumerSettings,
  EmbeddedStream,
  EmbeddedStreamReader,
  LocalTail,
  RecordBatch,
  type RecordFilter,
  type Selected,
  StreamConsumer,
  type StreamReader,
  type StreamRecord,
} from '../../platform/stream/index.ts';
import { openEmbeddedTable, type Table } from '../../platform/table/index.ts';
import { NotedAlarms } from '../dead-letters/letters-world.ts';
import { appTable } from '../entities/index.ts';
import { KeptRecords } from '../kept-records.ts';
import { Ledger } from './ledger.ts';

const directory = '/stream';

/** What one of the world's consumers does with a message: its payload says. */
export interface WorldConsumer extends ConsumerSettings {
  /** Topics that begin so are wanted at all. */
  readonly prefix?: string;
  /** A reader that may be a worse one. */
  readonly spoil?: (reader: StreamReader) => StreamReader;
}

export class LedgerWorld {
  readonly clock = new VirtualClock();
  readonly random = seededRandom(1);
  readonly disk = new TestDisk({ clock: this.clock, random: this.random });
  readonly tableDisk = new MemoryDisk({ clock: this.clock });
  /** Messages handled since the world began, by consumer. */
  readonly handled = new Map<string, number>();
  readonly dead: string[] = [];
  failures: unknown[] = [];
  tableIsFull = false;
  alarms = new NotedAlarms();
  table!: Table; // `start` comes first
  stream!: EmbeddedStream;
  ledger!: Ledger;
  tally = new ReceivedTally();
  #stop = new AbortController();
  #running: Promise<unknown>[] = [];
  #tail = new LocalTail(0n);
  readonly #shards: number;
  readonly #namesLieInTopics: boolean;

  constructor({ shards = 1, namesLieInTopics = false } = {}) {
    this.#shards = shards;
    this.#namesLieInTopics = namesLieInTopics;
  }

  /** A process that starts on what is stored. */
  async start(consumers: Readonly<Record<string, WorldConsumer>> = { lights: {} }): Promise<this> {
    const { clock, random } = this;
    const tail = new LocalTail(0n);
    this.#tail = tail;
    const files = this.disk.mount();
    const onDurable = (last: bigint, generation: number) => tail.moveTo(last, generation);
    const opening = EmbeddedStream.open({ files, clock, random, directory, onDurable, shards: this.#shards });
    this.stream = await clock.until(opening);
    this.tally = new ReceivedTally();
    return this.startApp(consumers);
  }

  /** The app half alone, beside a gateway that runs; one that ran before is ended as it is. */
  async startApp(consumers: Readonly<Record<string, WorldConsumer>> = { lights: {} }): Promise<this> {
    const { clock } = this;
    this.#stop.abort();
    this.tableDisk.crash();
    const failures: unknown[] = []; // Of this process: what an earlier one still says is history.
    this.failures = failures;
    const store = await clock.until(openMemoryStore({ clock, disk: this.tableDisk }));
    this.table = this.#failing(await clock.until(openEmbeddedTable({ store, clock, tables: [appTable] })));
    this.alarms = new NotedAlarms();
    this.ledger = new Ledger({
      table: this.table,
      clock,
      log: silentLog,
      alarms: this.alarms,
      openReader: () => this.openReader(),
      namesLieInTopics: this.#namesLieInTopics,
    });
    this.#stop = new AbortController();
    this.#running = [];
    for (const [name, consumer] of Object.entries(consumers)) this.#follow(name, consumer);
    await clock.until(this.ledger.start());
    return this;
  }

  /** Refuses what is written while `tableIsFull`. */
  #failing(table: Table): Table {
    const checked =
      <Input, Output>(write: (input: Input) => Promise<Output>) =>
      (input: Input) => {
        if (!this.tableIsFull) return write(input);
        return Promise.reject(new MimamoriError({ code: 'store.full', message: 'No room.', fix: 'Make some.' }));
      };
    return {
      ...table,
      get: input => table.get(input),
      query: input => table.query(input),
      scan: input => table.scan(input),
      delete: input => table.delete(input),
      batchWrite: input => table.batchWrite(input),
      put: checked(input => table.put(input)),
      transactWrite: checked(input => table.transactWrite(input)),
    };
  }

  openReader(): StreamReader {
    return new EmbeddedStreamReader({ files: this.disk.mount(), directory, tail: this.#tail });
  }

  #follow(name: string, { prefix, spoil = reader => reader, ...settings }: WorldConsumer): void {
    const { ledger, clock } = this;
    const kept = new KeptRecords({ table: this.table, letters: { keep: async () => {} }, ledger });
    const start = prefix === undefined ? undefined : Buffer.from(prefix);
    const wants: RecordFilter | undefined =
      start && ((bytes, at) => start.compare(bytes, at + 4, at + 4 + start.length) === 0);
    const isFiltered = (record: StreamRecord) =>
      wants?.(record.data, 0, record.data.length) === false || textOf(record) === 'filtered';
    ledger.register({ consumer: name, isFiltered });
    const consumer = new StreamConsumer<string>({
      ...settings,
      name,
      clock,
      openReader: () => spoil(ledger.readerFor(name)),
      wants,
      select: record => (isFiltered(record) ? undefined : textOf(record)),
      invoke: async (batch: Selected<string>[]) => {
        const failed = new Map<number, unknown>();
        for (const [index, { event }] of batch.entries()) {
          if (event === 'poison') failed.set(index, new Error('no'));
          else this.handled.set(name, (this.handled.get(name) ?? 0) + 1);
        }
        return { failed, skipped: new Set<number>() };
      },
      loadCheckpoint: (consumer, shardId) => kept.loadCheckpoint(consumer, shardId),
      saveCheckpoint: (consumer, shardId, ...rest) => kept.saveCheckpoint(consumer, shardId, ...rest),
      deleteCheckpoint: (consumer, shardId) => kept.deleteCheckpoint(consumer, shardId),
      deadLetter: async ({ record }) => void this.dead.push(`${name}:${record.sequenceNumber}`),
    });
    const failures = this.failures;
    this.#running.push(consumer.run(this.#stop.signal).catch(error => failures.push(error)));
  }

  /** Messages `thing:text`, as the gateway takes them: durable, then counted. */
  async receive(...messages: string[]): Promise<void> {
    const { batch, things } = this.#batchOf(messages);
    this.tally.add(things, await this.clock.until(this.stream.append(batch)));
  }

  /** The same from a producer that does not come through the gateway. */
  async receiveElsewhere(...messages: string[]): Promise<void> {
    await this.clock.until(this.stream.append(this.#batchOf(messages).batch));
  }

  #batchOf(messages: readonly string[]): { batch: RecordBatch; things: string[] } {
    const batch = new RecordBatch();
    const things: string[] = [];
    for (const message of messages) {
      const [thing, text] = message.split(':');
      const topic = `dt/app/lights/${thing}/state`;
      const payload = Buffer.from(text);
      const key = this.#namesLieInTopics ? String(this.random.integer(1_000)) : thing;
      const at = batch.reserve(key, envelopeBytes(topic.length, payload.length));
      writeEnvelope(batch.buffer, at, topic, topic.length, payload);
      things.push(thing);
    }
    return { batch, things };
  }

  /** The gateway tells what it has counted. */
  tell(): void {
    const received = this.tally.take();
    if (received) this.ledger.accept(received);
  }

  async advance(ms: number): Promise<void> {
    await this.clock.advance(ms);
  }

  /** Everything is received, handled, told, and the minute is over. */
  async minutePasses(): Promise<void> {
    await this.advance(2_000);
    this.tell();
    await this.advance(66_000);
  }

  /** What was not synced is lost, and so is everything in memory. */
  async crash(consumers?: Readonly<Record<string, WorldConsumer>>): Promise<void> {
    this.kill();
    await this.start(consumers);
  }

  kill(): void {
    this.#stop.abort();
    this.tableDisk.crash();
    this.disk.powerCut();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.clock.until(Promise.all(this.#running));
    this.tell();
    await this.clock.until(this.ledger.close());
    await this.clock.until(this.stream.close());
    assert.deepEqual(this.failures, []);
  }

  /** The totals of a consumer over all minutes: received, then by fate. */
  async totals(consumer: string): Promise<{ received: number; settled: number[] }> {
    const book = this.ledger.books.get(consumer);
    assert(book);
    const totals = { received: 0, settled: [0, 0, 0, 0] };
    for (const minute of await this.clock.until(this.ledger.checker.minutes(book, -1, Number.MAX_SAFE_INTEGER))) {
      const [received, settled] = await this.clock.until(
        Promise.all([this.ledger.received.countsOf(minute), book.countsOf(minute)]),
      );
      totals.received += received.totals[0];
      for (const [column, count] of settled.totals.entries()) totals.settled[column] += count;
    }
    return totals;
  }
}

function textOf({ data }: StreamRecord): string {
  return data.toString('utf8', data.lastIndexOf('/state') + '/state'.length);
}
