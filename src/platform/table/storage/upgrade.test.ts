import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { systemClock } from '../../../kernel/clock.ts';
import { MemoryDisk } from '../../../kernel/memory-store.ts';
import { seededRandom } from '../../../kernel/random.ts';
import type { KeyValueStore } from '../../../kernel/store.ts';
import { VirtualClock } from '../../../kernel/virtual-clock.ts';
import { everyKind } from '../contract.ts';
import { openEmbeddedTable } from '../embedded.ts';
import type { Table, TableSchema } from '../port.ts';
import { decodeChange, encodeChange } from '../streams/change-record.ts';
import { decodeItem, encodedItemBytes, encodeItem } from '../values/item-encoding.ts';
import { contentOf } from './checked-store.ts';
import { openEngine } from './open-engine.ts';
import { upgradeStore } from './upgrade.ts';
import { verifyIndexes } from './verify-indexes.ts';

/** What the release before this format left in its store: raw entries, in hexadecimal. */
const version1: readonly [string, string][] = JSON.parse(
  readFileSync(new URL('./fixtures/format-1.json', import.meta.url), 'utf8'),
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
    const moved = [...disk.open().range({ start: Uint8Array.of(0x45), end: Uint8Array.of(0x46) })];
    assert.ok(moved.length > 0);
    assert.ok(moved.every(({ key, value }) => contentOf(key, value) !== undefined));
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

describe('format of the store', () => {
  it('is refused when a later release has written it', async () => {
    const disk = new MemoryDisk({ clock: systemClock, syncMs: 0 });
    await disk.open().write(transaction => {
      transaction.put(Buffer.from('D\0\0\x03format', 'latin1'), Buffer.from('{"version":3}', 'utf8'));
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
    const images = { newImage: undefined, oldImage: undefined, userIdentity: undefined, cause: undefined };
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
