/** Writes to a stream as fast as it can until it is killed; says on stdout what was acknowledged. Told on by stream-kill.test.ts. */
import { systemClock } from '../src/kernel/clock.ts';
import { systemFiles } from '../src/kernel/files.ts';
import { seededRandom } from '../src/kernel/random.ts';
import {
  EmbeddedStream,
  EmbeddedStreamReader,
  LocalTail,
  RecordBatch,
  type Shard,
} from '../src/platform/stream/index.ts';

export const lanes = 24;

/** As small as they can be, so that a kill meets all that happens at their ends. */
export const killStream = {
  files: systemFiles,
  clock: systemClock,
  shards: 2,
  segmentBytesMax: 200_000,
  indexEveryBytes: 4_096,
  paddingBytes: 20_000,
  retentionBytesMax: 1_000_000,
  retentionMs: 60_000,
} as const;

/** What a lane's record number `count` says. */
export function textOf(lane: number, count: number): string {
  return `${lane} ${count} ${'x'.repeat((count * 37) % 900)}`;
}

if (import.meta.main) await writeUntilKilled(process.argv[2], Number(process.argv[3]));

async function writeUntilKilled(directory: string, seed: number): Promise<never> {
  const stream = await EmbeddedStream.open({ ...killStream, directory });
  const counts = await lastCounts(stream, directory);
  process.stdout.write('open\n');
  const random = seededRandom(seed);
  void reshard(stream, random.integer);
  await Promise.all(counts.map((count, lane) => runLane(stream, lane, count)));
  throw new Error('lanes never end');
}

/** Where the lanes before stopped. */
async function lastCounts(stream: EmbeddedStream, directory: string): Promise<number[]> {
  const counts = Array.from({ length: lanes }, () => 0);
  const reader = new EmbeddedStreamReader({ ...killStream, directory, tail: new LocalTail(stream.lastSequenceNumber) });
  for (const { shardId } of await reader.shards()) {
    for (let after: bigint | null = null; ; ) {
      const records = await reader.read(shardId, after, 1_000_000);
      if (records.length === 0) break;
      for (const { data } of records) {
        const [lane, count] = data.toString().split(' ').map(Number);
        counts[lane] = Math.max(counts[lane], count);
      }
      after = records[records.length - 1].sequenceNumber;
    }
  }
  await reader.close();
  return counts;
}

async function runLane(stream: EmbeddedStream, lane: number, from: number): Promise<void> {
  for (let count = from + 1; ; count++) {
    const batch = new RecordBatch(1_024);
    batch.add(`lane-${lane}`, Buffer.from(textOf(lane, count)));
    await stream.append(batch);
    process.stdout.write(`${lane} ${count}\n`);
  }
}

/** The number of the shard that was made last. */
export function newestShard(shards: readonly Shard[]): number {
  return Math.max(...shards.map(({ shardId }) => Number(shardId.slice('shardId-'.length))));
}

async function reshard(stream: EmbeddedStream, pick: (below: number) => number): Promise<void> {
  for (;;) {
    await new Promise(resolve => setTimeout(resolve, pick(30)));
    const shards = await stream.shards();
    const open = shards.filter(({ endingSequenceNumber }) => endingSequenceNumber === undefined);
    const { shardId, hashKeys } = open[pick(open.length)];
    const neighbour = open.find(({ hashKeys: { from } }) => from === hashKeys.to + 1n);
    if (neighbour && (open.length >= 6 || pick(2) === 0)) await stream.mergeShards(shardId, neighbour.shardId);
    else await stream.splitShard(shardId, (hashKeys.from + hashKeys.to) / 2n + 1n);
    process.stdout.write(`shards ${newestShard(await stream.shards())}\n`);
  }
}
