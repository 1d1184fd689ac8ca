/** What the commands that serve one AWS endpoint alone have in common: where, to whom, how strictly, and until when. */
import { type Command, Option } from 'commander';
import type { CredentialSources } from '../local/credentials.ts';
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

/** What is started. */
export interface EndpointStart {
  readonly host: string;
  readonly port: number;
  /** Undefined: nothing is stored. */
  readonly dataDirectory: string | undefined;
  readonly credentials: CredentialSources;
  readonly region: string | undefined;
  readonly limits: 'generous' | 'aws';
  readonly transitionMs: number;
  readonly logLevel: 'info' | 'error';
}

export interface EndpointFacts {
  /** As errors and the first line call it. */
  readonly name: 'dynamodb' | 'kinesis';
  readonly port: number;
  readonly portVariable: string;
  /** What is kept: "tables", "streams". */
  readonly things: string;
  /** What `--memory` means, and what `--limits aws` does. */
  readonly memory: string;
  readonly limits: string;
  readonly help: string;
  /** The error of options that contradict each other. */
  readonly notValid: (message: string, fix: string) => Error;
  readonly start: (options: EndpointStart) => Promise<{ readonly url: string; close(): Promise<void> }>;
}

/** Adds the options and what the command does. */
export function serveEndpoint(command: Command, facts: EndpointFacts): Command {
  command
    .addOption(
      new Option('-p, --port <n>', '0 picks a free one').default(facts.port).env(facts.portVariable).argParser(port),
    )
    .addOption(
      new Option('--host <address>', 'listen here; 0.0.0.0 for the whole network, which needs credentials')
        .default('127.0.0.1')
        .env('MIMAMORI_HOST'),
    )
    .addOption(dataOption())
    .option('--memory', facts.memory);
  addEndpointCredentialOptions(command)
    .addOption(new Option('--limits <profile>', facts.limits).choices(['generous', 'aws']).default('generous'))
    .addOption(
      new Option(
        '--transition <ms>',
        `say CREATING, UPDATING, DELETING of ${facts.things} for so long, as AWS does; finds programs that do not wait`,
      )
        .default(0)
        .argParser(milliseconds),
    )
    .option('-v, --verbose', 'log more than failures')
    .addOption(jsonOption())
    .addHelpText('after', facts.help);
  return command.action((options: Options) => run(facts, options, command.getOptionValueSource('data') === 'cli'));
}

async function run(facts: EndpointFacts, options: Options, isDataGiven: boolean): Promise<void> {
  const { name, things, notValid, start } = facts;
  if (options.memory && isDataGiven) {
    throw notValid('With --memory nothing is stored.', 'Leave out --data or --memory.');
  }
  if (options.host === '') throw notValid('--host is empty.', 'Give it a value, or leave it out.');
  const reporter = reporterFor({ json: options.json === true });
  const running = await start({
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
  reporter.started({ [name]: running.url }, `Mimamori keeps your ${things} ${where}.`);
}
