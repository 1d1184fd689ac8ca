/** What makes a table again: its description as the input of `CreateTable`, and what is set afterwards. */
import type { CreateTableCommandInput, TableDescription } from '@aws-sdk/client-dynamodb';

export interface TableCreation {
  readonly Create: CreateTableCommandInput & { readonly TableName: string };
  /** The attribute that says when an item expires, if that is enabled. */
  readonly TimeToLiveAttribute?: string;
  /** Set when the items are there, so that they are no changes. */
  readonly StreamViewType?: NonNullable<CreateTableCommandInput['StreamSpecification']>['StreamViewType'];
}

export function creationOf(
  table: TableDescription,
  timeToLiveAttribute?: string,
  tags: Readonly<Record<string, string>> = {},
): TableCreation {
  const isOnDemand = table.BillingModeSummary?.BillingMode === 'PAY_PER_REQUEST';
  const throughputOf = (of: { ReadCapacityUnits?: number; WriteCapacityUnits?: number } | undefined) => ({
    ...(!isOnDemand && {
      ProvisionedThroughput: {
        ReadCapacityUnits: of?.ReadCapacityUnits || 1,
        WriteCapacityUnits: of?.WriteCapacityUnits || 1,
      },
    }),
  });
  const local = table.LocalSecondaryIndexes?.map(({ IndexName, KeySchema, Projection }) => ({
    IndexName,
    KeySchema,
    Projection,
  }));
  const global = table.GlobalSecondaryIndexes?.filter(({ IndexStatus }) => IndexStatus !== 'DELETING').map(index => ({
    IndexName: index.IndexName,
    KeySchema: index.KeySchema,
    Projection: index.Projection,
    ...throughputOf(index.ProvisionedThroughput),
    ...(index.OnDemandThroughput && { OnDemandThroughput: index.OnDemandThroughput }),
  }));
  const { StreamEnabled, StreamViewType } = table.StreamSpecification ?? {};
  const tableClass = table.TableClassSummary?.TableClass;
  const given = Object.entries(tags).map(([Key, Value]) => ({ Key, Value }));
  const indexed = [table, ...(local ?? []), ...(global ?? [])].flatMap(({ KeySchema = [] }) => KeySchema);
  const names = new Set(indexed.map(({ AttributeName }) => AttributeName));
  return {
    Create: {
      TableName: table.TableName ?? '',
      KeySchema: table.KeySchema,
      // An index that goes may leave a definition behind, which would be refused.
      AttributeDefinitions: table.AttributeDefinitions?.filter(({ AttributeName }) => names.has(AttributeName)),
      BillingMode: isOnDemand ? 'PAY_PER_REQUEST' : 'PROVISIONED',
      ...throughputOf(table.ProvisionedThroughput),
      ...(table.OnDemandThroughput && { OnDemandThroughput: table.OnDemandThroughput }),
      ...(local?.length && { LocalSecondaryIndexes: local }),
      ...(global?.length && { GlobalSecondaryIndexes: global }),
      ...(tableClass && { TableClass: tableClass }),
      ...(table.DeletionProtectionEnabled && { DeletionProtectionEnabled: true }),
      ...(given.length > 0 && { Tags: given }),
    },
    ...(timeToLiveAttribute !== undefined && { TimeToLiveAttribute: timeToLiveAttribute }),
    ...(StreamEnabled && { StreamViewType }),
  };
}
