import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { systemClock } from '../../../kernel/clock.ts';
import { MemoryDisk } from '../../../kernel/memory-store.ts';
import { seededRandom } from '../../../kernel/random.ts';
import type { KeyValueStore } from '../../../kernel/store.ts';
import { VirtualClock } from '../../../kernel/virtual-clock.ts';
import { everyKind } from '../contract.ts';
import { openEmbeddedTable, tableOn } from '../embedded.ts';
import type { Table, TableSchema } from '../port.ts';
import { decodeChange, encodeChange } from '../streams/change-record.ts';
import { decodeItem, encodedItemBytes, encodeItem } from '../values/item-encoding.ts';
import { contentOf } from './checked-store.ts';
import { openEngine } from './open-engine.ts';
import { upgradeStore } from './upgrade.ts';
import { verifyIndexes } from './verify-indexes.ts';

/** What the releases before this format left in their store: raw entries, in hexadecimal. */
const [version1, version2] = ['format-1.json', 'format-2.json'].map((name): readonly [string, string][] =>
  JSON.parse(readFileSync(new URL(`./fixtures/${name}`, import.meta.url), 'utf8')),
);

const things = {
  tableName: 'things',
  partitionKey: { name: 'PK', type: 'S' },
  sortKey: { name: 'SK', type: 'S' },
  indexes: [
    { indexName: 'byOwner', partitionKey: { name: 'Owner', type: 'S' }, sortKey: { name: 'Rank', type: 'N' } },
    { indexName: 'bySort', partitionKey: { name: 'SK', type: 'S' } },
  ],
} as const satisfies TableSchema;

const tables: readonly TableSchema[] = [
  things,
  { tableName: 'numbers', partitionKey: { name: 'PK', type: 'N' }, sortKey: { name: 'SK', type: 'N' } },
  { tableName: 'bytes', partitionKey: { name: 'PK', type: 'B' }, sortKey: { name: 'SK', type: 'B' } },
  { tableName: 'single', partitionKey: { name: 'PK', type: 'S' } },
];

async function diskOf(entries: readonly [string, string][]): Promise<MemoryDisk> {
  const disk = new MemoryDisk({ clock: systemClock, syncMs: 0 });
  await disk.open().write(transaction => {
    for (const [key, value] of entries) transaction.put(Buffer.from(key, 'hex'), Buffer.from(value, 'hex'));
  });
  return disk;
}

/** What the old store held, read through the port. */
async function checkHeld(table: Table): Promise<void> {
  const get = async (TableName: string, Key: Record<string, unknown>) => (await table.get({ TableName, Key })).Item;
  assert.deepEqual(await get('things', { PK: 'every', SK: 'kind' }), { PK: 'every', SK: 'kind', ...everyKind() });
  const [PK, SK] = ['x'.repeat(2_048), 'y'.repeat(1_024)];
  assert.deepEqual(await get('things', { PK, SK }), { PK, SK, Owner: 'long', Rank: 1 });
  for (const n of [0, -1, 10, -10, 0.5, 1e-130, 123456789, -0.007, 2 ** 53 - 1]) {
    assert.deepEqual(await get('numbers', { PK: n, SK: -n }), { PK: n, SK: n === 0 ? 0 : -n });
  }
  for (const bytes of [[0], [0, 0], [255], [1, 2, 3]]) {
    const key = { PK: Uint8Array.from(bytes), SK: Uint8Array.from(bytes) };
    assert.deepEqual(await get('bytes', key), key);
  }
  for (const PK of ['é', '日本', 'plain']) assert.deepEqual(await get('single', { PK }), { PK, held: PK.length });
  const owned = await table.query({
    TableName: 'things',
    IndexName: 'byOwner',
    KeyConditionExpression: '#o = :o',
    ExpressionAttributeNames: { '#o': 'Owner' },
    ExpressionAttributeValues: { ':o': 'ada' },
  });
  assert.deepEqual(
    owned.Items?.map(({ Rank }) => Rank),
    [-2.5, 0, 3],
  );
}

