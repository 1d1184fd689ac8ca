import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { testScale } from '../../../../test/support.ts';
import { delay } from '../../../kernel/clock.ts';
import { codeOf } from '../../../kernel/errors.ts';
import { type Random, seededRandom } from '../../../kernel/random.ts';
import type { EmbeddedStream } from '../embedded.ts';
import { EmbeddedWorld } from '../embedded-world.ts';
import type { StreamReader, StreamRecord } from '../port.ts';
import { streamUnavailable } from '../remote-errors.ts';
import type { Suspects } from './batch.ts';
import { compact } from './compact.ts';
import { ConsumersWorld, countsOf, type Life, type TextHandler, textOf } from './consumer-world.ts';
import { eachRecord } from './each-record.ts';
import { consumerDefaults, consumerLimits } from './limits.ts';
import type { BatchReport } from './measures.ts';
import { poisonContract } from './poison-contract.ts';
import type { StreamConsumerOptions } from './stream-consumer.ts';

/** What was put and what came of it, in the order of things. */
class Journal {
  readonly #put = new Map<string, string[]>();
  readonly #ended = new Set<string>();
  readonly #tooEarly: string[] = [];

  put(key: string, text: string): void {
    this.#put.set(key, [...(this.#put.get(key) ?? []), text]);
  }

