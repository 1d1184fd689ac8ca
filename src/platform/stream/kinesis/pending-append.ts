import assert from 'node:assert/strict';
import type { MimamoriError } from '../../../kernel/errors.ts';
import type { Appended, Place } from '../port.ts';

/** A batch whose records settle one by one. */
export class PendingAppend {
  readonly settled: Promise<Appended>;
  readonly #places: Place[];
  readonly #failed = new Map<number, MimamoriError>();
  readonly #resolve: (appended: Appended) => void;
  readonly #reject: (error: Error) => void;
  #unsettled: number;

  constructor(count: number) {
    const { promise, resolve, reject } = Promise.withResolvers<Appended>();
    this.settled = promise;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#places = new Array(count);
    this.#unsettled = count;
  }

  keep(index: number, place: Place): void {
    this.#places[index] = place;
    this.#countDown();
  }

  refuse(index: number, error: MimamoriError): void {
    this.#failed.set(index, error);
    this.#countDown();
  }

  #countDown(): void {
    this.#unsettled--;
    assert(this.#unsettled >= 0); // Each record settles once.
    if (this.#unsettled > 0) return;
    const [first] = this.#failed.values();
    if (this.#failed.size === this.#places.length) return this.#reject(first); // Nothing of the batch was kept.
    this.#resolve({ placeOf: index => this.#places[index], failed: this.#failed });
  }
}
