/** Requests with several things wrong: which of them the service tells, as seen by those who asked it. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { systemClock } from '../../kernel/clock.ts';
import { MemoryDisk } from '../../kernel/memory-store.ts';
import { VirtualClock } from '../../kernel/virtual-clock.ts';
import {
  callOperation,
  type Engine,
  type OperationName,
  openEngine,
  TableError,
  wireFormat,
} from '../../platform/table/index.ts';
import { legacyParameters } from './legacy/index.ts';

const door = { format: wireFormat };
const s = { S: 's' };
const n = { N: '1' };
const notValid = 'One or more parameter values were invalid: ';
const badStart = 'The provided starting key is invalid';
const mismatch = 'The provided key element does not match the schema';
const notIndexable = 'Attempted conditional constraint is not an indexable operation';
const missed = (name: string) => `Query condition missed key schema element: ${name}`;

type Case = readonly [promise: string, OperationName, input: object, message: string];

const query = (input: object) => ['Query', { TableName: 'ordered', ...input }] as const;
const scan = (input: object) => ['Scan', { TableName: 'ordered', ...input }] as const;
const update = (UpdateExpression: string) =>
  [
    'UpdateItem',
    { TableName: 'ordered', Key: { a: s, b: s }, UpdateExpression, ExpressionAttributeValues: { ':n': n } },
  ] as const;
const is = (...values: object[]) => ({ ComparisonOperator: 'EQ', AttributeValueList: values });
const exists = { ComparisonOperator: 'NOT_NULL' };
const nothingRight = { AttributesToGet: ['a', 'a'], ExclusiveStartKey: { a: {} } };
const empty = 'Supplied AttributeValue is empty, must contain exactly one of the supported datatypes';
const arguments_ = (operator: string) =>
  `${notValid}Invalid number of argument(s) for the ${operator} ComparisonOperator`;
const types = (operator: string, type: string) =>
  `${notValid}ComparisonOperator ${operator} is not valid for ${type} AttributeValue type`;
const twice = `${notValid}Duplicate value in attribute name: a`;
const expressions = (KeyConditionExpression: string, more: object = {}) =>
  query({ KeyConditionExpression, ExpressionAttributeValues: { ':s': s }, ...more });

/** Before any table is looked at. */
const inTheRequest: readonly Case[] = [
  [
    'the filter of a query comes first',
    ...query({ ...nothingRight, KeyConditions: { a: is({}) }, QueryFilter: { b: is({}) } }),
    empty,
  ],
  [
    'the filter of a query comes before the lack of key conditions',
    ...query({ QueryFilter: { b: { ComparisonOperator: 'LT', AttributeValueList: [{ BOOL: true }] } } }),
    types('LT', 'BOOL'),
  ],
  [
    'what a query returns comes before where it starts',
    ...query({ ...nothingRight, KeyConditions: { a: is({}) }, QueryFilter: {} }),
    twice,
  ],
  [
    'where a query starts comes before its key conditions',
    ...query({ ExclusiveStartKey: { a: {} }, KeyConditions: { a: { ComparisonOperator: 'EQ' } } }),
    `${badStart}: ${empty}`,
  ],
  [
    'an item that is too large comes before what is expected of the one that is there',
    'PutItem',
    { TableName: 'ordered', Item: { a: s, b: s, c: { S: 'c'.repeat(400 * 1024) } }, Expected: { a: {} } },
    'Item size has exceeded the maximum allowed size',
  ],
  ['what a scan returns comes first', ...scan({ ...nothingRight, ScanFilter: { b: is({}) } }), twice],
  [
    'the filter of a scan comes before where it starts',
    ...scan({ ExclusiveStartKey: { a: {} }, Segment: 1, ScanFilter: { b: { ComparisonOperator: 'GT' } } }),
    arguments_('GT'),
  ],
  [
    'where a scan starts comes before its segments',
    ...scan({ ExclusiveStartKey: { a: {} }, Segment: 1, ScanFilter: { b: is({ SS: ['x'] }) } }),
    `${badStart}: ${empty}`,
  ],
  [
    'an empty filter comes before an operator no key has',
    ...expressions('attribute_type(a, :s)', { FilterExpression: '', ExpressionAttributeValues: { ':s': { S: 'N' } } }),
    'Invalid FilterExpression: The expression can not be empty;',
  ],
  [
    'an empty projection comes before an operator no key has',
    ...expressions('a <> :s', { ProjectionExpression: '' }),
    'Invalid ProjectionExpression: The expression can not be empty;',
  ],
  [
    'an operand no function takes comes before an empty filter',
    ...expressions('begins_with(a, :s)', { FilterExpression: '', ExpressionAttributeValues: { ':s': n } }),
    'Invalid KeyConditionExpression: Incorrect operand type for operator or function; operator or function: begins_with, operand type: N',
  ],
];

const local = { IndexName: 'local' };
const global = { IndexName: 'global' };

const long = (characters: number) => ({ S: 'k'.repeat(characters) });

