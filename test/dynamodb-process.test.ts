import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { describe, it, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { DynamoDB, ProvisionedThroughputExceededException, waitUntilTableExists } from '@aws-sdk/client-dynamodb';
import { DynamoDBDocument } from '@aws-sdk/lib-dynamodb';
import { seededRandom } from '../src/kernel/random.ts';
import { type DynamoDbOptions, startDynamoDb } from '../src/local/dynamodb.ts';
import { missing, temporaryFolder, testScale } from './support.ts';

/** `mimamori dynamodb`, as a user starts it. */
class DynamoDbProcess {
  readonly url: string;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, url: string) {
    this.#child = child;
    this.url = url;
  }

  static async start(
    t: TestContext,
    args: readonly string[],
    env: Record<string, string> = {},
  ): Promise<DynamoDbProcess> {
    const command = ['bin/mimamori.js', 'dynamodb', '--port', '0', '--json', ...args];
    const child = spawn(process.execPath, command, {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, ...env },
    });
    t.after(() => child.kill('SIGKILL'));
    const lines = createInterface({ input: child.stdout });
    const [line] = await once(lines, 'line');
    const { event, urls } = JSON.parse(line);
    assert.equal(event, 'started', line);
    return new DynamoDbProcess(child, urls.dynamodb);
  }

  async end(signal: 'SIGKILL' | 'SIGTERM' | 'SIGINT'): Promise<number | null> {
    const exited = once(this.#child, 'exit');
    this.#child.kill(signal);
    const [code] = await exited;
    return code;
  }

  client(t: TestContext, credentials = { accessKeyId: 'any', secretAccessKey: 'thing' }): DynamoDB {
    const client = new DynamoDB({ endpoint: this.url, region: 'us-east-1', credentials, maxAttempts: 1 });
    t.after(() => client.destroy());
    return client;
  }
}

const alone: DynamoDbOptions = { host: '127.0.0.1', port: 0, limits: 'generous', logLevel: 'silent' };

async function createTable(client: DynamoDB, TableName: string): Promise<void> {
  await client.createTable({
    TableName,
    AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
    KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
    BillingMode: 'PAY_PER_REQUEST',
  });
  await waitUntilTableExists({ client, maxWaitTime: 20, minDelay: 0.05, maxDelay: 0.1 }, { TableName });
}

