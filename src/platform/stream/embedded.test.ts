import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, it } from 'node:test';
import { delay, systemClock } from '../../kernel/clock.ts';
import { codeOf } from '../../kernel/errors.ts';
import { systemFiles } from '../../kernel/files.ts';
import { hasCode, streamContract } from './contract.ts';
import { EmbeddedStream, onlyShard } from './embedded.ts';
import { EmbeddedStreamReader } from './embedded-reader.ts';
import { batchOf, directory, EmbeddedWorld, textOf } from './embedded-world.ts';
import { streamLimits } from './limits.ts';
import { sealBlock } from './log/block.ts';
import type { SequenceNumber } from './port.ts';
import { RecordBatch } from './record-batch.ts';
import { LocalTail } from './tail.ts';
import { awsShardThroughput } from './throughput.ts';

streamContract('embedded, on a test disk', async ({ shards }) => {
  const world = new EmbeddedWorld();
  return {
    // The contract holds across segments, too, and whether or not the index helps.
    open: () => world.open({ shards, segmentBytesMax: 500, indexEveryBytes: 100 }),
    openThrottled: () => world.open({ throughput: awsShardThroughput }),
    openReader: async () => world.openReader(),
    until: promise => world.clock.until(promise),
    pass: ms => world.clock.advance(ms),
    nowMs: () => world.clock.nowMs(),
    cleanUp: async () => {},
  };
});

streamContract('embedded, on this disk', async ({ shards }) => {
  const directory = await mkdtemp(path.join(tmpdir(), 'mimamori-stream-'));
  const tail = new LocalTail(0n);
  const onDurable = (last: SequenceNumber, generation: number) => tail.moveTo(last, generation);
  const options = { files: systemFiles, clock: systemClock, directory, onDurable };
  return {
    open: () => EmbeddedStream.open({ ...options, shards }),
    openThrottled: () => EmbeddedStream.open({ ...options, throughput: awsShardThroughput }),
    openReader: async () => new EmbeddedStreamReader({ files: systemFiles, directory, tail }),
    until: promise => promise,
    pass: ms => delay(systemClock, ms),
    nowMs: () => systemClock.nowMs(),
    cleanUp: () => rm(directory, { recursive: true }),
  };
});

/** So long that its batch is not copied into one block with others. */
function large(text: string): string {
  return text.padEnd(140_000, 'x');
}

/** Why each append was refused; undefined for one that was not. */
async function refusalsOf(world: EmbeddedWorld, appends: Promise<unknown>[]): Promise<(string | undefined)[]> {
  const outcomes = await world.clock.until(Promise.allSettled(appends));
  return outcomes.map(outcome => (outcome.status === 'rejected' ? codeOf(outcome.reason) : undefined));
}

