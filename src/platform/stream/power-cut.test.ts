/**
 * Seeded lives of a stream: callers append and a consumer works while the power is cut, the process killed, the disk
 * full or failing, again and again. What was acknowledged must be there, in order, and reach the consumer.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { testScale } from '../../../test/support.ts';
import { codeOf } from '../../kernel/errors.ts';
import type { Files } from '../../kernel/files.ts';
import { type Random, seededRandom } from '../../kernel/random.ts';
import { withoutSync, withoutSyncDirectory } from '../../kernel/test-disk.ts';
import { ShardConsumer } from './consumers/shard-consumer.ts';
import { type EmbeddedStream, onlyShard } from './embedded.ts';
import { batchOf, EmbeddedWorld, textOf } from './embedded-world.ts';
import type { SequenceNumber, StreamRecord } from './port.ts';

const callers = ['a', 'b', 'c'];
const nothing = { failed: new Map<number, unknown>(), skipped: new Set<number>() };

/** What the world outside the process knows. It never forgets. */
class Ledger {
  readonly #sent = new Set<string>();
  readonly #acknowledged = new Map<SequenceNumber, string>();
  readonly #handled = new Map<SequenceNumber, string>();
  readonly #refused = new Set<string>();
  #handledUpTo = 0n;

  sent(text: string): void {
    this.#sent.add(text);
  }

  refused(text: string): void {
    this.#refused.add(text);
  }

  acknowledged(sequenceNumber: SequenceNumber, text: string): void {
    const known = this.#acknowledged.get(sequenceNumber);
    assert.equal(known, undefined, `record ${sequenceNumber} was acknowledged twice: ${known}, ${text}`);
    this.#acknowledged.set(sequenceNumber, text);
  }

  consumerStarts(): void {
    this.#handledUpTo = 0n;
  }

