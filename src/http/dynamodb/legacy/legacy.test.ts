import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkRequest, type OperationName, TableError, wireFormat } from '../../../platform/table/index.ts';
import { checkLegacy, rewordLegacy, translateLegacy } from './index.ts';

const TableName = 'things';
const Key = { PK: { S: 'p' } };
const wire = { format: wireFormat };

function translated(name: OperationName, input: object): unknown {
  return translateLegacy(name, checkRequest(name, structuredClone({ TableName, ...input }), wire, checkLegacy));
}

const translations: readonly (readonly [OperationName, object, object])[] = [
  [
    'GetItem',
    { Key, AttributesToGet: ['a', 'b.c', 'size'] },
    {
      Key,
      ProjectionExpression: '#0,#1,#2',
      ExpressionAttributeNames: { '#0': 'a', '#1': 'b.c', '#2': 'size' },
    },
  ],
  [
    'PutItem',
    { Item: Key, Expected: { a: { Exists: false } } },
    { Item: Key, ConditionExpression: 'attribute_not_exists(#0)', ExpressionAttributeNames: { '#0': 'a' } },
  ],
  [
    'PutItem',
    {
      Item: Key,
      Expected: {
        a: { Value: { S: 'x' } },
        b: { Exists: true, Value: { N: '1' } },
        c: { ComparisonOperator: 'GT', Value: { N: '2' } },
        d: { ComparisonOperator: 'NULL' },
      },
      ConditionalOperator: 'OR',
    },
    {
      Item: Key,
      ConditionExpression: '#0 = :1 OR #2 = :3 OR #4 > :5 OR attribute_not_exists(#6)',
      ExpressionAttributeNames: { '#0': 'a', '#2': 'b', '#4': 'c', '#6': 'd' },
      ExpressionAttributeValues: { ':1': { S: 'x' }, ':3': { N: '1' }, ':5': { N: '2' } },
    },
  ],
  ['DeleteItem', { Key, Expected: {} }, { Key }],
  [
    'UpdateItem',
    {
      Key,
      AttributeUpdates: {
        a: { Value: { S: 'x' } },
        b: { Action: 'PUT', Value: { BOOL: true } },
        c: { Action: 'ADD', Value: { N: '1' } },
        d: { Action: 'ADD', Value: { SS: ['x'] } },
        e: { Action: 'ADD', Value: { L: [{ S: 'x' }] } },
        f: { Action: 'DELETE' },
        g: { Action: 'DELETE', Value: { NS: ['1'] } },
      },
    },
    {
      Key,
      UpdateExpression:
        'SET #0=:1,#2=:3,#8=list_append(if_not_exists(#8,:9),:a) REMOVE #b ADD #4 :5,#6 :7 DELETE #c :d',
      ExpressionAttributeNames: { '#0': 'a', '#2': 'b', '#4': 'c', '#6': 'd', '#8': 'e', '#b': 'f', '#c': 'g' },
      ExpressionAttributeValues: {
        ':1': { S: 'x' },
        ':3': { BOOL: true },
        ':5': { N: '1' },
        ':7': { SS: ['x'] },
        ':9': { L: [] },
        ':a': { L: [{ S: 'x' }] },
        ':d': { NS: ['1'] },
      },
    },
  ],
  ['UpdateItem', { Key, AttributeUpdates: {} }, { Key }],
  [
    'Query',
    {
      KeyConditions: {
        PK: { ComparisonOperator: 'EQ', AttributeValueList: [{ S: 'p' }] },
        SK: { ComparisonOperator: 'BETWEEN', AttributeValueList: [{ N: '9' }, { N: '10' }] },
      },
      QueryFilter: {
        a: { ComparisonOperator: 'NOT_CONTAINS', AttributeValueList: [{ S: 'x' }] },
        b: { ComparisonOperator: 'IN', AttributeValueList: [{ N: '1' }, { N: '2' }] },
      },
      ConditionalOperator: 'OR',
    },
    {
      FilterExpression: 'NOT contains(#0, :1) OR #2 IN (:3,:4)',
      KeyConditionExpression: '#5 = :6 AND #7 BETWEEN :8 AND :9',
      ExpressionAttributeNames: { '#0': 'a', '#2': 'b', '#5': 'PK', '#7': 'SK' },
      ExpressionAttributeValues: {
        ':1': { S: 'x' },
        ':3': { N: '1' },
        ':4': { N: '2' },
        ':6': { S: 'p' },
        ':8': { N: '9' },
        ':9': { N: '10' },
      },
    },
  ],
  [
    'Query',
    {
      KeyConditions: { PK: { ComparisonOperator: 'EQ', AttributeValueList: [{ S: 'p' }] } },
      FilterExpression: '#0 = :1',
      ExpressionAttributeNames: { '#0': 'a' },
      ExpressionAttributeValues: { ':1': { S: 'x' } },
    },
    {
      FilterExpression: '#0 = :1',
      KeyConditionExpression: '#1 = :2',
      ExpressionAttributeNames: { '#0': 'a', '#1': 'PK' },
      ExpressionAttributeValues: { ':1': { S: 'x' }, ':2': { S: 'p' } },
    },
  ],
  [
    'Scan',
    { ScanFilter: { flag: { ComparisonOperator: 'EQ', AttributeValueList: [{ BOOL: true }] } } },
    {
      FilterExpression: '#0 = :1',
      ExpressionAttributeNames: { '#0': 'flag' },
      ExpressionAttributeValues: { ':1': { BOOL: true } },
    },
  ],
  ['Scan', { ScanFilter: {} }, {}],
];