describe('embedded stream, when the disk fails', () => {
  it('acknowledges nothing of a failed sync, nor anything later: T06', async () => {
    const world = new EmbeddedWorld();
    const stream = await world.open();
    await world.append(stream, 'a:1');
    world.disk.failNext({ operation: 'sync', code: 'EIO' });
    const appends = [stream.append(batchOf('a:2')), stream.append(batchOf('a:3'))];
    assert.deepEqual(await refusalsOf(world, appends), ['stream.failed', 'stream.failed']);
    await assert.rejects(stream.append(batchOf('a:4')), hasCode('stream.failed'));
    assert.equal(stream.lastSequenceNumber, 1n);
    assert.equal(stream.pendingBytes, 0);
    assert.deepEqual(await world.readAll(), ['a:1']);
    await stream.close();
  });

  it('takes a full disk that only the sync noticed for a failed sync: T06 T07', async () => {
    const world = new EmbeddedWorld();
    const stream = await world.open();
    world.disk.failNext({ operation: 'sync', code: 'ENOSPC' });
    await assert.rejects(world.append(stream, 'a:1'), hasCode('stream.failed'));
    await assert.rejects(world.append(stream, 'a:2'), hasCode('stream.failed'));
  });

  it('does not count on what a failed sync left in the page cache: T06', async () => {
    const world = new EmbeddedWorld();
    const stream = await world.open();
    world.disk.failNext({ operation: 'sync', code: 'EIO' });
    await assert.rejects(world.append(stream, 'a:unsure'), hasCode('stream.failed'));
    const restarted = await world.open(); // It sees the record and hands it to consumers: now it must stay.
    const seen = await world.readAll();
    await world.append(restarted, 'a:next');
    world.disk.powerCut();
    await world.open();
    assert.deepEqual(await world.readAll(), [...seen, 'a:next']);
  });

  it('makes durable what a killed process had only written, before anyone reads it: T01 T02', async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const world = new EmbeddedWorld(seed);
      const stream = await world.open();
      void stream.append(batchOf('a:1')).catch(() => {});
      await world.clock.settle(); // written, not yet synced
      await world.open();
      const seen = await world.readAll();
      assert.deepEqual(seen, ['a:1']);
      world.disk.powerCut();
      await world.open();
      assert.deepEqual(await world.readAll(), seen);
    }
  });

  it('refuses a group the disk has no room for, keeps nothing of it, and goes on when there is room: T07', async () => {
    for (const code of ['ENOSPC', 'EDQUOT'] as const) {
      const world = new EmbeddedWorld();
      const stream = await world.open();
      const first = stream.append(batchOf('a:1'));
      const group = [stream.append(batchOf('a:2')), stream.append(batchOf('a:3', 'a:4'))];
      world.disk.failNext({ operation: 'write', code }); // The first is being written already.
      await world.clock.until(first);
      assert.deepEqual(await refusalsOf(world, group), ['stream.full', 'stream.full']);
      const after = await world.append(stream, 'a:5');
      assert.equal(after.placeOf(0).sequenceNumber, 2n);
      assert.deepEqual(await world.readAll(), ['a:1', 'a:5']);
      await world.open();
      assert.deepEqual(await world.readAll(), ['a:1', 'a:5']);
    }
  });

  it('never brings back refused records, whenever the power goes afterwards: T02 T07', async () => {
    for (let seed = 1; seed <= 50; seed++) {
      const world = new EmbeddedWorld(seed);
      const stream = await world.open();
      await world.append(stream, 'a:1');
      const accepted = stream.append(batchOf('a:2')); // On its way alone; the others gather behind it.
      const refused = ['a:x', 'a:y'].map(text => stream.append(batchOf(large(text))));
      await world.clock.until(accepted);
      await world.clock.settle(); // The first of the two is written, the disk is full at the second.
      world.disk.failNext({ operation: 'write', code: 'ENOSPC' });
      assert.deepEqual(await refusalsOf(world, refused), ['stream.full', 'stream.full']);
      const kept = await world.readAll();
      world.disk.powerCut();
      await world.open();
      assert.deepEqual(await world.readAll(), kept, `seed ${seed}`);
    }
  });

  it('is over when it cannot take back what a full disk refused', async () => {
    const world = new EmbeddedWorld();
    const stream = await world.open();
    world.disk.failNext({ operation: 'write', code: 'ENOSPC' });
    world.disk.failNext({ operation: 'truncate', code: 'EIO' });
    await assert.rejects(world.append(stream, 'a:1'), hasCode('stream.failed'));
    await assert.rejects(world.append(stream, 'a:2'), hasCode('stream.failed'));
  });

  it('goes on in the full segment while there is no room to begin another: T07', async () => {
    const world = new EmbeddedWorld();
    const stream = await world.open({ segmentBytesMax: 1 });
    await world.append(stream, 'a:1');
    for (const operation of ['open', 'syncDirectory'] as const) {
      world.disk.failNext({ operation, code: 'ENOSPC' });
      await assert.rejects(world.append(stream, 'a:refused'), hasCode('stream.full'));
    }
    await world.append(stream, 'a:2');
    assert.deepEqual(await world.readAll(), ['a:1', 'a:2']);
    await world.open();
    assert.deepEqual(await world.readAll(), ['a:1', 'a:2']);
  });

  it('refuses more than may wait for a stalled disk, and takes it when the disk goes on: T08 D10', async () => {
    const world = new EmbeddedWorld();
    const stream = await world.open();
    world.disk.latencyMs = 10_000;
    const appends: Promise<unknown>[] = [];
    const large = () => {
      const batch = new RecordBatch();
      while (!batch.isFull) batch.add('a', Buffer.alloc(streamLimits.recordBytesMax - 1));
      return batch;
    };
    while (stream.pendingBytes + large().bytes <= streamLimits.pendingBytesMax) appends.push(stream.append(large()));
    await assert.rejects(stream.append(large()), hasCode('stream.busy'));
    await world.clock.until(Promise.all(appends));
    await world.clock.until(stream.append(large()));
  });

  it('refuses to take nothing', async () => {
    const world = new EmbeddedWorld();
    const stream = await world.open();
    assert.throws(() => stream.append(new RecordBatch()), assert.AssertionError);
  });
});

