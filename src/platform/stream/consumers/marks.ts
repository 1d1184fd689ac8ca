import type { SequenceNumber } from '../port.ts';
import type { InvocationMarks } from './batch.ts';

/** Several batches in flight, noted as the one range that holds them all: a mark has room for one. */
export class MarkedRange {
  readonly #marks: InvocationMarks | undefined;
  readonly #ranges = new Set<{ readonly first: SequenceNumber; readonly last: SequenceNumber }>();

  constructor(marks: InvocationMarks | undefined) {
    this.#marks = marks;
  }

  /** Notes a batch; returns how to note its end. */
  enter(first: SequenceNumber, last: SequenceNumber): () => void {
    if (this.#marks === undefined) return nothing;
    const range = { first, last };
    this.#ranges.add(range);
    this.#note(this.#marks);
    return () => {
      this.#ranges.delete(range);
      if (this.#marks) this.#note(this.#marks);
    };
  }

  #note(marks: InvocationMarks): void {
    let hull: { first: SequenceNumber; last: SequenceNumber } | undefined;
    for (const { first, last } of this.#ranges) {
      if (hull === undefined) hull = { first, last };
      if (first < hull.first) hull.first = first;
      if (last > hull.last) hull.last = last;
    }
    if (hull) marks.enter(hull.first, hull.last);
    else marks.leave();
  }
}

function nothing(): void {}
