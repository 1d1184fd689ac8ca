/** Shows the ledger of a running backend: what was received, and what became of it. */
import { Command, Option } from 'commander';
import type { AuditProgress, AuditResult, LedgerRow, LedgerTotals, ShownImbalance } from '../app/index.ts';
import { ledgerPath } from '../http/operator/paths.ts';
import { untilStopped } from './aborting.ts';
import { imbalanceText, rowsText, totalsText } from './ledger-text.ts';
import { askOperator, followOperator, type OperatorTarget, urlOption } from './operator.ts';
import { dataOption, jsonOption, momentMs } from './options.ts';
import { endWithReader, print } from './output.ts';
import { progressFor, whole } from './progress.ts';

interface LedgerOptions extends OperatorTarget {
  readonly thing?: string;
  readonly consumer?: string;
  readonly since: number;
  readonly until?: number;
  readonly rows?: true;
  readonly csv?: true;
  readonly check?: true;
  readonly json?: true;
}

const hourMs = 3_600_000;

export function ledgerCommand(): Command {
  return new Command('ledger')
    .description('Print what was received and what became of it: handled, filtered, dead-lettered, expired, in flight.')
    .addOption(dataOption())
    .addOption(urlOption())
    .option('--thing <name>', 'of this thing, minute by minute')
    .option('--consumer <name>', 'for this consumer only')
    .addOption(
      new Option('--since <time>', 'such as 10m, 2h, 1d, or an ISO time; default: an hour ago')
        .default(Date.now() - hourMs, '1h')
        .argParser(momentMs),
    )
    .addOption(new Option('--until <time>', 'the same').argParser(momentMs))
    .option('--rows', 'a line for each minute, thing and consumer')
    .option('--csv', 'the same, as comma-separated values')
    .option('--check', 'count the stream once more and compare; exit code 1 when it does not balance')
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
For every consumer: received = handled + filtered + dead-lettered + expired + in flight. When a minute is over and a
consumer is past it, nothing is in flight any more; what is missing then is an alarm.

Examples:
  mimamori ledger
  mimamori ledger --thing spk-1 --since 2h
  mimamori ledger --since 1d --csv > ledger.csv`,
    )
    .action(async (options: LedgerOptions) => {
      endWithReader();
      const isInRows = options.csv || options.rows || options.json || options.thing !== undefined;
      const show = options.check ? check : isInRows ? rows : totals;
      await untilStopped(signal => show(options, signal));
    });
}

function parametersOf({ thing: thingName, consumer, since: sinceMs, until: untilMs }: LedgerOptions): string {
  const given = Object.entries({ thingName, consumer, sinceMs, untilMs }).filter(([, value]) => value !== undefined);
  return String(new URLSearchParams(Object.fromEntries(given.map(([name, value]) => [name, String(value)]))));
}

async function totals(options: LedgerOptions, signal: AbortSignal): Promise<void> {
  const answer = await askOperator<{ totals: LedgerTotals[]; imbalances: ShownImbalance[] }>(
    options,
    `${ledgerPath}?${parametersOf(options)}`,
    { signal: AbortSignal.any([signal, AbortSignal.timeout(answerMsMax)]) },
  );
  await print(totalsText(answer.totals, answer.imbalances, options.since));
}

const answerMsMax = 60_000; // ours: a week of a large fleet

const columnNames = [
  'minuteAtMs',
  'consumer',
  'thingName',
  'received',
  'handled',
  'filtered',
  'deadLettered',
  'expired',
  'inFlight',
  'missing',
] as const;

async function rows(options: LedgerOptions, signal: AbortSignal): Promise<void> {
  const found = followOperator<LedgerRow>(options, `${ledgerPath}/rows?${parametersOf(options)}`, { signal });
  if (options.csv) await print(columnNames.join(','));
  const table: LedgerRow[] = [];
  for await (const row of found) {
    if (options.json) await print(JSON.stringify(row));
    else if (options.csv) await print(columnNames.map(name => csvText(row[name])).join(','));
    else if (table.push(row) >= rowsAtOnce) await print(rowsText(table.splice(0)));
  }
  if (options.json || options.csv) return;
  await print(table.length === 0 ? 'Nothing was received.' : rowsText(table));
}

const rowsAtOnce = 5_000; // ours: columns are as wide as these need

/** RFC 4180; and nothing that a spreadsheet would take for a formula. */
function csvText(value: string | number | null): string {
  if (typeof value === 'number') return String(value);
  const text = value === null ? '' : value.replace(/^[=+\-@\t\r]/, "'$&");
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

async function check(options: LedgerOptions, signal: AbortSignal): Promise<void> {
  const progress = progressFor({ json: options.json === true });
  let result: AuditResult | undefined;
  const lines = followOperator<AuditProgress | AuditResult>(options, `${ledgerPath}/check`, { signal });
  for await (const line of lines) {
    if ('isBalanced' in line) result = line;
    else progress.show({ step: 'Counting', items: line.records, itemsExpected: line.records });
  }
  progress.end();
  if (result === undefined || !result.isBalanced) process.exitCode = 1;
  if (options.json) return print(JSON.stringify({ event: 'done', ...result }));
  if (result === undefined) return print('It was not counted to the end.');
  const counted = `${whole(result.records)} records of ${whole(result.minutes)} minutes were counted again.`;
  await print(
    result.isBalanced
      ? `${counted} Everything balances.`
      : `${counted}\n${result.imbalances.map(imbalanceText).join('\n')}`,
  );
}
