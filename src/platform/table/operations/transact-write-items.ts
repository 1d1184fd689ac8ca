import assert from 'node:assert/strict';
import type { TransactWriteCommandInput, TransactWriteCommandOutput } from '@aws-sdk/lib-dynamodb';
import type { StoreTransaction } from '../../../kernel/store.ts';
import { beginConsumption, type Consumption } from '../capacity/consumed.ts';
import { readUnits, transactionalWriteUnits } from '../capacity/units.ts';
import type { Door, Engine } from '../engine.ts';
import { type CancellationReason, invalid, TransactionCanceledError } from '../errors.ts';
import { tableLimits } from '../limits.ts';
import type { Answer } from '../port.ts';
import { ownValue, setOwn } from '../values/value.ts';
import { bindAll, reasonFor } from './cancellation.ts';
import { refuseDuplicates } from './same-item.ts';
import { tableOf } from './table-of.ts';
import { digestOf, findDone, type ReplayUnits, rememberDone } from './tokens.ts';
import { type Metrics, metricsOf } from './write-answer.ts';
import { type Cost, tablePartOf, writeCosts } from './write-costs.ts';
import {
  carryOut,
  type DecidedWrite,
  decide,
  type PlannedWrite,
  type ReadWrite,
  readDelete,
  readPut,
  readUpdateWrite,
} from './writes.ts';

type TransactItem = NonNullable<TransactWriteCommandInput['TransactItems']>[number];

interface Action {
  readonly tableName: string | undefined;
  readonly read: ReadWrite;
  readonly isCheck: boolean;
}

/** Several writes, all or none. Nobody else writes meanwhile, so there are no conflicts. */
export async function transactWriteItems(
  engine: Engine,
  input: TransactWriteCommandInput,
  door: Door,
): Promise<Answer<TransactWriteCommandOutput>> {
  const { TransactItems: items = [], ClientRequestToken: text } = input;
  const actions = items.map(item => readAction(item, door));
  refuseLarge(actions);
  const tables = actions.map(({ tableName }) => tableOf(engine, tableName));
  const { plans, reasons } = bindAll(actions, ({ read }, at) => read.bind(tables[at]));
  refuseDuplicates(plans, () => invalid('Transaction request cannot include multiple operations on one item'));
  const token = text === undefined ? undefined : { text, digest: digestOf(items) };
  const consumption = beginConsumption(engine, door, input.ReturnConsumedCapacity);
  const nowMs = engine.clock.nowMs();
  return engine.store.write(transaction => {
    const replay = token && findDone(transaction, token, nowMs);
    if (replay !== undefined) return replayAnswer(engine, replay, consumption);
    if (reasons !== undefined) throw new TransactionCanceledError(reasons);
    const checks = new Set(plans.filter((_, at) => actions[at].isCheck));
    const decided = runAll(transaction, engine, plans, checks, consumption);
    if (token !== undefined) rememberDone(transaction, token, replayUnitsOf(decided), nowMs);
    return {
      ...consumption?.answers('WriteCapacityUnits'),
      ...metricsAnswer(transaction, decided, checks, input, door),
    };
  });
}

function readAction(item: TransactItem, door: Door): Action {
  const { Put: put, Update: update, Delete: deletion, ConditionCheck: check } = item;
  if (put !== undefined) return { tableName: put.TableName, isCheck: false, read: readPut(put.Item, put, door) };
  if (update !== undefined) {
    const read = readUpdateWrite(update.Key, update, door, { measuresStatement: false });
    return { tableName: update.TableName, isCheck: false, read };
  }
  const keyed = deletion ?? check; // a check is a deletion that is decided and not carried out
  assert(keyed !== undefined); // the request was checked to say exactly one of the four
  return { tableName: keyed.TableName, isCheck: check !== undefined, read: readDelete(keyed.Key, keyed, door) };
}

function refuseLarge(actions: readonly Action[]): void {
  const bytes = actions.reduce((sum, { read }) => sum + read.requestBytes, 0);
  if (bytes <= tableLimits.transactionBytesMax) return;
  throw invalid(
    `The aggregate size of the items in the transaction cannot exceed ${tableLimits.transactionBytesMax} bytes`,
  );
}

/** Decides and admits everything first, then writes. */
function runAll(
  transaction: StoreTransaction,
  engine: Engine,
  plans: readonly PlannedWrite[],
  checks: ReadonlySet<PlannedWrite>,
  consumption: Consumption | undefined,
): readonly DecidedWrite[] {
  const decided: DecidedWrite[] = [];
  const costs: Cost[] = [];
  const reasons = plans.map(plan =>
    reasonFor(() => {
      consumption?.admit(tablePartOf(plan));
      const each = decide(transaction, plan, storedBytes =>
        consumption?.charge(tablePartOf(plan), transactionalWriteUnits(storedBytes)),
      );
      if (consumption !== undefined) {
        const parts = writeCosts(checks.has(plan) ? { ...each, next: each.stored } : each, { isTransactional: true });
        for (const { part } of parts) if (part.index !== undefined) consumption.admit(part);
        costs.push(...parts);
      }
      decided.push(each);
    }),
  );
  if (reasons.some(isFault)) throw new TransactionCanceledError(reasons);
  for (const each of decided) if (!checks.has(each.plan)) carryOut(transaction, engine, each);
  for (const { part, units } of costs) consumption?.charge(part, units);
  return decided;
}

function isFault({ Code }: CancellationReason): boolean {
  return Code !== 'None';
}

/** A repeated request reads what the first one wrote: the larger image of each item, transactionally. */
function replayUnitsOf(decided: readonly DecidedWrite[]): ReplayUnits {
  const units = new Map<string, number>();
  for (const { plan, stored, next } of decided) {
    const { tableName } = plan.table;
    const bytes = Math.max(stored?.bytes ?? 0, next?.bytes ?? 0);
    units.set(tableName, (units.get(tableName) ?? 0) + readUnits(bytes, 'transactional'));
  }
  return units;
}

function replayAnswer(engine: Engine, replay: ReplayUnits, consumption: Consumption | undefined) {
  if (consumption === undefined) return {};
  for (const [tableName, units] of replay) {
    consumption.charge({ kind: 'read', table: engine.catalog.table(tableName) }, units);
  }
  return consumption.answers('ReadCapacityUnits');
}

function metricsAnswer(
  transaction: StoreTransaction,
  decided: readonly DecidedWrite[],
  checks: ReadonlySet<PlannedWrite>,
  input: TransactWriteCommandInput,
  door: Door,
): { ItemCollectionMetrics?: Record<string, Metrics[]> } {
  const metrics: Record<string, Metrics[]> = {};
  for (const { plan } of decided) {
    if (checks.has(plan)) continue;
    const measured = metricsOf(transaction, plan.table, plan.key, input, door);
    if (measured === undefined) continue;
    const { tableName } = plan.table;
    setOwn(metrics, tableName, [...(ownValue(metrics, tableName) ?? []), measured]);
  }
  return Object.keys(metrics).length === 0 ? {} : { ItemCollectionMetrics: metrics };
}
