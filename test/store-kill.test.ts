import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { openLmdbStore } from '../src/kernel/lmdb-store.ts';
import { seededRandom } from '../src/kernel/random.ts';
import { key, read, text } from '../src/kernel/store-contract.ts';
import { names } from './store-owner.test-process.ts';
import { temporaryFolder, testScale } from './support.ts';

const ownerFile = path.join(import.meta.dirname, 'store-owner.test-process.ts');

/** Lets a process write for `ms`, then kills it. Resolves with the last work that was acknowledged. */
async function writeAndKill(folder: string, journalFileBytesMax: number, ms: number): Promise<number> {
  const acknowledgedFile = `${folder}-acknowledged`;
  const args = [ownerFile, folder, acknowledgedFile, `${journalFileBytesMax}`];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  await Promise.race([once(child.stdout, 'data'), exited]);
  await new Promise(resolve => setTimeout(resolve, ms)); // real time: the process is on its own schedule
  child.kill('SIGKILL');
  assert.deepEqual(await exited, [null, 'SIGKILL']);
  return Number(readFileSync(acknowledgedFile, 'utf8').trimEnd().split('\n').at(-1));
}

/** What the first `count` works leave. */
function stateAfter(count: number): Map<string, string> {
  const state = new Map<string, string>();
  for (let id = Math.max(1, count - 2 * names); id <= count; id++) {
    state.set(`${id % names}`, `${id}${'x'.repeat(id % 300)}`);
    if (id % 7 === 0) state.delete(`${(id - 1) % names}`);
  }
  return state;
}

describe('a store whose process is killed', () => {
  it('has everything acknowledged, and work as a whole or not at all', async t => {
    const rounds = testScale(4, 200);
    const seed = Number(process.env.SEED ?? Date.now() % 100_000);
    t.diagnostic(`seed ${seed}, ${rounds} rounds`);
    const random = seededRandom(seed);
    const folder = path.join(temporaryFolder(), 'store');
    let count = 0;
    for (let round = 0; round < rounds; round++) {
      const last = await writeAndKill(folder, [20_000, 200_000, 16 * 1024 * 1024][round % 3], random.integer(200));
      const store = await openLmdbStore({ path: folder, durability: 'sync' });
      const found = Number(read(store, 'count'));
      assert.ok(found >= last && found >= count, `${found} works, ${last} were acknowledged`);
      count = found;
      const entries = [...store.range({ start: key('0'), end: key('a') })];
      const state = new Map(entries.map(entry => [text(entry.key), text(entry.value)]));
      assert.deepEqual(state, stateAfter(count));
      await store.close();
    }
    t.diagnostic(`${count} works`);
    assert.ok(count > rounds * 100, 'the load was real');
  });
});
