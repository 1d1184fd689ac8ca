import { Command, Option } from 'commander';
import { MimamoriError } from '../kernel/errors.ts';
import { startKinesis } from '../local/kinesis.ts';
import {
  addEndpointCredentialOptions,
  credentialSourcesOf,
  type EndpointCredentialOptions,
} from './endpoint-options.ts';
import { dataOption, jsonOption, milliseconds, port } from './options.ts';
import { reporterFor } from './report.ts';
import { stopOnSignal } from './signals.ts';

interface Options extends EndpointCredentialOptions {
  readonly host: string;
  readonly port: number;
  readonly data: string;
  readonly memory?: true;
  readonly limits: 'generous' | 'aws';
  readonly transition: number;
  readonly verbose?: true;
  readonly json?: true;
}

/** Where kinesalite listens. */
export const kinesisPortDefault = 4_567;

export function kinesisCommand(): Command {
  const command = new Command('kinesis')
    .description(
      'Run streams alone, in place of Kinesis: SDKs, the AWS CLI, agents and funnels can write and read them.',
    )
    .addOption(
      new Option('-p, --port <n>', '0 picks a free one')
        .default(kinesisPortDefault)
        .env('MIMAMORI_KINESIS_PORT')
        .argParser(port),
    )
    .addOption(
      new Option('--host <address>', 'listen here; 0.0.0.0 for the whole network, which needs credentials')
        .default('127.0.0.1')
        .env('MIMAMORI_HOST'),
    )
    .addOption(dataOption())
    .option('--memory', 'store nothing: streams end with the process, and keep 64 MiB each');
  addEndpointCredentialOptions(command)
    .addOption(
      new Option(
        '--limits <profile>',
        'aws: a shard takes 1 MiB and 1,000 records a second, and gives 2 MiB and 5 answers',
      )
        .choices(['generous', 'aws'])
        .default('generous'),
    )
    .addOption(
      new Option(
        '--transition <ms>',
        'say CREATING, UPDATING, DELETING of a stream for so long, as AWS does; finds programs that do not wait',
      )
        .default(0)
        .argParser(milliseconds),
    )
    .option('-v, --verbose', 'log more than failures')
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Without credentials every signature is good, and only this machine can connect. Ctrl-C and SIGTERM stop cleanly; a record
that was answered survives any end. HTTP/1.1 and HTTP/2, JSON and CBOR.

From kinesalite: --path is --data; without it, --memory; --createStreamMs and its like are --transition.

Examples:
  mimamori kinesis --memory
  aws kinesis create-stream --stream-name funnel --shard-count 1 --endpoint-url http://127.0.0.1:4567
  MIMAMORI_SECRET_ACCESS_KEY=… mimamori kinesis --host 0.0.0.0 --access-key carrier
  mimamori kinesis --port 0 --json`,
    );
  return command.action((options: Options) => run(options, command.getOptionValueSource('data') === 'cli'));
}

async function run(options: Options, isDataGiven: boolean): Promise<void> {
  if (options.memory && isDataGiven) {
    throw optionsNotValid('With --memory nothing is stored.', 'Leave out --data or --memory.');
  }
  if (options.host === '') throw optionsNotValid('--host is empty.', 'Give it a value, or leave it out.');
  const reporter = reporterFor({ json: options.json === true });
  const running = await startKinesis({
    host: options.host,
    port: options.port,
    dataDirectory: options.memory ? undefined : options.data,
    credentials: credentialSourcesOf(options),
    region: options.region,
    limits: options.limits,
    transitionMs: options.transition,
    logLevel: options.verbose ? 'info' : 'error',
  });
  stopOnSignal(async () => {
    reporter.stopping();
    await running.close();
    reporter.stopped();
  });
  const where = options.memory ? 'in memory, until it is stopped' : `in ${options.data}`;
  reporter.started({ kinesis: running.url }, `Mimamori keeps your streams ${where}.`);
}

const optionsNotValid = (message: string, fix: string) =>
  new MimamoriError({ code: 'kinesis.optionsNotValid', message, fix });
