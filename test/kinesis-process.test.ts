import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import net from 'node:net';
import { createInterface } from 'node:readline';
import { describe, it, type TestContext } from 'node:test';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { Kinesis } from '@aws-sdk/client-kinesis';
import { MqttClient } from '../src/device/index.ts';
import { systemClock } from '../src/kernel/clock.ts';
import { seededRandom } from '../src/kernel/random.ts';
import { systemSockets } from '../src/kernel/sockets.ts';
import { type BackendOptions, startBackend } from '../src/local/index.ts';
import { type KinesisOptions, startKinesis } from '../src/local/kinesis.ts';
import { eventually, missing, temporaryFolder, testScale } from './support.ts';

const shard = 'shardId-000000000000';

function clientOf(t: TestContext, endpoint: string, secretAccessKey = 'any'): Kinesis {
  const credentials = { accessKeyId: 'test', secretAccessKey };
  const client = new Kinesis({ endpoint, region: 'us-east-1', credentials, maxAttempts: 1 });
  t.after(() => client.destroy());
  return client;
}

function ifNotThere(error: Error): void {
  if (error.name !== 'ResourceNotFoundException') throw error;
}

/** All texts of the first shard of a stream, oldest first. */
async function readAll(client: Kinesis, StreamName: string): Promise<string[]> {
  const place = { StreamName, ShardId: shard, ShardIteratorType: 'TRIM_HORIZON' } as const;
  let { ShardIterator } = await client.getShardIterator(place);
  const texts: string[] = [];
  for (;;) {
    const page = await client.getRecords({ ShardIterator });
    texts.push(...(page.Records ?? []).map(({ Data }) => Buffer.from(Data ?? []).toString()));
    if (!page.MillisBehindLatest) return texts;
    ShardIterator = page.NextShardIterator;
  }
}

/** `mimamori kinesis`, as a user starts it. */
class KinesisProcess {
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
  ): Promise<KinesisProcess> {
    const command = ['bin/mimamori.js', 'kinesis', '--port', '0', '--json', ...args];
    const child = spawn(process.execPath, command, {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, ...env },
    });
    t.after(() => child.kill('SIGKILL'));
    const [line] = await once(createInterface({ input: child.stdout }), 'line');
    const { event, urls } = JSON.parse(line);
    assert.equal(event, 'started', line);
    return new KinesisProcess(child, urls.kinesis);
  }

  async end(signal: 'SIGKILL' | 'SIGTERM' | 'SIGINT'): Promise<number | null> {
    const exited = once(this.#child, 'exit');
    this.#child.kill(signal);
    const [code] = await exited;
    return code;
  }
}

