/**
 * An ordered key-value store: what the table engine and the device registry stand on. Keys and values are bytes, keys
 * are ordered byte by byte (unsigned). One writer at a time; readers see every write at once, also one that a power cut
 * could still take back.
 */
export interface KeyValueStore extends StoreReader {
  /**
   * Runs `work` alone against the latest state. Everything it puts and deletes becomes visible together, and the
   * promise resolves once that would survive a power cut (group commit: calls of one turn share one sync).
   * `work` decides first and writes last: it must not throw after its first put or delete.
   * Rejects with what `work` threw (nothing written), `store.full`, `store.busy`, or `store.failed`.
   */
  write<T>(work: (transaction: StoreTransaction) => T): Promise<T>;
  /**
   * Everything written so far, unchanged by what is written later; resolves once none of it can be taken back. Costs
   * memory and disk while it is open, so close it soon; closing the store closes it too.
   * Rejects with `store.busy` when `storeLimits.snapshotsMax` are open, and as `write` does.
   */
  snapshot(): Promise<StoreSnapshot>;
  close(): Promise<void>;
}

export interface StoreReader {
  /** The returned bytes are the caller's own. */
  get(key: Uint8Array): Uint8Array | undefined;
  /** In key order (or the reverse). Lazy: stop iterating to stop reading. No write may happen while iterating. */
  range(range: StoreRange): Iterable<StoreEntry>;
}

/** Throws `store.failed` once it is closed. */
export interface StoreSnapshot extends StoreReader {
  close(): void;
}

export interface StoreTransaction extends StoreReader {
  put(key: Uint8Array, value: Uint8Array): void;
  /** Content if there was nothing. */
  delete(key: Uint8Array): void;
}

export interface StoreRange {
  /** First key, inclusive. */
  readonly start: Uint8Array;
  /** Key behind the last, exclusive. */
  readonly end: Uint8Array;
  /** Walk from `end` down to `start`. The bounds keep their meaning: start inclusive, end exclusive. */
  readonly reverse?: boolean;
}

export interface StoreEntry {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

export const storeLimits = {
  keyBytesMax: 4_000, // LMDB with 8 KiB pages allows 4,026; DynamoDB keys need 2,048 + 1,024 plus framing
  valueBytesMax: 16 * 1024 * 1024, // ours: far above a 400 KB item
  snapshotsMax: 8, // ours: each keeps pages of its time from being used again
} as const;

/** `sync`: durable when the promise resolves. `relaxed`: kept in memory, stored in the background and when it is closed; for tests only. */
export type Durability = 'sync' | 'relaxed';
