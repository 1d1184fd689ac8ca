import type { SequenceNumber } from './port.ts';
import type { StreamTail } from './reader.ts';

/** The tail for readers on the writer's own thread. */
export class LocalTail implements StreamTail {
  #last: SequenceNumber;
  readonly #waiting = new Set<{ after: SequenceNumber; wake: () => void }>();

  constructor(last: SequenceNumber) {
    this.#last = last;
  }

  /** The writer has made everything up to `last` durable. */
  moveTo(last: SequenceNumber): void {
    this.#last = last;
    for (const waiter of this.#waiting) {
      if (last <= waiter.after) continue;
      this.#waiting.delete(waiter);
      waiter.wake();
    }
  }

  lastSequenceNumber(): SequenceNumber {
    return this.#last;
  }

  onceBeyond(after: SequenceNumber, wake: () => void): () => void {
    const waiter = { after, wake };
    if (this.#last > after) queueMicrotask(wake);
    else this.#waiting.add(waiter);
    return () => void this.#waiting.delete(waiter);
  }
}
