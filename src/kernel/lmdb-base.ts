/**
 * LMDB as what a journaled store stands on. Its transactions are large, on a thread of the pool, and synced before they
 * count: data pages first, then the page that makes them valid. A power cut at any moment leaves the transaction before.
 * (Tried and dropped: commits without a sync, which a file system that writes out of order can turn into a damaged file;
 * `overlappingSync`, no faster with transactions of thousands of keys, and silent when the sync fails; `transaction`,
 * whose pool thread waits for a callback that a terminated thread never makes.)
 */
import { statfs } from 'node:fs/promises';
import { type Database, open } from 'lmdb';
import type { Change } from './change-group.ts';
import { MimamoriError, messageOf } from './errors.ts';
import type { StoreEntry, StoreRange } from './store.ts';
import type { BaseSnapshot, StoreBase } from './store-base.ts';
import { storeFailed, storeFull, storePagesCorrupt } from './store-errors.ts';

export const lmdbLimits = {
  pageBytes: 8_192, // LMDB: with 8 KiB pages keys may have 4,026 bytes
  freeBytesMin: 16 * 1024 * 1024, // ours: a write that fails on a disk with less room failed for want of room
} as const;

type Entries = Database<Uint8Array, Uint8Array>;
type ReadTransaction = ReturnType<Entries['useReadTransaction']>;

export function openLmdb(options: { readonly filePath: string; readonly sync: boolean }): StoreBase {
  const entries = open<Uint8Array, Uint8Array>({
    path: options.filePath,
    noSubdir: true,
    keyEncoder,
    encoder: valueEncoder,
    pageSize: lmdbLimits.pageBytes,
    noSync: !options.sync,
    overlappingSync: false,
    eventTurnBatching: false, // each `commit` is one transaction
    batchStartThreshold: Number.MAX_SAFE_INTEGER, // LMDB's thread must never see, and wait for, half a transaction
  } as Parameters<typeof open>[0]); // lmdb's types lack the last one; its README and source have it
  return new LmdbBase(options.filePath, entries as Entries);
}

class LmdbBase implements StoreBase {
  readonly #filePath: string;
  readonly #entries: Entries;

  constructor(filePath: string, entries: Entries) {
    this.#filePath = filePath;
    this.#entries = entries;
  }

