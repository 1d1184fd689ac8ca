import type { Clock } from '../../kernel/clock.ts';
import type { MimamoriError } from '../../kernel/errors.ts';
import { TokenBucket } from '../../kernel/token-bucket.ts';
import { streamThrottled } from './errors.ts';
import { streamLimits } from './limits.ts';
import type { ShardId } from './port.ts';

/** What a shard takes in a second. */
export interface ShardThroughput {
  readonly bytesPerSecond: number;
  readonly recordsPerSecond: number;
}

interface Buckets {
  readonly bytes: TokenBucket;
  readonly records: TokenBucket;
}

/** What a shard of Kinesis takes. */
export const awsShardThroughput: ShardThroughput = {
  bytesPerSecond: streamLimits.shardBytesPerSecondMax,
  recordsPerSecond: streamLimits.shardRecordsPerSecondMax,
};

/** Refuses what comes to a shard faster than it may. Limits are of a shard, so a closed one's are forgotten with it. */
export class Throttle {
  readonly #clock: Clock;
  readonly #throughput: ShardThroughput;
  #shards = new Map<ShardId, Buckets>();

  constructor(clock: Clock, throughput: ShardThroughput) {
    this.#clock = clock;
    this.#throughput = throughput;
  }

  /** Counts a record in, or says why not. */
  refusalOf(shardId: ShardId, recordBytes: number): MimamoriError | undefined {
    const nowMs = this.#clock.monotonicMs();
    const { bytes, records } = this.#bucketsOf(shardId, nowMs);
    if (bytes.hasAny(nowMs) && records.take(nowMs)) {
      bytes.charge(nowMs, recordBytes);
      return undefined;
    }
    return streamThrottled(shardId);
  }

  /** Only these are open from now on. */
  keepOnly(shardIds: readonly ShardId[]): void {
    this.#shards = new Map([...this.#shards].filter(([shardId]) => shardIds.includes(shardId)));
  }

  #bucketsOf(shardId: ShardId, nowMs: number): Buckets {
    let buckets = this.#shards.get(shardId);
    if (!buckets) {
      const { bytesPerSecond, recordsPerSecond } = this.#throughput;
      buckets = { bytes: new TokenBucket(bytesPerSecond, nowMs), records: new TokenBucket(recordsPerSecond, nowMs) };
      this.#shards.set(shardId, buckets);
    }
    return buckets;
  }
}
