/** Requests that are in order, and what becomes of them when any one place is put wrong. */
import type { OperationName } from '../../../platform/table/index.ts';

export interface GeneratedRequest {
  readonly name: OperationName;
  readonly input: Json;
}

type Json = { [name: string]: unknown };

const TableName = 'absent-table'; // so that nothing is asked beyond the checks
const Key = { a: { S: 'x' }, b: { N: '1' } };
const Item = {
  ...Key,
  c: { B: 'AAE=' },
  d: { L: [{ BOOL: true }, { M: { e: { NULL: true } } }] },
  f: { SS: ['x', 'y'] },
  g: { NS: ['1', '2'] },
  h: { BS: ['AAE=', 'AA=='] },
};
const Expected = {
  a: { Exists: true, Value: { S: 'x' } },
  b: { ComparisonOperator: 'EQ', AttributeValueList: [{ N: '1' }] },
};
const condition = {
  ConditionExpression: '#a = :v',
  ExpressionAttributeNames: { '#a': 'a' },
  ExpressionAttributeValues: { ':v': { S: 'x' } },
};
const returns = { ReturnConsumedCapacity: 'TOTAL', ReturnItemCollectionMetrics: 'SIZE' };
const KeySchema = [
  { AttributeName: 'a', KeyType: 'HASH' },
  { AttributeName: 'b', KeyType: 'RANGE' },
];
const ProvisionedThroughput = { ReadCapacityUnits: 1, WriteCapacityUnits: 1 };
const index = { IndexName: 'index', KeySchema, Projection: { ProjectionType: 'INCLUDE', NonKeyAttributes: ['c'] } };

const goodRequests: readonly (readonly [OperationName, Json])[] = [
  [
    'GetItem',
    {
      TableName,
      Key,
      ConsistentRead: true,
      ReturnConsumedCapacity: 'TOTAL',
      ProjectionExpression: '#a',
      ExpressionAttributeNames: { '#a': 'a' },
    },
  ],
  ['GetItem', { TableName, Key, AttributesToGet: ['a', 'b'] }],
  ['PutItem', { TableName, Item, ReturnValues: 'ALL_OLD', ...returns, ...condition }],
  ['PutItem', { TableName, Item: Key, Expected, ConditionalOperator: 'OR' }],
  ['DeleteItem', { TableName, Key, ReturnValues: 'NONE', ...returns, ...condition }],
  ['DeleteItem', { TableName, Key, Expected, ConditionalOperator: 'AND' }],
  [
    'UpdateItem',
    { TableName, Key, ReturnValues: 'UPDATED_NEW', ...returns, ...condition, UpdateExpression: 'SET c = :v' },
  ],
  ['UpdateItem', { TableName, Key, AttributeUpdates: { c: { Action: 'PUT', Value: { S: 'x' } } }, Expected }],
  [
    'Query',
    {
      TableName,
      IndexName: 'index',
      KeyConditionExpression: '#a = :v',
      FilterExpression: 'd = :w',
      ProjectionExpression: 'c',
      ExpressionAttributeNames: { '#a': 'a' },
      ExpressionAttributeValues: { ':v': { S: 'x' }, ':w': { N: '1' } },
      ExclusiveStartKey: Key,
      Limit: 5,
      ScanIndexForward: false,
      Select: 'SPECIFIC_ATTRIBUTES',
      ReturnConsumedCapacity: 'INDEXES',
    },
  ],
  [
    'Query',
    {
      TableName,
      KeyConditions: { a: { ComparisonOperator: 'EQ', AttributeValueList: [{ S: 'x' }] } },
      AttributesToGet: ['a'],
    },
  ],
  [
    'Scan',
    {
      TableName,
      Segment: 1,
      TotalSegments: 4,
      Limit: 3,
      FilterExpression: 'a = :v',
      ExpressionAttributeValues: { ':v': { S: 'x' } },
      ExclusiveStartKey: Key,
      Select: 'COUNT',
    },
  ],
  ['Scan', { TableName, ScanFilter: { a: { ComparisonOperator: 'NOT_NULL' } }, AttributesToGet: ['a', 'b'] }],
  [
    'BatchGetItem',
    {
      RequestItems: { [TableName]: { Keys: [Key, { a: { S: 'y' } }], ConsistentRead: true, AttributesToGet: ['a'] } },
      ReturnConsumedCapacity: 'TOTAL',
    },
  ],
  [
    'BatchWriteItem',
    { RequestItems: { [TableName]: [{ PutRequest: { Item } }, { DeleteRequest: { Key } }] }, ...returns },
  ],
  [
    'CreateTable',
    {
      TableName: 'created-table',
      AttributeDefinitions: [
        { AttributeName: 'a', AttributeType: 'S' },
        { AttributeName: 'b', AttributeType: 'N' },
      ],
      KeySchema,
      ProvisionedThroughput,
      LocalSecondaryIndexes: [{ ...index, IndexName: 'local' }],
      GlobalSecondaryIndexes: [{ ...index, ProvisionedThroughput }],
    },
  ],
  [
    'UpdateTable',
    {
      TableName,
      ProvisionedThroughput,
      GlobalSecondaryIndexUpdates: [{ Update: { IndexName: 'index', ProvisionedThroughput } }],
    },
  ],
  ['UpdateTable', { TableName, GlobalSecondaryIndexUpdates: [{ Delete: { IndexName: 'index' } }] }],
  ['DescribeTable', { TableName }],
  ['DeleteTable', { TableName }],
  ['ListTables', { Limit: 5, ExclusiveStartTableName: 'abc' }],
  ['DescribeTimeToLive', { TableName }],
];

