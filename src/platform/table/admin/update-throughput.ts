/** Billing mode and provisioned capacity of a table and its global indexes, as UpdateTable changes them. */
import type { ProvisionedThroughput, UpdateTableCommandInput } from '@aws-sdk/client-dynamodb';
import { invalid, limitExceeded, resourceNotFound } from '../errors.ts';
import { noThroughput, type StoredIndex, type StoredTable, type Throughput } from '../storage/stored-table.ts';
import { limitsFrom, notValid } from './schema.ts';
import { decreasesOn } from './table-description.ts';

interface Times {
  readonly nowMs: number;
  /** When the table will be active again. */
  readonly doneAtMs: number;
}

const unitsMax = 1_000_000_000_000; // DynamoDB ProvisionedThroughput
const decreasesAtOnceMax = 4; // DynamoDB quota "decreasing provisioned throughput": later ones once an hour
const decreaseAgainMs = 3_600_000;

/** @returns the table as it becomes, and as it is while it is being updated */
export function updateThroughput(
  before: StoredTable,
  input: UpdateTableCommandInput,
  times: Times,
): { readonly after: StoredTable; readonly meanwhile: StoredTable } {
  checkUpdates(before, input);
  const mode = input.BillingMode ?? before.settings.billingMode;
  const isSwitching = mode !== before.settings.billingMode;
  if (mode === 'PAY_PER_REQUEST' && isSwitching) return { after: onDemand(before, times), meanwhile: before };
  const asked = new Map(
    (input.GlobalSecondaryIndexUpdates ?? []).flatMap(({ Update }) =>
      Update?.ProvisionedThroughput ? [[Update.IndexName, Update.ProvisionedThroughput]] : [],
    ),
  );
  if (isSwitching) checkAllIndexes(before, asked);
  const provision = (table: StoredTable, atMs: number, isDone: boolean): StoredTable => ({
    ...table,
    settings: {
      ...table.settings,
      billingMode: mode,
      throughput: changed(table.settings.throughput, input.ProvisionedThroughput, { atMs, isDone, isSwitching }),
    },
    indexes: table.indexes.map(index => ({
      ...withLimits(index, input),
      ...(asked.has(index.indexName) && {
        throughput: changed(index.throughput ?? noThroughput, asked.get(index.indexName), {
          atMs,
          isDone,
          isSwitching,
        }),
      }),
    })),
  });
  checkDecreases(before, input.ProvisionedThroughput, times.nowMs);
  return { after: provision(before, times.doneAtMs, true), meanwhile: provision(before, times.nowMs, false) };
}

function checkUpdates({ settings, indexes, ...stored }: StoredTable, input: UpdateTableCommandInput): void {
  const isOnDemand = (input.BillingMode ?? settings.billingMode) === 'PAY_PER_REQUEST';
  if (input.ProvisionedThroughput !== undefined) {
    if (isOnDemand) {
      throw invalid(
        `${notValid}Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST`,
      );
    }
    if (input.BillingMode === undefined || input.BillingMode === settings.billingMode) {
      refuseSame('table', settings.throughput, input.ProvisionedThroughput);
    }
  }
  for (const { Update } of input.GlobalSecondaryIndexUpdates ?? []) {
    const { IndexName = '', ProvisionedThroughput: units } = Update ?? {};
    if (Update === undefined) continue;
    if ((units?.ReadCapacityUnits ?? 0) > unitsMax || (units?.WriteCapacityUnits ?? 0) > unitsMax) {
      throw invalid(
        'This operation cannot be performed with given input values. Please contact DynamoDB service team for more info: Action Blocked: IndexUpdate',
      );
    }
    const index = indexes.find(each => each.kind === 'global' && each.indexName === IndexName);
    if (index === undefined) {
      throw resourceNotFound(
        `Requested resource not found: Table: ${stored.tableName} does not have the global secondary index: ${IndexName}`,
      );
    }
    if (units === undefined) continue;
    if (isOnDemand) {
      throw invalid(
        `${notValid}ProvisionedThroughput should not be specified for index: ${IndexName} when BillingMode is PAY_PER_REQUEST`,
      );
    }
    refuseSame(`index ${IndexName}`, index.throughput ?? noThroughput, units);
  }
}

