/**
 * Seeded lives of a stream: callers append, shards are split and merged and a reader follows, while the power is cut, the
 * process killed, the disk full or failing, again and again. What was acknowledged must be there, in order, in the shard
 * of its key, and reach the reader.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { testScale } from '../../../test/support.ts';
import { codeOf } from '../../kernel/errors.ts';
import type { Files } from '../../kernel/files.ts';
import { type Random, seededRandom } from '../../kernel/random.ts';
import { withoutSync, withoutSyncDirectory } from '../../kernel/test-disk.ts';
import type { EmbeddedStream } from './embedded.ts';
import { batchOf, EmbeddedWorld, isOpenShard } from './embedded-world.ts';
import { type Checkpoints, consumedUpTo, followOnce, Ledger } from './power-cut-ledger.ts';

/** One stream through its lives. */
class Lives {
  readonly world: EmbeddedWorld;
  readonly random: Random;
  readonly ledger = new Ledger();
  readonly #spoil: (files: Files) => Files;
  readonly #checkpoints: Checkpoints = new Map();
  readonly #counts = new Map<string, number>();
  readonly #options: Parameters<EmbeddedWorld['open']>[0];

  constructor(seed: number, spoil: (files: Files) => Files) {
    this.world = new EmbeddedWorld(seed);
    this.random = seededRandom(seed ^ 0x5bd1e995);
    this.#spoil = spoil;
    const oneOf = <T>(...values: T[]) => values[this.random.integer(values.length)];
    this.#options = {
      shards: oneOf(1, 1, 2, 3),
      segmentBytesMax: 100 + this.random.integer(oneOf(1_500, 6_000)),
      paddingBytes: oneOf(0, 700, 5_000),
      indexEveryBytes: oneOf(1, 200, 100_000),
      retentionBytesMax: oneOf(500, 5_000),
      consumedUpTo: () => consumedUpTo(this.#checkpoints),
    };
  }

