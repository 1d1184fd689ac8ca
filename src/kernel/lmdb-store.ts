/**
 * The store on local disk: LMDB, with the writes of one turn of the event loop in one transaction and one sync.
 *
 * A unit of work runs at once, on our own thread, against what is committed plus what is pending; its changes are kept
 * in memory (and seen by every later read) until a thread of the pool has committed and synced them as part of a
 * group. While one group syncs the next gathers. So our thread never waits for the disk, work that throws costs no
 * sync, and no JavaScript ever runs inside an LMDB transaction: the thread that owns the store may be terminated at
 * any instruction without leaving LMDB's writer lock behind. (Tried and dropped: `transactionSync`, which waits for the
 * sync on our thread; `transaction`, whose pool thread waits for a callback that a terminated thread never makes.)
 *
 * One rule for whoever terminates that thread: not before this module is loaded and `openLmdbStore` has resolved. A
 * thread terminated while lmdb's native part is being set up aborts the whole process (seen once in 400 terminations at
 * random instants; none in 1,800 after the store was open).
 */
import assert from 'node:assert/strict';
import { open as openFile, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type Database, open } from 'lmdb';
import { SortedMap, toText } from './sorted-map.ts';
import type { Durability, KeyValueStore, StoreEntry, StoreRange, StoreTransaction } from './store.ts';
import { checkEntry, storeBusy, storeClosed, storeFailed, storeFull } from './store-errors.ts';

export const lmdbLimits = {
  pageBytes: 8_192, // LMDB: with 8 KiB pages keys may have 4,026 bytes
  pendingBytesMax: 64 * 1024 * 1024, // ours: bounds what waits in memory while the disk is slow
  freeBytesMin: 16 * 1024 * 1024, // ours: a write that fails on a disk with less room failed for want of room
  entryOverheadBytes: 128, // ours: what a pending change costs besides its key and value, roughly
} as const;

export interface LmdbStoreOptions {
  /** A directory; made when absent. One thread at a time may have it open. */
  readonly path: string;
  readonly durability: Durability;
}

export async function openLmdbStore({ path, durability }: LmdbStoreOptions): Promise<KeyValueStore> {
  try {
    const database = open<Uint8Array, Uint8Array>({
      path,
      noSubdir: false, // a directory even when its name contains a dot
      keyEncoding: 'binary',
      encoding: 'binary',
      pageSize: lmdbLimits.pageBytes,
      noSync: durability === 'relaxed',
      eventTurnBatching: false, // we form the groups
      separateFlushed: true, // gives `Committed`
      batchStartThreshold: Number.MAX_SAFE_INTEGER, // LMDB's thread must never see, and wait for, half a group
    } as Parameters<typeof open>[0]); // lmdb's types lack the last one; its README and source have it
    if (durability === 'sync') await syncDirectories(path);
    return new LmdbStore(path, database as Database<Uint8Array, Uint8Array>);
  } catch (cause) {
    throw await toStoreError(cause, path);
  }
}

/** LMDB syncs its file, but a power cut may still forget a new file's name, which its directory holds. */
async function syncDirectories(path: string): Promise<void> {
  if (process.platform === 'win32') return; // where a directory cannot be opened
  for (const each of [path, dirname(path)]) {
    const directory = await openFile(each);
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
  }
}

/** What lmdb's `batch` really returns with `separateFlushed`: commits first, is safe on disk when `flushed` resolves. */
interface Committed extends Promise<boolean> {
  flushed?: Promise<unknown>;
}

/** A change not yet on disk. `undefined` is a deletion; `group` tells whether a later one has replaced it. */
interface PendingChange {
  readonly key: Uint8Array;
  readonly value: Uint8Array | undefined;
  readonly group: Group;
}

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

interface Group {
  /** The keys changed, once each. */
  readonly keys: Set<string>;
  readonly waiters: Waiter[];
  bytes: number;
}

class LmdbStore implements KeyValueStore {
  readonly #path: string;
  readonly #database: Database<Uint8Array, Uint8Array>;
  readonly #pending = new SortedMap<PendingChange>();
  #gathering: Group = newGroup();
  #syncing: Group | undefined;
  #startScheduled = false;
  #lastCommitFailed = false;
  #working = false;
  #status: 'open' | 'closing' | 'closed' = 'open';

  constructor(path: string, database: Database<Uint8Array, Uint8Array>) {
    this.#path = path;
    this.#database = database;
  }

