/**
 * A store whose writes are safe once they are in a journal, and which brings them into its base later, in large
 * transactions sorted by key. A base that is a B-tree writes a page for each key that stands alone; a journal writes the
 * changes and nothing else, and a key that changes often reaches the base once in a while.
 *
 * A unit of work runs at once, on our own thread, against the base and the overlay of what is not yet in it; its changes
 * gather in a group, and one group after the other is appended to the journal and synced (group commit), then
 * acknowledged. A checkpoint brings everything durable from the overlay into the base, then drops the journal files that
 * are not needed any more. Disk work is done on the pool, so our thread never waits for it, and it may be terminated at
 * any instruction.
 */
import assert from 'node:assert/strict';
import { type Change, ChangeGroup, type Version } from './change-group.ts';
import { codeOf } from './errors.ts';
import { toText } from './sorted-map.ts';
import {
  type KeyValueStore,
  type StoreEntry,
  type StoreRange,
  type StoreSnapshot,
  type StoreTransaction,
  storeLimits,
} from './store.ts';
import { type StoreBase, storeBaseLimits } from './store-base.ts';
import { checkEntry, storeBusy, storeClosed, storeSnapshotsBusy } from './store-errors.ts';
import type { StoreJournal } from './store-journal.ts';
import { durableVersion, Overlay, type Slot } from './store-overlay.ts';
import { merged, OverlaySnapshot, valueBytesOf, versionsOf } from './store-view.ts';

export const journaledStoreLimits = {
  journalFileBytesMax: 16 * 1024 * 1024, // ours: a checkpoint follows each; more of them coalesce more, and take longer to replay
  overlayBytesMax: 64 * 1024 * 1024, // ours: what may wait for the base before groups wait
  gatheringBytesMax: 64 * 1024 * 1024, // ours: what may wait for the journal before writes are refused
  groupBytesMin: 1_024, // ours: room a group starts with; it is as much as the group before took
  groupBytesMax: 1024 * 1024, // ours: more is taken when it is needed
} as const;

export type JournaledStoreLimits = { readonly [Name in keyof typeof journaledStoreLimits]: number };

export interface JournaledStoreOptions {
  readonly base: StoreBase;
  /** Without one nothing is durable before a checkpoint, and each group is followed by one. */
  readonly journal: StoreJournal | undefined;
  readonly nextSequenceNumber: number;
  readonly limits?: Partial<JournaledStoreLimits> | undefined;
}

/** Whom to tell of a group. */
interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** A group, the keys it changed, and who waits for it. */
interface Gathering {
  readonly group: ChangeGroup;
  readonly slots: Slot[];
  readonly waiters: Waiter[];
}

export class JournaledStore implements KeyValueStore {
  readonly #base: StoreBase;
  readonly #journal: StoreJournal | undefined;
  readonly #limits: JournaledStoreLimits;
  readonly #overlay = new Overlay();
  readonly #transaction: StoreTransaction;
  readonly #undos: { readonly slot: Slot; readonly before: Version | undefined }[] = [];
  #gathering: Gathering;
  #syncing: Gathering | undefined;
  #checkpointing: Promise<void> | undefined;
  #startScheduled = false;
  #working = false;
  readonly #snapshots = new Set<StoreSnapshot>();
  #failure: Error | undefined;
  #status: 'open' | 'closing' | 'closed' = 'open';