const one = (message: string) => `1 validation error detected: ${message}`;
const notValid = 'One or more parameter values were invalid: ';
const put = (Expected: object) => ['PutItem', { Item: Key, Expected }] as const;
const update = (AttributeUpdates: object) => ['UpdateItem', { Key, AttributeUpdates }] as const;
const scan = (ComparisonOperator: string, ...AttributeValueList: object[]) =>
  ['Scan', { ScanFilter: { a: { ComparisonOperator, AttributeValueList } } }] as const;
const query = (conditions: object, more: object = {}) => ['Query', { KeyConditions: conditions, ...more }] as const;
const is = (value: object) => ({ ComparisonOperator: 'EQ', AttributeValueList: [value] });

const refusals: readonly (readonly [OperationName, object, string])[] = [
  [...put({ a: {} }), one(`${notValid}Value must be provided when Exists is null for Attribute: a`)],
  [...put({ a: { Exists: true } }), one(`${notValid}Value must be provided when Exists is true for Attribute: a`)],
  [
    ...put({ a: { Exists: false, Value: { S: 'x' } } }),
    one(`${notValid}Value cannot be used when Exists is false for Attribute: a`),
  ],
  [
    ...put({ a: { ComparisonOperator: 'LT' } }),
    one(`${notValid}Value or AttributeValueList must be used with ComparisonOperator: LT for Attribute: a`),
  ],
  [
    ...put({ a: { Exists: true, ComparisonOperator: 'LT' } }),
    one(`${notValid}Exists and ComparisonOperator cannot be used together for Attribute: a`),
  ],
  [
    ...put({ a: { ComparisonOperator: 'LT', Value: { S: 'x' }, AttributeValueList: [{ S: 'x' }] } }),
    one(`${notValid}Value and AttributeValueList cannot be used together for Attribute: a`),
  ],
  [
    ...put({ a: { AttributeValueList: [{ S: 'x' }] } }),
    one(`${notValid}AttributeValueList can only be used with a ComparisonOperator for Attribute: a`),
  ],
  [
    ...put({ a: { ComparisonOperator: 'EQ', AttributeValueList: [] } }),
    one(`${notValid}Invalid number of argument(s) for the EQ ComparisonOperator`),
  ],
  [
    ...put({ a: { ComparisonOperator: 'NULL', Value: { S: 'x' } } }),
    one(`${notValid}Invalid number of argument(s) for the NULL ComparisonOperator`),
  ],
  [
    ...put({ a: { ComparisonOperator: 'BETWEEN', AttributeValueList: [{ S: 'b' }, { S: 'a' }] } }),
    one('The BETWEEN condition was provided a range where the lower bound is greater than the upper bound'),
  ],
  [
    ...put({ a: { ComparisonOperator: 'IN', AttributeValueList: [{ S: 'b' }, { N: '1' }] } }),
    one(`${notValid}AttributeValues inside AttributeValueList must be of same type`),
  ],
  [
    ...put({ a: { ComparisonOperator: 'LE', Value: { SS: ['x'] } } }),
    one(`${notValid}ComparisonOperator LE is not valid for SS AttributeValue type`),
  ],
  [...put({ a: { Value: { N: 'b' } } }), one('The parameter cannot be converted to a numeric value: b')],
  [
    ...update({ a: { Action: 'PUT' } }),
    one(`${notValid}Only DELETE action is allowed when no attribute value is specified`),
  ],
  [
    ...update({ a: { Action: 'DELETE', Value: { S: 'x' } } }),
    one(`${notValid}DELETE action with value is not supported for the type S`),
  ],
  [
    ...update({ a: { Action: 'ADD', Value: { S: 'x' } } }),
    one(`${notValid}ADD action is not supported for the type S`),
  ],
  [
    ...update({ a: { Value: {} } }),
    one('Supplied AttributeValue is empty, must contain exactly one of the supported datatypes'),
  ],
  [...scan('EQ'), `${notValid}Invalid number of argument(s) for the EQ ComparisonOperator`],
  [...scan('LE', { SS: ['x'] }), `${notValid}ComparisonOperator LE is not valid for SS AttributeValue type`],
  [
    ...scan('BEGINS_WITH', { N: '1' }),
    `${notValid}ComparisonOperator BEGINS_WITH is not valid for N AttributeValue type`,
  ],
  [...scan('IN', { S: 'x' }, { N: '1' }), `${notValid}AttributeValues inside AttributeValueList must be of same type`],
  [
    ...scan('BETWEEN', { N: '10' }, { N: '9' }),
    'The BETWEEN condition was provided a range where the lower bound is greater than the upper bound',
  ],
  [...query({}), 'Conditions can be of length 1 or 2 only'],
  [...query({ a: is({ S: 'x' }), b: is({ S: 'x' }), c: is({ S: 'x' }) }), 'Conditions can be of length 1 or 2 only'],
  [
    ...query({ a: is({ S: 'x' }) }, { QueryFilter: { s: is({ NS: ['2', '1', '2'] }) } }),
    `${notValid}Input collection contains duplicates.`,
  ],
  [
    ...query(
      { a: is({ S: 'x' }) },
      { KeyConditionExpression: 'a = :v', ExpressionAttributeValues: { ':v': { S: 'x' } } },
    ),
    'Can not use both expression and non-expression parameters in the same request: Non-expression parameters: {KeyConditions} Expression parameters: {KeyConditionExpression}',
  ],
];

