import type { NatsConnection } from '@nats-io/transport-node';
import type { Clock } from '../../../kernel/clock.ts';
import { type Random, systemRandom } from '../../../kernel/random.ts';
import { shardNotFound } from '../errors.ts';
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
import { accessJetStream, type JetStreamAccess } from './access.ts';
import { type JetStreamLimits, jetStreamLimits } from './limits.ts';
import { keptShards } from './shard-map.ts';
import { ShardMapStore } from './shard-map-store.ts';
import { ShardMessages } from './shard-messages.ts';

export interface JetStreamReaderOptions {
  /** Stays the caller's to close. */
  readonly connection: NatsConnection;
  readonly streamName: string;
  readonly clock: Clock;
  readonly random?: Random;
  readonly limits?: Partial<JetStreamLimits>;
}

/** What makes readers, as many as consumers want. Throws `stream.nameNotValid`; whether the stream is there shows when it is read. */
export async function jetStreamReaders(options: JetStreamReaderOptions): Promise<() => JetStreamStreamReader> {
  const limits = { ...jetStreamLimits, ...options.limits };
  const access = await accessJetStream({ ...options, random: options.random ?? systemRandom, limits });
  return () => new JetStreamStreamReader(access);
}

/** Reads messages by their numbers, from any replica: there is no consumer on the servers to make, keep or lose. */
export class JetStreamStreamReader implements StreamReader {
  readonly #access: JetStreamAccess;
  readonly #maps: ShardMapStore;
  readonly #shards = new Map<ShardId, ShardMessages>();

  /** For `jetStreamReaders`. */
  constructor(access: JetStreamAccess) {
    this.#access = access;
    this.#maps = new ShardMapStore(access);
  }

  async shards(): Promise<Shard[]> {
    const { map } = await this.#maps.get();
    return keptShards(map, this.#access.clock.nowMs());
  }

  async read(
    shardId: ShardId,
    after: SequenceNumber | null,
    bytesMax: number,
    wants?: RecordFilter,
    passed?: PassedRecords,
  ): Promise<StreamRecord[]> {
    const shard = await this.#messagesOf(shardId);
    const records = await shard.read(after, bytesMax);
    return wants ? keepWanted(records, wants, passed) : records;
  }

  async waitBeyond(shardId: ShardId, after: SequenceNumber | null, signal: AbortSignal): Promise<void> {
    const shard = await this.#messagesOf(shardId);
    await shard.waitBeyond(after, signal, async () => {
      const shards = await this.shards();
      return shards.find(each => each.shardId === shardId)?.endingSequenceNumber !== undefined;
    });
  }

  async locate(shardId: ShardId, position: StartingPosition): Promise<SequenceNumber | null> {
    const shard = await this.#messagesOf(shardId);
    switch (position.type) {
      case 'TRIM_HORIZON':
        return null;
      case 'LATEST':
        return shard.latest();
      case 'AT_SEQUENCE_NUMBER':
        return position.sequenceNumber - 1n;
      case 'AFTER_SEQUENCE_NUMBER':
        return position.sequenceNumber;
      case 'AT_TIMESTAMP':
        return shard.beforeInstant(position.atMs);
    }
  }

  async close(): Promise<void> {
    this.#shards.clear();
  }

  async #messagesOf(shardId: ShardId): Promise<ShardMessages> {
    const known = this.#shards.get(shardId);
    if (known) return known;
    if (!(await this.shards()).some(shard => shard.shardId === shardId)) throw shardNotFound(shardId);
    const messages = new ShardMessages(this.#access, shardId);
    this.#shards.set(shardId, messages);
    return messages;
  }
}
