import assert from 'node:assert/strict';
import net from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { pathToFileURL } from 'node:url';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { DynamoDBDocument } from '@aws-sdk/lib-dynamodb';
import { MqttClient } from '../src/device/index.ts';
import { systemClock } from '../src/kernel/clock.ts';
import { systemSockets } from '../src/kernel/sockets.ts';
import { type BackendOptions, startBackend } from '../src/local/index.ts';
import { eventually, temporaryFolder } from './support.ts';

type Endpoint = NonNullable<BackendOptions['dynamoDb']>;

async function start(t: TestContext, dynamoDb: Partial<Endpoint>, options: Partial<BackendOptions> = {}) {
  const backend = await startBackend({
    appUrl: pathToFileURL('apps/speaker/app.ts'),
    dataDirectory: temporaryFolder(),
    host: '127.0.0.1',
    httpPort: 0,
    mqttPort: 0,
    dynamoDb: { host: '127.0.0.1', port: 0, orFreePort: false, ...dynamoDb },
    logLevel: 'silent',
    onFailure: error => assert.fail(String(error)),
    ...options,
  });
  t.after(() => backend.close());
  return backend;
}

function documentsAt(t: TestContext, endpoint: string | undefined, secretAccessKey = 'any'): DynamoDBDocument {
  assert(endpoint);
  const credentials = { accessKeyId: 'test', secretAccessKey };
  const client = new DynamoDBClient({ endpoint, region: 'us-east-1', credentials, maxAttempts: 1 });
  t.after(() => client.destroy());
  return DynamoDBDocument.from(client);
}

/** A port that somebody else has. */
async function taken(t: TestContext): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1');
  t.after(() => server.close());
  await new Promise(resolve => server.once('listening', resolve));
  const address = server.address();
  assert(typeof address === 'object' && address);
  return address.port;
}

const item = { PK: 'Tool-1', SK: 'Tool', note: 'hello' };
const Key = { PK: item.PK, SK: item.SK };
const TableName = 'app';

describe("an app's table as DynamoDB", { timeout: 60_000 }, () => {
  it('can be read and written with any tool, beside the running app', async t => {
    const { dynamoDbUrl } = await start(t, {});
    const documents = documentsAt(t, dynamoDbUrl);
    await documents.put({ TableName, Item: item });
    assert.deepEqual((await documents.get({ TableName, Key })).Item, item);
  });

  it('takes a free port when its usual one is taken, and refuses when it was asked for that one', async t => {
    const port = await taken(t);
    const { dynamoDbUrl } = await start(t, { port, orFreePort: true });
    assert.notEqual(dynamoDbUrl, `http://127.0.0.1:${port}`);
    await documentsAt(t, dynamoDbUrl).put({ TableName, Item: item });
    await assert.rejects(start(t, { port }), { code: 'dynamodb.portInUse' });
  });

  it('asks for a signature when there are credentials, and is open to others only then', async t => {
    const credentials = { accessKeyId: 'test', secretAccessKey: 'secret' };
    const { dynamoDbUrl } = await start(t, { host: '0.0.0.0', credentials });
    await documentsAt(t, dynamoDbUrl, 'secret').put({ TableName, Item: item });
    await assert.rejects(documentsAt(t, dynamoDbUrl, 'wrong').put({ TableName, Item: item }), {
      name: 'InvalidSignatureException',
    });
    await assert.rejects(start(t, { host: '0.0.0.0' }), { code: 'dynamodb.credentialsRequired' });
  });

  it('comes back on its port with all that was acknowledged when the app thread had to be ended', async t => {
    const appUrl = pathToFileURL('test/apps/misbehaving.ts');
    const backend = await start(t, {}, { appUrl, hangMs: 400 });
    const documents = documentsAt(t, backend.dynamoDbUrl);
    await documents.put({ TableName, Item: item });
    const { username, password } = await backend.gateway.createThing('one');
    const device = await MqttClient.connect({
      clock: systemClock,
      sockets: systemSockets,
      host: '127.0.0.1',
      port: backend.mqttPort,
      clientId: 'one',
      username,
      password,
    });
    t.after(() => device.disconnect());
    await device.publish('dt/misbehaving/orders/one/order', JSON.stringify({ id: 1, behave: 'loop' }));
    await eventually('the app thread was ended', async () => {
      const counters = await backend.gateway.counters();
      return counters['app.restarts'] ? true : undefined;
    });
    const found = await eventually('the table is served again', () =>
      documents.get({ TableName, Key }).then(
        ({ Item }) => Item,
        () => undefined,
      ),
    );
    assert.deepEqual(found, item);
  });
});
