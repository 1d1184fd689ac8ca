import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type EmbeddedStream, onlyShard } from '../embedded.ts';
import { EmbeddedWorld, textOf } from '../embedded-world.ts';
import type { SequenceNumber, StreamReader } from '../port.ts';
import { RecordBatch } from '../record-batch.ts';
import type { BatchContext, BatchHandler, DeadLetter, Selected } from './batch.ts';
import { eachRecord } from './each-record.ts';
import { consumerDefaults } from './limits.ts';
import type { ConsumerOptions } from './options.ts';
import { ShardConsumer } from './shard-consumer.ts';

const allDone = { failed: new Map<number, unknown>(), skipped: new Set<number>() };

/** A consumer of texts, with a table that remembers its checkpoint and a shelf for dead letters. */
class ConsumerWorld extends EmbeddedWorld {
  readonly checkpoints: SequenceNumber[] = [];
  readonly dead: DeadLetter[] = [];
  readonly invocations: string[][] = [];
  stop = new AbortController();

  consumer(options: Partial<ConsumerOptions<string>>): ShardConsumer<string> {
    return new ShardConsumer<string>({
      name: 'test',
      reader: this.openReader(),
      shardId: onlyShard,
      clock: this.clock,
      select: textOf,
      loadCheckpoint: async () => this.checkpoints.at(-1) ?? null,
      saveCheckpoint: async upTo => void this.checkpoints.push(upTo),
      deadLetter: async letter => void this.dead.push(letter),
      invoke: async () => allDone,
      ...options,
    });
  }

  /** Notes each invocation, then does as `handle` does. */
  noting(handle: BatchHandler<string>): BatchHandler<string> {
    return (batch, context) => {
      this.invocations.push(batch.map(({ event }) => event));
      return handle(batch, context);
    };
  }

  /** Runs for so long, then stops; rejects as the consumer does. */
  async run(consumer: ShardConsumer<string>, ms: number): Promise<void> {
    const running = consumer.run(this.stop.signal);
    const outcome = running.then(
      () => undefined,
      error => ({ error }),
    );
    await this.clock.advance(ms);
    this.stop.abort();
    const failure = await this.clock.until(outcome);
    this.stop = new AbortController();
    if (failure) throw failure.error;
  }

  get deadTexts(): string[] {
    return this.dead.map(({ record }) => textOf(record));
  }
}

async function start(...texts: string[]): Promise<{ world: ConsumerWorld; stream: EmbeddedStream }> {
  const world = new ConsumerWorld();
  const stream = await world.open();
  if (texts.length > 0) await world.append(stream, ...texts);
  return { world, stream };
}

const numbered = (count: number) => Array.from({ length: count }, (_, index) => `k${index % 7}:${index}`);

const throwingOn =
  (...poison: string[]) =>
  async (batch: Selected<string>[]) => {
    for (const { event } of batch) if (poison.includes(event)) throw new Error(`poison ${event}`);
    return allDone;
  };

