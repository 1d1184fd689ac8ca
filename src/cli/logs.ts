import { Command, InvalidArgumentError, Option } from 'commander';
import type { LogHead } from '../http/index.ts';
import { levelsPath, logsPath } from '../http/operator/paths.ts';
import { systemAppendFiles } from '../kernel/append-files.ts';
import { systemClock } from '../kernel/clock.ts';
import { codeOf } from '../kernel/errors.ts';
import { joinPath } from '../kernel/files.ts';
import { type LogLevel, logLevels } from '../kernel/log.ts';
import { logsDirectory } from '../local/directories.ts';
import type { LevelRule, LogLine, LogQuestion } from '../ops/index.ts';
import { logLimits } from '../ops/limits.ts';
import { LogReader } from '../ops/logs/log-reader.ts';
import { questionParameters } from '../ops/logs/question.ts';
import { logText } from './log-text.ts';
import { askOperator, followOperator, type OperatorTarget, urlOption } from './operator.ts';
import { dataOption, durationMs, givenOptions, jsonOption, momentMs } from './options.ts';
import { endWithReader, hasColors, print } from './output.ts';
import { printable } from './report.ts';
import { stopOnSignal } from './signals.ts';

interface LogsOptions extends OperatorTarget {
  readonly follow?: true;
  readonly function?: string;
  readonly thing?: string;
  readonly request?: string;
  readonly event?: string;
  readonly level?: LogLevel;
  readonly channel?: string;
  readonly since?: number;
  readonly until?: number;
  readonly grep?: string;
  readonly limit: number | 'all';
  readonly debugThing?: string;
  readonly debugFunction?: string;
  readonly for: number;
  readonly json?: true;
}

const forMsDefault = 600_000; // ours: long enough to look, short enough to be forgotten

export function logsCommand(): Command {
  return new Command('logs')
    .description('Print what an app and its backend have logged, oldest first; with --follow also what comes.')
    .addOption(dataOption())
    .addOption(urlOption())
    .option('-f, --follow', 'go on with the lines that come')
    .option('--function <name>', 'of this function only')
    .option('--thing <name>', 'about this thing only')
    .option('--request <id>', 'of this invocation only')
    .option('--event <id>', 'about this record, change or request only')
    .addOption(new Option('--level <level>', 'of this level or more urgent').choices(logLevels))
    .option('--channel <name>', 'of one channel: app, system (the platform), or one that the app has named')
    .addOption(new Option('--since <time>', 'such as 30s, 10m, 2h, 1d, or an ISO time').argParser(momentMs))
    .addOption(new Option('--until <time>', 'the same').argParser(momentMs))
    .option('--grep <text>', 'with this text in them, as --json prints them')
    .addOption(new Option('--limit <n>', 'the newest so many; or all').default(logLimits.linesDefault).argParser(limit))
    .option(
      '--debug-thing <name>',
      'keep the debug lines about a thing, for a while (see --for); its lines are printed',
    )
    .option('--debug-function <name>', 'the same of a function')
    .addOption(
      new Option('--for <duration>', 'how long debug lines are kept')
        .default(forMsDefault, '10m')
        .argParser(durationMs),
    )
    .addOption(jsonOption())
    .addHelpText(
      'after',
      '\nExamples:\n  npx mimamori logs -f --level warn\n  npx mimamori logs --thing spk-1 --since 10m',
    )
    .action(showLogs)
    .addCommand(levelCommand());
}

async function showLogs(options: LogsOptions): Promise<void> {
  const { debugThing, debugFunction } = options;
  endWithReader();
  if (debugThing !== undefined || debugFunction !== undefined) {
    const rule = { level: 'debug', thingName: debugThing, functionName: debugFunction, forMs: options.for };
    await askOperator(options, levelsPath, { method: 'POST', body: rule });
  }
  const question: LogQuestion = {
    functionName: options.function ?? debugFunction,
    thingName: options.thing ?? debugThing,
    requestId: options.request,
    eventId: options.event,
    level: options.level,
    channel: options.channel,
    sinceMs: options.since,
    untilMs: options.until,
    grep: options.grep,
  };
  const stopping = new AbortController();
  if (options.follow) stopOnSignal(async () => stopping.abort());
  const shown = new Shown(options.json === true);
  const isDone = await showFromBackend(options, question, shown, stopping.signal);
  if (!isDone && !stopping.signal.aborted) await showFromFolder(options, question, shown, stopping.signal);
}

/** False when there is no backend to ask, or when it went away while it was followed. */
async function showFromBackend(
  options: LogsOptions,
  question: LogQuestion,
  shown: Shown,
  stopping: AbortSignal,
): Promise<boolean> {
  const parameters = questionParameters(question);
  parameters.set('limit', String(options.limit));
  if (options.follow) parameters.set('follow', '1');
  const tooLate = new AbortController();
  const timer = setTimeout(() => tooLate.abort(new Error('no answer')), headMsMax);
  const signal = AbortSignal.any([stopping, tooLate.signal]);
  try {
    for await (const line of followOperator<LogLine | LogHead>(options, `${logsPath}?${parameters}`, { signal })) {
      clearTimeout(timer);
      if (!('head' in line)) await shown.show(line);
    }
    return !options.follow; // Its thread was started again, or it was stopped.
  } catch (error) {
    if (stopping.aborted) return true;
    const isKnown = codeOf(error).startsWith('operator.') || tooLate.signal.aborted || shown.hasBegun;
    const canRead = options.url === undefined && readerOf(options).isThere;
    if (!isKnown || !canRead) throw error;
    return false;
  } finally {
    clearTimeout(timer);
  }
}