describe('embedded stream, opened after a crash', () => {
  it('cuts off the last group at whatever byte it was torn, and keeps all before it: T03', async () => {
    const world = new EmbeddedWorld();
    const stream = await world.open();
    await world.append(stream, 'a:1');
    await world.append(stream, 'a:2', 'b:3');
    const segment = await world.newest();
    const before = world.disk.sizeOf(segment);
    await world.append(stream, 'a:4');
    const whole = await world.bytesOf(segment);
    for (let length = before; length < whole.length; length++) {
      await world.replace(segment, whole.subarray(0, length));
      const reopened = await world.open();
      // Zeros at the end might have been written ahead: they do not count.
      if (whole[length - 1] !== 0) assert.equal(reopened.tornBytes, length - before);
      assert.deepEqual(await world.readAll(), ['a:1', 'a:2', 'b:3'], `torn at ${length}`);
      await world.append(reopened, 'a:5');
      assert.deepEqual(await world.readAll(), ['a:1', 'a:2', 'b:3', 'a:5']);
    }
  });

  it('takes a group of which only a later block reached the disk for torn, not for damaged: T02', async () => {
    const world = new EmbeddedWorld();
    const stream = await world.open();
    const alone = stream.append(batchOf('a:1'));
    const group = ['a:2', 'a:3'].map(text => stream.append(batchOf(large(text))));
    await world.clock.until(Promise.all([alone, ...group]));
    const segment = await world.newest();
    const bytes = await world.bytesOf(segment);
    const second = bytes.indexOf('MMS', 1);
    bytes.fill(0, second, bytes.indexOf('MMS', second + 1));
    await world.replace(segment, bytes);
    await world.open();
    assert.deepEqual(await world.readAll(), ['a:1']);
  });

  it('refuses to open when acknowledged records in the middle are damaged, at any byte: T04', async () => {
    const world = new EmbeddedWorld();
    const stream = await world.open();
    for (const text of ['a:1', 'a:2', 'a:3']) await world.append(stream, text);
    const segment = await world.newest();
    const whole = await world.bytesOf(segment);
    const lastBlock = whole.lastIndexOf('MMS');
    for (let at = 0; at < lastBlock; at++) {
      const damaged = Buffer.from(whole);
      damaged[at] ^= 0x10;
      await world.replace(segment, damaged);
      await assert.rejects(world.open(), hasCode('stream.corrupt'), `byte ${at}`);
      assert.deepEqual(await world.bytesOf(segment), damaged); // Nothing was cut off.
    }
  });

  it('refuses blocks that are intact but in another place or from another time: T04 T05', async () => {
    const world = new EmbeddedWorld();
    const stream = await world.open();
    for (const text of ['a:1', 'a:2', 'a:3']) await world.append(stream, text);
    const segment = await world.newest();
    const whole = await world.bytesOf(segment);
    const size = whole.length / 3;
    const blocks = [0, 1, 2].map(index => whole.subarray(index * size, (index + 1) * size));
    const elsewhere = new EmbeddedWorld(2);
    const other = await elsewhere.open();
    for (const text of ['a:1', 'a:x']) await elsewhere.append(other, text);
    const stale = (await elsewhere.bytesOf(await elsewhere.newest())).subarray(size);
    for (const mixed of [
      [blocks[1], blocks[0], blocks[2]],
      [blocks[0], blocks[2], blocks[1]],
      [blocks[0], stale, blocks[2]],
      [blocks[0], stale],
    ]) {
      await world.replace(segment, Buffer.concat(mixed));
      await assert.rejects(world.open(), hasCode('stream.corrupt'));
    }
  });

  it('refuses a log of another version instead of taking it for empty: T09', async () => {
    const world = new EmbeddedWorld();
    await world.append(await world.open(), 'a:1');
    const bytes = await world.bytesOf(await world.newest());
    bytes.write('MMS1');
    await world.replace(await world.newest(), bytes);
    await assert.rejects(world.open(), hasCode('stream.corrupt'));
    assert.deepEqual(await world.bytesOf(await world.newest()), bytes);
  });

  it('is not kept from opening by a payload that looks like a later block', async () => {
    const world = new EmbeddedWorld();
    const stream = await world.open();
    await world.append(stream, 'a:1');
    const place = { arrivalAtMs: 0, previousChecksum: 0, groupBytesBefore: 0, salt: 12345 };
    const forged = batchOf('a:forged').take();
    sealBlock(forged, 1, 0, { ...place, firstSequenceNumber: 1_000n });
    const hostile = new RecordBatch();
    hostile.add('a', Buffer.concat([forged, Buffer.from('MMS3'.repeat(50)), forged]));
    await world.clock.until(stream.append(hostile));
    const segment = await world.newest();
    const torn = (await world.bytesOf(segment)).subarray(0, -1);
    await world.replace(segment, torn);
    await world.open();
    assert.deepEqual(await world.readAll(), ['a:1']);
  });

  it('goes on behind the segment before when the newest is still empty', async () => {
    const world = new EmbeddedWorld();
    const stream = await world.open();
    await world.append(stream, 'a:1');
    const last = await world.bytesOf(await world.newest());
    await world.replace(`${directory}/00000000000000000002.log`, Buffer.alloc(0));
    const reopened = await world.open();
    assert.equal(reopened.lastSequenceNumber, 1n);
    await world.append(reopened, 'a:2');
    assert.deepEqual(await world.readAll(), ['a:1', 'a:2']); // The reader compares the checksums across segments.
    assert.equal((await world.bytesOf(await world.newest())).readUInt32LE(32), last.readUInt32LE(48));
    await world.replace(`${directory}/00000000000000000007.log`, Buffer.alloc(0));
    await assert.rejects(world.open(), hasCode('stream.corrupt')); // Records 3 to 6 are missing.
  });

  it('never lets arrival go back, though the clock was set back over a restart: C01', async () => {
    const world = new EmbeddedWorld();
    const setTimer = world.clock.setTimer.bind(world.clock);
    const late = { nowMs: () => 5_000, monotonicMs: () => 0, setTimer, soon: world.clock.soon };
    const early = { ...late, nowMs: () => 1_000 };
    await world.append(await world.open({ clock: late }), 'a:1');
    await world.append(await world.open({ clock: early, segmentBytesMax: 1 }), 'a:2');
    const records = await world.openReader().read(onlyShard, null, 1_000);
    assert.deepEqual(
      records.map(record => record.arrivalAtMs),
      [5_000, 5_000],
    );
  });

  it('counts on past 2^53 without rounding: T13', async () => {
    const start = 2n ** 53n - 10n;
    const world = new EmbeddedWorld();
    const name = String(start).padStart(20, '0');
    await world.replace(`${directory}/${name}.log`, Buffer.alloc(0));
    const stream = await world.open({ segmentBytesMax: 200 });
    for (let index = 0; index < 30; index++) {
      const appended = await world.append(stream, `a:${index}`);
      assert.equal(appended.placeOf(0).sequenceNumber, start + BigInt(index));
    }
    const reopened = await world.open();
    assert.equal(reopened.lastSequenceNumber, start + 29n);
    assert.deepEqual(
      await world.readAll(start + 20n),
      Array.from({ length: 9 }, (_, index) => `a:${index + 21}`),
    );
  });
});

