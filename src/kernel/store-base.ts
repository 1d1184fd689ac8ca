import type { Change } from './change-group.ts';
import type { StoreReader } from './store.ts';

/** Where a journaled store's changes end up: ordered, and changed by whole transactions only. */
export interface StoreBase extends StoreReader {
  /** All of the changes or none; at most one call at a time. Resolves once they are read by everybody and safe. */
  commit(changes: readonly Change[]): Promise<void>;
  /** What is committed now, whatever is committed later. */
  snapshot(): BaseSnapshot;
  close(): Promise<void>;
}

export interface BaseSnapshot extends StoreReader {
  close(): void;
}

export const storeBaseLimits = {
  commitChangesMax: 4_096, // ours: handing them over takes about 3 ms of our thread; their pages take at most 32 MiB
  commitBytesMax: 16 * 1024 * 1024, // ours: and about as much for values
} as const;

/** Brings any number of changes into `base`. When it fails, some of them may be there. */
export async function commitAll(base: StoreBase, changes: readonly Change[]): Promise<void> {
  const { commitChangesMax, commitBytesMax } = storeBaseLimits;
  for (let from = 0; from < changes.length; ) {
    let to = from;
    for (let bytes = 0; to < changes.length && to - from < commitChangesMax && bytes < commitBytesMax; to++) {
      bytes += changes[to].value?.length ?? 0;
    }
    await base.commit(changes.slice(from, to));
    from = to;
  }
}
