import type { Kinesis } from '@aws-sdk/client-kinesis';
import { type Clock, delay } from '../../../kernel/clock.ts';
import { type Random, systemRandom } from '../../../kernel/random.ts';
import type {
  PassedRecords,
  RecordFilter,
  SequenceNumber,
  Shard,
  ShardId,
  StartingPosition,
  StreamReader,
  StreamRecord,
} from '../port.ts';
import { keepWanted } from '../wanted-records.ts';
import { type KinesisLimits, kinesisLimits } from './limits.ts';
import { listShards } from './list-shards.ts';
import { ShardFeed } from './shard-feed.ts';
import { placeBefore, StartingPlaces } from './starting-places.ts';

export interface KinesisStreamReaderOptions {
  /** Stays the caller's to end. */
  readonly client: Kinesis;
  readonly streamName: string;
  readonly clock: Clock;
  readonly random?: Random;
  readonly limits?: Partial<KinesisLimits>;
}

interface OpenShard {
  readonly feed: ShardFeed;
  /** Ends when everything that was asked of the feed so far is done. */
  lastUse: Promise<unknown>;
}

/** Reads with GetRecords, as a standard consumer does: all readers of a shard share its 2 MiB and 5 calls a second. */
export class KinesisStreamReader implements StreamReader {
  readonly #options: Required<KinesisStreamReaderOptions> & { readonly limits: KinesisLimits };
  readonly #startingPlaces: StartingPlaces;
  readonly #shards = new Map<ShardId, OpenShard>();

  constructor({ random = systemRandom, limits, ...options }: KinesisStreamReaderOptions) {
    this.#options = { ...options, random, limits: { ...kinesisLimits, ...limits } };
    this.#startingPlaces = new StartingPlaces(options.clock);
  }

  shards(): Promise<Shard[]> {
    return listShards(this.#options.client, this.#options.streamName);
  }

  async read(
    shardId: ShardId,
    after: SequenceNumber | null,
    bytesMax: number,
    wants?: RecordFilter,
    passed?: PassedRecords,
  ): Promise<StreamRecord[]> {
    const records = await this.#use(shardId, feed => feed.take(after, bytesMax));
    return wants ? keepWanted(records, wants, passed) : records;
  }

  async waitBeyond(shardId: ShardId, after: SequenceNumber | null, signal: AbortSignal): Promise<void> {
    const { clock, limits } = this.#options;
    const { promise: aborted, resolve: stop } = Promise.withResolvers<true>();
    const onAbort = () => stop(true);
    signal.addEventListener('abort', onAbort);
    try {
      while (!signal.aborted) {
        const asked = this.#use(shardId, feed => feed.hasMoreOrEnded(after));
        asked.catch(() => {}); // Who has stopped waiting does not care.
        if (await Promise.race([asked, aborted])) return;
        await delay(clock, limits.pollIntervalMs, signal);
      }
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  async locate(shardId: ShardId, position: StartingPosition): Promise<SequenceNumber | null> {
    switch (position.type) {
      case 'TRIM_HORIZON':
        return null;
      case 'LATEST':
        return this.#startingPlaces.keepLatest(await this.#use(shardId, feed => feed.makeIteratorAtLatest()));
      case 'AT_SEQUENCE_NUMBER':
        return position.sequenceNumber - 1n;
      case 'AFTER_SEQUENCE_NUMBER':
        return position.sequenceNumber;
      case 'AT_TIMESTAMP':
        return placeBefore(position.atMs);
    }
  }

  async close(): Promise<void> {
    await Promise.allSettled([...this.#shards.values()].map(({ lastUse }) => lastUse));
    this.#shards.clear();
  }

  /** One call of a feed at a time. A shard that is not there is not remembered, so what is kept is bounded by those that are. */
  #use<Result>(shardId: ShardId, work: (feed: ShardFeed) => Promise<Result>): Promise<Result> {
    const shard = this.#shards.get(shardId) ?? this.#openShard(shardId);
    const result = shard.lastUse.then(() => work(shard.feed));
    shard.lastUse = result.catch(() => {
      if (this.#shards.get(shardId) === shard) this.#shards.delete(shardId);
    });
    return result;
  }

  #openShard(shardId: ShardId): OpenShard {
    const feed = new ShardFeed({ ...this.#options, shardId, startingPlaces: this.#startingPlaces });
    const shard: OpenShard = { feed, lastUse: Promise.resolve() };
    this.#shards.set(shardId, shard);
    return shard;
  }
}
