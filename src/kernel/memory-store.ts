/** The store without a disk, for tests on a virtual clock: same order, same refusals, and power cuts on demand. */
import assert from 'node:assert/strict';
import type { Clock, Timer } from './clock.ts';
import { SortedMap, toText } from './sorted-map.ts';
import {
  type KeyValueStore,
  type StoreEntry,
  type StoreRange,
  type StoreSnapshot,
  type StoreTransaction,
  storeLimits,
} from './store.ts';
import { checkEntry, storeClosed, storeFailed, storeSnapshotsBusy } from './store-errors.ts';

export interface MemoryStoreOptions {
  readonly clock: Clock;
  /** What the store stands on. Keep it to crash it, or to open what survived; a fresh one when absent. */
  readonly disk?: MemoryDisk;
}

export async function openMemoryStore({ clock, disk = new MemoryDisk({ clock }) }: MemoryStoreOptions) {
  return disk.open();
}

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Outlives the stores opened on it, as a disk outlives a process. Writes are seen at once and survive a power cut once
 * the sync they fell into is over: a sync starts with the first write after the last one and takes `syncMs`.
 */
export class MemoryDisk {
  readonly #clock: Clock;
  readonly #syncMs: number;
  readonly #entries: SortedMap<Uint8Array>;
  /** What each key changed since the last sync held then; undefined = nothing. */
  readonly #unsynced = new Map<string, Uint8Array | undefined>();
  #waiters: Waiter[] = [];
  #syncTimer: Timer | undefined;
  #openings = 0;
  #working = false;

  constructor(
    { clock, syncMs = 1 }: { readonly clock: Clock; readonly syncMs?: number },
    entries = new SortedMap<Uint8Array>(),
  ) {
    this.#clock = clock;
    this.#entries = entries;
    this.#syncMs = syncMs;
  }

  /** A disk of its own with what this one holds now, synced or not. */
  copy({ clock }: { readonly clock: Clock }): MemoryDisk {
    return new MemoryDisk({ clock, syncMs: this.#syncMs }, this.#entries.copy());
  }

  /** A store on what is there. One opened before refuses from now on: its process is taken for dead. */
  open(): KeyValueStore {
    const opening = ++this.#openings;
    const open = new Set<StoreSnapshot>();
    const checkOpen = () => {
      if (opening !== this.#openings) throw storeClosed();
    };
    return {
      get: key => {
        checkOpen();
        return getFrom(this.#entries, key);
      },
      range: range => {
        checkOpen();
        return rangeFrom(this.#entries, range);
      },
      write: async work => {
        checkOpen();
        const result = this.#run(work);
        await this.#synced();
        return result;
      },
      snapshot: async () => {
        checkOpen();
        if (open.size >= storeLimits.snapshotsMax) throw storeSnapshotsBusy(open.size);
        const view = this.#view(checkOpen, () => open.delete(view));
        open.add(view);
        await this.#synced();
        return view;
      },
      close: async () => {
        if (opening !== this.#openings) return;
        this.#openings++;
        await this.#synced();
      },
    };
  }

  /**
   * Cuts the power: everything not yet synced is gone, whoever waited for it gets `store.failed`, and the store that
   * was open refuses. `open` gives a new one on what survived.
   */
  crash(): void {
    this.#openings++;
    for (const [key, value] of this.#unsynced) this.#set(key, value);
    this.#endSync(waiter => waiter.reject(storeFailed('the power was cut')));
  }

  /** Good while no other store is opened, and until it is closed. */
  #view(checkOpen: () => void, onClose: () => void): StoreSnapshot {
    const entries = this.#entries.copy();
    let closed = false;
    const check = () => {
      checkOpen();
      if (closed) throw storeClosed();
    };
    return {
      get: key => {
        check();
        return getFrom(entries, key);
      },
      range: range => {
        check();
        return rangeFrom(entries, range);
      },
      close: () => {
        closed = true;
        onClose();
      },
    };
  }

  #run<T>(work: (transaction: StoreTransaction) => T): T {
    assert(!this.#working); // work does not write to the store it works in
    const undos: (() => void)[] = [];
    const change = (key: Uint8Array, value: Uint8Array | undefined): void => {
      checkEntry(key, value);
      const text = toText(key);
      const before = this.#entries.get(text);
      this.#remember(text, before);
      this.#set(text, value && new Uint8Array(value));
      undos.push(() => this.#set(text, before));
    };
    this.#working = true;
    try {
      return work({
        get: key => getFrom(this.#entries, key),
        range: range => rangeFrom(this.#entries, range),
        put: change,
        delete: key => change(key, undefined),
      });
    } catch (error) {
      for (const undo of undos.reverse()) undo();
      throw error;
    } finally {
      this.#working = false;
    }
  }

  #set(key: string, value: Uint8Array | undefined): void {
    if (value === undefined) this.#entries.delete(key);
    else this.#entries.set(key, value);
  }

  #remember(key: string, value: Uint8Array | undefined): void {
    if (!this.#unsynced.has(key)) this.#unsynced.set(key, value);
    this.#syncTimer ??= this.#clock.setTimer(this.#syncMs, () => this.#endSync(waiter => waiter.resolve()));
  }

  /** Resolves once everything written so far would survive a power cut. */
  #synced(): Promise<void> {
    if (this.#syncTimer === undefined) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject });
    });
  }

  #endSync(tell: (waiter: Waiter) => void): void {
    this.#syncTimer?.cancel();
    this.#syncTimer = undefined;
    this.#unsynced.clear();
    const waiters = this.#waiters;
    this.#waiters = [];
    waiters.forEach(tell);
  }
}

function getFrom(entries: SortedMap<Uint8Array>, key: Uint8Array): Uint8Array | undefined {
  const value = entries.get(toText(key));
  return value && new Uint8Array(value);
}

function* rangeFrom(
  entries: SortedMap<Uint8Array>,
  { start, end, reverse = false }: StoreRange,
): Generator<StoreEntry> {
  for (const [key, value] of entries.range(toText(start), toText(end), reverse)) {
    yield { key: new Uint8Array(Buffer.from(key, 'latin1')), value: new Uint8Array(value) };
  }
}
