import assert from 'node:assert/strict';
import fc from 'fast-check';
import { hashKeyMax } from '../shards.ts';
import { batchOf, hasCode, middleOf, type NewRecord, type StreamPromise, textOf, textsByKey } from './world.ts';

/** Shards are split and merged while the stream is in use. */
export function reshardingPromises(test: StreamPromise): void {
  test('splits a shard: closes it, and opens two that share its range', async story => {
    const { world, shardId } = story;
    await story.append(['a', '1'], ['b', '2']);
    const hashKeys = { from: 0n, to: hashKeyMax };
    await story.split(shardId, 1_000n);
    const parent = await story.shard(shardId);
    assert.deepEqual(parent.hashKeys, hashKeys);
    assert.ok(parent.endingSequenceNumber !== undefined);
    const [lower, upper] = await story.openShards();
    assert.deepEqual(lower.hashKeys, { from: 0n, to: 999n });
    assert.deepEqual(upper.hashKeys, { from: 1_000n, to: hashKeyMax });
    for (const child of [lower, upper]) {
      assert.equal(child.parentShardId, shardId);
      assert.equal(child.adjacentParentShardId, undefined);
    }
    await story.append(['a', '3', 999n], ['b', '4', 1_000n]);
    assert.deepEqual((await story.readAll(shardId)).map(textOf), ['1', '2']);
    assert.deepEqual((await story.readAll(lower.shardId)).map(textOf), ['3']);
    assert.deepEqual((await story.readAll(upper.shardId)).map(textOf), ['4']);
    const ids = (await world.until(story.stream.shards())).map(each => each.shardId);
    assert.deepEqual(ids, [shardId, lower.shardId, upper.shardId]);
  });

  test(
    'merges two shards: closes both, and opens one with the range of both',
    async story => {
      const [one, two] = await story.openShards();
      await story.append(['a', '1', one.hashKeys.from], ['b', '2', two.hashKeys.from]);
      await story.merge(two.shardId, one.shardId);
      const [child, ...more] = await story.openShards();
      assert.deepEqual(more, []);
      assert.deepEqual(child.hashKeys, { from: 0n, to: hashKeyMax });
      const parents = [child.parentShardId, child.adjacentParentShardId];
      assert.deepEqual(parents.toSorted(), [one.shardId, two.shardId]); // Kinesis calls the lower one the parent.
      await story.append(['a', '3'], ['b', '4']);
      assert.deepEqual((await story.readAll(one.shardId)).map(textOf), ['1']);
      assert.deepEqual((await story.readAll(two.shardId)).map(textOf), ['2']);
      assert.deepEqual((await story.readAll(child.shardId)).map(textOf), ['3', '4']);
    },
    { shards: 2 },
  );

  test(
    'refuses to change shards that are closed, unknown or not next to each other, and ranges that would be empty',
    async story => {
      const [one, two, three] = (await story.openShards()).map(({ shardId }) => shardId);
      const { hashKeys } = await story.shard(two);
      const unknown = 'shardId-000000009999';
      await assert.rejects(story.split(two, hashKeys.from), hasCode('stream.hashKeyNotValid'));
      await assert.rejects(story.split(two, hashKeys.to + 1n), hasCode('stream.hashKeyNotValid'));
      await assert.rejects(story.split(unknown, 5n), hasCode('stream.shardNotFound'));
      await assert.rejects(story.merge(one, unknown), hasCode('stream.shardNotFound'));
      await assert.rejects(story.merge(one, three), hasCode('stream.shardsNotAdjacent'));
      await assert.rejects(story.merge(one, one), hasCode('stream.shardsNotAdjacent'));
      await story.split(two, hashKeys.to - 1n); // Kinesis wants two hash keys in either part.
      await assert.rejects(story.split(two, hashKeys.from + 1n), hasCode('stream.shardNotOpen'));
      await assert.rejects(story.merge(one, two), hasCode('stream.shardNotOpen'));
      assert.equal((await story.openShards()).length, 4);
    },
    { shards: 3 },
  );

  test('wakes who waits at the end of a shard that is closed, and lets nobody wait there later', async story => {
    const { world, reader, shardId } = story;
    await story.append(['a', '1']);
    const [{ sequenceNumber }] = await story.readAll(shardId);
    const { signal } = new AbortController();
    const waiting = reader.waitBeyond(shardId, sequenceNumber, signal);
    await story.halve(shardId);
    await world.until(waiting);
    assert.deepEqual(await world.until(reader.read(shardId, sequenceNumber, 1_000)), []);
    await world.until(reader.waitBeyond(shardId, sequenceNumber, signal));
    const closed = (await world.until(reader.shards())).find(each => each.shardId === shardId);
    const ending = closed?.endingSequenceNumber;
    assert.ok(ending !== undefined && ending >= sequenceNumber);
    assert.deepEqual(await world.until(reader.shards()), await world.until(story.stream.shards()));
  });

  test('begins in a closed shard, and behind it', async story => {
    const { world, shardId } = story;
    await story.append(['a', '1']);
    await world.pass(50);
    await story.append(['a', '2']);
    const [, { arrivalAtMs }] = await story.readAll(shardId);
    await story.halve(shardId);
    await world.pass(50);
    await story.append(['a', '3']);
    assert.deepEqual(await story.readFrom({ type: 'TRIM_HORIZON' }), ['1', '2']);
    assert.deepEqual(await story.readFrom({ type: 'AT_TIMESTAMP', atMs: arrivalAtMs }), ['2']);
    assert.deepEqual(await story.readFrom({ type: 'AT_TIMESTAMP', atMs: arrivalAtMs + 10 }), []);
    assert.deepEqual(await story.readFrom({ type: 'LATEST' }), []);
  });

  test('has its shards again when it is opened again', async story => {
    const { world, stream, shardId } = story;
    await story.append(['a', '1']);
    await story.halve(shardId);
    await story.append(['a', '2']);
    const shards = await world.until(stream.shards());
    await world.until(stream.close());
    const reopened = await world.open();
    const reader = await world.openReader();
    assert.deepEqual(await world.until(reopened.shards()), shards);
    assert.deepEqual(await world.until(reader.shards()), shards);
    await world.until(reopened.append(batchOf(['a', '3'])));
    assert.deepEqual(textsByKey(await story.readEverything(reader)), new Map([['a', ['1', '2', '3']]]));
    await reader.close();
    await world.until(reopened.close());
  });

  test(
    'keeps the order of each key whatever is split and merged while records are on their way',
    async story => {
      const { world, stream } = story;
      const steps = fc.oneof(
        { weight: 6, arbitrary: fc.record({ keys: fc.array(fc.nat(7), { minLength: 1, maxLength: 5 }) }) },
        { weight: 1, arbitrary: fc.record({ split: fc.nat() }) },
        { weight: 1, arbitrary: fc.record({ merge: fc.nat() }) },
        { weight: 1, arbitrary: fc.constant({ pause: true }) },
      );
      const seed = Number(process.env.MIMAMORI_SEED ?? 11);
      const plan = fc.array(steps, { minLength: 30, maxLength: 60, size: 'max' });
      const appends: Promise<unknown>[] = [];
      const expected = new Map<string, string[]>();
      for (const [number, step] of fc.sample(plan, { numRuns: 1, seed })[0].entries()) {
        if ('keys' in step) {
          const records = step.keys.map((key, index): NewRecord => [`key-${key}`, `${number}.${index}`]);
          for (const [key, text] of records) expected.set(key, [...(expected.get(key) ?? []), String(text)]);
          appends.push(stream.append(batchOf(...records)));
        } else if ('pause' in step) {
          await world.until(Promise.all(appends));
        } else {
          const open = (await story.openShards()).toSorted((left, right) =>
            left.hashKeys.from < right.hashKeys.from ? -1 : 1,
          );
          const [index, most] = 'split' in step ? [step.split, open.length] : [step.merge, open.length - 1];
          if ('split' in step && open.length < 6) {
            const { shardId, hashKeys } = open[index % most];
            await story.split(shardId, middleOf(hashKeys));
          } else if ('merge' in step && most > 0) {
            await story.merge(open[index % most].shardId, open[(index % most) + 1].shardId);
          }
        }
      }
      await world.until(Promise.all(appends));
      const found = textsByKey(await story.readEverything());
      assert.deepEqual([...found].toSorted(), [...expected].toSorted(), `MIMAMORI_SEED=${seed}`);
      const open = await story.openShards();
      const width = open.reduce((sum, { hashKeys }) => sum + hashKeys.to - hashKeys.from + 1n, 0n);
      assert.equal(width, hashKeyMax + 1n);
    },
    { shards: 2 },
  );
}