describe('embedded stream, retention', () => {
  const oneRecordEach = { segmentBytesMax: 1 };

  async function fill(world: EmbeddedWorld, stream: EmbeddedStream, count: number): Promise<void> {
    for (let index = 0; index < count; index++) await world.append(stream, `a:${index}`);
  }

  it('keeps everything while somebody has not consumed it, however old and large', async () => {
    for (const consumedUpTo of [() => null, () => 0n]) {
      const world = new EmbeddedWorld();
      const stream = await world.open({ ...oneRecordEach, retentionBytesMax: 0, retentionMs: 0, consumedUpTo });
      await fill(world, stream, 5);
      await world.clock.advance(1_000_000);
      await fill(world, stream, 1);
      assert.equal((await world.readAll()).length, 6);
    }
  });

  it('deletes what is over the size, oldest first, and never beyond the consumed record', async () => {
    const world = new EmbeddedWorld();
    let consumed = 0n;
    const options = { ...oneRecordEach, consumedUpTo: () => consumed };
    const stream = await world.open({ ...options, retentionBytesMax: 0 });
    await fill(world, stream, 5);
    consumed = 3n;
    await fill(world, stream, 1);
    assert.deepEqual(await world.readAll(), ['a:3', 'a:4', 'a:0']);
    consumed = 1_000n;
    const roomy = await world.open({ ...options, retentionBytesMax: 150 });
    await fill(world, roomy, 1);
    assert.deepEqual(await world.readAll(), ['a:3', 'a:4', 'a:0', 'a:0'].slice(1));
  });

  it('deletes a segment once its last record is over the age', async () => {
    const world = new EmbeddedWorld();
    const stream = await world.open({ ...oneRecordEach, retentionMs: 60_000, consumedUpTo: () => 1_000n });
    await fill(world, stream, 3);
    await world.clock.advance(50_000);
    await fill(world, stream, 1);
    assert.equal((await world.readAll()).length, 4);
    await world.clock.advance(20_000);
    await fill(world, stream, 1);
    assert.deepEqual(await world.readAll(), ['a:2', 'a:0', 'a:0']); // a:2 ended when the next one arrived
  });

  it('leaves no gap when the power goes in the middle of it: T09', async () => {
    for (let seed = 1; seed <= 60; seed++) {
      const world = new EmbeddedWorld(seed);
      let consumed = 0n;
      const stream = await world.open({ ...oneRecordEach, retentionBytesMax: 0, consumedUpTo: () => consumed });
      await fill(world, stream, 6);
      consumed = 6n;
      void stream.append(batchOf('a:6')).catch(() => {});
      await world.clock.advance(seed % 12);
      world.disk.powerCut();
      const reopened = await world.open();
      assert.ok(reopened.lastSequenceNumber >= 6n);
      const left = await world.readAll();
      const first = left.length > 0 ? Number(left[0].slice(2)) : 0;
      const whole = Array.from({ length: left.length }, (_, index) => `a:${first + index}`);
      assert.deepEqual(left, whole, `seed ${seed}`);
    }
  });
});

