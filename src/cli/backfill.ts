import { Command } from 'commander';
import { appTable, Backfill, type BackfillProgress, type EntityMap } from '../app/index.ts';
import { systemClock } from '../kernel/clock.ts';
import { systemFiles } from '../kernel/files.ts';
import { systemRandom } from '../kernel/random.ts';
import { findAppModule, loadApp } from '../local/app-module.ts';
import { withStoppedTable } from '../local/stopped-table.ts';
import { dataOption, jsonOption } from './options.ts';
import { progressFor } from './progress.ts';
import { stopOnSignal } from './signals.ts';

type BackfilledTable = Parameters<Parameters<typeof withStoppedTable>[2]>[0];

/** Brings the stored records of a stopped backend up to the access patterns of its app; `start` does the same by itself. */
export function backfillCommand(): Command {
  return new Command('backfill')
    .description('Fill new and changed access patterns while the backend is stopped. Safe to end at any moment.')
    .argument('[app]', 'the app: a folder with app.ts, or a file', process.env.MIMAMORI_APP ?? 'apps/speaker')
    .addOption(dataOption())
    .addOption(jsonOption())
    .action(async (appPath: string, options: { readonly data: string; readonly json?: true }) => {
      const app = await loadApp(findAppModule(appPath).href);
      const stop = new AbortController();
      await systemFiles.makeDirectory(options.data);
      const working = withStoppedTable(options.data, app, table =>
        run(table, app.model.entities, { json: options.json === true, signal: stop.signal }),
      );
      stopOnSignal(() => {
        stop.abort();
        return working;
      });
      await working;
    });
}

interface RunOptions {
  readonly json: boolean;
  readonly signal: AbortSignal;
}

async function run(table: BackfilledTable, entities: EntityMap, { json, signal }: RunOptions): Promise<void> {
  const backfill = await Backfill.open({ table, clock: systemClock, random: systemRandom }, entities);
  const print = (event: string) => console.log(JSON.stringify({ event, ...backfill.progress }));
  if (backfill.isDone) return json ? print('upToDate') : console.log('Every access pattern is filled.');
  if (json) await backfill.run(() => print('progress'), signal);
  else if (process.stderr.isTTY) await runWithBar(backfill, await countRecords(table), signal);
  else await backfill.run(undefined, signal);
  const { scanned, repaired, notUnique } = backfill.progress;
  if (json) print(backfill.isDone ? 'done' : 'interrupted');
  else if (!backfill.isDone) console.log(`Interrupted after ${scanned} records; call it again to go on.`);
  else console.log(`Done: ${scanned} records looked at, ${repaired} entities put right.`);
  if (notUnique > 0 && !json)
    console.error(`${notUnique} entities have a value that is to be unique and that another has already.`);
  if (!backfill.isDone || notUnique > 0) process.exitCode = 1;
}

async function runWithBar(backfill: Backfill, itemsExpected: number, signal: AbortSignal): Promise<void> {
  const progress = progressFor({ json: false });
  const show = ({ scanned: items }: BackfillProgress) => progress.show({ step: 'Filling', items, itemsExpected });
  show(backfill.progress);
  await backfill.run(show, signal).finally(() => progress.end());
}

async function countRecords(table: BackfilledTable): Promise<number> {
  let count = 0;
  let from: Record<string, unknown> | undefined;
  do {
    const page = await table.scan({ TableName: appTable.tableName, Select: 'COUNT', ExclusiveStartKey: from });
    count += page.Count ?? 0;
    from = page.LastEvaluatedKey;
  } while (from);
  return count;
}
