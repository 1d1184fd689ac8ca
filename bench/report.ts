// A comparison as a table for people; the JSON document carries the same.
import type { LoadSummary, ServerSummary } from './compare.ts';
import type { DataDisk, Machine } from './machine.ts';
import type { Spread } from './statistics.ts';

export interface Report {
  benchmark: string;
  startedAt: string; // ISO 8601
  method: string;
  settings: { rounds: number; seconds: number; warmUpSeconds: number; payloadBytes: number };
  machine: Machine;
  dataDisk?: DataDisk; // of the server that stores
  results: LoadSummary[];
}

/** For the method of every benchmark: how to see in the table what the limit was. */
export const cpuColumns = [
  'µs/msg is CPU time of the server per message; server and generator are their shares of one core. Mosquitto has one',
  'thread: near 100 % it was the limit itself. Near 100 % of the generator alone, the generator was.',
].join('\n');

const header = [
  'load',
  'server',
  'stored k/s',
  'acked k/s',
  'p50 ms',
  'p99 ms',
  'µs/msg',
  'server',
  'generator',
  'ratio',
];

export function formatReport(report: Report): string {
  const rows = report.results.flatMap(({ load, servers, ratio }) =>
    servers.map((server, index) => [
      index === 0 ? `${load.connections.toLocaleString('en-US')} x ${load.inFlightPerConnection}` : '',
      ...serverCells(server),
      index === 0 ? ratio.toFixed(2) : '',
    ]),
  );
  return [report.method, '', describe(report), '', ...alignColumns([header, ...rows])].join('\n');
}

function serverCells(server: ServerSummary): string[] {
  return [
    server.server,
    server.storedPerSecond === undefined ? '-' : formatSpread(server.storedPerSecond),
    formatSpread(server.acknowledgedPerSecond),
    server.p50Ms.toFixed(1),
    server.p99Ms.toFixed(1),
    server.serverCpuMicrosPerMessage?.toFixed(1) ?? '-',
    formatShare(server.serverCpuShare),
    formatShare(server.generatorCpuShare),
  ];
}

function describe({ machine, dataDisk, settings }: Report): string {
  const memoryGib = Math.round(machine.memoryBytes / 1024 ** 3);
  const lines = [
    `Machine: ${machine.cores} cores (${machine.cpu}), ${memoryGib} GiB, ${machine.kernel}, Node ${machine.node}, ` +
      `Mosquitto ${machine.mosquitto}, load average at start ${machine.loadAverageAtStart.toFixed(2)}`,
    `Each: ${settings.rounds} rounds of ${settings.seconds} s after ${settings.warmUpSeconds} s of warm-up, ` +
      `payload ${settings.payloadBytes} B`,
  ];
  if (dataDisk !== undefined) {
    const { folder, filesystem, fdatasyncMedianMs } = dataDisk;
    lines.push(`Data: ${folder} (${filesystem}), one fdatasync of 4 KiB takes ${fdatasyncMedianMs.toFixed(2)} ms`);
  }
  return [...lines, ...warningsFor(machine, dataDisk)].join('\n');
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

function formatShare(share: number | undefined): string {
  return share === undefined ? '-' : `${Math.round(share * 100)} %`;
}

/** Rates, in thousands per second. */
function formatSpread({ median, min, max }: Spread): string {
  const thousands = (perSecond: number) => (perSecond / 1_000).toFixed(1);
  return `${thousands(median)} (${thousands(min)}-${thousands(max)})`;
}

/** The first two columns are names, aligned left; the others are numbers, aligned right. */
function alignColumns(rows: string[][]): string[] {
  const widths = header.map((_, column) => Math.max(...rows.map(row => row[column]?.length ?? 0)));
  const align = (cell: string, column: number) =>
    column < 2 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0);
  return rows.map(row => row.map(align).join('  ').trimEnd());
}
