/** How far a consumer is done: records end in any order, the checkpoint moves only over those before which all have ended. */
import type { SequenceNumber, StreamRecord } from '../port.ts';
import type { Fate, Settled } from './batch.ts';
import type { Tracked } from './item.ts';

export class Frontier {
  /** In the order of reading, from the first whose end was not taken. */
  #tracked: Tracked[] = [];
  /** Where the first that is not done is. */
  #done = 0;
  #bytes = 0;
  #isUrgent = false;
  #checkpoint: SequenceNumber | null;

  constructor(checkpoint: SequenceNumber | null) {
    this.#checkpoint = checkpoint;
  }

  /** Everything up to it is done; null: nothing is. */
  get checkpoint(): SequenceNumber | null {
    return this.#checkpoint;
  }

  /** Records read whose end was not taken. */
  get size(): number {
    return this.#tracked.length;
  }

  /** Bytes of their data. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Records before the checkpoint whose end was not taken. */
  get untaken(): number {
    return this.#done;
  }

  /** Some of them were more than passed by: the checkpoint should be saved now. */
  get isUrgent(): boolean {
    return this.#isUrgent;
  }

  /** The oldest that is not done. */
  get first(): StreamRecord | undefined {
    return this.#tracked[this.#done]?.record;
  }

  add(tracked: Tracked): void {
    this.#tracked.push(tracked);
    this.#bytes += tracked.record.data.length;
  }

  /** Moves over what is done. */
  advance(): void {
    const tracked = this.#tracked;
    let at = this.#done;
    while (at < tracked.length && tracked[at].fate !== undefined) {
      const { fate } = tracked[at++];
      if (fate !== 'filtered' && fate !== 'passed') this.#isUrgent = true;
    }
    if (at === this.#done) return;
    this.#done = at;
    this.#checkpoint = tracked[at - 1].record.sequenceNumber;
  }

  /** What became of the records before the checkpoint since it was asked the last time. */
  take(): Settled {
    const settled: Record<Fate, StreamRecord[]> = { handled: [], filtered: [], deadLettered: [], expired: [] };
    for (let at = 0; at < this.#done; at++) {
      const { record, fate } = this.#tracked[at];
      this.#bytes -= record.data.length;
      if (fate !== undefined && fate !== 'passed') settled[fate].push(record);
    }
    this.#tracked = this.#done === this.#tracked.length ? [] : this.#tracked.slice(this.#done);
    this.#done = 0;
    this.#isUrgent = false;
    return settled;
  }
}
