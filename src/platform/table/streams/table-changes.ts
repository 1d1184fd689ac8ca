/**
 * Knows which changes are durable, tells who waits for more, and keeps the streams in order: shards are rolled over and
 * old changes trimmed in the background. Nobody sees a change that a power cut could still take back.
 */
import type { Clock, Timer } from '../../../kernel/clock.ts';
import { codeOf } from '../../../kernel/errors.ts';
import type { KeyValueStore, StoreTransaction } from '../../../kernel/store.ts';
import { tableLimits } from '../limits.ts';
import { beginRecording, type Recording } from './recording.ts';
import { changeKey, isRollOverDue, readState, rollOver, tablesWithStreams } from './stream-state.ts';
import { trimChunk, trimDueAtMs } from './trim.ts';

export interface TableChangesOptions {
  readonly store: KeyValueStore;
  readonly clock: Clock;
  /** Default `tableLimits.streamBytesMax`. */
  readonly streamBytesMax?: number;
}

/** A change as it is stored; `decodeChange` reads it. */
export interface StoredChange {
  readonly sequenceNumber: bigint;
  readonly encoded: Uint8Array;
}

/** The changes of one table in the order they were made, through all its streams, for readers in this process. */
export interface ChangeFeed {
  /** Of the last durable change; 0 before the first one. */
  lastSequenceNumber(): bigint;
  /** Durable changes behind `after` that are still kept, oldest first, until `bytesMax` is passed. */
  read(after: bigint, bytesMax: number): StoredChange[];
  /** Changes, of any table, that had to go before their 24 hours were over, as their stream had reached its limit. */
  trimmedEarly(): number;
  /** Calls `wake` once, soon after there is a change behind `after` (or already is); returns how to stop waiting. */
  onceBeyond(after: bigint, wake: () => void): () => void;
}

interface Waiter {
  readonly tableId: number;
  readonly after: bigint;
  readonly wake: () => void;
}

export class TableChanges {
  /** The store to write to: it sees which changes become durable. */
  readonly store: KeyValueStore;
  readonly #inner: KeyValueStore;
  readonly #clock: Clock;
  readonly #streamBytesMax: number;
  readonly #durable = new Map<number, bigint>();
  readonly #waiters = new Set<Waiter>();
  #timer: Timer | undefined;
  #sweeping: Promise<void> | undefined;
  #isClosed = false;
  #trimmedEarly = 0;

  constructor({ store, clock, streamBytesMax = tableLimits.streamBytesMax }: TableChangesOptions) {
    this.#inner = store;
    this.#clock = clock;
    this.#streamBytesMax = streamBytesMax;
    this.store = {
      get: key => store.get(key),
      range: range => store.range(range),
      snapshot: () => store.snapshot(),
      write: work => this.#write(work),
      close: () => this.#close(),
    };
    // What a store that has just been opened holds is durable.
    for (const { tableId, state } of tablesWithStreams(store)) this.#durable.set(tableId, state.last);
    this.#arm(0);
  }

  /** Sequence number of the table's last durable change. */
  lastDurable(tableId: number): bigint {
    return this.#durable.get(tableId) ?? 0n;
  }

  feedOf(tableId: number): ChangeFeed {
    return {
      lastSequenceNumber: () => this.lastDurable(tableId),
      read: (after, bytesMax) => this.read(tableId, after + 1n, this.lastDurable(tableId), bytesMax),
      trimmedEarly: () => this.#trimmedEarly,
      onceBeyond: (after, wake) => this.#onceBeyond({ tableId, after, wake }),
    };
  }

