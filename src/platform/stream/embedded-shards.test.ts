import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { File, Files } from '../../kernel/files.ts';
import { hasCode } from './contract.ts';
import { onlyShard } from './embedded.ts';
import { batchOf, directory, EmbeddedWorld, isOpenShard, textOf } from './embedded-world.ts';
import { streamLimits } from './limits.ts';
import { blockHeaderBytes } from './log/block.ts';
import type { Stream } from './port.ts';
import { RecordBatch } from './record-batch.ts';
import { hashKeyMax, hashKeyOf } from './shards.ts';

const half = (hashKeyMax + 1n) / 2n;

/** Counts what is asked of the disk, and may fail one call of it. */
class Watched {
  calls: string[] = [];
  failAt: number | undefined;
  code = 'EIO';

  readonly files = (inner: Files): Files => ({
    ...inner,
    open: async (filePath, options) => {
      this.#count(`open ${filePath}`);
      return this.#watch(await inner.open(filePath, options), filePath);
    },
    list: name => inner.list(name),
    makeDirectory: name => inner.makeDirectory(name),
    removeDirectory: name => inner.removeDirectory(name),
    remove: async name => {
      this.#count(`remove ${name}`);
      return inner.remove(name);
    },
    syncDirectory: async name => {
      this.#count(`syncDirectory ${name}`);
      return inner.syncDirectory(name);
    },
  });

  #watch(file: File, name: string): File {
    return {
      write: async (bytes, position) => {
        this.#count(`write ${name}`);
        return file.write(bytes, position);
      },
      read: (into, position) => file.read(into, position),
      sync: async () => {
        this.#count(`sync ${name}`);
        return file.sync();
      },
      truncate: async length => {
        this.#count(`truncate ${name}`);
        return file.truncate(length);
      },
      size: () => file.size(),
      close: () => file.close(),
    };
  }

  #count(call: string): void {
    this.calls.push(call);
    if (this.calls.length - 1 === this.failAt)
      throw Object.assign(new Error(`${this.code}: ${call}`), { code: this.code });
  }
}

async function idsOf(stream: Stream): Promise<string[]> {
  return (await stream.shards()).filter(isOpenShard).map(({ shardId }) => shardId.slice(-1));
}