  get(key: Uint8Array): Uint8Array | undefined {
    if (this.#status === 'closed') throw storeClosed();
    if (this.#pending.size > 0) {
      const change = this.#pending.get(toText(key));
      if (change !== undefined) return change.value && copyOf(change.value);
    }
    const value = this.#database.getBinary(key);
    return value && plainBytes(value);
  }

  range(range: StoreRange): Iterable<StoreEntry> {
    if (this.#status === 'closed') throw storeClosed();
    const start = toText(range.start);
    const end = toText(range.end);
    if (start >= end) return [];
    if (this.#pending.size === 0) return this.#committedRange(range);
    return this.#mergedRange(range, this.#pending.range(start, end, range.reverse === true));
  }

  *#mergedRange(range: StoreRange, changes: Generator<[string, PendingChange]>): Generator<StoreEntry> {
    let nextChange = changes.next();
    for (const entry of this.#committedRange(range)) {
      if (nextChange.done !== true) {
        const key = toText(entry.key);
        while (nextChange.done !== true && comesBefore(nextChange.value[0], key, range.reverse)) {
          yield* changedEntry(nextChange.value[1]);
          nextChange = changes.next();
        }
        if (nextChange.done !== true && nextChange.value[0] === key) continue; // the change comes with the next entry
      }
      yield entry;
    }
    for (; nextChange.done !== true; nextChange = changes.next()) yield* changedEntry(nextChange.value[1]);
  }

  *#committedRange({ start, end, reverse }: StoreRange): Generator<StoreEntry> {
    // LMDB walks from its `start`, so in reverse the two change places, and so does which of them is included.
    const lmdbRange = reverse
      ? { start: end, end: start, reverse, exclusiveStart: true, inclusiveEnd: true }
      : { start, end };
    for (const { key, value } of this.#database.getRange(lmdbRange)) {
      yield { key: plainBytes(key), value: plainBytes(value) };
    }
  }

  write<T>(work: (transaction: StoreTransaction) => T): Promise<T> {
    if (this.#status !== 'open') return Promise.reject(storeClosed());
    if (this.#gathering.bytes > lmdbLimits.pendingBytesMax) return Promise.reject(storeBusy(this.#gathering.bytes));
    let result: T;
    try {
      result = this.#run(work);
    } catch (error) {
      return Promise.reject(error); // at once: a refusal waits for no disk
    }
    // Work that wrote nothing may have decided on what is still pending, so it waits for that.
    const group = this.#gathering.keys.size > 0 ? this.#gathering : this.#syncing;
    if (group === undefined) return Promise.resolve(result);
    return new Promise((resolve, reject) => {
      group.waiters.push({ resolve: () => resolve(result), reject });
    });
  }

  /** Runs `work`, its changes going straight to the pending ones; they are taken back if it throws all the same. */
  #run<T>(work: (transaction: StoreTransaction) => T): T {
    assert(!this.#working); // work does not write to the store it works in
    const transaction = new PendingTransaction(this, (key, value) => this.#change(key, value));
    this.#working = true;
    try {
      const result = work(transaction);
      this.#scheduleStart();
      return result;
    } catch (error) {
      for (const undo of transaction.undos.reverse()) undo();
      throw error;
    } finally {
      this.#working = false;
    }
  }

  /** Returns what takes the change back. */
  #change(key: Uint8Array, value: Uint8Array | undefined): () => void {
    checkEntry(key, value);
    const group = this.#gathering;
    const text = toText(key);
    const before = this.#pending.get(text);
    const bytes = key.length + (value?.length ?? 0) + lmdbLimits.entryOverheadBytes;
    this.#pending.set(text, { key: copyOf(key), value: value && copyOf(value), group });
    group.keys.add(text);
    group.bytes += bytes;
    return () => {
      if (before === undefined) this.#pending.delete(text);
      else this.#pending.set(text, before);
      if (before?.group !== group) group.keys.delete(text);
      group.bytes -= bytes;
    };
  }

  #scheduleStart(): void {
    if (this.#startScheduled || this.#syncing !== undefined || this.#gathering.keys.size === 0) return;
    this.#startScheduled = true;
    setImmediate(() => {
      this.#startScheduled = false;
      this.#syncGathered();
    });
  }

  #syncGathered(): void {
    if (this.#syncing !== undefined || this.#gathering.keys.size === 0) return;
    const group = this.#gathering;
    this.#gathering = newGroup();
    this.#syncing = group;
    this.#commit(group).then(
      () => this.#finish(group),
      async error => this.#fail(await toStoreError(await commitCause(error), this.#path)),
    );
  }

  /** Hands the group to LMDB's pool thread in one piece; resolves once it is committed and synced. */
  async #commit(group: Group): Promise<void> {
    const committed: Committed = this.#database.batch(() => {
      for (const text of group.keys) {
        const change = this.#pending.get(text);
        assert(change?.group === group); // only its own keys are listed in a group
        if (change.value === undefined) this.#database.remove(change.key);
        else this.#database.put(change.key, change.value);
      }
    });
    await committed;
    await committed.flushed; // absent when relaxed
  }

  #finish(group: Group): void {
    this.#syncing = undefined;
    this.#lastCommitFailed = false;
    for (const text of group.keys) {
      if (this.#pending.get(text)?.group === group) this.#pending.delete(text);
    }
    // The next group starts after those who wait for this one had their turn, so that their next writes join it.
    this.#scheduleStart();
    for (const waiter of group.waiters) waiter.resolve();
  }

  /** What has gathered since was decided on what has now failed, so it fails too. Nothing of it is seen any more. */
  #fail(error: unknown): void {
    const waiters = [...(this.#syncing?.waiters ?? []), ...this.#gathering.waiters];
    for (const group of [this.#syncing, this.#gathering]) {
      for (const text of group?.keys ?? []) this.#pending.delete(text);
    }
    this.#syncing = undefined;
    this.#gathering = newGroup();
    this.#lastCommitFailed = true;
    for (const waiter of waiters) waiter.reject(error);
  }

  async close(): Promise<void> {
    if (this.#status !== 'open') return;
    this.#status = 'closing';
    await this.#settled();
    this.#status = 'closed';
    // lmdb's `close` waits for the flush of its last commit, which never comes if that failed. An empty one does.
    if (this.#lastCommitFailed) await this.#database.batch(() => {});
    await this.#database.close();
  }

  async #settled(): Promise<void> {
    for (const group of [this.#syncing, this.#gathering]) {
      if (group === undefined || group.keys.size === 0) continue;
      // A failure has its own hearers; here only the end matters.
      await new Promise<void>(resolve => {
        group.waiters.push({ resolve, reject: () => resolve() });
      });
    }
  }
}

class PendingTransaction implements StoreTransaction {
  readonly undos: (() => void)[] = [];
  readonly #store: LmdbStore;
  readonly #change: (key: Uint8Array, value: Uint8Array | undefined) => () => void;

  constructor(store: LmdbStore, change: (key: Uint8Array, value: Uint8Array | undefined) => () => void) {
    this.#store = store;
    this.#change = change;
  }

  get(key: Uint8Array): Uint8Array | undefined {
    return this.#store.get(key);
  }

  range(range: StoreRange): Iterable<StoreEntry> {
    return this.#store.range(range);
  }

  put(key: Uint8Array, value: Uint8Array): void {
    this.undos.push(this.#change(key, value));
  }

  delete(key: Uint8Array): void {
    this.undos.push(this.#change(key, undefined));
  }
}

function newGroup(): Group {
  return { keys: new Set(), waiters: [], bytes: 0 };
}

function* changedEntry({ key, value }: PendingChange): Generator<StoreEntry> {
  if (value !== undefined) yield { key: copyOf(key), value: copyOf(value) };
}

function comesBefore(left: string, right: string, reverse = false): boolean {
  return reverse ? left > right : left < right;
}

/** Not `slice()`, which in a `Buffer` would share the memory. */
function copyOf(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes);
}

/** lmdb returns `Buffer`, whose `slice` and `toString` mean something else; both engines return the same type. */
function plainBytes(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** lmdb rejects with a general error that carries a promise, which in turn rejects with what LMDB said. */
async function commitCause(error: unknown): Promise<unknown> {
  if (!(error instanceof Error) || !('commitError' in error)) return error;
  return Promise.resolve(error.commitError).then(
    () => error,
    cause => cause,
  );
}

async function toStoreError(cause: unknown, path: string): Promise<Error> {
  const text = cause instanceof Error ? cause.message : String(cause);
  // LMDB answers EIO when the disk took only a part of what it wrote, so we look whether there is room left.
  const freeBytes = await statfs(path).then(
    disk => disk.bavail * disk.bsize,
    () => Number.POSITIVE_INFINITY,
  );
  const isFull = /no space left|quota exceeded/i.test(text) || freeBytes < lmdbLimits.freeBytesMin;
  return isFull ? storeFull(cause) : storeFailed(text, cause);
}
