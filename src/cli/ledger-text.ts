/** The ledger as a person reads it. */
import type { LedgerRow, LedgerTotals, ShownImbalance } from '../app/index.ts';
import { timeText } from './dead-letters-text.ts';
import { whole } from './progress.ts';
import { printable } from './report.ts';
import { columns } from './table-text.ts';

const headings = ['received', 'handled', 'filtered', 'dead', 'expired', 'in flight', 'missing'];

function cells(sums: LedgerRow | LedgerTotals): string[] {
  const { received, handled, filtered, deadLettered, expired, inFlight, missing } = sums;
  return [received, handled, filtered, deadLettered, expired, inFlight, missing].map(whole);
}

export function totalsText(
  totals: readonly LedgerTotals[],
  imbalances: readonly ShownImbalance[],
  sinceMs: number,
): string {
  if (totals.length === 0) return 'No consumer has begun.';
  const rows = totals.map(each => [printable(each.consumer), ...cells(each)]);
  const checked = totals.map(({ checkedUpToMs }) => checkedUpToMs ?? 0).reduce((least, each) => Math.min(least, each));
  const isBalanced = totals.every(({ missing }) => missing === 0);
  const verdict = isBalanced
    ? `It balances${checked === 0 ? '; no minute is compared yet' : `; compared up to ${timeText(checked)}`}.`
    : 'It does NOT balance.';
  const found = imbalances.length === 0 ? [] : ['', 'Found, newest first:', ...imbalances.map(imbalanceText)];
  return [`Since ${timeText(sinceMs)}:`, ...columns([['consumer', ...headings], ...rows], 1), verdict, ...found].join(
    '\n',
  );
}

export function rowsText(rows: readonly LedgerRow[]): string {
  const lines = rows.map(row => [
    timeText(row.minuteAtMs).slice(0, -3), // without the seconds
    printable(row.thingName ?? '(others)'),
    printable(row.consumer),
    ...cells(row),
  ]);
  return columns([['minute', 'thing', 'consumer', ...headings], ...lines], 3).join('\n');
}

export function imbalanceText(found: ShownImbalance): string {
  const { consumer, minuteAtMs, thingName, received, handled, filtered, deadLettered, expired } = found;
  const settled = handled + filtered + deadLettered + expired;
  const what = consumer === '$stream' ? `${settled} are in the stream` : `${settled} came to an end for ${consumer}`;
  return `  ${timeText(minuteAtMs).slice(0, -3)}  ${printable(thingName ?? '(others)')}: ${received} received, ${what}`;
}
