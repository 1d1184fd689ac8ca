/**
 * Both halves in one thread, on time, chance, disk and network that a test owns: a day of an app in milliseconds, a
 * power cut at any instant, and the same again from the same seed.
 */
import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import {
  type Announcement,
  type App,
  appTable,
  type CapacityReport,
  devicePolicy,
  type FunctionsChoices,
  Runtime,
  tablesOf,
} from '../app/index.ts';
import { MqttClient, type MqttClientOptions } from '../device/index.ts';
import { type Caller, Feed, makeApi, type Tokens } from '../http/index.ts';
import { ThingAccess } from '../iot/access/index.ts';
import { DataPlane } from '../iot/http/index.ts';
import { awsLimits, Gateway, type RecoveredJournal, recoverJournal } from '../iot/mqtt/index.ts';
import { partitionKeyOf } from '../iot/rules/index.ts';
import { PolicyEngine, ThingRegistry } from '../iot/things/index.ts';
import type { Alarms } from '../kernel/alarms.ts';
import { Counters } from '../kernel/counters.ts';
import type { Log } from '../kernel/log.ts';
import { MemoryAppendFiles } from '../kernel/memory-append-files.ts';
import { MemorySockets } from '../kernel/memory-sockets.ts';
import { MemoryDisk, openMemoryStore } from '../kernel/memory-store.ts';
import { type Random, seededRandom } from '../kernel/random.ts';
import { TestDisk } from '../kernel/test-disk.ts';
import { VirtualClock } from '../kernel/virtual-clock.ts';
import { AlarmBook, type LogReader, quietMs } from '../ops/index.ts';
import type { InvocationReport } from '../platform/functions/index.ts';
import {
  awsShardThroughput,
  EmbeddedStream,
  EmbeddedStreamReader,
  LocalTail,
  RecordBatch,
  type StreamReader,
} from '../platform/stream/index.ts';
import { type OpenTable, openEngine, tableOn } from '../platform/table/index.ts';
import { type Accounting, accountingFor } from './accounting.ts';
import { AppOperations } from './app-operations.ts';
import { declaredStreams } from './declared-streams.ts';
import { healthOf } from './health.ts';
import { ReceivedTeller } from './received-teller.ts';
import type { Seams } from './seams.ts';

const streamDirectory = '/stream';
const sessionsDirectory = '/sessions';
const operationsDirectory = '/';
const cursorKey = new Uint8Array(32); // a secret would be another in each test

/** What outlives a restart, and what time and chance are. One per test. */
export class TestWorld {
  readonly clock: VirtualClock;
  readonly random: Random;
  readonly disk: TestDisk;
  readonly tableDisk: MemoryDisk;
  readonly iotDisk: MemoryDisk;
  readonly sockets: MemorySockets;
  /** Lines of the logs, and the alarms. */
  readonly logFiles: MemoryAppendFiles;

  constructor(seed = 1, { startMs, copyOf }: WorldOptions = {}) {
    this.clock = new VirtualClock(startMs ?? copyOf?.clock.nowMs());
    this.random = seededRandom(seed);
    const { clock, random } = this;
    this.disk = copyOf?.disk.copy({ clock, random }) ?? new TestDisk({ clock, random });
    this.tableDisk = copyOf?.tableDisk.copy({ clock }) ?? new MemoryDisk({ clock });
    this.iotDisk = copyOf?.iotDisk.copy({ clock }) ?? new MemoryDisk({ clock });
    this.logFiles = copyOf?.logFiles.copy() ?? new MemoryAppendFiles();
    this.sockets = new MemorySockets(this.clock);
  }
}

export interface WorldOptions {
  /** Its time at the beginning, Unix epoch milliseconds. Default: that of `copyOf`, or the first of January 2026. */
  readonly startMs?: number;
  /** Its disks hold what those of this one hold now. */
  readonly copyOf?: TestWorld;
}

export interface OneThreadOptions {
  /** Instead of `logs`, what is logged goes here. */
  readonly log?: Log;
  /** Of the stream of devices' messages. Default: 1. */
  readonly shards?: number;
  /** Default: nobody is told. */
  readonly alarms?: Alarms;
  /** How functions run. Isolated ones run as the others do: a worker would not keep to the world's clock. */
  readonly functions?: Omit<FunctionsChoices, 'isolation'>;
  /**
   * By how much lists lag behind writes, as on AWS. Default 50 ms of the world's clock, which passes only as a test lets
   * it: code that lists what it has just written fails here, every time. 0: not at all.
   */
  readonly indexLagMs?: number;
  /** `aws`: throttles the table as DynamoDB does, and refuses devices what AWS IoT Core refuses. Default: neither. */
  readonly limits?: 'generous' | 'aws';
  /** Default: nothing stands between the parts. */
  readonly seams?: Seams;
}

