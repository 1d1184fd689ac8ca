// What a benchmark found, as tables for people and as one JSON document with the same and every round.
import type { DataDisk, Machine } from './machine.ts';
import { formatCell, formatMillis, formatShare, formatThousands } from './report-cells.ts';
import type { Skipped } from './servers.ts';
import type { Figure, LoadSummary, RatioDefinition, ServerSummary } from './turns.ts';

export interface Report {
  benchmark: string;
  startedAt: string; // ISO 8601
  method: string;
  settings: Record<string, number>;
  machine: Machine;
  dataDisk?: DataDisk; // of the servers that store
  versions: Record<string, string>; // of the servers measured
  skipped: readonly Skipped[];
  notes: readonly string[];
  tables: readonly Table[];
}

export interface Table {
  figures: readonly Figure[];
  ratios: readonly RatioDefinition[];
  results: readonly LoadSummary<{ name: string }>[];
}

/** For the method of every benchmark: how to see in the table what the limit was, and how to read the ratios. */
export const tableLegend = [
  'server and generator are shares of one core: near 100 % a server with one thread was itself the limit, near 100 % of',
  'the generator alone, the generator was. Ratios above 1 are in favour of the first row: beside each other server, the',
  'ratio to that one; in the first row, to the best of the peers. Rates and latencies are medians over the rounds',
  '(min-max); ratios are medians of the per-round ratios. bare is no peer but a Node socket server without promises.',
].join('\n');

/** Figures that several benchmarks have. */
export const commonFigures = {
  p50: { name: 'p50Ms', head: 'p50 ms', summary: 'median', format: formatMillis },
  p99: { name: 'p99Ms', head: 'p99 ms', summary: 'median', format: formatMillis },
  serverShare: { name: 'serverCpuShare', head: 'server', summary: 'median', format: formatShare },
  generatorShare: { name: 'generatorCpuShare', head: 'generator', summary: 'median', format: formatShare },
  deliveries: { name: 'deliveriesPerSecond', head: 'delivered k/s', summary: 'spread', format: formatThousands },
} as const satisfies Record<string, Figure>;

export function formatReport(report: Report): string {
  const tables = report.tables.filter(table => table.results.length > 0).flatMap(table => ['', ...formatTable(table)]);
  return [report.method, '', ...describe(report), ...tables].join('\n');
}

/** The report for programs: figures stand directly in each server, and `ratio` is the first ratio, to the best peer. */
export function documentOf({ tables, ...report }: Report): object {
  const results = tables.flatMap(({ ratios: definitions, results: loads }) =>
    loads.map(({ load, servers, ratios }) => ({
      load,
      servers: servers.map(({ figures, ...server }) => ({ ...server, ...figures })),
      ratios,
      ratio: definitions[0] && ratios[definitions[0].name]?.bestPeer,
    })),
  );
  return { ...report, results };
}

function formatTable({ figures, ratios, results }: Table): string[] {
  const heads = ['load', 'server', ...figures.map(figure => figure.head), ...ratios.map(ratio => ratio.head)];
  const failures: string[] = [];
  const rows = results.flatMap(({ load, servers, ratios: found }) =>
    servers.map((summary, index) => {
      const { server, role, failure } = summary;
      if (failure !== undefined) failures.push(`${load.name}, ${server}: ${failure}`);
      const ratioCells = ratios.map(({ name }) => {
        const ratio = role === 'subject' ? found[name]?.bestPeer : found[name]?.byServer[server];
        return ratio?.toFixed(2) ?? '-';
      });
      return [index === 0 ? load.name : '', server, ...figureCells(summary, figures), ...ratioCells];
    }),
  );
  return [...alignColumns([heads, ...rows]), ...failures];
}

function figureCells({ figures: found, failure }: ServerSummary, figures: readonly Figure[]): string[] {
  return figures.map(({ name, format }, index) => {
    const value = found[name];
    if (value === undefined) return index === 0 && failure !== undefined ? 'failed' : '-';
    return formatCell(value, format);
  });
}

function describe({ machine, dataDisk, settings, versions, skipped, notes }: Report): string[] {
  const memoryGib = Math.round(machine.memoryBytes / 1024 ** 3);
  const servers = Object.entries(versions).map(([server, version]) => `${server} ${version}`);
  const lines = [
    `Machine: ${machine.cores} cores (${machine.cpu}), ${memoryGib} GiB, ${machine.kernel}, Node ${machine.node}, ` +
      `load average at start ${machine.loadAverageAtStart.toFixed(2)}`,
    `Servers: ${servers.join(', ')}`,
    `Settings: ${Object.entries(settings)
      .map(([name, value]) => `${name} ${value.toLocaleString('en-US')}`)
      .join(', ')}`,
  ];
  if (dataDisk !== undefined) {
    const { folder, filesystem, fdatasyncMedianMs } = dataDisk;
    lines.push(`Data: ${folder} (${filesystem}), one fdatasync of 4 KiB takes ${fdatasyncMedianMs.toFixed(2)} ms`);
  }
  for (const { server, needs } of skipped) lines.push(`${server}: skipped: needs ${needs}`);
  return [...lines, ...notes, ...warningsFor(machine, dataDisk)];
}

function warningsFor(machine: Machine, dataDisk: DataDisk | undefined): string[] {
  const warnings: string[] = [];
  if (dataDisk?.isInMemory) {
    warnings.push('WARNING: the data is in memory, so being durable cost nothing. Choose a disk with --data-root.');
  }
  if (machine.loadAverageAtStart > machine.cores / 2) {
    warnings.push('WARNING: the machine was busy when the run started; the ratios may hold, the rates will not.');
  }
  return warnings;
}

/** The first two columns are names, aligned left; the others are numbers, aligned right. */
function alignColumns(rows: string[][]): string[] {
  const widths = rows[0].map((_, column) => Math.max(...rows.map(row => row[column].length)));
  const align = (cell: string, column: number) =>
    column < 2 ? cell.padEnd(widths[column]) : cell.padStart(widths[column]);
  return rows.map(row => row.map(align).join('  ').trimEnd());
}
