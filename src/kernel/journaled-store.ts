/**
 * A store whose writes are safe once they are in a journal, and which brings them into its base later, in large
 * transactions sorted by key. A base that is a B-tree writes a page for each key that stands alone; a journal writes the
 * changes and nothing else, and a key that changes often reaches the base once in a while.
 *
 * A unit of work runs at once, on our own thread, against the base and the overlay of what is not yet in it; its changes
 * gather in a group, and one group after the other is appended to the journal and synced (group commit), then
 * acknowledged. When a journal file is full the overlay is frozen, and a fresh one takes what comes; a checkpoint brings
 * the frozen one into the base, drops it, and drops the journal files before the present one. Disk work is done on the
 * pool, so our thread never waits for it, and it may be terminated at any instruction.
 */
import assert from 'node:assert/strict';
import { type Change, ChangeGroup, type Version } from './change-group.ts';
import { codeOf } from './errors.ts';
import { toText } from './sorted-map.ts';
import {
  type Durability,
  type KeyValueStore,
  type StoreEntry,
  type StoreRange,
  type StoreSnapshot,
  type StoreTransaction,
  storeLimits,
} from './store.ts';
import { commitAll, type StoreBase } from './store-base.ts';
import { checkEntry, storeBusy, storeClosed, storeSnapshotsBusy } from './store-errors.ts';
import { type JournalPlace, StoreJournal } from './store-journal.ts';
import { Overlay, type Slot } from './store-overlay.ts';
import { layered, merged, OverlaySnapshot, valueBytesOf } from './store-view.ts';

export const journaledStoreLimits = {
  journalFileBytesMax: 16 * 1024 * 1024, // ours: a checkpoint follows each; larger ones coalesce more and take longer to replay
  journalBytesMax: 128 * 1024 * 1024, // ours: what a start may have to replay, roughly; then groups wait for the checkpoint
  overlayBytesMax: 64 * 1024 * 1024, // ours: what may wait in memory for the base, roughly, half of it frozen
  gatheringBytesMax: 64 * 1024 * 1024, // ours: what may wait for the journal before writes are refused
  groupBytesMin: 1_024, // ours: room a group starts with; it is as much as the group before took
  groupBytesMax: 1024 * 1024, // ours: more is taken when it is needed
} as const;

export type JournaledStoreLimits = { readonly [Name in keyof typeof journaledStoreLimits]: number };

export interface JournaledStoreOptions {
  /** Closed together with the store. */
  readonly base: StoreBase;
  readonly journal: JournalPlace;
  /** `relaxed`: what an earlier life has left in the journal is brought home, but nothing is written to it. */
  readonly durability: Durability;
  readonly limits?: Partial<JournaledStoreLimits> | undefined;
}

/**
 * Resolves when the base has all that an earlier life was told to be safe.
 * Throws `store.corrupt`, `store.versionUnknown`, `store.full`, `store.failed`.
 */
export async function openJournaledStore(options: JournaledStoreOptions): Promise<KeyValueStore> {
  const { base, durability, limits } = options;
  const { journal, left } = await StoreJournal.open(options.journal);
  await commitAll(base, left.changes);
  await journal.removeAll();
  if (durability === 'sync') await journal.roll(left.nextSequenceNumber);
  return new JournaledStore(base, durability === 'sync' ? journal : undefined, left.nextSequenceNumber, limits);
}

/** A group and whom to tell of it. */
interface Gathering {
  readonly group: ChangeGroup;
  readonly waiters: Waiter[];
}

interface Waiter {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
  readonly result: unknown;
}

/** A version that work has put, and what it replaced. */
interface Undo {
  readonly slot: Slot;
  readonly before: Version | undefined;
}

class JournaledStore implements KeyValueStore {
  readonly #base: StoreBase;
  /** Without one nothing is durable before a checkpoint, and each group is followed by one. */
  readonly #journal: StoreJournal | undefined;
  readonly #limits: JournaledStoreLimits;
  readonly #transaction: StoreTransaction;
  readonly #undos: Undo[] = [];
  readonly #snapshots = new Set<StoreSnapshot>();
  #overlay = new Overlay();
  #frozen: Overlay | undefined;
  /** How much of the frozen overlay the base has, from 0 to 1. */
  #frozenDone = 0;
  #gathering: Gathering;
  #syncing: Gathering | undefined;
  #checkpointing: Promise<void> | undefined;
  #startScheduled = false;
  #working = false;
  #failure: Error | undefined;
  #status: 'open' | 'closing' | 'closed' = 'open';

