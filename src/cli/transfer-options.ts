import { type Command, Option } from 'commander';

/** Options that `export` and `import` share: which place, and how to sign. */
export interface PlaceOptions {
  readonly data: string;
  readonly endpoint?: string;
  readonly region?: string;
  readonly accessKey?: string;
  readonly secretKey?: string;
}

export function addPlaceOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--endpoint <url>', 'of an app that is running, or of any DynamoDB').env('MIMAMORI_DYNAMODB_ENDPOINT'),
    )
    .addOption(new Option('--region <name>', 'of the endpoint; else the one in its name or in AWS_REGION'))
    .addOption(
      new Option('--access-key <id>', 'signs with this key; else AWS_ACCESS_KEY_ID').env('MIMAMORI_ACCESS_KEY_ID'),
    )
    .addOption(
      new Option('--secret-key <secret>', 'its secret, better as a variable; else AWS_SECRET_ACCESS_KEY').env(
        'MIMAMORI_SECRET_ACCESS_KEY',
      ),
    );
}
