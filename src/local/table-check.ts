/** Looks at, and mends, the table of an app that is stopped. */
import { systemClock } from '../kernel/clock.ts';
import { joinPath, systemFiles } from '../kernel/files.ts';
import { systemRandom } from '../kernel/random.ts';
import type { KeyValueStore } from '../kernel/store.ts';
import {
  type CheckReport,
  checkTables,
  rawEntry,
  rebuildIndexes,
  removeDamaged,
  upgradeStore,
} from '../platform/table/index.ts';
import { withStoppedStore } from './table-transfer.ts';

export interface CheckOptions {
  readonly dataDirectory: string;
  readonly rebuildsIndexes: boolean;
  readonly removesDamaged: boolean;
}

export interface Checked {
  /** As it is now. */
  readonly report: CheckReport;
  readonly removed: number;
  /** Where what was removed is kept. */
  readonly keptIn: string | undefined;
}

/** Throws `transfer.dataNotFound`, `transfer.running`, `table.formatTooNew`, `store.*`. */
export function checkStopped(options: CheckOptions): Promise<Checked> {
  const { dataDirectory, rebuildsIndexes, removesDamaged } = options;
  return withStoppedStore(dataDirectory, async store => {
    await upgradeStore(store, { clock: systemClock, random: systemRandom });
    const kept = removesDamaged ? await remove(store, dataDirectory) : { removed: 0, keptIn: undefined };
    if (rebuildsIndexes || kept.removed > 0) await rebuildIndexes(store, systemClock);
    return { report: checkTables(store), ...kept };
  });
}

async function remove(store: KeyValueStore, directory: string): Promise<Pick<Checked, 'removed' | 'keptIn'>> {
  const keptIn = joinPath(directory, `damaged-${systemClock.nowMs()}.ndjson`);
  const file = await systemFiles.open(keptIn, { create: true });
  let end = 0;
  try {
    const removed = await removeDamaged(store, async entry => {
      const line = Buffer.from(`${JSON.stringify(rawEntry(entry))}\n`, 'utf8');
      await file.write(line, end);
      await file.sync();
      end += line.length;
    });
    return { removed, keptIn: removed > 0 ? keptIn : undefined };
  } finally {
    await file.close();
    if (end === 0) await systemFiles.remove(keptIn);
  }
}