/** Against a table with the keys `a` and `b`, a local index by `a` and `c`, and a global one by `c` and `d`. */
const againstTables: readonly Case[] = [
  [
    'a partition key that is too long comes before a sort key that is, and DynamoDB leaves out a space',
    'GetItem',
    { TableName: 'ordered', Key: { a: long(2_049), b: long(1_025) } },
    `${notValid}Size of hashkey has exceeded the maximum size limit of2048 bytes`,
  ],
  [
    'what is added to the key of an index is of its type before the item is looked at',
    ...update('SET z = y[1] ADD d :n'),
    `${notValid}Type mismatch for Index Key d Expected: S Actual: N IndexName: global`,
  ],
  [
    'what is calculated for the key of an index is a number before the item is looked at',
    ...update('SET z = y[1], d = y + :n'),
    `${notValid}Type mismatch for Index Key d Expected: S Actual: N IndexName: global`,
  ],
  [
    'a table that is not there comes before an operator no key has',
    'Query',
    { TableName: 'nowhere', KeyConditions: { z: exists } },
    'Requested resource not found',
  ],
  [
    'a start without all keys comes before the condition',
    ...query({ ExclusiveStartKey: { a: s }, KeyConditions: { z: exists } }),
    badStart,
  ],
  [
    'a start with other keys comes before the condition',
    ...query({ ExclusiveStartKey: { z: s, y: s }, KeyConditions: { z: is(s) } }),
    badStart,
  ],
  [
    'a partition key of another type in the start comes before the condition',
    ...query({ ExclusiveStartKey: { a: n, z: s }, KeyConditions: { z: is(s) } }),
    mismatch,
  ],
  [
    'a condition that is missing comes before a sort key of another type in the start',
    ...query({ ExclusiveStartKey: { a: s, b: n }, KeyConditions: { z: exists } }),
    missed('a'),
  ],
  [
    'a sort key of another type in the start comes before the condition on it',
    ...query({ ExclusiveStartKey: { a: s, b: n }, KeyConditions: { a: is(s), b: exists } }),
    mismatch,
  ],
  [
    'a condition on another attribute is one that is missing',
    ...query({ KeyConditions: { a: is(s), z: exists } }),
    missed('b'),
  ],
  ['a partition key has one operator', ...query({ KeyConditions: { a: exists } }), notIndexable],
  [
    'an operator no key has comes before a start elsewhere',
    ...query({
      ExclusiveStartKey: { a: { S: 'other' }, b: s },
      KeyConditions: { a: is(s), b: { ComparisonOperator: 'IN', AttributeValueList: [n] } },
    }),
    notIndexable,
  ],
  [
    'a start of a local index has the key of the index',
    ...query({ ...local, ExclusiveStartKey: { a: s, b: s, z: s }, KeyConditions: { a: is(s) } }),
    badStart,
  ],
  [
    'a start of a local index has a sort key of its type',
    ...query({ ...local, ExclusiveStartKey: { a: s, b: n, c: n }, KeyConditions: { a: is(s) } }),
    mismatch,
  ],
  [
    'a start of a local index has the key of the table last',
    ...query({ ...local, ExclusiveStartKey: { a: s, b: n, c: s }, KeyConditions: { a: is(s) } }),
    `${badStart}: ${mismatch}`,
  ],
  [
    'a start of a global index comes before the condition',
    ...query({ ...global, ExclusiveStartKey: { a: s, b: s, c: n, d: s }, KeyConditions: { z: exists } }),
    mismatch,
  ],
  [
    'a scan has a start with the keys of its index before it selects',
    ...scan({ ...global, Select: 'ALL_ATTRIBUTES', ExclusiveStartKey: { c: s } }),
    badStart,
  ],
  [
    'a scan has a start of the types of its index before it selects',
    ...scan({ ...global, Select: 'ALL_ATTRIBUTES', ExclusiveStartKey: { a: s, b: s, c: s, d: n } }),
    mismatch,
  ],
  [
    'a scan selects what its index shows before it has a start with the keys of the table',
    ...scan({ ...global, Select: 'ALL_ATTRIBUTES', ExclusiveStartKey: { x: n, y: n, c: s, d: s } }),
    `${notValid}Select type ALL_ATTRIBUTES is not supported for global secondary index global because its projection type is not ALL`,
  ],
];

describe('of several things that are wrong with a request', () => {
  let engine: Engine;
  before(async () => {
    const string = (name: string) => ({ name, type: 'S' as const });
    engine = await openEngine({
      clock: new VirtualClock(),
      store: new MemoryDisk({ clock: systemClock, syncMs: 0 }).open(),
      tables: [
        {
          tableName: 'ordered',
          partitionKey: string('a'),
          sortKey: string('b'),
          indexes: [
            { indexName: 'local', kind: 'local', partitionKey: string('a'), sortKey: string('c') },
            { indexName: 'global', partitionKey: string('c'), sortKey: string('d'), projection: 'KEYS_ONLY' },
          ],
        },
      ],
    });
  });
  after(() => engine.close());

  for (const [promise, name, input, message] of [...inTheRequest, ...againstTables]) {
    it(promise, async () => {
      const call = callOperation(engine, name, structuredClone(input), door, legacyParameters);
      await assert.rejects(call, error => {
        assert(error instanceof TableError);
        assert.equal(error.message, message);
        return true;
      });
    });
  }
});
