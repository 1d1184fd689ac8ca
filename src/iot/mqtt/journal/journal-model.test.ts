/**
 * Seeded and drawn lives of a journal: events of every kind, checkpoints between them, tiny segments, records and
 * batches, ends at any instant. What comes back is what the model says.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { testScale } from '../../../../test/support.ts';
import { codeOf } from '../../../kernel/errors.ts';
import { type Random, seededRandom } from '../../../kernel/random.ts';
import { withoutSync } from '../../../kernel/test-disk.ts';
import type { Message } from '../client-state.ts';
import { JournalWorld, type Life, type LifeOptions } from './journal-world.ts';
import { anyMoveOf, type Move, type MoveKind, make, moveKinds } from './moves.ts';

/** What the rounds went through, so that a test can see that it tested something. */
interface Tally {
  events: number;
  checkpoints: number;
  freedSegments: number;
  lostEvents: number;
  interruptedCheckpoints: number;
}

function newTally(): Tally {
  return { events: 0, checkpoints: 0, freedSegments: 0, lostEvents: 0, interruptedCheckpoints: 0 };
}

type Drawn = Omit<Move, 'kind'> & { readonly kind: MoveKind | 'pass' | 'restart' };

const anyMove: fc.Arbitrary<Drawn> = fc.record({
  kind: fc.constantFrom(...moveKinds, 'pass', 'pass', 'restart'),
  which: fc.nat(1 << 16),
  how: fc.nat(1 << 16),
});

const anyMoves = fc.array(anyMove, { maxLength: 80, size: 'max' });

const anyOptions = fc.record({
  segmentBytesMax: fc.integer({ min: 100, max: 3_000 }),
  recordBytesMax: fc.constantFrom(24, 100, 1024 * 1024),
  growthBytesMin: fc.integer({ min: 100, max: 2_000 }),
  stepBytesMax: fc.integer({ min: 1, max: 500 }),
  batchChance: fc.integer({ min: 1, max: 20 }),
});

/** Plays the moves; whenever the process starts again, all that was durable is there, and nothing else. */
async function playMoves(moves: Drawn[], options: LifeOptions, seed: number, tally: Tally): Promise<void> {
  const world = new JournalWorld(seed);
  let life = await world.start(options);
  let recent: Message[] = [];
  for (const { kind, which, how } of moves) {
    if (kind === 'pass') {
      await world.clock.advance(how % 8);
    } else if (kind === 'restart') {
      life = await restart(world, life, options);
      recent = [];
    } else {
      make({ kind, which, how }, life, recent);
    }
  }
  const { redundantUpTo } = (await restart(world, life, options)).recovered.log;
  tally.events += life.pictures.length - 1;
  if (redundantUpTo !== null) tally.checkpoints++;
}

async function restart(world: JournalWorld, life: Life, options: LifeOptions): Promise<Life> {
  await life.drain();
  const next = await world.start(options);
  assert.deepEqual(JSON.parse(next.pictures[0]), JSON.parse(life.pictures.at(-1) ?? ''));
  return next;
}

function optionsOf(random: Random): LifeOptions {
  return {
    segmentBytesMax: 200 + random.integer(3_000),
    recordBytesMax: [24, 200, 1024 * 1024][random.integer(3)],
    growthBytesMin: 200 + random.integer(3_000),
    stepBytesMax: 1 + random.integer(400),
    batchChance: 1 + random.integer(20),
  };
}

/** A disk that is full during recovery ends the process; whoever watches it starts another, which finds all there. */
async function startAgain(world: JournalWorld, options: LifeOptions): Promise<Life> {
  return world.start(options).catch(error => {
    if (codeOf(error) !== 'ENOSPC') throw error;
    return world.start(options);
  });
}

