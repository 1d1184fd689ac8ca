import { readFile } from 'node:fs/promises';
import { Command } from 'commander';
import { systemClock } from '../kernel/clock.ts';
import { MimamoriError, messageOf } from '../kernel/errors.ts';
import { systemFiles } from '../kernel/files.ts';
import { systemRandom } from '../kernel/random.ts';
import { endpointPlace, type OpenPlace, withWritableData } from '../local/index.ts';
import { creationOf, importTables, type TableCreation } from '../platform/table/index.ts';
import { dataOption, jsonOption } from './options.ts';
import { abortOnSignal, progressFor, whole } from './progress.ts';
import { addPlaceOptions, type PlaceOptions } from './transfer-options.ts';

interface Options extends PlaceOptions {
  readonly table?: string;
  readonly as?: string;
  readonly merge?: true;
  readonly schema?: string;
  readonly json?: true;
}

export function importCommand(): Command {
  const command = new Command('import')
    .description('Bring an export into tables: one of ours, or one that DynamoDB made to S3 (DYNAMODB_JSON).')
    .argument('<dir>', 'the folder of the export, copied from the bucket if it is in one')
    .addOption(dataOption());
  return addPlaceOptions(command)
    .option('--table <name>', 'only this table; else all')
    .option('--as <name>', 'under another name')
    .option('--merge', 'into a table that holds items: those of the same key are replaced, the others stay')
    .option('--schema <file>', 'output of `aws dynamodb describe-table`, to make the table of an export of DynamoDB')
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Everything is checked first, to the last line: checksums, counts, and that each line is an item. Then it is written, each
batch durable before the next. Tables that are not there are made, with their indexes, expiry and stream; the stream
begins after the import. A table that exists and has a stream takes each item for a change.

Ctrl-C ends it where it can go on, and so does a crash: call it again with the same options. --data is for an app that
is stopped, --endpoint for one that is running and for DynamoDB itself.

Examples:
  mimamori import backup --data ./data
  mimamori import backup --table app --as app-copy --endpoint http://127.0.0.1:8000
  aws s3 cp --recursive s3://bucket/AWSDynamoDB/01693685827463-2d8752fd orders
  mimamori import orders --schema orders-table.json`,
    )
    .action(run);
}

async function run(directory: string, options: Options): Promise<void> {
  if (options.endpoint !== undefined) {
    return importTo(endpointPlace({ ...options, url: options.endpoint }), directory, options);
  }
  return withWritableData(options.data, place => importTo(place, directory, options));
}

async function importTo({ call, name, verify }: OpenPlace, directory: string, options: Options): Promise<void> {
  const json = options.json === true;
  const progress = progressFor({ json });
  const importing = importTables({
    files: systemFiles,
    clock: systemClock,
    random: systemRandom,
    directory,
    call,
    destination: name,
    tableName: options.table,
    newName: options.as,
    merges: options.merge === true,
    creation: options.schema === undefined ? undefined : await readSchema(options.schema),
    signal: abortOnSignal(),
    onProgress: ({ step, items, itemsExpected }) =>
      progress.show({ step: step === 'verify' ? 'Checking ' : 'Importing', items, itemsExpected }),
  });
  const tables = await importing.finally(() => progress.end());
  const differences = tables.flatMap(({ tableName }) => verify?.(tableName) ?? []);
  if (json) console.log(JSON.stringify({ event: 'imported', tables, differences }));
  else {
    for (const { tableName, items, isNew } of tables) {
      console.log(`${tableName}: ${whole(items)} items${isNew ? ', the table was made' : ''}`);
    }
    for (const difference of differences) console.error(difference);
  }
  if (differences.length > 0) process.exitCode = 1;
}

async function readSchema(filePath: string): Promise<TableCreation> {
  try {
    const read = JSON.parse(await readFile(filePath, 'utf8'));
    return creationOf(read.Table ?? read);
  } catch (cause) {
    throw schemaNotReadable(filePath, cause);
  }
}

const schemaNotReadable = (filePath: string, cause: unknown) =>
  new MimamoriError({
    code: 'transfer.schemaNotReadable',
    message: `${filePath} is not the description of a table: ${messageOf(cause)}`,
    fix: 'Save the output of `aws dynamodb describe-table --table-name NAME` in it.',
    cause,
  });
