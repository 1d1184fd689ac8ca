import type { SequenceNumber } from './port.ts';

/** How far a reader has seen a stream to have come. */
export interface TailSeen {
  readonly sequenceNumber: SequenceNumber;
  readonly generation: number;
}

/** How a reader, which may live on another thread than the writer, learns what is durable, and of changed shards. */
export interface StreamTail {
  /** The last durable sequence number; 0 when there is none. */
  lastSequenceNumber(): SequenceNumber;
  /** Which version of the shard map is in force; 0: whichever is the newest on the disk. */
  shardsGeneration(): number;
  /**
   * Calls `wake` once, soon after the tail is beyond `seen.sequenceNumber` or the shards are others than in
   * `seen.generation`, or if they already are; returns how to stop waiting.
   */
  onceMoved(seen: TailSeen, wake: () => void): () => void;
}

/** The tail for readers on the writer's own thread. */
export class LocalTail implements StreamTail {
  #last: SequenceNumber;
  #generation = 0;
  readonly #waiting = new Set<{ seen: TailSeen; wake: () => void }>();

  constructor(last: SequenceNumber) {
    this.#last = last;
  }

  /** The writer has made everything up to `last` durable, and has the shards of this generation. */
  moveTo(last: SequenceNumber, generation: number): void {
    this.#last = last;
    this.#generation = generation;
    for (const waiter of this.#waiting) {
      if (!this.#isBeyond(waiter.seen)) continue;
      this.#waiting.delete(waiter);
      waiter.wake();
    }
  }

  lastSequenceNumber(): SequenceNumber {
    return this.#last;
  }

  shardsGeneration(): number {
    return this.#generation;
  }

  onceMoved(seen: TailSeen, wake: () => void): () => void {
    const waiter = { seen, wake };
    if (this.#isBeyond(seen)) queueMicrotask(wake);
    else this.#waiting.add(waiter);
    return () => void this.#waiting.delete(waiter);
  }

  #isBeyond({ sequenceNumber, generation }: TailSeen): boolean {
    return this.#last > sequenceNumber || this.#generation !== generation;
  }
}
