// The stream benchmark: durable appends, the way to a consumer, batching windows, and how fast a consumer hands over;
// in process and over our endpoint, beside NATS JetStream and Redis Streams.
import { temporaryFolder } from './cleanup.ts';
import { BenchError } from './errors.ts';
import { GeneratorProcess } from './generator-process.ts';
import { describeDataDisk, describeMachine } from './machine.ts';
import { cpuMsOf } from './process-usage.ts';
import { commonFigures, type Report, type Table, tableLegend } from './report.ts';
import { formatCount, formatMillis, formatThousands } from './report-cells.ts';
import type { Skipped } from './servers.ts';
import { type Benchmark, type CountFlag, chooseLoads, progress, type Settings, settingsOf } from './settings.ts';
import type { StreamEngine, StreamResult, ToStream } from './stream/stream-generator.ts';
import {
  endpoint,
  nats,
  natsSynced,
  redis,
  type StreamServer,
  type StreamServerKind,
} from './stream/stream-servers.ts';
import { type Contender, type Figure, type RatioDefinition, takeTurns, type Values } from './turns.ts';

const method = [
  'One stream with one shard, records of --record bytes. append: C callers, each of whom appends the next record when the',
  'one before is durable. Ours runs in process, as the gateway uses it, and callers share its thread, so generator is both;',
  'the peers are over loopback TCP, for there is no other way to use them, from one process with one connection. wire: ours',
  'over its Kinesis endpoint, PutRecord written straight to sockets. Durable: ours after fdatasync; redis with appendfsync',
  'always; nats-synced with each write on the disk before its acknowledgement, by sync_interval: always, which NATS has since',
  '2.10, or before that by chattr +S on its folder, where the file system syncs each write with its metadata, which costs',
  'about as much as the fsync of the setting. nats is as it comes: it syncs every 2 minutes, so what it acknowledges does',
  'not survive a power cut; it is no peer, but a limit. latency: --rate records a second, from the call of append to the',
  'consumer, in the same process. batches: a consumer with a window of 500 ms and batches of 100, at --high and at --low',
  'records a second: how large its batches are, and how long after its append the first record of each is handed over.',
  'drain: one consumer hands --records that are there to a handler that does nothing. cpu is what the server spends per',
  'record (in process: all of it).',
  tableLegend,
].join('\n');

type StreamLoad = { name: string; door: 'process' | 'wire' } & (
  | { kind: 'append'; callers: number }
  | { kind: 'latency' | 'drain' }
  | { kind: 'batches'; rate: 'high' | 'low' }
);

const appends = (door: StreamLoad['door'], prefix: string): StreamLoad[] =>
  [1, 16, 256].map(callers => ({ name: `${prefix}-${callers}`, door, kind: 'append', callers }));
const streamLoads: readonly StreamLoad[] = [
  ...appends('process', 'append'),
  { name: 'latency', door: 'process', kind: 'latency' },
  { name: 'drain', door: 'process', kind: 'drain' },
  { name: 'batches-high', door: 'process', kind: 'batches', rate: 'high' },
  { name: 'batches-low', door: 'process', kind: 'batches', rate: 'low' },
  ...appends('wire', 'wire'),
];
const batching = { batchRecordsMax: 100, batchWindowMs: 500 };

const counts: readonly CountFlag[] = [
  countFlag('record', 'bytes of a record', 200, 200, { min: 24, max: 65_536 }),
  countFlag('rate', 'records a second for latency', 200, 200, { min: 1, max: 10_000 }),
  countFlag('high', 'records a second for batches-high', 20_000, 5_000, { min: 1, max: 100_000 }),
  countFlag('low', 'records a second for batches-low', 50, 50, { min: 1, max: 100_000 }),
  countFlag('records', 'records for drain', 1_000_000, 20_000, { min: 1_000, max: 100_000_000 }),
];

function countFlag(
  name: string,
  what: string,
  usual: number,
  quick: number,
  range: { min: number; max: number },
): CountFlag {
  return { name, flag: `--${name} <count>`, what, usual, quick, ...range };
}

