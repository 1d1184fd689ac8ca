import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  BatchWriteItemCommand,
  ConditionalCheckFailedException,
  CreateTableCommand,
  DescribeTableCommand,
  DynamoDBClient,
  GetItemCommand,
  ListTagsOfResourceCommand,
  PutItemCommand,
  ResourceNotFoundException,
  TransactionCanceledException,
  QueryCommand as TypedQueryCommand,
  UpdateItemCommand,
  waitUntilTableExists,
} from '@aws-sdk/client-dynamodb';
import {
  DescribeStreamCommand,
  GetRecordsCommand,
  GetShardIteratorCommand,
  ListStreamsCommand,
} from '@aws-sdk/client-dynamodb-streams';
import {
  DynamoDBDocument,
  DynamoDBDocumentClient,
  ExecuteStatementCommand,
  GetCommand,
  NumberValue,
  PutCommand,
  paginateQuery,
  paginateScan,
  QueryCommand,
  ScanCommand,
  TransactWriteCommand,
  UpdateCommand,
} from '@aws-sdk/lib-dynamodb';
import { systemClock } from '../../kernel/clock.ts';
import { MemoryDisk } from '../../kernel/memory-store.ts';
import { VirtualClock } from '../../kernel/virtual-clock.ts';
import { awsTable } from './aws.ts';
import { contractTables, everyKind, tableContract } from './contract.ts';
import { documentClientOf } from './document-client.ts';
import { openEmbeddedTable } from './embedded.ts';

const open = async (clock = new VirtualClock()) => {
  const store = new MemoryDisk({ clock: systemClock, syncMs: 0 }).open();
  const [things, ...others] = contractTables;
  return openEmbeddedTable({ store, clock, tables: [{ ...things, stream: 'NEW_AND_OLD_IMAGES' }, ...others] });
};

tableContract('the document client, in process', async () => {
  const clock = new VirtualClock();
  const table = await open(clock);
  return {
    table: { ...awsTable(documentClientOf(table, { instanceOf: DynamoDBDocument })), close: () => table.close() },
    letPass: ms => clock.advance(ms),
    cleanUp: async () => {},
  };
});

const TableName = 'things';
const Key = { PK: 'a', SK: '1' };
const typedKey = { PK: { S: 'a' }, SK: { S: '1' } };

