/** What a shard lets be read: five calls and 2 MiB a second, as on AWS. A large answer is paid for by those after it. */
import type { Clock } from '../../kernel/clock.ts';
import { TokenBucket } from '../../kernel/token-bucket.ts';
import { kinesisLimits } from './limits.ts';

interface ShardMeter {
  readonly reads: TokenBucket;
  readonly iterators: TokenBucket;
  readonly bytes: TokenBucket;
}

export class ReadMeter {
  readonly #clock: Clock;
  /** The least recently used first. */
  readonly #shards = new Map<string, ShardMeter>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @param shard  one text for each shard of each stream */
  mayRead(shard: string): boolean {
    const nowMs = this.#clock.monotonicMs();
    const { reads, bytes } = this.#meterOf(shard);
    return bytes.hasAny(nowMs) && reads.take(nowMs);
  }

  mayLocate(shard: string): boolean {
    return this.#meterOf(shard).iterators.take(this.#clock.monotonicMs());
  }

  hasRead(shard: string, bytes: number): void {
    this.#meterOf(shard).bytes.charge(this.#clock.monotonicMs(), bytes);
  }

  #meterOf(shard: string): ShardMeter {
    const nowMs = this.#clock.monotonicMs();
    const meter = this.#shards.get(shard) ?? {
      reads: new TokenBucket(kinesisLimits.readsPerSecond, nowMs),
      iterators: new TokenBucket(kinesisLimits.readsPerSecond, nowMs),
      bytes: new TokenBucket(kinesisLimits.readBytesPerSecond, nowMs),
    };
    this.#shards.delete(shard);
    this.#shards.set(shard, meter);
    if (this.#shards.size > kinesisLimits.metersMax) {
      for (const oldest of this.#shards.keys()) {
        this.#shards.delete(oldest); // Its shard begins anew, a little richer.
        break;
      }
    }
    return meter;
  }
}
