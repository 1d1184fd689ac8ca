import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { blockHeaderBytes, ChangeGroup } from './change-group.ts';
import { codeOf } from './errors.ts';
import type { Files } from './files.ts';
import { type JournaledStoreLimits, openJournaledStore } from './journaled-store.ts';
import { seededRandom } from './random.ts';
import type { KeyValueStore } from './store.ts';
import { hasCode, key, put, read } from './store-contract.ts';
import { storeFailed, storeFull } from './store-errors.ts';
import { TestBase } from './test-base.ts';
import { TestDisk } from './test-disk.ts';
import { VirtualClock } from './virtual-clock.ts';

const directory = '/store/journal';

/** A disk and a base with one store at a time on them. */
class World {
  readonly clock = new VirtualClock();
  readonly random = seededRandom(7);
  readonly disk = new TestDisk({ clock: this.clock, random: this.random });
  readonly base = new TestBase(this.clock, this.random);

  /** A process that starts; one that still runs is killed. */
  open(limits?: Partial<JournaledStoreLimits>, spoil = (files: Files) => files): Promise<KeyValueStore> {
    this.disk.kill();
    this.base.kill();
    const journal = { files: spoil(this.disk.mount()), random: this.random, directory };
    return this.clock.until(openJournaledStore({ base: this.base.mount(), journal, durability: 'sync', limits }));
  }

  put(store: KeyValueStore, name: string, value = name): Promise<void> {
    return this.clock.until(put(store, name, value));
  }

  /** Paths of the journal's files, oldest first. */
  async files(): Promise<string[]> {
    return (await this.disk.mount().list(directory)).map(name => `${directory}/${name}`);
  }

  async cut(path: string, bytes: number): Promise<void> {
    const file = await this.disk.mount().open(path);
    await file.truncate(bytes);
  }

  async overwrite(path: string, position: number, bytes: Uint8Array): Promise<void> {
    const file = await this.disk.mount().open(path);
    await this.clock.until(file.write(bytes, position));
  }
}

/** Three groups in the journal of a store that was killed. */
async function killedWorld(): Promise<{ world: World; path: string; ends: number[] }> {
  const world = new World();
  const store = await world.open();
  const [path] = await world.files();
  const ends: number[] = [];
  for (const name of ['a', 'b', 'c']) {
    await world.put(store, name, `value of ${name}`);
    ends.push(world.disk.sizeOf(path));
  }
  return { world, path, ends };
}

