import assert from 'node:assert/strict';
import fc from 'fast-check';
import { seededRandom } from '../../../kernel/random.ts';
import { hashKeyMax, hashKeyOf } from '../shards.ts';
import { batchOf, type NewRecord, type StreamPromise, textOf, textsByKey, throttledRecords } from './world.ts';

/** A record lies in the shard of its key. */
export function shardingPromises(test: StreamPromise): void {
  test(
    'has the shards it was made with, of equal width, which leave no hash key out and none twice',
    async ({ world, stream, reader }) => {
      const shards = await world.until(stream.shards());
      assert.deepEqual(
        shards.map(({ hashKeys }) => hashKeys),
        [
          { from: 0n, to: 113427455640312821154458202477256070484n },
          { from: 113427455640312821154458202477256070485n, to: 226854911280625642308916404954512140969n },
          { from: 226854911280625642308916404954512140970n, to: hashKeyMax },
        ],
      ); // What CreateStream of Kinesis makes for ShardCount 3.
      assert.equal(new Set(shards.map(({ shardId }) => shardId)).size, 3);
      for (const shard of shards) {
        assert.equal(shard.parentShardId, undefined);
        assert.equal(shard.endingSequenceNumber, undefined);
      }
      assert.deepEqual(await world.until(reader.shards()), shards);
    },
    { shards: 3 },
  );

  test(
    'puts a record where the MD5 of its key says, and an explicit hash key where that says',
    async story => {
      const shards = await story.openShards();
      const keys = fc.sample(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }), { numRuns: 60, seed: 5 });
      const hashKeys = [0n, hashKeyMax, ...shards.flatMap(each => [each.hashKeys.from, each.hashKeys.to])];
      const records: NewRecord[] = [
        ...keys.map((key): NewRecord => [key, 'by key']),
        ...hashKeys.map((hashKey): NewRecord => ['explicit', String(hashKey), hashKey]),
      ];
      await story.append(...records);
      for (const { shardId, hashKeys: range } of shards) {
        const isHere = ([key, , explicit]: NewRecord) => {
          const hashKey = explicit ?? hashKeyOf(key);
          return range.from <= hashKey && hashKey <= range.to;
        };
        const found = (await story.readAll(shardId)).map(record => [record.partitionKey, textOf(record)]);
        const expected = records.filter(isHere).map(([key, data]) => [key, data]);
        assert.deepEqual(found.toSorted(), expected.toSorted()); // Of different keys, any order will do.
        assert.notEqual(found.length, 0);
      }
    },
    { shards: 4 },
  );

  test(
    'says of every record of a batch where it lies',
    async story => {
      const names = Array.from({ length: 40 }, (_, index) => `thing-${index % 9}:${index}`);
      const appended = await story.append(...names.map((name): NewRecord => [name.split(':')[0], name]));
      const places = new Set<string>();
      for (const [index, name] of names.entries()) {
        const { shardId, sequenceNumber } = appended.placeOf(index);
        const found = (await story.readAll(shardId)).find(record => record.sequenceNumber === sequenceNumber);
        assert.equal(found && textOf(found), name);
        places.add(`${shardId} ${sequenceNumber}`);
      }
      assert.equal(places.size, names.length);
    },
    { shards: 3 },
  );

  test(
    'keeps the order of each key in every shard while many append at once',
    async story => {
      const { world, stream } = story;
      const random = seededRandom(7);
      const sent: NewRecord[] = [];
      const appends: Promise<unknown>[] = [];
      for (let round = 0; round < 60; round++) {
        const batch = Array.from({ length: 1 + random.integer(6) }, (_, index): NewRecord => {
          return [`key-${random.integer(12)}`, `${round}.${index}`];
        });
        sent.push(...batch);
        appends.push(stream.append(batchOf(...batch)));
      }
      await world.until(Promise.all(appends));
      const expected = Map.groupBy(sent, ([key]) => key);
      const found = textsByKey(await story.readEverything());
      assert.deepEqual([...found.keys()].toSorted(), [...expected.keys()].toSorted());
      for (const [key, texts] of found) {
        assert.deepEqual(
          texts,
          expected.get(key)?.map(([, text]) => text),
        );
      }
    },
    { shards: 4 },
  );

  test(
    'refuses what a shard cannot take record by record, and of a key with one refused all that follow',
    async ({ world, stream: unlimited }) => {
      assert(world.openThrottled); // Engines that cannot be brought to it list this as a gap.
      await world.until(unlimited.close());
      const stream = await world.openThrottled();
      const records = Array.from({ length: throttledRecords }, (_, index): NewRecord => [`${index % 40}`, `${index}`]);
      const appended = await world.until(stream.append(batchOf(...records)));
      assert.ok(appended.failed.size > 0 && appended.failed.size < records.length);
      const refusedKeys = new Set<string>();
      for (const [index, [key]] of records.entries()) {
        const refusal = appended.failed.get(index);
        assert.ok(refusal !== undefined || !refusedKeys.has(key), `${index} of ${key} overtook an earlier one`);
        if (refusal === undefined) continue;
        refusedKeys.add(key);
        assert.equal(refusal.code, 'stream.throttled');
        assert.equal(refusal.retryable, true);
      }
      await world.until(stream.close());
    },
    { shards: 2 },
  );
}
