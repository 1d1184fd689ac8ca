/**
 * Whether one partition key takes more than its share: all its records go to one shard, and are handled one after the
 * other, however many shards there are. Looks at one record in eight as consumers read them.
 */
import type { Clock } from '../../kernel/clock.ts';
import type {
  PassedRecords,
  RecordFilter,
  SequenceNumber,
  Shard,
  ShardId,
  StartingPosition,
  StreamReader,
  StreamRecord,
} from '../../platform/stream/index.ts';
import { HotKeys } from '../../platform/table/index.ts';
import { gauge, type MetricSource, type Sample } from './sample.ts';

export const skewLimits = {
  keysMax: 256, // ours: keys followed; whatever has more than 1/256 of the records is among them
  sampleEvery: 8, // ours: looking at each record would cost more than it tells
  fadeMs: 60_000, // ours: what was a minute ago counts half
  keysMin: 10, // ours: of three devices one may well send half of everything
  recordsMin: 200, // ours: looked at and not yet faded, so some 30 a second; below, nobody is held up
  shareShown: 0.2, // ours: from here on a key is named
} as const;

export class KeySkew implements MetricSource {
  readonly #clock: Clock;
  readonly #keys = new HotKeys(skewLimits.keysMax);
  #records = 0;
  #passed = 0;
  #fadedAtMs: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#fadedAtMs = clock.monotonicMs();
  }

  note(records: readonly StreamRecord[]): void {
    if (records.length === 0) return;
    this.#fade();
    let at = skewLimits.sampleEvery - 1 - this.#passed;
    for (; at < records.length; at += skewLimits.sampleEvery) {
      this.#keys.add(records[at].partitionKey, 1);
      this.#records++;
    }
    this.#passed = (this.#passed + records.length) % skewLimits.sampleEvery;
  }

  /** `reader`, and what it reads is noted. */
  watching(reader: StreamReader): StreamReader {
    return new WatchedReader(reader, this);
  }

  *collect(): Generator<Sample> {
    this.#fade();
    const hottest = this.#keys.hottest(skewLimits.keysMax);
    yield gauge('mimamori_stream_keys', 'Partition keys of late, at most 256.', hottest.length);
    if (hottest.length < skewLimits.keysMin || this.#records < skewLimits.recordsMin) return;
    const help = 'Part of the records of late that have this partition key; the hottest ones only.';
    for (const { key, unitsMin } of hottest.slice(0, Math.floor(1 / skewLimits.shareShown))) {
      const share = unitsMin / this.#records;
      if (share >= skewLimits.shareShown) yield gauge('mimamori_stream_hot_key_share', help, share, { key });
    }
  }

  #fade(): void {
    const nowMs = this.#clock.monotonicMs();
    for (; nowMs - this.#fadedAtMs >= skewLimits.fadeMs && this.#records >= 1; this.#fadedAtMs += skewLimits.fadeMs) {
      this.#keys.fade();
      this.#records /= 2;
    }
    if (this.#records < 1) this.#fadedAtMs = nowMs;
  }
}

class WatchedReader implements StreamReader {
  readonly #reader: StreamReader;
  readonly #skew: KeySkew;

  constructor(reader: StreamReader, skew: KeySkew) {
    this.#reader = reader;
    this.#skew = skew;
  }

  async read(
    shardId: ShardId,
    after: SequenceNumber | null,
    bytesMax: number,
    wants?: RecordFilter,
    passed?: PassedRecords,
  ): Promise<StreamRecord[]> {
    const records = await this.#reader.read(shardId, after, bytesMax, wants, passed);
    this.#skew.note(records);
    return records;
  }

  waitBeyond(shardId: ShardId, after: SequenceNumber | null, signal: AbortSignal): Promise<void> {
    return this.#reader.waitBeyond(shardId, after, signal);
  }

  locate(shardId: ShardId, position: StartingPosition): Promise<SequenceNumber | null> {
    return this.#reader.locate(shardId, position);
  }

  shards(): Promise<Shard[]> {
    return this.#reader.shards();
  }

  close(): Promise<void> {
    return this.#reader.close();
  }
}
