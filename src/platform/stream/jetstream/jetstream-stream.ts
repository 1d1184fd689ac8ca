import assert from 'node:assert/strict';
import type { NatsConnection } from '@nats-io/transport-node';
import type { Clock } from '../../../kernel/clock.ts';
import { type Random, systemRandom } from '../../../kernel/random.ts';
import { recordTooLarge, streamClosed } from '../errors.ts';
import type { Appended, Resharding, Shard, ShardId, Stream } from '../port.ts';
import type { RecordBatch } from '../record-batch.ts';
import { recordsWaiting } from '../remote-errors.ts';
import { type KeptShard, openShardsOf } from '../shards.ts';
import { accessJetStream, type JetStreamAccess, messageRoom } from './access.ts';
import { type JetStreamLimits, jetStreamLimits } from './limits.ts';
import type { PendingBatch, Run } from './pending-batch.ts';
import { Resharder } from './resharder.ts';
import { type MessageRoom, partRun, wholeRun } from './routing.ts';
import { keptShards, planMerge, planSplit, type ShardMap } from './shard-map.ts';
import { ShardWriter } from './shard-writer.ts';

export interface JetStreamStreamOptions {
  /** Made by whoever composes the app, with the servers and credentials it wants. It stays the caller's to close. */
  readonly connection: NatsConnection;
  readonly streamName: string;
  readonly clock: Clock;
  /** How many servers hold each record, 1 to 5. Given: the stream is changed to it. Absent: 1 for a new stream. */
  readonly replicas?: number;
  /** Of a new stream; 1 when absent. One that is there keeps its own. */
  readonly shards?: number;
  /** Given: the stream is changed to it. Absent: 24 h for a new stream. */
  readonly retentionMs?: number;
  /** Per shard; NATS sets so much disk aside. Given: the stream is changed to it. Absent: no limit for a new stream. */
  readonly retentionBytesMax?: number;
  /** For ids and delays between attempts. The system's when absent. */
  readonly random?: Random;
  readonly limits?: Partial<JetStreamLimits>;
}

/** Opens the stream, or makes it. Throws `stream.nameNotValid`, `stream.accessDenied`, `stream.unavailable`. */
export async function openJetStreamStream(options: JetStreamStreamOptions): Promise<JetStreamStream> {
  const limits = { ...jetStreamLimits, ...options.limits };
  const access = await accessJetStream({ ...options, random: options.random ?? systemRandom, limits });
  const resharder = new Resharder(access, options);
  const map = await resharder.open(options.shards ?? 1);
  return new JetStreamStream(access, resharder, map);
}

/** A stream over NATS JetStream. The README beside this file says how shards, order and resharding work on it. */
export class JetStreamStream implements Stream, Resharding {
  readonly #access: JetStreamAccess;
  readonly #resharder: Resharder;
  readonly #room: MessageRoom;
  readonly #writers = new Map<number, ShardWriter>();
  readonly #pending = new Set<PendingBatch>();
  #open: readonly KeptShard[];
  #pendingBytes = 0;
  /** What comes while shards change, in its order; undefined at all other times. */
  #held: Run[] | undefined;
  #changing: Promise<void> = Promise.resolve();
  #closing: Promise<void> | undefined;

  /** For `openJetStreamStream`. */
  constructor(access: JetStreamAccess, resharder: Resharder, map: ShardMap) {
    this.#access = access;
    this.#resharder = resharder;
    this.#room = messageRoom(access);
    this.#open = openShardsOf(map);
  }

  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  append(batch: RecordBatch): Promise<Appended> {
    assert(batch.count > 0);
    if (this.#closing) return Promise.reject(streamClosed());
    if (this.#pendingBytes + batch.bytes > this.#access.limits.pendingBytesMax) {
      return Promise.reject(recordsWaiting(this.#pendingBytes, this.#pending.size));
    }
    const run = wholeRun(batch);
    this.#pending.add(run.batch);
    this.#pendingBytes += batch.bytes;
    if (this.#held) this.#held.push(run);
    else this.#route([run]);
    return run.batch.settled.finally(() => {
      this.#pending.delete(run.batch);
      this.#pendingBytes -= batch.bytes;
    });
  }

  async shards(): Promise<Shard[]> {
    const { map } = await this.#resharder.maps.get();
    return keptShards(map, this.#access.clock.nowMs());
  }

  close(): Promise<void> {
    this.#closing ??= Promise.allSettled([...this.#pending].map(batch => batch.settled)).then(() => {});
    return this.#closing;
  }

  splitShard(shardId: ShardId, newStartingHashKey: bigint): Promise<void> {
    const { shardsMax } = this.#access.limits;
    return this.#whileHeld(() => this.#resharder.change(map => planSplit(map, shardId, newStartingHashKey, shardsMax)));
  }

  mergeShards(shardId: ShardId, adjacentShardId: ShardId): Promise<void> {
    const { shardsMax } = this.#access.limits;
    return this.#whileHeld(() => this.#resharder.change(map => planMerge(map, shardId, adjacentShardId, shardsMax)));
  }

  /** Nothing is sent while `work` goes on; then everything goes by the map it gives. One after the other. */
  #whileHeld(work: () => Promise<ShardMap>): Promise<void> {
    const done = this.#changing.then(async () => {
      this.#held = [];
      try {
        await Promise.all([...this.#writers.values()].map(writer => writer.hold()));
        this.#open = openShardsOf(await work());
      } finally {
        this.#release();
      }
    });
    this.#changing = done.catch(() => {}); // Whoever asked hears of it.
    return done;
  }

  /** What waited for a shard that is closed now goes first: it came before what was held. */
  #release(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    const homeless: Run[] = [];
    for (const [number, writer] of this.#writers) {
      if (this.#open.some(shard => shard.number === number)) continue;
      homeless.push(...writer.takeAll());
      this.#writers.delete(number);
    }
    this.#route([...homeless, ...held]);
    for (const writer of this.#writers.values()) writer.goOn();
  }

  #route(runs: readonly Run[]): void {
    const touched = new Set<ShardWriter>();
    for (const run of runs) {
      for (const [number, part] of partRun(run, this.#open, this.#room)) {
        if (number === undefined) {
          part.batch.refuse(part, recordTooLarge(part.packed.length, this.#room.recordBytesMax));
          continue;
        }
        const writer = this.#writers.get(number) ?? this.#addWriter(number);
        writer.add(part);
        touched.add(writer);
      }
    }
    for (const writer of touched) writer.send();
  }

  #addWriter(number: number): ShardWriter {
    const onClosed = () => {
      // When that fails, the writer tries again, and refuses what it cannot send.
      this.#whileHeld(() => this.#resharder.settle()).catch(() => {});
    };
    const { maps } = this.#resharder;
    const writer = new ShardWriter({ access: this.#access, maps, number, room: this.#room, onClosed });
    this.#writers.set(number, writer);
    return writer;
  }
}
