/** What LMDB and the directory add to the contract: see store.test.ts, store-journal.test.ts, store-power-cut.test.ts. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { Worker } from 'node:worker_threads';
import { open } from 'lmdb';
import { openLmdbStore } from './lmdb-store.ts';
import { hasCode, key, put, read, text } from './store-contract.ts';

/** As the releases without a journal open it. */
function openAsBefore(path: string) {
  return open<Uint8Array, Uint8Array>({
    path,
    noSubdir: false,
    keyEncoding: 'binary',
    encoding: 'binary',
    pageSize: 8_192,
    eventTurnBatching: false,
    // A cast, as lmdb's types lack an option of its README.
    separateFlushed: true,
  } as Parameters<typeof open>[0]);
}

async function inFolder(run: (path: string) => Promise<void>): Promise<void> {
  const path = await mkdtemp(join(tmpdir(), 'mimamori-store-'));
  try {
    await run(path);
  } finally {
    await rm(path, { recursive: true, force: true });
  }
}

describe('LMDB store', () => {
  it('loses nothing acknowledged when the thread that owns it is terminated, and opens again', async () => {
    const path = await mkdtemp(join(tmpdir(), 'mimamori-store-'));
    const acknowledged = new Set<number>();
    for (let round = 0; round < 20; round++) {
      const worker = new Worker(new URL('./store-owner.test-worker.ts', import.meta.url), {
        workerData: {
          path,
          round,
          loopAfterTurns: 1 + (round % 7),
          limits: round % 2 === 0 ? { journalFileBytesMax: 10_000 } : {},
        },
      });
      worker.on('message', (count: number) => acknowledged.add(round * 1e6 + count));
      await once(worker, 'message'); // writes are in flight from now on
      await new Promise(resolve => setTimeout(resolve, round)); // real time: the thread is on its own schedule
      await worker.terminate();
      const store = await openLmdbStore({ path, durability: 'sync' });
      for (const count of acknowledged) assert.equal(read(store, `n${count}`), String(count));
      await put(store, `n${round * 1e6 + 999_999}`, String(round * 1e6 + 999_999));
      acknowledged.add(round * 1e6 + 999_999);
      await store.close();
    }
    await rm(path, { recursive: true });
  });

  it('opens what releases without a journal wrote', () =>
    inFolder(async path => {
      const before = openAsBefore(path);
      await before.put(key('a'), key('one'));
      await before.close();
      for (let round = 0; round < 2; round++) {
        const store = await openLmdbStore({ path, durability: 'sync' });
        assert.equal(read(store, 'a'), 'one');
        await put(store, 'b', 'two');
        await store.close();
        assert.deepEqual(await readdir(join(path, 'journal')), []);
      }
    }));

  it('is not opened by releases without a journal, which they would not read', () =>
    inFolder(async path => {
      const store = await openLmdbStore({ path, durability: 'sync' });
      await put(store, 'a', 'one');
      await store.close();
      assert.throws(() => openAsBefore(path), /Is a directory/);
      await mkdir(join(path, 'other'));
      await writeFile(join(path, 'other', 'data.mdb'), 'one release');
      await writeFile(join(path, 'other', 'entries.mdb'), 'and another');
      await assert.rejects(openLmdbStore({ path: join(path, 'other'), durability: 'sync' }), hasCode('store.failed'));
    }));

  it('is opened by one at a time', () =>
    inFolder(async path => {
      const store = await openLmdbStore({ path, durability: 'sync' });
      await assert.rejects(openLmdbStore({ path, durability: 'sync' }), hasCode('store.inUse'));
      await put(store, 'a', 'one');
      await store.close();
      await store.close();
      const reopened = await openLmdbStore({ path, durability: 'sync' });
      assert.equal(read(reopened, 'a'), 'one');
      await reopened.close();
    }));

  it('can be opened after it could not be', () =>
    inFolder(async path => {
      await mkdir(join(path, 'journal'));
      const damaged = join(path, 'journal', '00000000000000000001-00000000.log');
      await writeFile(damaged, 'MMJ2');
      await assert.rejects(openLmdbStore({ path, durability: 'sync' }), hasCode('store.versionUnknown'));
      await rm(damaged);
      await mkdir(damaged);
      await assert.rejects(openLmdbStore({ path, durability: 'sync' }), hasCode('store.failed'));
      await rm(damaged, { recursive: true });
      const store = await openLmdbStore({ path, durability: 'sync' });
      await put(store, 'a', 'one');
      await store.close();
      await assert.rejects(
        openLmdbStore({ path: join(path, 'entries.mdb'), durability: 'sync' }),
        hasCode('store.failed'),
      );
    }));

  it('fails when its directory is taken away, and says so at the latest with the next journal file', () =>
    inFolder(async path => {
      const inside = join(path, 'store');
      const store = await openLmdbStore({ path: inside, durability: 'sync', limits: { journalFileBytesMax: 1_000 } });
      await put(store, 'a', 'one');
      await rm(inside, { recursive: true });
      await assert.rejects(async () => {
        for (let count = 0; count < 20; count++) await put(store, `n${count}`, 'x'.repeat(200));
      }, hasCode('store.failed'));
      await assert.rejects(put(store, 'b', 'two'), hasCode('store.failed'));
      assert.equal(read(store, 'a'), 'one');
      await store.close();
    }));

  it('reads from the right version at any moment of a checkpoint, also through a snapshot', () =>
    inFolder(async path => {
      const store = await openLmdbStore({ path, durability: 'sync', limits: { journalFileBytesMax: 20_000 } });
      const model = new Map<string, string>();
      const snapshot = await store.snapshot();
      for (let round = 0; round < 200; round++) {
        const writes = Array.from({ length: 20 }, (_, index) => {
          const name = `n${(round * 37 + index * 13) % 400}`;
          model.set(name, `${round}`);
          return put(store, name, `${round}`);
        });
        for (const [name, value] of model) assert.equal(read(store, name), value);
        if (round % 10 === 0) {
          const listed = [...store.range({ start: key('n'), end: key('o') })].map(entry => text(entry.value));
          const names = [...model].sort(([left], [right]) => (left < right ? -1 : 1));
          assert.deepEqual(
            listed,
            names.map(([, value]) => value),
          );
        }
        await Promise.all(writes);
      }
      assert.deepEqual([...snapshot.range({ start: key('a'), end: key('z') })], []);
      await store.close();
    }));
});
