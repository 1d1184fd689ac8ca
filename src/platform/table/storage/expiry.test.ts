import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { operations } from '../admin/index.ts';
import type { TableSchema } from '../port.ts';
import { decodeChange } from '../streams/change-record.ts';
import { expiredRange, expiryEntryKey } from './expiry.ts';
import { itemKey } from './layout.ts';
import { StorageWorld } from './storage-world.ts';
import { verifyIndexes } from './verify-indexes.ts';

const things: TableSchema = {
  tableName: 'things',
  partitionKey: { name: 'pk', type: 'S' },
  indexes: [{ indexName: 'byOwner', partitionKey: { name: 'owner', type: 'S' } }],
  stream: 'NEW_AND_OLD_IMAGES',
};
const fiveYearsSeconds = 5 * 365 * 24 * 3_600;

class ExpiryWorld extends StorageWorld {
  nowSeconds(): number {
    return this.clock.nowMs() / 1_000;
  }

  setTimeToLive(AttributeName: string, Enabled: boolean) {
    const TimeToLiveSpecification = { AttributeName, Enabled };
    return this.clock.until(operations.UpdateTimeToLive(this.engine, { TableName: 'things', TimeToLiveSpecification }));
  }

  async timeToLive() {
    const { TimeToLiveDescription } = await operations.DescribeTimeToLive(this.engine, { TableName: 'things' });
    return TimeToLiveDescription;
  }

  isThere(pk: string): boolean {
    return this.get('things', { pk }) !== undefined;
  }
}

async function world(schema: Partial<TableSchema> = { ttlAttribute: 'expires' }): Promise<ExpiryWorld> {
  const made = new ExpiryWorld();
  await made.open({ tables: [{ ...things, ...schema }] });
  return made;
}

