/** The functions of an app as a person reads them. */
import type { AppFunctionReport } from '../app/index.ts';
import type { FunctionsAnswer } from '../http/index.ts';
import { printable } from './report.ts';
import { columns } from './table-text.ts';

export function functionsText({ functions, prices }: FunctionsAnswer): string {
  if (functions.length === 0) return 'The app has no functions, and no route has been called.';
  const sorted = functions.toSorted((left, right) => right.invocations - left.invocations);
  const advised = sorted.filter(({ advice }) => advice !== undefined);
  const stopped = sorted.filter(({ breaker }) => breaker !== 'closed');
  const sections = [
    `Since the app was started, or last restarted:\n${didText(sorted)}`,
    ...stopped.map(stopText),
    ...(advised.length === 0 ? [] : [lambdaText(advised, prices)]),
  ];
  return sections.join('\n\n');
}

function didText(functions: readonly AppFunctionReport[]): string {
  const head = ['function', 'for', 'runs', 'errors', 'time-outs', 'refused', 'p50', 'p99', 'now', 'waiting', 'budget'];
  const rows = functions.map(report => [
    printable(report.functionName),
    report.isIsolated ? `${report.kind}, isolated` : report.kind,
    count(report.invocations),
    count(report.errors + report.strayErrors),
    count(report.timeouts),
    count(report.throttles + report.stops),
    ms(report.durationMs.p50),
    ms(report.durationMs.p99),
    `${count(report.running)}/${count(report.concurrencyMax)}`,
    count(report.waiting + report.queued),
    report.hasBudget || report.budgetUsedShare >= 0.01 ? `${Math.round(report.budgetUsedShare * 100)}%` : '-',
  ]);
  return columns([head, ...rows], 2).join('\n');
}

function stopText({ functionName, breaker }: AppFunctionReport): string {
  const name = printable(functionName);
  return breaker === 'stopped'
    ? `${name} is stopped: it has used what it may. Find out who calls it so often, then: mimamori functions reset ${name}`
    : `${name} waits for the next minute: its budget is used up.`;
}

function lambdaText(functions: readonly AppFunctionReport[], prices: FunctionsAnswer['prices']): string {
  const head = [
    'on Lambda',
    'because of',
    'memory',
    'takes',
    'a million',
    'measured: processor',
    'memory',
    'cold starts',
  ];
  const rows = functions.flatMap(({ functionName, advice, cpuMs, memoryBytesMax, coldStarts }) => {
    if (advice === undefined) return [];
    const { memoryMegabytes, boundBy, durationMs, dollarsPerMillion } = advice;
    return [
      [
        printable(functionName),
        boundBy,
        `${memoryMegabytes} MB`,
        ms(durationMs),
        `$${dollarsPerMillion.toFixed(2)}`,
        cpuMs === undefined ? '-' : ms(cpuMs),
        memoryBytesMax === undefined ? '-' : `${Math.ceil(memoryBytesMax / 2 ** 20)} MB`,
        coldStarts.count === 0 ? '-' : `${count(coldStarts.count)} of ${ms(coldStarts.averageMs)}`,
      ],
    ];
  });
  const notes = [
    'The size at which duration times price is least; what is not measured (-) is not taken into account. Memory is measured of',
    'isolated functions, the processor of these and of what runs alone. Other processors are faster or slower than this one.',
    `Estimates at list prices (${prices.region}, ${prices.architecture}, ${prices.asOf}), never a bill.`,
  ];
  return [...columns([head, ...rows], 2), ...notes].join('\n');
}

function count(value: number): string {
  return value.toLocaleString('en-US');
}

function ms(value: number): string {
  if (value === 0) return '-';
  return value < 10 ? `${value.toFixed(1)} ms` : `${Math.round(value).toLocaleString('en-US')} ms`;
}
