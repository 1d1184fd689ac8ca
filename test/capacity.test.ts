import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Log } from '../src/kernel/log.ts';
import { OneThreadBackend, TestWorld } from '../src/local/one-thread.ts';
import app, { type model } from './apps/devices.ts';

const file = fileURLToPath(new URL('./apps/devices.ts', import.meta.url));

/** `file:line` of the code that ends with this comment. */
function placeOf(comment: string): string {
  const lines = readFileSync(file, 'utf8').split('\n');
  return `${file}:${lines.findIndex(line => line.endsWith(`// ${comment}`)) + 1}`;
}

async function hundredDevices() {
  const warnings: object[] = [];
  const log: Log = { info: () => {}, warn: facts => void warnings.push(facts), error: () => {} };
  const world = new TestWorld();
  const backend = await OneThreadBackend.start(app, world, { log });
  // The backend is typed for every app; this one is started with `model`.
  const { Device, Reading } = backend.runtime.context.entities as unknown as EntitiesOf<typeof model>;
  const ids = Array.from({ length: 100 }, (_, index) => `d${String(index).padStart(3, '0')}`);
  await world.clock.until(
    Promise.all(
      ids.flatMap(deviceId => [
        Device.create({ deviceId, ownerId: 'alice' }),
        Reading.create({ readingId: `${deviceId}-1`, deviceId, at: 1, celsius: 20 }),
      ]),
    ),
  );
  await backend.indexesCatchUp();
  /** What one call of a route has used, by `capacity()`. */
  const useOf = async (method: string, path: string) => {
    const { status } = await backend.request('alice', method, path);
    assert.equal(status, 200);
    const use = backend.capacity().functions.find(({ functionName }) => functionName === `${method} ${path}`);
    assert(use);
    return use;
  };
  return { backend, warnings, useOf };
}

type EntitiesOf<M> = import('../src/app/index.ts').ContextOf<M>['entities'];

describe('an invocation that reads a list piece by piece (covers S4-14)', () => {
  for (const [path, place, operation, target] of [
    ['/v1/one-by-one', 'one by one', 'entities.list', 'Reading.byDevice'],
    ['/v1/all-at-once', 'all at once', 'entities.list', 'Reading.byDevice'],
    ['/v1/by-table', 'by table', 'get', 'app'],
    ['/v1/by-library', 'by library', 'get', 'app'],
  ] as const) {
    it(`is found, with the line that does it: ${place}`, async () => {
      const { backend, warnings, useOf } = await hundredDevices();
      const { calls } = await useOf('GET', path);
      await useOf('GET', path);
      const [finding, ...others] = backend.capacity().nPlusOne;
      assert.deepEqual(others, []);
      const { fix, ...found } = finding;
      const callsMax = operation === 'get' ? 20 : 100;
      const line = placeOf(place);
      assert.deepEqual(found, { functionName: `GET ${path}`, operation, target, line, invocations: 2, callsMax });
      assert.match(fix, operation === 'get' ? /batchGet/ : /with:/);
      assert.equal(calls, operation === 'get' ? 20 : 101);
      assert.deepEqual(
        warnings.map(facts => Reflect.get(facts, 'line')),
        [line],
        'it is told once',
      );
      assert.equal(backend.runtime.counters.get('functions.nPlusOne'), 2);
    });
  }

  it('is not one that brings along what it needs, pages through one list, or writes', async () => {
    const { backend, warnings, useOf } = await hundredDevices();
    assert.equal((await useOf('GET', '/v1/together')).calls, 2);
    assert.equal((await useOf('GET', '/v1/page-by-page')).calls, 20);
    await useOf('POST', '/v1/readings');
    assert.deepEqual(backend.capacity().nPlusOne, []);
    assert.deepEqual(warnings, []);
  });
});

describe('a backend with the limits of AWS (covers S0-20)', () => {
  it('is throttled on a hot key, waits, and loses nothing', async () => {
    const world = new TestWorld();
    const backend = await OneThreadBackend.start(app, world, { limits: 'aws' });
    const { table } = backend.runtime.context;
    const startedMs = world.clock.monotonicMs();
    const put = (index: number) => table.put({ TableName: 'app', Item: { PK: 'Hot', SK: String(index) } });
    await world.clock.until(Promise.all(Array.from({ length: 1_200 }, (_, index) => put(index))));
    assert(world.clock.monotonicMs() - startedMs >= 150); // 200 more than a partition takes in a second
    const [hottest] = backend.capacity().hotPartitions;
    assert.deepEqual([hottest.partition, hottest.units], ['Hot', 1_200]);
    await backend.stop();
  });
});

describe('what was used (covers S1-23, S2-17, S2-18)', () => {
  it('is told by function and by access pattern, with what it would cost', async () => {
    const { backend, useOf } = await hundredDevices();
    const before = backend.capacity();
    const use = await useOf('GET', '/v1/together');
    const { rows } = backend.capacity();
    const list = rows.filter(({ functionName }) => functionName === 'GET /v1/together');
    assert.deepEqual(
      list.map(({ tableName, indexName, accessPattern, kind }) => [tableName, indexName, accessPattern, kind]),
      [
        ['app', undefined, 'Device.ofOwner', 'read'],
        ['app', 'GSI1', 'Device.ofOwner', 'read'],
      ],
    );
    // A hundred strongly consistent reads of small items, and one eventually consistent page of a hundred lookups.
    const page = list[1].units;
    assert(page > 1 && page < 10, `${page}`);
    assert.deepEqual(use, {
      functionName: 'GET /v1/together',
      invocations: 1,
      calls: 2,
      readUnits: 100 + page,
      writeUnits: 0,
    });
    const pattern = backend.capacity().patterns.find(({ functionName }) => functionName === 'GET /v1/together');
    assert(pattern);
    assert.equal(pattern.calls, 2);
    assert.equal(pattern.dollars, ((100 + page) * 0.125) / 1e6);
    assert.equal(pattern.lastMinuteReadUnits, 100 + page);
    const created = before.patterns.find(({ accessPattern }) => accessPattern === 'Device.create');
    assert.deepEqual([created?.calls, created?.writeUnits], [100, 500]); // two records at 2 units, an index entry at 1
  });

  it('names the keys that are used most', async () => {
    const { backend, useOf } = await hundredDevices();
    await useOf('POST', '/v1/readings'); // All of one device, whose record keeps a copy of the last.
    const written = backend.capacity().hotPartitions.filter(({ kind }) => kind === 'write');
    const [ofTable, ofIndex] = [undefined, 'GSI1'].map(name => written.find(({ indexName }) => indexName === name));
    assert.deepEqual([ofTable?.partition, ofIndex?.partition], ['Device-d000', 'Device-ofOwner#alice']);
  });
});