const rateFigures: readonly Figure[] = [
  { name: 'recordsPerSecond', head: 'k/s', summary: 'spread', format: formatThousands },
  commonFigures.p50,
  commonFigures.p99,
  { name: 'cpuMicros', head: 'cpu µs', summary: 'median', format: micros => micros.toFixed(1) },
  commonFigures.serverShare,
  commonFigures.generatorShare,
];
const rateRatio: RatioDefinition = {
  name: 'rate',
  head: 'rate x',
  better: 'more',
  valueOf: values => values.recordsPerSecond,
};
const latencyFigures: readonly Figure[] = [
  { ...commonFigures.p50, summary: 'spread' },
  { ...commonFigures.p99, summary: 'spread' },
];
const latencyRatios: readonly RatioDefinition[] = [
  { name: 'p50', head: 'p50 x', better: 'less', valueOf: values => values.p50Ms },
  { name: 'p99', head: 'p99 x', better: 'less', valueOf: values => values.p99Ms },
];
const batchFigures: readonly Figure[] = [
  { name: 'batchesPerSecond', head: 'batches/s', summary: 'median', format: formatCount },
  { name: 'sizeP50', head: 'size p50', summary: 'median', format: formatCount },
  { name: 'sizeMin', head: 'min', summary: 'median', format: formatCount },
  { name: 'sizeMax', head: 'max', summary: 'median', format: formatCount },
  { name: 'p50Ms', head: 'delay p50 ms', summary: 'median', format: formatMillis },
  { name: 'p99Ms', head: 'p99 ms', summary: 'median', format: formatMillis },
];

interface StreamKind {
  readonly name: string;
  readonly role: Contender<StreamLoad>['role'];
  readonly engine: StreamEngine;
  readonly server?: StreamServerKind;
}

const ours: StreamKind = { name: 'mimamori', role: 'subject', engine: 'mimamori' };
const oursOverWire: StreamKind = { name: 'mimamori', role: 'subject', engine: 'endpoint', server: endpoint };
const others: readonly StreamKind[] = [
  { name: 'nats-synced', role: 'peer', engine: 'nats', server: natsSynced },
  { name: 'redis', role: 'peer', engine: 'redis', server: redis },
  { name: 'nats', role: 'limit', engine: 'nats', server: nats },
];

/** A new stream, on a new server if it has one, for each turn: what was measured before is not in its way. */
class StreamContender implements Contender<StreamLoad> {
  readonly name: string;
  readonly role: Contender<StreamLoad>['role'];
  readonly #kind: StreamKind;
  readonly #settings: Settings;

  constructor(kind: StreamKind, settings: Settings) {
    this.name = kind.name;
    this.role = kind.role;
    this.#kind = kind;
    this.#settings = settings;
  }

  /** A million records, each of them synced, would take many minutes to fill in; and reading is not what is synced. */
  canTake({ kind }: StreamLoad): boolean {
    return kind !== 'drain' || this.name !== 'nats-synced';
  }

  async turn(load: StreamLoad): Promise<Values> {
    const { engine, server: kind } = this.#kind;
    const { dataRoot, counts: asked } = this.#settings;
    const server = await kind?.start(dataRoot);
    const generator = new GeneratorProcess<ToStream, StreamResult | undefined>('stream/stream-generator.ts');
    try {
      const place = server?.place ?? temporaryFolder(dataRoot);
      await generator.ask({ kind: 'open', engine, place, recordBytes: asked.record });
      return await this.#measure(load, generator, server);
    } finally {
      await generator.end();
      await server?.stop();
    }
  }

