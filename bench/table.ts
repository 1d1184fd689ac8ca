// The table benchmark: one table with one global index, in process beside lmdb and SQLite, over HTTP beside dynalite.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from './cleanup.ts';
import { BenchError } from './errors.ts';
import { GeneratorProcess } from './generator-process.ts';
import { describeDataDisk, describeMachine } from './machine.ts';
import { cpuMsOf } from './process-usage.ts';
import { commonFigures, type Report, tableLegend } from './report.ts';
import { formatThousands } from './report-cells.ts';
import { ServerProcess } from './server-process.ts';
import { type Benchmark, type CountFlag, chooseLoads, progress, type Settings, settingsOf } from './settings.ts';
import type { TableEngine, TableResult, ToTable } from './table/table-generator.ts';
import { type Operation, operations } from './table/table-under-load.ts';
import { type Contender, type Figure, type RatioDefinition, takeTurns, type Values } from './turns.ts';

const method = [
  'One table with one global index, N users of about 220 bytes and 100 lists of 100 items. C callers ask for one thing',
  'after the other: put (a new item at a random key), update (adds one, on condition that the item is there), get, query',
  '(100 items), transact (4 puts, each on condition that it is new), batch (25 puts). Writes count when they are durable:',
  'ours, lmdb (`flushed`) and SQLite (WAL, synchronous=FULL, one commit per turn of the event loop) sync first. dynalite',
  'as it comes answers without a sync; dynalite-sync has LevelDB sync each write, which is the same promise as ours. In',
  'process the callers share the thread of the engine, so generator is both. http: callers use the AWS SDK',
  '(DynamoDBDocument, keep-alive) in one process of their own: near 100 % of a core it, and not the server, was the limit;',
  'bare, a Node server that answers all alike, shows how near. wire: the same requests written straight to sockets, so',
  'that the servers are the limit. cpu is what the server spends per operation (in process: all of it).',
  tableLegend,
].join('\n');

interface TableLoad {
  name: string;
  door: 'process' | 'http' | 'wire';
  operation: Operation;
  callers: number;
}

const callerCounts = [1, 64];
const tableLoads: readonly TableLoad[] = (['process', 'http', 'wire'] as const).flatMap(door =>
  operations.flatMap(operation =>
    callerCounts.map(callers => ({ name: `${door}-${operation}-${callers}`, door, operation, callers })),
  ),
);

const counts: readonly CountFlag[] = [
  {
    name: 'users',
    flag: '--users <count>',
    what: 'items there before',
    usual: 100_000,
    quick: 1_000,
    min: 100,
    max: 10_000_000,
  },
];

const figures: readonly Figure[] = [
  { name: 'operationsPerSecond', head: 'k/s', summary: 'spread', format: formatThousands },
  commonFigures.p50,
  commonFigures.p99,
  { name: 'cpuMicros', head: 'cpu µs', summary: 'median', format: micros => micros.toFixed(1) },
  commonFigures.serverShare,
  commonFigures.generatorShare,
];

const ratios: readonly RatioDefinition[] = [
  { name: 'rate', head: 'rate x', better: 'more', valueOf: values => values.operationsPerSecond },
  { name: 'cpu', head: 'cpu x', better: 'less', valueOf: values => values.cpuMicros },
];

/** A server that speaks DynamoDB's protocol, as long as it runs. */
interface TableServer {
  readonly pid: number;
  readonly url: string;
  stop(): Promise<void>;
}

interface TableKind {
  readonly name: string;
  readonly role: Contender<TableLoad>['role'];
  readonly door: TableLoad['door'];
  readonly engine: TableEngine;
  /** Over HTTP. */
  readonly serve?: (folder: string) => Promise<TableServer>;
}

const kinds: readonly TableKind[] = [
  { name: 'mimamori', role: 'subject', door: 'process', engine: 'mimamori' },
  { name: 'lmdb', role: 'peer', door: 'process', engine: 'lmdb' },
  { name: 'sqlite', role: 'peer', door: 'process', engine: 'sqlite' },
  { name: 'mimamori', role: 'subject', door: 'http', engine: 'sdk', serve: serveMimamori },
  ...serversBeside('http', 'sdk'),
  { name: 'mimamori', role: 'subject', door: 'wire', engine: 'raw', serve: serveMimamori },
  ...serversBeside('wire', 'raw'),
];
const tablePeers = ['lmdb', 'sqlite', 'dynalite', 'dynalite-sync'];

function serversBeside(door: TableKind['door'], engine: TableEngine): TableKind[] {
  return [
    { name: 'dynalite', role: 'peer', door, engine, serve: folder => serveDynalite(folder) },
    { name: 'dynalite-sync', role: 'peer', door, engine, serve: folder => serveDynalite(folder, 'sync') },
    { name: 'bare', role: 'limit', door, engine, serve: () => servePort('bare', 'bare-server.ts') },
  ];
}

async function serveMimamori(folder: string): Promise<TableServer> {
  const cli = join(import.meta.dirname, '..', 'bin', 'mimamori.js');
  const server = new ServerProcess('mimamori dynamodb', process.execPath, [
    cli,
    'dynamodb',
    '--port',
    '0',
    '--data',
    folder,
    '--json',
  ]);
  const { urls } = JSON.parse(await server.firstLine(line => line.includes('started')));
  return { pid: server.pid, url: urls.dynamodb, stop: () => server.stop() };
}

