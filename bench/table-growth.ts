// The table-growth benchmark: what an operation costs in one table as it grows from 10,000 items to millions.
import { temporaryFolder } from './cleanup.ts';
import { BenchError } from './errors.ts';
import { GeneratorProcess } from './generator-process.ts';
import { describeDataDisk, describeMachine } from './machine.ts';
import { commonFigures, type Report } from './report.ts';
import { formatCount, formatThousands } from './report-cells.ts';
import { type Benchmark, type CountFlag, chooseLoads, progress, type Settings, settingsOf } from './settings.ts';
import { medianOf } from './statistics.ts';
import { callersOf, type GrowthLoad, growthLoads } from './table/growth-loads.ts';
import type { TableResult, ToTable } from './table/table-generator.ts';
import type { Figure, LoadSummary, ServerSummary, Values } from './turns.ts';

const method = [
  'One table with one global index, in process, grown in one go; at each size every load is measured on it, in turns, as',
  'in the benchmark table, with keys at random over all that is there. cost x is the time per operation beside that at',
  'the smallest size: 2.00 is twice as long. Writes are durable, and new items stay, so the table grows a little more.',
].join('\n');

const counts: readonly CountFlag[] = [
  {
    name: 'from',
    flag: '--from <count>',
    what: 'items at first',
    usual: 10_000,
    quick: 1_000,
    min: 1_000,
    max: 10_000_000,
  },
  {
    name: 'upTo',
    flag: '--up-to <count>',
    what: 'items at last',
    usual: 1_000_000,
    quick: 10_000,
    min: 1_000,
    max: 100_000_000,
  },
];

const figures: readonly Figure[] = [
  { name: 'operationsPerSecond', head: 'k/s', summary: 'spread', format: formatThousands },
  commonFigures.p50,
  commonFigures.p99,
  { name: 'cpuMicros', head: 'cpu µs', summary: 'median', format: micros => micros.toFixed(1) },
  { name: 'cost', head: 'cost x', summary: 'median', format: cost => cost.toFixed(2) },
];

function sizesOf({ from, upTo }: Settings['counts']): number[] {
  const sizes: number[] = [];
  for (let size = from; size < upTo; size *= 10) sizes.push(size);
  return [...sizes, upTo];
}

type Generator = GeneratorProcess<ToTable, TableResult | undefined>;

async function measureOnce(generator: Generator, { operation, callers }: GrowthLoad, seconds: number): Promise<Values> {
  const result = await generator.ask({ kind: 'run', operation, callers, seconds });
  if (result === undefined) throw new BenchError('The callers gave no result.', 'This is a mistake in bench/.');
  const { operations, elapsedMs, p50Ms, p99Ms, cpuMs } = result;
  return {
    operationsPerSecond: (operations * 1_000) / elapsedMs,
    p50Ms,
    p99Ms,
    cpuMicros: (cpuMs * 1_000) / operations,
  };
}

/** At each size the loads in turns, as often as there are rounds. */
async function measure(settings: Settings, loads: readonly GrowthLoad[]): Promise<LoadSummary<GrowthLoad>[]> {
  const { warmUpSeconds, seconds } = settings.duration;
  const generator: Generator = new GeneratorProcess('table/table-generator.ts');
  const summaries = loads.map(load => ({ load, servers: [] as ServerSummary[], ratios: {} }));
  try {
    const place = temporaryFolder(settings.dataRoot);
    for (const users of sizesOf(settings.counts)) {
      progress(`growing to ${formatCount(users)} items`);
      await generator.ask({ kind: 'open', engine: 'mimamori', place, users });
      const rounds = summaries.map((): Values[] => []);
      for (let round = 1; round <= settings.rounds; round++) {
        for (const [index, { load }] of summaries.entries()) {
          await measureOnce(generator, load, warmUpSeconds);
          const values = await measureOnce(generator, load, seconds);
          rounds[index].push(values);
          progress(
            `${formatCount(users)} items, round ${round}, ${load.name}: ${formatThousands(values.operationsPerSecond ?? 0)} k/s`,
          );
        }
      }
      for (const [index, summary] of summaries.entries()) {
        const [smallest] = summary.servers;
        summary.servers.push(summarize(formatCount(users), rounds[index], smallest));
      }
    }
  } finally {
    await generator.end();
  }
  return summaries;
}

function summarize(server: string, rounds: Values[], smallest: ServerSummary | undefined): ServerSummary {
  const rateOf = (values: readonly Values[]) => medianOf(values.map(each => each.operationsPerSecond ?? Number.NaN));
  const cost = smallest === undefined ? 1 : rateOf(smallest.rounds) / rateOf(rounds);
  const medians = figures.map(({ name }) => [name, medianOf(rounds.map(each => each[name] ?? Number.NaN))] as const);
  return { server, role: 'subject', figures: { ...Object.fromEntries(medians), cost }, rounds, failure: undefined };
}

async function run(settings: Settings): Promise<Report> {
  const machine = describeMachine();
  const startedAt = new Date().toISOString();
  const results = await measure(settings, chooseLoads(growthLoads, settings));
  return {
    benchmark: 'table-growth',
    startedAt,
    method,
    settings: settingsOf(settings),
    machine,
    dataDisk: describeDataDisk(settings.dataRoot),
    versions: { mimamori: 'this tree' },
    skipped: [],
    notes: [`Callers: ${callersOf(growthLoads)}.`],
    tables: [{ figures, ratios: [], results }],
  };
}

export const tableGrowth: Benchmark = {
  name: 'table-growth',
  summary: 'what an operation on a table costs as it grows, to millions of items',
  loads: growthLoads,
  peers: [],
  counts,
  run,
};
