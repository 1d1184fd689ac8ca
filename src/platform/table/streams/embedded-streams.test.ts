import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { openLmdbStore } from '../../../kernel/lmdb-store.ts';
import { MemoryDisk } from '../../../kernel/memory-store.ts';
import { VirtualClock } from '../../../kernel/virtual-clock.ts';
import { type OpenTable, openEmbeddedTable } from '../embedded.ts';
import type { KeyAttribute, TableSchema } from '../port.ts';
import { checkedStore } from '../storage/checked-store.ts';
import { changedKey, decodeChange, ttlIdentity } from './change-record.ts';
import { streamTables, tableStreamsContract } from './contract.ts';
import { readChange } from './document-change.ts';
import { recordChange } from './record-change.ts';
import { setStream } from './stream-state.ts';
import { TableChanges } from './table-changes.ts';

tableStreamsContract('embedded, on LMDB', async () => {
  const path = await mkdtemp(join(tmpdir(), 'mimamori-streams-'));
  const clock = new VirtualClock();
  const store = await openLmdbStore({ path, durability: 'relaxed' });
  const table = await openEmbeddedTable({ store, clock, tables: streamTables });
  return {
    table,
    streams: table.streams,
    until: promise => clock.until(promise),
    letPass: async ms => {
      await clock.advance(ms);
      // What the clock has set off still goes through a thread of the pool; an empty write waits behind it.
      await clock.until(store.write(() => {}));
      await clock.settle();
    },
    cleanUp: () => rm(path, { recursive: true }),
  };
});

tableStreamsContract('embedded, in memory', async () => {
  const clock = new VirtualClock();
  const store = new MemoryDisk({ clock }).open();
  const table = await clock.until(openEmbeddedTable({ store, clock, tables: streamTables }));
  return {
    table,
    streams: table.streams,
    until: promise => clock.until(promise),
    letPass: ms => clock.advance(ms),
    cleanUp: async () => {},
  };
});

const both: TableSchema = {
  tableName: 'rooms',
  partitionKey: { name: 'room', type: 'S' },
  stream: 'NEW_AND_OLD_IMAGES',
};
const { stream: noStream, ...withoutStream } = both;

/** A disk that lasts, and a table that is opened on it again and again. */
class RoomsWorld {
  readonly clock = new VirtualClock();
  readonly disk = new MemoryDisk({ clock: this.clock });

  open(schema: TableSchema = both, streamBytesMax?: number): Promise<OpenTable> {
    const options = { store: this.disk.open(), clock: this.clock, tables: [schema], streamBytesMax };
    return this.clock.until(openEmbeddedTable(options));
  }

  put(table: OpenTable, room: string, more = {}) {
    return table.put({ TableName: 'rooms', Item: { room, ...more } });
  }

  /** What a reader in this process sees: the key of each change, by sequence number. */
  read(table: OpenTable, after = 0n): [bigint, unknown][] {
    const changes = table.changesOf('rooms').read(after, 1e9);
    return changes.map(({ sequenceNumber, encoded }) => [sequenceNumber, changedKey(encoded).room]);
  }
}

