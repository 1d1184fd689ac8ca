/** A base in memory that a test can kill in the middle of a commit, or let fail. */
import type { Change } from './change-group.ts';
import type { Clock } from './clock.ts';
import type { Random } from './random.ts';
import { SortedMap, toText } from './sorted-map.ts';
import type { StoreEntry, StoreRange } from './store.ts';
import type { StoreBase } from './store-base.ts';
import { storeFailed } from './store-errors.ts';

export class TestBase {
  readonly #clock: Clock;
  readonly #random: Random;
  #entries = new SortedMap<Uint8Array>();
  #generation = 0;
  #committing: readonly Change[] | undefined;
  #fault: Error | undefined;
  /** How long a commit takes. */
  latencyMs = 3;
  commits = 0;

  constructor(clock: Clock, random: Random) {
    this.#clock = clock;
    this.#random = random;
  }

  /** The next commit fails with that error, and leaves nothing behind. */
  failNext(error: Error): void {
    this.#fault = error;
  }

  /** The process or the machine is gone: a commit under way is there as a whole, or not at all. */
  kill(): void {
    this.#generation++;
    if (this.#committing && this.#random.integer(2) === 1) this.#apply(this.#committing);
    this.#committing = undefined;
  }

  /** As one process has it open. */
  mount(): StoreBase {
    const generation = this.#generation;
    const check = () => {
      if (generation !== this.#generation) throw storeFailed('this process has ended');
    };
    return {
      get: key => this.#get(this.#entries, key),
      range: range => this.#range(this.#entries, range),
      commit: async changes => {
        check();
        this.#committing = changes;
        await new Promise<void>(resolve => void this.#clock.setTimer(this.latencyMs, resolve));
        check();
        this.#committing = undefined;
        const fault = this.#fault;
        this.#fault = undefined;
        if (fault) throw fault;
        this.commits++;
        this.#apply(changes);
      },
      snapshot: () => {
        const entries = this.#entries.copy();
        return {
          get: key => this.#get(entries, key),
          range: range => this.#range(entries, range),
          close: () => {},
        };
      },
      close: async () => {},
    };
  }

  #apply(changes: readonly Change[]): void {
    for (const { key, value } of changes) {
      if (value === undefined) this.#entries.delete(toText(key));
      else this.#entries.set(toText(key), new Uint8Array(value));
    }
  }

  #get(entries: SortedMap<Uint8Array>, key: Uint8Array): Uint8Array | undefined {
    const value = entries.get(toText(key));
    return value && new Uint8Array(value);
  }

  *#range(entries: SortedMap<Uint8Array>, { start, end, reverse = false }: StoreRange): Generator<StoreEntry> {
    for (const [key, value] of entries.range(toText(start), toText(end), reverse)) {
      yield { key: new Uint8Array(Buffer.from(key, 'latin1')), value: new Uint8Array(value) };
    }
  }
}