const indexLagMsDefault = 50; // ours: on AWS it is milliseconds, now and then more

export class OneThreadBackend {
  readonly world: TestWorld;
  readonly gateway: Gateway;
  readonly runtime: Runtime;
  readonly stream: EmbeddedStream;
  readonly table: OpenTable;
  readonly mqttPort: number;
  /** What was logged, e.g. `await backend.logs.lines({ functionName: 'play', level: 'warn' })`. */
  readonly logs: LogReader;
  /** Metrics, and the rules over them: `await operations.evaluator.evaluate()` looks at them. */
  readonly operations: AppOperations;
  readonly alarms: AlarmBook;
  /** Everything announced, in order. */
  readonly announcements: Announcement[];
  /** What storage said when it gave up. */
  readonly failures: unknown[];
  readonly #sessions: RecoveredJournal;
  readonly #teller: ReceivedTeller;
  readonly #accounting: Accounting;
  readonly #indexLagMs: number;
  readonly #openReader: () => StreamReader;
  readonly #api: ReturnType<typeof makeApi>;
  readonly #dataPlane: DataPlane;
  readonly #declared: BackendParts['declared'];
  readonly #tokens = new PlainTokens();

  private constructor(parts: BackendParts) {
    this.world = parts.world;
    this.gateway = parts.gateway;
    this.runtime = parts.runtime;
    this.stream = parts.stream;
    this.table = parts.table;
    this.mqttPort = parts.mqttPort;
    this.operations = parts.operations;
    this.logs = parts.operations.reader;
    this.alarms = parts.alarms;
    this.announcements = parts.announcements;
    this.failures = parts.failures;
    this.#sessions = parts.sessions;
    this.#teller = parts.teller;
    this.#accounting = parts.accounting;
    this.#indexLagMs = parts.indexLagMs;
    this.#openReader = parts.openReader;
    this.#api = parts.api;
    this.#dataPlane = new DataPlane(parts.gateway);
    this.#declared = parts.declared;
  }

  /** Starts on what the world's disks hold. Time passes only as far as starting needs. */
  static start(
    app: App,
    world: TestWorld = new TestWorld(),
    options: OneThreadOptions = {},
  ): Promise<OneThreadBackend> {
    return world.clock.until(startParts(app, world, options).then(parts => new OneThreadBackend(parts)));
  }

  /** Bytes of messages, and of what sessions must remember, whose durability is awaited. */
  get pendingBytes(): number {
    return this.stream.pendingBytes + this.#sessions.stream.pendingBytes;
  }

  /** Of the messages in the stream, durable ones only. */
  openReader(): StreamReader {
    return this.#openReader();
  }

  /** A connected device. */
  connect(
    options: Pick<MqttClientOptions, 'clientId' | 'username' | 'password'> & Partial<MqttClientOptions>,
  ): Promise<MqttClient> {
    const { clock, sockets } = this.world;
    return clock.until(MqttClient.connect({ clock, sockets, host: 'test', port: this.mqttPort, ...options }));
  }

  /** One HTTP request as `user`; undefined sends no token. Time passes as far as the answer needs. */
  request(user: string | undefined, method: string, path: string, body?: unknown): Promise<ApiAnswer> {
    return this.world.clock.until(this.ask(user, method, path, body));
  }

  /** The same for whoever moves time. */
  async ask(user: string | undefined, method: string, path: string, body?: unknown): Promise<ApiAnswer> {
    const token = user === undefined ? undefined : await this.#tokens.issue({ user, readOnly: false });
    const headers: Record<string, string> = token ? { Authorization: `Bearer ${token}` } : {};
    if (body !== undefined) headers['Content-Type'] = 'application/json';
    const request = { method, headers, body: body === undefined ? undefined : JSON.stringify(body) };
    const answer = await this.#api.request(path, request);
    const text = await answer.text();
    return { status: answer.status, body: text && JSON.parse(text) };
  }

  /** What others put into a declared stream; each record is JSON. Time passes until they are durable. */
  putRecords(name: string, records: readonly { partitionKey: string; record: unknown }[]): Promise<void> {
    return this.world.clock.until(this.appendRecords(name, records));
  }

  /** The same for whoever moves time. */
  async appendRecords(name: string, records: readonly { partitionKey: string; record: unknown }[]): Promise<void> {
    const { stream, keyOf } = this.#declared.get(name) ?? assert.fail(`${name} is a stream of the model`);
    const batch = new RecordBatch();
    for (const { partitionKey, record } of records) {
      const data = Buffer.from(JSON.stringify(record));
      batch.add(keyOf(partitionKey, data), data);
    }
    await stream.append(batch);
  }

