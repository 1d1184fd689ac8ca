/** Writes as fast as it can, then hangs in an endless loop with writes in flight. Told on by lmdb-store.test.ts. */
import { parentPort, workerData } from 'node:worker_threads';
import type { JournaledStoreLimits } from './journaled-store.ts';
import { openLmdbStore } from './lmdb-store.ts';
import { put } from './store-contract.ts';

interface Task {
  readonly path: string;
  readonly round: number;
  readonly loopAfterTurns: number;
  readonly limits: Partial<JournaledStoreLimits>;
}

const { path, round, loopAfterTurns, limits } = workerData as Task; // a cast: worker data is untyped, and its sender is our test

const store = await openLmdbStore({ path, durability: 'sync', limits });
let count = 0;
for (let turn = 0; ; turn++) {
  const acknowledgements = Array.from({ length: 50 }, () => {
    const id = count++;
    const name = String(round * 1e6 + id);
    return put(store, `n${name}`, name).then(() => parentPort?.postMessage(id));
  });
  await acknowledgements[0];
  if (turn === loopAfterTurns) {
    for (;;) void put(store, 'endless', String(count++));
  }
}