function serveDynalite(folder: string, ...mode: string[]): Promise<TableServer> {
  return servePort('dynalite', 'dynalite-server.ts', folder, ...mode);
}

async function servePort(name: string, script: string, ...args: string[]): Promise<TableServer> {
  const server = new ServerProcess(name, process.execPath, [join(import.meta.dirname, 'table', script), ...args]);
  const port = await server.firstLine(() => true);
  return { pid: server.pid, url: `http://127.0.0.1:${port}`, stop: () => server.stop() };
}

/** Opened and filled once, then asked in turns. */
class TableContender implements Contender<TableLoad> {
  readonly name: string;
  readonly role: Contender<TableLoad>['role'];
  readonly #kind: TableKind;
  readonly #settings: Settings;
  #generator: GeneratorProcess<ToTable, TableResult | undefined> | undefined;
  #server: TableServer | undefined;

  constructor(kind: TableKind, settings: Settings) {
    this.name = kind.name;
    this.role = kind.role;
    this.#kind = kind;
    this.#settings = settings;
  }

  /** dynalite has no transactions. */
  canTake({ operation }: TableLoad): boolean {
    return operation !== 'transact' || !this.name.startsWith('dynalite');
  }

  async turn(load: TableLoad): Promise<Values> {
    try {
      return await this.#measure(load);
    } catch (error) {
      await this.close(); // the next load begins anew
      throw error;
    }
  }

  async #measure({ operation, callers }: TableLoad): Promise<Values> {
    const { warmUpSeconds, seconds } = this.#settings.duration;
    const generator = await this.#opened();
    await generator.ask({ kind: 'run', operation, callers, seconds: warmUpSeconds });
    const cpuBeforeMs = this.#server && cpuMsOf(this.#server.pid);
    const result = await generator.ask({ kind: 'run', operation, callers, seconds });
    const cpuAfterMs = this.#server && cpuMsOf(this.#server.pid);
    if (result === undefined) throw new BenchError('The callers gave no result.', 'This is a mistake in bench/.');
    const serverCpuMs = cpuBeforeMs === undefined || cpuAfterMs === undefined ? undefined : cpuAfterMs - cpuBeforeMs;
    const cpuMs = this.#server === undefined ? result.cpuMs : serverCpuMs;
    return {
      operationsPerSecond: (result.operations * 1_000) / result.elapsedMs,
      p50Ms: result.p50Ms,
      p99Ms: result.p99Ms,
      cpuMicros: cpuMs && (cpuMs * 1_000) / result.operations,
      serverCpuShare: serverCpuMs && serverCpuMs / result.elapsedMs,
      generatorCpuShare: result.cpuMs / result.elapsedMs,
    };
  }

  async close(): Promise<void> {
    await this.#generator?.end();
    await this.#server?.stop();
    this.#generator = undefined;
    this.#server = undefined;
  }

  async #opened(): Promise<GeneratorProcess<ToTable, TableResult | undefined>> {
    if (this.#generator !== undefined) return this.#generator;
    const folder = temporaryFolder(this.#settings.dataRoot);
    this.#server = await this.#kind.serve?.(folder);
    this.#generator = new GeneratorProcess('table/table-generator.ts');
    const { users } = this.#settings.counts;
    progress(`${this.#kind.door}, ${this.name}: filling in ${users.toLocaleString('en-US')} items`);
    await this.#generator.ask({ kind: 'open', engine: this.#kind.engine, place: this.#server?.url ?? folder, users });
    return this.#generator;
  }
}

async function measureDoor(door: TableLoad['door'], settings: Settings) {
  const loads = chooseLoads(tableLoads, settings).filter(load => load.door === door);
  if (loads.length === 0) return [];
  const chosen = kinds.filter(kind => kind.door === door);
  const contenders = chosen
    .filter(({ name, role }) => role !== 'peer' || settings.peers.includes(name))
    .map(kind => new TableContender(kind, settings));
  try {
    return await takeTurns({ loads, rounds: settings.rounds, contenders, figures, ratios, progress });
  } finally {
    for (const contender of contenders) await contender.close();
  }
}

function versionOf(name: string): string {
  const manifest = join(import.meta.dirname, '..', 'node_modules', name, 'package.json');
  return JSON.parse(readFileSync(manifest, 'utf8')).version;
}

async function run(settings: Settings): Promise<Report> {
  const machine = describeMachine();
  const startedAt = new Date().toISOString();
  const inProcess = await measureDoor('process', settings);
  const overHttp = await measureDoor('http', settings);
  const overWire = await measureDoor('wire', settings);
  return {
    benchmark: 'table',
    startedAt,
    method,
    settings: settingsOf(settings),
    machine,
    dataDisk: describeDataDisk(settings.dataRoot),
    versions: {
      lmdb: versionOf('lmdb'),
      sqlite: process.versions.sqlite ?? 'unknown',
      dynalite: versionOf('dynalite'),
      'the AWS SDK': versionOf('@aws-sdk/lib-dynamodb'),
    },
    skipped: [],
    notes: [],
    tables: [
      { figures, ratios, results: inProcess },
      { figures, ratios, results: overHttp },
      { figures, ratios, results: overWire },
    ],
  };
}

export const table: Benchmark = {
  name: 'table',
  summary: 'the table in process and over HTTP: puts, updates, gets, queries, transactions, batches',
  loads: tableLoads,
  peers: tablePeers,
  counts,
  run,
};
