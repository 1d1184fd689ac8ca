/** Tumbling windows by arrival time: which of them is open, and what its function has remembered so far. */
import { windowStateNotValid } from '../errors.ts';
import type { KeptWindow } from './batch.ts';
import type { WindowFacts } from './invoker.ts';
import type { Item } from './item.ts';
import { consumerLimits } from './limits.ts';

/** How long after its end a window is closed if nothing came since: what came before it may still be on its way. Ours. */
export const windowGraceMs = 1_000;

export interface WindowState {
  readonly json: string;
  readonly isTooLarge: boolean;
}

export class Windows {
  readonly #lengthMs: number;
  readonly #stateBytesMax: number;
  #startAtMs: number | undefined;
  /** The window last open; no record goes to an earlier one, also if the clock of the stream was set back. */
  #latestAtMs = Number.NEGATIVE_INFINITY;
  #json = '{}';

  constructor(lengthMs: number, kept?: KeptWindow, stateBytesMax: number = consumerLimits.windowStateBytesMax) {
    this.#lengthMs = lengthMs;
    this.#stateBytesMax = stateBytesMax;
    if (kept === undefined) return;
    this.#open(kept.startAtMs);
    this.#json = kept.state;
  }

  get isOpen(): boolean {
    return this.#startAtMs !== undefined;
  }

  /** What survives a restart. */
  get kept(): KeptWindow | undefined {
    return this.#startAtMs === undefined ? undefined : { startAtMs: this.#startAtMs, state: this.#json };
  }

  /** When the open window is over, and nothing more can come: on the wall clock. */
  get overAtMs(): number {
    return (this.#startAtMs ?? Number.POSITIVE_INFINITY) + this.#lengthMs + windowGraceMs;
  }

  /** Of two records of the queue: whether they belong together. */
  areTogether(first: Item<unknown>, second: Item<unknown>): boolean {
    return this.#startOf(first) === this.#startOf(second);
  }

  belongs(item: Item<unknown>): boolean {
    return this.#startOf(item) === this.#startAtMs;
  }

  /** Opens the window of `item` unless it is open. */
  openFor(item: Item<unknown>): void {
    if (this.#startAtMs === undefined) this.#open(this.#startOf(item));
  }

  /** What an invocation is told. `early`: the end comes before its time, with this state. */
  facts(isFinal: boolean, early?: WindowState): WindowFacts {
    const startAtMs = this.#startAtMs ?? 0;
    const [start, end] = [startAtMs, startAtMs + this.#lengthMs].map(atMs => new Date(atMs).toISOString());
    return {
      window: { start, end },
      state: JSON.parse(early?.json ?? this.#json), // Its own: what a failed attempt does to it is not seen by the next.
      isFinalInvokeForWindow: isFinal,
      isWindowTerminatedEarly: early !== undefined,
    };
  }

  /** Checks what was returned. Throws `stream.windowStateNotValid`. Nothing returned is an empty state, as with Lambda. */
  read(returned: unknown): WindowState {
    let json: string | undefined;
    try {
      json = JSON.stringify(returned ?? {});
    } catch (cause) {
      throw windowStateNotValid('it is not JSON', cause);
    }
    if (json === undefined) throw windowStateNotValid(`it is a ${typeof returned}`);
    const isTooLarge = Buffer.byteLength(json) > this.#stateBytesMax;
    return { json, isTooLarge };
  }

  /** Remembers a state that was read. */
  remember({ json }: WindowState): void {
    this.#json = json;
  }

  /** Forgets it. What comes late after its end counts to the next; a window that ended early may be opened again. */
  close(isEarly: boolean): void {
    if (!isEarly) this.#latestAtMs += this.#lengthMs;
    this.#startAtMs = undefined;
    this.#json = '{}';
  }

  #open(startAtMs: number): void {
    this.#startAtMs = startAtMs;
    this.#latestAtMs = startAtMs;
  }

  #startOf({ record }: Item<unknown>): number {
    return Math.max(Math.floor(record.arrivalAtMs / this.#lengthMs) * this.#lengthMs, this.#latestAtMs);
  }
}
