import type { Clock } from '../../kernel/clock.ts';
import { logLimits } from '../limits.ts';
import type { LogReaderOptions } from './log-reader.ts';

/** Whether lines may have come since a mark: those of this thread are told, those of others are looked for. */
export class WrittenLines {
  readonly #clock: Clock;
  readonly #stopListening: () => void;
  #count = 0;
  #wake: (() => void) | undefined;

  constructor({ clock, onWritten }: LogReaderOptions) {
    this.#clock = clock;
    const listener = () => {
      this.#count++;
      this.#wake?.();
    };
    this.#stopListening = onWritten?.(listener) ?? (() => {});
  }

  mark(): number {
    return this.#count;
  }

  async beyond(mark: number, signal: AbortSignal): Promise<void> {
    if (this.#count > mark || signal.aborted) return;
    await new Promise<void>(resolve => {
      const timer = this.#clock.setTimer(logLimits.followPollMs, resolve);
      this.#wake = () => {
        timer.cancel();
        resolve();
      };
      signal.addEventListener('abort', this.#wake, { once: true });
    });
    if (this.#wake !== undefined) signal.removeEventListener('abort', this.#wake);
    this.#wake = undefined;
  }

  close(): void {
    this.#stopListening();
  }
}
