/** What others use with DynamoDB, on our endpoint: the SDK with its conveniences, the AWS CLI, boto3. */
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import {
  CreateTableCommand,
  DeleteTableCommand,
  DynamoDBClient,
  paginateListTables,
  paginateScan as paginateTypedScan,
  ResourceNotFoundException,
  waitUntilTableExists,
  waitUntilTableNotExists,
} from '@aws-sdk/client-dynamodb';
import {
  type BatchGetCommandOutput,
  DynamoDBDocument,
  NumberValue,
  paginateQuery,
  paginateScan,
} from '@aws-sdk/lib-dynamodb';
import { type DynamoDbServer, startDynamoDb } from '../src/local/dynamodb.ts';
import { missing, temporaryFolder, testScale } from './support.ts';

const quick = { maxWaitTime: 20, minDelay: 0.05, maxDelay: 0.1 };
const TableName = 'readings';
const attributes = [
  { AttributeName: 'room', AttributeType: 'S' },
  { AttributeName: 'at', AttributeType: 'N' },
] as const;
const keys = [
  { AttributeName: 'room', KeyType: 'HASH' },
  { AttributeName: 'at', KeyType: 'RANGE' },
] as const;

const createTable = (name: string) =>
  new CreateTableCommand({
    TableName: name,
    AttributeDefinitions: [...attributes],
    KeySchema: [...keys],
    BillingMode: 'PAY_PER_REQUEST',
  });

let server: DynamoDbServer;
const serve = async () => {
  server = await startDynamoDb({ host: '127.0.0.1', port: 0, limits: 'generous', logLevel: 'silent' });
};

describe('the SDK, with its conveniences', { timeout: 60_000 }, () => {
  let client: DynamoDBClient;
  before(async () => {
    await serve();
    const credentials = { accessKeyId: 'any', secretAccessKey: 'thing' };
    client = new DynamoDBClient({ endpoint: server.url, region: 'us-east-1', credentials });
    await client.send(createTable(TableName));
    await waitUntilTableExists({ client, ...quick }, { TableName });
  });
  after(async () => {
    client.destroy();
    await server.close();
  });

  it('keeps every digit with wrapped numbers, and what the options make of values', async () => {
    const documents = DynamoDBDocument.from(client, {
      marshallOptions: { removeUndefinedValues: true, convertEmptyValues: true, convertClassInstanceToMap: true },
      unmarshallOptions: { wrapNumbers: true },
    });
    const digits = '-1.2345678901234567890123456789012345678';
    const Key = { room: 'attic', at: NumberValue.from('12345678901234567890') };
    await documents.put({
      TableName,
      Item: {
        ...Key,
        digits: NumberValue.from(digits),
        gone: undefined,
        empty: '',
        when: new URL('http://a.example/'),
      },
    });
    const { Item } = await documents.get({ TableName, Key, ConsistentRead: true });
    assert.deepEqual([Item?.digits.value, Item?.at.value, Item?.empty], [digits, Key.at.toString(), null]);
    assert.equal('gone' in (Item ?? {}), false);
    const plain = DynamoDBDocument.from(client, { unmarshallOptions: { wrapNumbers: String } });
    assert.equal((await plain.get({ TableName, Key })).Item?.digits, digits);
    const native = await DynamoDBDocument.from(client).query({
      TableName,
      KeyConditionExpression: 'room = :room AND #at > :at',
      ExpressionAttributeNames: { '#at': 'at' },
      ExpressionAttributeValues: { ':room': 'attic', ':at': 12345678901234567889n },
      ProjectionExpression: '#at',
    });
    assert.deepEqual(native.Items, [{ at: 12345678901234567890n }]);
  });

  it('pages through queries, scans and lists of tables', async () => {
    const documents = DynamoDBDocument.from(client);
    const items = Array.from({ length: 60 }, (_, at) => ({ room: 'hall', at, filler: 'x'.repeat(60_000) }));
    for (let first = 0; first < items.length; first += 20) {
      const writes = items.slice(first, first + 20).map(Item => ({ PutRequest: { Item } }));
      assert.deepEqual((await documents.batchWrite({ RequestItems: { [TableName]: writes } })).UnprocessedItems, {});
    }
    const query = {
      TableName,
      KeyConditionExpression: 'room = :room',
      ExpressionAttributeValues: { ':room': 'hall' },
    };
    const pages: number[] = [];
    for await (const page of paginateQuery({ client: documents, pageSize: 25 }, { ...query })) {
      pages.push(page.Items?.length ?? 0);
    }
    assert.deepEqual(pages, [18, 18, 18, 6], 'a megabyte comes before 25');
    let found = 0;
    for await (const page of paginateScan(
      { client: documents },
      { TableName, FilterExpression: 'room = :room', ExpressionAttributeValues: { ':room': 'hall' } },
    )) {
      found += page.Items?.length ?? 0;
    }
    for await (const page of paginateTypedScan({ client, pageSize: 7 }, { TableName, Select: 'COUNT' }))
      found += page.Count ?? 0;
    assert.equal(found, 60 + 61);
    const from = { client: documents, startingToken: { room: 'hall', at: 57 } as never };
    for await (const page of paginateQuery(from, { ...query })) {
      assert.deepEqual(
        page.Items?.map(({ at }) => at),
        [58, 59],
      );
    }
    for (const name of ['one', 'two', 'three']) await client.send(createTable(name));
    const names: (string[] | undefined)[] = [];
    for await (const page of paginateListTables({ client, pageSize: 2 }, {})) names.push(page.TableNames);
    assert.deepEqual(names, [
      ['one', TableName],
      ['three', 'two'],
    ]);
  });

  it('asks again for what a batch has handed back, and gets the rest', async () => {
    const documents = DynamoDBDocument.from(client);
    const Keys = Array.from({ length: 60 }, (_, at) => ({ room: 'hall', at }));
    let RequestItems: BatchGetCommandOutput['UnprocessedKeys'] = { [TableName]: { Keys } };
    const found = new Set<number>();
    let requests = 0;
    while (Object.keys(RequestItems).length > 0) {
      const answer: BatchGetCommandOutput = await documents.batchGet({ RequestItems });
      for (const { at } of answer.Responses?.[TableName] ?? []) found.add(at);
      RequestItems = answer.UnprocessedKeys ?? {};
      requests++;
    }
    assert.deepEqual([found.size, requests], [60, 4], 'a megabyte of a partition at a time');
  });

  it('aborts, and waits until a table is gone', async () => {
    const documents = DynamoDBDocument.from(client);
    await assert.rejects(
      documents.get({ TableName, Key: { room: 'hall', at: 1 } }, { abortSignal: AbortSignal.abort() }),
      {
        name: 'AbortError',
      },
    );
    await client.send(new DeleteTableCommand({ TableName }));
    const { state } = await waitUntilTableNotExists({ client, ...quick }, { TableName });
    assert.equal(state, 'SUCCESS');
    await assert.rejects(documents.get({ TableName, Key: { room: 'hall', at: 1 } }), ResourceNotFoundException);
  });
});

