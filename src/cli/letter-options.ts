/** How the commands for dead letters are told which ones. */
import { createInterface } from 'node:readline/promises';
import { Command, Option } from 'commander';
import type { LetterFilter, LetterPage, LetterSummary } from '../app/index.ts';
import type { ShownLetter } from '../http/index.ts';
import { deadLettersPath } from '../http/operator/paths.ts';
import { MimamoriError } from '../kernel/errors.ts';
import { letterLine } from './dead-letters-text.ts';
import { askOperator, type OperatorTarget, urlOption } from './operator.ts';
import { dataOption, jsonOption, momentMs } from './options.ts';
import { print } from './output.ts';
import { whole } from './progress.ts';

export interface FilterOptions extends OperatorTarget {
  readonly consumer?: string;
  readonly thing?: string;
  readonly code?: string;
  readonly since?: number;
  readonly until?: number;
  readonly text?: string;
  readonly json?: true;
}

export interface BulkOptions extends FilterOptions {
  readonly all?: true;
  readonly yes?: true;
  readonly dryRun?: true;
}

export function asking(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .addOption(dataOption())
    .addOption(urlOption())
    .addOption(jsonOption());
}

export function filtering(name: string, description: string): Command {
  return asking(name, description)
    .option('--consumer <name>', 'of this consumer or function')
    .option('--thing <name>', 'about this thing')
    .option('--code <code>', 'that failed with this code')
    .addOption(new Option('--since <time>', 'received since, such as 10m, 2h, 1d, or an ISO time').argParser(momentMs))
    .addOption(new Option('--until <time>', 'received before').argParser(momentMs))
    .option('--text <text>', 'with this in the payload, the topic or the error');
}

export function filterOf({
  consumer,
  thing: thingName,
  code,
  since: sinceMs,
  until: untilMs,
  text,
}: FilterOptions): LetterFilter {
  return { consumer, thingName, code, sinceMs, untilMs, text };
}

export function parametersOf(
  filter: LetterFilter & { readonly before?: string; readonly limit?: number },
): URLSearchParams {
  const given = Object.entries(filter).filter(([, value]) => value !== undefined);
  return new URLSearchParams(Object.fromEntries(given.map(([name, value]) => [name, String(value)])));
}

/** Page after page, newest first. */
export async function* lettersOf(options: FilterOptions): AsyncGenerator<LetterSummary> {
  let before: string | undefined;
  do {
    const parameters = parametersOf({ ...filterOf(options), before, limit: pageLetters });
    const page: LetterPage = await askOperator(options, `${deadLettersPath}?${parameters}`);
    yield* page.letters;
    before = page.next;
  } while (before !== undefined);
}

const pageLetters = 200; // ours

export function choosing(command: Command): Command {
  return command
    .argument('[ids...]', 'these; else those that fit the options')
    .option('--all', 'all there are')
    .option('--yes', 'without asking')
    .option('--dry-run', 'only say which');
}

/** Nothing chosen is not all. */
export function checkChosen(ids: readonly string[], options: BulkOptions): void {
  const hasFilter = Object.values(filterOf(options)).some(value => value !== undefined);
  if (ids.length === 0 && !hasFilter && !options.all) throw nothingChosen();
}

export async function dryRun(ids: readonly string[], options: BulkOptions, what: string): Promise<void> {
  let count = 0;
  const show = async (letter: LetterSummary) => {
    count++;
    await print(options.json ? JSON.stringify(letter) : letterLine(letter));
  };
  for (const id of ids) await show(await askOperator<ShownLetter>(options, pathOf(id)));
  if (ids.length === 0) for await (const letter of lettersOf(options)) await show(letter);
  if (!options.json) await print(`${whole(count)} ${what}.`);
}

export async function confirm(options: BulkOptions, what: string): Promise<void> {
  if (options.yes) return;
  if (!process.stdin.isTTY) throw notConfirmed();
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const which = options.all ? 'all dead letters' : 'all dead letters that fit';
  const answer = await terminal.question(`Do you want to ${what} ${which}? (yes) `);
  terminal.close();
  if (answer.trim().toLowerCase() !== 'yes') throw notConfirmed();
}

export function pathOf(id: string): string {
  return `${deadLettersPath}/${encodeURIComponent(id)}`;
}

const nothingChosen = () =>
  new MimamoriError({
    code: 'letter.nothingChosen',
    message: 'Nothing says which dead letters.',
    fix: 'Give ids, or options such as --consumer and --since, or --all.',
  });

const notConfirmed = () =>
  new MimamoriError({
    code: 'letter.notConfirmed',
    message: 'Nothing was done: it was not confirmed.',
    fix: 'Answer yes, or give --yes. --dry-run shows what it would be.',
  });
