/** A capacity report as a person reads it. */
import type { CapacityReport, PatternUse } from '../app/index.ts';
import { printable } from './report.ts';
import { columns } from './table-text.ts';

export function capacityText(report: CapacityReport, top: number): string {
  const { sinceMs, nowMs, prices, patterns, hotPartitions, nPlusOne } = report;
  const { read, write } = prices.dollarsPerMillion;
  const sections = [
    `Used since ${new Date(sinceMs).toISOString()} (${durationText(nowMs - sinceMs)}); in brackets the last minute.`,
    patternsText(patterns, top),
    `Prices: DynamoDB on demand in ${prices.region}, $${write} per million write units and $${read} per million read units (list of ${prices.asOf}); an estimate, not a bill.`,
    hotPartitions.length === 0 ? 'No hot keys.' : `Hot keys, of late:\n${hotText(hotPartitions)}`,
    nPlusOne.length === 0
      ? 'No list was read piece by piece (N+1).'
      : `Lists read piece by piece (N+1):\n${findingsText(nPlusOne.slice(0, top))}`,
  ];
  return `${sections.join('\n\n')}\n`;
}

function patternsText(patterns: readonly PatternUse[], top: number): string {
  const rows = patterns
    .slice(0, top)
    .map(use => [
      printable(use.accessPattern ?? '(no pattern)'),
      printable(use.functionName ?? '(no function)'),
      number(use.calls),
      units(use.readUnits, use.lastMinuteReadUnits),
      units(use.writeUnits, use.lastMinuteWriteUnits),
      `${Math.round(use.share * 100)}%`,
      `$${use.dollars.toFixed(6)}`,
    ]);
  const rest = patterns.slice(top);
  const left = rest.length === 0 ? [] : [`… and ${rest.length} more; --top ${patterns.length} shows all.`];
  const head = ['pattern', 'function', 'calls', 'read units', 'write units', 'share', 'cost'];
  return [...columns([head, ...rows], 2), ...left].join('\n');
}

function hotText(hotPartitions: CapacityReport['hotPartitions']): string {
  const rows = hotPartitions.map(({ partition, kind, tableName, indexName, units, share }) => [
    printable(partition),
    kind,
    indexName === undefined ? tableName : `${tableName}/${indexName}`,
    `${number(units)} units`,
    `${Math.round(share * 100)}%`,
  ]);
  return columns(rows, 3).join('\n');
}

function findingsText(findings: CapacityReport['nPlusOne']): string {
  const lines = findings.map(({ functionName, operation, target, callsMax, invocations, line, fix }) => {
    const what = `${printable(functionName)}: ${operation} ${printable(target)}, up to ${callsMax} times`;
    return `  ${what} (in ${number(invocations)} invocations)\n    ${line ?? 'place unknown'}\n    ${fix}`;
  });
  return lines.join('\n');
}

function units(all: number, lastMinute: number): string {
  return `${number(all)} (${number(lastMinute)})`;
}

function number(value: number): string {
  return (Math.round(value * 10) / 10).toLocaleString('en-US');
}

function durationText(ms: number): string {
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 1) return `${Math.floor(ms / 1_000)} s`;
  return minutes < 120 ? `${minutes} min` : `${Math.floor(minutes / 60)} h`;
}