  /** Nothing of a key is handled before all that came earlier has ended, in whatever way. Repetitions are no surprise. */
  handle(key: string, text: string): void {
    const earlier = (this.#put.get(key) ?? []).slice(0, this.#put.get(key)?.indexOf(text));
    const open = earlier.find(other => !this.#ended.has(other));
    if (open) this.#tooEarly.push(`${text} before ${open}`);
    this.#ended.add(text);
  }

  bury(text: string): void {
    this.#ended.add(text);
  }

  check(): void {
    assert.deepEqual(this.#tooEarly, []);
    assert.deepEqual([...this.#ended].toSorted(), [...this.#put.values()].flat().toSorted());
  }
}

const stormySettings = (random: Random): Partial<StreamConsumerOptions<string>> => ({
  batchRecordsMax: 1 + random.integer(12),
  batchWindowMs: random.integer(2) * 40,
  parallelizationFactor: 1 + random.integer(4),
  failureBlocks: random.integer(3) === 0 ? 'lane' : 'key',
  bisectBatchOnError: random.integer(4) > 0,
  attemptsMax: 2 + random.integer(3),
  retryDelayMs: 30,
});

const full = Object.assign(new Error('no room'), { code: 'store.full' });

/** Fails by chance: as a whole, record by record, or by naming one, and some records always. */
function stormyHandler(world: ConsumersWorld, journal: Journal, random: Random): TextHandler {
  const isPoison = (text: string) => text.endsWith('7');
  const trouble = (text: string) => {
    if (random.integer(60) === 0) throw full;
    if (isPoison(text) || random.integer(15) === 0) throw new Error(`no ${text}`);
  };
  return async (batch, context, isDead) => {
    const one = eachRecord<string>(async ({ record, event }) => {
      if (random.integer(4) === 0) await delay(world.clock, random.integer(20));
      trouble(event);
      if (!isDead()) journal.handle(record.partitionKey, event);
    });
    if (random.integer(2) === 0) return one(batch, context);
    await delay(world.clock, random.integer(30));
    for (const { event } of batch) trouble(event);
    for (const { record, event } of batch) if (!isDead()) journal.handle(record.partitionKey, event);
    return undefined;
  };
}

function reshard(world: ConsumersWorld, random: Random): void {
  const open = world.stream.openShards.toSorted((left, right) => (left.hashKeys.from < right.hashKeys.from ? -1 : 1));
  const at = random.integer(open.length);
  if (random.integer(2) === 0 && at + 1 < open.length) world.stream.merge(open[at].shardId, open[at + 1].shardId);
  else if (open.length < 6) world.stream.split(open[at].shardId);
}

/** A few lives of a consumer while records come, shards are split and merged, and everything fails now and then. */
async function playLives(seed: number): Promise<void> {
  const random = seededRandom(seed);
  const world = new ConsumersWorld(seed, 1 + random.integer(3));
  world.saveLatencyMs = random.integer(2) * 5;
  const journal = new Journal();
  const settings = stormySettings(random);
  world.onDead = ({ record }) => journal.bury(textOf(record));
  let hasEnded = false;
  const begin = () => {
    const life = world.start(stormyHandler(world, journal, random), settings);
    hasEnded = false;
    life.ended.catch(() => {
      hasEnded = true; // Its storage has failed.
    });
    return life;
  };
  let life: Life = begin();
  let made = 0;
  world.fault = () => {
    const chance = random.integer(60);
    if (chance > 1) return undefined;
    return chance === 0 ? full : new Error('the disk is gone');
  };
  for (let step = 0; step < 40; step++) {
    for (let count = random.integer(12); count > 0; count--) {
      const key = `k${random.integer(8)}`;
      const text = `${key}:${++made}`;
      journal.put(key, text);
      world.stream.put(key, text);
    }
    if (random.integer(6) === 0) reshard(world, random);
    await world.clock.advance(random.integer(60));
    if (!hasEnded && random.integer(7) > 0) continue;
    if (random.integer(2) === 0) life.kill();
    else await life.stop().catch(() => {});
    life = begin();
  }
  world.fault = () => undefined;
  life.kill();
  life = begin();
  await world.clock.advance(20_000);
  journal.check();
  assert.equal(world.account.size, made); // and none twice, which the world itself asserts
  assert.equal(life.consumer.snapshot().iteratorAgeMs, 0);
  assert.deepEqual(
    [...world.checkpoints.keys()].toSorted(),
    world.stream.openShards.map(({ shardId }) => shardId).toSorted(),
  );
  await life.stop();
}

describe('consumer of a stream', () => {
  const rounds = testScale(25, 2_000);
  it(`handles all records at least once, in order per key, in ${rounds} lives with failures, kills and resharding (covers S1-17)`, async () => {
    const firstSeed = Number(process.env.MIMAMORI_SEED ?? 1);
    for (let seed = firstSeed; seed < firstSeed + rounds; seed++) {
      await playLives(seed).catch(cause => {
        throw new Error(`MIMAMORI_SEED=${seed}: ${cause.message}`, { cause });
      });
    }
  });

  /** What is handed out, in order. */
  function listing(handle: TextHandler = async () => {}): { given: string[]; handler: TextHandler } {
    const given: string[] = [];
    const handler: TextHandler = (batch, context, isDead) => {
      given.push(...batch.map(({ event }) => event));
      return handle(batch, context, isDead);
    };
    return { given, handler };
  }

  function put(world: ConsumersWorld, from: number, to: number, keys = 10): void {
    for (let index = from; index < to; index++) world.stream.put(`k${index % keys}`, `k${index % keys}:${index}`);
  }

  it('lets other keys go on beside one that waits, as far as it may look ahead, and no further', async () => {
    const world = new ConsumersWorld();
    let isPoison = true;
    const handled: string[] = [];
    const handler = eachRecord<string>(async ({ event }) => {
      if (isPoison && event === 'k0:0') throw new Error('not yet');
      handled.push(event);
    });
    put(world, 0, 1_000);
    const settings = { batchRecordsMax: 50, lookAheadRecordsMax: 200, attemptsMax: Number.POSITIVE_INFINITY };
    const life = world.start(handler, settings);
    await world.clock.advance(5_000);
    assert.equal(handled.length, 180); // Of 200, 20 are of the key that waits.
    assert.ok(!handled.some(text => text.startsWith('k0:')));
    const [waiting] = life.consumer.snapshot().shards;
    assert.deepEqual([waiting.waiting, waiting.ahead, waiting.checkpoint], [20, 200, null]);
    isPoison = false;
    await world.clock.advance(120_000);
    assert.equal(handled.length, 1_000);
    const [done] = life.consumer.snapshot().shards;
    assert.deepEqual([done.waiting, done.ahead, done.handled, done.iteratorAgeMs], [0, 0, 1_000, 0]);
    await life.stop();
  });

  it('reads on past a whole batch of a key that waits', async () => {
    const world = new ConsumersWorld();
    for (const text of ['bad:1', 'bad:2', 'bad:3', 'bad:4', 'bad:5', 'bad:6', 'good:7']) {
      world.stream.put(text.split(':')[0], text);
    }
    const { given, handler } = listing(async ([{ event }]) => {
      if (event.startsWith('bad')) throw new Error('not yet');
    });
    const options = { batchRecordsMax: 1, attemptsMax: Number.POSITIVE_INFINITY, retryDelayMs: 60_000 };
    const life = world.start(handler, { ...options, random: { ...world.random, integer: below => below - 1 } });
    await world.clock.advance(10);
    assert.deepEqual(given, ['bad:1', 'good:7']);
    life.kill();
  });

  it('does not wait for a window to fill when it may not read on', async () => {
    const world = new ConsumersWorld();
    put(world, 0, 200);
    const { given, handler } = listing(async batch => {
      if (batch.some(({ event }) => event === 'k0:0')) throw new Error('not yet');
    });
    const options = { batchRecordsMax: 100, lookAheadRecordsMax: 150, batchWindowMs: 300_000 };
    const life = world.start(handler, { ...options, attemptsMax: Number.POSITIVE_INFINITY, retryDelayMs: 60_000 });
    await world.clock.advance(10);
    assert.ok(given.includes('k9:149'));
    life.kill();
  });

  it('holds no more than its bytes in memory while a key waits', async () => {
    const world = new ConsumersWorld();
    const handler = eachRecord<string>(async ({ record }) => {
      if (record.partitionKey === 'bad') throw new Error('not yet');
    });
    world.stream.put('bad', 'bad');
    for (let index = 0; index < 60; index++) world.stream.put('good', 'x'.repeat(1_000_000));
    const life = world.start(handler, { attemptsMax: Number.POSITIVE_INFINITY });
    await world.clock.advance(1_000);
    const [{ handled }] = life.consumer.snapshot().shards;
    assert.ok(
      handled * 1_000_000 <= consumerLimits.lookAheadBytesMax + 3 * consumerDefaults.readBytesMax,
      `${handled}`,
    );
    assert.ok(handled >= 15);
    life.kill();
  });

  it('is not confused by a handler that empties or sorts its batch', async () => {
    const world = new ConsumersWorld();
    put(world, 0, 30);
    const handler: TextHandler = async batch => {
      batch.reverse();
      batch.length = 3;
    };
    const life = world.start(handler, { batchRecordsMax: 10 });
    await world.clock.advance(100);
    assert.deepEqual(countsOf(world.account), { handled: 30 });
    await life.stop();
  });

  it('waits for a stream that does not answer, and goes on where it was', async () => {
    const world = new ConsumersWorld();
    put(world, 0, 10);
    let isDown = false;
    const refusals: unknown[] = [];
    const openReader = (): StreamReader => {
      const reader = world.stream.openReader();
      const unlessDown = <T>(ask: () => Promise<T>): Promise<T> =>
        isDown ? Promise.reject(streamUnavailable('test', undefined)) : ask();
      return {
        ...reader,
        shards: () => unlessDown(() => reader.shards()),
        read: (shardId, after, bytesMax, wants) => unlessDown(() => reader.read(shardId, after, bytesMax, wants)),
      };
    };
    const { given, handler } = listing();
    const life = world.start(handler, { openReader, onRefused: error => void refusals.push(error) });
    await world.clock.advance(100);
    isDown = true;
    put(world, 10, 20);
    await world.clock.advance(600_000);
    assert.equal(given.length, 10);
    assert.ok(refusals.length > 50 && refusals.length < 80, `${refusals.length}`);
    assert.equal(life.consumer.snapshot().shards.length, 1);
    isDown = false;
    await world.clock.advance(20_000);
    assert.equal(given.length, 20);
    isDown = true;
    put(world, 20, 21);
    await world.clock.advance(1_000);
    await life.stop(); // It can be stopped while it waits.
  });

  it('runs suspects alone, in all shards before any goes on, so that the next hang has one possible cause', async () => {
    const world = new ConsumersWorld(1, 3);
    put(world, 0, 100);
    let inFlight = 0;
    const given: { texts: string[]; besides: number }[] = [];
    const handler: TextHandler = async batch => {
      given.push({ texts: batch.map(({ event }) => event), besides: inFlight++ });
      await delay(world.clock, 10);
      inFlight--;
    };
    let last: Promise<unknown> = Promise.resolve();
    const suspects: Suspects = {
      first: 61n, // the records with the indexes from 20 to 29; numbers go by threes
      last: 90n,
      restarts: new Map([[90n, 3]]),
      alone: work => {
        const next = last.then(work);
        last = next.catch(() => {});
        return next;
      },
    };
    const marks: string[] = [];
    const life = world.start(handler, {
      suspects,
      marks: { enter: (first, to) => void marks.push(`${first}-${to}`), leave: () => void marks.push('none') },
    });
    await world.clock.advance(10_000);
    const indexOf = (text: string) => Number(text.split(':')[1]);
    const isSuspect = (index: number) => index >= 20 && index < 30;
    const alone = given.filter(({ texts }) => texts.some(text => isSuspect(indexOf(text))));
    assert.deepEqual(
      alone.map(({ texts }) => texts.length),
      Array.from({ length: 9 }, () => 1),
    );
    const lastAlone = given.indexOf(alone[8]);
    for (const { texts } of given.slice(0, lastAlone))
      assert.ok(
        texts.every(text => indexOf(text) < 30),
        `${texts}`,
      );
    assert.deepEqual(world.deadTexts, ['k9:29']);
    assert.equal(codeOf(world.dead[0].error), 'stream.consumerEnded');
    assert.equal(world.account.size, 100);
    assert.equal(marks.at(-1), 'none');
    await life.stop();
  });

  it('gathers no batch while a suspect waits to be run', async () => {
    const world = new ConsumersWorld();
    put(world, 0, 3);
    const { given, handler } = listing();
    const suspects: Suspects = { first: 6n, last: 6n, restarts: new Map(), alone: work => work() };
    const life = world.start(handler, { suspects, batchWindowMs: 60_000 });
    await world.clock.advance(100);
    assert.deepEqual(given, ['k0:0', 'k1:1']);
    await world.clock.advance(60_000);
    assert.deepEqual(given, ['k0:0', 'k1:1', 'k2:2']);
    await life.stop();
  });

  it('is at most two batches ahead of its saved checkpoint, however slow the table is', async () => {
    const world = new ConsumersWorld();
    world.saveLatencyMs = 1_000;
    put(world, 0, 200);
    const { given, handler } = listing();
    const life = world.start(handler, { batchRecordsMax: 10 });
    for (let step = 0; step < 60; step++) {
      await world.clock.advance(500);
      assert.ok(given.length - world.account.size <= 20, `${given.length} given, ${world.account.size} saved`);
    }
    assert.equal(world.account.size, 200);
    await life.stop();
  });

  it('keeps no chunk of a read in memory for the few records that came with it', () => {
    const chunk = Buffer.alloc(64 * 1024);
    const record = (at: number, length: number): StreamRecord => ({
      sequenceNumber: BigInt(at),
      partitionKey: 'a',
      data: chunk.fill(at, at, at + length).subarray(at, at + length),
      arrivalAtMs: at,
    });
    const few = [record(7, 100), record(200, 50)];
    const kept = compact(few);
    assert.deepEqual(kept, few);
    assert.equal(kept[0].data.buffer.byteLength, 150);
    const many = [record(0, 20_000), record(30_000, 20_000)];
    assert.equal(compact(many), many);
    assert.deepEqual(compact([]), []);
  });

  it('does not read a shard again whose checkpoint it has tidied away, nor hold on to one that retention took', async () => {
    const world = new ConsumersWorld();
    put(world, 0, 10);
    const { given, handler } = listing();
    const life = world.start(handler);
    await world.clock.advance(100);
    world.stream.split('shardId-000000000000');
    put(world, 10, 20);
    await world.clock.advance(100);
    await life.stop();
    assert.deepEqual([...world.checkpoints.keys()], ['shardId-000000000001', 'shardId-000000000002']);
    const second = world.start(handler);
    world.stream.merge('shardId-000000000001', 'shardId-000000000002');
    put(world, 20, 30);
    await world.clock.advance(100);
    assert.deepEqual([...world.checkpoints.keys()], ['shardId-000000000003']);
    world.stream.forget('shardId-000000000000');
    await second.stop();
    assert.equal(world.stream.reads.get('shardId-000000000000'), 4);
    assert.equal(given.length, 30);
  });

  it('ends quietly in a shard that retention takes away under it, and reads the others', async () => {
    const world = new ConsumersWorld(1, 2);
    const { given, handler } = listing(() => delay(world.clock, 1_000));
    put(world, 0, 20);
    const life = world.start(handler, { batchRecordsMax: 1, lookAheadRecordsMax: 1 });
    await world.clock.advance(500);
    world.stream.split('shardId-000000000000');
    world.stream.forget('shardId-000000000000');
    await world.clock.advance(60_000);
    put(world, 20, 40);
    await world.clock.advance(60_000);
    assert.ok(given.length >= 30);
    await life.stop();
  });

  it('tells how far it is, and holds nothing back where nothing happens (covers S1-35)', async () => {
    const world = new ConsumersWorld(1, 2);
    const reports: BatchReport[] = [];
    const newest = () => world.stream.last;
    const options = { newest, observe: (report: BatchReport) => void reports.push(report), batchRecordsMax: 4 };
    const life = world.start(async () => {}, options);
    assert.equal(life.consumer.consumedUpTo, null);
    for (let index = 0; index < 10; index++) world.stream.put('a', 'aa'); // All in one shard.
    await world.clock.advance(100);
    assert.equal(life.consumer.consumedUpTo, 30n);
    assert.equal(life.consumer.processed, 10);
    const { shards, iteratorAgeMs } = life.consumer.snapshot();
    assert.equal(iteratorAgeMs, 0);
    assert.deepEqual(shards.map(({ handled }) => handled).toSorted(), [0, 10].toSorted());
    const busy = shards.find(({ handled }) => handled === 10);
    assert.deepEqual([busy?.invocations, busy?.batchRecordsMost, busy?.recordsBehind], [3, 4, 0]);
    assert.deepEqual(
      reports.map(({ records, bytes, outcome, attempt }) => [records, bytes, outcome, attempt]),
      [
        [4, 8, 'done', 1],
        [4, 8, 'done', 1],
        [2, 4, 'done', 1],
      ],
    );
    await life.stop();
  });

  it('counts as consumed nothing that a shard has still to do when it is the first to stop', async () => {
    const world = new ConsumersWorld(1, 2);
    const failing = world.stream.put('a', 'never');
    const isBeside = (key: string) => world.stream.put(key, 'well').shardId !== failing.shardId;
    const beside = Array.from({ length: 30 }, (_, index) => `b${index}`).find(isBeside);
    assert.ok(beside);
    for (let count = 0; count < 10; count++) world.stream.put(beside, 'slow');
    const handle: TextHandler = async batch => {
      if (batch[0].event === 'never') throw new Error('not now');
      if (batch[0].event === 'slow') await delay(world.clock, 10_000);
    };
    const newest = () => world.stream.last;
    const life = world.start(handle, { newest, batchRecordsMax: 1, retryDelayMs: 60_000 });
    await world.clock.advance(35_000);
    life.kill(); // One shard has nothing to finish, the other is in the middle of a batch.
    await world.clock.advance(10);
    assert.equal(life.consumer.consumedUpTo, null);
  });

  it('counts as consumed nothing of the shards that follow one which is read to its end', async () => {
    const world = new ConsumersWorld(1, 2);
    const before = world.stream.put('a', 'a');
    const newest = () => world.stream.last;
    let slowMs = 0;
    const handled = new Set<bigint>();
    const handle: TextHandler = async batch => {
      for (const { record } of batch) handled.add(record.sequenceNumber);
    };
    const life = world.start(handle, {
      newest,
      loadCheckpoint: async (_name, shardId) => {
        await delay(world.clock, slowMs);
        return world.checkpoints.get(shardId) ?? null;
      },
    });
    await world.clock.advance(100);
    slowMs = 1_000;
    world.saveLatencyMs = 1_000;
    world.stream.split(before.shardId);
    const after = world.stream.put('a', 'a');
    for (let count = 0; count < 100; count++) world.stream.put(`b${count}`, 'b');
    for (let ms = 0; ms < 10_000; ms += 50) {
      await world.clock.advance(50);
      const { consumedUpTo } = life.consumer;
      assert.ok(
        handled.has(after.sequenceNumber) || (consumedUpTo ?? 0n) < after.sequenceNumber,
        `${consumedUpTo} after ${ms} ms`,
      );
    }
    assert.ok(handled.has(after.sequenceNumber));
    await life.stop();
  });

  it('lets several consumers read at their own pace (covers S1-36)', async () => {
    const world = new ConsumersWorld();
    const other = new Map<string, bigint>();
    put(world, 0, 100);
    const slow = world.start(() => delay(world.clock, 60_000), { batchRecordsMax: 10 });
    let fast = 0;
    const beside = world.start(async () => {}, {
      name: 'beside',
      invoke: async batch => {
        fast += batch.length;
      },
      loadCheckpoint: async (_name, shardId) => other.get(shardId) ?? null,
      saveCheckpoint: async (_name, shardId, upTo) => void other.set(shardId, upTo),
    });
    await world.clock.advance(100);
    assert.equal(fast, 100);
    assert.equal(world.account.size, 0);
    assert.equal(slow.consumer.snapshot().iteratorAgeMs, 100);
    await beside.stop();
    slow.kill();
  });
});

describe('consumer of the embedded engine', () => {
  it('follows splits and merges, also of shards without a record, through kills, in order per key', async () => {
    for (let seed = 1; seed <= testScale(8, 300); seed++) {
      const random = seededRandom(seed);
      const engine = new EmbeddedWorld(seed);
      const stream = await engine.open({ shards: 2 });
      const world = new ConsumersWorld(seed, 1, engine.clock);
      const journal = new Journal();
      const handler: TextHandler = async (batch, _context, isDead) => {
        await delay(engine.clock, random.integer(10));
        for (const { record, event } of batch) if (!isDead()) journal.handle(record.partitionKey, event);
      };
      const options = {
        openReader: () => engine.openReader(),
        newest: () => engine.tail.lastSequenceNumber(),
        batchRecordsMax: 5,
      };
      let life = world.start(handler, options);
      let made = 0;
      for (let step = 0; step < 25; step++) {
        const texts = Array.from({ length: random.integer(8) }, () => `k${random.integer(9)}:${++made}`);
        for (const text of texts) journal.put(text.split(':')[0], text);
        if (texts.length > 0) await engine.append(stream, ...texts);
        if (random.integer(3) === 0) await engine.clock.until(reshardEmbedded(stream, random));
        await engine.clock.advance(random.integer(20));
        if (random.integer(6) > 0) continue;
        life.kill();
        life = world.start(handler, options);
      }
      await engine.clock.advance(5_000);
      journal.check();
      assert.equal(world.account.size, made);
      const open = (await stream.shards()).filter(({ endingSequenceNumber }) => endingSequenceNumber === undefined);
      assert.deepEqual([...world.checkpoints.keys()].toSorted(), open.map(({ shardId }) => shardId).toSorted());
      life.consumer.consumedUpTo; // An idle shard looks again when it is asked,
      await engine.clock.settle();
      assert.equal(life.consumer.consumedUpTo, BigInt(made)); // so that it holds back no retention.
      await life.stop();
      await engine.clock.until(stream.close());
    }
  });
});

async function reshardEmbedded(stream: EmbeddedStream, random: Random): Promise<void> {
  const shards = await stream.shards();
  const open = shards
    .filter(({ endingSequenceNumber }) => endingSequenceNumber === undefined)
    .toSorted((left, right) => (left.hashKeys.from < right.hashKeys.from ? -1 : 1));
  const at = random.integer(open.length);
  const { shardId, hashKeys } = open[at];
  if (random.integer(2) === 0 && at + 1 < open.length) return stream.mergeShards(shardId, open[at + 1].shardId);
  if (open.length < 6) await stream.splitShard(shardId, (hashKeys.from + hashKeys.to) / 2n);
}

poisonContract('embedded', async () => {
  const world = new EmbeddedWorld();
  return {
    clock: world.clock,
    open: () => world.open(),
    openReader: () => world.openReader(),
    until: promise => world.clock.until(promise),
    cleanUp: async () => {},
  };
});
