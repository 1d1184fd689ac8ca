import { setTimeout as wait } from 'node:timers/promises';
import { Command } from 'commander';
import type { AlarmsAnswer } from '../http/index.ts';
import { alarmsPath } from '../http/operator/paths.ts';
import { systemAppendFiles } from '../kernel/append-files.ts';
import { codeOf } from '../kernel/errors.ts';
import { readAlarms } from '../ops/alarms/alarm-book.ts';
import type { AlarmState } from '../ops/index.ts';
import { askOperator, type OperatorTarget, urlOption } from './operator.ts';
import { dataOption, givenOptions, jsonOption } from './options.ts';
import { endWithReader, hasColors, print } from './output.ts';
import { printable } from './report.ts';
import { stopOnSignal } from './signals.ts';

interface AlarmsOptions extends OperatorTarget {
  readonly watch?: true;
  readonly all?: true;
  readonly json?: true;
}

const watchMs = 1_000;
const answerMsMax = 1_000; // ours: a function that never returns holds the API up; the folder has them, too

export function alarmsCommand(): Command {
  return new Command('alarms')
    .description('Print what somebody should look at; with --watch also what comes and goes.')
    .addOption(dataOption())
    .addOption(urlOption())
    .option('--watch', 'go on with those that are raised, acknowledged and over')
    .option('--all', 'also those that are over')
    .addOption(jsonOption())
    .addHelpText('after', '\nExample:\n  npx mimamori alarms ack consumerBehind playMessage')
    .action(showAlarms)
    .addCommand(actionCommand('ack', 'Say that somebody looks at an alarm. It stays until it is over.'))
    .addCommand(actionCommand('clear', 'Say that an alarm is over. It is raised again if it is not.'));
}

async function showAlarms(options: AlarmsOptions): Promise<void> {
  endWithReader();
  const colors = hasColors();
  const show = (alarm: AlarmState) => print(options.json ? JSON.stringify(alarm) : alarmText(alarm, colors));
  let known = await alarmsOf(options);
  const wanted = known.filter(({ state }) => options.all || state !== 'cleared');
  for (const alarm of wanted.toReversed()) await show(alarm); // The newest stands last, where a terminal is read.
  if (!options.watch) {
    if (wanted.length === 0 && !options.json) await print('No alarms.');
    return;
  }
  const stopping = new AbortController();
  stopOnSignal(async () => stopping.abort());
  while (!stopping.signal.aborted) {
    await wait(watchMs, undefined, { signal: stopping.signal }).catch(() => {});
    if (stopping.signal.aborted) return;
    const now = await alarmsOf(options);
    const before = new Set(known.map(identity));
    for (const alarm of now.toReversed()) if (!before.has(identity(alarm))) await show(alarm);
    known = now;
  }
}

/** What is shown once: an alarm in one of its states. */
function identity({ name, subject, state, raisedAtMs }: AlarmState): string {
  return JSON.stringify([name, subject, state, raisedAtMs]);
}

/** From the backend; from its folder when it does not run, or a function holds it up. */
async function alarmsOf(options: AlarmsOptions): Promise<readonly AlarmState[]> {
  const signal = AbortSignal.timeout(answerMsMax);
  try {
    return (await askOperator<AlarmsAnswer>(options, alarmsPath, { signal })).alarms;
  } catch (error) {
    const isAway = signal.aborted || ['operator.notRunning', 'operator.notAnswering'].includes(codeOf(error));
    if (!isAway || options.url !== undefined || !hasData(options)) throw error;
    return readAlarms({ files: systemAppendFiles, directory: options.data });
  }
}

function hasData({ data }: OperatorTarget): boolean {
  return systemAppendFiles.list(data).length > 0;
}

export function alarmText(alarm: AlarmState, colors: boolean): string {
  const { state, name, subject, message, fix, count, raisedAtMs, clearedAtMs } = alarm;
  const paint = (code: number, text: string) => (colors ? `\u001b[${code}m${text}\u001b[0m` : text);
  const color = state === 'raised' ? 31 : state === 'acknowledged' ? 33 : 32; // red, yellow, green
  const times = count > 1 ? `, ${count} times` : '';
  const until = clearedAtMs === undefined ? '' : `, over ${timeText(clearedAtMs)}`;
  const head = `${paint(color, state.toUpperCase())}  ${printable(name)}  ${printable(subject, 300)}`;
  const told = `    ${printable(message, 500)}`;
  const rest = state === 'cleared' ? [] : [`    ${printable(fix, 500)}`];
  return [`${head}  (since ${timeText(raisedAtMs)}${times}${until})`, told, ...rest].join('\n');
}

function timeText(atMs: number): string {
  return new Date(atMs).toLocaleString('sv-SE');
}

function actionCommand(action: 'ack' | 'clear', description: string): Command {
  return new Command(action)
    .description(description)
    .argument('<name>', 'of the alarm, as `mimamori alarms` prints it')
    .argument('<subject>', 'what it is about')
    .addOption(dataOption())
    .addOption(urlOption())
    .addOption(jsonOption())
    .action(async (name: string, subject: string, _options: unknown, command: Command) => {
      const options = givenOptions<AlarmsOptions>(command);
      const done = await askOperator<object>(options, `${alarmsPath}/${action}`, {
        method: 'POST',
        body: { name, subject },
      });
      const what = action === 'ack' ? 'is acknowledged' : 'is over';
      await print(options.json ? JSON.stringify(done) : `${printable(name)} (${printable(subject, 300)}) ${what}.`);
    });
}
