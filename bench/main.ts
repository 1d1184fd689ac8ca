// The command line of the benchmarks: `npm run bench -- ingest --help`.
import { tmpdir } from 'node:os';
import { Command } from 'commander';
import { ceiling } from './ceiling.ts';
import { cleanUpOnExit } from './cleanup.ts';
import { BenchError } from './errors.ts';
import { ingest } from './ingest.ts';
import { ingestLoads } from './load.ts';
import { formatReport, type Report } from './report.ts';
import { type CommandOptions, readSettings, type Settings } from './settings.ts';

function addBenchmark(name: string, summary: string, run: (settings: Settings) => Promise<Report>): void {
  program
    .command(name)
    .description(summary)
    .option('--json', 'print one JSON document instead of the table')
    .option('--only <load...>', `measure only these loads: ${ingestLoads.map(load => load.name).join(', ')}`)
    .option('--rounds <count>', 'measurements of each server under each load', '3')
    .option('--seconds <seconds>', 'length of one measurement', '5')
    .option('--payload <bytes>', 'size of the JSON in each message', '100')
    .option('--data-root <folder>', 'where the server that stores keeps its data: the disk to measure', tmpdir())
    .option('--quick', 'one short round, to see that everything runs; the numbers mean little')
    .action(async (options: CommandOptions) => {
      const report = await run(readSettings(options));
      process.stdout.write(`${options.json ? JSON.stringify(report, undefined, 2) : formatReport(report)}\n`);
    });
}

cleanUpOnExit();
const program = new Command('bench').description('Benchmarks of Mimamori. Method and caveats: bench/README.md.');
addBenchmark('ingest', 'QoS 1 messages durably taken in and stored per second, beside Mosquitto', ingest);
addBenchmark('ceiling', 'what the load generator itself reaches, beside Mosquitto', ceiling);

try {
  await program.parseAsync();
  process.exit();
} catch (error) {
  if (!(error instanceof BenchError)) throw error;
  process.stderr.write(`${error.message}\n${error.fix}\n`);
  process.exit(1);
}
