/** Keys and projections as requests spell them and as the engine keeps them, both ways. */
import type {
  AttributeDefinition,
  GlobalSecondaryIndex,
  KeySchemaElement,
  OnDemandThroughput as OnDemandThroughputInput,
  Projection,
  ProvisionedThroughput,
  WarmThroughput as WarmThroughputInput,
} from '@aws-sdk/client-dynamodb';
import { invalid } from '../errors.ts';
import { tableLimits } from '../limits.ts';
import type { KeyAttribute } from '../port.ts';
import type { KeySchema } from '../storage/layout.ts';
import type { OnDemandThroughput, StoredIndex, Throughput, WarmThroughput } from '../storage/stored-table.ts';

export const notValid = 'One or more parameter values were invalid: ';

/** The keys were checked to have definitions. */
export function keysFrom(
  elements: readonly KeySchemaElement[] = [],
  definitions: readonly AttributeDefinition[],
): KeySchema {
  const keysOf = (type: string) =>
    elements
      .filter(({ KeyType }) => KeyType === type)
      .map(({ AttributeName }) => attributeOf(AttributeName, definitions));
  return { partitionKeys: keysOf('HASH'), sortKeys: keysOf('RANGE') };
}

function attributeOf(name: string | undefined, definitions: readonly AttributeDefinition[]): KeyAttribute {
  const found = definitions.find(({ AttributeName }) => AttributeName === name);
  const { AttributeName, AttributeType } = found ?? {};
  if (AttributeName === undefined || AttributeType === undefined) {
    throw undefinedKeys(
      [name ?? ''],
      definitions.map(each => each.AttributeName ?? ''),
    );
  }
  return { name: AttributeName, type: AttributeType };
}

export function undefinedKeys(keys: readonly string[], defined: readonly string[]) {
  return invalid(
    `${notValid}Some index key attributes are not defined in AttributeDefinitions. Keys: [${keys.join(', ')}], AttributeDefinitions: [${defined.join(', ')}]`,
  );
}

export function keyElements({ partitionKeys, sortKeys }: KeySchema): KeySchemaElement[] {
  return [
    ...partitionKeys.map(({ name }) => ({ AttributeName: name, KeyType: 'HASH' as const })),
    ...sortKeys.map(({ name }) => ({ AttributeName: name, KeyType: 'RANGE' as const })),
  ];
}

export function projectionFrom({ ProjectionType, NonKeyAttributes = [] }: Projection = {}): StoredIndex['projection'] {
  return ProjectionType === 'ALL' ? 'ALL' : [...NonKeyAttributes];
}

export function projectionDescription(projection: StoredIndex['projection']): Projection {
  if (projection === 'ALL') return { ProjectionType: 'ALL' };
  if (projection.length === 0) return { ProjectionType: 'KEYS_ONLY' };
  return { ProjectionType: 'INCLUDE', NonKeyAttributes: [...projection] };
}

/** Names count once for each index that projects them. */
export function checkProjectedNames(projections: readonly StoredIndex['projection'][]): void {
  const names = projections.reduce((sum, projection) => sum + (projection === 'ALL' ? 0 : projection.length), 0);
  if (names <= tableLimits.projectedNamesMax) return;
  throw invalid(
    `${notValid}The total number of NonKeyAttributes over all indexes exceeds the per-table limit of ${tableLimits.projectedNamesMax}`,
  );
}

export function throughputFrom(input: ProvisionedThroughput | undefined): Throughput {
  return { read: input?.ReadCapacityUnits ?? 0, write: input?.WriteCapacityUnits ?? 0, decreasesToday: 0 };
}

/** A new global index of a table with that billing mode. The order of its keys was checked. */
export function globalIndexFrom(
  input: GlobalSecondaryIndex,
  definitions: readonly AttributeDefinition[],
  billingMode: 'PROVISIONED' | 'PAY_PER_REQUEST',
): Omit<StoredIndex, 'id' | 'status'> {
  const { IndexName = '', KeySchema, Projection, ProvisionedThroughput } = input;
  if (billingMode === 'PROVISIONED' && ProvisionedThroughput === undefined) {
    throw invalid(`${notValid}ProvisionedThroughput is not specified for index: ${IndexName}`);
  }
  if (billingMode === 'PAY_PER_REQUEST' && ProvisionedThroughput !== undefined) {
    throw invalid(
      `${notValid}ProvisionedThroughput should not be specified for index: ${IndexName} when BillingMode is PAY_PER_REQUEST`,
    );
  }
  const keys = keysFrom(KeySchema, definitions);
  return {
    indexName: IndexName,
    kind: 'global',
    keys,
    projection: projectionFrom(Projection),
    throughput: throughputFrom(ProvisionedThroughput),
    ...limitsFrom(input),
  };
}

/** Capacity settings that are only kept and told. */
export function limitsFrom(input: {
  readonly OnDemandThroughput?: OnDemandThroughputInput;
  readonly WarmThroughput?: WarmThroughputInput;
}): { readonly onDemandThroughput?: OnDemandThroughput; readonly warmThroughput?: WarmThroughput } {
  const { OnDemandThroughput, WarmThroughput } = input;
  return {
    ...(OnDemandThroughput && { onDemandThroughput: { ...OnDemandThroughput } }),
    ...(WarmThroughput && { warmThroughput: { ...WarmThroughput } }),
  };
}