  /** A failing disk ends a process; whoever watches it starts another. */
  async open(): Promise<EmbeddedStream> {
    for (;;) {
      try {
        return await this.world.open(this.#options, this.#spoil);
      } catch (error) {
        if (!['stream.failed', 'stream.full', 'stream.shardsNotChanged'].includes(codeOf(error))) throw error;
      }
    }
  }

  /** Ends in a cut or a kill at any instant. */
  async live(): Promise<void> {
    const { world, random } = this;
    const stream = await this.open();
    const stop = new AbortController();
    for (const caller of ['a', 'b', 'c']) void this.#appendUntil(stop.signal, stream, caller);
    void this.#reshardUntil(stop.signal, stream);
    const following = settled(this.#followUntil(stop.signal));
    if (random.integer(4) === 0) world.disk.failNext({ operation: 'write', code: 'ENOSPC' });
    if (random.integer(8) === 0) world.disk.failNext({ operation: 'sync', code: 'EIO' });
    for (const operation of ['open', 'syncDirectory', 'truncate', 'remove'] as const) {
      if (random.integer(16) === 0)
        world.disk.failNext({ operation, code: random.integer(2) === 0 ? 'ENOSPC' : 'EIO' });
    }
    await world.clock.advance(random.integer(60));
    if (random.integer(4) > 0) world.disk.powerCut();
    else world.disk.kill();
    stop.abort();
    await this.#endOf(following);
  }

  /** Reads everything to the end, and looks whether all promises were kept. */
  async check(): Promise<void> {
    const { world, ledger } = this;
    const stream = await this.open();
    const reader = world.openReader();
    ledger.readerStarts();
    while (await followOnce(reader, this.#checkpoints, (record, shard) => ledger.handled(record, shard)));
    const shards = await stream.shards();
    for (const shard of shards) {
      const checkpoint = this.#checkpoints.get(shard.shardId);
      assert.equal(checkpoint === 'finished', !isOpenShard(shard), `${shard.shardId} is finished if it is closed`);
      const kept = await reader.read(shard.shardId, null, 1_000_000);
      for (const record of kept) ledger.checkRecord(record, shard);
      const last = kept.at(-1)?.sequenceNumber;
      assert.ok(last === undefined || checkpoint === 'finished' || last === checkpoint);
    }
    ledger.checkEnd(shards);
  }

  /** Appends batch after batch, up to three on their way at once, and notes what it hears of them. */
  async #appendUntil(signal: AbortSignal, stream: EmbeddedStream, caller: string): Promise<void> {
    const { random, ledger } = this;
    let pending = 0;
    while (!signal.aborted) {
      await this.#pause(6);
      if (signal.aborted || pending === 3) continue;
      const texts = Array.from({ length: 1 + random.integer(4) }, () => this.#newText(caller));
      for (const text of texts) ledger.sent(text);
      pending++;
      stream.append(batchOf(...texts)).then(
        appended => {
          pending--;
          // Who was promised something before the power went knows it still; afterwards nobody is there to hear it.
          if (signal.aborted) return;
          texts.forEach((text, index) => void ledger.acknowledged(appended.placeOf(index).sequenceNumber, text));
        },
        error => {
          pending--;
          if (codeOf(error) === 'stream.full' && !signal.aborted) for (const text of texts) ledger.refused(text);
        },
      );
    }
  }

  #newText(caller: string): string {
    const key = caller + this.random.integer(3);
    const count = (this.#counts.get(key) ?? 0) + 1;
    this.#counts.set(key, count);
    return `${key}:${count}:${'x'.repeat(this.random.integer(80))}`;
  }

  async #reshardUntil(signal: AbortSignal, stream: EmbeddedStream): Promise<void> {
    const { random, ledger } = this;
    for (;;) {
      await this.#pause(40);
      if (signal.aborted) return;
      const open = (await stream.shards()).filter(isOpenShard);
      const { shardId, hashKeys } = open[random.integer(open.length)];
      const neighbour = open.find(each => each.hashKeys.from === hashKeys.to + 1n);
      const changing =
        neighbour && random.integer(2) === 0
          ? stream.mergeShards(shardId, neighbour.shardId)
          : stream.splitShard(shardId, (hashKeys.from + hashKeys.to) / 2n + 1n);
      const isChanged = await changing.then(
        () => true,
        () => false,
      );
      if (isChanged && !signal.aborted) ledger.resharded(await stream.shards());
    }
  }

  /** One life of a reader; the disk may be taken away under it, a broken promise may not. */
  async #followUntil(signal: AbortSignal): Promise<void> {
    const { ledger, world } = this;
    const reader = world.openReader();
    ledger.readerStarts();
    try {
      while (!signal.aborted) {
        const found = await followOnce(reader, this.#checkpoints, (record, shard) => ledger.handled(record, shard));
        if (!found) await this.#pause(6);
      }
    } catch (error) {
      if (!['EIO', 'ENOSPC'].includes(codeOf(error))) throw error;
    }
  }

  async #pause(msMax: number): Promise<void> {
    await new Promise<void>(resolve => void this.world.clock.setTimer(this.random.integer(msMax), resolve));
  }

  async #endOf(work: Promise<PromiseSettledResult<void>>): Promise<void> {
    const outcome = await this.world.clock.until(work);
    if (outcome.status === 'rejected') throw outcome.reason;
  }
}

/** Never rejects, so that it can be awaited later. */
async function settled(work: Promise<void>): Promise<PromiseSettledResult<void>> {
  return (await Promise.allSettled([work]))[0];
}

/** Resolves with how many records were acknowledged on the way; rejects when a promise was broken. */
async function playLives(seed: number, spoil: (files: Files) => Files = files => files): Promise<number> {
  const lives = new Lives(seed, spoil);
  await lives.live();
  await lives.live();
  await lives.check();
  return lives.ledger.acknowledgements;
}

/** The number of the first round of `rounds` in which a promise was broken. */
async function findBrokenPromise(rounds: number, spoil: (files: Files) => Files): Promise<number | undefined> {
  for (let seed = 1; seed <= rounds; seed++) {
    const broken = await playLives(seed, spoil).then(
      () => false,
      () => true,
    );
    if (broken) return seed;
  }
  return undefined;
}

/** Only what `isSpoilt` names is never synced. */
const spoiling =
  (isSpoilt: (filePath: string) => boolean) =>
  (files: Files): Files => ({
    ...files,
    open: (filePath, options) => (isSpoilt(filePath) ? withoutSync(files) : files).open(filePath, options),
  });

describe('power cuts', () => {
  const rounds = testScale(150, 20_000);
  it(`loses, tears, reorders and invents nothing acknowledged in ${rounds} lives: T01 T02 T06 T07 T09`, async t => {
    const firstSeed = Number(process.env.MIMAMORI_SEED ?? 1);
    t.diagnostic(`seeds ${firstSeed} to ${firstSeed + rounds - 1}`);
    let acknowledgements = 0;
    for (let seed = firstSeed; seed < firstSeed + rounds; seed++) {
      acknowledgements += await playLives(seed).catch(cause => {
        throw new Error(`MIMAMORI_SEED=${seed}: ${cause.message}`, { cause });
      });
    }
    assert.ok(acknowledgements > rounds * 20, `only ${acknowledgements} acknowledgements put to the test`);
  });

  it('would notice a disk that acknowledges before it syncs: T11', async () => {
    assert.notEqual(await findBrokenPromise(30, withoutSync), undefined);
  });

  it('would notice that only the segments, or only the shards, are not synced', async () => {
    assert.notEqual(
      await findBrokenPromise(
        30,
        spoiling(name => name.endsWith('.log')),
      ),
      undefined,
    );
    assert.notEqual(
      await findBrokenPromise(
        60,
        spoiling(name => name.includes('/shards-')),
      ),
      undefined,
    );
  });

  it('would notice that the names of new files are not synced', async () => {
    assert.notEqual(await findBrokenPromise(30, withoutSyncDirectory), undefined);
  });
});
