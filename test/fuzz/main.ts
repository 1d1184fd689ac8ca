// The command line of the fuzzer: `npm run fuzz -- mqtt --help`.
import { Command } from 'commander';
import { systemRandom } from '../../src/kernel/random.ts';
import { keepInCorpus } from './corpus.ts';
import { ProgressReport } from './progress.ts';
import { toJson, toText } from './report.ts';
import type { RunOrder } from './run.ts';
import { worldStart } from './sessions.ts';
import { watchRun } from './watch-run.ts';

const exitCodes = { found: 1, usage: 2, interrupted: 130 } as const; // 130: as a shell says of Ctrl-C
const casesMax = 1_000_000_000; // ours: they are counted in 32 bits
const packetsPerSession = 50; // ours: 5,000,000 packets to 100,000 sessions

interface CommandOptions {
  count: string;
  sessions?: string;
  seed?: string;
  only?: string;
  onlySession?: string;
  keep?: boolean;
  json?: boolean;
}

const program = new Command('fuzz').description('Fuzzes Mimamori. What is promised and how: test/fuzz/README.md.');
const mqtt = program
  .command('mqtt')
  .description('mutated packets against the codec, then malformed conversations against the gateway')
  .option('--count <packets>', 'mutated packets', '500000')
  .option('--sessions <conversations>', `malformed conversations (default: one per ${packetsPerSession} packets)`)
  .option('--seed <seed>', 'repeats a run (default: by chance, and printed)')
  .option('--only <index>', 'replays this packet of the seed')
  .option('--only-session <index>', 'replays this conversation of the seed, and those before it at the same gateway')
  .option('--keep', 'adds what is found to test/fuzz/corpus.json, which every npm test replays')
  .option('--json', 'prints one JSON document')
  .addHelpText('after', '\nExit code: 0 when every promise held, 1 when something was found, 130 after Ctrl-C.')
  .action(run);

async function run(options: CommandOptions): Promise<void> {
  const order = readOrder(options);
  const stop = new AbortController();
  process.on('SIGINT', () => {
    if (stop.signal.aborted) process.exit(exitCodes.interrupted);
    stop.abort();
  });
  process.stderr.write(`seed ${order.seed}\n`);
  const watched = await watchRun(order, { progress: new ProgressReport(), stop: stop.signal });
  const { findings } = watched.result;
  if (options.keep) process.stderr.write(`${keepInCorpus(findings)} added to the corpus\n`);
  process.stdout.write(
    `${options.json ? JSON.stringify(toJson(order, watched), undefined, 2) : toText(order, watched)}\n`,
  );
  process.exitCode = findings.length > 0 ? exitCodes.found : watched.wasStopped ? exitCodes.interrupted : 0;
}

function readOrder(options: CommandOptions): RunOrder {
  const seed =
    options.seed === undefined ? systemRandom.integer(2 ** 32) : readNumber('--seed', options.seed, 2 ** 32 - 1);
  const nothing = { first: 0, count: 0 };
  if (options.only !== undefined || options.onlySession !== undefined) {
    if (options.seed === undefined) usage('An index means nothing without its seed. Give --seed, too.');
    const only = options.only === undefined ? undefined : readNumber('--only', options.only, casesMax);
    const session =
      options.onlySession === undefined ? undefined : readNumber('--only-session', options.onlySession, casesMax);
    const first = session === undefined ? 0 : worldStart(session);
    return {
      seed,
      packets: only === undefined ? nothing : { first: only, count: 1 },
      sessions: session === undefined ? nothing : { first, count: session - first + 1 },
    };
  }
  const count = readNumber('--count', options.count, casesMax);
  const { sessions } = options;
  const conversations =
    sessions === undefined ? Math.floor(count / packetsPerSession) : readNumber('--sessions', sessions, casesMax);
  return { seed, packets: { first: 0, count }, sessions: { first: 0, count: conversations } };
}

function readNumber(flag: string, text: string, max: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value <= max) return value;
  return usage(`${flag} ${text} cannot be used. Give a whole number from 0 to ${max}.`);
}

function usage(message: string): never {
  return mqtt.error(message, { exitCode: exitCodes.usage });
}

await program.parseAsync();
