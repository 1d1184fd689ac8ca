import { Command } from 'commander';
import { systemClock } from '../kernel/clock.ts';
import { systemFiles } from '../kernel/files.ts';
import { systemRandom } from '../kernel/random.ts';
import { endpointPlace, type OpenPlace, withStoppedData } from '../local/index.ts';
import { exportTables, openSource } from '../platform/table/index.ts';
import { dataOption, jsonOption } from './options.ts';
import { abortOnSignal, progressFor, whole } from './progress.ts';
import { addPlaceOptions, type PlaceOptions } from './transfer-options.ts';

interface Options extends PlaceOptions {
  readonly table?: readonly string[];
  readonly out: string;
  readonly gzip: boolean;
  readonly resume?: true;
  readonly json?: true;
}

export function exportCommand(): Command {
  const command = new Command('export')
    .description("Write tables to files, in the shape of DynamoDB's own exports.")
    .addOption(dataOption());
  return addPlaceOptions(command)
    .option('--table <names...>', 'these tables; else all')
    .requiredOption('--out <dir>', 'an empty folder; made when absent')
    .option('--gzip', 'compress the data files, as DynamoDB does', true)
    .option('--no-gzip', 'leave them as text')
    .option('--resume', 'go on with an export that was interrupted')
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
--data reads the tables of an app that is stopped. One that is running is read through its DynamoDB endpoint, while it
goes on. Both give all tables as they were at one moment; any other DynamoDB is scanned, and items written meanwhile
may be in the export or not. Every file is read again after it was written, and has its checksum in the manifest.

Ctrl-C ends it where it can be resumed, and so does a crash. --resume goes on with the same moment; when that is gone
(the app was restarted, five minutes have passed, the data have changed) it says so and starts over.

Examples:
  mimamori export --data ./data --out backup
  mimamori export --endpoint http://127.0.0.1:8000 --table app --out backup
  mimamori export --endpoint https://dynamodb.eu-central-1.amazonaws.com --table orders --out orders`,
    )
    .action(run);
}

async function run(options: Options): Promise<void> {
  if (options.endpoint !== undefined) {
    return exportFrom(endpointPlace({ ...options, url: options.endpoint }), options);
  }
  return withStoppedData(options.data, place => exportFrom(place, options));
}

async function exportFrom({ call, dataMark }: OpenPlace, options: Options): Promise<void> {
  const json = options.json === true;
  const progress = progressFor({ json });
  const note = (text: string) => (json ? console.log(JSON.stringify({ event: 'note', text })) : console.error(text));
  let isTold = false;
  const exporting = exportTables({
    files: systemFiles,
    clock: systemClock,
    random: systemRandom,
    directory: options.out,
    isCompressed: options.gzip,
    resumes: options.resume === true,
    signal: abortOnSignal(),
    open: resumed => openSource({ call, clock: systemClock, tableNames: options.table, resumed, dataMark }),
    onProgress: ({ items, bytes, itemsExpected, isSnapshot, resumed }) => {
      if (!isTold && resumed === 'over') note('What it was made of is gone or has changed: it starts over.');
      if (!isTold && !isSnapshot) note('There are no snapshots here: items written meanwhile may be there or not.');
      isTold = true;
      progress.show({ step: 'Exporting', items, itemsExpected, bytes });
    },
  });
  const { tables, isSnapshot, exportTime } = await exporting.finally(() => progress.end());
  if (json) {
    const told = tables.map(({ tableName, itemCount }) => ({ tableName, items: itemCount }));
    return console.log(JSON.stringify({ event: 'exported', out: options.out, isSnapshot, exportTime, tables: told }));
  }
  for (const { tableName, itemCount } of tables) console.log(`${tableName}: ${whole(itemCount)} items`);
  console.log(`Exported to ${options.out}${isSnapshot ? `, as of ${exportTime}` : ''}; every checksum is right.`);
}
