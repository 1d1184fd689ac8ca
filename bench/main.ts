// The command line of the benchmarks: `npm run bench -- ingest --help`.
import { tmpdir } from 'node:os';
import { Command } from 'commander';
import { ceiling } from './ceiling.ts';
import { cleanUpOnExit } from './cleanup.ts';
import { connect } from './connect.ts';
import { BenchError } from './errors.ts';
import { fanout } from './fanout.ts';
import { idle } from './idle.ts';
import { ingest } from './ingest.ts';
import { match } from './match.ts';
import { documentOf, formatReport } from './report.ts';
import { route } from './route.ts';
import { type Benchmark, type CommandOptions, peerNames, readSettings } from './settings.ts';
import { stream } from './stream.ts';
import { table } from './table.ts';
import { tableGrowth } from './table-growth.ts';
import { testing } from './testing.ts';

const benchmarks: readonly Benchmark[] = [
  ingest,
  route,
  fanout,
  connect,
  idle,
  match,
  stream,
  table,
  tableGrowth,
  testing,
  ceiling,
];

function addBenchmark(benchmark: Benchmark): void {
  const command = program
    .command(benchmark.name)
    .description(benchmark.summary)
    .option('--json', 'print one JSON document instead of the tables')
    .option('--only <load...>', `measure only these loads: ${benchmark.loads.map(load => load.name).join(', ')}`)
    .option('--peers <server...>', `beside which servers: ${(benchmark.peers ?? peerNames).join(', ')}, all or none`, [
      'all',
    ])
    .option(
      '--subject <server>',
      'which server is judged, where it is not the app; a peer, to try things out',
      'mimamori',
    )
    .option('--rounds <count>', 'measurements of each server under each load', '3')
    .option('--seconds <seconds>', 'length of one measurement', '5')
    .option('--payload <bytes>', 'size of the payload of each message', '100')
    .option('--data-root <folder>', 'where servers that store keep their data: the disk to measure', tmpdir())
    .option('--quick', 'one short, small round, to see that everything runs; the numbers mean little');
  for (const { flag, what, usual, quick } of benchmark.counts) {
    command.option(flag, `${what} (default: ${usual}, with --quick ${quick})`);
  }
  command.action(async (options: CommandOptions) => {
    const report = await benchmark.run(readSettings(options, benchmark));
    process.stdout.write(`${options.json ? JSON.stringify(documentOf(report), undefined, 2) : formatReport(report)}\n`);
  });
}

cleanUpOnExit();
const program = new Command('bench').description('Benchmarks of Mimamori. Method and caveats: bench/README.md.');
for (const benchmark of benchmarks) addBenchmark(benchmark);

try {
  await program.parseAsync();
  process.exit();
} catch (error) {
  if (!(error instanceof BenchError)) throw error;
  process.stderr.write(`${error.message}\n${error.fix}\n`);
  process.exit(1);
}