  constructor({ base, journal, nextSequenceNumber, limits }: JournaledStoreOptions) {
    this.#base = base;
    this.#journal = journal;
    this.#limits = { ...journaledStoreLimits, ...limits };
    this.#gathering = newGathering(nextSequenceNumber, 0);
    this.#transaction = {
      get: key => this.get(key),
      range: range => this.range(range),
      put: (key, value) => this.#change(key, value),
      delete: key => this.#change(key, undefined),
    };
  }

  get(key: Uint8Array): Uint8Array | undefined {
    if (this.#status === 'closed') throw storeClosed();
    if (this.#overlay.size > 0) {
      const version = this.#overlay.get(toText(key));
      if (version !== undefined) return valueBytesOf(version);
    }
    return this.#base.get(key);
  }

  range(range: StoreRange): Iterable<StoreEntry> {
    if (this.#status === 'closed') throw storeClosed();
    const start = toText(range.start);
    const end = toText(range.end);
    if (start >= end) return [];
    if (this.#overlay.size === 0) return this.#base.range(range);
    return merged(this.#base, range, versionsOf(this.#overlay.range(start, end, range.reverse === true)));
  }

  write<T>(work: (transaction: StoreTransaction) => T): Promise<T> {
    if (this.#status !== 'open') return Promise.reject(storeClosed());
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const { bytes } = this.#gathering.group;
    if (bytes > this.#limits.gatheringBytesMax) return Promise.reject(storeBusy(bytes));
    let result: T;
    try {
      result = this.#run(work);
    } catch (error) {
      return Promise.reject(error); // at once: a refusal waits for no disk
    }
    // Work that wrote nothing may have decided on what is still pending, so it waits for that.
    const gathering = this.#gathering.group.count > 0 ? this.#gathering : this.#syncing;
    if (gathering === undefined) return Promise.resolve(result);
    return new Promise((resolve, reject) => {
      gathering.waiters.push({ resolve: () => resolve(result), reject });
    });
  }

  async snapshot(): Promise<StoreSnapshot> {
    if (this.#status !== 'open') throw storeClosed();
    if (this.#snapshots.size >= storeLimits.snapshotsMax) throw storeSnapshotsBusy(this.#snapshots.size);
    const base = this.#base.snapshot();
    const snapshot = new OverlaySnapshot(base, this.#overlay, () => this.#snapshots.delete(snapshot));
    this.#snapshots.add(snapshot);
    try {
      await this.write(() => {}); // what it shows must not be taken back
      return snapshot;
    } catch (error) {
      snapshot.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    if (this.#status !== 'open') return;
    this.#status = 'closing';
    await this.#settled();
    await this.#checkpointing;
    for (const snapshot of this.#snapshots) snapshot.close();
    try {
      if (this.#failure === undefined) await this.#bringAllHome();
    } finally {
      this.#status = 'closed';
      await this.#journal?.close();
      await this.#base.close();
    }
  }

  /** Runs `work`, its changes going straight into the overlay; they are taken back if it throws all the same. */
  #run<T>(work: (transaction: StoreTransaction) => T): T {
    assert(!this.#working); // work does not write to the store it works in
    const { group, slots } = this.#gathering;
    const { count, bytes } = group;
    this.#working = true;
    try {
      const result = work(this.#transaction);
      this.#scheduleStart();
      return result;
    } catch (error) {
      for (const { slot, before } of this.#undos.reverse()) this.#overlay.restore(slot, before);
      slots.length = count;
      group.rewind(count, bytes);
      throw error;
    } finally {
      this.#undos.length = 0;
      this.#working = false;
    }
  }

  #change(key: Uint8Array, value: Uint8Array | undefined): void {
    assert(this.#working); // a transaction is over when its work returns
    checkEntry(key, value);
    const { group, slots } = this.#gathering;
    const text = toText(key);
    const before = this.#overlay.get(text);
    const slot = this.#overlay.set(text, group.add(key, value));
    this.#undos.push({ slot, before });
    slots.push(slot);
  }

  #scheduleStart(): void {
    if (this.#startScheduled || this.#syncing !== undefined || this.#gathering.group.count === 0) return;
    this.#startScheduled = true;
    setImmediate(() => {
      this.#startScheduled = false;
      this.#syncGathered();
    });
  }

  #syncGathered(): void {
    if (this.#syncing !== undefined || this.#gathering.group.count === 0) return;
    if (this.#isOverlayFull()) {
      this.#startCheckpoint(); // which comes back here as it makes room
      return;
    }
    const syncing = this.#gathering;
    const { sequenceNumber, bytes } = syncing.group;
    this.#gathering = newGathering(sequenceNumber + 1, bytes);
    this.#syncing = syncing;
    this.#makeDurable(syncing.group).then(
      () => this.#finish(syncing),
      error => {
        if (codeOf(error) !== 'store.full') this.#failure = error; // what is on the disk is not known any more
        this.#fail(error);
      },
    );
  }

  /** What gathers is not counted: it waits for the room, and may be larger than all of it. */
  #isOverlayFull(): boolean {
    return this.#overlay.bytes - this.#gathering.group.bytes > this.#limits.overlayBytesMax;
  }

  async #makeDurable(group: ChangeGroup): Promise<void> {
    const journal = this.#journal;
    if (journal === undefined) return;
    const isFull = journal.fileBytes >= this.#limits.journalFileBytesMax && this.#checkpointing === undefined;
    if (isFull) {
      await journal.roll(group.sequenceNumber);
      this.#startCheckpoint();
    }
    await journal.append(group);
  }

  #finish({ group, waiters }: Gathering): void {
    this.#syncing = undefined;
    group.durable = true;
    // The next group starts after those who wait for this one had their turn, so that their next writes join it.
    this.#scheduleStart();
    for (const waiter of waiters) waiter.resolve();
    if (this.#journal === undefined) this.#startCheckpoint();
  }

  /** What has gathered since was decided on what has now failed, so it fails too. Nothing of it is seen any more. */
  #fail(error: Error): void {
    const failed = [this.#gathering, this.#syncing];
    const { sequenceNumber } = failed.at(-1)?.group ?? this.#gathering.group;
    this.#syncing = undefined;
    this.#gathering = newGathering(sequenceNumber, 0);
    for (const each of failed) if (each) this.#overlay.retract(each.group, each.slots);
    for (const each of failed.reverse()) each?.waiters.forEach(waiter => void waiter.reject(error));
  }

  #startCheckpoint(): void {
    if (this.#checkpointing !== undefined || this.#overlay.size === 0) return;
    this.#checkpointing = this.#checkpoint().then(
      () => this.#endCheckpoint(undefined),
      error => this.#endCheckpoint(error),
    );
  }

  /** A failed one is tried again with the next journal file, or when there is no other way to make room. */
  #endCheckpoint(error: Error | undefined): void {
    this.#checkpointing = undefined;
    if (error !== undefined && this.#syncing === undefined && this.#isOverlayFull()) this.#fail(error);
    else this.#scheduleStart();
  }

  /** Brings all that is durable into the base, then drops the journal files before the one being written. */
  async #checkpoint(): Promise<void> {
    const slots = this.#overlay.slots();
    for (let at = 0; at < slots.length; ) {
      const taken: { slot: Slot; version: Version }[] = [];
      const changes: Change[] = [];
      let bytes = 0;
      for (; at < slots.length; at++) {
        if (changes.length >= storeBaseLimits.commitChangesMax || bytes >= storeBaseLimits.commitBytesMax) break;
        const version = durableVersion(slots[at]);
        if (version === undefined) continue;
        taken.push({ slot: slots[at], version });
        changes.push({ key: version.group.keyIn(version), value: version.group.valueIn(version) });
        bytes += version.valueBytes;
      }
      if (changes.length === 0) break;
      await this.#base.commit(changes);
      for (const { slot, version } of taken) this.#overlay.settle(slot, version);
      this.#scheduleStart();
    }
    await this.#journal?.removeOlder();
  }

  /** After the last write: the base gets everything and the journal goes, so that the next start has nothing to replay. */
  async #bringAllHome(): Promise<void> {
    try {
      await this.#checkpoint();
      await this.#journal?.removeAll();
    } catch (error) {
      if (this.#journal === undefined) throw error; // else the journal keeps what the base could not take
    }
  }

  async #settled(): Promise<void> {
    for (const gathering of [this.#syncing, this.#gathering]) {
      if (gathering === undefined || gathering.group.count === 0) continue;
      // A failure has its own hearers; here only the end matters.
      await new Promise<void>(resolve => {
        gathering.waiters.push({ resolve, reject: () => resolve() });
      });
    }
  }
}

function newGathering(sequenceNumber: number, bytesBefore: number): Gathering {
  const { groupBytesMin, groupBytesMax } = journaledStoreLimits;
  const expectedBytes = Math.min(groupBytesMax, Math.max(groupBytesMin, Math.ceil(bytesBefore * 1.25)));
  return { group: new ChangeGroup(sequenceNumber, expectedBytes), slots: [], waiters: [] };
}
