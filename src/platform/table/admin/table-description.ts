/** A table as `DescribeTable` tells of it. */
import type {
  GlobalSecondaryIndexDescription,
  LocalSecondaryIndexDescription,
  ProvisionedThroughputDescription,
  TableDescription,
} from '@aws-sdk/client-dynamodb';
import type { Clock } from '../../../kernel/clock.ts';
import type { StoreReader } from '../../../kernel/store.ts';
import { encryptionKeyArn, indexArn, tableArn } from '../arn.ts';
import { readCount } from '../storage/counters.ts';
import {
  definedAttributes,
  noThroughput,
  type StoredIndex,
  type StoredTable,
  type Throughput,
} from '../storage/stored-table.ts';
import { latestStreamOf } from '../streams/stream-state.ts';
import { keyElements, projectionDescription } from './schema.ts';

interface Parts {
  readonly store: StoreReader;
  readonly clock: Clock;
}

export function describeStored({ store, clock }: Parts, stored: StoredTable): TableDescription {
  const { id, tableName, keys, settings, stream } = stored;
  const { items, bytes } = readCount(store, id, 0);
  const indexes = stored.indexes.filter(index => isTold(index, stored.indexes));
  const local = indexes.filter(({ kind }) => kind === 'local').map(index => describeLocal(store, stored, index));
  const global = indexes
    .filter(({ kind }) => kind === 'global')
    .map(index => describeGlobal({ store, clock }, stored, index));
  const latestStream = latestStreamOf(store, id);
  return {
    AttributeDefinitions: definedAttributes(stored).map(({ name, type }) => ({
      AttributeName: name,
      AttributeType: type,
    })),
    TableName: tableName,
    KeySchema: keyElements(keys),
    TableStatus: 'ACTIVE',
    CreationDateTime: new Date(stored.createdAtMs),
    ProvisionedThroughput: describeThroughput(settings.throughput, clock.nowMs()),
    TableSizeBytes: bytes,
    ItemCount: items,
    TableArn: tableArn(tableName),
    TableId: stored.tableId,
    ...(local.length > 0 && { LocalSecondaryIndexes: local }),
    ...(global.length > 0 && { GlobalSecondaryIndexes: global }),
    ...(stream && { StreamSpecification: { StreamEnabled: true, StreamViewType: stream } }),
    ...(latestStream && { LatestStreamLabel: latestStream.label, LatestStreamArn: latestStream.arn }),
    ...describeSettings(stored),
  };
}

/** What was never given is not told, as in DynamoDB. */
function describeSettings({ settings }: StoredTable): Partial<TableDescription> {
  const { billingMode, onDemandSinceMs, onDemandThroughput, warmThroughput, tableClass, encryption } = settings;
  return {
    ...(settings.tellsBillingMode && {
      BillingModeSummary: {
        BillingMode: billingMode,
        ...(onDemandSinceMs !== undefined && { LastUpdateToPayPerRequestDateTime: new Date(onDemandSinceMs) }),
      },
    }),
    ...(onDemandThroughput && { OnDemandThroughput: { ...onDemandThroughput } }),
    ...(warmThroughput && { WarmThroughput: { ...warmThroughput, Status: 'ACTIVE' as const } }),
    ...(tableClass && {
      TableClassSummary: {
        TableClass: tableClass,
        ...(settings.tableClassChangedAtMs !== undefined && {
          LastUpdateDateTime: new Date(settings.tableClassChangedAtMs),
        }),
      },
    }),
    ...(settings.isDeletionProtected !== undefined && { DeletionProtectionEnabled: settings.isDeletionProtected }),
    ...(encryption && {
      SSEDescription: {
        Status: 'ENABLED' as const,
        SSEType: 'KMS' as const,
        KMSMasterKeyArn: keyArn(encryption.keyId),
      },
    }),
  };
}

/** Nothing is encrypted with it here; the table says what it was told. */
function keyArn(keyId = 'alias/aws/dynamodb'): string {
  return keyId.startsWith('arn:') ? keyId : encryptionKeyArn(keyId);
}

/** One that goes is not told when another of its name has taken its place. */
function isTold(index: StoredIndex, all: readonly StoredIndex[]): boolean {
  if (index.status !== 'dropping') return true;
  return !all.some(({ indexName, status }) => indexName === index.indexName && status !== 'dropping');
}

function describeLocal(store: Parts['store'], stored: StoredTable, index: StoredIndex): LocalSecondaryIndexDescription {
  const { items, bytes } = readCount(store, stored.id, index.id);
  return {
    IndexName: index.indexName,
    KeySchema: keyElements(index.keys),
    Projection: projectionDescription(index.projection),
    IndexSizeBytes: bytes,
    ItemCount: items,
    IndexArn: indexArn(stored.tableName, index.indexName),
  };
}

const indexStatuses = { ready: 'ACTIVE', building: 'CREATING', dropping: 'DELETING' } as const;

function describeGlobal(
  { store, clock }: Parts,
  stored: StoredTable,
  index: StoredIndex,
): GlobalSecondaryIndexDescription {
  const { throughput = noThroughput, onDemandThroughput, warmThroughput, status } = index;
  return {
    ...describeLocal(store, stored, index),
    IndexStatus: indexStatuses[status],
    ...(status === 'building' && { Backfilling: true }),
    ProvisionedThroughput: describeThroughput(throughput, clock.nowMs()),
    ...(onDemandThroughput && { OnDemandThroughput: { ...onDemandThroughput } }),
    ...(warmThroughput && { WarmThroughput: { ...warmThroughput, Status: 'ACTIVE' as const } }),
  };
}

export function describeThroughput(throughput: Throughput, nowMs: number): ProvisionedThroughputDescription {
  const { read, write, increasedAtMs, decreasedAtMs } = throughput;
  return {
    ...(increasedAtMs !== undefined && { LastIncreaseDateTime: new Date(increasedAtMs) }),
    ...(decreasedAtMs !== undefined && { LastDecreaseDateTime: new Date(decreasedAtMs) }),
    NumberOfDecreasesToday: decreasesOn(throughput, nowMs),
    ReadCapacityUnits: read,
    WriteCapacityUnits: write,
  };
}

/** Days are UTC days. */
export function decreasesOn({ decreasesToday, decreasedAtMs }: Throughput, nowMs: number): number {
  const dayOf = (atMs: number) => Math.floor(atMs / 86_400_000);
  return decreasedAtMs !== undefined && dayOf(decreasedAtMs) === dayOf(nowMs) ? decreasesToday : 0;
}
