import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { Worker } from 'node:worker_threads';
import { openLmdbStore } from './lmdb-store.ts';
import { MemoryDisk, openMemoryStore } from './memory-store.ts';
import { hasCode, key, put, read, storeContract } from './store-contract.ts';
import { VirtualClock } from './virtual-clock.ts';

for (const durability of ['sync', 'relaxed'] as const) {
  storeContract(`LMDB, ${durability}`, async () => {
    const path = await mkdtemp(join(tmpdir(), 'mimamori-store-'));
    return {
      open: () => openLmdbStore({ path, durability }),
      until: promise => promise,
      cleanUp: () => rm(path, { recursive: true }),
    };
  });
}

storeContract('memory', async () => {
  const clock = new VirtualClock();
  const disk = new MemoryDisk({ clock });
  return {
    open: () => openMemoryStore({ clock, disk }),
    until: promise => clock.until(promise),
    cleanUp: async () => {},
  };
});

describe('LMDB store', () => {
  it('loses nothing acknowledged when the thread that owns it is terminated, and opens again', async () => {
    const path = await mkdtemp(join(tmpdir(), 'mimamori-store-'));
    const acknowledged = new Set<number>();
    for (let round = 0; round < 20; round++) {
      const worker = new Worker(new URL('./store-owner.test-worker.ts', import.meta.url), {
        workerData: { path, round, loopAfterTurns: 1 + (round % 7) },
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
});

describe('memory disk', () => {
  it('forgets in a power cut exactly what was not acknowledged', async () => {
    const clock = new VirtualClock();
    const disk = new MemoryDisk({ clock, syncMs: 5 });
    const store = disk.open();
    await clock.until(put(store, 'a', 'old'));
    const lost = [put(store, 'a', 'new'), put(store, 'b', 'new')];
    assert.equal(read(store, 'a'), 'new');
    await clock.advance(4);
    disk.crash();
    for (const write of lost) await assert.rejects(write, hasCode('store.failed'));
    assert.throws(() => store.get(key('a')), hasCode('store.failed'));
    await assert.rejects(put(store, 'a', 'late'), hasCode('store.failed'));
    const reopened = disk.open();
    assert.equal(read(reopened, 'a'), 'old');
    assert.equal(read(reopened, 'b'), undefined);
    const kept = put(reopened, 'b', 'kept');
    await clock.advance(4); // the sync of the old store is not taken for that of the new one
    disk.crash();
    await assert.rejects(kept, hasCode('store.failed'));
  });
});
