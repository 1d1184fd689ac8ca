import type { DiscardPolicy, RetentionPolicy, StorageType, StreamConfig } from '@nats-io/jetstream';
import { streamUnavailable } from '../remote-errors.ts';
import { openShardsOf } from '../shards.ts';
import type { JetStreamAccess } from './access.ts';
import { ConditionalLog } from './conditional-log.ts';
import { finishChange, goneShards, newShardMap, type ShardMap } from './shard-map.ts';
import { ShardMapStore } from './shard-map-store.ts';

const nanosPerMs = 1_000_000;

export interface KeepingOptions {
  readonly replicas?: number;
  readonly retentionMs?: number;
  readonly retentionBytesMax?: number;
}

/**
 * Makes the stream, and changes its shards while others append to it and may do the same. A change is three steps, each
 * of which anybody may repeat who finds it undone: it is written into the map; each closing shard gets an end message;
 * the map shows the new shards. Nothing follows an end message, for whoever appends names the message he follows, and
 * looks at it when it is not his own.
 */
export class Resharder {
  readonly maps: ShardMapStore;
  readonly #access: JetStreamAccess;
  readonly #keeping: KeepingOptions;

  constructor(access: JetStreamAccess, keeping: KeepingOptions) {
    this.#access = access;
    this.#keeping = keeping;
    this.maps = new ShardMapStore(access);
  }

  /** Makes the stream with so many shards, unless it is there. */
  async open(count: number): Promise<ShardMap> {
    await this.#ensureMap();
    if (!(await this.maps.find())) {
      const retentionMs = this.#keeping.retentionMs ?? this.#access.limits.retentionMs;
      const map = newShardMap(count, retentionMs);
      for (const { number } of map.shards) await this.#ensureShard(number, retentionMs);
      await this.maps.replace(0, map); // If another was faster, his map counts.
    }
    const map = await this.#adjustRetention();
    for (const { number } of openShardsOf(map)) await this.#ensureShard(number, map.retentionMs);
    return this.settle();
  }

  /** Makes `plan` of the newest map true, as long as it takes. */
  async change(plan: (map: ShardMap) => ShardMap): Promise<ShardMap> {
    for (;;) {
      await this.settle();
      const { map, revision } = await this.maps.get();
      if (map.change) continue; // Another has begun one in between.
      const gone = goneShards(map, this.#access.clock.nowMs());
      const planned = plan({ ...map, shards: map.shards.filter(shard => !gone.includes(shard)) });
      for (const { number } of planned.change?.opening ?? []) await this.#ensureShard(number, map.retentionMs);
      if (!(await this.maps.replace(revision, planned))) continue;
      const settled = await this.settle();
      for (const { number } of gone) await this.#logOf(number).remove();
      return settled;
    }
  }

  /** Finishes a change that is under way, whoever began it, and gives the map. */
  async settle(): Promise<ShardMap> {
    const { map } = await this.maps.get();
    const { change } = map;
    if (!change) return map;
    const endMessages = new Map<number, number>();
    for (const number of change.closing) endMessages.set(number, await this.#end(number));
    const nowMs = this.#access.clock.nowMs();
    return this.maps.change(newest => {
      const isStillUnderWay = newest.change?.opening[0].number === change.opening[0].number;
      return isStillUnderWay ? finishChange(newest, endMessages, nowMs) : undefined;
    });
  }

  /** The number of the shard's end message, which it has from now on. */
  async #end(number: number): Promise<number> {
    const log = this.#logOf(number);
    for (let outruns = 0; outruns <= this.#access.limits.outrunsMax; outruns++) {
      const { last } = await log.range();
      const message = last === 0 ? undefined : await log.findAt(last);
      if (message?.kind === 'end') return last;
      if ((await log.append('end', Buffer.alloc(0), last)) === 'kept') return last + 1;
    }
    throw streamUnavailable(this.#access.streamName, 'others always come first');
  }

  #logOf(number: number): ConditionalLog {
    return new ConditionalLog(this.#access, String(number));
  }

  async #ensureMap(): Promise<void> {
    const { replicas } = this.#keeping;
    const config = { ...this.#common(), max_msgs: this.#access.limits.mapVersionsMax };
    await this.maps.log.ensure(config, replicas === undefined ? {} : { num_replicas: replicas });
  }

  async #ensureShard(number: number, retentionMs: number): Promise<void> {
    const { replicas, retentionBytesMax } = this.#keeping;
    const { limits } = this.#access;
    const config = {
      ...this.#common(),
      allow_direct: true,
      deny_delete: true, // Retention removes from the front, and nobody anything else: numbers follow by ones.
      deny_purge: true,
      duplicate_window: Math.min(limits.duplicateWindowMs, retentionMs) * nanosPerMs,
    };
    await this.#logOf(number).ensure(config, {
      max_age: retentionMs * nanosPerMs,
      ...(replicas !== undefined && { num_replicas: replicas }),
      ...(retentionBytesMax !== undefined && { max_bytes: retentionBytesMax }),
    });
  }

  #common(): Partial<StreamConfig> {
    return {
      retention: 'limits' as RetentionPolicy, // The values of these are what NATS' documentation says; its enums would
      storage: 'file' as StorageType, // have to be loaded.
      discard: 'old' as DiscardPolicy,
      num_replicas: 1,
    };
  }

  async #adjustRetention(): Promise<ShardMap> {
    const { retentionMs } = this.#keeping;
    return this.maps.change(map =>
      retentionMs === undefined || retentionMs === map.retentionMs ? undefined : { ...map, retentionMs },
    );
  }
}
