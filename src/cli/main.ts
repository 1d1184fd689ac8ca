/**
 * The mimamori command. Each subcommand is a file; this one only lists them and says how errors are shown. Only the one that
 * is asked for is loaded: all of them together are most of the program.
 */
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { factsOf } from '../kernel/errors.ts';

/** In the order of the help. */
const commands: Readonly<Record<string, () => Promise<Command>>> = {
  start: async () => (await import('./start.ts')).startCommand(),
  broker: async () => (await import('./broker.ts')).brokerCommand(),
  dynamodb: async () => (await import('./dynamodb.ts')).dynamoDbCommand(),
  kinesis: async () => (await import('./kinesis.ts')).kinesisCommand(),
  check: async () => (await import('./check.ts')).checkCommand(),
  export: async () => (await import('./export.ts')).exportCommand(),
  import: async () => (await import('./import.ts')).importCommand(),
  passwd: async () => (await import('./passwd.ts')).passwdCommand(),
  token: async () => (await import('./token.ts')).tokenCommand(),
  things: async () => (await import('./things.ts')).thingsCommand(),
  schema: async () => (await import('./schema.ts')).schemaCommand(),
  backfill: async () => (await import('./backfill.ts')).backfillCommand(),
  capacity: async () => (await import('./capacity.ts')).capacityCommand(),
  functions: async () => (await import('./functions.ts')).functionsCommand(),
  consumers: async () => (await import('./consumers.ts')).consumersCommand(),
  'dead-letters': async () => (await import('./dead-letters.ts')).deadLettersCommand(),
  ledger: async () => (await import('./ledger.ts')).ledgerCommand(),
  explain: async () => (await import('./explain.ts')).explainCommand(),
  logs: async () => (await import('./logs.ts')).logsCommand(),
  metrics: async () => (await import('./metrics.ts')).metricsCommand(),
  alarms: async () => (await import('./alarms.ts')).alarmsCommand(),
  record: async () => (await import('./record.ts')).recordCommand(),
};

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));

const program = new Command('mimamori')
  .description('An IoT backend for the engineer who builds one alone.')
  .version(version)
  .addHelpText('after', '\nEvery command has --help and --json.');

const [asked = ''] = process.argv.slice(2);
const isOne = Object.hasOwn(commands, asked);
for (const [name, load] of Object.entries(commands)) if (!isOne || name === asked) program.addCommand(await load());

try {
  await program.parseAsync();
} catch (error) {
  const { code, message, fix } = factsOf(error);
  if (process.argv.includes('--json') || process.env.MIMAMORI_JSON)
    console.log(JSON.stringify({ event: 'error', code, message, fix }));
  else console.error(`mimamori: ${message}\n  ${fix}  [${code}]`);
  process.exit(1);
}