const wrongValues: readonly unknown[] = [
  true,
  false,
  0,
  -1,
  23,
  1.5,
  '',
  'x',
  'a;',
  'b'.repeat(300),
  [],
  {},
  [{}],
  [[]],
  { '': {} },
  { x: 'y' },
];

/** One place wrong at a time, then two: what is said first, and what together. */
export function badRequests(): readonly GeneratedRequest[] {
  const requests: GeneratedRequest[] = [];
  const pick = picker(20_260_101);
  for (const [name, good] of goodRequests) {
    const paths = pathsOf(good);
    for (const path of paths) {
      for (const wrong of [undefined, ...wrongValues]) add(requests, name, good, [[path, wrong]]);
    }
    for (let count = 0; count < pairsOfEach; count++) {
      const places = [0, 1].map(() => [pick(paths), pick([undefined, ...wrongValues])] as const);
      add(requests, name, good, places);
    }
  }
  return [...requests, ...wrongTogether];
}

/** Wrong in places that chance rarely picks together. */
const wrongTogether: readonly GeneratedRequest[] = [
  {
    name: 'CreateTable',
    input: {
      TableName: 'created-table',
      AttributeDefinitions: [],
      KeySchema,
      LocalSecondaryIndexes: [{ ...index, IndexName: 'a' }],
      GlobalSecondaryIndexes: [{ ...index, IndexName: 'b' }],
    },
  },
];

const pairsOfEach = 100;

function add(
  requests: GeneratedRequest[],
  name: OperationName,
  good: Json,
  places: readonly (readonly [readonly string[], unknown])[],
): void {
  const input: Json = JSON.parse(JSON.stringify(good)); // in which nothing is shared
  if (places.every(([path, wrong]) => place(input, path, wrong))) requests.push({ name, input });
}

/** The same choices in every run. */
function picker(seed: number): <Choice>(choices: readonly Choice[]) => Choice {
  let state = seed;
  return choices => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0; // Numerical Recipes, "An Even Quicker Generator"
    return choices[Math.floor((state / 2 ** 32) * choices.length)];
  };
}

function pathsOf(value: unknown): string[][] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, held]) => [[name], ...pathsOf(held).map(path => [name, ...path])]);
}

function place(root: Json, path: readonly string[], value: unknown): boolean {
  let at: unknown = root;
  for (const name of path.slice(0, -1)) at = isHolder(at) ? at[name] : undefined;
  if (!isHolder(at)) return false; // another wrong value has taken its place
  const name = path.at(-1) ?? '';
  if (value === undefined && Array.isArray(at)) return false; // JSON has no holes
  if (value === undefined) delete at[name];
  else at[name] = structuredClone(value);
  return true;
}

function isHolder(value: unknown): value is Json {
  return typeof value === 'object' && value !== null;
}
