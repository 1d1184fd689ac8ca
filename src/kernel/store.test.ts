import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { type LmdbStoreOptions, openLmdbStore } from './lmdb-store.ts';
import { MemoryDisk, openMemoryStore } from './memory-store.ts';
import { hasCode, key, put, read, storeContract } from './store-contract.ts';
import { VirtualClock } from './virtual-clock.ts';

const engines: [engine: string, options: Omit<LmdbStoreOptions, 'path'>][] = [
  ['LMDB, sync', { durability: 'sync' }],
  ['LMDB, a checkpoint after every group', { durability: 'sync', limits: { journalFileBytesMax: 1 } }],
  ['LMDB, relaxed', { durability: 'relaxed' }],
];
for (const [engine, options] of engines) {
  storeContract(engine, async () => {
    const path = await mkdtemp(join(tmpdir(), 'mimamori-store-'));
    return {
      open: () => openLmdbStore({ path, ...options }),
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