function refuseSame(what: string, { read, write }: Throughput, asked: ProvisionedThroughput): void {
  const { ReadCapacityUnits, WriteCapacityUnits } = asked;
  if (ReadCapacityUnits !== read || WriteCapacityUnits !== write) return;
  const kind = what === 'table' ? 'table' : 'index';
  throw invalid(
    `The provisioned throughput for the ${what} will not change. The requested value equals the current value. ` +
      `Current ReadCapacityUnits provisioned for the ${kind}: ${read}. Requested ReadCapacityUnits: ${ReadCapacityUnits}. ` +
      `Current WriteCapacityUnits provisioned for the ${kind}: ${write}. Requested WriteCapacityUnits: ${WriteCapacityUnits}. ` +
      'Refer to the Amazon DynamoDB Developer Guide for current limits and how to request higher limits.',
  );
}

function checkAllIndexes({ indexes }: StoredTable, asked: ReadonlyMap<string | undefined, unknown>): void {
  const missing = indexes.filter(({ kind, status, indexName }) => {
    return kind === 'global' && status !== 'dropping' && !asked.has(indexName);
  });
  if (missing.length === 0) return;
  const names = missing.map(({ indexName }) => indexName).join(',');
  throw invalid(`${notValid}ProvisionedThroughput must be specified for index: ${names}`);
}

function checkDecreases(
  { settings: { throughput } }: StoredTable,
  asked: ProvisionedThroughput | undefined,
  nowMs: number,
): void {
  if (asked === undefined || !isDecrease(throughput, asked)) return;
  const { decreasedAtMs = 0 } = throughput;
  if (decreasesOn(throughput, nowMs) < decreasesAtOnceMax || nowMs >= decreasedAtMs + decreaseAgainMs) return;
  throw limitExceeded(
    'Subscriber limit exceeded: Provisioned throughput decreases are limited within a given UTC day. After the first 4 decreases, each subsequent decrease in the same UTC day can be performed at most once every 3600 seconds. ' +
      `Number of decreases today: ${decreasesOn(throughput, nowMs)}. Last decrease at ${new Date(decreasedAtMs).toUTCString()}. ` +
      `Next decrease can be made at ${new Date(decreasedAtMs + decreaseAgainMs).toUTCString()}`,
  );
}

function isDecrease({ read, write }: Throughput, asked: ProvisionedThroughput): boolean {
  return (asked.ReadCapacityUnits ?? 0) < read || (asked.WriteCapacityUnits ?? 0) < write;
}

interface Change {
  readonly atMs: number;
  /** Otherwise the units are told as they were. */
  readonly isDone: boolean;
  readonly isSwitching: boolean;
}

function changed(before: Throughput, asked: ProvisionedThroughput | undefined, change: Change): Throughput {
  if (asked === undefined) return before;
  const { ReadCapacityUnits: read = 0, WriteCapacityUnits: write = 0 } = asked;
  const isIncrease = read > before.read || write > before.write;
  const isDecreasing = isDecrease(before, asked);
  return {
    ...before,
    ...((change.isDone || change.isSwitching) && { read, write }),
    ...(isIncrease && { increasedAtMs: change.atMs }),
    ...(isDecreasing && {
      decreasedAtMs: change.atMs,
      // What was counted on another day is over.
      decreasesToday: decreasesOn(before, change.atMs) + (change.isDone ? 1 : 0),
    }),
  };
}

function withLimits(index: StoredIndex, { GlobalSecondaryIndexUpdates = [] }: UpdateTableCommandInput): StoredIndex {
  const update = GlobalSecondaryIndexUpdates.find(({ Update }) => Update?.IndexName === index.indexName)?.Update;
  return update === undefined ? index : { ...index, ...limitsFrom(update) };
}

function onDemand(before: StoredTable, { doneAtMs }: Times): StoredTable {
  return {
    ...before,
    settings: {
      ...before.settings,
      billingMode: 'PAY_PER_REQUEST',
      tellsBillingMode: true,
      onDemandSinceMs: doneAtMs,
      throughput: { ...before.settings.throughput, read: 0, write: 0 },
    },
    indexes: before.indexes.map(index => ({
      ...index,
      ...(index.throughput && { throughput: { ...index.throughput, read: 0, write: 0 } }),
    })),
  };
}
