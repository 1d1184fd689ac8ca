/**
 * A disk, a clock and a journal on it that commits as a gateway does, for tests: it can be killed, lose power, and be
 * recovered. Beside it the model: what the journal was told, by the plainest means.
 */
import assert from 'node:assert/strict';
import { codeOf } from '../../../kernel/errors.ts';
import type { Files } from '../../../kernel/files.ts';
import { type Random, seededRandom } from '../../../kernel/random.ts';
import { TestDisk } from '../../../kernel/test-disk.ts';
import { VirtualClock } from '../../../kernel/virtual-clock.ts';
import { RecordBatch } from '../../../platform/stream/index.ts';
import { appendInOrder } from './append-in-order.ts';
import { Checkpointer, type CheckpointSource } from './checkpointer.ts';
import { Journal } from './journal.ts';
import { Model } from './model.ts';
import { type RecoveredJournal, recoverJournal } from './recovery.ts';

export const directory = '/sessions';

export interface LifeOptions {
  readonly segmentBytesMax?: number;
  readonly recordBytesMax?: number;
  readonly growthBytesMin?: number;
  readonly stepBytesMax?: number;
  /** One in so many records begins a new batch; 0 = only where one is full. */
  readonly batchChance?: number;
  /** Makes the disk a worse one. */
  readonly spoilFiles?: (files: Files) => Files;
  /** Makes the journal a worse one. */
  readonly spoil?: (life: { journal: Journal; recovered: RecoveredJournal }) => void;
  readonly source?: (source: CheckpointSource) => CheckpointSource;
}

export class JournalWorld {
  readonly clock = new VirtualClock();
  readonly random: Random;
  readonly disk: TestDisk;
  #life: Life | undefined;

  constructor(seed = 1) {
    this.random = seededRandom(seed);
    this.disk = new TestDisk({ clock: this.clock, random: this.random });
  }

  /** A process that starts; one that still runs is killed. */
  async start(options: LifeOptions = {}): Promise<Life> {
    this.end();
    const recovered = await this.recover(options);
    this.#life = new Life(this, recovered, options);
    return this.#life;
  }

  recover({ segmentBytesMax, spoilFiles }: LifeOptions = {}): Promise<RecoveredJournal> {
    const { clock, random } = this;
    const mounted = this.disk.mount();
    const files = spoilFiles ? spoilFiles(mounted) : mounted;
    return clock.until(
      recoverJournal({ files, clock, random, directory, paddingBytes: 0, ...(segmentBytesMax && { segmentBytesMax }) }),
    );
  }

  /** The process is killed, or the power goes: what was written but not synced may be gone. */
  end(how: 'kill' | 'powerCut' = 'kill'): void {
    this.#life?.end();
    this.disk[how]();
  }

  async segments(): Promise<string[]> {
    const names = await this.disk.list(directory);
    return names.filter(name => name.endsWith('.log')).map(name => `${directory}/${name}`);
  }

  async logBytes(): Promise<number> {
    return (await this.segments()).reduce((sum, path) => sum + this.disk.sizeOf(path), 0);
  }
}

/** One process: the journal, its group commit, and the model that goes with it. */
export class Life {
  readonly recovered: RecoveredJournal;
  readonly journal: Journal;
  readonly checkpointer: Checkpointer;
  readonly model: Model;
  /** What the world looked like after each event; the first is how it was recovered. */
  readonly pictures: string[];
  /** The newest of them that somebody may have heard of. */
  durablePicture = 0;
  readonly failures: unknown[] = [];
  readonly #world: JournalWorld;
  readonly #batchChance: number;
  #batches: RecordBatch[] = [];
  #committing: Promise<void> | undefined;
  #isOver = false;

  constructor(world: JournalWorld, recovered: RecoveredJournal, options: LifeOptions) {
    this.#world = world;
    this.#batchChance = options.batchChance ?? 0;
    this.recovered = recovered;
    this.model = new Model(recovered.clients, recovered.retained);
    this.pictures = [this.model.picture()];
    const { recordBytesMax, growthBytesMin, stepBytesMax } = options;
    this.journal = new Journal({
      batch: () => this.#batch(),
      ...recovered,
      ...(recordBytesMax && { recordBytesMax }),
    });
    options.spoil?.(this);
    this.checkpointer = new Checkpointer({
      journal: this.journal,
      log: recovered.log,
      source: options.source?.(this.model) ?? this.model,
      clock: world.clock,
      onFailure: error => this.failures.push(error),
      ...(growthBytesMin && { growthBytesMin }),
      ...(stepBytesMax && { stepBytesMax }),
    });
  }

  /** One event: the model changes, the journal is told, and from then on recovery may find it so. */
  event(change: () => void): void {
    change();
    this.pictures.push(this.model.picture());
  }

  /** Everything so far is durable. */
  async drain(): Promise<void> {
    const picture = this.pictures.length - 1;
    while (this.durablePicture < picture && this.#committing) await this.#world.clock.until(this.#committing);
    assert.deepEqual(this.failures, []);
  }

  end(): void {
    this.#isOver = true;
    this.checkpointer.stop();
  }

  #batch(): RecordBatch {
    const newest = this.#batches.at(-1);
    this.#committing ??= this.#commit();
    const isCut = this.#batchChance > 0 && this.#world.random.integer(this.#batchChance) === 0;
    if (newest && !newest.isFull && !isCut) return newest;
    const batch = new RecordBatch(1_024);
    this.#batches.push(batch);
    return batch;
  }

  async #commit(): Promise<void> {
    const { clock } = this.#world;
    await new Promise<void>(resolve => clock.soon(resolve));
    while (this.#batches.length > 0 && !this.#isOver) {
      const group = this.#batches;
      this.#batches = [];
      const picture = this.pictures.length - 1;
      try {
        await appendInOrder(group, { stream: this.recovered.stream, clock });
      } catch (error) {
        if (!this.#isOver && codeOf(error) !== 'stream.failed') this.failures.push(error);
        this.end();
      }
      if (!this.#isOver) this.durablePicture = picture;
    }
    this.#committing = undefined;
  }
}
