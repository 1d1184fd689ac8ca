import { type Command, InvalidArgumentError, Option } from 'commander';
import type { CredentialSources } from '../local/credentials.ts';

/** The options of the DynamoDB and Kinesis endpoints, which `start`, `dynamodb` and `kinesis` share. */
export interface EndpointCredentialOptions {
  readonly accessKey?: string;
  readonly secretKey?: string;
  readonly credentials?: string;
  readonly region?: string;
}

/** Where DynamoDB Local listens. */
export const dynamoDbPortDefault = 8_000;

export function addEndpointCredentialOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--access-key <id>', 'clients of DynamoDB and Kinesis must sign with this key').env(
        'MIMAMORI_ACCESS_KEY_ID',
      ),
    )
    .addOption(
      new Option(
        '--secret-key <secret>',
        'its secret; better as a variable, which other users of the machine do not see',
      ).env('MIMAMORI_SECRET_ACCESS_KEY'),
    )
    .addOption(
      new Option('--credentials <file>', 'more keys, in the format of ~/.aws/credentials').env('MIMAMORI_CREDENTIALS'),
    )
    .addOption(
      new Option('--region <name>', 'signatures must be for this region; else any is good (ARNs say us-east-1)')
        .argParser(region)
        .env('MIMAMORI_REGION'),
    );
}

export function credentialSourcesOf({
  accessKey,
  secretKey,
  credentials,
}: EndpointCredentialOptions): CredentialSources {
  return { accessKeyId: accessKey, secretAccessKey: secretKey, file: credentials };
}

function region(text: string): string {
  if (/^[a-z0-9][a-z0-9-]{0,31}$/.test(text)) return text;
  throw new InvalidArgumentError('A region is called like us-east-1.');
}
