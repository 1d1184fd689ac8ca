import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { TableError } from '../errors.ts';
import { wireFormat } from '../values/wire-format.ts';
import { checkRequest, type OperationName } from './index.ts';

const many = 50_000;
const list = <T>(make: (index: number) => T) => Array.from({ length: many }, (_, index) => make(index));
const map = (value: unknown) => Object.fromEntries(list(index => [`a${index}`, value]));
const TableName = 'things';
const Key = { a: { S: 'x' } };
const put = (a: object) => ['PutItem', { TableName, Item: { a } }] as const;
const definitions = list(index => ({ AttributeName: `a${index}`, AttributeType: 'S' }));
const keys = definitions.map(({ AttributeName }) => ({ AttributeName, KeyType: 'HASH' }));
const table = { TableName, AttributeDefinitions: definitions, BillingMode: 'PAY_PER_REQUEST' };

/** Each would take minutes if any check took quadratic time. */
const cases: Readonly<Record<string, readonly [OperationName, object]>> = {
  'a number with zeros in the middle': put({ N: `1${'0'.repeat(1_000_000)}1` }),
  'a number of two long halves': put({ N: `${'1'.repeat(1_000_000)}.${'1'.repeat(1_000_000)}x` }),
  'a set of numbers': put({ NS: list(String) }),
  'a set of texts': put({ SS: list(String) }),
  'a table name': ['GetItem', { TableName: `arn:${'a:'.repeat(1_000_000)}`, Key }],
  'names of attributes': ['GetItem', { TableName, Key, AttributesToGet: list(index => `a${index}`) }],
  'conditions on keys': ['Query', { TableName, KeyConditions: map({ ComparisonOperator: 'NULL' }) }],
  'tables of a batch': ['BatchGetItem', { RequestItems: map({ Keys: [Key] }) }],
  'keys of a batch': [
    'BatchGetItem',
    { RequestItems: { things: { Keys: list(index => ({ a: { N: `${index}` } })) } } },
  ],
  'writes of a batch': ['BatchWriteItem', { RequestItems: { things: list(() => ({ PutRequest: { Item: Key } })) } }],
  'actions, each of them wrong': ['TransactWriteItems', { TransactItems: list(() => ({ Put: { TableName: 'x' } })) }],
  'keys of a table': ['CreateTable', { ...table, KeySchema: keys }],
  'indexes of a table': [
    'CreateTable',
    {
      ...table,
      KeySchema: keys.slice(0, 1),
      GlobalSecondaryIndexes: keys.map(key => ({
        IndexName: `by-${key.AttributeName}`,
        KeySchema: [key],
        Projection: { ProjectionType: 'ALL' },
      })),
    },
  ],
};

describe('checks of hostile requests', () => {
  for (const [title, [name, input]] of Object.entries(cases)) {
    it(`take time in proportion, and answer in bounds: ${title}`, () => {
      try {
        checkRequest(name, input, { format: wireFormat });
      } catch (error) {
        assert.ok(error instanceof TableError);
        assert.ok(error.message.length < 3_000_000, `${error.message.length} characters`);
      }
    });
  }
});
