/** How far the functions of a running app are with their streams; lets one see its stream again. */
import { Command, InvalidArgumentError, Option } from 'commander';
import type { ReplayBody, ShownConsumer } from '../http/index.ts';
import { consumersPath } from '../http/operator/paths.ts';
import { askOperator, type OperatorTarget, urlOption } from './operator.ts';
import { dataOption, givenOptions, jsonOption, momentMs } from './options.ts';
import { endWithReader, print } from './output.ts';
import { printable } from './report.ts';
import { columns } from './table-text.ts';

interface ConsumersOptions extends OperatorTarget {
  readonly json?: true;
}

export function consumersCommand(): Command {
  return asking(new Command('consumers'))
    .description('Print how far the functions of a running app are with the streams that feed them.')
    .addCommand(replayCommand())
    .addHelpText('after', '\nExamples:\n  npx mimamori consumers\n  npx mimamori consumers replay averages --from 7d')
    .action(async (options: ConsumersOptions) => {
      endWithReader();
      const shown = await askOperator<ShownConsumer[]>(options, consumersPath);
      if (!options.json) return print(consumersText(shown));
      for (const consumer of shown) await print(JSON.stringify(consumer));
    });
}

function replayCommand(): Command {
  return asking(new Command('replay'))
    .description('Let one function see its stream again, e.g. after its code was corrected. No other is disturbed.')
    .argument('<function>')
    .addOption(
      new Option('--from <place>', 'oldest, newest, or a time such as 10m (ago), 7d or 2026-01-31T12:00:00Z')
        .argParser(place)
        .makeOptionMandatory(),
    )
    .addHelpText(
      'after',
      '\nWhat it has handled since then it handles again, marked as redelivered: effects keyed by the event are not repeated.',
    )
    .action(async (name: string, _options: unknown, command: Command) => {
      const options = givenOptions<ConsumersOptions & { readonly from: ReplayBody['from'] }>(command);
      const path = `${consumersPath}/${encodeURIComponent(name)}/replay`;
      const body: ReplayBody = { from: options.from };
      const answer = await askOperator<{ replayed: string }>(options, path, { method: 'POST', body });
      await print(
        options.json ? JSON.stringify(answer) : `${name} begins again. \`mimamori consumers\` shows how far it is.`,
      );
    });
}

function asking(command: Command): Command {
  return command.addOption(dataOption()).addOption(urlOption()).addOption(jsonOption());
}

function place(text: string): ReplayBody['from'] {
  if (text === 'oldest' || text === 'newest') return text;
  try {
    return momentMs(text);
  } catch {
    throw new InvalidArgumentError('Give oldest, newest, or a time such as 10m (ago) or 2026-01-31T12:00:00Z.');
  }
}

export function consumersText(shown: readonly ShownConsumer[]): string {
  if (shown.length === 0) return 'No function reads a stream.';
  const head = [
    'function',
    'shard',
    'behind',
    'records',
    'in hand',
    'waiting',
    'handled',
    'filtered',
    'dead',
    'expired',
    'retries',
  ];
  const number = (value: number) => value.toLocaleString('en');
  const rows = shown.map(each => [
    printable(each.consumer),
    printable(each.shardId),
    `${number(Math.round(each.iteratorAgeMs / 100) / 10)} s`,
    each.recordsBehind === undefined ? '-' : number(each.recordsBehind),
    ...[each.inFlight, each.waiting, each.handled, each.filtered, each.deadLettered, each.expired, each.retries].map(
      number,
    ),
  ]);
  return columns([head, ...rows], 2).join('\n');
}
