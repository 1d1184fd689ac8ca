import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { describe, it, type TestContext } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { DynamoDB } from '@aws-sdk/client-dynamodb';
import { seededRandom } from '../src/kernel/random.ts';
import { startDynamoDb } from '../src/local/dynamodb.ts';
import { temporaryFolder, testScale } from './support.ts';

interface Ended {
  readonly code: number | null;
  // biome-ignore lint/suspicious/noExplicitAny: a test says what it expects by comparing.
  readonly events: any[];
}

function start(t: TestContext, args: readonly string[], env: Record<string, string> = {}): ChildProcess {
  const child = spawn(process.execPath, ['bin/mimamori.js', ...args, '--json'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
  });
  t.after(() => child.kill('SIGKILL'));
  return child;
}

async function ended(child: ChildProcess): Promise<Ended> {
  const events: unknown[] = [];
  assert.ok(child.stdout);
  createInterface({ input: child.stdout }).on('line', line => events.push(JSON.parse(line)));
  const [code] = await once(child, 'close');
  return { code, events };
}

const run = (t: TestContext, args: readonly string[], env?: Record<string, string>) => ended(start(t, args, env));

const base = temporaryFolder();

function freshFolder(): string {
  return mkdtempSync(path.join(base, 'data-'));
}

const alone = { host: '127.0.0.1', port: 0, limits: 'generous', logLevel: 'silent' } as const;

async function filledServer(t: TestContext, dataDirectory: string, items: number, held = 200) {
  const server = await startDynamoDb({ ...alone, dataDirectory });
  const credentials = { accessKeyId: 'any', secretAccessKey: 'thing' };
  const client = new DynamoDB({ endpoint: server.url, region: 'us-east-1', credentials });
  t.after(() => client.destroy());
  await client.createTable({
    TableName: 'orders',
    AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
    KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
    BillingMode: 'PAY_PER_REQUEST',
  });
  const held2 = { S: 'x'.repeat(held) };
  for (let first = 0; first < items; first += 400) {
    const batches = Array.from({ length: 16 }, (_, batch) => {
      const from = first + batch * 25;
      const puts = Array.from({ length: Math.max(0, Math.min(25, items - from)) }, (_, at) => ({
        PutRequest: { Item: { id: { S: `order-${from + at}` }, number: { N: String(from + at) }, held: held2 } },
      }));
      return puts.length === 0 ? undefined : client.batchWriteItem({ RequestItems: { orders: puts } });
    });
    await Promise.all(batches);
  }
  return { server, client };
}

/** How often each id is in the data files. */
function idsIn(directory: string): Map<string, number> {
  const ids = new Map<string, number>();
  const root = path.join(directory, 'AWSDynamoDB');
  for (const id of readdirSync(root)) {
    const manifest = readFileSync(path.join(root, id, 'manifest-files.json'), 'utf8')
      .trimEnd()
      .split('\n');
    for (const { dataFileS3Key } of manifest.map(line => JSON.parse(line))) {
      for (const line of gunzipSync(readFileSync(path.join(directory, dataFileS3Key)))
        .toString()
        .split('\n')) {
        if (line === '') continue;
        const key = JSON.parse(line).Item.id.S;
        ids.set(key, (ids.get(key) ?? 0) + 1);
      }
    }
  }
  return ids;
}

/** It starts a process for each kill. */
const isShort = testScale(1, 0) === 1 && 'part of npm run test:long';