describe('mimamori kinesis', { timeout: testScale(120_000, 600_000) }, () => {
  it('keeps streams and what they acknowledged, when it is stopped or killed in the middle of making more', async t => {
    const seed = 20_261_121;
    t.diagnostic(`seed ${seed}`);
    const random = seededRandom(seed);
    const data = temporaryFolder();
    const streams = new Map<string, string[]>();
    const rounds = testScale(2, 50);
    for (let round = 0; round <= rounds; round++) {
      const server = await KinesisProcess.start(t, ['--data', data]);
      const client = clientOf(t, server.url);
      const { StreamNames = [] } = await client.listStreams({});
      for (const [name, texts] of streams) {
        assert(StreamNames.includes(name), `${name} is gone`);
        const found = new Set(await readAll(client, name));
        for (const text of texts) assert(found.has(text), `${name} has lost ${text}`);
      }
      if (round === rounds) break;
      let left = 20 + random.integer(200); // records until it ends
      const ended = Promise.withResolvers<unknown>();
      const signal = round % 2 === 0 ? 'SIGKILL' : 'SIGTERM';
      const write = async (writer: number) => {
        for (let number = 0; ; number++) {
          const StreamName = `stream-${writer}-${(number >> 4) % 4}`;
          if (number % 16 === 0) {
            streams.delete(StreamName); // From here on it may be there or not.
            await client.deleteStream({ StreamName }).catch(ifNotThere);
            await client.createStream({ StreamName, ShardCount: 1 + random.integer(3) });
            streams.set(StreamName, []);
          }
          const text = `${round}-${writer}-${number}`;
          const Data = Buffer.from(text);
          await client.putRecord({ StreamName, PartitionKey: 'a', ExplicitHashKey: '0', Data });
          streams.get(StreamName)?.push(text);
          if (--left === 0) ended.resolve(server.end(signal));
        }
      };
      await Promise.all(Array.from({ length: 4 }, (_, writer) => write(writer).catch(() => {})));
      assert(left <= 0, 'the writers went on until the end');
      await ended.promise;
    }
    assert(streams.size > 0);
  });

  it('stores nothing with --memory, and takes iterators of before a restart without it', async t => {
    const data = temporaryFolder();
    const memory = await KinesisProcess.start(t, ['--memory'], { MIMAMORI_DATA: data });
    await clientOf(t, memory.url).createStream({ StreamName: 'gone', ShardCount: 1 });
    assert.equal(await memory.end('SIGINT'), 0);
    assert.deepEqual(readdirSync(data), []);
    const first = await startKinesis({ ...alone, dataDirectory: data });
    const client = clientOf(t, first.url);
    await client.createStream({ StreamName: 's', ShardCount: 1 });
    const place = { StreamName: 's', ShardId: shard, ShardIteratorType: 'LATEST' } as const;
    const { ShardIterator } = await client.getShardIterator(place);
    await client.putRecord({ StreamName: 's', PartitionKey: 'a', Data: Buffer.from('later') });
    await assert.rejects(startKinesis({ ...alone, dataDirectory: data }), { code: 'data.inUse' });
    await first.close();
    const second = await startKinesis({ ...alone, dataDirectory: data });
    t.after(() => second.close());
    const { Records } = await clientOf(t, second.url).getRecords({ ShardIterator });
    assert.deepEqual(
      Records?.map(({ Data }) => Buffer.from(Data ?? []).toString()),
      ['later'],
    );
  });

  it('refuses what would be open to everybody, or would do nothing', async () => {
    const rejects = (options: Partial<KinesisOptions>, code: string) =>
      assert.rejects(startKinesis({ ...alone, ...options }), { code });
    await rejects({ host: '0.0.0.0' }, 'kinesis.credentialsRequired');
    await rejects({ credentials: { accessKeyId: 'only' } }, 'credentials.notValid');
    await rejects({ dataDirectory: '/dev/null/x' }, 'kinesis.dataNotUsable');
    await rejects(
      { host: '192.0.2.1', credentials: { accessKeyId: 'a', secretAccessKey: 'b' } },
      'kinesis.hostNotUsable',
    );
    const args = ['bin/mimamori.js', 'kinesis', '--json', '--memory', '--data', temporaryFolder()];
    const { status, stdout } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    assert.deepEqual([status, JSON.parse(stdout).code], [1, 'kinesis.optionsNotValid']);
  });
});

const alone: KinesisOptions = { host: '127.0.0.1', port: 0, limits: 'generous', logLevel: 'silent' };

/** A port that somebody else has. */
async function taken(t: TestContext): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  const address = server.address();
  assert(typeof address === 'object' && address);
  return address.port;
}