const credentials = {
  ...process.env,
  AWS_ACCESS_KEY_ID: 'any',
  AWS_SECRET_ACCESS_KEY: 'thing',
  AWS_DEFAULT_REGION: 'us-east-1',
  AWS_CONFIG_FILE: '/dev/null',
  AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
  AWS_PAGER: '',
};

/** Each call of the CLI takes a second of a core. */
const isShort = testScale(1, 0) === 1 && 'part of npm run test:long';

describe('the AWS CLI, with a table', { timeout: 60_000, skip: missing('aws') || isShort }, () => {
  before(serve);
  after(() => server.close());

  // biome-ignore lint/suspicious/noExplicitAny: a test says what it expects by comparing.
  const call = async (service: string, ...args: string[]): Promise<any> => {
    const all = [service, ...args, '--endpoint-url', server.url, '--output', 'json'];
    const { stdout } = await promisify(execFile)('aws', all, { env: credentials });
    return stdout === '' ? undefined : JSON.parse(stdout);
  };
  const aws = (...args: string[]) => call('dynamodb', ...args);
  let streamArn = '';
  const file = (name: string, content: unknown) => {
    const at = path.join(temporaryFolder(), name);
    writeFileSync(at, JSON.stringify(content));
    return `file://${at}`;
  };

  it('makes one from a file, with an index and a stream, and waits for it', async () => {
    const input = {
      TableName,
      AttributeDefinitions: [...attributes, { AttributeName: 'kind', AttributeType: 'S' }],
      KeySchema: keys,
      GlobalSecondaryIndexes: [
        {
          IndexName: 'byKind',
          KeySchema: [{ AttributeName: 'kind', KeyType: 'HASH' }],
          Projection: { ProjectionType: 'KEYS_ONLY' },
        },
      ],
      BillingMode: 'PAY_PER_REQUEST',
      StreamSpecification: { StreamEnabled: true, StreamViewType: 'NEW_IMAGE' },
    };
    await aws('create-table', '--cli-input-json', file('table.json', input));
    await aws('wait', 'table-exists', '--table-name', TableName);
    const { Table } = await aws('describe-table', '--table-name', TableName);
    assert.deepEqual([Table.TableStatus, Table.GlobalSecondaryIndexes[0].IndexStatus], ['ACTIVE', 'ACTIVE']);
    streamArn = Table.LatestStreamArn;
    const made: unknown = Table.CreationDateTime; // seconds before version 2 of the CLI, a date since
    assert(new Date(typeof made === 'number' ? made * 1_000 : String(made)).getFullYear() >= 2024, String(made));
  });

  it('writes in batches and transactions from files, and says which part was refused', async () => {
    const Item = (at: number) => ({ room: { S: 'hall' }, at: { N: String(at) }, kind: { S: at % 2 ? 'co2' : 'temp' } });
    const writes = Array.from({ length: 25 }, (_, at) => ({ PutRequest: { Item: Item(at) } }));
    const batch = await aws('batch-write-item', '--request-items', file('batch.json', { [TableName]: writes }));
    assert.deepEqual(batch, { UnprocessedItems: {} });
    const transaction = (at: number) =>
      file('transaction.json', [
        { Put: { TableName, Item: Item(at), ConditionExpression: 'attribute_not_exists(room)' } },
        {
          Update: {
            TableName,
            Key: { room: { S: 'hall' }, at: { N: '0' } },
            UpdateExpression: 'ADD seen :one',
            ExpressionAttributeValues: { ':one': { N: '1' } },
          },
        },
      ]);
    await aws('transact-write-items', '--transact-items', transaction(25), '--client-request-token', 'first');
    await assert.rejects(
      aws('transact-write-items', '--transact-items', transaction(25)),
      /TransactionCanceledException.*please refer cancellation reasons for specific reasons \[ConditionalCheckFailed, None\]/,
    );
  });

  it('queries and scans with filters, pages and a limit of its own', { skip: isShort }, async () => {
    const values = ['--expression-attribute-values', '{":room": {"S": "hall"}, ":kind": {"S": "co2"}}'];
    const query = aws(
      ...['query', '--table-name', TableName, '--key-condition-expression', 'room = :room', ...values],
      ...['--filter-expression', 'kind = :kind', '--page-size', '4', '--no-scan-index-forward'],
    );
    const index = ['scan', '--table-name', TableName, '--index-name', 'byKind'];
    const scan = aws(...index, '--page-size', '7', '--max-items', '10');
    const { Items, Count, ScannedCount } = await query;
    assert.deepEqual([Items.length, Items[0].at, Count, ScannedCount], [13, { N: '25' }, 13, 26]);
    const first = await scan;
    assert.equal(first.Items.length, 10);
    const rest = await aws(...index, '--starting-token', first.NextToken);
    assert.equal(rest.Items.length, 16);
  });

  it('updates, gets, deletes, and reads what has changed', { skip: isShort }, async () => {
    const key = ['--key', '{"room": {"S": "hall"}, "at": {"N": "0"}}'];
    const updated = await aws(
      ...['update-item', '--table-name', TableName, ...key, '--return-values', 'UPDATED_NEW'],
      ...[
        '--update-expression',
        'SET #r = if_not_exists(#r, :raw) ADD seen :one',
        '--expression-attribute-names',
        '{"#r": "payload"}',
      ],
      ...['--expression-attribute-values', '{":raw": {"BS": ["eA==", "eQ=="]}, ":one": {"N": "1.5"}}'],
    );
    const { payload } = updated.Attributes; // the CLI encodes once more, unless it is version 2
    assert.equal(payload.BS.length, 2);
    assert.deepEqual(updated.Attributes, { payload, seen: { N: '2.5' } });
    const projection = ['--projection-expression', 'payload, nothing', '--consistent-read'];
    assert.deepEqual(await aws('get-item', '--table-name', TableName, ...key, ...projection), {
      Item: { payload },
    });
    const gone = await aws('delete-item', '--table-name', TableName, ...key, '--return-values', 'ALL_OLD');
    assert.deepEqual(gone.Attributes.seen, { N: '2.5' });
    const arn = ['--stream-arn', streamArn];
    const { StreamDescription } = await call('dynamodbstreams', 'describe-stream', ...arn);
    const shard = ['--shard-id', StreamDescription.Shards[0].ShardId, '--shard-iterator-type', 'TRIM_HORIZON'];
    const { ShardIterator } = await call('dynamodbstreams', 'get-shard-iterator', ...arn, ...shard);
    const { Records } = await call('dynamodbstreams', 'get-records', '--shard-iterator', ShardIterator);
    assert.deepEqual(Records.at(-1).eventName, 'REMOVE');
    assert.deepEqual(Records.at(-2).dynamodb.NewImage.payload, payload);
  });

  it('tells of mistakes in DynamoDB’s words, and takes the table away', async () => {
    const unused = ['--expression-attribute-values', '{":x": {"S": "hall"}}'];
    const key = ['--key', '{"room": {"S": "hall"}, "at": {"N": "1"}}'];
    await Promise.all([
      assert.rejects(aws('get-item', '--table-name', TableName, '--key', '{"room": {"S": "hall"}}'), {
        message: /ValidationException.*The provided key element does not match the schema/,
      }),
      assert.rejects(aws('delete-item', '--table-name', TableName, ...key, ...unused), {
        message: /ValidationException.*ExpressionAttributeValues can only be specified when using expressions/,
      }),
    ]);
    await aws('delete-table', '--table-name', TableName);
    await aws('wait', 'table-not-exists', '--table-name', TableName);
  });
});

const withBoto3 = spawnSync('python3', ['-c', 'import boto3']).status === 0;

describe('boto3', { timeout: 60_000, skip: withBoto3 ? false : 'skipped: needs python3 with boto3' }, () => {
  before(serve);
  after(() => server.close());

  it('makes a table, writes, pages, waits, and reads streams as its program expects', async () => {
    const { stdout } = await promisify(execFile)('python3', ['test/boto3-client.py', server.url], { env: credentials });
    assert.equal(stdout, 'all as expected\n');
  });
});