  constructor(
    base: StoreBase,
    journal: StoreJournal | undefined,
    nextSequenceNumber: number,
    limits: Partial<JournaledStoreLimits> | undefined,
  ) {
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
    if (this.#overlay.size > 0 || this.#frozen !== undefined) {
      const text = toText(key);
      const version = this.#overlay.get(text) ?? this.#frozen?.get(text);
      if (version !== undefined) return valueBytesOf(version);
    }
    return this.#base.get(key);
  }

  range(range: StoreRange): Iterable<StoreEntry> {
    if (this.#status === 'closed') throw storeClosed();
    const start = toText(range.start);
    const end = toText(range.end);
    if (start >= end) return [];
    if (this.#overlay.size === 0 && this.#frozen === undefined) return this.#base.range(range);
    const reverse = range.reverse === true;
    const frozen = this.#frozen?.range(start, end, reverse) ?? [];
    return merged(this.#base, range, layered(this.#overlay.range(start, end, reverse), frozen, reverse));
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
    return new Promise<T>((resolve, reject) => {
      // A cast: the waiter is given its own `result` back, a T, among others that are something else.
      gathering.waiters.push({ resolve: resolve as (result: unknown) => void, reject, result });
    });
  }

  async snapshot(): Promise<StoreSnapshot> {
    if (this.#status !== 'open') throw storeClosed();
    if (this.#snapshots.size >= storeLimits.snapshotsMax) throw storeSnapshotsBusy(this.#snapshots.size);
    const versions = layered(entriesOf(this.#overlay), this.#frozen ? entriesOf(this.#frozen) : [], false);
    const snapshot = new OverlaySnapshot(this.#base.snapshot(), versions, () => this.#snapshots.delete(snapshot));
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
    try {
      if (this.#failure === undefined) await this.#bringAllHome();
    } finally {
      this.#status = 'closed';
      for (const snapshot of this.#snapshots) snapshot.close();
      await this.#journal?.close();
      await this.#base.close();
    }
  }

  /** Runs `work`, its changes going straight into the overlay; they are taken back if it throws all the same. */
  #run<T>(work: (transaction: StoreTransaction) => T): T {
    assert(!this.#working); // work does not write to the store it works in
    const { group } = this.#gathering;
    const { count, bytes } = group;
    this.#working = true;
    try {
      const result = work(this.#transaction);
      this.#scheduleStart();
      return result;
    } catch (error) {
      for (const { slot, before } of this.#undos.reverse()) this.#overlay.restore(slot, before);
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
    const slot = this.#overlay.slot(toText(key));
    this.#undos.push({ slot, before: slot.version });
    this.#overlay.put(slot, this.#gathering.group.add(key, value));
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
    if (this.#mustWait()) {
      this.#startCheckpoint(); // which comes back here as it gets on
      return;
    }
    const syncing = this.#gathering;
    const { sequenceNumber, bytes } = syncing.group;
    this.#syncing = syncing;
    this.#gathering = newGathering(sequenceNumber + 1, bytes);
    const freezes = this.#frozen === undefined && this.#isCheckpointDue();
    if (freezes) this.#freeze();
    this.#makeDurable(syncing.group, freezes)
      .then(
        () => this.#finish(syncing),
        error => {
          if (codeOf(error) !== 'store.full') this.#failure = error; // what is on the disk is not known any more
          this.#fail(error);
        },
      )
      .then(() => freezes && this.#startCheckpoint());
    this.#overlay.sort(); // while the disk works
  }

  /** The fresh overlay may fill as fast as the frozen one gets into the base, so that waiting comes in small portions. */
  #mustWait(): boolean {
    if (this.#frozen === undefined) return false;
    if ((this.#journal?.fileBytes ?? 0) > this.#limits.journalBytesMax) return true;
    const bytesMax = (this.#limits.overlayBytesMax / 2) * (0.25 + 0.75 * this.#frozenDone);
    return this.#overlay.bytes - this.#gathering.group.bytes > bytesMax; // what gathers may be larger than that alone
  }

  #isCheckpointDue(): boolean {
    if (this.#journal === undefined) return true;
    const { journalFileBytesMax, overlayBytesMax } = this.#limits;
    return this.#journal.fileBytes >= journalFileBytesMax || this.#overlay.bytes >= overlayBytesMax / 2;
  }

  #freeze(): void {
    this.#frozen = this.#overlay;
    this.#frozenDone = 0;
    this.#overlay = new Overlay();
  }

  async #makeDurable(group: ChangeGroup, inNewFile: boolean): Promise<void> {
    if (inNewFile) await this.#journal?.roll(group.sequenceNumber);
    await this.#journal?.append(group);
  }

  #finish({ group, waiters }: Gathering): void {
    this.#syncing = undefined;
    group.durable = true;
    // The next group starts after those who wait for this one had their turn, so that their next writes join it.
    this.#scheduleStart();
    for (const { resolve, result } of waiters) resolve(result);
  }

  /** What has gathered since was decided on what has now failed, so it fails too. Nothing of it is seen any more. */
  #fail(error: Error): void {
    const gathering = this.#gathering;
    const syncing = this.#syncing;
    this.#syncing = undefined;
    this.#gathering = newGathering((syncing ?? gathering).group.sequenceNumber, 0);
    for (const failed of [gathering, syncing]) {
      if (failed === undefined) continue;
      this.#overlay.retract(failed.group);
      this.#frozen?.retract(failed.group);
    }
    for (const { reject } of [...(syncing?.waiters ?? []), ...gathering.waiters]) reject(error);
  }

  #startCheckpoint(): void {
    if (this.#checkpointing !== undefined || this.#frozen === undefined || this.#status !== 'open') return;
    this.#checkpointing = this.#checkpoint(this.#frozen).then(
      () => this.#endCheckpoint(undefined),
      error => this.#endCheckpoint(error),
    );
  }

  /** A failed one is tried again when writes would have to wait for it. If it fails then, so do they. */
  #endCheckpoint(error: Error | undefined): void {
    this.#checkpointing = undefined;
    if (error !== undefined && this.#syncing === undefined && this.#mustWait()) this.#fail(error);
    else this.#scheduleStart();
  }

  /** Brings what is frozen into the base, then drops the journal files that were full when it was frozen. */
  async #checkpoint(frozen: Overlay): Promise<void> {
    const covered = this.#journal?.olderFiles ?? 0;
    const slots = frozen.slots();
    let committed = 0;
    await commitAll(this.#base, changesOf(slots), changes => {
      committed += changes;
      this.#frozenDone = committed / slots.length;
      this.#scheduleStart();
    });
    await this.#journal?.removeOldest(covered);
    this.#frozen = undefined; // the last step: until then nothing else is frozen, and no other checkpoint is due
  }

  /** After the last write: the base gets everything and the journal goes, so that the next start has nothing to replay. */
  async #bringAllHome(): Promise<void> {
    try {
      if (this.#frozen !== undefined) await this.#checkpoint(this.#frozen);
      this.#freeze();
      await this.#checkpoint(this.#frozen ?? this.#overlay);
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
        gathering.waiters.push({ resolve: () => resolve(), reject: () => resolve(), result: undefined });
      });
    }
  }
}

function newGathering(sequenceNumber: number, bytesBefore: number): Gathering {
  const { groupBytesMin, groupBytesMax } = journaledStoreLimits;
  const expectedBytes = Math.min(groupBytesMax, Math.max(groupBytesMin, Math.ceil(bytesBefore * 1.25)));
  return { group: new ChangeGroup(sequenceNumber, expectedBytes), waiters: [] };
}

function* changesOf(slots: readonly Slot[]): Generator<Change> {
  for (const { version } of slots) {
    if (version === undefined) continue;
    assert(version.group.durable); // a checkpoint starts when the last group that it freezes is safe, or taken back
    yield { key: version.group.keyIn(version), value: version.group.valueIn(version) };
  }
}

function* entriesOf(overlay: Overlay): Generator<[key: string, slot: Slot]> {
  for (const slot of overlay.slots()) yield [slot.key, slot];
}
