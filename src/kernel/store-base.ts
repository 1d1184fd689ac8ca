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

/**
 * Brings any number of changes into `base`; takes them one transaction at a time. When it fails, some of them may be
 * there. `onCommitted` is told how many each time.
 */
export async function commitAll(
  base: StoreBase,
  changes: Iterable<Change>,
  onCommitted?: (changes: number) => void,
): Promise<void> {
  const { commitChangesMax, commitBytesMax } = storeBaseLimits;
  let slice: Change[] = [];
  let bytes = 0;
  const commit = async () => {
    await base.commit(slice);
    onCommitted?.(slice.length);
    slice = [];
    bytes = 0;
  };
  for (const change of changes) {
    slice.push(change);
    bytes += change.value?.length ?? 0;
    if (slice.length >= commitChangesMax || bytes >= commitBytesMax) await commit();
  }
  if (slice.length > 0) await commit();
}
