import assert from 'node:assert/strict';
import type { MimamoriError } from '../../../kernel/errors.ts';
import type { Appended, Place, ShardId } from '../port.ts';
import { sequenceNumberAt } from './message.ts';

/** Records of one batch that follow each other and go to the same shard. */
export interface Run {
  readonly batch: PendingBatch;
  /** Index in the batch of the first. */
  readonly firstIndex: number;
  readonly count: number;
  readonly packed: Buffer;
}

interface KeptRun {
  readonly firstIndex: number;
  readonly shardId: ShardId;
  readonly messageNumber: number;
  /** Of the first record in the message. */
  readonly place: number;
}

/** A batch whose runs settle one by one. */
export class PendingBatch {
  readonly settled: Promise<Appended>;
  readonly explicitHashKeys: ReadonlyMap<number, bigint> | undefined;
  readonly #count: number;
  readonly #resolve: (appended: Appended) => void;
  readonly #reject: (error: Error) => void;
  readonly #kept: KeptRun[] = [];
  readonly #failed = new Map<number, MimamoriError>();
  #unsettled: number;

  constructor(count: number, explicitHashKeys: ReadonlyMap<number, bigint> | undefined) {
    const { promise, resolve, reject } = Promise.withResolvers<Appended>();
    this.settled = promise;
    this.explicitHashKeys = explicitHashKeys;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#count = count;
    this.#unsettled = count;
  }

  /** The run is in the message, from `place` on. */
  keep({ firstIndex, count }: Run, shardId: ShardId, messageNumber: number, place: number): void {
    this.#kept.push({ firstIndex, shardId, messageNumber, place });
    this.#countDown(count);
  }

  refuse({ firstIndex, count }: Run, error: MimamoriError): void {
    for (let index = firstIndex; index < firstIndex + count; index++) this.#failed.set(index, error);
    this.#countDown(count);
  }

  #countDown(count: number): void {
    this.#unsettled -= count;
    assert(this.#unsettled >= 0); // Each record settles once.
    if (this.#unsettled > 0) return;
    const [first] = this.#failed.values();
    if (this.#failed.size === this.#count) return this.#reject(first); // Nothing of the batch was kept.
    this.#kept.sort((left, right) => left.firstIndex - right.firstIndex);
    this.#resolve({ placeOf: index => this.#placeOf(index), failed: this.#failed });
  }

  #placeOf(index: number): Place {
    let [low, high] = [0, this.#kept.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#kept[middle].firstIndex <= index) low = middle;
      else high = middle - 1;
    }
    const { firstIndex, shardId, messageNumber, place } = this.#kept[low];
    return { shardId, sequenceNumber: sequenceNumberAt(messageNumber, place + index - firstIndex) };
  }
}
