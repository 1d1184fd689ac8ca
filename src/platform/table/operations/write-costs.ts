/** What a decided write costs, part by part: the table, and each index whose entry it touches. */
import type { Part } from '../capacity/consumed.ts';
import { type EntryChange, entryWriteUnits, transactionalWriteUnits, writeUnits } from '../capacity/units.ts';
import { isIndexMember } from '../storage/index-entries.ts';
import { viewOf } from '../storage/index-view.ts';
import { type IndexLayout, type KeySchema, keyAttributes, type TableLayout } from '../storage/layout.ts';
import { compareBytes, equals, type Item, type Value } from '../values/value.ts';
import type { DecidedWrite, PlannedWrite } from './writes.ts';

export interface Cost {
  readonly part: Part;
  readonly units: number;
}

export function tablePartOf({ table, key }: Pick<PlannedWrite, 'table' | 'key'>): Part {
  return { kind: 'write', table, partition: partitionOf(table.keys, key) };
}

/** The table's part first. */
export function writeCosts(
  decided: DecidedWrite,
  { isTransactional }: { readonly isTransactional: boolean },
): readonly Cost[] {
  const { plan, stored, next } = decided;
  const bytes = Math.max(stored?.bytes ?? 0, next?.bytes ?? 0);
  const units = isTransactional ? transactionalWriteUnits(bytes) : writeUnits(bytes);
  const costs: Cost[] = [{ part: tablePartOf(plan), units }];
  if (plan.table.indexes.length === 0 || isSame(decided)) return costs;
  for (const index of plan.table.indexes) addEntryCosts(costs, decided, index);
  return costs;
}

function isSame({ stored, next }: DecidedWrite): boolean {
  if (stored === undefined || next === undefined) return stored === next;
  return stored.bytes === next.bytes && compareBytes(stored.encoded, next.encoded) === 0;
}

function addEntryCosts(costs: Cost[], { plan, stored, next }: DecidedWrite, index: IndexLayout): void {
  const { table } = plan;
  const before = memberOf(index, stored);
  const after = memberOf(index, next);
  const view = viewOf(table, index);
  const { left, entered } = entryWriteUnits({
    beforeBytes: before && view.measure(before.item, before.bytes),
    afterBytes: after && view.measure(after.item, after.bytes),
    kind: before !== undefined && after !== undefined ? changeOf(table, index, before.item, after.item) : 'changed',
  });
  const part = (item: Item): Part => ({ kind: 'write', table, index, partition: partitionOf(index.keys, item) });
  if (before !== undefined && left > 0) costs.push({ part: part(before.item), units: left });
  if (after !== undefined && entered > 0) costs.push({ part: part(after.item), units: entered });
}

interface Sized {
  readonly item: Item;
  readonly bytes: number;
}

function memberOf(index: IndexLayout, sized: Sized | undefined): Sized | undefined {
  return sized !== undefined && isIndexMember(index, sized.item) ? sized : undefined;
}

function changeOf(table: TableLayout, index: IndexLayout, before: Item, after: Item): EntryChange['kind'] {
  if (!keyAttributes(index.keys).every(({ name }) => equals(before[name], after[name]))) return 'moved';
  const view = viewOf(table, index);
  return equals(view.cut(before), view.cut(after)) ? 'unchanged' : 'changed';
}

export function partitionOf({ partitionKeys }: KeySchema, item: Item): readonly Value[] {
  return partitionKeys.map(({ name }) => item[name]);
}