describe('mimamori export and import', { timeout: 120_000 }, () => {
  it('copies the tables of a running server to a stopped one, as of one moment', async t => {
    const { server, client } = await filledServer(t, freshFolder(), 2_000);
    const out = path.join(freshFolder(), 'out');
    let isOver = false;
    const writing = (async () => {
      for (let number = 0; !isOver; number++) {
        await client.putItem({ TableName: 'orders', Item: { id: { S: `later-${number}` } } });
        await client.deleteItem({ TableName: 'orders', Key: { id: { S: `order-${number}` } } });
      }
    })();
    const exported = await run(t, ['export', '--endpoint', server.url, '--out', out]);
    isOver = true;
    await writing;
    assert.equal(exported.code, 0);
    const { isSnapshot, tables } = exported.events.at(-1);
    assert.equal(isSnapshot, true);
    // Each round writes one and then deletes one: at any moment there are as many, or one more.
    assert.ok([2_000, 2_001].includes(tables[0].items), JSON.stringify(tables));
    const ids = idsIn(out);
    assert.equal(ids.size, tables[0].items);
    const data = freshFolder();
    const imported = await run(t, ['import', out, '--data', data]);
    assert.deepEqual([imported.code, imported.events.at(-1).differences], [0, []]);
    const copy = await startDynamoDb({ ...alone, dataDirectory: data });
    const { Table } = await new DynamoDB({
      endpoint: copy.url,
      region: 'us-east-1',
      credentials: { accessKeyId: 'any', secretAccessKey: 'thing' },
    }).describeTable({ TableName: 'orders' });
    assert.equal(Table?.ItemCount, ids.size);
    await Promise.all([server.close(), copy.close()]);
  });

  it('says where a running app is to be asked, and refuses wrong signatures', async t => {
    const data = freshFolder();
    const { server } = await filledServer(t, data, 10);
    const { code, events } = await run(t, ['export', '--data', data, '--out', path.join(freshFolder(), 'out')]);
    assert.deepEqual([code, events.at(-1).code], [1, 'transfer.running']);
    await server.close();
    const keys = { accessKeyId: 'team', secretAccessKey: 'secret' };
    const closed = await startDynamoDb({ ...alone, dataDirectory: data, credentials: keys });
    const endpoint = ['export', '--endpoint', closed.url, '--out'];
    const stranger = await run(t, [...endpoint, path.join(freshFolder(), 'out')]);
    assert.deepEqual([stranger.code, stranger.events.at(-1).code], [1, 'dynamodb.refused']);
    const env = { MIMAMORI_ACCESS_KEY_ID: 'team', MIMAMORI_SECRET_ACCESS_KEY: 'secret' };
    const known = await run(t, [...endpoint, path.join(freshFolder(), 'out')], env);
    assert.deepEqual([known.code, known.events.at(-1).event], [0, 'exported']);
    await closed.close();
    const gone = await run(t, [...endpoint, path.join(freshFolder(), 'out')]);
    assert.deepEqual([gone.code, gone.events.at(-1).code], [1, 'dynamodb.notReachable']);
  });

  it('finds damage in a stopped table, takes it away, and brings the items back from an export', async t => {
    const data = freshFolder();
    const { server } = await filledServer(t, data, 50);
    await server.close();
    const out = path.join(freshFolder(), 'out');
    await run(t, ['export', '--data', data, '--out', out]);
    const file = path.join(data, 'table', 'entries.mdb');
    const bytes = readFileSync(file);
    for (let at = bytes.indexOf('order-17'); at >= 0; at = bytes.indexOf('order-17', at + 1)) bytes[at] ^= 1;
    writeFileSync(file, bytes);
    const found = await run(t, ['check', '--data', data]);
    assert.equal(found.code, 1);
    assert.ok(found.events[0].findings.length > 0);
    assert.ok((await run(t, ['export', '--data', data, '--out', path.join(freshFolder(), 'out')])).code === 1);
    const mended = await run(t, ['check', '--data', data, '--remove-damaged']);
    assert.deepEqual([mended.code, mended.events[0].findings], [0, []]);
    assert.ok(existsSync(mended.events[0].keptIn));
    assert.deepEqual(mended.events[0].tables, [{ tableName: 'orders', items: 49 }]);
    await run(t, ['import', out, '--data', data, '--merge']);
    const whole = await run(t, ['check', '--data', data]);
    assert.deepEqual(whole.events[0].tables, [{ tableName: 'orders', items: 50 }]);
  });

  it('resumes an export that was killed, without gap or repeat', { skip: isShort }, async t => {
    const seed = 20_261_121;
    t.diagnostic(`seed ${seed}`);
    const random = seededRandom(seed);
    const data = freshFolder();
    const items = 1_200;
    const { server, client } = await filledServer(t, data, items, 100_000); // 120 MB: several files
    for (const online of [true, false]) {
      if (!online) await server.close();
      const place = online ? ['--endpoint', server.url] : ['--data', data];
      const out = path.join(freshFolder(), 'out');
      let kills = 0;
      let resumes: string[] = [];
      const rounds = testScale(1, 20);
      while (kills < rounds) {
        const child = start(t, ['export', ...place, '--out', out, ...resumes]);
        const exited = once(child, 'exit');
        await Promise.race([untilFiles(out, kills), exited]);
        await new Promise(resolve => setImmediate(resolve, random.integer(2)));
        if (kills === 0 && child.exitCode === null) child.kill('SIGINT');
        else child.kill('SIGKILL');
        await exited;
        if (existsSync(path.join(out, 'mimamori-export.json'))) break;
        if (existsSync(path.join(out, 'mimamori-export.state'))) resumes = ['--resume'];
        kills++;
        if (online) await client.putItem({ TableName: 'orders', Item: { id: { S: `later-${kills}` } } });
      }
      assert.ok(kills > 0);
      if (!existsSync(path.join(out, 'mimamori-export.json'))) {
        const { code, events } = await run(t, ['export', ...place, '--out', out, '--resume']);
        assert.equal(code, 0, JSON.stringify(events.at(-1)));
        assert.ok(!events.some(({ event }) => event === 'note'), 'it started over');
      }
      const ids = idsIn(out);
      assert.deepEqual(
        [...ids].filter(([, count]) => count > 1),
        [],
      );
      const orders = [...ids.keys()].filter(id => id.startsWith('order-'));
      assert.equal(orders.length, items);
      if (online) assert.equal(ids.size, items); // what was written since is not of that moment
    }
  });
});

/** Resolves when a data file more has begun than `count`. */
async function untilFiles(out: string, count: number): Promise<void> {
  const state = path.join(out, 'mimamori-export.state');
  for (;;) {
    const lines = existsSync(state) ? readFileSync(state, 'utf8').split('\n').length : 0;
    if (lines > count + 1) return;
    await new Promise(resolve => setTimeout(resolve, 5)); // another process: there is nothing to await
  }
}