describe('the document client', () => {
  it('answers as the SDK does, with what it knows of the exchange', async () => {
    const client = documentClientOf(await open());
    const Item = { ...Key, ...everyKind() };
    assert.deepEqual(await client.send(new PutCommand({ TableName, Item })), {
      $metadata: { httpStatusCode: 200, attempts: 1, totalRetryDelay: 0 },
    });
    const got = await client.send(new GetCommand({ TableName, Key, ConsistentRead: undefined }));
    assert.deepEqual([got.Item, got.$metadata.httpStatusCode], [Item, 200]);
    assert.equal('Item' in (await client.send(new GetCommand({ TableName, Key: { PK: 'a', SK: '2' } }))), false);
  });

  it('refuses with errors that the classes of the SDK know for theirs', async () => {
    const client = documentClientOf(await open());
    const Item = { ...Key, raw: Uint8Array.of(1, 2) };
    await client.send(new PutCommand({ TableName, Item }));
    const condition = {
      ConditionExpression: 'attribute_not_exists(PK)',
      ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
    } as const;
    const stored = { ...typedKey, raw: { B: Uint8Array.of(1, 2) } };

    const failed: unknown = await client.send(new PutCommand({ TableName, Item, ...condition })).catch(error => error);
    assert(failed instanceof ConditionalCheckFailedException);
    assert(!(failed instanceof ResourceNotFoundException));
    assert.deepEqual([failed.message, failed.$fault], ['The conditional request failed', 'client']);
    assert.deepEqual([failed.$metadata.httpStatusCode, failed.Item], [400, stored]);

    const writes = [{ Delete: { TableName, Key: { PK: 'b', SK: '1' } } }, { Put: { TableName, Item, ...condition } }];
    const cancelled = await client.send(new TransactWriteCommand({ TransactItems: writes })).catch(error => error);
    assert(cancelled instanceof TransactionCanceledException);
    assert.deepEqual(cancelled.CancellationReasons, [
      { Code: 'None' },
      { Code: 'ConditionalCheckFailed', Message: 'The conditional request failed', Item: stored },
    ]);

    const nowhere = await client.send(new GetCommand({ TableName: 'nowhere', Key })).catch(error => error);
    assert(nowhere instanceof ResourceNotFoundException);
    await assert.rejects(client.send(new GetCommand({ TableName, Key: {} })), {
      name: 'ValidationException',
      message: 'The provided key element does not match the schema',
      $fault: 'client',
    });
  });

  it('takes typed commands, too', async () => {
    const client = documentClientOf(await open());
    const Item = {
      ...typedKey,
      raw: { B: Uint8Array.of(0, 255) },
      raws: { BS: [Uint8Array.of(1), Uint8Array.of(2)] },
      long: { N: '1.2345678901234567890123456789012345678' },
      deep: { M: { list: { L: [{ NULL: true }, { BOOL: false }, { SS: ['x'] }, { NS: ['1', '2'] }] } } },
    } as const;
    const typed: DynamoDBClient = client as unknown as DynamoDBClient; // a cast: it takes its commands as well
    await typed.send(new PutItemCommand({ TableName, Item: structuredClone(Item) as never }));
    assert.deepEqual((await typed.send(new GetItemCommand({ TableName, Key: typedKey }))).Item, Item);
    const updated = await typed.send(
      new UpdateItemCommand({
        TableName,
        Key: typedKey,
        UpdateExpression: 'ADD raws :more REMOVE deep',
        ExpressionAttributeValues: { ':more': { BS: [Uint8Array.of(3)] } },
        ReturnValues: 'UPDATED_NEW',
      }),
    );
    assert.deepEqual(updated.Attributes, { raws: { BS: [1, 2, 3].map(byte => Uint8Array.of(byte)) } });
    const RequestItems = { [TableName]: [{ PutRequest: { Item: { ...typedKey, SK: { S: '2' } } } }] };
    assert.deepEqual((await typed.send(new BatchWriteItemCommand({ RequestItems }))).UnprocessedItems, {});
    const { Items } = await typed.send(
      new TypedQueryCommand({
        TableName,
        KeyConditionExpression: 'PK = :pk',
        ExpressionAttributeValues: { ':pk': { S: 'a' } },
      }),
    );
    assert.deepEqual(
      Items?.map(item => item.SK),
      [{ S: '1' }, { S: '2' }],
    );
    const wrong = { ...typedKey, wrong: { N: 'x' } };
    await assert.rejects(typed.send(new PutItemCommand({ TableName, Item: wrong })), { name: 'ValidationException' });
    await assert.rejects(typed.send(new PutItemCommand({ TableName, Item: { PK: 'a', SK: '1' } as never })), {
      name: 'ValidationException',
    });
  });

  it('sets tables up, waits for them, and reads their streams', async () => {
    const client = documentClientOf(await open());
    await client.send(
      new CreateTableCommand({
        TableName: 'made',
        AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
        KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
        BillingMode: 'PAY_PER_REQUEST',
        StreamSpecification: { StreamEnabled: true, StreamViewType: 'NEW_IMAGE' },
      }) as never,
    );
    const typed = client as unknown as DynamoDBClient;
    const { state } = await waitUntilTableExists({ client: typed, maxWaitTime: 5, minDelay: 1 }, { TableName: 'made' });
    assert.equal(state, 'SUCCESS');
    const { Table } = await typed.send(new DescribeTableCommand({ TableName: 'made' }));
    assert(Table?.CreationDateTime instanceof Date);
    await client.send(new PutCommand({ TableName: 'made', Item: { id: 'x', raw: Uint8Array.of(7) } }));
    // biome-ignore lint/suspicious/noExplicitAny: the types of the client know nothing of streams.
    const streams = client as any;
    const StreamArn = (await streams.send(new ListStreamsCommand({ TableName: 'made' }))).Streams[0].StreamArn;
    assert.equal(StreamArn, Table.LatestStreamArn);
    const { StreamDescription } = await streams.send(new DescribeStreamCommand({ StreamArn }));
    const [{ ShardId }] = StreamDescription.Shards;
    const iterator = new GetShardIteratorCommand({ StreamArn, ShardId, ShardIteratorType: 'TRIM_HORIZON' });
    const { ShardIterator } = await streams.send(iterator);
    const { Records } = await streams.send(new GetRecordsCommand({ ShardIterator }));
    assert.deepEqual(Records[0].dynamodb.NewImage, { id: { S: 'x' }, raw: { B: Uint8Array.of(7) } });
  });

  it('is an instance of the class it is told, so that paginators take it', async () => {
    const table = await open();
    const client = documentClientOf(table, { instanceOf: DynamoDBDocument });
    assert(client instanceof DynamoDBDocumentClient);
    const keys = Array.from({ length: 25 }, (_, index) => ({ PK: 'p', SK: String(index).padStart(2, '0') }));
    for (const key of keys) await client.put({ TableName, Item: key });
    const query = {
      TableName,
      KeyConditionExpression: 'PK = :pk',
      ExpressionAttributeValues: { ':pk': 'p' },
    };
    const sizes: number[] = [];
    for await (const page of paginateQuery({ client, pageSize: 10 }, query)) sizes.push(page.Items?.length ?? 0);
    assert.deepEqual(sizes, [10, 10, 5]);
    let found = 0;
    for await (const page of paginateScan({ client, pageSize: 7 }, { TableName })) found += page.Items?.length ?? 0;
    assert.equal(found, 25);
    const plain = documentClientOf(table);
    await assert.rejects(paginateQuery({ client: plain }, query).next(), /instance of DynamoDBDocumentClient/);
  });

  it('brings values into form as it is told, and refuses them otherwise', async () => {
    class Point {
      readonly x = 1;
      readonly gone = undefined;
    }
    const table = await open();
    const Item = {
      ...Key,
      point: new Point(),
      gone: undefined,
      list: [1, undefined, ''],
      texts: new Set(['a', undefined]),
      none: new Set(),
      raw: new Uint8Array(),
      map: new Map<string, unknown>([
        ['kept', ''],
        ['gone', undefined],
      ]),
      long: NumberValue.from('0.1234567890123456789012345678901234567'),
    };
    await assert.rejects(documentClientOf(table).send(new PutCommand({ TableName, Item })), {
      name: 'ValidationException',
    });
    const client = documentClientOf(table, {
      marshallOptions: { removeUndefinedValues: true, convertEmptyValues: true, convertClassInstanceToMap: true },
      unmarshallOptions: { wrapNumbers: String },
    });
    await client.send(new PutCommand({ TableName, Item }));
    assert.deepEqual((await client.send(new GetCommand({ TableName, Key }))).Item, {
      ...Key,
      point: { x: '1' },
      list: ['1', null],
      texts: new Set(['a']),
      none: null,
      raw: null,
      map: { kept: null },
      long: '0.1234567890123456789012345678901234567',
    });
    const wrapping = documentClientOf(table, { unmarshallOptions: { wrapNumbers: NumberValue.from } });
    const { Item: wrapped } = await wrapping.send(new GetCommand({ TableName, Key }));
    assert(wrapped?.long instanceof NumberValue);
    await wrapping.send(new PutCommand({ TableName, Item: wrapped }));
    const adding = new UpdateCommand({
      TableName,
      Key,
      UpdateExpression: 'ADD #long :more',
      ExpressionAttributeNames: { '#long': 'long' },
      ExpressionAttributeValues: { ':more': NumberValue.from('1') },
      ReturnValues: 'UPDATED_NEW',
    });
    assert.equal((await client.send(adding)).Attributes?.long, '1.1234567890123456789012345678901234567');
  });

  it('stops waiting when it is aborted, and begins nothing that was aborted before', async () => {
    const table = await open();
    const client = documentClientOf(table);
    const put = new PutCommand({ TableName, Item: Key });
    const aborted = { name: 'AbortError', message: 'Request aborted' };
    await assert.rejects(client.send(put, { abortSignal: AbortSignal.abort() }), aborted);
    assert.deepEqual((await client.send(new ScanCommand({ TableName }))).Items, []);
    const controller = new AbortController();
    const sent = client.send(put, { abortSignal: controller.signal });
    controller.abort(new Error('whatever the reason'));
    await assert.rejects(sent, aborted);
    const unused = new AbortController();
    assert.equal((await client.send(put, { abortSignal: unused.signal })).$metadata.httpStatusCode, 200);
  });

  it('calls back, if asked so', async () => {
    const client = documentClientOf(await open());
    const called = (command: GetCommand, options?: object) =>
      new Promise((resolve, reject) => {
        const callback = (error: unknown, output: unknown) => (error === null ? resolve(output) : reject(error));
        if (options === undefined) client.send(command, callback);
        else client.send(command, options, callback);
      });
    const get = new GetCommand({ TableName, Key });
    assert.deepEqual(await called(get), await client.send(get));
    assert.deepEqual(await called(get, {}), await client.send(get));
    await assert.rejects(called(new GetCommand({ TableName: 'nowhere', Key })), ResourceNotFoundException);
  });

  it('refuses by name what it does not do', async () => {
    const client = documentClientOf(await open());
    const statement = new ExecuteStatementCommand({ Statement: 'SELECT * FROM things' });
    await assert.rejects(client.send(statement), { code: 'table.notSupported', message: /ExecuteStatement/ });
    const legacy = new QueryCommand({ TableName, KeyConditions: {} } as never);
    await assert.rejects(client.send(legacy), { code: 'table.notSupported', message: /KeyConditions/ });
    const typed = client as unknown as DynamoDBClient; // a cast: it takes its commands as well
    const refused = { code: 'table.notSupported', message: /middlewares/ };
    assert.throws(() => DynamoDBDocument.from(typed), refused); // or it would talk to AWS
    assert.throws(() => client.middlewareStack.add(next => next, { step: 'build' }), refused);
    const ResourceArn = 'arn:aws:dynamodb:us-east-1:000000000000:table/things';
    assert.deepEqual((await typed.send(new ListTagsOfResourceCommand({ ResourceArn }))).Tags, []);
  });

  it('is ended by nobody but who opened the table, and on AWS is the client of the table', async () => {
    const table = await open();
    const client = documentClientOf(table);
    client.destroy();
    await client.send(new PutCommand({ TableName, Item: Key }));
    assert.equal(await client.config.region(), 'us-east-1');
    const document = DynamoDBDocument.from(new DynamoDBClient({ region: 'us-east-1' }));
    assert.equal(documentClientOf(awsTable(document)), document);
    await table.close();
    const { answer: _, ...withoutAnswer } = table;
    assert.throws(() => documentClientOf(withoutAnswer), /`openEmbeddedTable` or `awsTable`/);
  });
});
