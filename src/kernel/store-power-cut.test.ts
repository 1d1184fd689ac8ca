/**
 * Seeded lives of a journaled store: callers write while the power is cut, the process killed, the disk or the base
 * full or failing, again and again. What is there afterwards must be what some prefix of the work left, whole, and
 * everything acknowledged must be in that prefix.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { testScale } from '../../test/support.ts';
import { codeOf } from './errors.ts';
import type { Files } from './files.ts';
import { openJournaledStore } from './journaled-store.ts';
import { type Random, seededRandom } from './random.ts';
import type { KeyValueStore, StoreReader } from './store.ts';
import { key, text } from './store-contract.ts';
import { storeFull } from './store-errors.ts';
import { TestBase } from './test-base.ts';
import { TestDisk, withoutSync, withoutSyncDirectory } from './test-disk.ts';
import { VirtualClock } from './virtual-clock.ts';

type State = ReadonlyMap<string, string>;

/** One unit of work, in the order in which they ran. */
interface Work {
  readonly changes: readonly [name: string, value: string | undefined][];
  acknowledged: boolean;
}

/** What the world outside the process knows. */
class Ledger {
  #before: State = new Map();
  #works: Work[] = [];
  acknowledgements = 0;

  started(changes: Work['changes']): Work {
    const work = { changes, acknowledged: false };
    this.#works.push(work);
    return work;
  }

  refused(work: Work): void {
    assert.ok(!work.acknowledged);
    this.#works = this.#works.filter(other => other !== work);
  }

  acknowledged(work: Work): void {
    work.acknowledged = true;
    this.acknowledgements++;
  }

  /** After everything that has run. */
  now(): State {
    return this.#works.reduce((state, work) => after(state, work), this.#before);
  }

