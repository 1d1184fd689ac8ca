/** Looks after the events that an app could not handle. Asks a running backend. */
import { readFileSync } from 'node:fs';
import { Command, Option } from 'commander';
import type { LetterCount } from '../app/index.ts';
import type { ShownLetter } from '../http/index.ts';
import { deadLettersPath } from '../http/operator/paths.ts';
import { MimamoriError } from '../kernel/errors.ts';
import { untilStopped } from './aborting.ts';
import { countsText, letterLine, letterText } from './dead-letters-text.ts';
import {
  asking,
  type BulkOptions,
  checkChosen,
  choosing,
  confirm,
  dryRun,
  type FilterOptions,
  filtering,
  filterOf,
  lettersOf,
  parametersOf,
  pathOf,
} from './letter-options.ts';
import { askOperator, followOperator } from './operator.ts';
import { positive } from './options.ts';
import { endWithReader, print } from './output.ts';
import { abortOnSignal, whole } from './progress.ts';
import { redriveCommand } from './redrive.ts';

export function deadLettersCommand(): Command {
  return new Command('dead-letters')
    .description('Events that could not be handled: see why, correct them, give them to their functions again.')
    .addCommand(listCommand())
    .addCommand(showCommand())
    .addCommand(editCommand())
    .addCommand(redriveCommand())
    .addCommand(deleteCommand())
    .addCommand(exportCommand())
    .addCommand(countCommand())
    .addHelpText(
      'after',
      `
Nothing is deleted by itself. A consumer that has as many as are kept waits, with an alarm before.

Examples:
  mimamori dead-letters list --since 1h
  mimamori dead-letters redrive --consumer onReading
  mimamori dead-letters export > letters.ndjson`,
    );
}

function listCommand(): Command {
  return filtering('list', 'List dead letters, newest first.')
    .addOption(new Option('--limit <n>', 'so many').default(50).argParser(positive))
    .action(async (options: FilterOptions & { readonly limit: number }) => {
      endWithReader();
      let shown = 0;
      for await (const letter of lettersOf(options)) {
        if (shown++ === options.limit) {
          if (!options.json) await print(`There are more; --limit ${options.limit * 10} shows them.`);
          return;
        }
        await print(options.json ? JSON.stringify(letter) : letterLine(letter));
      }
      if (shown === 0 && !options.json) await print('There are none.');
    });
}

function showCommand(): Command {
  return asking('show', 'Show one dead letter with its payload and its error.')
    .argument('<id>')
    .action(async (id: string, options: FilterOptions) => {
      const letter: ShownLetter = await askOperator(options, pathOf(id));
      console.log(options.json ? JSON.stringify(letter) : letterText(letter));
    });
}

function editCommand(): Command {
  return asking('edit', 'Give another payload to be redriven in place of the original, which is kept.')
    .argument('<id>')
    .option('--payload <text>', 'the payload')
    .option('--file <path>', 'the payload, from a file; - for standard input')
    .option('--restore', 'the original again')
    .action(async (id: string, options: FilterOptions & EditOptions) => {
      const body = editOf(options);
      const letter: ShownLetter = await askOperator(options, pathOf(id), { method: 'PATCH', body });
      console.log(options.json ? JSON.stringify(letter) : letterText(letter));
    });
}

interface EditOptions {
  readonly payload?: string;
  readonly file?: string;
  readonly restore?: true;
}

function editOf({ payload, file, restore }: EditOptions): unknown {
  if ([payload, file, restore].filter(given => given !== undefined).length !== 1) throw payloadMissing();
  if (payload !== undefined) return { text: payload };
  if (file !== undefined) return { base64: readFileSync(file === '-' ? 0 : file).toString('base64') };
  return { restore: true };
}

function deleteCommand(): Command {
  return choosing(filtering('delete', 'Delete dead letters for good.')).action(
    async (ids: string[], options: BulkOptions) => {
      checkChosen(ids, options);
      if (options.dryRun) return dryRun(ids, options, 'would be deleted');
      if (ids.length === 0) await confirm(options, 'delete');
      for (const id of ids) await askOperator(options, pathOf(id), { method: 'DELETE' });
      const deleted = ids.length > 0 ? ids.length : await deleteAll(options);
      console.log(options.json ? JSON.stringify({ event: 'done', deleted }) : `${whole(deleted)} deleted.`);
    },
  );
}

async function deleteAll(options: BulkOptions): Promise<number> {
  const stop = abortOnSignal();
  let deleted = 0;
  for (let isMore = true; isMore && !stop.aborted; ) {
    const question = { method: 'POST', body: filterOf(options) } as const;
    const answer = await askOperator<Deleted>(options, `${deadLettersPath}/delete`, question);
    deleted += answer.deleted;
    isMore = answer.isMore;
  }
  return deleted;
}

interface Deleted {
  readonly deleted: number;
  readonly isMore: boolean;
}

function exportCommand(): Command {
  return filtering('export', 'Print whole dead letters, one JSON object a line, newest first.').action(
    async (options: FilterOptions) => {
      endWithReader();
      const path = `${deadLettersPath}/export?${parametersOf(filterOf(options))}`;
      await untilStopped(async signal => {
        for await (const letter of followOperator(options, path, { signal })) await print(JSON.stringify(letter));
      });
    },
  );
}

function countCommand(): Command {
  return asking('count', 'Count dead letters by consumer.').action(async (options: FilterOptions) => {
    const answer = await askOperator<{ counts: LetterCount[]; bounds: { lettersMax: number } }>(
      options,
      `${deadLettersPath}/counts`,
    );
    if (!options.json) console.log(countsText(answer.counts, answer.bounds));
    else for (const count of answer.counts) console.log(JSON.stringify(count));
  });
}

const payloadMissing = () =>
  new MimamoriError({
    code: 'letter.payloadMissing',
    message: 'Nothing says what the payload should be, or more than one thing does.',
    fix: 'Give one of --payload, --file and --restore.',
  });
