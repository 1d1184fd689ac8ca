import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { documentFormat } from '../values/document-format.ts';
import { wireFormat } from '../values/wire-format.ts';
import { checkRequest, type OperationName } from './index.ts';
import { refusedBatches, refusedPages, refusedTableCalls, refusedTransactions } from './refused-calls.ts';
import { deep, type RefusedRequest, refusedItemRequests } from './refused-requests.ts';

const wire = { format: wireFormat };

describe('checks of requests', () => {
  const refused = [
    ...refusedItemRequests,
    ...refusedPages,
    ...refusedBatches,
    ...refusedTransactions,
    ...refusedTableCalls,
  ];
  for (const [name, input, expected] of refused) {
    it(`refuse ${name} ${shortened(input)}`, () => {
      assert.throws(() => checkRequest(name, structuredClone(input), wire), refusal(expected));
    });
  }

  const foreign = [
    ['TagResource', 'abcd', 'abcd'],
    ['UntagResource', 'a:b:c:d:e:f', 'a:b:c:d:e:f'],
    ['ListTagsOfResource', '', '*'],
  ] as const;
  for (const [name, ResourceArn, resource] of foreign) {
    it(`refuse the right to ${name} where ${resource} is no ARN`, () => {
      assert.throws(() => checkRequest(name, { ResourceArn }, wire), {
        name: 'AccessDeniedException',
        message: `User: arn:aws:iam::000000000000:root is not authorized to perform: dynamodb:${name} on resource: ${resource}`,
      });
    });
  }

  it('refuse a value nested far beyond what a stack holds', () => {
    const Item = { a: deep(100_000) };
    assert.throws(() => checkRequest('PutItem', { TableName: 'things', Item }, wire), { message: /Nesting Levels/ });
  });

  it('leave a request that is in order as it is', () => {
    const input = {
      TableName: 'things',
      Item: { a: { S: 'x' }, n: { N: '-12.50' }, l: { L: [{ M: { b: { B: 'AAE=' } } }, { NULL: true }] } },
      ConditionExpression: 'attribute_not_exists(a)',
      ReturnValues: 'ALL_OLD',
    };
    const given = structuredClone(input);
    assert.equal(checkRequest('PutItem', given, wire), given);
    assert.deepEqual(given, input);
  });

  it('ignore what DynamoDB ignores over the wire, and convert what it converts', () => {
    const Key = { a: { S: 'x', N: null, Other: 1 }, b: { BOOL: 'yes' } };
    const given = { TableName: 'things', Key, ConsistentRead: 'TRUE', ProjectionExpression: null, Nonsense: 1 };
    assert.deepEqual(checkRequest('GetItem', given, wire), {
      TableName: 'things',
      Key: { a: { S: 'x' }, b: { BOOL: true } },
      ConsistentRead: true,
    });
  });

  it('take a key of a global index with several attributes, and a table by its ARN', () => {
    const [a, b, c] = ['a', 'b', 'c'].map(AttributeName => ({ AttributeName, AttributeType: 'S' }));
    const IndexName = 'index';
    const Projection = { ProjectionType: 'ALL' };
    const KeySchema = [
      { AttributeName: 'b', KeyType: 'HASH' },
      { AttributeName: 'c', KeyType: 'HASH' },
    ];
    const create = {
      TableName: 'things',
      AttributeDefinitions: [a, b, c],
      KeySchema: [{ AttributeName: 'a', KeyType: 'HASH' }],
      BillingMode: 'PAY_PER_REQUEST',
      GlobalSecondaryIndexes: [{ IndexName, KeySchema, Projection }],
    };
    assert.doesNotThrow(() => checkRequest('CreateTable', create, wire));
    const TableName = 'arn:aws:dynamodb:local:000000000000:table/things';
    assert.doesNotThrow(() => checkRequest('DescribeTable', { TableName }, wire));
    assert.throws(() => checkRequest('CreateTable', { ...create, TableName }, wire), { code: 'table.invalid' });
  });

  it('refuse over the wire what cannot be left out without doing something else than was asked', () => {
    const request = { TableName: 'things', ReplicaUpdates: [{ Create: { RegionName: 'eu-west-1' } }] };
    assert.throws(() => checkRequest('UpdateTable', request, wire), { code: 'table.notSupported' });
  });

  it('refuse in process what nobody knows, naming what may have been meant', () => {
    const check = (name: OperationName, input: unknown) => checkRequest(name, input, { format: documentFormat });
    const known = { TableName: 'things', Key: { PK: 1n } };
    assert.equal(check('GetItem', known), known);
    assert.throws(() => check('GetItem', { ...known, ConsistentReed: true }), {
      code: 'table.notSupported',
      message: /ConsistentReed of GetItem yet\. Did you mean ConsistentRead\?$/,
    });
    assert.throws(() => check('GetItem', { ...known, Zzz: true }), { message: /parameter Zzz of GetItem yet/ });
    assert.throws(() => check('GetItem', { ...known, AttributesToGet: ['a'] }), { code: 'table.notSupported' });
    assert.doesNotThrow(() => check('GetItem', { ...known, AttributesToGet: undefined }));
    assert.throws(() => check('GetItem', { ...known, ConsistentRead: 1 }), { code: 'table.malformed' });
    assert.throws(() => check('GetItem', 'things'), { code: 'table.malformed' });
  });
});

function refusal(expected: RefusedRequest[2]) {
  return (thrown: unknown) => {
    assert.ok(thrown instanceof Error);
    const [name, message] = typeof expected === 'string' ? ['ValidationException', expected] : expected;
    assert.deepEqual([thrown.name, thrown.message], [name, message]);
    return true;
  };
}

function shortened(input: unknown): string {
  const text = JSON.stringify(input);
  return text.length <= 160 ? text : `${text.slice(0, 160)}… (${text.length})`;
}
