/** Tells what became of one message. Asks a running backend. */
import { Command, InvalidArgumentError } from 'commander';
import type { Explanation } from '../app/index.ts';
import { explainPath } from '../http/operator/paths.ts';
import { explanationText } from './explain-text.ts';
import { askOperator, type OperatorTarget, urlOption } from './operator.ts';
import { dataOption, jsonOption, momentMs } from './options.ts';

interface ExplainOptions extends OperatorTarget {
  readonly json?: true;
}

export function explainCommand(): Command {
  return new Command('explain')
    .description('Tell the path and the fate of one message: when it came, what each consumer did with it, and why.')
    .argument('<thing>', 'whose it is')
    .argument('<which>', 'about when it came (10m, an ISO time), or its id: <shardId>:<number>, or the number', which)
    .addOption(dataOption())
    .addOption(urlOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Ids stand in logs and dead letters. The stream holds messages for a day by default.

Examples:
  mimamori explain spk-1 2026-01-31T12:00:05Z
  mimamori explain spk-1 shardId-000000000000:4711`,
    )
    .action(async (thing: string, which: Record<string, string>, options: ExplainOptions) => {
      const parameters = new URLSearchParams({ thing, ...which });
      const explanation = await askOperator<Explanation>(options, `${explainPath}?${parameters}`);
      console.log(options.json ? JSON.stringify(explanation) : explanationText(explanation));
    });
}

/** As the backend is asked: by id or by time. */
function which(text: string): Record<string, string> {
  if (/^(shardId-\d{12}:)?\d{1,20}$/.test(text)) return { id: text };
  if (text.startsWith('shardId-')) throw new InvalidArgumentError('Give an id such as shardId-000000000000:4711.');
  return { atMs: String(momentMs(text)) };
}