describe('streams beside an app', { timeout: 60_000 }, () => {
  const start = async (t: TestContext, options: Partial<BackendOptions>) => {
    const backend = await startBackend({
      appUrl: pathToFileURL('apps/speaker/app.ts'),
      dataDirectory: temporaryFolder(),
      host: '127.0.0.1',
      httpPort: 0,
      mqttPort: 0,
      kinesis: { host: '127.0.0.1', port: 0 },
      logLevel: 'silent',
      onFailure: error => assert.fail(String(error)),
      ...options,
    });
    t.after(() => backend.close());
    assert(backend.kinesisUrl);
    return { backend, url: backend.kinesisUrl };
  };

  it('show what devices send under the name of the app, and take streams of anybody', async t => {
    const port = await taken(t);
    const { backend, url } = await start(t, { kinesis: { host: '127.0.0.1', port, orFreePort: true } });
    assert.notEqual(url, `http://127.0.0.1:${port}`);
    const client = clientOf(t, url);
    const { username, password } = await backend.gateway.createThing('kitchen-1');
    const device = await MqttClient.connect({
      clock: systemClock,
      sockets: systemSockets,
      host: '127.0.0.1',
      port: backend.mqttPort,
      clientId: 'kitchen-1',
      username,
      password,
    });
    t.after(() => device.disconnect());
    const payload = JSON.stringify({ at: new Date().toISOString() });
    await device.publish('dt/speaker-app/detect-person/kitchen-1/enter', payload);
    const records = await eventually('the message is in the stream', async () => {
      const place = { StreamName: 'speaker-app', ShardId: shard, ShardIteratorType: 'TRIM_HORIZON' } as const;
      const { ShardIterator } = await client.getShardIterator(place);
      const { Records = [] } = await client.getRecords({ ShardIterator });
      return Records.length > 0 ? Records : undefined;
    });
    const mine = records.filter(({ Data }) => Buffer.from(Data ?? []).toString() === payload);
    assert.deepEqual(
      mine.map(({ PartitionKey }) => PartitionKey),
      ['kitchen-1'],
    );
    const own = { StreamName: 'speaker-app' };
    const refused = { name: 'AccessDeniedException', message: /it can only be read/ };
    await assert.rejects(client.putRecord({ ...own, PartitionKey: 'a', Data: Buffer.from('x') }), refused);
    await assert.rejects(client.deleteStream(own), refused);
    await assert.rejects(client.splitShard({ ...own, ShardToSplit: shard, NewStartingHashKey: '5' }), refused);
    await client.createStream({ StreamName: 'funnel', ShardCount: 1 });
    await client.putRecord({ StreamName: 'funnel', PartitionKey: 'sim-1', Data: Buffer.from('x') });
    assert.deepEqual((await client.listStreams({})).StreamNames, ['funnel', 'speaker-app']);
  });

  it('feed the functions of an app that declares them, also after a restart', async t => {
    const counted: unknown[] = [];
    const options: Partial<BackendOptions> = {
      appUrl: pathToFileURL('test/apps/funnel.ts'),
      dataDirectory: temporaryFolder(),
      onAnnounced: (_audience, { name }) => void counted.push(name),
    };
    const put = async (url: string, simId: string) => {
      const Data = Buffer.from(JSON.stringify({ simId, bytes: 5 }));
      await clientOf(t, url).putRecord({ StreamName: 'funnel', PartitionKey: simId, Data });
      await eventually(`${simId} is counted`, async () => counted.includes(simId) || undefined);
    };
    const { backend, url } = await start(t, options);
    await put(url, 'sim-1');
    await backend.close();
    await put((await start(t, options)).url, 'sim-2');
    assert.deepEqual(counted, ['sim-1', 'sim-2']);
  });

  it('ask for a signature when there are credentials', async t => {
    const credentials = { accessKeyId: 'test', secretAccessKey: 'secret' };
    const { url } = await start(t, { kinesis: { host: '0.0.0.0', port: 0, credentials } });
    assert.deepEqual((await clientOf(t, url, 'secret').listStreams({})).StreamNames, ['speaker-app']);
    await assert.rejects(clientOf(t, url, 'wrong').listStreams({}), { name: 'InvalidSignatureException' });
  });
});

const needsLong = process.env.MIMAMORI_TEST_LONG ? missing('aws') : 'part of npm run test:long';

describe('the AWS CLI', { timeout: 120_000, skip: needsLong }, () => {
  it('makes, fills, reads and deletes streams, and is told what is wrong', async t => {
    const credentials = ['--access-key', 'AKIDCLI', '--secret-key', 'cli-secret'];
    const { url } = await KinesisProcess.start(t, ['--memory', '--region', 'eu-west-1', ...credentials]);
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
      const all = ['kinesis', ...args, '--endpoint-url', url, '--output', 'json'];
      const { stdout } = await promisify(execFile)('aws', all, { env });
      return stdout === '' ? undefined : JSON.parse(stdout);
    };
    const stream = ['--stream-name', 'funnel'];
    await aws('create-stream', ...stream, '--shard-count', '2', '--tags', 'team=a');
    await aws('wait', 'stream-exists', ...stream);
    const put = await aws('put-record', ...stream, '--partition-key', 'a', '--data', 'aGVsbG8=');
    const place = ['--shard-id', put.ShardId, '--shard-iterator-type', 'TRIM_HORIZON'];
    const { ShardIterator } = await aws('get-shard-iterator', ...stream, ...place);
    const { Records } = await aws('get-records', '--shard-iterator', ShardIterator);
    assert.deepEqual([Records.length, Records[0].SequenceNumber], [1, put.SequenceNumber]);
    await aws('split-shard', ...stream, '--shard-to-split', shard, '--new-starting-hash-key', '10');
    assert.equal((await aws('list-shards', ...stream)).Shards.length, 4);
    await aws('increase-stream-retention-period', ...stream, '--retention-period-hours', '48');
    await aws('update-shard-count', ...stream, '--target-shard-count', '2', '--scaling-type', 'UNIFORM_SCALING');
    assert.deepEqual((await aws('list-tags-for-stream', ...stream)).Tags, [{ Key: 'team', Value: 'a' }]);
    await aws('delete-stream', ...stream);
    await aws('wait', 'stream-not-exists', ...stream);
    await assert.rejects(aws('describe-stream', ...stream), /ResourceNotFoundException/);
  });
});
