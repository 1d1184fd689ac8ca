import { testingLimits } from '../limits.ts';

/** The newest of many, as many as a test can look at. */
export class Newest<T> {
  #all: T[] = [];

  add(each: T): void {
    this.#all.push(each);
    // Now and then half of them go at once, so that adding stays cheap.
    if (this.#all.length >= 2 * testingLimits.messagesKept) this.#all = this.#all.slice(-testingLimits.messagesKept);
  }

  all(): readonly T[] {
    return this.#all.slice(-testingLimits.messagesKept);
  }
}