/** Three lives that end in a cut or a kill at any instant, and what is found after each. */
async function playLives(seed: number, tally: Tally, spoilt: Partial<LifeOptions> = {}): Promise<void> {
  const world = new JournalWorld(seed);
  const random = seededRandom(seed ^ 0x5bd1e995);
  const options = { ...optionsOf(random), ...spoilt };
  let life = await world.start(options);
  for (let lives = 0; lives < 3; lives++) {
    const recent: Message[] = [];
    const firstSegment = (await world.segments())[0];
    const { redundantUpTo } = life.recovered.log;
    if (random.integer(3) === 0) world.disk.failNext({ operation: 'write', code: 'ENOSPC' });
    for (let moves = 20 + random.integer(60); moves > 0; moves--) {
      make(anyMoveOf(random), life, recent);
      if (random.integer(3) === 0) await world.clock.advance(random.integer(12));
    }
    await world.clock.advance(random.integer(2) === 0 ? random.integer(10) : random.integer(300));
    assert.deepEqual(life.failures, []);
    tally.events += life.pictures.length - 1;
    if (life.recovered.log.redundantUpTo !== redundantUpTo) tally.checkpoints++;
    if ((await world.segments())[0] !== firstSegment) tally.freedSegments++;
    if (life.checkpointer.isWalking) tally.interruptedCheckpoints++;
    world.end(random.integer(4) > 0 ? 'powerCut' : 'kill');
    const before = life;
    life = await startAgain(world, options);
    const found = before.pictures.indexOf(life.pictures[0], before.durablePicture);
    assert.notEqual(
      found,
      -1,
      `picture ${before.durablePicture} of ${before.pictures.length} or a later one is not there`,
    );
    tally.lostEvents += before.pictures.length - 1 - found;
  }
}

/** The number of the first round of `rounds` in which a promise was broken. */
async function findBrokenPromise(rounds: number, spoilt: Partial<LifeOptions>): Promise<number | undefined> {
  for (let seed = 1; seed <= rounds; seed++) {
    const broken = await playLives(seed, newTally(), spoilt).then(
      () => false,
      error =>
        error instanceof assert.AssertionError || ['journal.notReadable', 'stream.corrupt'].includes(codeOf(error)),
    );
    if (broken) return seed;
  }
  return undefined;
}

describe('the journal', () => {
  const runs = testScale(150, 5_000);
  it(`gives back what it was told, over ${runs} drawn stories of events, checkpoints and restarts: S05 T01`, async () => {
    const seed = Number(process.env.MIMAMORI_SEED ?? 1);
    const tally = newTally();
    await fc.assert(
      fc.asyncProperty(anyMoves, anyOptions, fc.nat(), (...story) => playMoves(...story, tally)),
      { seed, numRuns: runs }, // A failure says the seed and the shrunk story.
    );
    assert.ok(tally.checkpoints > runs / 4, `only ${tally.checkpoints} checkpoints`);
  });

  const rounds = testScale(150, 10_000);
  it(`keeps what is acknowledged, whole and in order, in ${rounds} × 3 ends: T01 T02 T07 T09`, async () => {
    const firstSeed = Number(process.env.MIMAMORI_SEED ?? 1);
    const tally = newTally();
    for (let seed = firstSeed; seed < firstSeed + rounds; seed++) {
      await playLives(seed, tally).catch(cause => {
        throw new Error(`MIMAMORI_SEED=${seed}: ${cause.message}`, { cause });
      });
    }
    // Each kind of trouble was met often enough to mean something.
    for (const [what, times] of Object.entries(tally)) assert.ok(times > rounds / 4, `${what}: ${times}`);
  });

  it('would notice a disk that acknowledges before it syncs: T11', async () => {
    assert.notEqual(await findBrokenPromise(30, { spoilFiles: withoutSync }), undefined);
  });

  it('would notice segments deleted before the checkpoint is durable: T09', async () => {
    const spoil: LifeOptions['spoil'] = ({ journal, recovered }) => {
      const begin = journal.beginCheckpoint.bind(journal);
      journal.beginCheckpoint = () => {
        begin();
        recovered.log.becomeRedundant(recovered.log.durableUpTo);
      };
    };
    assert.notEqual(await findBrokenPromise(100, { spoil }), undefined);
  });

  it('would notice a message whose content is only in what a checkpoint deletes: T09', async () => {
    const spoil: LifeOptions['spoil'] = ({ journal }) => {
      journal.beginCheckpoint = () => {};
    };
    assert.notEqual(await findBrokenPromise(100, { spoil }), undefined);
  });

  it('would notice a checkpoint that leaves out a client', async () => {
    const source: LifeOptions['source'] = model => ({
      clients: () => [...model.clients()].slice(1),
      retained: () => model.retained(),
    });
    assert.notEqual(await findBrokenPromise(100, { source }), undefined);
  });

  it('would notice a client written as it was a step before', async () => {
    const source: LifeOptions['source'] = model => ({
      clients: () =>
        [...model.clients()].map(client => {
          const state = client.state();
          return { state: () => state };
        }),
      retained: () => model.retained(),
    });
    assert.notEqual(await findBrokenPromise(100, { source }), undefined);
  });
});