  /** A declared stream itself, e.g. to split a shard of it. */
  declaredStream(name: string): EmbeddedStream {
    return (this.#declared.get(name) ?? assert.fail(`${name} is a stream of the model`)).stream;
  }

  declaredReader(name: string): StreamReader {
    return (this.#declared.get(name) ?? assert.fail(`${name} is a stream of the model`)).openReader();
  }

  /** One POST of a device that has no connection, e.g. to `/topics/a/b?qos=1`. Time passes as far as the answer needs. */
  post(credentials: DeviceCredentials, url: string, body: unknown): Promise<ApiAnswer> {
    return this.world.clock.until(this.askGateway(credentials, url, body));
  }

  /** The same for whoever moves time. */
  async askGateway({ username, password }: DeviceCredentials, url: string, body: unknown): Promise<ApiAnswer> {
    const authorization = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
    const payload = Readable.from([Buffer.from(JSON.stringify(body))]);
    const call = Object.assign(payload, { method: 'POST', url, headers: { authorization } });
    const answer = await this.#dataPlane.answer(call, { remoteAddress: '127.0.0.1' });
    assert(answer); // Nobody leaves before it is there.
    return { status: answer.status, body: JSON.parse(JSON.stringify(answer.body)) };
  }

  /** What was used of the table since this backend was started, by access pattern and function. */
  capacity(): CapacityReport {
    const report = this.#accounting.reportFor(this.runtime)?.();
    assert(report); // There is a ledger.
    return report;
  }

  /** Lets the time pass after which lists show everything that is written by now. */
  indexesCatchUp(): Promise<void> {
    return this.world.clock.advance(this.#indexLagMs);
  }

  /** Moves no time forward but lets everything that can happen now happen. */
  settle(): Promise<void> {
    return this.world.clock.settle();
  }

  /** Stops in order: everything acknowledged or not is on disk afterwards. */
  async stop(): Promise<void> {
    const stopping = async () => {
      await this.gateway.close();
      this.#teller.close();
      await this.runtime.close();
      await this.stream.close();
      for (const { stream } of this.#declared.values()) await stream.close();
      await this.#sessions.stream.close();
    };
    await this.world.clock.until(stopping());
  }

  /** Everything that was not synced is lost, as is everything in memory. Start another backend on the same world. */
  powerCut(): void {
    const { disk, tableDisk, iotDisk } = this.world;
    this.#end();
    disk.powerCut();
    tableDisk.crash();
    iotDisk.crash();
  }

  /** Everything in memory is lost; what was written stays, synced or not. Start another backend on the same world. */
  kill(): void {
    this.#end();
    this.world.disk.kill();
  }

  #end(): void {
    this.world.sockets.cut();
    this.gateway.halt();
    void this.runtime.close();
  }
}

/**
 * Tokens that are their own contents. Real ones are made by a thread pool that no virtual clock can wait for: whether
 * it is done by the next turn would be chance.
 */
class PlainTokens implements Tokens {
  async issue(caller: Caller): Promise<string> {
    return Buffer.from(JSON.stringify(caller)).toString('base64url');
  }

  async check(token: string): Promise<Caller | undefined> {
    return JSON.parse(Buffer.from(token, 'base64url').toString());
  }
}

type DeviceCredentials = Pick<MqttClientOptions, 'username' | 'password'>;

export interface ApiAnswer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: a test says what it expects by comparing.
  readonly body: any;
}

interface BackendParts {
  readonly world: TestWorld;
  readonly gateway: Gateway;
  readonly runtime: Runtime;
  readonly stream: EmbeddedStream;
  readonly table: OpenTable;
  readonly sessions: RecoveredJournal;
  readonly teller: ReceivedTeller;
  readonly mqttPort: number;
  readonly operations: AppOperations;
  readonly alarms: AlarmBook;
  readonly announcements: Announcement[];
  readonly failures: unknown[];
  readonly api: ReturnType<typeof makeApi>;
  readonly accounting: Accounting;
  readonly indexLagMs: number;
  readonly openReader: () => StreamReader;
  readonly declared: ReadonlyMap<string, MemoryStream>;
}

/** A declared stream, as far as a test and the runtime need it. */
interface MemoryStream {
  readonly stream: EmbeddedStream;
  readonly openReader: () => StreamReader;
  readonly newest: () => bigint;
  /** The key that the model wants in place of the one a record came with. */
  readonly keyOf: (partitionKey: string, data: Uint8Array) => string;
}

async function openDeclaredInMemory(app: App, { clock, random, disk }: TestWorld): Promise<Map<string, MemoryStream>> {
  const opened = new Map<string, MemoryStream>();
  for (const { name, shards, partitionKey } of declaredStreams(app.model.streams)) {
    const directory = `/streams/${name}`;
    const tail = new LocalTail(0n);
    const onDurable = (last: bigint, generation: number) => tail.moveTo(last, generation);
    const stream = await EmbeddedStream.open({
      files: disk,
      clock,
      random,
      directory,
      shards,
      paddingBytes: 0,
      onDurable,
    });
    opened.set(name, {
      stream,
      openReader: () => new EmbeddedStreamReader({ files: disk, directory, tail }),
      newest: () => tail.lastSequenceNumber(),
      keyOf: (otherwise, payload) => partitionKeyOf(partitionKey, { otherwise, payload, random }),
    });
  }
  return opened;
}

async function startParts(app: App, world: TestWorld, options: OneThreadOptions): Promise<BackendParts> {
  const { clock, random, disk, sockets } = world;
  const { seams = {} } = options;
  const files = world.logFiles;
  const book = new AlarmBook({ files, directory: operationsDirectory, clock, quietMs });
  const operations = new AppOperations({
    files,
    dataDirectory: operationsDirectory,
    clock,
    alarms: options.alarms ?? book,
    control: book,
    listAlarms: () => book.list(),
  });
  const log = options.log ?? operations.logs.system;
  const announcements: Announcement[] = [];
  const failures: unknown[] = [];
  const onFailure = (error: unknown) => void failures.push(error);
  const tail = new LocalTail(0n);
  const onDurable = (last: bigint, generation: number) => tail.moveTo(last, generation);
  let consumers: Runtime | undefined; // Made later; until then nothing is consumed.
  const stream = await EmbeddedStream.open({
    files: disk,
    clock,
    directory: streamDirectory,
    paddingBytes: 0,
    shards: options.shards,
    consumedUpTo: () => consumers?.consumedUpTo ?? null,
    ...(options.limits === 'aws' && { throughput: awsShardThroughput }),
    onDurable,
  });
  const declared = await openDeclaredInMemory(app, world);
  const iotStore = await openMemoryStore({ clock, disk: world.iotDisk });
  const sessions = await recoverJournal({ files: disk, clock, random, directory: sessionsDirectory, paddingBytes: 0 });
  const things = new ThingRegistry({ store: iotStore, random });
  const policy = new PolicyEngine(devicePolicy(app.model));
  const access = new ThingAccess({ things, policy });
  const counters = new Counters();
  const limits = options.limits === 'aws' ? awsLimits : undefined;
  const teller = new ReceivedTeller(clock, received => consumers?.ledger.accept(received));
  const { tally } = teller;
  const iot = { clock, random, counters, log, sockets, access, things, sessions, limits, tally };
  const gateway = new Gateway({ ...iot, stream: seams.stream?.(stream) ?? stream, onFailure });
  const tableStore = await openMemoryStore({ clock, disk: world.tableDisk });
  const accounting = accountingFor({ clock, limits: options.limits, hasLedger: true });
  const meter = accounting.meter && (seams.meter?.(accounting.meter) ?? accounting.meter);
  const { indexLagMs = indexLagMsDefault } = options;
  const engine = await openEngine({ store: tableStore, clock, random, tables: tablesOf(app), meter, indexLagMs });
  accounting.follow(engine);
  const table = tableOn(engine);
  const feed = new Feed();
  const changes = table.changesOf(appTable.tableName);
  const onInvocation = (report: InvocationReport) => {
    operations.noteInvocation(report);
    seams.onInvocation?.(report);
  };
  const openReader = () =>
    operations.skew.watching(new EmbeddedStreamReader({ files: disk, directory: streamDirectory, tail }));
  const runtime = new Runtime({
    app,
    table: seams.table?.(table) ?? table,
    changes: seams.changes?.(changes) ?? changes,
    openReader: () => seams.reader?.(openReader()) ?? openReader(),
    newest: () => tail.lastSequenceNumber(),
    askReceived: async () => teller.tellNow(),
    openStream: name => {
      const source = declared.get(name) ?? assert.fail(`${name} is a stream of the model`);
      return { ...source, openReader: () => seams.reader?.(source.openReader()) ?? source.openReader() };
    },
    iot: seams.iot?.(gateway) ?? gateway,
    clock,
    random,
    cursorKey,
    ...operations.forRuntime,
    ...(options.log && { log: options.log, appLog: undefined }),
    functions: { ...options.functions, onInvocation },
    announce: (audience, announcement) => {
      announcements.push(announcement);
      feed.announce(audience, announcement);
    },
    onFailure,
  });
  consumers = runtime;
  operations.follow(runtime, gateway);
  const api = makeApi({ runtime, tokens: new PlainTokens(), feed, log, health: () => healthOf(runtime, gateway) });
  await runtime.start();
  const mqttPort = await gateway.listen({ host: 'test', port: 0 });
  return {
    world,
    gateway,
    runtime,
    stream,
    table,
    sessions,
    teller,
    mqttPort,
    operations,
    alarms: book,
    announcements,
    failures,
    api,
    accounting,
    indexLagMs,
    openReader,
    declared,
  };
}
