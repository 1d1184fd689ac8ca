/** What the contract's tests stand on: a fresh engine with the tables below, and words for what they do with it. */
import assert from 'node:assert/strict';
import type { CreateTableCommandInput } from '@aws-sdk/client-dynamodb';
import type { IndexSchema, KeyAttribute, Table, TableAdmin, TableSchema } from '../port.ts';

export const contractTables: readonly TableSchema[] = [
  {
    tableName: 'things',
    partitionKey: { name: 'PK', type: 'S' },
    sortKey: { name: 'SK', type: 'S' },
    indexes: [
      { indexName: 'byOwner', partitionKey: { name: 'Owner', type: 'S' }, sortKey: { name: 'Rank', type: 'N' } },
      { indexName: 'bySort', partitionKey: { name: 'SK', type: 'S' } },
    ],
  },
  { tableName: 'numbers', partitionKey: { name: 'PK', type: 'N' }, sortKey: { name: 'SK', type: 'N' } },
  { tableName: 'bytes', partitionKey: { name: 'PK', type: 'B' }, sortKey: { name: 'SK', type: 'B' } },
  { tableName: 'single', partitionKey: { name: 'PK', type: 'S' } },
  {
    tableName: 'shown',
    partitionKey: { name: 'PK', type: 'S' },
    sortKey: { name: 'SK', type: 'S' },
    indexes: [
      { indexName: 'byGroup', partitionKey: { name: 'Group', type: 'S' }, projection: ['shown'] },
      {
        indexName: 'byTime',
        kind: 'local',
        partitionKey: { name: 'PK', type: 'S' },
        sortKey: { name: 'Time', type: 'N' },
      },
      {
        indexName: 'byPlace',
        kind: 'local',
        partitionKey: { name: 'PK', type: 'S' },
        sortKey: { name: 'Place', type: 'S' },
        projection: 'KEYS_ONLY',
      },
    ],
  },
  {
    tableName: 'several',
    partitionKey: { name: 'PK', type: 'S' },
    indexes: [
      {
        indexName: 'byPlace',
        partitionKey: [
          { name: 'tenant', type: 'S' },
          { name: 'country', type: 'S' },
        ],
        sortKey: [
          { name: 'city', type: 'S' },
          { name: 'floor', type: 'N' },
          { name: 'room', type: 'S' },
        ],
      },
    ],
  },
];

/** An engine that holds `contractTables`, empty: declared where it was opened, or made by `createContractTables`. */
export interface TableWorld {
  readonly table: Table;
  /** Moves the engine's clock; absent where time cannot be moved. */
  readonly letPass?: (ms: number) => Promise<void>;
  cleanUp(): Promise<void>;
}

export type Test = (promise: string, run: (world: TableWorld) => Promise<void>) => void;

export type Attributes = Record<string, unknown>;

export const TableName = 'things';

/** For an engine to which nobody can declare tables: over the wire, say. */
export async function createContractTables(
  admin: Pick<TableAdmin, 'createTable'>,
  tables: readonly TableSchema[] = contractTables,
): Promise<void> {
  for (const schema of tables) await admin.createTable(createTableInput(schema));
}

function createTableInput(schema: TableSchema): CreateTableCommandInput {
  const indexes = schema.indexes ?? [];
  const keys = [schema, ...indexes].flatMap(({ partitionKey, sortKey }) => [
    ...listOf(partitionKey),
    ...listOf(sortKey),
  ]);
  const types = new Map(keys.map(({ name, type }) => [name, type]));
  const indexInputs = (kind: IndexSchema['kind']) => {
    const inputs = indexes.filter(index => (index.kind ?? 'global') === kind).map(indexInput);
    return inputs.length === 0 ? undefined : inputs;
  };
  return {
    TableName: schema.tableName,
    AttributeDefinitions: [...types].map(([AttributeName, AttributeType]) => ({ AttributeName, AttributeType })),
    KeySchema: keySchema(schema),
    BillingMode: 'PAY_PER_REQUEST',
    GlobalSecondaryIndexes: indexInputs('global'),
    LocalSecondaryIndexes: indexInputs('local'),
  };
}

function indexInput({ indexName, projection = 'ALL', ...keys }: IndexSchema) {
  return {
    IndexName: indexName,
    KeySchema: keySchema(keys),
    Projection:
      typeof projection === 'string'
        ? { ProjectionType: projection }
        : { ProjectionType: 'INCLUDE' as const, NonKeyAttributes: [...projection] },
  };
}

function keySchema({ partitionKey, sortKey }: Pick<IndexSchema, 'partitionKey' | 'sortKey'>) {
  return [
    ...listOf(partitionKey).map(({ name }) => ({ AttributeName: name, KeyType: 'HASH' as const })),
    ...listOf(sortKey).map(({ name }) => ({ AttributeName: name, KeyType: 'RANGE' as const })),
  ];
}

function listOf(keys: KeyAttribute | readonly KeyAttribute[] | undefined): readonly KeyAttribute[] {
  if (keys === undefined) return [];
  return 'name' in keys ? [keys] : keys;
}

/** One attribute of every type, named after what it holds. */
export function everyKind() {
  return {
    text: 'grün',
    emptyText: '',
    whole: 42,
    negative: -0.125,
    large: Number.MAX_SAFE_INTEGER,
    small: 1e-130,
    yes: true,
    nope: false,
    nothing: null,
    raw: Uint8Array.of(0, 1, 255),
    emptyRaw: new Uint8Array(),
    list: ['a', 1, [], { deep: [null] }],
    map: { a: 1, b: { c: 'x' } },
    emptyMap: {},
    texts: new Set(['a', 'b']),
    wholes: new Set([1, 2.5, -3]),
    raws: new Set([Uint8Array.of(1), Uint8Array.of(2)]),
  };
}

/** `levels - 1` lists, one in the other. */
export function nested(levels: number): unknown {
  return levels === 1 ? 'leaf' : [nested(levels - 1)];
}

export function shuffled<Element>(elements: readonly Element[]): Element[] {
  return elements
    .map((_, index) => elements[(index * 7 + 3) % elements.length])
    .filter(isFirst)
    .concat(elements);
}

function isFirst<Element>(element: Element, index: number, all: readonly Element[]): boolean {
  return all.indexOf(element) === index;
}

export function refusal(message: string) {
  return (thrown: unknown) => {
    assert.ok(thrown instanceof Error);
    assert.equal(thrown.name, 'ValidationException');
    assert.ok(thrown.message.includes(message), `expected "${message}", was "${thrown.message}"`);
    return true;
  };
}

export async function read(table: Table, PK: string, SK: string): Promise<Attributes | undefined> {
  return (await table.get({ TableName, Key: { PK, SK }, ConsistentRead: true })).Item;
}

export async function queryItems(
  table: Table,
  KeyConditionExpression: string,
  ExpressionAttributeValues: Attributes,
  more: Attributes = {},
): Promise<Attributes[]> {
  const needsAlias = KeyConditionExpression.startsWith('Owner')
    ? { ExpressionAttributeNames: { '#Owner': 'Owner' } }
    : {};
  const answer = await table.query({
    TableName,
    KeyConditionExpression: KeyConditionExpression.replace(/^Owner/, '#Owner'),
    ExpressionAttributeValues,
    ...needsAlias,
    ...more,
  });
  return answer.Items ?? [];
}