describe('consumer', () => {
  it('hands everything to its function in order, in batches, and then waits for more', async () => {
    const { world, stream } = await start(...numbered(25));
    const consumer = world.consumer({ invoke: world.noting(async () => allDone), batchRecordsMax: 10 });
    const running = consumer.run(world.stop.signal);
    await world.clock.settle();
    assert.deepEqual(
      world.invocations.map(batch => batch.length),
      [10, 10, 5],
    );
    assert.deepEqual(world.invocations.flat(), numbered(25));
    await world.append(stream, 'late:1');
    await world.clock.settle();
    assert.deepEqual(world.invocations.at(-1), ['late:1']);
    assert.equal(consumer.processed, 26);
    assert.deepEqual(world.checkpoints, [0n, 10n, 20n, 25n, 26n]);
    world.stop.abort();
    await world.clock.until(running);
  });

  it('lets a batch gather for its window, and does not wait when it is full (covers S1-16)', async () => {
    const { world, stream } = await start();
    const consumer = world.consumer({
      batchWindowMs: 500,
      batchRecordsMax: 10,
      invoke: world.noting(async () => allDone),
    });
    const running = consumer.run(world.stop.signal);
    await world.clock.advance(100);
    for (let index = 0; index < 3; index++) {
      await world.append(stream, `a:${index}`);
      await world.clock.advance(100);
    }
    assert.equal(world.invocations.length, 0);
    await world.clock.advance(250);
    assert.deepEqual(world.invocations.splice(0), [['a:0', 'a:1', 'a:2']]);
    await world.append(stream, ...numbered(25));
    await world.clock.advance(600);
    assert.deepEqual(
      world.invocations.map(({ length }) => length),
      [10, 10, 5],
    );
    world.stop.abort();
    await world.clock.until(running);
  });

  it('waits for a full disk without costing a record an attempt (hostile T07)', async () => {
    const { world, stream } = await start();
    await world.append(stream, 'a:1', 'b:2');
    const full = Object.assign(new Error('no room'), { code: 'store.full' });
    let failures = 10;
    const handle = eachRecord<string>(async () => {
      if (failures-- > 0) throw full;
    });
    const consumer = world.consumer({ invoke: world.noting(handle) });
    await world.run(consumer, 60_000);
    assert.deepEqual(world.deadTexts, []);
    assert.equal(consumer.checkpoint, 2n);
    let saves = 3;
    await world.append(stream, 'a:3');
    const saving = world.consumer({
      saveCheckpoint: async upTo => {
        if (saves-- > 0) throw full;
        world.checkpoints.push(upTo);
      },
    });
    await world.run(saving, 60_000);
    assert.equal(world.checkpoints.at(-1), 3n);
  });

  it('starts behind its checkpoint', async () => {
    const { world } = await start('a:1', 'a:2', 'a:3');
    world.checkpoints.push(2n);
    await world.run(world.consumer({ invoke: world.noting(async () => allDone) }), 0);
    assert.deepEqual(world.invocations, [['a:3']]);
  });

  it('saves the checkpoint only once everything before it is handled or dead-lettered', async () => {
    const { world } = await start('a:1', 'a:poison', 'a:3');
    const events: string[] = [];
    const consumer = world.consumer({
      batchRecordsMax: 1,
      invoke: async batch => {
        events.push(`try ${batch[0].event}`);
        return throwingOn('a:poison')(batch);
      },
      saveCheckpoint: async upTo => void events.push(`save ${upTo}`),
      deadLetter: async ({ record, attempts }) => void events.push(`bury ${textOf(record)} after ${attempts}`),
      loadCheckpoint: async () => null,
    });
    await world.run(consumer, 10_000);
    const tries = ['try a:poison', 'try a:poison', 'try a:poison', 'bury a:poison after 3'];
    assert.deepEqual(events, ['save 0', 'try a:1', 'save 1', ...tries, 'save 2', 'try a:3', 'save 3']);
  });

  it('dead-letters at once what it cannot make an event of, and goes on', async () => {
    const { world } = await start('a:1', 'a:broken', 'a:3');
    const select: ConsumerOptions<string>['select'] = record => {
      if (textOf(record) === 'a:broken') throw new Error('no event');
      return textOf(record);
    };
    await world.run(world.consumer({ select, invoke: world.noting(async () => allDone) }), 0);
    assert.deepEqual(world.invocations, [['a:1', 'a:3']]);
    assert.deepEqual(world.deadTexts, ['a:broken']);
    assert.equal(world.dead[0].attempts, 1);
  });

  it('isolates one poison record among 10,000 in few invocations and less than a second', async () => {
    const world = new ConsumerWorld();
    const stream = await world.open();
    const batch = new RecordBatch();
    for (let index = 0; index < 10_000; index++) batch.add(`k${index % 100}`, Buffer.from(`k${index % 100}:${index}`));
    await world.clock.until(stream.append(batch));
    const handled: string[] = [];
    const invoke = world.noting(async batch => {
      await throwingOn('k21:7321')(batch);
      handled.push(...batch.map(({ event }) => event));
      return allDone;
    });
    await world.run(world.consumer({ invoke }), 1_000);
    assert.deepEqual(world.deadTexts, ['k21:7321']);
    assert.equal(handled.length, 9_999); // The halves that succeed are not handled again.
    for (let key = 0; key < 100; key++) {
      const indexes = handled.filter(text => text.startsWith(`k${key}:`)).map(text => Number(text.split(':')[1]));
      const expected = Array.from({ length: 100 }, (_, row) => row * 100 + key).filter(index => index !== 7_321);
      assert.deepEqual(indexes, expected);
    }
    assert.ok(world.invocations.length <= 2 * 14 + 4, `${world.invocations.length} invocations`);
    assert.equal(world.checkpoints.at(-1), 10_000n);
  });

  it('keeps the order of each key when its records fail and are tried again', async () => {
    const { world } = await start(...numbered(30));
    let fails = 2;
    const handled: string[] = [];
    const invoke = eachRecord<string>(async ({ event }) => {
      if (event === 'k3:10' && fails-- > 0) throw new Error('not now');
      if (event === 'k5:12') throw new Error('never');
      handled.push(event);
    });
    await world.run(world.consumer({ invoke: world.noting(invoke) }), 10_000);
    for (let key = 0; key < 7; key++) {
      const expected = numbered(30).filter(text => text.startsWith(`k${key}:`) && text !== 'k5:12');
      assert.deepEqual(
        handled.filter(text => text.startsWith(`k${key}:`)),
        expected,
      );
    }
    assert.deepEqual(world.deadTexts, ['k5:12']);
    assert.deepEqual(world.invocations[1], ['k3:10', 'k5:12', 'k3:17', 'k5:19', 'k3:24', 'k5:26']);
  });

  it('waits longer before each attempt, and never longer than the limit', async () => {
    const { world } = await start('a:poison');
    const triedAtMs: number[] = [];
    const invoke = async () => {
      triedAtMs.push(world.clock.monotonicMs());
      throw new Error('poison');
    };
    await world.run(world.consumer({ invoke, attemptsMax: 2_000, retryDelayMs: 200 }), 600_000);
    const waitsMs = triedAtMs.slice(1).map((at, index) => at - triedAtMs[index]);
    assert.deepEqual(waitsMs.slice(0, 4), [200, 400, 800, 1_600]);
    assert.equal(Math.max(...waitsMs), consumerDefaults.retryDelayMsMax);
    assert.ok(waitsMs.length > 12);
  });

  it('stops in the middle of a retry and takes up what is not done after a restart, marked as redelivered', async () => {
    const { world } = await start('a:1', 'a:poison', 'b:3');
    const invoke = world.noting(
      eachRecord(async ({ event }) => {
        if (event === 'a:poison') throw new Error('poison');
      }),
    );
    await world.run(world.consumer({ invoke, retryDelayMs: 1_000 }), 500);
    assert.deepEqual(world.checkpoints, [0n, 1n]);
    assert.deepEqual(world.dead, []);
    let isRedelivered = false;
    const again = world.noting(async (_batch, context) => {
      isRedelivered = context.isRedelivered;
      return allDone;
    });
    await world.run(world.consumer({ invoke: again }), 0);
    assert.deepEqual(world.invocations.at(-1), ['a:poison', 'b:3']);
    assert.equal(isRedelivered, true);
    assert.deepEqual(world.checkpoints, [0n, 1n, 3n]);
  });

  it('finishes the batch in hand before it stops', async () => {
    const { world } = await start('a:1', 'a:2');
    const invoke = async () => {
      world.stop.abort();
      return allDone;
    };
    await world.run(world.consumer({ invoke, batchRecordsMax: 1 }), 0);
    assert.deepEqual(world.checkpoints, [0n, 1n]);
  });

  it('remembers passed-by records once a second, and when it stops', async () => {
    const { world, stream } = await start();
    const consumer = world.consumer({ select: () => undefined });
    const running = consumer.run(world.stop.signal);
    for (let index = 0; index < 30; index++) {
      await world.append(stream, `a:${index}`);
      await world.clock.advance(98); // and 2 for the append
    }
    assert.ok(world.checkpoints.length <= 5, `${world.checkpoints}`);
    await world.clock.advance(consumerDefaults.idleCheckpointMs);
    assert.equal(world.checkpoints.at(-1), 30n);
    await world.append(stream, 'a:last');
    world.stop.abort();
    await running;
    assert.equal(world.checkpoints.at(-1), 31n);
  });

  it('stops at once when it is told to while it reads, with passed-by records to remember', async () => {
    const { world } = await start('a:1', 'a:2');
    const reader = world.openReader();
    const stopping: StreamReader = {
      shards: () => reader.shards(),
      locate: (shardId, position) => reader.locate(shardId, position),
      close: () => reader.close(),
      waitBeyond: (shardId, after, signal) => reader.waitBeyond(shardId, after, signal),
      read: async (shardId, after, bytesMax) => {
        if (after === 2n) world.stop.abort();
        return reader.read(shardId, after, bytesMax);
      },
    };
    const consumer = world.consumer({ reader: stopping, select: () => undefined, batchRecordsMax: 1 });
    let ended = false;
    const running = consumer.run(world.stop.signal).then(() => {
      ended = true;
    });
    await world.clock.settle(); // No time passes.
    assert.equal(ended, true);
    await running;
  });

  it('rejects and skips nothing when a dead letter cannot be kept', async () => {
    for (const [texts, done] of [
      [['a:poison'], null],
      [['a:1', 'a:poison', 'b:3'], 1n],
    ] as const) {
      const { world } = await start(...texts);
      let letters = 0;
      const consumer = world.consumer({
        invoke: eachRecord(async ({ event }) => {
          if (event === 'a:poison') throw new Error('poison');
        }),
        attemptsMax: 1,
        deadLetter: async () => {
          letters++;
          throw new Error('the table is gone');
        },
      });
      await assert.rejects(world.run(consumer, 10_000), /the table is gone/);
      assert.equal(letters, 1); // It is not taken for a failure of the function, and tried again.
      assert.equal(world.checkpoints.at(-1), done ?? 0n);
      assert.equal(consumer.checkpoint, done);
    }
  });

  it('rejects and skips nothing when the checkpoint cannot be saved', async () => {
    const { world } = await start('a:1');
    const saveCheckpoint = async () => {
      throw new Error('the table is gone');
    };
    await assert.rejects(world.run(world.consumer({ saveCheckpoint }), 0), /the table is gone/);
    await world.run(world.consumer({ invoke: world.noting(async () => allDone) }), 0);
    assert.deepEqual(world.invocations, [['a:1']]);
  });

  it('does not take an answer about records it never gave for a success', async () => {
    const { world } = await start('a:1');
    for (const outcome of [
      { failed: new Map([[7, 'no such record']]), skipped: new Set<number>() },
      { failed: new Map(), skipped: new Set([0]) },
    ]) {
      await assert.rejects(world.run(world.consumer({ invoke: async () => outcome }), 0), assert.AssertionError);
      assert.deepEqual(world.checkpoints, [0n]);
    }
  });

  it('runs suspects alone and the others together, and sets aside one that ended the thread too often', async () => {
    const { world } = await start(...['a:1', 'a:2', 'a:3', 'a:4', 'a:5', 'a:6']);
    let alone = 0;
    const consumer = world.consumer({
      invoke: world.noting(async () => allDone),
      suspects: {
        first: 3n,
        last: 4n,
        restarts: new Map([[4n, 3]]),
        alone: async work => {
          alone++;
          return work();
        },
      },
    });
    await world.run(consumer, 0);
    assert.deepEqual(world.invocations, [['a:1', 'a:2'], ['a:3'], ['a:5', 'a:6']]);
    assert.deepEqual(world.deadTexts, ['a:4']);
    assert.equal(alone, 2);
    assert.deepEqual(world.checkpoints, [0n, 2n, 3n, 4n, 6n]);
  });

  it('marks what it runs while it runs, and nothing while it waits', async () => {
    const { world } = await start('a:1', 'a:2');
    const marks: string[] = [];
    const consumer = world.consumer({
      invoke: async batch => {
        marks.push('run');
        return throwingOn('a:2')(batch);
      },
      attemptsMax: 1,
      marks: { enter: (first, last) => void marks.push(`${first}-${last}`), leave: () => void marks.push('left') },
    });
    await world.run(consumer, 0);
    assert.deepEqual(marks, ['1-2', 'run', 'left', '1-1', 'run', 'left', '2-2', 'run', 'left']);
  });
});

