/** What the contract cannot ask for, because no server does it when told to: throttling, outages, odd answers. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { glob } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { seededRandom } from '../../../kernel/random.ts';
import { VirtualClock } from '../../../kernel/virtual-clock.ts';
import { batchOf, type NewRecord } from '../contract/world.ts';
import { hasCode } from '../contract.ts';
import type { StreamRecord } from '../port.ts';
import { KinesisStreamReader } from './kinesis-reader.ts';
import { KinesisStream } from './kinesis-stream.ts';
import { type KinesisLimits, kinesisLimits } from './limits.ts';
import { KinesisError, type ScriptedAnswers, ScriptedKinesis } from './scripted-kinesis.ts';

const streamName = 'events';
const shardId = 'shardId-000000000000';
const throttled = { ErrorCode: 'ProvisionedThroughputExceededException' } as const;
const kept = { kept: true } as const;

function opened(answers: ScriptedAnswers, limits: Partial<KinesisLimits> = {}) {
  const kinesis = new ScriptedKinesis(answers);
  const clock = new VirtualClock();
  const { client } = kinesis;
  const random = seededRandom(3);
  const stream = new KinesisStream({ client, streamName, clock, random, limits });
  const reader = new KinesisStreamReader({ client, streamName, clock, random, limits });
  return { kinesis, clock, stream, reader };
}

function repeated(count: number, key: string, data: string | Uint8Array = ''): NewRecord[] {
  return Array.from({ length: count }, () => [key, data]);
}

describe('Kinesis, appending', () => {
  it('keeps the order of each key whatever is throttled, fails, or is kept without an answer', async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const random = seededRandom(seed);
      const { kinesis, clock, stream } = opened({
        put: () => {
          const chance = random.integer(100);
          if (chance < 5) throw new KinesisError('TimeoutError', 'server'); // What stands before it in the call is kept.
          return chance < 30 ? throttled : chance < 35 ? { ErrorCode: 'InternalFailure' } : kept;
        },
      });
      const appends: Promise<unknown>[] = [];
      const sent = new Map<string, string[]>();
      for (let number = 0; number < 120; number++) {
        const key = `key-${random.integer(7)}`;
        sent.set(key, [...(sent.get(key) ?? []), `${key}:${number}`]);
        appends.push(stream.append(batchOf([key, `${number}`])));
      }
      await clock.until(Promise.all(appends));
      for (const [key, texts] of sent) {
        const ofKey = kinesis.kept.filter(text => text.startsWith(`${key}:`));
        const once = ofKey.filter((text, index) => text !== ofKey[index - 1]); // One without an answer comes again.
        assert.deepEqual(once, texts, `seed ${seed}`);
      }
      assert.equal(stream.pendingBytes, 0);
    }
  });

  it('sends at most 500 records and 10 MiB at once, and of a key one', async () => {
    const { kinesis, clock, stream } = opened({});
    const many = Array.from({ length: 1_200 }, (_, index): NewRecord => [`${index}`, '']);
    const large = Array.from({ length: 12 }, (_, index): NewRecord => [`large-${index}`, Buffer.alloc(1_000_000)]);
    const appends = [stream.append(batchOf(...many)), stream.append(batchOf(...repeated(3, 'hot')))];
    for (const record of large) appends.push(stream.append(batchOf(record)));
    await clock.until(Promise.all(appends));
    for (const { Records = [] } of kinesis.calls) {
      assert.ok(Records.length <= 500);
      const bytes = Records.map(({ Data, PartitionKey = '' }) => (Data?.length ?? 0) + PartitionKey.length);
      assert.ok(bytes.reduce((sum, each) => sum + each, 0) <= 10 * 1024 * 1024);
      assert.equal(new Set(Records.map(({ PartitionKey }) => PartitionKey)).size, Records.length);
    }
    assert.equal(kinesis.kept.length, 1_215);
  });

  it('gives up a key that is throttled for a minute, with what follows of it in the batch, and no other', async () => {
    let isThrottled = true;
    const { kinesis, clock, stream } = opened({ put: key => (key === 'hot' && isThrottled ? throttled : kept) });
    const append = stream.append(batchOf(['hot', '1'], ['cold', '2'], ['hot', '3']));
    const startMs = clock.monotonicMs();
    const { failed, placeOf } = await clock.until(append);
    assert.deepEqual([...failed.keys()], [0, 2]);
    assert.equal(failed.get(0)?.code, 'stream.throttled');
    assert.equal(placeOf(1).shardId, shardId);
    const waitedMs = clock.monotonicMs() - startMs;
    assert.ok(waitedMs >= kinesisLimits.giveUpMs && waitedMs < kinesisLimits.giveUpMs + kinesisLimits.retryDelayMsMax);
    isThrottled = false;
    await clock.until(stream.append(batchOf(['hot', '4'])));
    assert.deepEqual(kinesis.kept, ['cold:2', 'hot:4']);
  });

  it('rejects an append of which nothing was kept, and asks no second time where that is in vain', async () => {
    for (const [name, code] of [
      ['ResourceNotFoundException', 'stream.notFound'],
      ['AccessDeniedException', 'stream.accessDenied'],
      ['ExpiredTokenException', 'stream.accessDenied'],
      ['KMSDisabledException', 'stream.keyNotUsable'],
      ['SomethingNew', 'stream.refused'],
    ]) {
      const { kinesis, clock, stream } = opened({
        put: () => {
          throw new KinesisError(name);
        },
      });
      await assert.rejects(clock.until(stream.append(batchOf(['a', '1']))), hasCode(code));
      assert.equal(kinesis.calls.length, 1);
    }
  });

  it('lets a record that no call may hold fail alone', async () => {
    const { kinesis, clock, stream } = opened({
      put: (_, data) => {
        if (data.toString() === 'bad') throw new KinesisError('ValidationException');
        return kept;
      },
    });
    const texts = ['1', '2', 'bad', '4', '5'];
    const { failed } = await clock.until(
      stream.append(batchOf(...texts.map((text, index): NewRecord => [`${index}`, text]))),
    );
    assert.deepEqual([...failed.keys()], [2]);
    assert.equal(failed.get(2)?.code, 'stream.refused');
    const keptOnce = new Set(kinesis.kept.map(text => text.split(':')[1]));
    assert.deepEqual([...keptOnce].toSorted(), ['1', '2', '4', '5']);
  });

  it('takes no more than memory may hold, and takes it later', async () => {
    const { clock, stream } = opened({}, { pendingRecordsMax: 10 });
    const first = stream.append(batchOf(...repeated(8, 'a')));
    await assert.rejects(stream.append(batchOf(...repeated(3, 'b'))), hasCode('stream.busy'));
    await clock.until(first);
    await clock.until(stream.append(batchOf(...repeated(3, 'b'))));
  });

  it('ends, given up at last, when it is closed during an outage', async () => {
    const { clock, stream } = opened({
      put: () => {
        throw new KinesisError('TimeoutError', 'server');
      },
    });
    const append = stream.append(batchOf(['a', '1']));
    const refused = assert.rejects(append, hasCode('stream.unavailable'));
    await clock.until(stream.close());
    await refused;
  });
});

/** A shard of so many records, a few in each answer; every third answer is empty. Iterators are sequence numbers. */
function shardOf(count: number): Required<Pick<ScriptedAnswers, 'getRecords' | 'getShardIterator'>> {
  let answers = 0;
  return {
    getShardIterator: ({ StartingSequenceNumber = '0' }) => `${Number(StartingSequenceNumber) + 1}`,
    getRecords: iterator => {
      const next = Number(iterator);
      const isEmpty = ++answers % 3 === 0;
      const numbers = Array.from({ length: isEmpty ? 0 : Math.min(4, count + 1 - next) }, (_, index) => next + index);
      return {
        Records: numbers.map(number => ({
          Data: Buffer.from(`${number}`),
          PartitionKey: 'a',
          SequenceNumber: `${number}`,
          ApproximateArrivalTimestamp: new Date(number),
        })),
        NextShardIterator: `${next + numbers.length}`,
        MillisBehindLatest: next + numbers.length > count ? 0 : 1_000,
      };
    },
  };
}