const headMsMax = 700; // ours: a function that never returns holds the API up, too; the folder has the same lines

/** The lines are on disk, whoever runs or does not. */
async function showFromFolder(
  options: LogsOptions,
  question: LogQuestion,
  shown: Shown,
  stopping: AbortSignal,
): Promise<void> {
  const { reader } = readerOf(options);
  const from = await reader.end(question);
  const rest = shown.hasBegun ? { ...question, sinceMs: shown.lastAtMs } : question;
  const known = { limit: shown.hasBegun ? logLimits.linesMax : options.limit };
  if (known.limit === 'all' && !options.follow) {
    for await (const { line } of reader.all(rest)) await shown.show(line);
    return;
  }
  const count = known.limit === 'all' ? logLimits.linesMax : known.limit;
  for (const { line } of await reader.newest(rest, count, from)) await shown.show(line);
  if (!options.follow) return;
  for await (const { line } of reader.follow(question, from, stopping)) await shown.show(line);
}

function readerOf({ data }: OperatorTarget): { reader: LogReader; isThere: boolean } {
  const directory = joinPath(data, logsDirectory);
  const reader = new LogReader({ files: systemAppendFiles, directory, clock: systemClock });
  return { reader, isThere: systemAppendFiles.list(directory).length > 0 };
}

/** What was printed, so that nothing is printed twice when the backend goes away and the folder is read instead. */
class Shown {
  readonly #isJson: boolean;
  readonly #hasColors = hasColors();
  /** Of the last millisecond. */
  readonly #last = new Set<string>();
  lastAtMs = Number.NEGATIVE_INFINITY;

  constructor(isJson: boolean) {
    this.#isJson = isJson;
  }

  get hasBegun(): boolean {
    return this.#last.size > 0;
  }

  async show(line: LogLine): Promise<void> {
    const text = JSON.stringify(line);
    if (this.#last.has(text)) return;
    const atMs = Date.parse(line.time);
    if (atMs !== this.lastAtMs) this.#last.clear();
    this.#last.add(text);
    this.lastAtMs = atMs;
    await print(this.#isJson ? text : logText(line, { hasColors: this.#hasColors }));
  }
}

function levelCommand(): Command {
  return new Command('level')
    .description('Show or set from which level lines are kept, while the backend runs. It is as usual again by itself.')
    .argument('[level]', `one of ${logLevels.join(', ')}; none: show what is set`)
    .addOption(dataOption())
    .addOption(urlOption())
    .option('--function <name>', 'of this function only')
    .option('--thing <name>', 'about this thing only')
    .addOption(new Option('--share <part>', 'of this part of all requests, e.g. 0.01').argParser(Number))
    .addOption(new Option('--for <duration>', 'how long').default(forMsDefault, '10m').argParser(durationMs))
    .option('--reset', 'as usual from now on')
    .addOption(jsonOption())
    .action(async (level: string | undefined, _options: unknown, command: Command) => {
      const given = givenOptions<LevelOptions>(command);
      const body = {
        level,
        functionName: given.function,
        thingName: given.thing,
        share: given.share,
        forMs: given.for,
      };
      const question = given.reset
        ? ({ method: 'DELETE' } as const)
        : level === undefined
          ? {}
          : ({ method: 'POST', body } as const);
      const { levels } = await askOperator<{ levels: readonly LevelRule[] }>(given, levelsPath, question);
      for (const rule of levels) console.log(given.json ? JSON.stringify(rule) : levelText(rule));
      if (levels.length === 0 && !given.json) console.log('Everything is as usual: lines from info on are kept.');
    });
}

interface LevelOptions extends OperatorTarget {
  readonly function?: string;
  readonly thing?: string;
  readonly share?: number;
  readonly for: number;
  readonly reset?: true;
  readonly json?: true;
}

function levelText({ level, functionName, thingName, share, untilMs }: LevelRule): string {
  const of = [
    functionName === undefined ? undefined : `function ${printable(functionName)}`,
    thingName === undefined ? undefined : `thing ${printable(thingName)}`,
    share === undefined ? undefined : `${share * 100} % of the requests`,
  ].filter(part => part !== undefined);
  const what = of.length === 0 ? 'everything' : of.join(', ');
  return `${level} for ${what} until ${new Date(untilMs).toLocaleTimeString('sv-SE')}`;
}

function limit(text: string): number | 'all' {
  if (text === 'all') return 'all';
  const number = Number(text);
  if (/^\d+$/.test(text) && number <= logLimits.linesMax) return number;
  throw new InvalidArgumentError(`Give a number of lines up to ${logLimits.linesMax}, or all.`);
}