describe('time to live', () => {
  it('deletes an item in the millisecond in which its time is before now, and its index entries with it', async () => {
    const w = await world();
    const expires = w.nowSeconds() + 60;
    await w.put('things', { pk: 'a', expires, owner: 'ada' });
    await w.put('things', { pk: 'later', expires: expires + 0.5, owner: 'ada' });
    await w.clock.advance(expires * 1_000 - w.clock.nowMs());
    assert.ok(w.isThere('a'));
    await w.clock.advance(1);
    assert.ok(!w.isThere('a') && w.isThere('later'));
    assert.equal(w.query('things', 'byOwner', 'ada').length, 1);
    await w.clock.advance(500);
    assert.ok(!w.isThere('later'));
    assert.deepEqual(verifyIndexes(w.engine, 'things'), { items: 0, differences: [] });
  });

  it('records the deletion as made by the service', async () => {
    const w = await world();
    await w.put('things', { pk: 'a', expires: w.nowSeconds() + 1 });
    await w.clock.advance(2_000);
    const { id } = w.engine.catalog.table('things');
    const changes = w.engine.changes
      .feedOf(id)
      .read(0n, 1_000_000)
      .map(({ encoded }) => decodeChange(encoded));
    assert.deepEqual(
      changes.map(({ name, userIdentity }) => [name, userIdentity]),
      [
        ['INSERT', undefined],
        ['REMOVE', { type: 'Service', principalId: 'dynamodb.amazonaws.com' }],
      ],
    );
  });

  it('follows every change of the attribute', async () => {
    const w = await world();
    const expires = w.nowSeconds() + 60;
    await w.put('things', { pk: 'sooner', expires: expires + 1_000 });
    await w.put('things', { pk: 'sooner', expires });
    await w.put('things', { pk: 'never', expires });
    await w.put('things', { pk: 'never' });
    await w.put('things', { pk: 'deleted', expires });
    await w.delete('things', { pk: 'deleted' });
    await w.clock.advance(61_000);
    assert.ok(!w.isThere('sooner') && w.isThere('never'));
    assert.deepEqual(verifyIndexes(w.engine, 'things').differences, []);
  });

  it('leaves alone what is no number, and what is more than five years past', async () => {
    const w = await world();
    const long = w.nowSeconds() - fiveYearsSeconds;
    await w.put('things', { pk: 'text', expires: String(w.nowSeconds() - 10) });
    await w.put('things', { pk: 'nested', map: { expires: 1 } });
    await w.put('things', { pk: 'ancient', expires: long - 1 });
    await w.put('things', { pk: 'old', expires: long + 3_600 });
    await w.put('things', { pk: 'negative', expires: -5 });
    await w.clock.advance(10_000);
    assert.deepEqual(
      ['text', 'nested', 'ancient', 'old', 'negative'].map(pk => w.isThere(pk)),
      [true, true, true, false, true],
    );
  });

  it('deletes no item by an entry that is not its own, which only damage leaves, and comes to rest', async () => {
    const w = await world();
    const table = w.engine.catalog.table('things');
    const { expiry } = table;
    assert(expiry !== undefined);
    const item = { pk: 'kept', expires: w.nowSeconds() + 3_600 };
    await w.put('things', item);
    await w.clock.until(
      w.engine.store.write(transaction => {
        for (const pk of ['kept', 'absent']) {
          const key = itemKey(table, { pk });
          const entry = expiryEntryKey(table, expiry, { pk, expires: w.nowSeconds() + 1 }, key);
          if (entry !== undefined) transaction.put(entry, key);
        }
      }),
    );
    w.engine.upkeep.expiresAt(w.nowSeconds() + 1);
    await w.clock.advance(10_000);
    assert.ok(w.isThere('kept'));
    assert.deepEqual([...w.engine.store.range(expiredRange(table.id, expiry.id, w.clock.nowMs()))], []);
    await w.clock.advance(3_600_000);
    assert.ok(!w.isThere('kept'));
  });

  it('goes on in other tables when one has an item that cannot be read', async () => {
    const w = new ExpiryWorld();
    const others = { ...things, tableName: 'others', ttlAttribute: 'expires' };
    const tables = [{ ...things, ttlAttribute: 'expires' }, others];
    await w.open({ tables });
    const expires = w.nowSeconds() + 1;
    await w.put('things', { pk: 'damaged', expires });
    await w.put('others', { pk: 'whole', expires });
    const key = itemKey(w.engine.catalog.table('things'), { pk: 'damaged' });
    await w.clock.until(w.engine.close());
    const disk = w.disk.open(); // below the checksums
    await w.clock.until(disk.write(transaction => transaction.put(key, Uint8Array.of(2, 1, 255))));
    await w.open({ tables });
    await w.clock.advance(5_000);
    assert.equal(w.get('others', { pk: 'whole' }), undefined);
    assert.throws(() => w.get('things', { pk: 'damaged' }), { code: 'table.corrupt' });
  });

  it('deletes a great many in steps', async () => {
    const w = await world();
    const expires = w.nowSeconds() + 10;
    for (let count = 0; count < 1_200; count++) void w.write('things', { pk: `${count}` }, { pk: `${count}`, expires });
    await w.clock.advance(10_001);
    const { items } = verifyIndexes(w.engine, 'things');
    assert.ok(items > 0 && items < 1_200, `${items} left after the first steps`);
    await w.clock.advance(100);
    assert.deepEqual(verifyIndexes(w.engine, 'things'), { items: 0, differences: [] });
  });

  it('goes on after a restart, with what expired meanwhile first', async () => {
    const w = await world();
    await w.put('things', { pk: 'a', expires: w.nowSeconds() + 60 });
    await w.put('things', { pk: 'b', expires: w.nowSeconds() + 6_000 });
    w.disk.crash();
    await w.clock.suspend(120_000);
    await w.open();
    await w.clock.advance(10);
    assert.ok(!w.isThere('a') && w.isThere('b'));
    await w.clock.advance(6_000_000);
    assert.ok(!w.isThere('b'));
  });

  it('sees soon that the wall clock was set forward', async () => {
    const w = await world();
    await w.put('things', { pk: 'a', expires: w.nowSeconds() + 6_000 });
    w.clock.jumpWallClock(6_001_000);
    await w.clock.advance(60_000);
    assert.ok(!w.isThere('a'));
  });

  it('is turned on for a table with items, which then expire as well', async () => {
    const w = await world({});
    const expires = w.nowSeconds() + 3_600;
    for (let count = 0; count < 700; count++) void w.write('things', { pk: `${count}` }, { pk: `${count}`, expires });
    await w.clock.advance(1);
    assert.deepEqual(await w.timeToLive(), { TimeToLiveStatus: 'DISABLED' });
    const enabling = operations.UpdateTimeToLive(w.engine, {
      TableName: 'things',
      TimeToLiveSpecification: { AttributeName: 'expires', Enabled: true },
    });
    assert.deepEqual(await w.timeToLive(), { TimeToLiveStatus: 'ENABLING', AttributeName: 'expires' });
    const specification = { AttributeName: 'expires', Enabled: true };
    assert.deepEqual(await w.clock.until(enabling), { TimeToLiveSpecification: specification });
    await w.clock.until(w.engine.upkeep.settled());
    assert.deepEqual(await w.timeToLive(), { TimeToLiveStatus: 'ENABLED', AttributeName: 'expires' });
    await w.clock.advance(3_600_000);
    assert.deepEqual(verifyIndexes(w.engine, 'things'), { items: 0, differences: [] });
  });

  it('can be changed once an hour, and not to what it is', async () => {
    const w = await world({});
    const refused = (message: string) => ({ name: 'ValidationException', message });
    await assert.rejects(w.setTimeToLive('expires', false), refused('TimeToLive is already disabled'));
    await w.setTimeToLive('expires', true);
    await assert.rejects(w.setTimeToLive('expires', true), refused('TimeToLive is already enabled'));
    const tooSoon = refused('Time to live has been modified multiple times within a fixed interval');
    await w.clock.advance(3_599_000);
    await assert.rejects(w.setTimeToLive('expires', false), tooSoon);
    await w.clock.advance(1_000);
    await w.setTimeToLive('expires', false);
    await w.clock.until(w.engine.upkeep.settled());
    assert.deepEqual(await w.timeToLive(), { TimeToLiveStatus: 'DISABLED' });
    await w.put('things', { pk: 'a', expires: w.nowSeconds() + 1 });
    await assert.rejects(w.setTimeToLive('other', true), tooSoon);
    await w.clock.advance(3_600_000);
    assert.ok(w.isThere('a'));
    await w.setTimeToLive('expires', true);
    await w.clock.advance(10);
    assert.ok(!w.isThere('a'));
  });

  it('follows the declaration', async () => {
    const w = await world();
    await w.put('things', { pk: 'a', expires: w.nowSeconds() + 10, until: w.nowSeconds() + 20 });
    await w.clock.until(w.engine.close());
    await w.open({ tables: [{ ...things, ttlAttribute: 'until' }] });
    await w.clock.advance(15_000);
    assert.ok(w.isThere('a'));
    await w.clock.advance(6_000);
    assert.ok(!w.isThere('a'));
    assert.deepEqual(verifyIndexes(w.engine, 'things'), { items: 0, differences: [] });
  });
});
