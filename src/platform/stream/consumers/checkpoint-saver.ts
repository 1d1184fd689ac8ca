/** Saves the checkpoint while the next batch runs: one save at a time, each for everything that is done by then. */
import type { Clock } from '../../../kernel/clock.ts';
import type { SequenceNumber } from '../port.ts';
import type { KeptWindow, Settled } from './batch.ts';
import type { Bell } from './bell.ts';
import type { Frontier } from './frontier.ts';
import { consumerDefaults } from './limits.ts';
import { untilThereIsRoom } from './patience.ts';

export type SaveCheckpoint = (upTo: SequenceNumber, settled: Settled, window?: KeptWindow) => Promise<void>;

export interface SaverOptions {
  readonly frontier: Frontier;
  readonly save: SaveCheckpoint;
  /** The open tumbling window, if there is one. */
  readonly window: () => KeptWindow | undefined;
  readonly clock: Clock;
  readonly bell: Bell;
}

export class CheckpointSaver {
  readonly #options: SaverOptions;
  #savedAtMs = Number.NEGATIVE_INFINITY;
  #isSaving = false;
  #isFinishing = false;
  #windowChanged = false;

  constructor(options: SaverOptions) {
    this.#options = options;
  }

  /** A save is under way, and there is more to save: more work now would mean more to repeat after a crash. */
  get isBehind(): boolean {
    return this.#isSaving && this.#isUrgent;
  }

  /** The window was opened, closed or has another state: as good a reason to save as a record that is done. */
  noteWindow(): void {
    this.#windowChanged = true;
  }

  /** Saves what there is to save from now on, and stops then. */
  finish(): void {
    this.#isFinishing = true;
    this.#options.bell.ring();
  }

  /** Works until it is finished. Rejects when storage fails; a full one is waited for, unless `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { bell, frontier, clock } = this.#options;
    for (;;) {
      const dueAtMs = this.#savedAtMs + consumerDefaults.idleCheckpointMs;
      const isDue = this.#isUrgent || this.#isFinishing || clock.monotonicMs() >= dueAtMs;
      if (this.#isUnsaved && isDue) await this.#save(signal);
      else if (this.#isFinishing) return;
      else await bell.wait(frontier.untaken > 0 ? dueAtMs : undefined);
    }
  }

  get #isUrgent(): boolean {
    return this.#options.frontier.isUrgent || this.#windowChanged;
  }

  get #isUnsaved(): boolean {
    return this.#options.frontier.untaken > 0 || this.#windowChanged;
  }

  async #save(signal: AbortSignal): Promise<void> {
    const { frontier, save, window, clock, bell } = this.#options;
    // Taken in one turn: the state of a window is that after just these records.
    const upTo = frontier.checkpoint;
    const settled = frontier.take();
    const kept = window();
    this.#windowChanged = false;
    this.#isSaving = true;
    bell.ring(); // There may be room to read on.
    await untilThereIsRoom({ clock, signal }, () => save(upTo ?? 0n, settled, kept));
    this.#isSaving = false;
    this.#savedAtMs = clock.monotonicMs();
    bell.ring();
  }
}
