/** Where a caller of GetRecords is: opaque to it, sealed, and good for five minutes. */
import type { Clock } from '../../kernel/clock.ts';
import type { SequenceNumber } from '../../platform/stream/index.ts';
import { kinesisLimits } from './limits.ts';
import { iteratorExpired, iteratorNotValid } from './refusals.ts';
import type { Seal } from './seal.ts';

export interface ShardPlace {
  readonly streamName: string;
  /** Tells the stream from another one of its name. */
  readonly createdAtMs: number;
  readonly shardNumber: number;
  /** Records behind this one come next; null: from the oldest. */
  readonly after: SequenceNumber | null;
}

const nameAt = 29;

export class ShardIterators {
  readonly #seal: Seal;
  readonly #clock: Clock;

  constructor({ seal, clock }: { seal: Seal; clock: Clock }) {
    this.#seal = seal;
    this.#clock = clock;
  }

  /** issued at f64 · stream created at f64 · shard u32 · whether there is a record before u8 · that record u64 · name */
  write({ streamName, createdAtMs, shardNumber, after }: ShardPlace): string {
    const place = Buffer.alloc(nameAt + streamName.length);
    place.writeDoubleBE(this.#clock.nowMs(), 0);
    place.writeDoubleBE(createdAtMs, 8);
    place.writeUInt32BE(shardNumber, 16);
    place.writeUInt8(after === null ? 0 : 1, 20);
    place.writeBigUInt64BE(after ?? 0n, 21);
    place.write(streamName, nameAt, 'latin1');
    return this.#seal.close(place);
  }

  /** Throws `InvalidArgumentException`, `ExpiredIteratorException`. */
  read(iterator: string): ShardPlace {
    const place = this.#seal.open(iterator);
    if (place === undefined || place.length <= nameAt) throw iteratorNotValid();
    const issuedAtMs = place.readDoubleBE(0);
    const nowMs = this.#clock.nowMs();
    const { iteratorValidMs } = kinesisLimits;
    if (nowMs - issuedAtMs > iteratorValidMs) throw iteratorExpired(issuedAtMs, nowMs, iteratorValidMs);
    return {
      createdAtMs: place.readDoubleBE(8),
      shardNumber: place.readUInt32BE(16),
      after: place.readUInt8(20) === 0 ? null : place.readBigUInt64BE(21),
      streamName: place.toString('latin1', nameAt),
    };
  }
}
