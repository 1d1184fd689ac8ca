import type { GetShardIteratorCommandInput } from '@aws-sdk/client-kinesis';
import type { Clock } from '../../../kernel/clock.ts';
import type { SequenceNumber } from '../port.ts';
import { kinesisLimits } from './limits.ts';

/**
 * Kinesis says of no instant which sequence number comes before it. So `locate` answers with a number below zero, which
 * is no record's and stands for the instant; it may be stored as a checkpoint. It counts 1,024ths of a millisecond
 * since the epoch, so that two that ask in the same millisecond get different ones.
 */
const perMs = 1_024;

export function placeBefore(atMs: number): SequenceNumber {
  return -BigInt(Math.floor(Math.max(atMs, 0) * perMs)) - 1n;
}

function instantOf(place: SequenceNumber): Date {
  return new Date(Number(-place - 1n) / perMs);
}

/** How to ask for an iterator that gives what comes after `after`. */
export function iteratorTypeOf(
  after: SequenceNumber | null,
): Pick<GetShardIteratorCommandInput, 'ShardIteratorType' | 'StartingSequenceNumber' | 'Timestamp'> {
  if (after === null || after === 0n) return { ShardIteratorType: 'TRIM_HORIZON' };
  if (after < 0n) return { ShardIteratorType: 'AT_TIMESTAMP', Timestamp: instantOf(after) };
  return { ShardIteratorType: 'AFTER_SEQUENCE_NUMBER', StartingSequenceNumber: String(after) };
}

/** Iterators at the latest record, each used once by whoever begins there; one that is gone is made by its instant. */
export class StartingPlaces {
  readonly #clock: Clock;
  readonly #iterators = new Map<SequenceNumber, string>();
  #last = 0n;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  keepLatest(iterator: string): SequenceNumber {
    const now = placeBefore(this.#clock.nowMs());
    this.#last = now < this.#last ? now : this.#last - 1n; // Lower is later, and none comes twice.
    this.#iterators.set(this.#last, iterator);
    const [oldest] = this.#iterators.keys();
    if (this.#iterators.size > kinesisLimits.latestMax) this.#iterators.delete(oldest);
    return this.#last;
  }

  takeIterator(place: SequenceNumber | null): string | undefined {
    if (place === null) return undefined;
    const iterator = this.#iterators.get(place);
    this.#iterators.delete(place);
    return iterator;
  }
}
