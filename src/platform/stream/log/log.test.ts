/** The files of a log: their index, the zeros written ahead, retention, and what an earlier version wrote. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import type { Files } from '../../../kernel/files.ts';
import { hasCode } from '../contract.ts';
import { type EmbeddedStream, onlyShard } from '../embedded.ts';
import { EmbeddedStreamReader } from '../embedded-reader.ts';
import { batchOf, directory, EmbeddedWorld, isOpenShard, textOf } from '../embedded-world.ts';
import { hashKeyMax } from '../shards.ts';
import { blockHeaderBytes } from './block.ts';

function failing(code: string): Error {
  return Object.assign(new Error(code), { code });
}

/** A disk that fails what `isAsked` says, for as long as it says so. */
const failingOn =
  (isAsked: (call: string, filePath: string) => string | undefined) =>
  (files: Files): Files => {
    const check = (call: string, filePath: string) => {
      const code = isAsked(call, filePath);
      if (code !== undefined) throw failing(code);
    };
    return {
      ...files,
      makeDirectory: async name => check('makeDirectory', name),
      syncDirectory: async name => {
        check('syncDirectory', name);
        return files.syncDirectory(name);
      },
      remove: async name => {
        check('remove', name);
        return files.remove(name);
      },
      open: async (filePath, options) => {
        check('open', filePath);
        const file = await files.open(filePath, options);
        return {
          write: async (bytes, position) => {
            check('write', filePath);
            return file.write(bytes, position);
          },
          read: (into, position) => file.read(into, position),
          sync: () => file.sync(),
          truncate: length => file.truncate(length),
          size: () => file.size(),
          close: () => file.close(),
        };
      },
    };
  };

async function fill(world: EmbeddedWorld, stream: EmbeddedStream, count: number, bytes = 0): Promise<void> {
  for (let index = 0; index < count; index++) await world.append(stream, `a:${index}:`.padEnd(bytes, 'x'));
}

