import assert from 'node:assert/strict';
import { batchOf, hasCode, type NewRecord, type StreamPromise, textOf } from './world.ts';

/** A reader begins where it is told to, goes on from there, and waits. */
export function readingPromises(test: StreamPromise): void {
  test('reads what comes after a record, from anywhere, again and again', async story => {
    const { world, reader, shardId } = story;
    await story.append(['a', '1'], ['a', '2'], ['a', '3']);
    await story.append(['a', '4']);
    const all = await story.readAll(shardId);
    for (const start of [2, 0, 1, 2, 0]) {
      const after = all[start].sequenceNumber;
      assert.deepEqual(await story.readAll(shardId, after), all.slice(start + 1));
    }
    assert.deepEqual(await world.until(reader.read(shardId, all[3].sequenceNumber, 1_000)), []);
  });

  test('reads for two at once without giving either what the other is owed', async story => {
    const { world, shardId } = story;
    for (let round = 0; round < 5; round++) await story.append(['a', `${round}.0`], ['a', `${round}.1`]);
    const [one, two] = await world.until(Promise.all([story.readAll(shardId), story.readAll(shardId)]));
    assert.equal(one.length, 10);
    assert.deepEqual(two, one);
  });

  test('leaves out what is not wanted, except for the last record, which tells how far it came', async story => {
    const { world, reader, shardId } = story;
    const wants = (bytes: Buffer, start: number, end: number) => bytes.toString('utf8', start, end).endsWith('yes');
    const names = ['1 yes', '2 no', '3 no', '4 no', '5 yes', '6 yes', '7 no', '8 no'];
    for (let from = 0; from < names.length; from += 2) {
      await story.append(...names.slice(from, from + 2).map((name): NewRecord => ['a', name]));
    }
    const numbers = (await story.readAll(shardId)).map(({ sequenceNumber }) => sequenceNumber);
    for (const start of [-1, 0, 3, 5]) {
      const seen: string[] = [];
      let after = start < 0 ? null : numbers[start];
      // An engine may come with less at a time; then a record that only tells how far it came is among those seen.
      for (;;) {
        const records = await world.until(reader.read(shardId, after, 64 * 1024, wants));
        if (records.length === 0) break;
        seen.push(...records.map(textOf));
        after = records[records.length - 1].sequenceNumber;
      }
      const wanted = names.slice(start + 1).filter(name => name.endsWith('yes'));
      assert.deepEqual(
        seen.filter(name => name.endsWith('yes')),
        wanted,
      );
      assert.equal(seen.at(-1), '8 no');
      assert.equal(after, numbers[7]);
    }
    assert.deepEqual(await world.until(reader.read(shardId, numbers[7], 64 * 1024, wants)), []);
  });

  test('wakes a reader that waits when there is something, or when it should stop', async story => {
    const { world, reader, shardId } = story;
    const stop = new AbortController();
    const waiting = reader.waitBeyond(shardId, null, stop.signal);
    await story.append(['a', '1']);
    await world.until(waiting);
    const [{ sequenceNumber }] = await story.readAll(shardId);
    await world.until(reader.waitBeyond(shardId, null, stop.signal)); // Something is there already.
    const second = reader.waitBeyond(shardId, sequenceNumber, stop.signal);
    stop.abort();
    await world.until(second);
    await world.until(reader.waitBeyond(shardId, sequenceNumber, stop.signal));
  });

  test(
    'lets a reader of one shard sleep while only others get records',
    async story => {
      const { world, reader } = story;
      const [quiet, busy] = await story.openShards();
      await story.append(['a', 'first', quiet.hashKeys.from]);
      const [{ sequenceNumber }] = await story.readAll(quiet.shardId);
      let awake = false;
      const stop = new AbortController();
      const waiting = reader.waitBeyond(quiet.shardId, sequenceNumber, stop.signal).then(() => {
        awake = true;
      });
      for (let round = 0; round < 5; round++) await story.append(['b', `${round}`, busy.hashKeys.from]);
      assert.deepEqual(await world.until(reader.read(quiet.shardId, sequenceNumber, 1_000)), []);
      assert.equal(awake, false);
      await story.append(['a', 'second', quiet.hashKeys.from]);
      await world.until(waiting);
      assert.deepEqual((await story.readAll(quiet.shardId, sequenceNumber)).map(textOf), ['second']);
    },
    { shards: 2 },
  );

  test('begins at the oldest, behind the newest, at and after a record', async story => {
    const { world, reader, shardId } = story;
    assert.deepEqual(await story.readFrom({ type: 'TRIM_HORIZON' }), []);
    const latestOfNone = await world.until(reader.locate(shardId, { type: 'LATEST' }));
    await story.append(['a', '1'], ['a', '2'], ['a', '3']);
    const { sequenceNumber } = (await story.readAll(shardId))[1];
    assert.deepEqual(await story.readFrom({ type: 'TRIM_HORIZON' }), ['1', '2', '3']);
    assert.deepEqual(await story.readFrom({ type: 'AT_SEQUENCE_NUMBER', sequenceNumber }), ['2', '3']);
    assert.deepEqual(await story.readFrom({ type: 'AFTER_SEQUENCE_NUMBER', sequenceNumber }), ['3']);
    const latest = await world.until(reader.locate(shardId, { type: 'LATEST' }));
    assert.deepEqual(await story.readAll(shardId, latest), []);
    await story.append(['a', '4']);
    assert.deepEqual((await story.readAll(shardId, latest)).map(textOf), ['4']);
    assert.deepEqual((await story.readAll(shardId, latestOfNone)).map(textOf), ['1', '2', '3', '4']);
  });

  test('begins at the first record of an instant or behind it', async story => {
    const { world, shardId } = story;
    for (const name of ['1', '2', '3']) {
      await story.append(['a', name]);
      await world.pass(50);
    }
    const [first, second, third] = (await story.readAll(shardId)).map(({ arrivalAtMs }) => arrivalAtMs);
    assert.ok(first < second && second < third);
    const from = (atMs: number) => story.readFrom({ type: 'AT_TIMESTAMP', atMs });
    assert.deepEqual(await from(0), ['1', '2', '3']);
    assert.deepEqual(await from(first), ['1', '2', '3']);
    assert.deepEqual(await from(second - 10), ['2', '3']);
    assert.deepEqual(await from(second), ['2', '3']);
    assert.deepEqual(await from(second + 10), ['3']);
    assert.deepEqual(await from(third + 10), []);
  });

  test('does not know a shard that there is not', async ({ world, reader }) => {
    const shardId = 'shardId-000000009999';
    const stop = new AbortController();
    const questions: (() => Promise<unknown>)[] = [
      () => reader.read(shardId, null, 1_000),
      () => reader.locate(shardId, { type: 'LATEST' }),
      () => reader.waitBeyond(shardId, null, stop.signal),
    ];
    for (const ask of questions) await assert.rejects(world.until(ask()), hasCode('stream.shardNotFound'));
  });

  test('keeps what it acknowledged when it is opened again', async story => {
    const { world, stream, shardId } = story;
    const first = await story.append(['a', '1']);
    await world.until(stream.close());
    const reopened = await world.open();
    const second = await world.until(reopened.append(batchOf(['a', '2'])));
    assert.ok(second.placeOf(0).sequenceNumber > first.placeOf(0).sequenceNumber);
    const reader = await world.openReader();
    assert.deepEqual((await story.readAll(shardId, null, reader)).map(textOf), ['1', '2']);
    await reader.close();
    await world.until(reopened.close());
  });

  test('makes durable what was appended before it closes, and refuses what comes after', async story => {
    const { world, stream, shardId } = story;
    const pending = [stream.append(batchOf(['a', '1'])), stream.append(batchOf(['a', '2']))];
    const closing = stream.close();
    await assert.rejects(world.until(stream.append(batchOf(['a', '3']))), hasCode('stream.closed'));
    await world.until(Promise.all([...pending, closing, stream.close()]));
    await assert.rejects(stream.append(batchOf(['a', '4'])), hasCode('stream.closed'));
    assert.equal(stream.pendingBytes, 0);
    const reopened = await world.open();
    const reader = await world.openReader();
    assert.deepEqual((await story.readAll(shardId, null, reader)).map(textOf), ['1', '2']);
    await reader.close();
    await world.until(reopened.close());
  });
}
