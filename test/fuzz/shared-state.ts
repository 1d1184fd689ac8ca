import type { Campaign } from './finding.ts';

/** What the thread that fuzzes and the one that watches it both see: a few atomic words, so that neither waits. */
const slots = { campaign: 0, index: 1, done: 2, beat: 3, stop: 4 } as const;
const campaigns: readonly Campaign[] = ['packets', 'sessions'];

export class SharedState {
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;

  constructor(buffer = new SharedArrayBuffer(Object.keys(slots).length * 4)) {
    this.buffer = buffer;
    this.#words = new Int32Array(buffer);
  }

  begin(campaign: Campaign): void {
    Atomics.store(this.#words, slots.done, 0);
    Atomics.store(this.#words, slots.campaign, campaigns.indexOf(campaign));
  }

  /** Before a case; false when it should not be begun. */
  nextCase(index: number): boolean {
    Atomics.store(this.#words, slots.index, index);
    Atomics.add(this.#words, slots.done, 1);
    return this.beat();
  }

  /** A sign of life; false when it is time to stop. */
  beat(): boolean {
    Atomics.add(this.#words, slots.beat, 1);
    return Atomics.load(this.#words, slots.stop) === 0;
  }

  stop(): void {
    Atomics.store(this.#words, slots.stop, 1);
  }

  read(): { campaign: Campaign; index: number; done: number; beats: number } {
    const word = (slot: number) => Atomics.load(this.#words, slot);
    return {
      campaign: campaigns[word(slots.campaign)],
      index: word(slots.index),
      done: word(slots.done),
      beats: word(slots.beat),
    };
  }
}