describe('embedded stream with several shards', () => {
  it('writes and syncs once for all who wait, however many they are and wherever their records go', async () => {
    for (const shards of [1, 4]) {
      const world = new EmbeddedWorld();
      const watched = new Watched();
      const stream = await world.open({ shards }, watched.files);
      const first = stream.append(batchOf('a:1'));
      const group = Array.from({ length: 256 }, (_, index) => stream.append(batchOf(`key-${index % 40}:${index}`)));
      watched.calls = []; // The first is written already, the others wait.
      await world.clock.until(first);
      const appended = await world.clock.until(Promise.all(group));
      assert.deepEqual(
        watched.calls.map(call => call.split(' ')[0]),
        ['sync', 'write', 'sync'],
      );
      const places = appended.map(each => each.placeOf(0));
      assert.equal(new Set(places.map(({ sequenceNumber }) => sequenceNumber)).size, 256);
      for (const [index, { shardId, sequenceNumber }] of places.entries()) {
        const [found] = await world.openReader().read(shardId, sequenceNumber - 1n, 1);
        assert.equal(textOf(found), `key-${index % 40}:${index}`);
      }
    }
  });

  it('says where each record lies, whatever the sizes of the batches that wait together', async () => {
    const record = fc.record({
      key: fc.nat(9),
      bytes: fc.constantFrom(0, 10, 300, 40_000, 140_000),
      hashKey: fc.option(fc.constantFrom(0n, half, hashKeyMax), { nil: undefined, freq: 5 }),
    });
    const batches = fc.array(fc.array(record, { minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(batches, fc.integer({ min: 1, max: 5 }), fc.boolean(), async (sent, shards, isLimited) => {
        const world = new EmbeddedWorld();
        const throughput = isLimited ? { throughput: { bytesPerSecond: 200_000, recordsPerSecond: 15 } } : {};
        const stream = await world.open({ shards, segmentBytesMax: 500_000, ...throughput });
        const appends = sent.map((records, number) => {
          const batch = new RecordBatch(64);
          for (const { key, bytes, hashKey } of records) {
            batch.add(`key-${key}`, Buffer.from(`${number}.${batch.count}:`.padEnd(bytes, 'x')), hashKey);
          }
          return stream.append(batch);
        });
        const appended = await world.clock.until(Promise.all(appends));
        const expected = new Map<string, string>();
        for (const [number, { placeOf, failed }] of appended.entries()) {
          for (const [index, { bytes }] of sent[number].entries()) {
            if (failed.has(index)) continue;
            const { shardId, sequenceNumber } = placeOf(index);
            expected.set(`${shardId} ${sequenceNumber}`, `${number}.${index}:`.padEnd(bytes, 'x'));
          }
        }
        const found = new Map<string, string>();
        for (const { shardId } of await stream.shards()) {
          for (const each of await world.openReader().read(shardId, null, 100_000_000)) {
            found.set(`${shardId} ${each.sequenceNumber}`, textOf(each));
          }
        }
        assert.deepEqual([...found].toSorted(), [...expected].toSorted());
        assert.equal(stream.lastSequenceNumber, BigInt(expected.size));
      }),
      { numRuns: 25 },
    );
  });

  it('serves the other shards when the records of one are damaged, and nobody past a damaged header: T04', async () => {
    const world = new EmbeddedWorld();
    const stream = await world.open({ shards: 2 });
    const [lower, upper] = (await stream.shards()).map(({ shardId }) => shardId);
    const append = async (text: string, hashKey: bigint) => {
      const batch = new RecordBatch(64);
      batch.add('k', Buffer.from(text), hashKey);
      await world.clock.until(stream.append(batch));
    };
    for (const text of ['1', '2', '3']) await append(text, text === '2' ? half : 0n);
    const segment = await world.newest();
    const block = (await world.bytesOf(segment)).indexOf('MMS', 1);
    const read = async (shardId: string) => (await world.openReader().read(shardId, null, 1_000)).map(textOf);
    world.disk.flipByte(segment, block + blockHeaderBytes + 3);
    assert.deepEqual(await read(lower), ['1', '3']);
    await assert.rejects(read(upper), hasCode('stream.corrupt'));
    for (let at = block; at < block + blockHeaderBytes; at += 3) {
      world.disk.flipByte(segment, at);
      const reader = world.openReader();
      assert.deepEqual((await reader.read(lower, null, 1_000)).map(textOf), ['1']);
      await assert.rejects(reader.read(lower, 1n, 1_000), hasCode('stream.corrupt'), `byte ${at - block}`);
      world.disk.flipByte(segment, at);
    }
  });

  it('reads more shards at once than it keeps places for', async () => {
    const world = new EmbeddedWorld();
    const stream = await world.open({ shards: 40, segmentBytesMax: 2_000 });
    for (let round = 0; round < 5; round++) {
      await world.append(stream, ...Array.from({ length: 100 }, (_, index) => `key-${index}:${round}`));
    }
    const reader = world.openReader();
    const after = new Map<string, bigint>();
    let seen = 0;
    for (let round = 0; round < 8; round++) {
      for (const { shardId, hashKeys } of await reader.shards()) {
        const records = await reader.read(shardId, after.get(shardId) ?? null, 1);
        seen += records.length;
        for (const { partitionKey, sequenceNumber } of records) {
          const hashKey = hashKeyOf(partitionKey);
          assert.ok(hashKeys.from <= hashKey && hashKey <= hashKeys.to);
          after.set(shardId, sequenceNumber);
        }
      }
    }
    assert.equal(seen, 500);
    await reader.close();
  });

  it('takes an explicit hash key at the ends of the whole range, and none beyond', async () => {
    const batch = new RecordBatch();
    for (const hashKey of [-1n, hashKeyMax + 1n]) {
      assert.throws(() => batch.add('a', Buffer.alloc(1), hashKey), hasCode('stream.hashKeyNotValid'));
    }
    assert.equal(batch.count, 0);
  });

  it('takes larger records where it is told to, and refuses a batch with one elsewhere', async () => {
    const { recordBytesMax, largeRecordBytesMax } = streamLimits;
    const world = new EmbeddedWorld();
    const batchWith = (bytes: number) => {
      const batch = new RecordBatch(1_024, largeRecordBytesMax);
      batch.add('k', Buffer.alloc(bytes - 1, 7));
      return batch;
    };
    const stream = await world.open();
    await assert.rejects(stream.append(batchWith(recordBytesMax + 1)), hasCode('stream.recordTooLarge'));
    await world.clock.until(stream.append(batchWith(recordBytesMax)));
    const large = await world.open({ recordBytesMax: largeRecordBytesMax });
    assert.throws(() => batchWith(largeRecordBytesMax + 1), hasCode('stream.recordTooLarge'));
    await world.clock.until(large.append(batchWith(largeRecordBytesMax)));
    const [first, second] = [1n, 2n].map(number => world.openReader().read(onlyShard, number - 1n, 1));
    assert.equal((await first)[0].data.length, recordBytesMax - 1);
    assert.equal((await second)[0].data.length, largeRecordBytesMax - 1);
  });

  it('takes records again as fast as a shard may, when it has refused some', async () => {
    const world = new EmbeddedWorld();
    const stream = await world.open({ shards: 2, throughput: { bytesPerSecond: 1_000, recordsPerSecond: 10 } });
    const appended = async (...texts: string[]) => {
      const batch = new RecordBatch();
      for (const text of texts) batch.add(text.split(':')[0], Buffer.from(text), 0n);
      const { failed } = await world.clock.until(stream.append(batch));
      return texts.length - failed.size;
    };
    const eleven = Array.from({ length: 11 }, (_, index) => `key-${index}:x`);
    assert.equal(await appended(...eleven), 10);
    assert.equal(await appended('key-0:x'), 0);
    await world.append(stream, 'a:other shard?', 'b:other shard?', 'c:other shard?'); // At least one goes there.
    await world.clock.advance(500);
    assert.equal(await appended(...eleven), 5);
    await world.clock.advance(1_000);
    assert.equal(await appended(`big:${'x'.repeat(3_000)}`, 'big:after', 'key-1:x'), 1); // A debt of two seconds.
    await world.clock.advance(1_500);
    assert.equal(await appended('key-1:x'), 0);
    await world.clock.advance(1_000);
    assert.equal(await appended('key-1:x'), 1);
  });
});

describe('embedded stream, while shards change', () => {
  it('has split its shard or not, wherever the process ended, and keeps what it acknowledged', async () => {
    const plain = new Watched();
    await splitOnce(new EmbeddedWorld(), plain);
    const steps = plain.calls.length;
    assert.ok(steps >= 5);
    const outcomes = new Set<string>();
    for (const end of ['kill', 'powerCut'] as const) {
      for (let step = 0; step <= steps; step++) {
        for (let seed = 1; seed <= 3; seed++) {
          const world = new EmbeddedWorld(seed);
          const watched = new Watched();
          const stream = await world.open({}, watched.files);
          await world.append(stream, 'a:1');
          const answers: string[] = [];
          void stream.splitShard(onlyShard, half).then(
            () => answers.push('split'),
            () => {},
          );
          void stream.append(batchOf('a:2')).then(
            () => answers.push('a:2'),
            () => {},
          );
          await world.clock.advance(step);
          world.disk[end]();
          const shards = await idsOf(await world.open());
          assert.ok(['0', '1,2'].includes(shards.join()), shards.join());
          if (answers.includes('split')) assert.equal(shards.join(), '1,2');
          outcomes.add(shards.join());
          const reopened = await world.open();
          await world.append(reopened, 'a:3');
          const texts: string[] = [];
          for (const { shardId } of await reopened.shards()) {
            texts.push(...(await world.openReader().read(shardId, null, 10_000)).map(textOf));
          }
          const second = answers.includes('a:2') || texts.includes('a:2') ? ['a:2'] : [];
          assert.deepEqual(texts, ['a:1', ...second, 'a:3']);
        }
      }
    }
    assert.deepEqual([...outcomes].toSorted(), ['0', '1,2']);
  });

  async function splitOnce(world: EmbeddedWorld, watched: Watched): Promise<void> {
    const stream = await world.open({}, watched.files);
    await world.append(stream, 'a:1');
    watched.calls = [];
    await world.clock.until(stream.splitShard(onlyShard, half));
  }

  it('leaves the shards as they were when they cannot be stored, and goes on', async () => {
    const plain = new Watched();
    await splitOnce(new EmbeddedWorld(), plain);
    for (const code of ['ENOSPC', 'EMFILE', 'EIO']) {
      for (let failAt = 0; failAt < plain.calls.length - 1; failAt++) {
        const world = new EmbeddedWorld();
        const watched = new Watched();
        const stream = await world.open({}, watched.files);
        await world.append(stream, 'a:1');
        Object.assign(watched, { calls: [], failAt, code });
        const splitting = world.clock.until(stream.splitShard(onlyShard, half));
        await assert.rejects(splitting, hasCode('stream.shardsNotChanged'), `${code} at ${plain.calls[failAt]}`);
        await world.append(stream, 'a:2');
        assert.deepEqual(await idsOf(stream), ['0']);
        world.disk.powerCut();
        const reopened = await world.open();
        assert.deepEqual(await idsOf(reopened), ['0']);
        assert.deepEqual(await world.readAll(), ['a:1', 'a:2']);
        await world.clock.until(reopened.splitShard(onlyShard, half));
        assert.deepEqual(await idsOf(reopened), ['1', '2']);
      }
    }
  });

  it('is over when nobody can say which shards are stored', async () => {
    const world = new EmbeddedWorld();
    const stream = await world.open();
    await world.append(stream, 'a:1');
    world.disk.failNext({ operation: 'sync', code: 'EIO' });
    world.disk.failNext({ operation: 'remove', code: 'EIO' });
    await assert.rejects(world.clock.until(stream.splitShard(onlyShard, half)), hasCode('stream.failed'));
    await assert.rejects(stream.append(batchOf('a:2')), hasCode('stream.failed'));
  });

  it('takes the newest map that is whole, and none when there is none left', async () => {
    const world = new EmbeddedWorld();
    const stream = await world.open({ shards: 2 });
    await world.append(stream, 'a:1', 'b:2');
    const [name] = (await world.disk.list(directory)).filter(each => each.startsWith('shards-'));
    const path = `${directory}/${name}`;
    const whole = await world.bytesOf(path);
    await world.replace(`${directory}/shards-0000000002`, whole.subarray(0, -5)); // A change that was never finished.
    assert.deepEqual(await idsOf(await world.open()), ['0', '1']);
    assert.equal((await world.disk.list(directory)).filter(each => each.startsWith('shards-')).length, 1);
    for (let at = 0; at < whole.length; at += 7) {
      const damaged = Buffer.from(whole);
      damaged[at] ^= 0x10;
      await world.replace(path, damaged);
      await assert.rejects(world.open(), hasCode('stream.corrupt'), `byte ${at}`);
    }
    await world.disk.remove(path);
    await assert.rejects(world.open({ shards: 2 }), hasCode('stream.corrupt'));
    await assert.rejects(world.openReader().read(onlyShard, null, 1), hasCode('stream.corrupt'));
  });

  it('notices that records from before the last change are gone', async () => {
    const world = new EmbeddedWorld();
    const stream = await world.open();
    for (const text of ['a:1', 'a:2']) await world.append(stream, text);
    const before = await world.bytesOf(await world.newest());
    await world.append(stream, 'a:3');
    await world.clock.until(stream.splitShard(onlyShard, half));
    await world.replace(await world.newest(), before);
    await assert.rejects(world.open(), hasCode('stream.corrupt'));
  });

  it('notices records of shards that the stream does not have', async () => {
    const world = new EmbeddedWorld();
    const stream = await world.open({ shards: 3 });
    await world.append(stream, 'a:1', 'b:2', 'c:3', 'd:4', 'e:5');
    const log = await world.bytesOf(await world.newest());
    const other = new EmbeddedWorld();
    await other.open();
    await other.replace(await other.newest(), log);
    await assert.rejects(other.open(), hasCode('stream.corrupt'));
  });

  it('has so many shards and no more', async () => {
    const world = new EmbeddedWorld();
    await assert.rejects(world.open({ shards: streamLimits.shardsOpenMax + 1 }), hasCode('stream.shardsTooMany'));
    const stream = await world.open({ shards: streamLimits.shardsOpenMax });
    await assert.rejects(world.clock.until(stream.splitShard(onlyShard, 1n)), hasCode('stream.shardsTooMany'));
    await world.append(stream, 'a:1');
    const second = 'shardId-000000000001';
    await world.clock.until(stream.mergeShards(onlyShard, second));
    await world.append(stream, 'a:2');
    assert.equal((await idsOf(stream)).length, streamLimits.shardsOpenMax - 1);
  });

  it('forgets a closed shard when all of its records are gone and it would be too old to have any', async () => {
    const world = new EmbeddedWorld();
    const options = { retentionMs: 60_000, segmentBytesMax: 1 };
    const stream = await world.open(options);
    await world.append(stream, 'a:1');
    await world.clock.until(stream.splitShard(onlyShard, half));
    await world.append(stream, 'a:2');
    const reader = world.openReader();
    assert.equal((await reader.shards()).length, 3);
    await world.clock.advance(50_000);
    assert.equal((await stream.shards()).length, 3);
    await world.clock.advance(20_000);
    const ids = (await stream.shards()).map(({ shardId }) => shardId.slice(-1));
    assert.deepEqual(ids, ['1', '2']);
    assert.deepEqual(await reader.shards(), await stream.shards());
    await assert.rejects(reader.read(onlyShard, null, 1_000), hasCode('stream.shardNotFound'));
    const reopened = await world.open(options);
    assert.deepEqual(await reopened.shards(), await stream.shards());
    await world.clock.until(reopened.splitShard('shardId-000000000001', 5n));
    assert.deepEqual(await idsOf(reopened), ['2', '3', '4']); // Ids are never given twice.
  });
});