describe('the journal of a store', () => {
  it('takes a block that ends at any byte for one that was never acknowledged', async () => {
    const { ends } = await killedWorld();
    for (let length = ends[1]; length < ends[2]; length++) {
      const { world, path } = await killedWorld();
      await world.cut(path, length);
      const store = await world.open();
      assert.equal(read(store, 'b'), 'value of b');
      assert.equal(read(store, 'c'), undefined, `with ${length - ends[1]} bytes of it`);
      await world.put(store, 'd');
      assert.equal(read(await world.open(), 'd'), 'd');
    }
  });

  it('never serves a last block of which any byte is wrong', async () => {
    const { ends } = await killedWorld();
    for (let position = ends[1]; position < ends[2]; position++) {
      const { world, path } = await killedWorld();
      world.disk.flipByte(path, position);
      const found = await world.open().then(
        store => read(store, 'c'),
        error => (hasCode('store.versionUnknown')(error) ? 'refused' : assert.fail(error)),
      );
      assert.ok(found === undefined || found === 'refused', `byte ${position}: ${found}`);
    }
  });

  it('refuses to open when any byte before the last block is wrong, and keeps the evidence', async () => {
    const { ends } = await killedWorld();
    for (let position = 0; position < ends[1]; position++) {
      const { world, path } = await killedWorld();
      world.disk.flipByte(path, position);
      await assert.rejects(world.open(), error => /^store\.(corrupt|versionUnknown)$/.test(codeOf(error)));
      assert.equal(world.disk.sizeOf(path), ends[2]);
    }
  });

  it('refuses to open when an older file is missing or shortened', async () => {
    const killed = async () => {
      const world = new World();
      const store = await world.open({ journalFileBytesMax: 1 });
      world.base.latencyMs = 1_000; // so that the kill comes before the checkpoint is over
      for (const name of ['a', 'b', 'c']) await world.put(store, name);
      const paths = await world.files();
      assert.equal(paths.length, 2);
      return { world, paths };
    };
    const whole = await killed();
    assert.equal(read(await whole.world.open(), 'a'), 'a');
    const shortened = await killed();
    await shortened.world.cut(shortened.paths[0], shortened.world.disk.sizeOf(shortened.paths[0]) - 1);
    await assert.rejects(shortened.world.open(), hasCode('store.corrupt'));
    const swapped = await killed();
    await swapped.world.overwrite(swapped.paths[1], 0, Buffer.from('MMJ2'));
    await assert.rejects(swapped.world.open(), hasCode('store.versionUnknown'));
  });

  it('refuses a journal of a later format and leaves it as it is', async () => {
    const { world, path, ends } = await killedWorld();
    await world.overwrite(path, ends[1], Buffer.from('MMJ2'));
    await assert.rejects(world.open(), hasCode('store.versionUnknown'));
    assert.equal(world.disk.sizeOf(path), ends[2]);
  });

  it('is not deceived by a value that looks like a block', async () => {
    const fake = new ChangeGroup(9, 100);
    fake.add(key('c'), key('forged'));
    const forged = Buffer.from(fake.seal({ previousChecksum: 0, salt: 1 }).bytes);
    const world = new World();
    const store = await world.open();
    const [path] = await world.files();
    await world.put(store, 'a');
    const before = world.disk.sizeOf(path);
    await world.clock.until(store.write(transaction => transaction.put(key('b'), forged)));
    world.disk.flipByte(path, before + blockHeaderBytes); // the block around it was torn
    const reopened = await world.open();
    assert.equal(read(reopened, 'a'), 'a');
    assert.equal(read(reopened, 'c'), undefined);
  });

  it('is replayed again when the replay was killed', async () => {
    const { world } = await killedWorld();
    world.base.latencyMs = 50;
    const opening = openJournaledStore({
      base: world.base.mount(),
      journal: { files: world.disk.mount(), random: world.random, directory },
      durability: 'sync',
    });
    opening.catch(() => {});
    await world.clock.advance(20);
    const store = await world.open();
    for (const name of ['a', 'b', 'c']) assert.equal(read(store, name), `value of ${name}`);
  });

  it('drops no file that holds what the base lacks, however long it takes to drop one', async () => {
    const world = new World();
    const slowToRemove = (files: Files): Files => ({
      ...files,
      remove: async filePath => {
        await new Promise<void>(resolve => void world.clock.setTimer(100, resolve));
        await files.remove(filePath);
      },
    });
    const store = await world.open({ journalFileBytesMax: blockHeaderBytes + 9 }, slowToRemove); // more than one group
    const written: string[] = [];
    for (let count = 0; count < 40; count++) {
      await world.put(store, `n${count}`);
      written.push(`n${count}`);
      await world.clock.advance(count % 20);
      if (count === 10) world.base.latencyMs = 10_000;
    }
    const reopened = await world.open();
    for (const name of written) assert.equal(read(reopened, name), name);
  });

  it('is gone after a close, and grows no further than its limits while it is open', async () => {
    const world = new World();
    const store = await world.open({ journalFileBytesMax: 2_000, overlayBytesMax: 8_000 });
    let mostBytes = 0;
    for (let count = 0; count < 500; count++) {
      await world.put(store, `n${count % 90}`, 'x'.repeat(100));
      const sizes = (await world.files()).map(path => world.disk.sizeOf(path));
      mostBytes = Math.max(
        mostBytes,
        sizes.reduce((sum, size) => sum + size, 0),
      );
    }
    assert.ok(mostBytes < 12_000, `${mostBytes} bytes`);
    assert.ok(world.base.commits > 10);
    await world.clock.until(store.close());
    assert.deepEqual(await world.files(), []);
  });
});