  /** A stream may have ended, which is to be forgotten in a day even if nothing changes any more. */
  streamsChanged(): void {
    if (this.#timer === undefined) this.#arm(tableLimits.streamSweepMsMin);
  }

  /** Durable changes from `first` to `last` that are still kept, oldest first; stops when `bytesMax` is passed. */
  read(tableId: number, first: bigint, last: bigint, bytesMax: number): StoredChange[] {
    const durable = this.lastDurable(tableId);
    const upTo = last < durable ? last : durable;
    const changes: StoredChange[] = [];
    if (first > upTo) return changes;
    let bytes = 0;
    const range = { start: changeKey(tableId, first), end: changeKey(tableId, upTo + 1n) };
    for (const { key, value } of this.#inner.range(range)) {
      changes.push({ sequenceNumber: Buffer.from(key).readBigUInt64BE(key.length - 8), encoded: value });
      bytes += value.length;
      if (bytes >= bytesMax) break;
    }
    return changes;
  }

  #write<T>(work: (transaction: StoreTransaction) => T): Promise<T> {
    let recording: Recording | undefined;
    const written = this.#inner.write(transaction => {
      recording = beginRecording(transaction, this.#streamBytesMax);
      return work(transaction);
    });
    if (recording !== undefined && recording.last.size === 0) return written; // as most writes
    return written.then(result => {
      if (recording !== undefined) this.#becameDurable(recording);
      return result;
    });
  }

  #becameDurable({ last, trimmedEarly }: Recording): void {
    this.#trimmedEarly += trimmedEarly;
    for (const [tableId, sequenceNumber] of last) {
      if (sequenceNumber <= this.lastDurable(tableId)) continue;
      this.#durable.set(tableId, sequenceNumber);
      for (const waiter of this.#waiters) {
        if (waiter.tableId !== tableId || waiter.after >= sequenceNumber) continue;
        this.#waiters.delete(waiter);
        waiter.wake();
      }
    }
    if (last.size > 0) this.streamsChanged();
  }

  #onceBeyond(waiter: Waiter): () => void {
    if (this.lastDurable(waiter.tableId) > waiter.after) queueMicrotask(waiter.wake);
    else this.#waiters.add(waiter);
    return () => void this.#waiters.delete(waiter);
  }

  // --- In the background -------------------------------------------------------------------------------------------

  /** Wakes when the next thing is due, and not before `delayMsMin` from now. */
  #arm(delayMsMin: number): void {
    if (this.#isClosed || this.#sweeping !== undefined) return;
    this.#timer?.cancel();
    this.#timer = undefined;
    const dueAtMs = this.#dueAtMs();
    if (dueAtMs === undefined) return;
    const delayMs = Math.max(dueAtMs - this.#clock.nowMs(), delayMsMin);
    this.#timer = this.#clock.setTimer(delayMs, () => {
      this.#timer = undefined;
      this.#sweeping = this.#sweep().finally(() => {
        this.#sweeping = undefined;
        this.#arm(tableLimits.streamSweepMsMin);
      });
    });
  }

  #dueAtMs(): number | undefined {
    try {
      const due = tablesWithStreams(this.#inner).flatMap(({ tableId, state: { shardStartedAtMs } }) => {
        const rollOverAtMs = shardStartedAtMs === 0 ? undefined : shardStartedAtMs + tableLimits.shardOpenMs;
        return [trimDueAtMs(this.#inner, tableId), rollOverAtMs];
      });
      const times = due.filter(atMs => atMs !== undefined);
      return times.length === 0 ? undefined : Math.min(...times);
    } catch (error) {
      passOverStoreFailure(error);
      return undefined; // the next change arms again
    }
  }

  async #sweep(): Promise<void> {
    const nowMs = this.#clock.nowMs();
    try {
      for (const { tableId, state } of tablesWithStreams(this.#inner)) {
        if (isRollOverDue(state, nowMs)) {
          await this.#inner.write(transaction =>
            rollOver(transaction, tableId, readState(transaction, tableId), nowMs),
          );
        }
        while (!this.#isClosed && (trimDueAtMs(this.#inner, tableId) ?? Number.POSITIVE_INFINITY) <= nowMs) {
          await this.#inner.write(transaction => trimChunk(transaction, tableId, nowMs));
        }
      }
    } catch (error) {
      passOverStoreFailure(error); // what is left is swept the next time
    }
  }

  async #close(): Promise<void> {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#timer = undefined;
    await this.#sweeping;
    await this.#inner.close();
  }
}

/** Whoever reads or writes next meets the same, and tells. */
function passOverStoreFailure(error: unknown): void {
  const code = codeOf(error);
  if (!code.startsWith('store.') && code !== 'table.corrupt') throw error;
}