describe('Kinesis, reading', () => {
  async function readAll({ clock, reader }: ReturnType<typeof opened>, bytesMax = 1): Promise<number[]> {
    const all: StreamRecord[] = [];
    for (;;) {
      const records = await clock.until(reader.read(shardId, all.at(-1)?.sequenceNumber ?? null, bytesMax));
      if (records.length === 0) return all.map(({ sequenceNumber }) => Number(sequenceNumber));
      all.push(...records);
    }
  }
  const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1);

  it('does not take an empty answer for the end while it is behind', async () => {
    assert.deepEqual(await readAll(opened(shardOf(50))), upTo(50));
  });

  it('goes on where it was when an iterator has expired, or it was throttled', async () => {
    const shard = shardOf(50);
    let calls = 0;
    const story = opened({
      ...shard,
      getRecords: iterator => {
        calls++;
        if (calls % 4 === 0) throw new KinesisError('ExpiredIteratorException');
        if (calls % 5 === 0) throw new KinesisError('ProvisionedThroughputExceededException');
        return shard.getRecords(iterator);
      },
    });
    assert.deepEqual(await readAll(story), upTo(50));
  });

  it('says so when it is throttled again and again', async () => {
    const { clock, reader } = opened({
      getRecords: () => {
        throw new KinesisError('ProvisionedThroughputExceededException');
      },
    });
    await assert.rejects(clock.until(reader.read(shardId, null, 1)), hasCode('stream.throttled'));
  });

  it('asks a shard 5 times a second, and once when it waits', async () => {
    const atMs: number[] = [];
    const shard = shardOf(40);
    const story = opened({
      ...shard,
      getRecords: iterator => {
        atMs.push(story.clock.monotonicMs());
        return shard.getRecords(iterator);
      },
    });
    await readAll(story);
    for (const [index, each] of atMs.slice(1).entries()) assert.ok(each - atMs[index] >= 200);
    const before = atMs.length;
    const stop = new AbortController();
    const waiting = story.reader.waitBeyond(shardId, 40n, stop.signal);
    await story.clock.advance(10_000);
    stop.abort();
    await story.clock.until(waiting);
    assert.ok(atMs.length - before <= 11);
  });

  it('begins at an instant that was stored, when the iterator for it is long gone', async () => {
    const asked: unknown[] = [];
    const { clock, reader } = opened({
      getShardIterator: ({ ShardIteratorType, Timestamp }) => {
        asked.push([ShardIteratorType, Timestamp?.getTime()]);
        return 'first';
      },
    });
    const startMs = clock.nowMs();
    const place = await clock.until(reader.locate(shardId, { type: 'LATEST' }));
    await clock.until(reader.read(shardId, place, 1));
    const later = opened({
      getShardIterator: ({ ShardIteratorType, Timestamp }) => {
        asked.push([ShardIteratorType, Timestamp?.getTime()]);
        return 'first';
      },
    });
    await later.clock.until(later.reader.read(shardId, place, 1));
    assert.deepEqual(asked, [
      ['LATEST', undefined],
      ['AT_TIMESTAMP', startMs],
    ]);
  });

  it('refuses a checkpoint that was made with another stream', async () => {
    const { clock, reader } = opened({
      getShardIterator: () => {
        throw new KinesisError('InvalidArgumentException');
      },
    });
    await assert.rejects(clock.until(reader.read(shardId, 17n, 1)), hasCode('stream.checkpointNotReached'));
  });
});

describe('The packages of other stream engines', () => {
  it('are loaded by nobody who does not use them', async () => {
    for await (const file of glob('src/platform/stream/{kinesis,jetstream}/*.ts')) {
      if (/\.test|-world\.|\/test-/.test(file)) continue; // Tests, and what only they use.
      const text = readFileSync(file, 'utf8');
      for (const [, clause] of text.matchAll(/^import ([^;]*?) from '(?:@aws-sdk|@nats-io)\//gm)) {
        assert.match(clause, /^type /, file);
      }
    }
  });
});