describe('embedded stream reader', () => {
  it('reads on from where it stopped, across segments, while the writer appends', async () => {
    const world = new EmbeddedWorld();
    const stream = await world.open({ segmentBytesMax: 200 });
    const reader = world.openReader();
    const seen: string[] = [];
    let after: SequenceNumber | null = null;
    for (let round = 0; round < 40; round++) {
      await world.append(stream, `a:${round}`);
      void stream.append(batchOf(`a:${++round}`)); // On its way to the disk while the reader reads.
      const records = await reader.read(onlyShard, after, 1);
      seen.push(...records.map(textOf));
      after = records.at(-1)?.sequenceNumber ?? after;
      await world.clock.advance(10);
    }
    seen.push(...(await world.readAll(after)));
    assert.deepEqual(
      seen,
      Array.from({ length: 40 }, (_, index) => `a:${index}`),
    );
  });

  it('never gives what is written but not durable', async () => {
    const world = new EmbeddedWorld();
    const stream = await world.open();
    await world.append(stream, 'a:1');
    const append = stream.append(batchOf('a:2'));
    await world.clock.settle();
    assert.deepEqual(await world.readAll(), ['a:1']);
    await world.clock.until(append);
    assert.deepEqual(await world.readAll(), ['a:1', 'a:2']);
  });

  it('reads on in a segment that retention removes under it, then passes over what is gone', async () => {
    const world = new EmbeddedWorld();
    let consumed = 0n;
    const stream = await world.open({ segmentBytesMax: 1, retentionBytesMax: 0, consumedUpTo: () => consumed });
    await world.append(stream, 'a:1', 'a:2');
    await world.append(stream, 'a:3');
    await world.append(stream, 'a:4');
    const reader = world.openReader();
    const [first] = await reader.read(onlyShard, null, 1);
    consumed = 3n;
    await world.append(stream, 'a:5');
    assert.equal((await world.segments()).length, 2);
    const records = await reader.read(onlyShard, first.sequenceNumber + 1n, 1_000);
    assert.deepEqual(records.map(textOf), ['a:4', 'a:5']);
    assert.deepEqual(await world.readAll(1n), ['a:4', 'a:5']); // One that starts behind the oldest record kept.
  });

  it('lists again when retention removes a segment before it is opened', async () => {
    const world = new EmbeddedWorld();
    const stream = await world.open({ segmentBytesMax: 1 });
    for (const text of ['a:1', 'a:2']) await world.append(stream, text);
    const mounted = world.disk.mount();
    let removed = false;
    const files = {
      ...mounted,
      open: async (filePath: string) => {
        if (!removed && filePath.endsWith('.log')) {
          await mounted.remove(filePath);
          removed = true;
        }
        return mounted.open(filePath);
      },
    };
    const reader = new EmbeddedStreamReader({ files, directory: '/stream', tail: world.tail });
    assert.deepEqual((await reader.read(onlyShard, null, 1_000)).map(textOf), ['a:2']);
  });

  it('serves what stands before damage, then says where it is: T04', async () => {
    const world = new EmbeddedWorld();
    const stream = await world.open();
    for (const text of ['a:1', 'a:2', 'a:3']) await world.append(stream, text);
    const segment = await world.newest();
    const second = (await world.bytesOf(segment)).indexOf('MMS', 1);
    for (let at = second; at < second * 2; at++) {
      world.disk.flipByte(segment, at);
      const reader = world.openReader();
      assert.deepEqual((await reader.read(onlyShard, null, 1_000)).map(textOf), ['a:1']);
      await assert.rejects(reader.read(onlyShard, 1n, 1_000), hasCode('stream.corrupt'), `byte ${at}`);
      world.disk.flipByte(segment, at);
    }
  });

  it('finds a segment that is missing, cut or from another time: T04 T05', async () => {
    const world = new EmbeddedWorld();
    const stream = await world.open({ segmentBytesMax: 1 });
    for (const text of ['a:1', 'a:2', 'a:3']) await world.append(stream, text);
    const [, second] = await world.segments();
    const whole = await world.bytesOf(second);
    const elsewhere = new EmbeddedWorld(2);
    const other = await elsewhere.open({ segmentBytesMax: 1 });
    for (const text of ['a:1', 'a:x']) await elsewhere.append(other, text);
    for (const bytes of [Buffer.alloc(0), whole.subarray(0, -1), await elsewhere.bytesOf(second)]) {
      await world.replace(second, bytes);
      await assert.rejects(world.readAll(), hasCode('stream.corrupt'));
    }
    await world.disk.remove(second);
    await assert.rejects(world.readAll(), hasCode('stream.corrupt'));
  });

  it('refuses a checkpoint beyond the end: its records are gone, and new ones would pass for handled: T16', async () => {
    const world = new EmbeddedWorld();
    await world.append(await world.open(), 'a:1');
    const reader = world.openReader();
    assert.deepEqual(await reader.read(onlyShard, 1n, 1_000), []);
    await assert.rejects(reader.read(onlyShard, 2n, 1_000), hasCode('stream.checkpointNotReached'));
  });
});
