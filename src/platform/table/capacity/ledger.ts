/**
 * What was used, by table, index, access pattern and function, and by which partition keys: the capacity ledger. Tells
 * the invocation that calls, too.
 */
import type { Caller } from '../../../kernel/callers.ts';
import type { Clock } from '../../../kernel/clock.ts';
import { numberText } from '../values/decimal.ts';
import type { Value } from '../values/value.ts';
import { HotKeys } from './hot-keys.ts';
import { LastMinute } from './last-minute.ts';
import type { Meter, Use } from './meter.ts';

export const ledgerLimits = {
  rowsMax: 2_000, // ours: tables × indexes × patterns × functions; what comes later is counted as "(others)"
  hotKeysMax: 256, // ours: counters per table or index and kind; finds every key above 0.4 % of the use
  keyTextMax: 120, // ours: what a listing shows of a key
  fadeMs: 60_000, // ours: half of the heat is gone after a minute
} as const;

export interface LedgerRow {
  readonly kind: 'read' | 'write';
  readonly tableName: string;
  readonly indexName?: string;
  readonly accessPattern?: string;
  readonly functionName?: string;
  /** Parts of calls: a write is one to the table and one to each index entry that it changes. */
  readonly parts: number;
  readonly units: number;
  /** Of these, the ones of the last minute, to ten seconds. */
  readonly lastMinuteUnits: number;
}

/** How often somebody has called, in whole calls. */
export interface CallRow {
  readonly accessPattern?: string;
  readonly functionName?: string;
  readonly calls: number;
}

export interface HotPartition {
  readonly kind: 'read' | 'write';
  readonly tableName: string;
  readonly indexName?: string;
  readonly partition: string;
  /** Units used, the older the less: half after a minute. */
  readonly units: number;
  /** Its share of what this table or index has used, 0–1. */
  readonly share: number;
}

interface Row {
  readonly use: Pick<Use, 'kind' | 'tableName' | 'indexName'> & { accessPattern?: string; functionName?: string };
  /** Of its table or index; undefined when there are too many. */
  readonly heat: Heat | undefined;
  parts: number;
  units: number;
  readonly lastMinute: LastMinute;
}

interface Heat {
  readonly use: Pick<Use, 'kind' | 'tableName' | 'indexName'>;
  readonly keys: HotKeys;
  units: number;
}