describe('parameters from before expressions', () => {
  for (const [name, input, expected] of translations) {
    it(`become expressions: ${name} ${JSON.stringify(input).slice(0, 120)}`, () => {
      assert.deepEqual(translated(name, input), { TableName, ...expected });
    });
  }

  for (const [name, input, message] of refusals) {
    it(`are refused: ${name} ${JSON.stringify(input).slice(0, 120)}`, () => {
      assert.throws(() => translated(name, input), { name: 'ValidationException', message });
    });
  }

  it('become the projections of each table of a batch', () => {
    const RequestItems = { things: { Keys: [Key], AttributesToGet: ['a'] }, others: { Keys: [Key] } };
    const request = checkRequest('BatchGetItem', { RequestItems }, wire);
    assert.deepEqual(translateLegacy('BatchGetItem', request), {
      RequestItems: {
        things: { Keys: [Key], ProjectionExpression: '#0', ExpressionAttributeNames: { '#0': 'a' } },
        others: { Keys: [Key] },
      },
    });
  });

  it('leave a request without them as it is', () => {
    const request = checkRequest('GetItem', { TableName, Key }, wire);
    assert.equal(translateLegacy('GetItem', request), request);
  });

  it('are what a refusal of the engine speaks of', () => {
    const refused = (message: string) =>
      new TableError({ name: 'ValidationException', code: 'table.invalid', message, fix: '' });
    const filter = refused('Filter Expression can only contain non-primary key attributes: Primary key attribute: a');
    assert.equal(
      rewordLegacy({ QueryFilter: {} }, filter).message,
      'QueryFilter can only contain non-primary key attributes: Primary key attribute: a',
    );
    assert.equal(rewordLegacy({ KeyConditions: {} }, filter), filter);
    const operand = refused('An operand in the update expression has an incorrect data type');
    assert.equal(rewordLegacy({ AttributeUpdates: {} }, operand).message, 'Type mismatch for attribute to update');
    assert.equal(rewordLegacy({ AttributeUpdates: {} }, operand).code, 'table.invalid');
  });
});
