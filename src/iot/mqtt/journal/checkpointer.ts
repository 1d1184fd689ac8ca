import type { Clock } from '../../../kernel/clock.ts';
import type { SequenceNumber } from '../../../platform/stream/index.ts';
import type { ClientState, Message } from '../client-state.ts';
import type { Journal } from './journal.ts';
import type { JournalLog } from './journal-log.ts';
import { journalLimits } from './limits.ts';

/** Everything the journal is about, as it is in memory. Both may change while they are walked, as a `Map` may. */
export interface CheckpointSource {
  /** Every client the journal was told of, as long as it is not forgotten. */
  clients(): Iterable<CheckpointClient>;
  retained(): Iterable<Message>;
}

export interface CheckpointClient {
  /** As it is at this instant; undefined when it was forgotten meanwhile. */
  state(): ClientState | undefined;
}

export interface CheckpointerOptions {
  readonly journal: Journal;
  readonly log: JournalLog;
  readonly source: CheckpointSource;
  readonly clock: Clock;
  /** Something threw that should not: there are no checkpoints any more, and the log only grows. */
  readonly onFailure: (error: unknown) => void;
  /** For tests. */
  readonly growthBytesMin?: number;
  readonly stepBytesMax?: number;
}

/** A checkpoint under way. */
interface Walk {
  /** Stops wherever a step has written its share. */
  readonly steps: Iterator<void>;
  /** Everything up to here was written before the walk began. */
  readonly redundantUpTo: SequenceNumber;
  /** Of the log, when it began. */
  readonly bytesBefore: number;
  /** What its steps have written. */
  bytes: number;
  isWritten: boolean;
}

/**
 * Keeps the log short: when it has grown enough it writes the whole state into it again, step by step between the
 * events, one step to a group commit. What stood before the walk is redundant once its end is durable:
 *
 * - A client that was there when the walk began, and still is, was written as a whole during it. That record replaces
 *   what replaying an incomplete log made of the client, and all events behind it are there.
 * - A client that came later has its first, whole record in what is left.
 * - A client that was forgotten before the walk came to it has that event in what is left, and no later record.
 * - The same holds for what is retained, topic by topic.
 * - Whoever refers to a message after the walk began, the walk included, writes its content again if that was not done
 *   since (`Journal.beginCheckpoint`), so no reference that is still in force leads to what was deleted.
 */
export class Checkpointer {
  readonly #options: CheckpointerOptions;
  readonly #growthBytesMin: number;
  readonly #stepBytesMax: number;
  #walk: Walk | undefined;
  /** What the last finished checkpoint took. */
  #checkpointBytes: number;
  /** Bytes of the journal that are no growth: written before the last checkpoint began, or by it. */
  #settledBytes: number;
  /** The last record of the step before. */
  #awaited: SequenceNumber = 0n;
  /** Where in the journal the step under way has written its share. */
  #stepEndsAtBytes = 0;
  #stepIsDue = false;
  #isStopped = false;

  constructor(options: CheckpointerOptions) {
    this.#options = options;
    this.#growthBytesMin = options.growthBytesMin ?? journalLimits.checkpointGrowthBytesMin;
    this.#stepBytesMax = options.stepBytesMax ?? journalLimits.stepBytesMax;
    this.#checkpointBytes = options.log.checkpointBytes;
    this.#settledBytes = -options.log.grownBytes;
    options.log.onDurable(() => this.#afterCommit());
  }

  get isWalking(): boolean {
    return this.#walk !== undefined;
  }

  /** Writes nothing any more. A checkpoint under way is as if it had never begun. */
  stop(): void {
    this.#isStopped = true;
  }

  /** The next step waits for its own turn, and for the disk to have taken the one before. */
  #afterCommit(): void {
    if (this.#isStopped || this.#stepIsDue) return;
    if (this.#walk ? this.#options.log.durableUpTo < this.#awaited : !this.#isDue()) return;
    this.#stepIsDue = true;
    this.#options.clock.soon(() => {
      this.#stepIsDue = false;
      if (!this.#isStopped) this.#goOn();
    });
  }

  #isDue(): boolean {
    const grownBytes = this.#options.journal.bytes - this.#settledBytes;
    return grownBytes > Math.max(this.#growthBytesMin, journalLimits.checkpointGrowthFactor * this.#checkpointBytes);
  }

  #goOn(): void {
    try {
      this.#walk ??= this.#begin();
      if (this.#walk.isWritten) this.#finish(this.#walk);
      else this.#step(this.#walk);
    } catch (error) {
      this.stop();
      this.#options.onFailure(error);
    }
  }

  #begin(): Walk {
    const { journal, log } = this.#options;
    journal.beginCheckpoint();
    // What is durable was written before now, whatever may still be on its way.
    const redundantUpTo = log.durableUpTo;
    return { steps: this.#steps(), redundantUpTo, bytesBefore: journal.bytes, bytes: 0, isWritten: false };
  }

  #step(walk: Walk): void {
    const { journal, log } = this.#options;
    const bytesBefore = journal.bytes;
    this.#stepEndsAtBytes = bytesBefore + this.#stepBytesMax;
    walk.isWritten = walk.steps.next().done === true;
    walk.bytes += journal.bytes - bytesBefore;
    if (walk.isWritten) journal.checkpointEnded(walk.redundantUpTo, walk.bytes);
    this.#awaited = log.recoveredUpTo + BigInt(journal.records);
  }

  #finish(walk: Walk): void {
    this.#options.log.becomeRedundant(walk.redundantUpTo);
    this.#checkpointBytes = walk.bytes;
    this.#settledBytes = walk.bytesBefore + walk.bytes;
    this.#walk = undefined;
  }

  get #stepIsFull(): boolean {
    return this.#options.journal.bytes >= this.#stepEndsAtBytes;
  }

  *#steps(): Generator<void> {
    const { journal, source } = this.#options;
    for (const client of source.clients()) {
      yield* this.#writeClient(client);
      if (this.#stepIsFull) yield;
    }
    for (const message of source.retained()) {
      journal.published(message, [], 'set');
      if (this.#stepIsFull) yield;
    }
  }

  /** Its messages first, over several steps if they are much; those that come meanwhile are written as they come. */
  *#writeClient(client: CheckpointClient): Generator<void> {
    const { journal } = this.#options;
    let state = client.state();
    let isCurrent = true;
    for (const { message } of state?.session?.deliveries ?? []) {
      if (!journal.message(message) || !this.#stepIsFull) continue;
      yield;
      isCurrent = false;
    }
    if (!isCurrent) state = client.state(); // It is written as it is in this turn, or events would be undone.
    if (state) journal.client(state);
  }
}