  async #measure(
    load: StreamLoad,
    generator: GeneratorProcess<ToStream, StreamResult | undefined>,
    server: StreamServer | undefined,
  ): Promise<Values> {
    const { warmUpSeconds, seconds } = this.#settings.duration;
    if (load.kind === 'append') await generator.ask(this.#requestFor(load, warmUpSeconds));
    if (load.kind === 'drain') await generator.ask({ kind: 'fill', records: this.#settings.counts.records });
    const cpuBeforeMs = server && cpuMsOf(server.pid);
    const result = await generator.ask(this.#requestFor(load, seconds));
    const cpuAfterMs = server && cpuMsOf(server.pid);
    if (result === undefined) throw new BenchError('The callers gave no result.', 'This is a mistake in bench/.');
    const { records, elapsedMs, batches, sizes } = result;
    const serverCpuMs = cpuBeforeMs === undefined || cpuAfterMs === undefined ? undefined : cpuAfterMs - cpuBeforeMs;
    const cpuMs = server === undefined ? result.cpuMs : serverCpuMs;
    const hasLatency = load.kind !== 'drain';
    return {
      recordsPerSecond: (records * 1_000) / elapsedMs,
      p50Ms: hasLatency ? result.p50Ms : undefined,
      p99Ms: hasLatency ? result.p99Ms : undefined,
      cpuMicros: cpuMs && (cpuMs * 1_000) / records,
      serverCpuShare: serverCpuMs && serverCpuMs / elapsedMs,
      generatorCpuShare: result.cpuMs / elapsedMs,
      batchesPerSecond: batches && (batches * 1_000) / elapsedMs,
      sizeP50: sizes?.p50,
      sizeMin: sizes?.min,
      sizeMax: sizes?.max,
    };
  }

  #requestFor(load: StreamLoad, seconds: number): ToStream {
    const { rate, records } = this.#settings.counts;
    switch (load.kind) {
      case 'append':
        return { kind: 'append', callers: load.callers, seconds };
      case 'latency':
        return { kind: 'latency', perSecond: rate, seconds };
      case 'batches':
        return { kind: 'batches', perSecond: this.#settings.counts[load.rate], seconds, settings: batching };
      case 'drain':
        return { kind: 'drain', records };
    }
  }
}

/** Who is there; who is not, with what is missing. */
function lineUp(settings: Settings) {
  const versions: Record<string, string> = {};
  const skipped: Skipped[] = [];
  const isHere = (kind: StreamKind, name: string) => {
    if (kind.server === undefined) return true;
    const version = kind.server.version(settings.dataRoot);
    if (version === undefined) skipped.push({ server: name, needs: kind.server.needs });
    else versions[name] = version;
    return version !== undefined;
  };
  const wanted = others.filter(({ name }) => settings.peers.includes(name));
  return {
    others: wanted.filter(kind => isHere(kind, kind.name)),
    hasWire: isHere(oursOverWire, 'wire'),
    versions,
    skipped,
  };
}

async function measure(
  loads: readonly StreamLoad[],
  kinds: readonly StreamKind[],
  settings: Settings,
  columns: Pick<Table, 'figures' | 'ratios'>,
): Promise<Table> {
  const contenders = kinds.map(kind => new StreamContender(kind, settings));
  const results = await takeTurns({ loads, rounds: settings.rounds, contenders, ...columns, progress });
  return { ...columns, results };
}

async function run(settings: Settings): Promise<Report> {
  const machine = describeMachine();
  const startedAt = new Date().toISOString();
  const line = lineUp(settings);
  const loads = chooseLoads(streamLoads, settings);
  const of = (kind: StreamLoad['kind'], door: StreamLoad['door'] = 'process') =>
    loads.filter(load => load.kind === kind && load.door === door);
  const beside = [ours, ...line.others];
  const rates = { figures: rateFigures, ratios: [rateRatio] };
  const tables = [
    await measure([...of('append'), ...of('drain')], beside, settings, rates),
    await measure(of('latency'), beside, settings, { figures: latencyFigures, ratios: latencyRatios }),
    await measure(of('batches'), [ours], settings, { figures: batchFigures, ratios: [] }),
    await measure(line.hasWire ? of('append', 'wire') : [], [oursOverWire, ...line.others], settings, rates),
  ];
  return {
    benchmark: 'stream',
    startedAt,
    method,
    settings: settingsOf(settings),
    machine,
    dataDisk: describeDataDisk(settings.dataRoot),
    versions: { mimamori: 'this tree', ...line.versions },
    skipped: line.skipped,
    notes: [],
    tables,
  };
}

export const stream: Benchmark = {
  name: 'stream',
  summary: 'the stream beside NATS JetStream and Redis Streams: durable appends, latency to a consumer, batches, drain',
  loads: streamLoads,
  peers: others.map(({ name }) => name),
  counts,
  run,
};