export class CapacityLedger implements Meter {
  readonly #clock: Clock;
  readonly #rows = new Map<string, Row>();
  readonly #calls = new Map<string, { readonly caller: Omit<CallRow, 'calls'>; calls: number }>();
  readonly #heats = new Map<string, Heat>();
  #fadedAtMs: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#fadedAtMs = clock.monotonicMs();
  }

  begin(caller: Caller | undefined): void {
    const { accessPattern, functionName } = caller ?? {};
    const key = `${accessPattern ?? ''}\n${functionName ?? ''}`;
    let row = this.#calls.get(key);
    if (row === undefined) {
      if (this.#calls.size >= ledgerLimits.rowsMax) return;
      row = { caller: named({ accessPattern, functionName }), calls: 0 };
      this.#calls.set(key, row);
    }
    row.calls++;
  }

  admit(): void {}

  charge(use: Use, units: number): void {
    const nowMs = this.#clock.monotonicMs();
    const row = this.#rowOf(use);
    row.parts++;
    row.units += units;
    row.lastMinute.add(nowMs, units);
    use.caller?.calls?.noteUnits(use.kind, units);
    if (use.partition === undefined) return;
    this.#fade(nowMs);
    const { heat = this.#heatOf(use) } = row;
    if (heat === undefined) return;
    heat.keys.add(partitionText(use.partition), units);
    heat.units += units;
  }

  calls(): CallRow[] {
    return [...this.#calls.values()].map(({ caller, calls }) => ({ ...caller, calls }));
  }

  /** The most used first. */
  rows(): LedgerRow[] {
    const nowMs = this.#clock.monotonicMs();
    const all = [...this.#rows.values()].map(({ use, parts, units, lastMinute }) => {
      return { ...use, parts, units, lastMinuteUnits: lastMinute.sum(nowMs) };
    });
    return all.sort((left, right) => right.units - left.units);
  }

  /** The hottest partition keys of all tables and indexes, the hottest first. */
  hotPartitions(count: number): HotPartition[] {
    this.#fade(this.#clock.monotonicMs());
    const all = [...this.#heats.values()].flatMap(({ use: { kind, tableName, indexName }, keys, units: total }) =>
      keys.hottest(count).map(({ key, units }) => ({
        kind,
        tableName,
        ...named({ indexName }),
        partition: shortened(key),
        units,
        share: total === 0 ? 0 : Math.min(units / total, 1),
      })),
    );
    return all.sort((left, right) => right.units - left.units).slice(0, count);
  }

  #rowOf({ kind, tableName, indexName, caller }: Use): Row {
    const { accessPattern, functionName } = caller ?? {};
    const key = `${kind}\n${tableName}\n${indexName ?? ''}\n${accessPattern ?? ''}\n${functionName ?? ''}`;
    const known = this.#rows.get(key);
    if (known !== undefined) return known;
    if (this.#rows.size >= ledgerLimits.rowsMax) return this.#othersOf(kind);
    const use = { kind, tableName, ...named({ indexName, accessPattern, functionName }) };
    const heat = this.#heatOf({ kind, tableName, indexName });
    const row = { use, heat, parts: 0, units: 0, lastMinute: new LastMinute() };
    this.#rows.set(key, row);
    return row;
  }

  #othersOf(kind: Use['kind']): Row {
    const key = `${kind}\n(others)`;
    const use = { kind, tableName: '(others)' };
    const row = this.#rows.get(key) ?? { use, heat: undefined, parts: 0, units: 0, lastMinute: new LastMinute() };
    this.#rows.set(key, row);
    return row;
  }

  #heatOf({ kind, tableName, indexName }: Heat['use']): Heat | undefined {
    const key = `${kind}\n${tableName}\n${indexName ?? ''}`;
    let heat = this.#heats.get(key);
    if (heat === undefined) {
      if (this.#heats.size >= ledgerLimits.rowsMax) return undefined;
      heat = { use: { kind, tableName, indexName }, keys: new HotKeys(ledgerLimits.hotKeysMax), units: 0 };
      this.#heats.set(key, heat);
    }
    return heat;
  }

  #fade(nowMs: number): void {
    if (nowMs - this.#fadedAtMs < ledgerLimits.fadeMs) return;
    const times = Math.min(Math.floor((nowMs - this.#fadedAtMs) / ledgerLimits.fadeMs), 64); // by then nothing is left
    this.#fadedAtMs = nowMs;
    for (const heat of this.#heats.values()) {
      for (let time = 0; time < times; time++) heat.keys.fade();
      heat.units /= 2 ** times;
    }
  }
}

/** Without those that are not there. */
function named<Name extends string>(names: Record<Name, string | undefined>): { [Each in Name]?: string } {
  const given = Object.entries(names).filter(([, name]) => name !== undefined);
  return Object.fromEntries(given) as { [Each in Name]?: string }; // fromEntries forgets the names
}

/** As a person would write it; never used as a key of anything stored. */
export function partitionText(partition: readonly Value[]): string {
  return partition.length === 1 ? valueText(partition[0]) : partition.map(valueText).join(' | ');
}

function shortened(text: string): string {
  return text.length > ledgerLimits.keyTextMax ? `${text.slice(0, ledgerLimits.keyTextMax)}…` : text;
}

function valueText(value: Value): string {
  if (typeof value === 'string') return value;
  if (value instanceof Uint8Array) return `0x${Buffer.from(value).toString('hex')}`;
  return typeof value === 'number' ? numberText(value) : String(value);
}