  get(key: Uint8Array): Uint8Array | undefined {
    try {
      return this.#entries.get(key);
    } catch (error) {
      throw readErrorOf(error, this.#filePath);
    }
  }

  range(range: StoreRange): Iterable<StoreEntry> {
    return rangeOf(this.#filePath, this.#entries, range);
  }

  async commit(changes: readonly Change[]): Promise<void> {
    try {
      await this.#entries.batch(() => {
        for (const { key, value } of changes) {
          if (value === undefined) this.#entries.remove(key);
          else this.#entries.put(key, value);
        }
      });
    } catch (error) {
      throw await toStoreError(await commitCause(error), this.#filePath);
    }
  }

  snapshot(): BaseSnapshot {
    const transaction = this.#entries.useReadTransaction();
    return {
      get: key => {
        try {
          return this.#entries.get(key, { transaction });
        } catch (error) {
          throw readErrorOf(error, this.#filePath);
        }
      },
      range: range => rangeOf(this.#filePath, this.#entries, range, transaction),
      close: () => transaction.done(),
    };
  }

  close(): Promise<void> {
    return this.#entries.close();
  }
}

function rangeOf(
  filePath: string,
  entries: Entries,
  { start, end, reverse }: StoreRange,
  transaction?: ReadTransaction,
): Iterable<StoreEntry> {
  // LMDB walks from its `start`, so in reverse the two change places, and so does which of them is included.
  const range = reverse
    ? { start: end, end: start, reverse, exclusiveStart: true, inclusiveEnd: true }
    : { start, end };
  const found = entries.getRange(transaction ? { ...range, transaction } : range);
  return { [Symbol.iterator]: () => new RangeIterator(filePath, found[Symbol.iterator]()) };
}

/** LMDB's own, with our words for what it refuses. */
class RangeIterator implements Iterator<StoreEntry> {
  readonly #filePath: string;
  readonly #found: Iterator<StoreEntry>;

  constructor(filePath: string, found: Iterator<StoreEntry>) {
    this.#filePath = filePath;
    this.#found = found;
  }

  next(): IteratorResult<StoreEntry> {
    try {
      return this.#found.next();
    } catch (error) {
      throw readErrorOf(error, this.#filePath);
    }
  }

  return(): IteratorResult<StoreEntry> {
    return this.#found.return?.() ?? { done: true, value: undefined };
  }
}

/** Only a page that makes no sense makes LMDB refuse a read, under a number of its own, or gives a length that is none. */
function readErrorOf(error: unknown, filePath: string): unknown {
  const isLmdb = error instanceof Error && 'code' in error && typeof error.code === 'number' && error.code < -30_000;
  return isLmdb || error instanceof RangeError ? storePagesCorrupt(filePath, messageOf(error), error) : error;
}

/*
 * lmdb lends a buffer that it writes over with the next read, so every key and value is copied once. Its own 'binary'
 * encoding copies into a `Buffer`, which costs several times as much and whose `slice` and `toString` mean something else.
 */
const valueEncoder = {
  encode: (value: Uint8Array) => value,
  decode: (lent: Uint8Array) => copyOf(lent, 0, lent.length),
};

const keyEncoder = {
  writeKey(key: Uint8Array, target: Uint8Array, start: number): number {
    target.set(key, start);
    return start + key.length;
  },
  readKey: copyOf,
};

/** What was lent last, as the bytes it stands on: lmdb gives its buffers a `length` of their own. */
let lentLast: Uint8Array | undefined;
let plainLast: Uint8Array = new Uint8Array();

/** Copies lie side by side in slabs, as those of `Buffer` do: memory of its own costs each several times as much. */
const slabBytes = 32 * 1024;
const slabCopyBytesMax = 4 * 1024;
let slab = new ArrayBuffer(slabBytes);
let slabUsed = 0;

function copyOf(lent: Uint8Array, start: number, end: number): Uint8Array {
  if (lent !== lentLast) {
    lentLast = lent;
    plainLast = new Uint8Array(lent.buffer, lent.byteOffset);
  }
  const copy = room(end - start);
  copy.set(plainLast.subarray(start, end));
  return copy;
}

function room(bytes: number): Uint8Array {
  if (bytes > slabCopyBytesMax) return new Uint8Array(bytes);
  if (slabUsed + bytes > slabBytes) {
    slab = new ArrayBuffer(slabBytes);
    slabUsed = 0;
  }
  const copy = new Uint8Array(slab, slabUsed, bytes);
  slabUsed += bytes;
  return copy;
}

/** lmdb rejects with a general error that carries a promise, which in turn rejects with what LMDB said. */
async function commitCause(error: unknown): Promise<unknown> {
  if (!(error instanceof Error) || !('commitError' in error)) return error;
  return Promise.resolve(error.commitError).then(
    () => error,
    cause => cause,
  );
}

/** What LMDB said, in our words. */
export async function toStoreError(cause: unknown, filePath: string): Promise<Error> {
  if (cause instanceof MimamoriError) return cause;
  const read = readErrorOf(cause, filePath);
  if (read instanceof MimamoriError && !/MDB_(MAP|DBS|TXN|READERS)_?FULL/.test(messageOf(cause))) return read;
  const text = messageOf(cause);
  // LMDB answers EIO when the disk took only a part of what it wrote, so we look whether there is room left.
  const freeBytes = await statfs(filePath).then(
    disk => disk.bavail * disk.bsize,
    () => Number.POSITIVE_INFINITY,
  );
  const isFull = /no space left|quota exceeded/i.test(text) || freeBytes < lmdbLimits.freeBytesMin;
  return isFull ? storeFull(cause) : storeFailed(text, cause);
}