  /** A new life has found `found`. */
  checkSurvived(found: State): void {
    const needed = this.#works.findLastIndex(work => work.acknowledged) + 1;
    let state = this.#works.slice(0, needed).reduce((before, work) => after(before, work), this.#before);
    for (let count = needed; ; count++) {
      if (same(state, found)) break;
      assert.ok(count < this.#works.length, `what was found is what no prefix of the work left: ${[...found]}`);
      state = after(state, this.#works[count]);
    }
    this.#before = found;
    this.#works = [];
  }
}

function after(state: State, { changes }: Work): State {
  const next = new Map(state);
  for (const [name, value] of changes) {
    if (value === undefined) next.delete(name);
    else next.set(name, value);
  }
  return next;
}

function same(left: State, right: State): boolean {
  return left.size === right.size && [...left].every(([name, value]) => right.get(name) === value);
}

function stateOf(reader: StoreReader): State {
  const entries = [...reader.range({ start: key('a'), end: key('z') })];
  const state = new Map(entries.map(entry => [text(entry.key), text(entry.value)]));
  for (const [name, value] of state) assert.equal(text(reader.get(key(name)) ?? key('')), value);
  const backwards = [...reader.range({ start: key('a'), end: key('z'), reverse: true })];
  assert.deepEqual(backwards.reverse(), entries);
  return state;
}

/** Three lives that end at any instant, then one that is closed. Resolves with how many works were acknowledged. */
async function playLives(seed: number, spoil: (files: Files) => Files = files => files): Promise<number> {
  const clock = new VirtualClock();
  const random = seededRandom(seed);
  const disk = new TestDisk({ clock, random });
  const base = new TestBase(clock, random);
  const ledger = new Ledger();
  const limits = { journalFileBytesMax: random.integer(2_000), overlayBytesMax: 500 + random.integer(20_000) };
  const open = (): Promise<KeyValueStore> => {
    const files = slowToRemove(spoil(disk.mount()), clock, random);
    const journal = { files, random, directory: '/store/journal' };
    return clock.until(openJournaledStore({ base: base.mount(), journal, durability: 'sync', limits })).catch(error => {
      if (!['store.full', 'store.failed', 'EIO', 'ENOSPC'].includes(codeOf(error))) throw error;
      return open(); // a failing disk ends a process; whoever watches it starts another
    });
  };
  for (let life = 0; life < 3; life++) {
    const store = await open();
    ledger.checkSurvived(stateOf(store));
    const stop = new AbortController();
    const callers = ['a', 'b', 'c'].map(name => writeUntil(stop.signal, clock, store, name, ledger, random));
    const watching = watchUntil(stop.signal, clock, store, ledger, random);
    const jittering = jitterUntil(stop.signal, clock, disk, random);
    if (random.integer(3) === 0) disk.failNext({ operation: 'write', code: 'ENOSPC' });
    if (random.integer(8) === 0) disk.failNext({ operation: 'sync', code: 'EIO' });
    if (random.integer(8) === 0) disk.failNext({ operation: 'open', code: 'ENOSPC' });
    if (random.integer(4) === 0) base.failNext(storeFull(undefined));
    base.latencyMs = random.integer(20);
    await clock.advance(random.integer(120));
    stop.abort();
    if (random.integer(4) > 0) disk.powerCut();
    else disk.kill();
    base.kill();
    await clock.until(Promise.all([...callers, watching, jittering]));
  }
  const store = await open();
  ledger.checkSurvived(stateOf(store));
  await clock.until(store.close());
  assert.deepEqual(await disk.mount().list('/store/journal'), []);
  assert.ok(same(ledger.now(), stateOf(base.mount())));
  return ledger.acknowledgements;
}

async function pause(clock: VirtualClock, ms: number): Promise<void> {
  await new Promise<void>(resolve => void clock.setTimer(ms, resolve));
}

/** Works on a few keys, some of them together, up to four units on their way at once, and notes what it hears. */
async function writeUntil(
  signal: AbortSignal,
  clock: VirtualClock,
  store: KeyValueStore,
  caller: string,
  ledger: Ledger,
  random: Random,
): Promise<void> {
  const pending = new Set<Promise<void>>();
  for (let count = 0; !signal.aborted; count++) {
    await pause(clock, random.integer(4));
    if (signal.aborted || pending.size === 4) continue;
    const changes = Array.from({ length: 1 + random.integer(3) }, (): [string, string | undefined] => {
      const name = `${'abc'[random.integer(3)]}${random.integer(20)}`;
      return [
        name,
        random.integer(4) === 0 ? undefined : `${caller}${clock.nowMs()}:${count}${'x'.repeat(random.integer(40))}`,
      ];
    });
    let work: Work | undefined;
    const written = store.write(transaction => {
      for (const [name, value] of changes) {
        if (value === undefined) transaction.delete(key(name));
        else transaction.put(key(name), key(value));
      }
      if (random.integer(5) === 0) throw new Error('decided not to');
      work = ledger.started(changes);
    });
    const heard = written.then(
      () => {
        if (!signal.aborted && work) ledger.acknowledged(work);
      },
      error => {
        if (!signal.aborted && work && codeOf(error) === 'store.full') ledger.refused(work);
      },
    );
    pending.add(heard.finally(() => pending.delete(heard)));
  }
}

/** Reads now and then, and holds on to snapshots, which must show the moment in which they were asked for. */
async function watchUntil(
  signal: AbortSignal,
  clock: VirtualClock,
  store: KeyValueStore,
  ledger: Ledger,
  random: Random,
): Promise<void> {
  while (!signal.aborted) {
    await pause(clock, 1 + random.integer(10));
    if (signal.aborted) return;
    const expected = ledger.now();
    const seen = stateOf(store);
    // Work of a store that has failed for good was retracted, and may be found all the same by the next life.
    const snapshot = await store.snapshot().catch(() => undefined);
    if (snapshot === undefined || signal.aborted) continue;
    assert.deepEqual(seen, expected);
    await pause(clock, random.integer(30));
    if (!signal.aborted) assert.deepEqual(stateOf(snapshot), expected);
    snapshot.close();
  }
}

/** The disk is quick and slow by turns, so that whatever waits for it ends in any order. */
async function jitterUntil(signal: AbortSignal, clock: VirtualClock, disk: TestDisk, random: Random): Promise<void> {
  while (!signal.aborted) {
    disk.latencyMs = random.integer(3);
    await pause(clock, 1);
  }
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

/** The same files, but a removal may take long. */
function slowToRemove(files: Files, clock: VirtualClock, random: Random): Files {
  return {
    ...files,
    remove: async filePath => {
      await pause(clock, random.integer(30));
      await files.remove(filePath);
    },
  };
}

describe('a journaled store whose power is cut', () => {
  const rounds = testScale(100, 20_000);
  it(`loses, tears, reorders and invents nothing in ${rounds} lives`, async () => {
    const firstSeed = Number(process.env.MIMAMORI_SEED ?? 1);
    let acknowledgements = 0;
    for (let seed = firstSeed; seed < firstSeed + rounds; seed++) {
      acknowledgements += await playLives(seed).catch(cause => {
        throw new Error(`MIMAMORI_SEED=${seed}: ${cause.message}`, { cause });
      });
    }
    assert.ok(acknowledgements > rounds * 10, `only ${acknowledgements} acknowledgements put to the test`);
  });

  it('would notice a journal that acknowledges before it syncs', async () => {
    assert.notEqual(await findBrokenPromise(30, withoutSync), undefined);
  });

  it('would notice that the name of a new file is not synced', async () => {
    assert.notEqual(await findBrokenPromise(60, withoutSyncDirectory), undefined);
  });
});