describe('changes of the embedded table', () => {
  it('are not seen, by any reader, before they are durable', async () => {
    const world = new RoomsWorld();
    const table = await world.open();
    const { StreamArn = '' } = (await table.streams.listStreams({})).Streams?.[0] ?? {};
    const { StreamDescription } = await table.streams.describeStream({ StreamArn });
    const { ShardId } = StreamDescription?.Shards?.[0] ?? {};
    const at = (ShardIteratorType: 'LATEST' | 'TRIM_HORIZON') =>
      table.streams.getShardIterator({ StreamArn, ShardId, ShardIteratorType });
    let woken = 0;
    table.changesOf('rooms').onceBeyond(0n, () => woken++);
    const written = world.put(table, 'attic');
    await world.clock.settle();
    assert.deepEqual(world.read(table), []);
    assert.equal(woken, 0);
    const { ShardIterator: latest } = await at('LATEST');
    const { ShardIterator: oldest } = await at('TRIM_HORIZON');
    assert.deepEqual((await table.streams.getRecords({ ShardIterator: oldest })).Records, []);
    await world.clock.until(written);
    assert.equal(woken, 1);
    assert.deepEqual(world.read(table), [[1n, 'attic']]);
    assert.equal((await table.streams.getRecords({ ShardIterator: latest })).Records?.length, 1);
  });

  it('that a power cut takes back are never seen, and their numbers go to others', async () => {
    const world = new RoomsWorld();
    const table = await world.open();
    await world.clock.until(world.put(table, 'kept'));
    const lost = world.put(table, 'lost');
    await world.clock.settle();
    world.disk.crash();
    await assert.rejects(lost);
    const reopened = await world.open();
    assert.deepEqual(world.read(reopened), [[1n, 'kept']]);
    await world.clock.until(world.put(reopened, 'other'));
    assert.deepEqual(world.read(reopened), [
      [1n, 'kept'],
      [2n, 'other'],
    ]);
  });

  it('have no gap and no repetition, and make up the table, whatever is written and cut', async () => {
    const roomOf = fc.constantFrom('attic', 'cellar', 'hall');
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.record({ put: roomOf, value: fc.integer({ min: 0, max: 2 }) }) },
      { weight: 2, arbitrary: fc.record({ delete: roomOf }) },
      { weight: 2, arbitrary: fc.constant('settle' as const) },
      { weight: 1, arbitrary: fc.constant('cut' as const) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async steps => {
        const world = new RoomsWorld();
        let table = await world.open();
        const seen = new Map<bigint, string>();
        const look = () => {
          for (const { sequenceNumber, encoded } of table.changesOf('rooms').read(0n, 1e9)) {
            const text = Buffer.from(encoded).toString('latin1');
            assert.equal(seen.get(sequenceNumber) ?? text, text); // what was seen once stays
            seen.set(sequenceNumber, text);
          }
        };
        for (const each of steps) {
          look();
          if (each === 'settle') await world.clock.advance(5);
          else if (each === 'cut') {
            world.disk.crash();
            table = await world.open();
          } else if ('put' in each) world.put(table, each.put, { value: each.value }).catch(() => {});
          else table.delete({ TableName: 'rooms', Key: { room: each.delete } }).catch(() => {});
        }
        await world.clock.advance(5);
        look();
        const numbers = [...seen.keys()].sort((left, right) => Number(left - right));
        assert.deepEqual(
          numbers,
          [...numbers.keys()].map(place => BigInt(place + 1)),
        );
        const made = new Map<unknown, unknown>();
        for (const { encoded } of table.changesOf('rooms').read(0n, 1e9)) {
          const { keys, newImage, oldImage } = decodeChange(encoded);
          assert.deepEqual(oldImage, made.get(keys.room));
          if (newImage === undefined) made.delete(keys.room);
          else made.set(keys.room, newImage);
        }
        for (const room of ['attic', 'cellar', 'hall']) {
          const { Item } = await table.get({ TableName: 'rooms', Key: { room } });
          assert.deepEqual(Item, made.get(room));
        }
      }),
      { numRuns: 60 },
    );
  });

  it('wake a waiting reader once, at once if there is something already, and not when it has left', async () => {
    const world = new RoomsWorld();
    const table = await world.open();
    const feed = table.changesOf('rooms');
    const woken: string[] = [];
    feed.onceBeyond(0n, () => woken.push('first'));
    feed.onceBeyond(1n, () => woken.push('second'));
    feed.onceBeyond(0n, () => woken.push('left'))();
    await world.clock.until(world.put(table, 'a'));
    assert.deepEqual(woken, ['first']);
    await world.clock.until(world.put(table, 'b'));
    feed.onceBeyond(0n, () => woken.push('late'));
    await world.clock.settle();
    assert.deepEqual(woken, ['first', 'second', 'late']);
  });

  it('made by time to live are signed by it', async () => {
    const world = new RoomsWorld();
    const store = checkedStore(world.disk.open(), () => new Error('damaged'));
    const changes = new TableChanges({ store, clock: world.clock });
    const keys = { partitionKeys: [both.partitionKey as KeyAttribute], sortKeys: [] };
    const table = { id: 1, tableName: 'rooms', keys, indexes: [], stream: 'NEW_AND_OLD_IMAGES' } as const;
    const atMs = world.clock.nowMs();
    const removal = { next: undefined, atMs };
    const written = changes.store.write(transaction => {
      setStream(transaction, table, table.stream, atMs);
      recordChange(transaction, table, { ...removal, stored: { room: 'old' }, userIdentity: ttlIdentity });
      recordChange(transaction, table, { ...removal, stored: { room: 'deleted' } });
    });
    await world.clock.until(written);
    const encoded = changes
      .feedOf(1)
      .read(0n, 1e6)
      .map(change => change.encoded);
    assert.deepEqual(
      encoded.map(each => readChange(each)).map(({ name, keys: { room }, isExpired }) => [name, room, isExpired]),
      [
        ['REMOVE', 'old', true],
        ['REMOVE', 'deleted', false],
      ],
    );
    await world.clock.until(changes.store.close());
    const reopened = await world.open();
    const { Streams } = await reopened.streams.listStreams({});
    const { StreamArn } = Streams?.[0] ?? {};
    const { StreamDescription } = await reopened.streams.describeStream({ StreamArn });
    const ShardId = StreamDescription?.Shards?.[0].ShardId;
    const place = { StreamArn, ShardId, ShardIteratorType: 'TRIM_HORIZON' } as const;
    const { ShardIterator } = await reopened.streams.getShardIterator(place);
    const { Records = [] } = await reopened.streams.getRecords({ ShardIterator });
    const signed = { Type: 'Service', PrincipalId: 'dynamodb.amazonaws.com' };
    assert.deepEqual(
      Records.map(({ userIdentity }) => userIdentity),
      [signed, undefined],
    );
  });

  it('beyond the size limit the oldest go early, and are counted', async () => {
    const world = new RoomsWorld();
    const table = await world.open(both, 10_000);
    for (let index = 0; index < 30; index++) {
      await world.clock.until(world.put(table, `room ${index}`, { text: 'x'.repeat(1_000) }));
    }
    const numbers = world.read(table).map(([number]) => number);
    assert.equal(numbers.at(-1), 30n);
    assert.equal(numbers[0], 30n - BigInt(numbers.length) + 1n);
    assert.ok(numbers.length >= 7 && numbers.length <= 9, `${numbers.length} are kept`);
    assert.equal(table.changesOf('rooms').trimmedEarly(), 30 - numbers.length);
    for (const room of ['large', 'larger']) {
      await world.clock.until(world.put(table, room, { text: 'x'.repeat(20_000) })); // over the limit alone, yet kept
    }
    assert.deepEqual(
      world.read(table).map(([, room]) => room),
      ['larger'],
    );
  });
});

