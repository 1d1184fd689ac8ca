/** Gives dead letters to their functions again, and shows how far that is. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { RedriveState } from '../app/index.ts';
import { redrivesPath } from '../http/operator/paths.ts';
import { redriveText } from './dead-letters-text.ts';
import { type BulkOptions, checkChosen, choosing, confirm, dryRun, filtering, filterOf } from './letter-options.ts';
import { askOperator } from './operator.ts';
import { positive } from './options.ts';
import { abortOnSignal, progressFor } from './progress.ts';

interface RedriveOptions extends BulkOptions {
  readonly to?: string;
  readonly rate?: number;
  readonly redrivesMax?: number;
  readonly detach?: true;
}

export function redriveCommand(): Command {
  return choosing(filtering('redrive', 'Give dead letters to their functions again. What is handled is deleted.'))
    .option('--to <name>', 'to this consumer or function instead of the one that failed')
    .addOption(new Option('--rate <n>', 'at most so many in a second; default 100').argParser(rate))
    .addOption(
      new Option('--redrives-max <n>', 'also those that have failed in redrives, up to so often').argParser(positive),
    )
    .option('--detach', 'start it and return; it goes on in the backend')
    .addHelpText(
      'after',
      `
Letters of one partition key keep their order, oldest first. Ctrl-C stops it: letters in hand are finished, the others
stay. It goes on by itself when the backend is started again. It stops by itself when 100 fail one after the other.`,
    )
    .action(async (ids: string[], options: RedriveOptions) => {
      checkChosen(ids, options);
      if (options.dryRun) return dryRun(ids, options, 'would be redriven');
      if (options.all) await confirm(options, 'redrive');
      const { to, rate: perSecond, redrivesMax } = options;
      const chosen = ids.length > 0 ? { ids } : {};
      const body = { ...chosen, filter: filterOf(options), to, perSecond, redrivesMax };
      const state: RedriveState = await askOperator(options, redrivesPath, { method: 'POST', body });
      await report(options.detach ? state : await watch(options, state), options);
    });
}

/** Until it is over. The first Ctrl-C stops it. */
async function watch(options: RedriveOptions, started: RedriveState): Promise<RedriveState> {
  const progress = progressFor({ json: options.json === true });
  const stop = abortOnSignal();
  let state = started;
  let isStopping = false;
  const path = `${redrivesPath}/${started.redriveId}`;
  while (state.state === 'running') {
    const { handled, failed, refused, expected = 0 } = state;
    progress.show({ step: 'Redriving', items: handled + failed + refused, itemsExpected: expected });
    await pause(stop);
    if (stop.aborted && !isStopping) {
      isStopping = true;
      state = await askOperator(options, `${path}/stop`, { method: 'POST' });
    } else state = await askOperator(options, path);
  }
  const done = state.handled + state.failed + state.refused;
  progress.show({ step: 'Redriving', items: done, itemsExpected: state.expected ?? done });
  progress.end();
  return state;
}

const watchEveryMs = 200; // ours: a bar that moves, and few questions

function pause(stop: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    const timer = setTimeout(done, watchEveryMs);
    function done() {
      clearTimeout(timer);
      stop.removeEventListener('abort', done);
      resolve();
    }
    if (!stop.aborted) stop.addEventListener('abort', done);
  });
}

async function report(state: RedriveState, { json, detach }: RedriveOptions): Promise<void> {
  if (json) console.log(JSON.stringify({ event: detach ? 'started' : 'done', ...state }));
  else console.log(detach ? `The redrive ${state.redriveId} has begun.` : redriveText(state));
  if (!detach && (state.failed > 0 || state.refused > 0)) process.exitCode = 1;
}

function rate(text: string): number {
  const number = Number(text);
  if (!(number > 0 && number <= rateMax)) throw new InvalidArgumentError(`Give a number up to ${rateMax}.`);
  return number;
}

const rateMax = 10_000;
