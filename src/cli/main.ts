/** The mimamori command. Each subcommand is a file; this one only lists them and says how errors are shown. */
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { factsOf } from '../local/iot-bridge.ts';
import { alarmsCommand } from './alarms.ts';
import { backfillCommand } from './backfill.ts';
import { brokerCommand } from './broker.ts';
import { capacityCommand } from './capacity.ts';
import { checkCommand } from './check.ts';
import { consumersCommand } from './consumers.ts';
import { deadLettersCommand } from './dead-letters.ts';
import { dynamoDbCommand } from './dynamodb.ts';
import { explainCommand } from './explain.ts';
import { exportCommand } from './export.ts';
import { functionsCommand } from './functions.ts';
import { importCommand } from './import.ts';
import { kinesisCommand } from './kinesis.ts';
import { ledgerCommand } from './ledger.ts';
import { logsCommand } from './logs.ts';
import { metricsCommand } from './metrics.ts';
import { passwdCommand } from './passwd.ts';
import { recordCommand } from './record.ts';
import { schemaCommand } from './schema.ts';
import { startCommand } from './start.ts';
import { thingsCommand } from './things.ts';
import { tokenCommand } from './token.ts';

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));

const program = new Command('mimamori')
  .description('An IoT backend for the engineer who builds one alone.')
  .version(version)
  .addCommand(startCommand())
  .addCommand(brokerCommand())
  .addCommand(dynamoDbCommand())
  .addCommand(kinesisCommand())
  .addCommand(checkCommand())
  .addCommand(exportCommand())
  .addCommand(importCommand())
  .addCommand(passwdCommand())
  .addCommand(tokenCommand())
  .addCommand(thingsCommand())
  .addCommand(schemaCommand())
  .addCommand(backfillCommand())
  .addCommand(capacityCommand())
  .addCommand(functionsCommand())
  .addCommand(consumersCommand())
  .addCommand(deadLettersCommand())
  .addCommand(ledgerCommand())
  .addCommand(explainCommand())
  .addCommand(logsCommand())
  .addCommand(metricsCommand())
  .addCommand(alarmsCommand())
  .addCommand(recordCommand())
  .addHelpText('after', '\nEvery command has --help and --json.');

try {
  await program.parseAsync();
} catch (error) {
  const { code, message, fix } = factsOf(error);
  if (process.argv.includes('--json') || process.env.MIMAMORI_JSON)
    console.log(JSON.stringify({ event: 'error', code, message, fix }));
  else console.error(`mimamori: ${message}\n  ${fix}  [${code}]`);
  process.exit(1);
}