  handled(record: StreamRecord): void {
    const { sequenceNumber } = record;
    this.checkRecord(record);
    assert.ok(sequenceNumber > this.#handledUpTo, `record ${sequenceNumber} was handled out of order`);
    this.#handledUpTo = sequenceNumber;
    const before = this.#handled.get(sequenceNumber) ?? textOf(record);
    assert.equal(textOf(record), before, `record ${sequenceNumber} has changed since it was handled`);
    this.#handled.set(sequenceNumber, textOf(record));
  }

  checkRecord(record: StreamRecord): void {
    const text = textOf(record);
    assert.ok(this.#sent.has(text), `record ${record.sequenceNumber} was never sent: ${text}`);
    assert.ok(!this.#refused.has(text), `record ${record.sequenceNumber} was refused with stream.full: ${text}`);
    const acknowledged = this.#acknowledged.get(record.sequenceNumber) ?? text;
    assert.equal(text, acknowledged, `record ${record.sequenceNumber} is another than was acknowledged`);
  }

  get acknowledgements(): number {
    return this.#acknowledged.size;
  }

  /** Nothing acknowledged was missed, and each caller's records were handled in the order they were sent. */
  checkEnd(): void {
    for (const [sequenceNumber, text] of this.#acknowledged) {
      assert.equal(this.#handled.get(sequenceNumber), text, `acknowledged record ${sequenceNumber} was not handled`);
    }
    const inOrder = [...this.#handled].sort(([left], [right]) => (left < right ? -1 : 1)).map(([, text]) => text);
    for (const caller of callers) {
      const numbers = inOrder.filter(text => text.startsWith(`${caller}:`)).map(text => Number(text.split(':')[1]));
      for (const [index, number] of numbers.entries()) {
        assert.ok(index === 0 || number > numbers[index - 1], `${caller}: ${number} after ${numbers[index - 1]}`);
      }
    }
  }
}

/**
 * Two lives that end in a cut or a kill at any instant, then one that reads everything to the end. Resolves with how
 * many records were acknowledged on the way; rejects when a promise was broken.
 */
async function playLives(seed: number, spoil: (files: Files) => Files = files => files): Promise<number> {
  const world = new EmbeddedWorld(seed);
  const random = seededRandom(seed ^ 0x5bd1e995);
  const ledger = new Ledger();
  const table = { checkpoint: null as SequenceNumber | null };
  const counts = new Map(callers.map(caller => [caller, 0]));
  const segmentBytesMax = 100 + random.integer(1_500);
  const options = { segmentBytesMax, retentionBytesMax: 500, consumedUpTo: () => table.checkpoint };
  // A failing disk ends a process; whoever watches it starts another.
  const open = (): Promise<EmbeddedStream> =>
    world.open(options, spoil).catch(error => {
      if (!['stream.failed', 'stream.full'].includes(codeOf(error))) throw error;
      return open();
    });
  for (let life = 0; life < 2; life++) {
    const stream = await open();
    const stop = new AbortController();
    for (const caller of callers) void appendUntil(stop.signal, world, stream, caller, counts, ledger, random);
    const consuming = settled(consume(world, table, ledger, stop.signal));
    if (random.integer(4) === 0) world.disk.failNext({ operation: 'write', code: 'ENOSPC' });
    if (random.integer(8) === 0) world.disk.failNext({ operation: 'sync', code: 'EIO' });
    await world.clock.advance(random.integer(60));
    if (random.integer(4) > 0) world.disk.powerCut();
    else world.disk.kill();
    stop.abort();
    await endOf(world, consuming);
  }
  const stream = await open();
  const stop = new AbortController();
  const consuming = settled(consume(world, table, ledger, stop.signal));
  await world.clock.advance(200);
  stop.abort();
  await endOf(world, consuming);
  const kept = await world.openReader().read(onlyShard, null, 1_000_000);
  for (const record of kept) ledger.checkRecord(record);
  assert.equal(table.checkpoint ?? 0n, stream.lastSequenceNumber);
  ledger.checkEnd();
  return ledger.acknowledgements;
}

/** Never rejects, so that it can be awaited later. */
async function settled(work: Promise<void>): Promise<PromiseSettledResult<void>> {
  return (await Promise.allSettled([work]))[0];
}

async function endOf(world: EmbeddedWorld, work: Promise<PromiseSettledResult<void>>): Promise<void> {
  const outcome = await world.clock.until(work);
  if (outcome.status === 'rejected') throw outcome.reason;
}

/** Appends batch after batch, up to three on their way at once, and notes what it hears of them. */
async function appendUntil(
  signal: AbortSignal,
  world: EmbeddedWorld,
  stream: EmbeddedStream,
  caller: string,
  counts: Map<string, number>,
  ledger: Ledger,
  random: Random,
): Promise<void> {
  let pending = 0;
  while (!signal.aborted) {
    await new Promise<void>(resolve => void world.clock.setTimer(random.integer(6), resolve));
    if (signal.aborted || pending === 3) continue;
    const texts = Array.from({ length: 1 + random.integer(4) }, () => {
      const count = (counts.get(caller) ?? 0) + 1;
      counts.set(caller, count);
      return `${caller}:${count}:${'x'.repeat(random.integer(80))}`;
    });
    for (const text of texts) ledger.sent(text);
    pending++;
    stream.append(batchOf(...texts)).then(
      appended => {
        pending--;
        // Whoever was promised something before the power went knows it still; afterwards nobody is there to hear it.
        if (!signal.aborted)
          texts.forEach((text, index) => void ledger.acknowledged(appended.placeOf(index).sequenceNumber, text));
      },
      error => {
        pending--;
        if (codeOf(error) === 'stream.full' && !signal.aborted) for (const text of texts) ledger.refused(text);
      },
    );
  }
}

/** One life of a consumer; the disk may be taken away under it, a broken promise may not. */
async function consume(
  world: EmbeddedWorld,
  table: { checkpoint: SequenceNumber | null },
  ledger: Ledger,
  signal: AbortSignal,
): Promise<void> {
  ledger.consumerStarts();
  const consumer = new ShardConsumer<StreamRecord>({
    name: 'checker',
    reader: world.openReader(),
    shardId: onlyShard,
    clock: world.clock,
    select: record => record,
    invoke: async batch => {
      for (const { record } of batch) if (!signal.aborted) ledger.handled(record);
      return nothing;
    },
    loadCheckpoint: async () => table.checkpoint,
    saveCheckpoint: async upTo => {
      if (!signal.aborted) table.checkpoint = upTo;
    },
    deadLetter: async ({ error }) => {
      throw error;
    },
  });
  await consumer.run(signal).catch(error => {
    if (codeOf(error) !== 'EIO') throw error;
  });
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

describe('power cuts', () => {
  const rounds = testScale(300, 20_000);
  it(`loses, tears, reorders and invents nothing acknowledged in ${rounds} lives: T01 T02 T06 T07 T09`, async () => {
    const firstSeed = Number(process.env.MIMAMORI_SEED ?? 1);
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

  it('would notice that the name of a new segment is not synced', async () => {
    assert.notEqual(await findBrokenPromise(30, withoutSyncDirectory), undefined);
  });
});
