import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import * as sdk from '@aws-sdk/client-dynamodb';
import {
  ConditionalCheckFailedException,
  DynamoDBClient,
  ExecuteStatementCommand,
  GetItemCommand,
  PutItemCommand,
  QueryCommand,
  TransactionCanceledException,
  TransactWriteItemsCommand,
} from '@aws-sdk/client-dynamodb';
import { DynamoDBStreams } from '@aws-sdk/client-dynamodb-streams';
import { DynamoDBDocument } from '@aws-sdk/lib-dynamodb';
import { systemClock } from '../../kernel/clock.ts';
import { silentLog } from '../../kernel/log.ts';
import { MemoryDisk } from '../../kernel/memory-store.ts';
import { seededRandom } from '../../kernel/random.ts';
import { openEngine, operationNames } from '../../platform/table/index.ts';
import { listenDynamoDb } from './server.ts';
import { tableService } from './table-service.ts';
import { send, signed } from './test-endpoint.ts';
import { unsupportedOperation } from './unsupported.ts';

/** A table `logs` with a stream and an index behind an endpoint of its own, and the real SDK in front of it. */
async function openTable(t: TestContext) {
  const world = { clock: systemClock, random: seededRandom(1) };
  const string = (name: string) => ({ name, type: 'S' as const });
  const engine = await openEngine({
    ...world,
    store: new MemoryDisk({ clock: systemClock, syncMs: 0 }).open(),
    tables: [
      {
        tableName: 'logs',
        partitionKey: string('PK'),
        sortKey: string('SK'),
        indexes: [{ indexName: 'byOwner', partitionKey: string('owner'), sortKey: string('SK') }],
        stream: 'NEW_AND_OLD_IMAGES',
      },
    ],
  });
  const service = tableService(engine);
  const listen = { ...world, service, log: silentLog, host: '127.0.0.1', port: 0, connectionsMax: 100 };
  const { url, close } = await listenDynamoDb(listen);
  const config = {
    endpoint: url,
    region: 'us-east-1',
    credentials: { accessKeyId: 'any', secretAccessKey: 'thing' },
    maxAttempts: 1,
  };
  const client = new DynamoDBClient(config);
  const streams = new DynamoDBStreams(config);
  t.after(async () => {
    client.destroy();
    streams.destroy();
    await close();
    await engine.close();
  });
  return { url, client, streams, documents: DynamoDBDocument.from(client) };
}

const key = (SK: string) => ({ PK: 'p', SK });
const TableName = 'logs';