describe('streams of the embedded table', () => {
  const list = async (table: OpenTable) => (await table.streams.listStreams({ TableName: 'rooms' })).Streams ?? [];
  const describeOne = async (table: OpenTable, StreamArn?: string) => {
    const { StreamDescription } = await table.streams.describeStream({ StreamArn });
    assert(StreamDescription?.Shards);
    return { ...StreamDescription, Shards: StreamDescription.Shards };
  };
  const readAll = async (table: OpenTable, StreamArn?: string) => {
    const { Shards } = await describeOne(table, StreamArn);
    const place = { StreamArn, ShardId: Shards[0].ShardId, ShardIteratorType: 'TRIM_HORIZON' } as const;
    const { ShardIterator } = await table.streams.getShardIterator(place);
    return table.streams.getRecords({ ShardIterator });
  };

  it('stay the same when the table is opened again', async () => {
    const world = new RoomsWorld();
    const table = await world.open();
    const before = await list(table);
    await world.clock.until(world.put(table, 'a'));
    await world.clock.until(table.close());
    const reopened = await world.open();
    assert.deepEqual(await list(reopened), before);
    await world.clock.until(world.put(reopened, 'b'));
    assert.equal((await readAll(reopened, before[0].StreamArn)).Records?.length, 2);
  });

  it('are readable for 24 hours once disabled, and a new one goes on counting', async () => {
    const world = new RoomsWorld();
    let table = await world.open();
    await world.clock.until(world.put(table, 'a'));
    const [old] = await list(table);
    await world.clock.until(table.close());
    table = await world.open(withoutStream);
    await world.clock.until(world.put(table, 'unseen'));
    const disabled = await describeOne(table, old.StreamArn);
    assert.equal(disabled.StreamStatus, 'DISABLED');
    assert(disabled.Shards[0].SequenceNumberRange?.EndingSequenceNumber !== undefined);
    const { Records, NextShardIterator } = await readAll(table, old.StreamArn);
    assert.equal(Records?.length, 1);
    assert.equal(NextShardIterator, undefined);
    await world.clock.until(table.close());
    await world.clock.advance(3_600_000);
    table = await world.open();
    const streams = await list(table);
    assert.equal(streams.length, 2);
    assert.equal(streams[0].StreamArn, old.StreamArn);
    await world.clock.until(world.put(table, 'b'));
    assert.deepEqual(world.read(table), [
      [1n, 'a'],
      [2n, 'b'],
    ]);
    assert.equal((await readAll(table, streams[1].StreamArn)).Records?.length, 1);
    await world.clock.advance(23 * 3_600_000 + 60_000);
    assert.deepEqual(await list(table), [streams[1]]);
    await assert.rejects(describeOne(table, old.StreamArn), { code: 'table.streamNotFound' });
  });

  it('keep their view type: another one begins another stream', async () => {
    const world = new RoomsWorld();
    let table = await world.open();
    await world.clock.until(table.close());
    table = await world.open({ ...both, stream: 'KEYS_ONLY' });
    const streams = await list(table);
    const types = await Promise.all(
      streams.map(async ({ StreamArn }) => (await describeOne(table, StreamArn)).StreamViewType),
    );
    assert.deepEqual(types, ['NEW_AND_OLD_IMAGES', 'KEYS_ONLY']);
    assert.notEqual(streams[0].StreamLabel, streams[1].StreamLabel); // though no time has passed
  });

  it('trim in chunks what has grown old while nothing ran', async () => {
    const world = new RoomsWorld();
    const table = await world.open();
    await world.clock.until(
      Promise.all(Array.from({ length: 2_500 }, (_, index) => world.put(table, `room ${index}`))),
    );
    await world.clock.until(table.close());
    await world.clock.advance(25 * 3_600_000);
    const reopened = await world.open();
    await world.clock.advance(100);
    assert.deepEqual(world.read(reopened), []);
    await world.clock.until(world.put(reopened, 'next'));
    assert.deepEqual(world.read(reopened), [[2_501n, 'next']]);
  });

  it('stay as they are while nothing is written: no shard without a record is closed', async () => {
    const world = new RoomsWorld();
    const table = await world.open();
    const [{ StreamArn }] = await list(table);
    await world.clock.advance(9 * 3_600_000);
    assert.equal((await describeOne(table, StreamArn)).Shards.length, 1);
  });
});