describe('each record', () => {
  const context: BatchContext = {
    consumer: 'test',
    shardId: onlyShard,
    attempt: 1,
    isRedelivered: false,
    iteratorAgeMs: 0,
    signal: new AbortController().signal,
  };
  const record = (key: string, index: number): Selected<string> => ({
    record: { sequenceNumber: BigInt(index), partitionKey: key, data: Buffer.alloc(0), arrivalAtMs: 0 },
    event: `${key}:${index}`,
  });

  it('runs different keys beside each other, at most so many, and one key in order', async () => {
    let running = 0;
    let most = 0;
    const runningKeys = new Set<string>();
    const handler = eachRecord<string>(async ({ record: { partitionKey } }) => {
      assert.ok(!runningKeys.has(partitionKey));
      runningKeys.add(partitionKey);
      most = Math.max(most, ++running);
      await new Promise(resolve => setImmediate(resolve));
      running--;
      runningKeys.delete(partitionKey);
    }, 8);
    const batch = Array.from({ length: 100 }, (_, index) => record(`k${index % 20}`, index));
    assert.deepEqual(await handler(batch, context), allDone);
    assert.equal(most, 8);
  });

  it('says which failed, and skips what follows of that key only', async () => {
    const handler = eachRecord<string>(async ({ event }) => {
      if (event === 'a:1') throw new Error('no');
    });
    const outcome = await handler(['a', 'a', 'b', 'a', 'a'].map(record), context);
    assert.deepEqual([...outcome.failed.keys()], [1]);
    assert.deepEqual([...outcome.skipped], [3, 4]);
  });
});
