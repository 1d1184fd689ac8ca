/** Writes as fast as it can until it is killed, and notes what was acknowledged in a file. Told on by store-kill.test.ts. */
import { openSync, writeSync } from 'node:fs';
import { openLmdbStore } from '../src/kernel/lmdb-store.ts';
import { key, read } from '../src/kernel/store-contract.ts';

export const names = 500; // few enough that keys are written again while they are in the journal

if (import.meta.main) {
  const [folder, acknowledgedFile, journalFileBytesMax] = process.argv.slice(2);
  await writeUntilKilled(folder, openSync(acknowledgedFile, 'w'), Number(journalFileBytesMax));
}

async function writeUntilKilled(path: string, acknowledged: number, journalFileBytesMax: number): Promise<never> {
  const store = await openLmdbStore({ path, durability: 'sync', limits: { journalFileBytesMax } });
  process.stdout.write('open\n');
  const caller = async () => {
    for (;;) {
      const id = await store.write(transaction => {
        const next = Number(read(transaction, 'count') ?? 0) + 1;
        transaction.put(key(`${next % names}`), key(`${next}${'x'.repeat(next % 300)}`));
        if (next % 7 === 0) transaction.delete(key(`${(next - 1) % names}`));
        transaction.put(key('count'), key(`${next}`));
        return next;
      });
      writeSync(acknowledged, `${id}\n`);
    }
  };
  await Promise.all(Array.from({ length: 20 }, caller));
  throw new Error('callers never end');
}
