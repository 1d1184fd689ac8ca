import assert from 'node:assert/strict';
import { streamLimits } from '../limits.ts';
import { RecordBatch } from '../record-batch.ts';
import { batchOf, hasCode, type StreamPromise, textOf } from './world.ts';

/** What is appended is read as it was, in its order, by everyone. */
export function recordPromises(test: StreamPromise): void {
  test('gives back key, bytes and arrival of what was appended', async story => {
    const { world, shardId } = story;
    const beforeMs = world.nowMs();
    const data = Buffer.from([0, 255, 128, 10]);
    await story.append(['寝室-1', data], ['b', '']);
    const [first, second] = await story.readAll(shardId);
    assert.equal(first.partitionKey, '寝室-1');
    assert.deepEqual(first.data, data);
    // Some engines round to seconds, or have another's clock.
    assert.ok(first.arrivalAtMs >= beforeMs - clockErrorMs && first.arrivalAtMs <= world.nowMs() + clockErrorMs);
    assert.equal(second.data.length, 0);
  });

  test('keeps the order in which records of one key were appended', async story => {
    const { world, stream, shardId } = story;
    const appends: Promise<unknown>[] = [];
    for (let round = 0; round < 50; round++) {
      appends.push(stream.append(batchOf(['a', `${round}.0`], ['b', `${round}`], ['a', `${round}.1`])));
    }
    await world.until(Promise.all(appends));
    const ofA = (await story.readAll(shardId)).filter(({ partitionKey }) => partitionKey === 'a');
    const expected = Array.from({ length: 100 }, (_, index) => `${index >> 1}.${index & 1}`);
    assert.deepEqual(ofA.map(textOf), expected);
  });

  test('numbers records increasingly and says where each of a batch lies', async story => {
    const { shardId } = story;
    const one = await story.append(['a', '1'], ['a', '2']);
    const two = await story.append(['a', '3']);
    const numbers = (await story.readAll(shardId)).map(({ sequenceNumber }) => sequenceNumber);
    assert.deepEqual(
      [one.placeOf(0), one.placeOf(1), two.placeOf(0)],
      numbers.map(sequenceNumber => ({ shardId, sequenceNumber })),
    );
    assert.ok(numbers[0] < numbers[1] && numbers[1] < numbers[2]);
    assert.equal(one.failed.size, 0);
  });

  test('gives every reader everything', async story => {
    const { world, stream, shardId } = story;
    await story.append(['a', '1']);
    const other = await world.openReader();
    assert.equal((await story.readAll(shardId)).length, 1);
    assert.equal((await story.readAll(shardId, null, other)).length, 1);
    assert.deepEqual(await world.until(other.shards()), await world.until(stream.shards()));
    await other.close();
  });

  test('gives a record that is larger than what was asked for', async story => {
    const { world, reader, shardId } = story;
    await story.append(['a', Buffer.alloc(500_000, 1)]);
    const [record] = await world.until(reader.read(shardId, null, 1));
    assert.equal(record.data.length, 500_000);
  });

  test('takes a record of the largest size, key included, and refuses a larger one', async story => {
    const { world, stream, shardId } = story;
    const key = 'é'; // two bytes
    const batch = new RecordBatch();
    const { recordBytesMax } = streamLimits;
    assert.throws(() => batch.add(key, Buffer.alloc(recordBytesMax - 1)), hasCode('stream.recordTooLarge'));
    batch.add(key, Buffer.alloc(recordBytesMax - 2));
    await world.until(stream.append(batch));
    assert.equal((await story.readAll(shardId))[0].data.length, recordBytesMax - 2);
  });

  test('takes keys of 1 to 256 characters and refuses any other', async story => {
    const { world, stream, shardId } = story;
    const batch = new RecordBatch();
    const refused = ['', 'x'.repeat(257), '😀'.repeat(257), 'x'.repeat(100_000), '\ud800'];
    for (const key of refused) {
      assert.throws(() => batch.add(key, Buffer.alloc(1)), hasCode('stream.partitionKeyNotValid'));
    }
    const taken = ['x', 'x'.repeat(256), '😀'.repeat(256), '\0'];
    for (const key of taken) batch.add(key, Buffer.alloc(1));
    await world.until(stream.append(batch));
    const keys = (await story.readAll(shardId)).map(record => record.partitionKey);
    assert.deepEqual(keys, taken);
  });

  test('counts the bytes whose durability is awaited', async ({ world, stream }) => {
    const append = stream.append(batchOf(['a', Buffer.alloc(1_000)]));
    assert.ok(stream.pendingBytes >= 1_000);
    await world.until(append);
    assert.equal(stream.pendingBytes, 0);
  });
}

const clockErrorMs = 1_000;
