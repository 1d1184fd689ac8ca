/** What every engine of the stream promises, as a function of "make me one". */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { codeOf } from '../../kernel/errors.ts';
import { streamLimits } from './limits.ts';
import type { SequenceNumber, ShardId, Stream, StreamReader, StreamRecord } from './port.ts';
import { RecordBatch } from './record-batch.ts';

/** A place where one stream, empty at first, can be opened again and again. */
export interface StreamWorld {
  open(): Promise<Stream>;
  openReader(): Promise<StreamReader>;
  /** Waits for `promise`, moving the clock if time does not pass by itself. */
  until<T>(promise: Promise<T>): Promise<T>;
  nowMs(): number;
  cleanUp(): Promise<void>;
}

interface Opened {
  readonly world: StreamWorld;
  readonly stream: Stream;
  readonly reader: StreamReader;
  readonly shardId: ShardId;
}

const readBytesMax = 64 * 1024;

export function streamContract(engine: string, makeWorld: () => Promise<StreamWorld>): void {
  const test = (promise: string, run: (opened: Opened) => Promise<void>) =>
    it(promise, async () => {
      const world = await makeWorld();
      const stream = await world.open();
      const reader = await world.openReader();
      const [{ shardId }] = await stream.shards();
      try {
        await run({ world, stream, reader, shardId });
      } finally {
        await world.until(stream.close());
        await reader.close();
        await world.cleanUp();
      }
    });

  describe(`stream contract: ${engine}`, () => {
    test('gives back key, bytes and arrival of what was appended', async ({ world, stream, reader, shardId }) => {
      const beforeMs = world.nowMs();
      const data = Buffer.from([0, 255, 128, 10]);
      await world.until(stream.append(batchOf(['寝室-1', data], ['b', Buffer.alloc(0)])));
      const [first, second] = await readAll(reader, shardId);
      assert.equal(first.partitionKey, '寝室-1');
      assert.deepEqual(first.data, data);
      assert.ok(first.arrivalAtMs >= beforeMs && first.arrivalAtMs <= world.nowMs());
      assert.equal(second.data.length, 0);
    });

    test('keeps the order in which records of one key were appended', async ({ world, stream, reader, shardId }) => {
      const appends: Promise<unknown>[] = [];
      for (let round = 0; round < 50; round++) {
        appends.push(stream.append(batchOf(['a', text(round, 0)], ['b', text(round, 0)], ['a', text(round, 1)])));
      }
      await world.until(Promise.all(appends));
      const ofA = (await readAll(reader, shardId)).filter(({ partitionKey }) => partitionKey === 'a');
      const expected = Array.from({ length: 100 }, (_, index) => text(index >> 1, index & 1).toString());
      assert.deepEqual(ofA.map(textOf), expected);
    });

    test('numbers records increasingly and says the first number of each batch', async opened => {
      const { world, stream, reader, shardId } = opened;
      const one = await world.until(stream.append(batchOf(['a', text(1)], ['a', text(2)])));
      const two = await world.until(stream.append(batchOf(['a', text(3)])));
      const numbers = (await readAll(reader, shardId)).map(({ sequenceNumber }) => sequenceNumber);
      assert.deepEqual(
        [one.placeOf(0), one.placeOf(1), two.placeOf(0)],
        numbers.map(sequenceNumber => ({ shardId, sequenceNumber })),
      );
      assert.ok(numbers[0] < numbers[1] && numbers[1] < numbers[2]);
    });

    test('reads what comes after a record, from anywhere, again and again', async ({
      world,
      stream,
      reader,
      shardId,
    }) => {
      await world.until(stream.append(batchOf(['a', text(1)], ['a', text(2)], ['a', text(3)])));
      await world.until(stream.append(batchOf(['a', text(4)])));
      const all = await readAll(reader, shardId);
      for (const start of [2, 0, 1, 2, 0]) {
        const after = all[start].sequenceNumber;
        assert.deepEqual(await readAll(reader, shardId, after), all.slice(start + 1));
      }
      assert.deepEqual(await reader.read(shardId, all[3].sequenceNumber, readBytesMax), []);
    });

    test('leaves out what is not wanted, except for the last record, which tells how far it came', async opened => {
      const { world, stream, reader, shardId } = opened;
      const wants = (bytes: Buffer, start: number, end: number) => bytes.toString('utf8', start, end).endsWith('yes');
      const names = async (after: bigint | null) => {
        const records = await reader.read(shardId, after, readBytesMax, wants);
        return records.map(({ data }) => data.toString());
      };
      for (const group of [
        ['1 yes', '2 no'],
        ['3 no', '4 no'],
        ['5 yes', '6 yes'],
        ['7 no', '8 no'],
      ]) {
        await world.until(stream.append(batchOf(...group.map((name): [string, Buffer] => ['a', Buffer.from(name)]))));
      }
      assert.deepEqual(await names(null), ['1 yes', '5 yes', '6 yes', '8 no']);
      const [, , sixth, eighth] = await reader.read(shardId, null, readBytesMax, wants);
      assert.deepEqual(await names(sixth.sequenceNumber), ['8 no']);
      assert.deepEqual(await names(eighth.sequenceNumber), []);
    });

    test('gives every reader everything', async ({ world, stream, reader, shardId }) => {
      await world.until(stream.append(batchOf(['a', text(1)])));
      const other = await world.openReader();
      assert.equal((await readAll(reader, shardId)).length, 1);
      assert.equal((await readAll(other, shardId)).length, 1);
      assert.deepEqual(await other.shards(), await stream.shards());
      await other.close();
    });

    test('gives a record that is larger than what was asked for', async ({ world, stream, reader, shardId }) => {
      await world.until(stream.append(batchOf(['a', Buffer.alloc(500_000, 1)])));
      assert.equal((await reader.read(shardId, null, 1))[0].data.length, 500_000);
    });

    test('wakes a reader that waits when there is something, or when it should stop', async opened => {
      const { world, stream, reader, shardId } = opened;
      const stop = new AbortController();
      const waiting = reader.waitBeyond(shardId, null, stop.signal);
      await world.until(stream.append(batchOf(['a', text(1)])));
      await world.until(waiting);
      const [{ sequenceNumber }] = await readAll(reader, shardId);
      const second = reader.waitBeyond(shardId, sequenceNumber, stop.signal);
      stop.abort();
      await world.until(second);
    });

    test('keeps what it acknowledged when it is opened again', async ({ world, stream, shardId }) => {
      const first = await world.until(stream.append(batchOf(['a', text(1)])));
      await world.until(stream.close());
      const reopened = await world.open();
      const second = await world.until(reopened.append(batchOf(['a', text(2)])));
      assert.ok(second.placeOf(0).sequenceNumber > first.placeOf(0).sequenceNumber);
      const reader = await world.openReader();
      assert.deepEqual((await readAll(reader, shardId)).map(textOf), [text(1).toString(), text(2).toString()]);
      await reader.close();
      await world.until(reopened.close());
    });

    test('makes durable what was appended before it closes, and refuses what comes after', async opened => {
      const { world, stream, shardId } = opened;
      const pending = [stream.append(batchOf(['a', text(1)])), stream.append(batchOf(['a', text(2)]))];
      const closing = stream.close();
      await assert.rejects(world.until(stream.append(batchOf(['a', text(3)]))), hasCode('stream.closed'));
      await world.until(Promise.all([...pending, closing, stream.close()]));
      await assert.rejects(stream.append(batchOf(['a', text(4)])), hasCode('stream.closed'));
      assert.equal(stream.pendingBytes, 0);
      const reopened = await world.open();
      const reader = await world.openReader();
      assert.deepEqual((await readAll(reader, shardId)).map(textOf), [text(1).toString(), text(2).toString()]);
      await reader.close();
      await world.until(reopened.close());
    });

    test('counts the bytes whose durability is awaited', async ({ world, stream }) => {
      const batch = batchOf(['a', Buffer.alloc(1_000)]);
      const append = stream.append(batch);
      assert.ok(stream.pendingBytes >= 1_000);
      await world.until(append);
      assert.equal(stream.pendingBytes, 0);
    });

    test('takes a record of the largest size, key included, and refuses a larger one', async opened => {
      const { world, stream, reader, shardId } = opened;
      const key = 'é'; // two bytes
      const batch = new RecordBatch();
      const { recordBytesMax } = streamLimits;
      assert.throws(() => batch.add(key, Buffer.alloc(recordBytesMax - 1)), hasCode('stream.recordTooLarge'));
      batch.add(key, Buffer.alloc(recordBytesMax - 2));
      await world.until(stream.append(batch));
      assert.equal((await readAll(reader, shardId))[0].data.length, recordBytesMax - 2);
    });

    test('takes keys of 1 to 256 characters and refuses any other', async ({ world, stream, reader, shardId }) => {
      const batch = new RecordBatch();
      const refused = ['', 'x'.repeat(257), '😀'.repeat(257), 'x'.repeat(100_000), '\ud800'];
      for (const key of refused) {
        assert.throws(() => batch.add(key, Buffer.alloc(1)), hasCode('stream.partitionKeyNotValid'));
      }
      const taken = ['x', 'x'.repeat(256), '😀'.repeat(256), '\0'];
      for (const key of taken) batch.add(key, Buffer.alloc(1));
      await world.until(stream.append(batch));
      assert.deepEqual(
        (await readAll(reader, shardId)).map(record => record.partitionKey),
        taken,
      );
    });
  });
}

async function readAll(reader: StreamReader, shardId: ShardId, from: SequenceNumber | null = null) {
  const all: StreamRecord[] = [];
  for (let after = from; ; after = all[all.length - 1].sequenceNumber) {
    const records = await reader.read(shardId, after, readBytesMax);
    all.push(...records);
    if (records.length === 0) return all;
  }
}

function batchOf(...records: [partitionKey: string, data: Uint8Array][]): RecordBatch {
  const batch = new RecordBatch();
  for (const [partitionKey, data] of records) batch.add(partitionKey, data);
  return batch;
}

function text(...parts: number[]): Buffer {
  return Buffer.from(parts.join('.'));
}

function textOf(record: StreamRecord): string {
  return record.data.toString();
}

export function hasCode(code: string): (error: unknown) => boolean {
  return error => codeOf(error) === code;
}
