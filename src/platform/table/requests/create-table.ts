/** What CreateTable says about keys, indexes and capacity together, in the order DynamoDB says it. */
import { tableLimits } from '../limits.ts';
import { checkKeyOrder } from '../validate.ts';
import { quoted } from './echo.ts';
import { tableKeySchema } from './key-schema.ts';
import type { CheckContext, Request } from './shapes.ts';
import { refusal } from './values.ts';

interface KeyElement {
  readonly AttributeName: string;
  readonly KeyType: string;
}

interface Index {
  readonly IndexName: string;
  readonly KeySchema: readonly KeyElement[];
  readonly Projection: { readonly ProjectionType?: string; readonly NonKeyAttributes?: readonly string[] };
  readonly ProvisionedThroughput?: Throughput;
}

interface Throughput {
  readonly ReadCapacityUnits: number;
  readonly WriteCapacityUnits: number;
}

/** Types were checked before; members that are not required may be absent. */
interface CreateTableRequest {
  readonly AttributeDefinitions: readonly { readonly AttributeName: string }[];
  readonly KeySchema: readonly KeyElement[];
  readonly BillingMode?: string;
  readonly ProvisionedThroughput?: Throughput;
  readonly LocalSecondaryIndexes?: readonly Index[];
  readonly GlobalSecondaryIndexes?: readonly Index[];
  readonly StreamSpecification?: { readonly StreamEnabled: boolean; readonly StreamViewType?: string };
  readonly OnDemandThroughput?: Readonly<Record<string, number>>;
}

const notValid = 'One or more parameter values were invalid: ';
const fail = (message: string) => refusal(message, 'older');

export function checkCreateTable(given: Request, _context: CheckContext): void {
  const request = given as unknown as CreateTableRequest; // a cast: types were checked
  checkBilling(request);
  checkTableKeys(request);
  const defined = new Set(request.AttributeDefinitions.map(({ AttributeName }) => AttributeName));
  const names = new Set<string>();
  for (const index of localIndexes(request)) checkLocalIndex(index, request, defined, names);
  if ((request.LocalSecondaryIndexes?.length ?? 0) > tableLimits.localIndexesMax) {
    throw fail(`${notValid}Number of LocalSecondaryIndexes exceeds per-table limit of ${tableLimits.localIndexesMax}`);
  }
  for (const index of globalIndexes(request)) checkGlobalIndex(index, request, defined, names);
  if ((request.GlobalSecondaryIndexes?.length ?? 0) > tableLimits.indexesMax) {
    throw fail(`${notValid}GlobalSecondaryIndex count exceeds the per-table limit of ${tableLimits.indexesMax}`);
  }
  refuseUnusedDefinitions(request, defined);
  checkStream(request.StreamSpecification);
}

const unitsMax = 1_000_000_000_000; // DynamoDB ProvisionedThroughput

function checkBilling({ BillingMode, ProvisionedThroughput, OnDemandThroughput }: CreateTableRequest): void {
  if (BillingMode === 'PAY_PER_REQUEST') {
    if (ProvisionedThroughput === undefined) return;
    throw fail(
      `${notValid}Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST`,
    );
  }
  if (ProvisionedThroughput === undefined) {
    throw fail(
      `${notValid}ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED`,
    );
  }
  checkUnits(ProvisionedThroughput);
  const [maximum] = Object.keys(OnDemandThroughput ?? {});
  if (maximum === undefined) return;
  throw fail(`${notValid}${maximum} for OnDemandThroughput cannot be specified when table BillingMode is PROVISIONED.`);
}

export function checkUnits({ ReadCapacityUnits, WriteCapacityUnits }: Throughput): void {
  for (const [name, units] of Object.entries({ ReadCapacityUnits, WriteCapacityUnits })) {
    if (units > unitsMax) throw fail(`Given value ${units} for ${name} is out of bounds`);
  }
}

const tableKeysMax = 2; // DynamoDB: a partition key and a sort key

function checkTableKeys({ KeySchema, AttributeDefinitions, ...request }: CreateTableRequest): void {
  if (KeySchema.length > tableKeysMax) {
    throw fail(
      `1 validation error detected: Value ${quoted(tableKeySchema, KeySchema)} at 'keySchema' failed to satisfy constraint: Member must have length less than or equal to ${tableKeysMax}`,
    );
  }
  const defined = new Set(AttributeDefinitions.map(({ AttributeName }) => AttributeName));
  if (KeySchema.length > AttributeDefinitions.length) {
    throw fail('Invalid KeySchema: Some index key attribute have no definition');
  }
  refuseUndefined(KeySchema, defined);
  checkKeyOrder(KeySchema, 1);
  const hasIndexes = request.LocalSecondaryIndexes !== undefined || request.GlobalSecondaryIndexes !== undefined;
  if (hasIndexes || KeySchema.length === AttributeDefinitions.length) return;
  throw fail(
    `${notValid}Number of attributes in KeySchema does not exactly match number of attributes defined in AttributeDefinitions`,
  );
}