describe('a journaled store on a failing disk', () => {
  it('refuses with store.full, shows nothing of it, and goes on when there is room', async () => {
    const world = new World();
    const store = await world.open();
    await world.put(store, 'a', 'old');
    world.disk.failNext({ operation: 'write', code: 'ENOSPC' });
    const refused = await world.clock.until(Promise.allSettled([put(store, 'a', 'new'), put(store, 'b', 'new')]));
    for (const outcome of refused) assert.ok(outcome.status === 'rejected' && hasCode('store.full')(outcome.reason));
    assert.equal(read(store, 'a'), 'old');
    assert.equal(read(store, 'b'), undefined);
    await world.put(store, 'b', 'later');
    world.disk.powerCut();
    const reopened = await world.open();
    assert.equal(read(reopened, 'a'), 'old');
    assert.equal(read(reopened, 'b'), 'later');
  });

  it('takes nothing any more when a sync has failed, still reads, and is whole when it is opened again', async () => {
    const world = new World();
    const store = await world.open();
    await world.put(store, 'a', 'old');
    world.disk.failNext({ operation: 'sync', code: 'EIO' });
    await assert.rejects(world.put(store, 'a', 'new'), hasCode('store.failed'));
    await assert.rejects(world.put(store, 'b'), hasCode('store.failed'));
    await assert.rejects(store.snapshot(), hasCode('store.failed'));
    assert.equal(read(store, 'a'), 'old');
    await world.clock.until(store.close());
    const reopened = await world.open();
    assert.match(read(reopened, 'a') ?? '', /^(old|new)$/); // never heard of
    await world.put(reopened, 'b');
  });

  it('keeps what the base cannot take, and refuses writes only when there is no room to keep more', async () => {
    const world = new World();
    const store = await world.open({ journalFileBytesMax: 500, overlayBytesMax: 6_000 });
    const full = () => world.base.failNext(storeFull(undefined));
    let refused = 0;
    for (let count = 0; count < 60; count++) {
      full();
      await world.put(store, `n${count}`).catch(error => {
        assert.ok(hasCode('store.full')(error));
        refused++;
      });
    }
    assert.ok(refused > 20 && refused < 60, `${refused} refused`);
    world.base.failNext(storeFailed('the last one'));
    for (let count = 0; count < 60; count++) await world.put(store, `n${count}`).catch(() => {});
    for (let count = 0; count < 60; count++) await world.put(store, `n${count}`);
    const reopened = await world.open();
    for (let count = 0; count < 60; count++) assert.equal(read(reopened, `n${count}`), `n${count}`);
  });

  it('holds writers back while the base is slow, and refuses nothing', async () => {
    const world = new World();
    const limits = { journalFileBytesMax: 1_000, overlayBytesMax: 20_000 };
    const store = await world.open(limits);
    world.base.latencyMs = 500;
    const caller = async (name: string) => {
      for (let count = 0; count < 100; count++) await put(store, `${name}${count}`, 'x'.repeat(50));
    };
    const startedMs = world.clock.nowMs();
    await world.clock.until(Promise.all(['a', 'b', 'c', 'd'].map(caller)));
    assert.ok(world.clock.nowMs() - startedMs > 1_000); // 400 writes of some 2 ms for each of the callers, without it
  });

  it('refuses with store.busy what nobody waited for', async () => {
    const world = new World();
    const store = await world.open({ gatheringBytesMax: 1_000 });
    const writes = Array.from({ length: 20 }, (_, count) => put(store, `n${count}`, 'x'.repeat(100)));
    const outcomes = await world.clock.until(Promise.allSettled(writes));
    const refused = outcomes.filter(({ status }) => status === 'rejected');
    assert.ok(refused.length > 5 && refused.length < 15, `${refused.length} refused`);
    for (const outcome of refused) assert.ok(outcome.status === 'rejected' && hasCode('store.busy')(outcome.reason));
    await world.put(store, 'later');
  });
});
