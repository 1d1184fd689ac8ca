import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { testScale } from '../../../../test/support.ts';
import { delay } from '../../../kernel/clock.ts';
import { type Random, seededRandom } from '../../../kernel/random.ts';
import { EmbeddedWorld } from '../embedded-world.ts';
import { ConsumersWorld, type Life, type TextHandler, textOf } from './consumer-world.ts';
import { eachRecord } from './each-record.ts';
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
  const rounds = testScale(40, 2_000);
  it(`handles all records at least once, in order per key, in ${rounds} lives with failures, kills and resharding (covers S1-17)`, async () => {
    const firstSeed = Number(process.env.MIMAMORI_SEED ?? 1);
    for (let seed = firstSeed; seed < firstSeed + rounds; seed++) {
      await playLives(seed).catch(cause => {
        throw new Error(`MIMAMORI_SEED=${seed}: ${cause.message}`, { cause });
      });
    }
  });
});

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
