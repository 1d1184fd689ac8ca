import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { describe, it } from 'node:test';
import { seededRandom } from '../src/kernel/random.ts';
import { EmbeddedStream, EmbeddedStreamReader, hashKeyOf, LocalTail } from '../src/platform/stream/index.ts';
import { killStream, lanes, newestShard, textOf } from './stream-writer.test-process.ts';
import { temporaryFolder, testScale } from './support.ts';

const writerFile = path.join(import.meta.dirname, 'stream-writer.test-process.ts');

interface Heard {
  /** The last record of each lane that was acknowledged. */
  readonly acknowledged: number[];
  /** How often shards were split or merged, and the number of the newest. */
  changes: number;
  newestShard: number;
}

/** Lets a process write for `ms`, then kills it. */
async function writeAndKill(directory: string, seed: number, ms: number): Promise<Heard> {
  const child = spawn(process.execPath, [writerFile, directory, String(seed)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const heard: Heard = { acknowledged: Array.from({ length: lanes }, () => 0), changes: 0, newestShard: 0 };
  const lines = createInterface({ input: child.stdout });
  const opened = once(lines, 'line');
  lines.on('line', line => {
    const [first, count] = line.split(' ');
    if (first === 'shards') {
      heard.changes++;
      heard.newestShard = Number(count);
    }
    if (first !== 'shards' && count !== undefined) heard.acknowledged[Number(first)] = Number(count);
  });
  const exited = once(child, 'exit');
  const read = once(lines, 'close');
  await Promise.race([opened, exited]);
  await new Promise(resolve => setTimeout(resolve, ms)); // real time: the process is on its own schedule
  child.kill('SIGKILL');
  assert.deepEqual(await exited, [null, 'SIGKILL']);
  await read;
  return heard;
}

/** The counts of each lane that the stream holds, in the order they are read; looks that each is whole and in its shard. */
async function readLanes(directory: string, shardNumberMin: number): Promise<number[][]> {
  const tail = new LocalTail(0n);
  const onDurable = (last: bigint, generation: number) => tail.moveTo(last, generation);
  const stream = await EmbeddedStream.open({ ...killStream, directory, onDurable });
  const reader = new EmbeddedStreamReader({ ...killStream, directory, tail });
  const counts: number[][] = Array.from({ length: lanes }, () => []);
  const shards = await reader.shards();
  assert.ok(newestShard(shards) >= shardNumberMin, 'shards that were made are there');
  for (const { shardId, hashKeys } of shards) {
    for (let after: bigint | null = null; ; ) {
      const records = await reader.read(shardId, after, 300_000);
      if (records.length === 0) break;
      for (const { partitionKey, data, sequenceNumber } of records) {
        const [lane, count] = data.toString().split(' ').map(Number);
        assert.equal(data.toString(), textOf(lane, count));
        assert.equal(partitionKey, `lane-${lane}`);
        const hashKey = hashKeyOf(partitionKey);
        assert.ok(hashKeys.from <= hashKey && hashKey <= hashKeys.to);
        assert.ok(after === null || sequenceNumber > after);
        counts[lane].push(count);
      }
      after = records[records.length - 1].sequenceNumber;
    }
  }
  await reader.close();
  await stream.close();
  return counts;
}

describe('a stream whose process is killed', () => {
  it('has everything acknowledged, once, in order per key, in its shards, and the shards that were made', async t => {
    const rounds = testScale(3, 200);
    const seed = Number(process.env.SEED ?? Date.now() % 100_000);
    t.diagnostic(`seed ${seed}, ${rounds} rounds`);
    const random = seededRandom(seed);
    const directory = path.join(temporaryFolder(), 'stream');
    let before = Array.from({ length: lanes }, () => 0);
    let records = 0;
    let changes = 0;
    for (let round = 0; round < rounds; round++) {
      const heard = await writeAndKill(directory, seed + round, random.integer(200));
      changes += heard.changes;
      const found = await readLanes(directory, heard.newestShard);
      for (const [lane, counts] of found.entries()) {
        const least = Math.max(heard.acknowledged[lane], before[lane]);
        const last = counts.at(-1) ?? before[lane]; // Retention may have removed all of a lane.
        assert.ok(last >= least, `lane ${lane} is at ${last}, ${least} was acknowledged`);
        for (const [index, count] of counts.entries()) assert.equal(count, counts[0] + index, `lane ${lane}`);
        records += last - before[lane];
      }
      before = found.map((counts, lane) => counts.at(-1) ?? before[lane]);
    }
    t.diagnostic(`${records} records, ${changes} times shards were split or merged`);
    assert.ok(records > rounds, 'the load was real');
  });
});
