import { Command } from 'commander';
import { MimamoriError } from '../kernel/errors.ts';
import { startDynamoDb } from '../local/dynamodb.ts';
import { serveEndpoint } from './endpoint-command.ts';
import { dynamoDbPortDefault } from './endpoint-options.ts';

export function dynamoDbCommand(): Command {
  const command = new Command('dynamodb').description(
    'Run the table alone, in place of DynamoDB Local: any SDK, the AWS CLI and NoSQL tools can use it.',
  );
  return serveEndpoint(command, {
    name: 'dynamodb',
    port: dynamoDbPortDefault,
    portVariable: 'MIMAMORI_DYNAMODB_PORT',
    things: 'tables',
    memory: 'store nothing: tables end with the process',
    limits: 'aws: throttles tables, indexes and hot keys as DynamoDB does',
    notValid: (message, fix) => new MimamoriError({ code: 'dynamodb.optionsNotValid', message, fix }),
    start: startDynamoDb,
    help: `
Without credentials every signature is good, and only this machine can connect. Ctrl-C and SIGTERM stop cleanly; a write
that was answered survives any end. --data of an app opens its table while the app is not running.

From DynamoDB Local: -port is --port, -inMemory is --memory, -dbPath is --data; -sharedDb is always so.

Examples:
  mimamori dynamodb --memory
  aws dynamodb list-tables --endpoint-url http://127.0.0.1:8000
  MIMAMORI_SECRET_ACCESS_KEY=… mimamori dynamodb --host 0.0.0.0 --access-key team
  mimamori dynamodb --port 0 --json`,
  });
}