function refuseUndefined(keys: readonly KeyElement[], defined: ReadonlySet<string>): void {
  if (keys.every(({ AttributeName }) => defined.has(AttributeName))) return;
  const names = keys.map(({ AttributeName }) => AttributeName).join(', ');
  throw fail(
    `${notValid}Some index key attributes are not defined in AttributeDefinitions. Keys: [${names}], AttributeDefinitions: [${[...defined].join(', ')}]`,
  );
}

function localIndexes({ LocalSecondaryIndexes: indexes, KeySchema }: CreateTableRequest): readonly Index[] {
  if (indexes === undefined) return [];
  if (indexes.length === 0) throw fail(`${notValid}List of LocalSecondaryIndexes is empty`);
  if (KeySchema.length === tableKeysMax) return indexes;
  throw fail(
    `${notValid}Table KeySchema does not have a range key, which is required when specifying a LocalSecondaryIndex`,
  );
}

function checkLocalIndex(
  index: Index,
  { KeySchema: [table] }: CreateTableRequest,
  defined: ReadonlySet<string>,
  names: Set<string>,
): void {
  const { IndexName, KeySchema } = index;
  refuseUndefined(KeySchema, defined);
  checkKeyOrder(KeySchema, 1);
  if (KeySchema.length !== tableKeysMax) {
    throw fail(`${notValid}Index KeySchema does not have a range key for index: ${IndexName}`);
  }
  const [{ AttributeName: hash }] = KeySchema;
  if (hash !== table.AttributeName) {
    throw fail(
      `${notValid}Index KeySchema does not have the same leading hash key as table KeySchema for index: ${IndexName}. index hash key: ${hash}, table hash key: ${table.AttributeName}`,
    );
  }
  checkProjection(index);
  refuseSameName(IndexName, names);
}

function globalIndexes({ GlobalSecondaryIndexes: indexes }: CreateTableRequest): readonly Index[] {
  if (indexes !== undefined && indexes.length === 0) throw fail(`${notValid}List of GlobalSecondaryIndexes is empty`);
  return indexes ?? [];
}

function checkGlobalIndex(
  index: Index,
  { BillingMode }: CreateTableRequest,
  defined: ReadonlySet<string>,
  names: Set<string>,
): void {
  refuseUndefined(index.KeySchema, defined);
  checkKeyOrder(index.KeySchema, tableLimits.indexKeyAttributesMax);
  checkProjection(index);
  if (BillingMode === 'PAY_PER_REQUEST' && index.ProvisionedThroughput !== undefined) {
    throw fail(
      `${notValid}ProvisionedThroughput should not be specified for index: ${index.IndexName} when BillingMode is PAY_PER_REQUEST`,
    );
  }
  refuseSameName(index.IndexName, names);
}

export function checkProjection({ Projection: { ProjectionType, NonKeyAttributes } }: Pick<Index, 'Projection'>): void {
  if (ProjectionType === undefined) throw fail(`${notValid}Unknown ProjectionType: null`);
  if (ProjectionType === 'INCLUDE' && NonKeyAttributes === undefined) {
    throw fail(`${notValid}ProjectionType is INCLUDE, but NonKeyAttributes is not specified`);
  }
  if (ProjectionType !== 'INCLUDE' && NonKeyAttributes !== undefined) {
    throw fail(`${notValid}ProjectionType is ${ProjectionType}, but NonKeyAttributes is specified`);
  }
}

function refuseSameName(indexName: string, names: Set<string>): void {
  if (names.has(indexName)) throw fail(`${notValid}Duplicate index name: ${indexName}`);
  names.add(indexName);
}

function refuseUnusedDefinitions(request: CreateTableRequest, defined: ReadonlySet<string>): void {
  const indexes = [...(request.LocalSecondaryIndexes ?? []), ...(request.GlobalSecondaryIndexes ?? [])];
  if (indexes.length === 0) return;
  const used = new Set<string>();
  for (const { KeySchema } of [request, ...indexes]) for (const { AttributeName } of KeySchema) used.add(AttributeName);
  if ([...defined].every(name => used.has(name))) return;
  throw fail(
    `${notValid}Some AttributeDefinitions are not used. AttributeDefinitions: [${[...defined].join(', ')}], keys used: [${[...used].join(', ')}]`,
  );
}

export function checkStream(specification: CreateTableRequest['StreamSpecification']): void {
  if (specification === undefined) return;
  const { StreamEnabled, StreamViewType } = specification;
  if (StreamEnabled === (StreamViewType !== undefined)) return;
  throw fail(
    StreamEnabled
      ? `${notValid}StreamViewType must be specified when StreamEnabled is true`
      : `${notValid}StreamViewType cannot be specified when StreamEnabled is false`,
  );
}
