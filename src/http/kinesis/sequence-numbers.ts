/**
 * Sequence numbers as Kinesis shows them: 56 digits, so that clients who compare them as text are right, too. The number of
 * the record in its stream is in it, and what tells another stream or shard apart. In hexadecimal digits:
 *   2 · 9 second of the stream's creation · 1 zero · 16 number · 2 zeros · 9 the same second · 8 shard · 2
 * which is how Kinesis lays its own out, as far as that is known (kinesalite's `parseSequence`), but for times of records.
 */
import type { SequenceNumber } from '../../platform/stream/index.ts';

const bits = { shard: 4n, written: 36n, number: 80n, created: 148n, version: 184n } as const;
const format = 2n;

/** Writes and reads the sequence numbers of one stream. */
export class SequenceNumbers {
  readonly #createdSeconds: bigint;

  constructor({ createdAtMs }: { createdAtMs: number }) {
    this.#createdSeconds = BigInt(Math.floor(createdAtMs / 1_000)) & mask(36n);
  }

  /** A function of the number alone, for many records of one shard. */
  ofShard(shardNumber: number): (number: SequenceNumber) => string {
    const created = this.#createdSeconds;
    const seal = (format << bits.version) | (created << bits.created) | (created << bits.written);
    const base = seal | (BigInt(shardNumber) << bits.shard) | format;
    return number => (base + (number << bits.number)).toString();
  }

  write(shardNumber: number, number: SequenceNumber): string {
    return this.ofShard(shardNumber)(number);
  }

  /** Whether one was written for this stream, or another of its name. */
  isOwn({ createdSeconds }: ReadSequenceNumber): boolean {
    return createdSeconds === this.#createdSeconds;
  }
}

export interface ReadSequenceNumber {
  readonly createdSeconds: bigint;
  readonly shardNumber: number;
  readonly number: SequenceNumber;
}

/** Undefined when it cannot be one. */
export function readSequenceNumber(text: string): ReadSequenceNumber | undefined {
  const value = BigInt(text); // digits only: validated
  if (value >> bits.version !== format || (value & mask(4n)) !== format) return undefined;
  return {
    createdSeconds: (value >> bits.created) & mask(36n),
    shardNumber: Number((value >> bits.shard) & mask(32n)),
    number: (value >> bits.number) & mask(64n),
  };
}

function mask(width: bigint): bigint {
  return (1n << width) - 1n;
}
