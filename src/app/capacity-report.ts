/** What an app has used of its table since it was started, and what it would cost on demand: for the operator only. */
import type { FunctionUse, NPlusOneFinding } from '../platform/functions/index.ts';
import { type CapacityLedger, type HotPartition, type LedgerRow, onDemandPrices } from '../platform/table/index.ts';

const reportLimits = {
  hotPartitionsDefault: 10,
  hotPartitionsMax: 100, // ours: what a listing can hold
} as const;

export interface CapacityReport {
  /** Unix epoch milliseconds: the start of the app, or the last one after a crash. */
  readonly sinceMs: number;
  readonly nowMs: number;
  /** By access pattern and function, the dearest first. */
  readonly patterns: readonly PatternUse[];
  /** The same by table, index and kind as well. */
  readonly rows: readonly LedgerRow[];
  /** Of invocations that have ended. */
  readonly functions: readonly FunctionUse[];
  /** Partition keys are data of users. */
  readonly hotPartitions: readonly HotPartition[];
  readonly nPlusOne: readonly NPlusOneFinding[];
  /** `dollars` are this list's; never a bill. */
  readonly prices: typeof onDemandPrices;
}

export interface PatternUse {
  /** Absent for calls that are made for no pattern, e.g. those on the table itself. */
  readonly accessPattern?: string;
  /** Absent for calls that no function makes, e.g. those over the endpoint. */
  readonly functionName?: string;
  readonly calls: number;
  readonly readUnits: number;
  readonly writeUnits: number;
  readonly lastMinuteReadUnits: number;
  readonly lastMinuteWriteUnits: number;
  readonly dollars: number;
  /** Its share of all dollars, 0–1. */
  readonly share: number;
}

export interface CapacitySources {
  readonly ledger: CapacityLedger;
  readonly invocations: { functions(): FunctionUse[]; findings(): NPlusOneFinding[] };
  readonly sinceMs: number;
  readonly nowMs: number;
}

export function capacityReport(
  { ledger, invocations, sinceMs, nowMs }: CapacitySources,
  hotPartitions: number = reportLimits.hotPartitionsDefault,
): CapacityReport {
  const rows = ledger.rows();
  return {
    sinceMs,
    nowMs,
    patterns: patternsOf(rows, ledger),
    rows,
    functions: invocations.functions(),
    hotPartitions: ledger.hotPartitions(Math.min(Math.max(hotPartitions, 1), reportLimits.hotPartitionsMax)),
    nPlusOne: invocations.findings(),
    prices: onDemandPrices,
  };
}

function patternsOf(rows: readonly LedgerRow[], ledger: CapacityLedger): PatternUse[] {
  const keyOf = (use: Pick<PatternUse, 'accessPattern' | 'functionName'>) =>
    JSON.stringify([use.accessPattern, use.functionName]);
  const used = Map.groupBy(rows, keyOf);
  const callRows = new Map(ledger.calls().map(row => [keyOf(row), row]));
  const uses = [...new Set([...used.keys(), ...callRows.keys()])].map(key => {
    const of = used.get(key) ?? [];
    const sum = (kind: LedgerRow['kind'], name: 'units' | 'lastMinuteUnits') =>
      of.reduce((units, row) => units + (row.kind === kind ? row[name] : 0), 0);
    const [readUnits, writeUnits] = [sum('read', 'units'), sum('write', 'units')];
    const { accessPattern, functionName } = of[0] ?? callRows.get(key) ?? {};
    return {
      ...(accessPattern !== undefined && { accessPattern }),
      ...(functionName !== undefined && { functionName }),
      calls: callRows.get(key)?.calls ?? 0,
      readUnits,
      writeUnits,
      lastMinuteReadUnits: sum('read', 'lastMinuteUnits'),
      lastMinuteWriteUnits: sum('write', 'lastMinuteUnits'),
      dollars: dollarsOf(readUnits, writeUnits),
    };
  });
  const total = uses.reduce((dollars, use) => dollars + use.dollars, 0);
  const shared = uses.map(use => ({ ...use, share: total === 0 ? 0 : use.dollars / total }));
  return shared.sort((left, right) => right.dollars - left.dollars || right.calls - left.calls);
}

function dollarsOf(readUnits: number, writeUnits: number): number {
  const { read, write } = onDemandPrices.dollarsPerMillion;
  return (readUnits * read + writeUnits * write) / 1e6;
}
