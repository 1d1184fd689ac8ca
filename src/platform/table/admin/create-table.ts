import type { CreateTableCommandInput, CreateTableCommandOutput, TableDescription } from '@aws-sdk/client-dynamodb';
import type { Engine } from '../engine.ts';
import { resourceInUse } from '../errors.ts';
import type { Answer } from '../port.ts';
import type { StoredIndex, StoredTable, TableSettings } from '../storage/stored-table.ts';
import { randomId } from '../storage/table-id.ts';
import { setStream } from '../streams/stream-state.ts';
import {
  checkProjectedNames,
  globalIndexFrom,
  keysFrom,
  limitsFrom,
  projectionFrom,
  throughputFrom,
} from './schema.ts';
import { describeStored } from './table-description.ts';
import { checkTags, tagsFrom } from './tags.ts';

/** The request's shape was checked before. The table is there when the promise resolves, but still says CREATING. */
export async function createTable(
  engine: Engine,
  input: CreateTableCommandInput,
): Promise<Answer<CreateTableCommandOutput>> {
  const { catalog, clock, transitions } = engine;
  const tableName = input.TableName ?? '';
  const base = tableFrom(input, clock.nowMs(), randomId(engine.random));
  const description = await catalog.change(change => {
    if (catalog.find(tableName) !== undefined || transitions.find(tableName) !== undefined) {
      throw resourceInUse(`Table already exists: ${tableName}`);
    }
    const stored = { ...base, id: catalog.freeTableId() };
    change.put(stored);
    setStream(change.transaction, stored, stored.stream, stored.createdAtMs);
    const creating = asCreating(describeStored({ clock, store: change.transaction }, stored));
    transitions.begin(tableName, creating);
    return creating;
  });
  return { TableDescription: description };
}

function tableFrom(input: CreateTableCommandInput, nowMs: number, tableId: string): Omit<StoredTable, 'id'> {
  const definitions = input.AttributeDefinitions ?? [];
  const { StreamEnabled, StreamViewType } = input.StreamSpecification ?? {};
  const indexes = indexesFrom(input);
  checkProjectedNames(indexes.map(({ projection }) => projection));
  const tags = tagsFrom(input.Tags);
  checkTags(tags);
  return {
    tableName: input.TableName ?? '',
    tableId,
    createdAtMs: nowMs,
    keys: keysFrom(input.KeySchema, definitions),
    attributeOrder: definitions.map(({ AttributeName = '' }) => AttributeName),
    indexes: indexes.map((index, at) => ({ ...index, id: at + 1, status: 'ready' })),
    settings: settingsFrom(input, nowMs),
    ...(StreamEnabled === true && StreamViewType !== undefined && { stream: StreamViewType }),
    tags,
  };
}

function indexesFrom(input: CreateTableCommandInput): Omit<StoredIndex, 'id' | 'status'>[] {
  const { AttributeDefinitions: definitions = [], BillingMode = 'PROVISIONED' } = input;
  const local = (input.LocalSecondaryIndexes ?? []).map(index => ({
    indexName: index.IndexName ?? '',
    kind: 'local' as const,
    keys: keysFrom(index.KeySchema, definitions),
    projection: projectionFrom(index.Projection),
  }));
  const global = (input.GlobalSecondaryIndexes ?? []).map(index => globalIndexFrom(index, definitions, BillingMode));
  return [...local, ...global];
}

function settingsFrom(input: CreateTableCommandInput, nowMs: number): TableSettings {
  const { BillingMode = 'PROVISIONED', TableClass, DeletionProtectionEnabled, SSESpecification } = input;
  const isOnDemand = BillingMode === 'PAY_PER_REQUEST';
  const { Enabled, KMSMasterKeyId: keyId } = SSESpecification ?? {};
  return {
    billingMode: BillingMode,
    tellsBillingMode: isOnDemand,
    ...(isOnDemand && { onDemandSinceMs: nowMs }),
    throughput: throughputFrom(input.ProvisionedThroughput),
    ...limitsFrom(input),
    ...(TableClass && { tableClass: TableClass }),
    ...(DeletionProtectionEnabled !== undefined && { isDeletionProtected: DeletionProtectionEnabled }),
    ...(Enabled === true && { encryption: keyId === undefined ? {} : { keyId } }),
  };
}

function asCreating(table: TableDescription): TableDescription {
  const { BillingModeSummary: billing, GlobalSecondaryIndexes: indexes } = table;
  return {
    ...table,
    TableStatus: 'CREATING',
    ...(billing && { BillingModeSummary: { BillingMode: billing.BillingMode } }),
    ...(indexes && {
      GlobalSecondaryIndexes: indexes.map(index => ({ ...index, IndexStatus: 'CREATING' as const })),
    }),
  };
}