describe('upgrade from format 1', () => {
  it('keeps every item, its index entries and the tokens of transactions', async () => {
    const disk = await diskOf(version1);
    const clock = new VirtualClock(Date.UTC(2026, 0, 1) + 60_000); // within the ten minutes of the token
    const table = await openEmbeddedTable({ store: disk.open(), clock, tables });
    await checkHeld(table);
    const repeated = { TransactItems: [{ Put: { TableName: 'single', Item: { PK: 'once' } } }] };
    await table.delete({ TableName: 'single', Key: { PK: 'once' } });
    await table.transactWrite({ ...repeated, ClientRequestToken: 'told-before' });
    assert.deepEqual(await table.get({ TableName: 'single', Key: { PK: 'once' } }), {}); // was done, is not repeated
    await table.close();
    const engine = await openEngine({ store: disk.open(), clock, tables });
    assert.deepEqual(
      ['things', 'numbers', 'bytes', 'single'].map(name => verifyIndexes(engine, name)),
      [7, 9, 4, 3].map(items => ({ items, differences: [] })),
    );
  });

  it('goes on after a kill between any two of its writes', async () => {
    const options = { clock: systemClock, random: seededRandom(1), stepItemsMax: 3 };
    let kills = 0;
    const disk = await diskOf(version1);
    for (;;) {
      const isDone = await upgradeStore(killedAfter(disk.open(), 1), options).then(
        () => true,
        () => false,
      );
      if (isDone) break;
      kills++;
    }
    assert.ok(kills > 10, `${kills} kills`);
    const store = disk.open();
    const old = [...store.range({ start: Uint8Array.of(0x54, 0, 0, 1), end: Uint8Array.of(0x55) })];
    assert.deepEqual(old, []);
    const engine = await openEngine({ store, clock: systemClock, tables });
    for (const { tableName } of tables) assert.deepEqual(verifyIndexes(engine, tableName).differences, []);
    await checkHeld(await openEmbeddedTable({ store: disk.open(), clock: systemClock, tables }));
  });

  it('leaves in the old place what the old release refuses to open', async () => {
    const disk = await diskOf(version1);
    await openEmbeddedTable({ store: disk.open(), clock: systemClock, tables });
    const held = disk.open().get(Buffer.from('\x54\0\0\0things', 'latin1'));
    // That release compares the names and types of the keys, and refuses with `table.schemaChanged` if they differ.
    const { partitionKey } = JSON.parse(Buffer.from(held ?? []).toString('utf8'));
    assert.notEqual(partitionKey.name, things.partitionKey.name);
  });
});

/** The tables of the fixture of format 2; `gone` was made at run time. */
const tablesOf2: readonly TableSchema[] = [
  {
    tableName: 'things',
    partitionKey: { name: 'PK', type: 'S' },
    sortKey: { name: 'SK', type: 'S' },
    ttlAttribute: 'expires',
    stream: 'NEW_AND_OLD_IMAGES',
    indexes: [
      { indexName: 'byOwner', partitionKey: { name: 'Owner', type: 'S' }, sortKey: { name: 'Rank', type: 'N' } },
      {
        indexName: 'bySort',
        kind: 'local',
        partitionKey: { name: 'PK', type: 'S' },
        sortKey: { name: 'Rank', type: 'N' },
        projection: 'KEYS_ONLY',
      },
    ],
  },
  { tableName: 'numbers', partitionKey: { name: 'PK', type: 'N' }, sortKey: { name: 'SK', type: 'N' } },
  { tableName: 'single', partitionKey: { name: 'PK', type: 'S' } },
];

/** Everything that the fixture of format 2 holds, read through the port. */
async function checkHeldOf2(disk: MemoryDisk): Promise<void> {
  const clock = new VirtualClock(Date.UTC(2026, 0, 1) + 60_000);
  const engine = await openEngine({ store: disk.open(), clock, tables: tablesOf2 });
  const counts = ['things', 'numbers', 'single', 'gone'].map(name => verifyIndexes(engine, name));
  assert.deepEqual(
    counts,
    [4, 7, 1, 1].map(items => ({ items, differences: [] })),
  );
  const table = tableOn(engine);
  const get = async (TableName: string, Key: Record<string, unknown>) => (await table.get({ TableName, Key })).Item;
  assert.deepEqual(await get('things', { PK: 'every', SK: 'kind' }), { PK: 'every', SK: 'kind', ...everyKind() });
  const [PK, SK] = ['x'.repeat(2_048), 'y'.repeat(1_024)];
  assert.deepEqual(await get('things', { PK, SK }), { PK, SK, Owner: 'long', Rank: 1 });
  for (const n of [0, -1, 10, 0.5, 1e-130, 123456789, 2 ** 53 - 1]) {
    assert.deepEqual(await get('numbers', { PK: n, SK: -n }), { PK: n, SK: n === 0 ? 0 : -n });
  }
  assert.deepEqual(await get('gone', { PK: 'left behind' }), { PK: 'left behind' });
  const owned = await table.query({
    TableName: 'things',
    IndexName: 'byOwner',
    KeyConditionExpression: '#o = :o',
    ExpressionAttributeNames: { '#o': 'Owner' },
    ExpressionAttributeValues: { ':o': 'ada' },
  });
  assert.deepEqual(
    owned.Items?.map(({ Rank }) => Rank),
    [-2.5, 3],
  );
  const changes = table.changesOf('things').read(0n, 1_000_000);
  assert.deepEqual(
    changes.map(({ encoded }) => decodeChange(encoded).name),
    ['INSERT', 'INSERT', 'INSERT', 'INSERT', 'MODIFY', 'REMOVE', 'INSERT'],
  );
  // The token is known: what it did is not done again.
  await table.delete({ TableName: 'single', Key: { PK: 'once' } });
  const repeated = { TransactItems: [{ Put: { TableName: 'single', Item: { PK: 'once' } } }] };
  await table.transactWrite({ ...repeated, ClientRequestToken: 'told-before' });
  assert.deepEqual(await get('single', { PK: 'once' }), undefined);
}

