import { Command, Option } from 'commander';
import { MimamoriError } from '../kernel/errors.ts';
import { startDynamoDb } from '../local/dynamodb.ts';
import {
  addEndpointCredentialOptions,
  credentialSourcesOf,
  dynamoDbPortDefault,
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

export function dynamoDbCommand(): Command {
  const command = new Command('dynamodb')
    .description('Run the table alone, in place of DynamoDB Local: any SDK, the AWS CLI and NoSQL tools can use it.')
    .addOption(
      new Option('-p, --port <n>', '0 picks a free one')
        .default(dynamoDbPortDefault)
        .env('MIMAMORI_DYNAMODB_PORT')
        .argParser(port),
    )
    .addOption(
      new Option('--host <address>', 'listen here; 0.0.0.0 for the whole network, which needs credentials')
        .default('127.0.0.1')
        .env('MIMAMORI_HOST'),
    )
    .addOption(dataOption())
    .option('--memory', 'store nothing: tables end with the process');
  addEndpointCredentialOptions(command)
    .addOption(
      new Option('--limits <profile>', 'aws: throttles tables, indexes and hot keys as DynamoDB does')
        .choices(['generous', 'aws'])
        .default('generous'),
    )
    .addOption(
      new Option(
        '--transition <ms>',
        'say CREATING, UPDATING, DELETING of a table for so long, as AWS does; finds programs that do not wait',
      )
        .default(0)
        .argParser(milliseconds),
    )
    .option('-v, --verbose', 'log more than failures')
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Without credentials every signature is good, and only this machine can connect. Ctrl-C and SIGTERM stop cleanly; a write
that was answered survives any end. --data of an app opens its table while the app is not running.

From DynamoDB Local: -port is --port, -inMemory is --memory, -dbPath is --data; -sharedDb is always so.

Examples:
  mimamori dynamodb --memory
  aws dynamodb list-tables --endpoint-url http://127.0.0.1:8000
  MIMAMORI_SECRET_ACCESS_KEY=… mimamori dynamodb --host 0.0.0.0 --access-key team
  mimamori dynamodb --port 0 --json`,
    );
  return command.action((options: Options) => run(options, command.getOptionValueSource('data') === 'cli'));
}

async function run(options: Options, isDataGiven: boolean): Promise<void> {
  if (options.memory && isDataGiven) {
    throw optionsNotValid('With --memory nothing is stored.', 'Leave out --data or --memory.');
  }
  if (options.host === '') throw optionsNotValid('--host is empty.', 'Give it a value, or leave it out.');
  const reporter = reporterFor({ json: options.json === true });
  const running = await startDynamoDb({
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
  reporter.started({ dynamodb: running.url }, `Mimamori keeps your tables ${where}.`);
}

const optionsNotValid = (message: string, fix: string) =>
  new MimamoriError({ code: 'dynamodb.optionsNotValid', message, fix });
