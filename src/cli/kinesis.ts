import { Command } from 'commander';
import { MimamoriError } from '../kernel/errors.ts';
import { startKinesis } from '../local/kinesis.ts';
import { serveEndpoint } from './endpoint-command.ts';

/** Where kinesalite listens. */
export const kinesisPortDefault = 4_567;

export function kinesisCommand(): Command {
  const command = new Command('kinesis').description(
    'Run streams alone, in place of Kinesis: SDKs, the AWS CLI, agents and funnels can write and read them.',
  );
  return serveEndpoint(command, {
    name: 'kinesis',
    port: kinesisPortDefault,
    portVariable: 'MIMAMORI_KINESIS_PORT',
    things: 'streams',
    memory: 'store nothing: streams end with the process, and keep 64 MiB each',
    limits: 'aws: a shard takes 1 MiB and 1,000 records a second, and gives 2 MiB and 5 answers',
    notValid: (message, fix) => new MimamoriError({ code: 'kinesis.optionsNotValid', message, fix }),
    start: startKinesis,
    help: `
Without credentials every signature is good, and only this machine can connect. Ctrl-C and SIGTERM stop cleanly; a record
that was answered survives any end. HTTP/1.1 and HTTP/2, JSON and CBOR.

From kinesalite: --path is --data; without it, --memory; --createStreamMs and its like are --transition.

Examples:
  mimamori kinesis --memory
  aws kinesis create-stream --stream-name funnel --shard-count 1 --endpoint-url http://127.0.0.1:4567
  MIMAMORI_SECRET_ACCESS_KEY=… mimamori kinesis --host 0.0.0.0 --access-key carrier
  mimamori kinesis --port 0 --json`,
  });
}