describe('upgrade from format 2', () => {
  it('keeps every item, index, change and token, and leaves nothing without a checksum', async () => {
    const disk = await diskOf(version2);
    await upgradeStore(disk.open(), { clock: systemClock, random: seededRandom(1) });
    const entries = [...disk.open().range({ start: Uint8Array.of(0), end: Uint8Array.of(255) })];
    assert.deepEqual(
      entries.filter(({ key, value }) => contentOf(key, value) === undefined).map(({ key }) => `${Buffer.from(key)}`),
      ['D\0\0\x03format'],
    );
    assert.equal(entries.length, version2.length);
    await checkHeldOf2(disk);
  });

  it('goes on after a kill between any two of its writes', async () => {
    const options = { clock: systemClock, random: seededRandom(1), stepItemsMax: 3 };
    const disk = await diskOf(version2);
    let kills = 0;
    while (!(await upgradeStore(killedAfter(disk.open(), 1), options).then(returnTrue, returnFalse))) kills++;
    assert.ok(kills > 10, `${kills} kills`);
    await checkHeldOf2(disk);
  });

  it('goes on where format 2 had not done with format 1', async () => {
    const disk = await diskOf(version1);
    const options = { clock: systemClock, random: seededRandom(1), stepItemsMax: 3 };
    await upgradeStore(killedAfter(disk.open(), 3), options).then(returnTrue, returnFalse);
    const store = disk.open();
    // As format 2 would have left it: what has moved is there under D and without checksums.
    const moved = [...store.range({ start: Uint8Array.of(0x45), end: Uint8Array.of(0x46) })];
    assert.ok(moved.length > 0);
    await store.write(transaction => {
      for (const { key, value } of moved) {
        transaction.delete(key);
        transaction.put(
          asFormat2(key),
          (key[1] | key[2]) !== 0 && key[3] !== 0 ? asFormat2(value.subarray(0, -4)) : value.subarray(0, -4),
        );
      }
      const record = { version: 2, upgradingFrom: 1 };
      transaction.put(Buffer.from('D\0\0\x03format', 'latin1'), Buffer.from(JSON.stringify(record), 'utf8'));
    });
    const table = await openEmbeddedTable({ store: disk.open(), clock: systemClock, tables });
    await checkHeld(table);
  });
});

/** An entry's key under D, or what an index entry holds, which is such a key. */
function asFormat2(bytes: Uint8Array): Uint8Array {
  return Uint8Array.of(0x44, ...bytes.subarray(1));
}

const returnTrue = () => true;
const returnFalse = () => false;

describe('format of the store', () => {
  it('is refused when a later release has written it', async () => {
    const disk = new MemoryDisk({ clock: systemClock, syncMs: 0 });
    await disk.open().write(transaction => {
      transaction.put(Buffer.from('D\0\0\x03format', 'latin1'), Buffer.from('{"version":4}', 'utf8'));
    });
    const store = disk.open();
    await assert.rejects(openEmbeddedTable({ store, clock: systemClock, tables }), { code: 'table.formatTooNew' });
    assert.throws(() => store.get(Uint8Array.of(1)), { code: 'store.failed' }); // it was closed
  });
});

describe('formats within the store', () => {
  it('are refused when a later release has written them', () => {
    const encoded = encodeItem({ PK: 'a' }, 3);
    assert.deepEqual(decodeItem(encoded), { PK: 'a' });
    const later = Uint8Array.from(encoded, (byte, at) => (at === 0 ? byte + 1 : byte));
    assert.throws(() => decodeItem(later), { code: 'table.formatTooNew' });
    assert.throws(() => encodedItemBytes(later), { code: 'table.formatTooNew' });
    const images = { newImage: undefined, oldImage: undefined, userIdentity: undefined };
    const change = encodeChange({ name: 'REMOVE', atMs: 0, keys: encoded, ...images });
    assert.deepEqual(decodeChange(change).keys, { PK: 'a' });
    change[0]++;
    assert.throws(() => decodeChange(change), { code: 'table.formatTooNew' });
  });
});

/** A store whose process is killed after so many writes. */
function killedAfter(store: KeyValueStore, writes: number): KeyValueStore {
  let left = writes;
  return {
    get: key => store.get(key),
    range: range => store.range(range),
    snapshot: () => store.snapshot(),
    close: () => store.close(),
    write: work => (left-- > 0 ? store.write(work) : Promise.reject(new Error('killed'))),
  };
}