describe('the table over HTTP, with the real SDK', () => {
  it('carries out each operation the SDK has, or says that it does not', async t => {
    const { client } = await openTable(t);
    const commands = Object.keys(sdk).filter(name => /^[A-Z]\w+Command$/.test(name));
    assert(commands.length > 50);
    for (const command of commands) {
      const name = command.replace(/Command$/, '');
      const isCarriedOut = operationNames.some(operation => operation === name);
      assert.equal(unsupportedOperation(`DynamoDB_20120810.${name}`), isCarriedOut ? undefined : name, name);
    }
    await assert.rejects(client.send(new ExecuteStatementCommand({ Statement: 'SELECT * FROM logs' })), {
      name: 'UnknownOperationException',
      message: 'Mimamori does not support ExecuteStatement.',
    });
  });

  it('keeps each type of value', async t => {
    const { client } = await openTable(t);
    const Item = {
      PK: { S: 'p' },
      SK: { S: '日本語 \u0000 "\\' },
      number: { N: '-1.2345678901234567890123456789012345678E+100' },
      binary: { B: Uint8Array.of(0, 255, 128) },
      texts: { SS: ['a', 'b'] },
      numbers: { NS: ['1', '2'] },
      binaries: { BS: [Uint8Array.of(1), Uint8Array.of(2)] },
      nested: { M: { list: { L: [{ BOOL: true }, { NULL: true }, { M: {} }, { L: [] }, { S: '' }] } } },
      // Names that every object has, as names of attributes.
      constructor: { S: 'x' },
      toString: { S: 'y' },
    };
    await client.send(new PutItemCommand({ TableName, Item }));
    const { Item: stored } = await client.send(new GetItemCommand({ TableName, Key: { PK: Item.PK, SK: Item.SK } }));
    const digits = {
      N: '-12345678901234567890123456789012345678000000000000000000000000000000000000000000000000000000000000000',
    };
    assert.deepEqual(stored, { ...Item, number: digits });
  });

  it('does all that documents are used for', async t => {
    const { documents: table } = await openTable(t);
    await table.put({ TableName, Item: { ...key('1'), owner: 'o', n: 1, bytes: Uint8Array.of(7) } });
    const updated = await table.update({
      TableName,
      Key: key('1'),
      UpdateExpression: 'SET n = n + :one, tags = :tags',
      ExpressionAttributeValues: { ':one': 1, ':tags': new Set(['x']) },
      ReturnValues: 'UPDATED_NEW',
      ReturnConsumedCapacity: 'INDEXES',
    });
    assert.deepEqual(updated.Attributes, { n: 2, tags: new Set(['x']) });
    assert.equal(updated.ConsumedCapacity?.TableName, 'logs');
    await table.batchWrite({
      RequestItems: { logs: ['2', '3'].map(SK => ({ PutRequest: { Item: { ...key(SK), owner: 'o' } } })) },
    });
    const page = await table.query({
      TableName,
      IndexName: 'byOwner',
      KeyConditionExpression: '#o = :o',
      ExpressionAttributeNames: { '#o': 'owner' },
      ExpressionAttributeValues: { ':o': 'o' },
      ScanIndexForward: false,
      Limit: 2,
    });
    assert.deepEqual(
      page.Items?.map(({ SK }) => SK),
      ['3', '2'],
    );
    assert.deepEqual(page.LastEvaluatedKey, { ...key('2'), owner: 'o' });
    const got = await table.batchGet({
      RequestItems: { logs: { Keys: [key('1'), key('2')], ProjectionExpression: 'SK' } },
    });
    assert.deepEqual(got.Responses?.logs.map(({ SK }) => SK).toSorted(), ['1', '2']);
    await table.transactWrite({
      TransactItems: [
        { Delete: { TableName, Key: key('2') } },
        {
          ConditionCheck: {
            TableName,
            Key: key('1'),
            ConditionExpression: 'n = :two',
            ExpressionAttributeValues: { ':two': 2 },
          },
        },
      ],
    });
    const both = await table.transactGet({
      TransactItems: ['1', '2'].map(SK => ({ Get: { TableName, Key: key(SK) } })),
    });
    assert.deepEqual(both.Responses, [
      { Item: { ...key('1'), owner: 'o', n: 2, bytes: Uint8Array.of(7), tags: new Set(['x']) } },
      {},
    ]);
    assert.equal((await table.scan({ TableName, Select: 'COUNT' })).Count, 2);
    const gone = await table.delete({ TableName, Key: key('3'), ReturnValues: 'ALL_OLD' });
    assert.deepEqual(gone.Attributes, { ...key('3'), owner: 'o' });
  });

  it('tells with a refusal what the SDK makes of it: its class and its members', async t => {
    const { url, client, documents } = await openTable(t);
    await documents.put({ TableName, Item: { ...key('1'), bytes: Uint8Array.of(1) } });
    const Item = { PK: { S: 'p' }, SK: { S: '1' } };
    const condition = {
      TableName,
      Item,
      ConditionExpression: 'attribute_not_exists(PK)',
      ReturnValuesOnConditionCheckFailure: 'ALL_OLD' as const,
    };
    const stored = { ...Item, bytes: { B: Uint8Array.of(1) } };
    const refused = await client.send(new PutItemCommand(condition)).catch(error => error);
    assert(refused instanceof ConditionalCheckFailedException);
    assert.deepEqual([refused.message, refused.Item], ['The conditional request failed', stored]);
    const cancelled = await client
      .send(new TransactWriteItemsCommand({ TransactItems: [{ Put: condition }] }))
      .catch(error => error);
    assert(cancelled instanceof TransactionCanceledException);
    assert.match(cancelled.message, /\[ConditionalCheckFailed\]$/);
    const [reason] = cancelled.CancellationReasons ?? [];
    assert.deepEqual([reason.Code, reason.Item], ['ConditionalCheckFailed', stored]);
    await assert.rejects(client.send(new GetItemCommand({ TableName: 'none', Key: Item })), {
      name: 'ResourceNotFoundException',
      message: 'Requested resource not found',
    });
    await assert.rejects(client.send(new QueryCommand({ TableName })), { name: 'ValidationException' });
    const headers = { ...signed, 'x-amz-target': 'DynamoDB_20120810.GetItem' };
    const wrong = await send(url, { headers, body: '{"TableName":true}' });
    assert.equal(wrong.json.__type, 'com.amazon.coral.service#SerializationException');
    assert.equal(wrong.json.Message, 'TRUE_VALUE cannot be converted to String');
  });

  it('takes the parameters from before expressions', async t => {
    const { documents: table } = await openTable(t);
    const update = {
      TableName,
      Key: key('1'),
      AttributeUpdates: { n: { Action: 'ADD' as const, Value: 2 } },
      Expected: { n: { Exists: false } },
      ReturnValues: 'UPDATED_NEW' as const,
    };
    assert.deepEqual((await table.update(update)).Attributes, { n: 2 });
    await assert.rejects(table.update(update), { name: 'ConditionalCheckFailedException' });
    const page = await table.query({
      TableName,
      KeyConditions: { PK: { ComparisonOperator: 'EQ', AttributeValueList: ['p'] } },
      QueryFilter: { n: { ComparisonOperator: 'IN', AttributeValueList: [2, 3] } },
      AttributesToGet: ['n'],
    });
    assert.deepEqual(page.Items, [{ n: 2 }]);
  });

  it('gives the changes through the API of streams, with times as dates', async t => {
    const { documents, streams } = await openTable(t);
    await documents.put({ TableName, Item: { ...key('1'), bytes: Uint8Array.of(1) } });
    const { Streams = [] } = await streams.listStreams({ TableName });
    const StreamArn = Streams[0].StreamArn;
    const { StreamDescription } = await streams.describeStream({ StreamArn });
    assert(StreamDescription?.CreationRequestDateTime instanceof Date);
    const ShardId = StreamDescription.Shards?.[0].ShardId;
    const { ShardIterator } = await streams.getShardIterator({ StreamArn, ShardId, ShardIteratorType: 'TRIM_HORIZON' });
    const { Records = [] } = await streams.getRecords({ ShardIterator });
    assert.equal(Records.length, 1);
    const { dynamodb, eventName } = Records[0];
    assert.equal(eventName, 'INSERT');
    assert.deepEqual(dynamodb?.NewImage?.bytes, { B: Uint8Array.of(1) });
    assert(Math.abs(Number(dynamodb?.ApproximateCreationDateTime) - Date.now()) < 60_000);
  });

  it('tells of a table on demand as DynamoDB does, and of streams to who asks the table for them', async t => {
    const { url } = await openTable(t);
    const call = async (operation: string, input: object) => {
      const headers = { ...signed, 'x-amz-target': `DynamoDB_20120810.${operation}` };
      return (await send(url, { headers, body: JSON.stringify(input) })).json;
    };
    const made = await call('CreateTable', {
      TableName: 'made',
      AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
      KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
      BillingMode: 'PAY_PER_REQUEST',
    });
    assert.deepEqual(made.TableDescription.BillingModeSummary, { BillingMode: 'PAY_PER_REQUEST' });
    assert.deepEqual(made.TableDescription.TableThroughputModeSummary, { TableThroughputMode: 'PAY_PER_REQUEST' });
    const { Table } = await call('DescribeTable', { TableName: 'made' });
    assert.deepEqual(Table.TableThroughputModeSummary, {
      TableThroughputMode: 'PAY_PER_REQUEST',
      LastUpdateToPayPerRequestDateTime: Table.BillingModeSummary.LastUpdateToPayPerRequestDateTime,
    });
    assert.equal((await call('ListStreams', {})).Streams[0].TableName, 'logs');
  });

  it('understands parameters from before expressions', async t => {
    const { client, documents } = await openTable(t);
    await documents.put({ TableName, Item: { ...key('1'), n: 1, owner: 'o' } });
    const Key = { PK: { S: 'p' }, SK: { S: '1' } };
    const { Item } = await client.send(new GetItemCommand({ TableName, Key, AttributesToGet: ['n'] }));
    assert.deepEqual(Item, { n: { N: '1' } });
    const Expected = { n: { ComparisonOperator: 'GT' as const, AttributeValueList: [{ N: '1' }] } };
    await assert.rejects(client.send(new PutItemCommand({ TableName, Item: Key, Expected })), {
      name: 'ConditionalCheckFailedException',
    });
  });

  it('keeps hostile names as attributes, and refuses depth in words (hostile H04, H05)', async t => {
    const { url } = await openTable(t);
    const call = (operation: string, body: string) =>
      send(url, { headers: { ...signed, 'x-amz-target': `DynamoDB_20120810.${operation}` }, body });
    const hostile = '"__proto__":{"M":{"__proto__":{"S":"x"},"constructor":{"M":{"prototype":{"S":"y"}}}}}';
    const Key = '"PK":{"S":"p"},"SK":{"S":"h"}';
    const put = await call('PutItem', `{"__proto__":{"a":1},"TableName":"logs","Item":{${Key},${hostile}}}`);
    assert.equal(put.text, '{}');
    const got = await call('GetItem', `{"TableName":"logs","Key":{${Key}}}`);
    assert(got.text.includes(hostile), got.text);
    assert.deepEqual([Object.hasOwn(Object.prototype, 'S'), Object.hasOwn(Object.prototype, 'a')], [false, false]);
    for (const levels of [40, 100, 490]) {
      const deep = `${'{"M":{"a":'.repeat(levels)}{"S":""}${'}}'.repeat(levels)}`;
      for (const operation of ['PutItem', 'GetItem']) {
        const body = `{"TableName":"logs","${operation === 'PutItem' ? 'Item' : 'Key'}":{${Key},"deep":${deep}}}`;
        const refused = await call(operation, body);
        assert.deepEqual([refused.status, refused.json.__type], [400, 'com.amazon.coral.validate#ValidationException']);
      }
    }
  });

  it('serves items of 400 KB, and many callers at once', async t => {
    const { documents: table } = await openTable(t);
    const large = 'x'.repeat(399 * 1024);
    await table.put({ TableName, Item: { ...key('large'), large } });
    assert.equal((await table.get({ TableName, Key: key('large') })).Item?.large, large);
    await Promise.all(Array.from({ length: 200 }, (_, n) => table.put({ TableName, Item: { ...key(`n${n}`), n } })));
    const { Count } = await table.query({
      TableName,
      KeyConditionExpression: 'PK = :p AND begins_with(SK, :n)',
      ExpressionAttributeValues: { ':p': 'p', ':n': 'n' },
    });
    assert.equal(Count, 200);
  });
});
