/**
 * What a table engine does by itself: builds indexes, empties those that are gone, removes what deleted tables held and
 * deletes items that have expired. Each in small steps, one after the other, taken up again when the engine is opened.
 */
import type { Clock, Timer } from '../../../kernel/clock.ts';
import { codeOf, messageOf } from '../../../kernel/errors.ts';
import type { Log } from '../../../kernel/log.ts';
import type { StoreReader } from '../../../kernel/store.ts';
import { tableLimits } from '../limits.ts';
import type { Catalog, CatalogChange } from './catalog.ts';
import { buildStep, canGo, deleteStep, dropStep } from './index-work.ts';
import type { StoredIndex } from './stored-table.ts';

export interface UpkeepParts {
  readonly store: StoreReader;
  readonly catalog: Catalog;
  readonly clock: Clock;
  readonly log: Log;
  /** Deletes what has expired, and tells when something expires next, in Unix epoch milliseconds. */
  readonly sweep: () => Promise<number | undefined>;
}

type Step = (change: CatalogChange) => void;

export class Upkeep {
  readonly #parts: UpkeepParts;
  #isClosed = false;
  #working: Promise<void> | undefined;
  #retryTimer: Timer | undefined;
  #sweeping: Promise<void> | undefined;
  #sweepTimer: Timer | undefined;
  #sweepAtMs = Number.POSITIVE_INFINITY;
  /** When the deleted tables of which only the stream is left were looked at; there may be thousands. */
  #streamsSeenAtMs = Number.NEGATIVE_INFINITY;
  /** What keeps it from its work, by code: told once. */
  readonly #told = new Set<string>();

  constructor(parts: UpkeepParts) {
    this.#parts = parts;
  }

  /** Resolves when no index of these tables is being built; rejects when the disk refuses a step. */
  async completeIndexes(tableNames: readonly string[]): Promise<void> {
    for (;;) {
      const step = this.#nextStep(['building'], tableNames);
      if (step === undefined) return;
      await this.#parts.catalog.change(step);
    }
  }

  /** There may be something new to do. */
  wake(): void {
    if (this.#isClosed || this.#working !== undefined || this.#retryTimer !== undefined) return;
    this.#working = this.#work().finally(() => {
      this.#working = undefined;
    });
  }

  /** Resolves when there is nothing to do in the background, except for what expires later. */
  async settled(): Promise<void> {
    while (this.#working !== undefined || this.#sweeping !== undefined) await (this.#working ?? this.#sweeping);
  }

  /** An item was written that expires at `seconds` (Unix epoch). */
  expiresAt(seconds: number): void {
    this.#sweepAt(dueMs(seconds));
  }

  /** Looks now for what has expired. */
  sweep(): void {
    this.#sweepTimer?.cancel();
    this.#sweepTimer = undefined;
    this.#sweepAtMs = Number.POSITIVE_INFINITY;
    if (this.#isClosed || this.#sweeping !== undefined) return;
    this.#sweeping = this.#sweep().finally(() => {
      this.#sweeping = undefined;
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#retryTimer?.cancel();
    this.#sweepTimer?.cancel();
    await this.settled();
  }

  async #work(): Promise<void> {
    await null; // whoever woke us answers first
    while (!this.#isClosed) {
      const step = this.#nextStep(['building', 'dropping']) ?? this.#nextDeletion();
      if (step === undefined) return;
      try {
        await this.#parts.catalog.change(step);
      } catch (error) {
        this.#tell(error, 'Indexes and deleted tables wait, and are tried again every second.');
        this.#retryLater();
        return;
      }
    }
  }

  #retryLater(): void {
    if (this.#isClosed) return;
    this.#retryTimer = this.#parts.clock.setTimer(tableLimits.upkeepRetryMs, () => {
      this.#retryTimer = undefined;
      this.wake();
    });
  }

  #nextStep(statuses: readonly StoredIndex['status'][], tableNames?: readonly string[]): Step | undefined {
    for (const stored of this.#parts.catalog.all()) {
      if (tableNames !== undefined && !tableNames.includes(stored.tableName)) continue;
      const index = stored.indexes.find(({ status }) => statuses.includes(status));
      if (index === undefined) continue;
      return change => this.#step(change, stored.id, index.id);
    }
    return undefined;
  }

  /** Looks again, as the table may have changed between the choice of the step and its transaction. */
  #step(change: CatalogChange, tableId: number, indexId: number): void {
    const { catalog, clock } = this.#parts;
    const stored = catalog.findById(tableId);
    const index = stored?.indexes.find(({ id }) => id === indexId);
    if (stored === undefined || index === undefined) return;
    if (index.status === 'dropping') dropStep(change, stored, index);
    if (index.status !== 'building') return;
    buildStep(change, stored, index);
    if (index.kind === 'expiry') this.#sweepAt(clock.nowMs());
  }

  #nextDeletion(): Step | undefined {
    const { catalog, store, clock } = this.#parts;
    const nowMs = clock.monotonicMs();
    const isDue = nowMs >= this.#streamsSeenAtMs + tableLimits.streamSweepMsMin;
    const deleted = catalog.deleted().find(each => (isDue || each.hasOnlyStream !== true) && canGo(store, each));
    if (isDue && deleted === undefined) this.#streamsSeenAtMs = nowMs;
    return deleted && (change => deleteStep(change, deleted));
  }

  async #sweep(): Promise<void> {
    const { clock, sweep } = this.#parts;
    try {
      const nextSeconds = await sweep();
      if (nextSeconds !== undefined) this.#sweepAt(dueMs(nextSeconds));
    } catch (error) {
      this.#tell(error, 'Expired items stay for now, and are tried again every second.');
      this.#sweepAt(clock.nowMs() + tableLimits.upkeepRetryMs);
    }
  }

  /** A full disk is waited for, and whoever writes is told of it too; of damage nobody else may hear. */
  #tell(error: unknown, message: string): void {
    const code = codeOf(error);
    if (this.#told.has(code)) return;
    this.#told.add(code);
    this.#parts.log.error({ code, reason: messageOf(error) }, message);
  }

  /** Looks again every now and then while something will expire, because the wall clock may be set. */
  #sweepAt(atMs: number): void {
    if (this.#isClosed || atMs >= this.#sweepAtMs) return;
    this.#sweepTimer?.cancel();
    this.#sweepAtMs = atMs;
    const delayMs = Math.max(0, atMs - this.#parts.clock.nowMs());
    this.#sweepTimer = this.#parts.clock.setTimer(Math.min(delayMs, tableLimits.expiryCheckMs), () => this.sweep());
  }
}

/** The first millisecond at which `seconds` is before now. */
function dueMs(seconds: number): number {
  return Math.floor(seconds * 1_000) + 1;
}