describe('mimamori dynamodb', { timeout: 120_000 }, () => {
  it('holds several tables, and has them again after it was stopped', async t => {
    const data = temporaryFolder();
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      const server = await DynamoDbProcess.start(t, ['--data', data]);
      const client = server.client(t);
      await createTable(client, `table-${signal}`);
      await client.putItem({ TableName: `table-${signal}`, Item: { id: { S: signal } } });
      assert.equal(await server.end(signal), 0);
    }
    const client = (await DynamoDbProcess.start(t, ['--data', data])).client(t);
    assert.deepEqual((await client.listTables({})).TableNames, ['table-SIGINT', 'table-SIGTERM']);
    const { Item } = await client.getItem({ TableName: 'table-SIGTERM', Key: { id: { S: 'SIGTERM' } } });
    assert.deepEqual(Item, { id: { S: 'SIGTERM' } });
  });

  it('keeps what it acknowledged when it is killed', async t => {
    const seed = 20_261_121;
    t.diagnostic(`seed ${seed}`);
    const random = seededRandom(seed);
    const data = temporaryFolder();
    const acknowledged = new Map<string, number>();
    const rounds = testScale(1, 50);
    for (let round = 0; round <= rounds; round++) {
      const server = await DynamoDbProcess.start(t, ['--data', data]);
      const client = server.client(t);
      const documents = DynamoDBDocument.from(client);
      if (round === 0) await createTable(client, 'kept');
      const found = new Map<string, number>();
      let ExclusiveStartKey: Record<string, unknown> | undefined;
      do {
        const page = await documents.scan({ TableName: 'kept', ConsistentRead: true, ExclusiveStartKey });
        for (const { id, value } of page.Items ?? []) found.set(id, value);
        ExclusiveStartKey = page.LastEvaluatedKey;
      } while (ExclusiveStartKey);
      for (const [id, value] of acknowledged) assert((found.get(id) ?? -1) >= value, `${id} has lost ${value}`);
      if (round === rounds) break;
      let left = 20 + random.integer(300); // writes until it dies
      const killed = Promise.withResolvers<unknown>();
      const write = async (writer: number) => {
        for (let number = 0; ; number++) {
          const id = `${writer}-${number % 5}`;
          const value = round * 10_000 + number;
          await documents.put({ TableName: 'kept', Item: { id, value, filler: 'x'.repeat(random.integer(2_000)) } });
          acknowledged.set(id, value);
          if (--left === 0) killed.resolve(server.end('SIGKILL'));
        }
      };
      const writers = Array.from({ length: 8 }, (_, writer) => write(writer).catch(() => {}));
      await killed.promise;
      await Promise.all(writers);
    }
    assert(acknowledged.size > 0);
  });

  it('stores nothing with --memory', async t => {
    const data = temporaryFolder();
    const server = await DynamoDbProcess.start(t, ['--memory'], { MIMAMORI_DATA: data });
    await createTable(server.client(t), 'gone');
    assert.equal(await server.end('SIGTERM'), 0);
    assert.deepEqual(readdirSync(data), []);
  });

  it('has its folder for itself', async t => {
    const data = temporaryFolder();
    await DynamoDbProcess.start(t, ['--data', data]);
    await assert.rejects(startDynamoDb({ ...alone, dataDirectory: data }), { code: 'data.inUse' });
  });

  it('refuses what would be open to everybody, or would do nothing', async () => {
    const rejects = (options: Partial<DynamoDbOptions>, code: string) =>
      assert.rejects(startDynamoDb({ ...alone, ...options }), { code });
    await rejects({ host: '0.0.0.0' }, 'dynamodb.credentialsRequired');
    await rejects({ credentials: { accessKeyId: 'only' } }, 'credentials.notValid');
    await rejects({ dataDirectory: '/dev/null/x' }, 'dynamodb.dataNotUsable');
    const args = ['bin/mimamori.js', 'dynamodb', '--json', '--memory', '--data', temporaryFolder()];
    const { status, stdout } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    assert.deepEqual([status, JSON.parse(stdout).code], [1, 'dynamodb.optionsNotValid']);
  });

  it('takes credentials from variables and from a file', async t => {
    const file = path.join(temporaryFolder(), 'credentials');
    writeFileSync(file, '[default]\naws_access_key_id = FILE\naws_secret_access_key = file-secret\n');
    const env = { MIMAMORI_ACCESS_KEY_ID: 'VARIABLE', MIMAMORI_SECRET_ACCESS_KEY: 'variable-secret' };
    const server = await DynamoDbProcess.start(t, ['--memory', '--credentials', file, '--host', '0.0.0.0'], env);
    const ask = (accessKeyId: string, secretAccessKey: string) =>
      server.client(t, { accessKeyId, secretAccessKey }).listTables({});
    assert.deepEqual((await ask('FILE', 'file-secret')).TableNames, []);
    assert.deepEqual((await ask('VARIABLE', 'variable-secret')).TableNames, []);
    await assert.rejects(ask('FILE', 'variable-secret'), { name: 'InvalidSignatureException' });
    await assert.rejects(ask('any', 'thing'), { name: 'UnrecognizedClientException' });
  });

  it('has a new table for those who wait for it, with --transition', async t => {
    const client = (await DynamoDbProcess.start(t, ['--memory', '--transition', '1000'])).client(t);
    const TableName = 'soon';
    await client.createTable({
      TableName,
      AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
      KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
      BillingMode: 'PAY_PER_REQUEST',
    });
    const put = () => client.putItem({ TableName, Item: { id: { S: 'a' } } });
    await assert.rejects(put(), { name: 'ResourceNotFoundException' });
    await waitUntilTableExists({ client, maxWaitTime: 20, minDelay: 0.05, maxDelay: 0.1 }, { TableName });
    await put();
  });

  it('throttles a table that is provisioned, with --limits aws', async t => {
    const client = (await DynamoDbProcess.start(t, ['--memory', '--limits', 'aws'])).client(t);
    const TableName = 'small';
    await client.createTable({
      TableName,
      AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
      KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
      ProvisionedThroughput: { ReadCapacityUnits: 1, WriteCapacityUnits: 1 },
    });
    await waitUntilTableExists({ client, maxWaitTime: 20, minDelay: 0.05, maxDelay: 0.1 }, { TableName });
    const Item = { id: { S: 'a' }, filler: { S: 'x'.repeat(100 * 1024) } }; // 101 units of the 300 saved up
    const throttled = async () => {
      for (let write = 0; write < 10; write++) await client.putItem({ TableName, Item });
    };
    const refused = await throttled().catch(error => error);
    assert(refused instanceof ProvisionedThroughputExceededException);
    assert.equal(refused.ThrottlingReasons?.[0].reason, 'TableWriteProvisionedThroughputExceeded');
  });
});

describe('the AWS CLI', { timeout: 120_000, skip: missing('aws') }, () => {
  it('signs as the endpoint checks it, and is told what is wrong', async t => {
    const credentials = ['--access-key', 'AKIDCLI', '--secret-key', 'cli-secret'];
    const { url } = await DynamoDbProcess.start(t, ['--memory', '--region', 'eu-west-1', ...credentials]);
    const env = {
      ...process.env,
      AWS_ACCESS_KEY_ID: 'AKIDCLI',
      AWS_SECRET_ACCESS_KEY: 'cli-secret',
      AWS_DEFAULT_REGION: 'eu-west-1',
      AWS_CONFIG_FILE: '/dev/null',
      AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
    };
    // biome-ignore lint/suspicious/noExplicitAny: a test says what it expects by comparing.
    const aws = async (...args: string[]): Promise<any> => {
      const all = ['dynamodb', ...args, '--endpoint-url', url, '--output', 'json'];
      const { stdout } = await promisify(execFile)('aws', all, { env });
      return stdout === '' ? undefined : JSON.parse(stdout);
    };
    const attribute = 'AttributeName=id,AttributeType=S';
    const schema = ['--attribute-definitions', attribute, '--key-schema', 'AttributeName=id,KeyType=HASH'];
    const made = await aws('create-table', '--table-name', 'notes', ...schema, '--billing-mode', 'PAY_PER_REQUEST');
    assert.match(made.TableDescription.TableArn, /^arn:aws:dynamodb:us-east-1:\d{12}:table\/notes$/);
    await assert.rejects(
      aws('get-item', '--table-name', 'none', '--key', '{"id":{"S":"a"}}'),
      /ResourceNotFoundException/,
    );
  });
});