describe('the index of a segment', () => {
  async function indexed(): Promise<{ world: EmbeddedWorld; index: string }> {
    const world = new EmbeddedWorld();
    const stream = await world.open({ indexEveryBytes: 20_000, segmentBytesMax: 1_000_000 });
    await fill(world, stream, 300, 5_000); // Two segments.
    const [first] = await world.segments();
    return { world, index: first.replace('.log', '.index') };
  }

  it('lets a reader begin anywhere without reading what is before', async () => {
    const { world } = await indexed();
    let bytesRead = 0;
    const mounted = world.disk.mount();
    const files: Files = {
      ...mounted,
      open: async (filePath, options) => {
        const file = await mounted.open(filePath, options);
        const read = async (into: Uint8Array, position: number) => {
          const bytes = await file.read(into, position);
          bytesRead += bytes;
          return bytes;
        };
        return { ...file, read, size: () => file.size(), close: () => file.close() } as typeof file; // Only to read.
      },
    };
    for (const wanted of [2n, 100n, 190n, 250n, 300n]) {
      bytesRead = 0;
      const reader = new EmbeddedStreamReader({ files, directory, tail: world.tail });
      const [found] = await reader.read(onlyShard, wanted - 1n, 1);
      assert.equal(found.sequenceNumber, wanted);
      assert.ok(bytesRead < 150_000, `${bytesRead} bytes read for record ${wanted}`);
      bytesRead = 0;
      const before = await reader.locate(onlyShard, { type: 'AT_TIMESTAMP', atMs: found.arrivalAtMs });
      assert.equal(before, wanted - 1n);
      assert.ok(bytesRead < 200_000, `${bytesRead} bytes read for the instant of record ${wanted}`);
    }
  });

  it('changes nothing of what is found when it is missing, torn, damaged or of another log', async () => {
    const { world, index } = await indexed();
    const whole = await world.bytesOf(index);
    const records = await world.openReader().read(onlyShard, null, 10_000_000);
    const elsewhere = new EmbeddedWorld(2);
    const other = await elsewhere.open({ indexEveryBytes: 1_000 });
    await fill(elsewhere, other, 300, 999);
    const foreign = await elsewhere.bytesOf((await elsewhere.newest()).replace('.log', '.index'));
    // As whole.length is a multiple of an entry's bytes, this moves each entry's position by some bytes.
    const lies = Buffer.from(whole);
    for (let at = 0; at < lies.length; at += 32) {
      lies.writeBigUInt64LE(lies.readBigUInt64LE(at) + 5_012n, at);
      lies.writeUInt32LE(crc32(lies.subarray(at, at + 24)), at + 24);
    }
    const tooOld = Buffer.from(whole);
    for (let at = 0; at < tooOld.length; at += 32) {
      tooOld.writeDoubleLE(0, at + 16);
      tooOld.writeUInt32LE(crc32(tooOld.subarray(at, at + 24)), at + 24);
    }
    const damaged = Buffer.from(whole).fill(7, 64, 200);
    for (const bytes of [Buffer.alloc(0), whole.subarray(0, -9), damaged, foreign, lies, tooOld, Buffer.alloc(5_000)]) {
      await world.replace(index, bytes);
      for (const start of [0, 1, 57, 150, 299]) {
        const { sequenceNumber, arrivalAtMs } = records[start];
        const reader = world.openReader();
        const [found] = await reader.read(onlyShard, sequenceNumber - 1n, 1);
        assert.equal(found.sequenceNumber, sequenceNumber);
        const before = await reader.locate(onlyShard, { type: 'AT_TIMESTAMP', atMs: arrivalAtMs });
        assert.equal(before, sequenceNumber - 1n);
      }
    }
  });

  it('is begun again when the log is opened, and goes away with its segment', async () => {
    const world = new EmbeddedWorld();
    const options = { indexEveryBytes: 200, segmentBytesMax: 2_000 };
    const stream = await world.open(options);
    await fill(world, stream, 10, 100);
    const index = (await world.newest()).replace('.log', '.index');
    const before = await world.bytesOf(index);
    await world.replace(index, Buffer.from('left over'));
    const reopened = await world.open({ ...options, retentionBytesMax: 0 });
    await world.clock.settle();
    assert.deepEqual(await world.bytesOf(index), before);
    await fill(world, reopened, 40, 100);
    assert.ok(!(await world.disk.list(directory)).includes(index.slice(directory.length + 1)));
  });

  it('keeps no append waiting or from being kept when it cannot be written', async () => {
    const world = new EmbeddedWorld();
    const isIndex = (call: string, name: string) =>
      call === 'write' && name.endsWith('.index') ? 'ENOSPC' : undefined;
    const stream = await world.open({ indexEveryBytes: 100, segmentBytesMax: 1_000 }, failingOn(isIndex));
    await fill(world, stream, 30);
    assert.equal((await world.readAll(20n)).length, 10);
    await world.clock.until(stream.close());
  });

  it('finds the first record of an instant or behind it, whatever arrived when', async () => {
    const gaps = fc.array(fc.constantFrom(0, 1, 1, 5, 400), { minLength: 1, maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(gaps, fc.nat(2_000), fc.constantFrom(100, 700, 100_000), async (pauses, ms, segmentBytesMax) => {
        const world = new EmbeddedWorld();
        const stream = await world.open({ segmentBytesMax, indexEveryBytes: 150, shards: 2 });
        const startMs = world.clock.nowMs();
        for (const pause of pauses) {
          await world.append(stream, `key-${pause}:x`);
          await world.clock.advance(pause);
        }
        const reader = world.openReader();
        const atMs = startMs + ms;
        for (const { shardId } of await reader.shards()) {
          const all = await reader.read(shardId, null, 1_000_000);
          const after = await reader.locate(shardId, { type: 'AT_TIMESTAMP', atMs });
          const found = await reader.read(shardId, after, 1_000_000);
          assert.deepEqual(
            found,
            all.filter(({ arrivalAtMs }) => arrivalAtMs >= atMs),
          );
        }
        await reader.close();
      }),
      { numRuns: 40 },
    );
  });
});

describe('zeros written ahead', () => {
  const padded = { paddingBytes: 4_000, segmentBytesMax: 100_000 };

  it('leave the size of the file alone while small groups are written', async () => {
    const world = new EmbeddedWorld();
    const stream = await world.open(padded);
    await world.append(stream, 'a:1');
    const size = world.disk.sizeOf(await world.newest());
    assert.ok(size > 4_000);
    await fill(world, stream, 20);
    assert.equal(world.disk.sizeOf(await world.newest()), size);
    await fill(world, stream, 60);
    assert.ok(world.disk.sizeOf(await world.newest()) > size);
    assert.equal((await world.readAll()).length, 81);
    await world.clock.until(stream.close());
    assert.notEqual((await world.bytesOf(await world.newest())).at(-1), 0);
  });

  it('are no torn group, and hide none: T03', async () => {
    const world = new EmbeddedWorld();
    const stream = await world.open(padded);
    await world.append(stream, 'a:1');
    const segment = await world.newest();
    const before = blockHeaderBytes + 'a:1'.length + 6 + 1;
    await world.append(stream, 'a:2');
    const whole = await world.bytesOf(segment);
    assert.equal((await world.open(padded)).tornBytes, 0);
    for (let lost = before; lost < before * 2; lost += 5) {
      const torn = Buffer.from(whole).fill(0, lost, before * 2);
      await world.replace(segment, torn);
      const reopened = await world.open(padded);
      assert.deepEqual(await world.readAll(), ['a:1']);
      assert.ok(reopened.tornBytes <= lost - before);
      await world.append(reopened, 'a:3');
      assert.deepEqual(await world.readAll(), ['a:1', 'a:3']);
    }
    const damaged = Buffer.from(whole).fill(0, 0, before);
    await world.replace(segment, damaged);
    await assert.rejects(world.open(padded), hasCode('stream.corrupt')); // The second proves that the first was whole.
  });

  it('may stay behind the records of a full segment', async () => {
    const world = new EmbeddedWorld();
    const stream = await world.open({ segmentBytesMax: 1 });
    for (const text of ['a:1', 'a:2', 'a:3']) await world.append(stream, text);
    for (const segment of (await world.segments()).slice(0, 2)) {
      await world.replace(segment, Buffer.concat([await world.bytesOf(segment), Buffer.alloc(700)]));
    }
    await world.replace(`${directory}/00000000000000000004.log`, Buffer.alloc(0));
    const last = (await world.segments())[2];
    await world.replace(last, Buffer.concat([await world.bytesOf(last), Buffer.alloc(50)]));
    const reopened = await world.open({ segmentBytesMax: 1 });
    await world.append(reopened, 'a:4');
    assert.deepEqual(await world.readAll(), ['a:1', 'a:2', 'a:3', 'a:4']);
  });

  it('refuse no group for which there is room when there is none for them', async () => {
    const world = new EmbeddedWorld();
    let writes = 0;
    const isPadding = (call: string, name: string) => {
      return call === 'write' && name.endsWith('.log') && ++writes % 2 === 1 && writes > 1 ? 'ENOSPC' : undefined;
    };
    const stream = await world.open(padded, failingOn(isPadding));
    await world.append(stream, 'a:1');
    await world.append(stream, 'a:2');
    assert.ok(writes >= 3);
    assert.deepEqual(await world.readAll(), ['a:1', 'a:2']);
  });
});

describe('retention', () => {
  const minute = { retentionMs: 60_000 };

  it('deletes what is too old while nothing is appended, the last record included', async () => {
    const world = new EmbeddedWorld();
    const stream = await world.open(minute);
    await fill(world, stream, 3);
    await world.clock.advance(50_000);
    assert.equal((await world.readAll()).length, 3);
    await world.clock.advance(15_000);
    assert.deepEqual(await world.readAll(), []);
    assert.equal((await world.segments()).length, 1);
    const appended = await world.append(stream, 'a:again');
    assert.equal(appended.placeOf(0).sequenceNumber, 4n);
    assert.deepEqual(await world.readAll(), ['a:again']);
  });

  it('deletes by the hour what is kept for a day, however little comes', async () => {
    const world = new EmbeddedWorld();
    const stream = await world.open({ retentionMs: 24 * 3_600_000 });
    for (let hour = 0; hour < 60; hour++) {
      await world.append(stream, `a:${hour}`);
      await world.clock.advance(3_600_000);
      const kept = await world.readAll();
      assert.ok(kept.length >= Math.min(hour + 1, 24) && kept.length <= 27, `${kept.length} in hour ${hour}`);
    }
  });

  it('waits for consumers also when nothing is appended', async () => {
    const world = new EmbeddedWorld();
    let consumed: bigint | null = null;
    const stream = await world.open({ ...minute, retentionBytesMax: 0, consumedUpTo: () => consumed });
    await fill(world, stream, 3);
    await world.clock.advance(600_000);
    assert.equal((await world.readAll()).length, 3);
    consumed = 2n;
    await world.clock.advance(600_000);
    assert.equal((await world.readAll()).length, 3); // They are all in one segment.
    consumed = 3n;
    await world.clock.advance(60_000);
    assert.deepEqual(await world.readAll(), []);
  });

  it('can be made longer and shorter at any time', async () => {
    const world = new EmbeddedWorld();
    const stream = await world.open(minute);
    await world.append(stream, 'a:1');
    stream.setRetentionMs(600_000);
    assert.equal(stream.retentionMs, 600_000);
    await world.clock.advance(500_000);
    assert.deepEqual(await world.readAll(), ['a:1']);
    stream.setRetentionMs(100_000);
    await world.clock.advance(100);
    assert.deepEqual(await world.readAll(), []);
  });

  it('tries again what the disk did not let go of, and leaves no gap when the power goes then', async () => {
    for (let seed = 1; seed <= 30; seed++) {
      const world = new EmbeddedWorld(seed);
      const stream = await world.open({ ...minute, segmentBytesMax: 1 });
      await fill(world, stream, 6);
      await world.clock.advance(58_000);
      world.disk.failNext({ operation: seed % 2 === 0 ? 'remove' : 'syncDirectory', code: 'EIO' });
      await world.clock.advance(seed % 3 === 0 ? 2_600 : 20_000);
      if (seed % 3 !== 0) assert.deepEqual(await world.readAll(), []);
      world.disk.powerCut();
      await world.open(minute);
      await world.readAll(); // Throws when one is missing in the middle.
    }
  });

  it('stops when the stream is closed', async () => {
    const world = new EmbeddedWorld();
    const stream = await world.open(minute);
    await world.append(stream, 'a:1');
    await world.clock.until(stream.close());
    await world.clock.advance(600_000);
    assert.equal((await world.segments()).length, 1);
    assert.deepEqual(await world.readAll(), ['a:1']);
  });
});

describe('a disk that cannot be written', () => {
  it('is told by name when the stream is opened', async () => {
    const codes = [
      ['EROFS', 'stream.notWritable'],
      ['EACCES', 'stream.notWritable'],
      ['ENOSPC', 'stream.full'],
      ['EIO', 'stream.failed'],
    ];
    for (const [code, told] of codes) {
      for (const asked of ['makeDirectory', 'open', 'write']) {
        const world = new EmbeddedWorld();
        const spoil = failingOn(call => (call === asked ? code : undefined));
        await assert.rejects(world.open({}, spoil), hasCode(told), `${code} at ${asked}`);
      }
    }
  });

  it('ends a stream that is open, which says why', async () => {
    const world = new EmbeddedWorld();
    let isReadOnly = false;
    const spoil = failingOn(call => (isReadOnly && call === 'write' ? 'EROFS' : undefined));
    const stream = await world.open({}, spoil);
    await world.append(stream, 'a:1');
    isReadOnly = true;
    await assert.rejects(world.append(stream, 'a:2'), (error: Error) => {
      assert.match(error.message, /EROFS/);
      return hasCode('stream.failed')(error);
    });
    assert.deepEqual(await world.readAll(), ['a:1']);
  });

  it('is no reason to refuse anything when only descriptors are short at the end of a segment', async () => {
    const world = new EmbeddedWorld();
    let isShort = false;
    const spoil = failingOn((call, name) =>
      isShort && call === 'open' && name.endsWith('.log') ? 'EMFILE' : undefined,
    );
    const stream = await world.open({ segmentBytesMax: 1 }, spoil);
    await world.append(stream, 'a:1');
    isShort = true;
    await world.append(stream, 'a:2');
    await world.append(stream, 'a:3');
    assert.equal((await world.segments()).length, 1);
    isShort = false;
    await world.append(stream, 'a:4');
    assert.equal((await world.segments()).length, 2);
    assert.deepEqual(await world.readAll(), ['a:1', 'a:2', 'a:3', 'a:4']);
  });

  it('leaves no segment behind that was begun in vain', async () => {
    for (const code of ['EMFILE', 'ENOSPC']) {
      const world = new EmbeddedWorld();
      let isShort = false;
      const spoil = failingOn(call => (isShort && call === 'syncDirectory' ? code : undefined));
      const stream = await world.open({ retentionMs: 60_000 }, spoil);
      await world.append(stream, 'a:1');
      isShort = true;
      await world.clock.advance(600_000); // All of it is too old, so that retention begins a segment.
      stream.setRetentionMs(3_600_000_000); // And now none is, so that the old one goes on.
      await world.clock.settle();
      await world.append(stream, 'a:2');
      isShort = false;
      assert.equal((await world.segments()).length, 1, code);
      world.disk.powerCut();
      await world.open();
      assert.deepEqual(await world.readAll(), ['a:1', 'a:2'], code);
    }
  });

  it('passes over a segment begun in vain that a power cut has brought back', async () => {
    const world = new EmbeddedWorld();
    const stream = await world.open();
    await world.append(stream, 'a:1', 'a:2');
    const vain = `${(await world.newest()).slice(0, -'1.log'.length)}2.log`;
    await world.replace(vain, Buffer.alloc(0));
    const reopened = await world.open();
    await world.append(reopened, 'a:3');
    assert.deepEqual(await world.readAll(), ['a:1', 'a:2', 'a:3']);
    assert.equal((await world.segments()).length, 1);
  });

  it('goes on when the last descriptor went to the new segment', async () => {
    const world = new EmbeddedWorld();
    let isShort = false;
    const spoil = failingOn(call => (isShort && call === 'syncDirectory' ? 'EMFILE' : undefined));
    const stream = await world.open({ segmentBytesMax: 1 }, spoil);
    await world.append(stream, 'a:1');
    isShort = true;
    await world.append(stream, 'a:2');
    await world.append(stream, 'a:3');
    isShort = false;
    await world.append(stream, 'a:4');
    world.disk.powerCut();
    await world.open();
    assert.deepEqual(await world.readAll(), ['a:1', 'a:2', 'a:3', 'a:4']);
  });
});

describe('a log that was written before there were shards', () => {
  /** A block of version 2. */
  function blockBefore(text: string, place: { firstSequenceNumber: bigint; previousChecksum: number }): Buffer {
    const body = batchOf(text).take().subarray(blockHeaderBytes);
    const block = Buffer.alloc(44 + body.length);
    block.write('MMS2', 'latin1');
    block.writeUInt32LE(body.length, 8);
    block.writeUInt32LE(1, 12);
    block.writeBigUInt64LE(place.firstSequenceNumber, 16);
    block.writeDoubleLE(Date.UTC(2026, 0, 1) - 1_000, 24); // a second before the tests' clock begins
    block.writeUInt32LE(place.previousChecksum, 32);
    block.writeUInt32LE(4711, 40);
    body.copy(block, 44);
    block.writeUInt32LE(crc32(block.subarray(8)), 4);
    return block;
  }

  async function writeBefore(world: EmbeddedWorld, ...texts: string[]): Promise<void> {
    const blocks: Buffer[] = [];
    for (const text of texts) {
      const previousChecksum = blocks.at(-1)?.readUInt32LE(4) ?? 0;
      blocks.push(blockBefore(text, { firstSequenceNumber: BigInt(blocks.length + 1), previousChecksum }));
    }
    await world.replace(`${directory}/${onlyShard}/00000000000000000001.log`, Buffer.concat(blocks));
    await world.clock.until(world.disk.syncDirectory(`${directory}/${onlyShard}`));
  }

  it('is one shard, goes on where it lies, and can be split', async () => {
    const world = new EmbeddedWorld();
    await writeBefore(world, 'a:1', 'a:2', 'a:3');
    const stream = await world.open({ shards: 4 });
    assert.deepEqual(await world.readAll(), ['a:1', 'a:2', 'a:3']);
    await world.append(stream, 'a:4');
    assert.deepEqual(await world.readAll(), ['a:1', 'a:2', 'a:3', 'a:4']);
    assert.deepEqual(await world.segments(), []); // In the new place there is none.
    await world.clock.until(stream.splitShard(onlyShard, (hashKeyMax + 1n) / 2n));
    await world.append(stream, 'a:5');
    world.disk.powerCut();
    const reopened = await world.open();
    const reader = world.openReader();
    assert.deepEqual((await reader.read(onlyShard, 2n, 1_000)).map(textOf), ['a:3', 'a:4']);
    const children = (await reopened.shards()).filter(isOpenShard);
    const seen = await Promise.all(children.map(({ shardId }) => reader.read(shardId, null, 1_000)));
    assert.deepEqual(seen.flat().map(textOf), ['a:5']);
  });

  it('is refused when it is damaged, and loses only its torn end: T03 T04', async () => {
    const world = new EmbeddedWorld();
    await writeBefore(world, 'a:1', 'a:2', 'a:3');
    const path = `${directory}/${onlyShard}/00000000000000000001.log`;
    const whole = await world.bytesOf(path);
    const damaged = Buffer.from(whole);
    damaged[60] ^= 1;
    await world.replace(path, damaged);
    await assert.rejects(world.open(), hasCode('stream.corrupt'));
    await world.replace(path, whole.subarray(0, -3));
    await world.open();
    assert.deepEqual(await world.readAll(), ['a:1', 'a:2']);
  });
});
