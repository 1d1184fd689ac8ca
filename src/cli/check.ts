import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Command } from 'commander';
import { MimamoriError } from '../kernel/errors.ts';
import { checkStopped } from '../local/table-check.ts';
import { dataOption, jsonOption } from './options.ts';
import { whole } from './progress.ts';

interface Options {
  readonly data: string;
  readonly rebuildIndexes?: true;
  readonly removeDamaged?: true;
  readonly json?: true;
}

export function checkCommand(): Command {
  return new Command('check')
    .description('Look for damage in the tables of a stopped app: every item, index, count and change.')
    .addOption(dataOption())
    .option('--rebuild-indexes', 'make all indexes and counts again from the items')
    .option(
      '--remove-damaged',
      'take damaged entries away, so that the rest can be used; their bytes are kept in a file',
    )
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Without options nothing is changed. It ends with 0 when all is well, with 1 when something is found, and says what to do.
Damaged items are never served; an export of before, or a backup, has them. After --remove-damaged an import with --merge
brings them back.

Examples:
  mimamori check --data ./data
  mimamori check --data ./data --remove-damaged && mimamori import backup --data ./data --merge`,
    )
    .action(runInChild);
}

const remedies = {
  rebuild: 'Call it again with --rebuild-indexes: nothing is lost, as indexes and counts are made from the items.',
  remove:
    'Copy the data folder first. Then --remove-damaged takes what is damaged away; an import with --merge of an export brings items back.',
  restore: 'Restore the data folder from a backup, or import an export into a new one: this cannot be mended here.',
} as const;

/**
 * A file whose tree is damaged can make LMDB read where nothing is, which ends a process. So it is another one that looks,
 * and this one that tells.
 */
async function runInChild(options: Options): Promise<void> {
  if (process.env[childMark] !== undefined) return run(options);
  const child = spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
    stdio: 'inherit',
    env: { ...process.env, [childMark]: '1' },
  });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal));
  const [code, signal] = await once(child, 'exit');
  if (signal === 'SIGSEGV' || signal === 'SIGBUS' || signal === 'SIGABRT') throw treeDamaged(options.data, signal);
  process.exitCode = code ?? 1;
}

const childMark = 'MIMAMORI_CHECKS_HERE';

const treeDamaged = (directory: string, signal: string) =>
  new MimamoriError({
    code: 'table.treeDamaged',
    message: `The file of the tables in ${directory} is so damaged that it cannot be read at all (${signal}).`,
    fix: 'Check the disk, move the folder away, and restore it from a backup or import an export into a new one.',
  });

async function run({ data, rebuildIndexes, removeDamaged, json }: Options): Promise<void> {
  const { report, removed, keptIn } = await checkStopped({
    dataDirectory: data,
    rebuildsIndexes: rebuildIndexes === true,
    removesDamaged: removeDamaged === true,
  });
  const { tables, entries, findings } = report;
  if (findings.length > 0) process.exitCode = 1;
  if (json) return console.log(JSON.stringify({ event: 'checked', entries, tables, findings, removed, keptIn }));
  if (removed > 0) console.log(`${whole(removed)} damaged entries were taken away; their bytes are in ${keptIn}.`);
  for (const { tableName, items } of tables) console.log(`${tableName}: ${whole(items)} items`);
  for (const { what } of findings) console.log(`- ${what}`);
  if (findings.length === 0) return console.log(`All is well: ${whole(entries)} entries were looked at.`);
  console.log();
  for (const remedy of ['rebuild', 'remove', 'restore'] as const) {
    const count = findings.filter(finding => finding.remedy === remedy).length;
    if (count > 0) console.log(`${whole(count)} of them: ${remedies[remedy]}`);
  }
}
