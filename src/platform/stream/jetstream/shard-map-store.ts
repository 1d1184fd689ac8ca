import { streamNotFound } from '../remote-errors.ts';
import type { JetStreamAccess } from './access.ts';
import { ConditionalLog } from './conditional-log.ts';
import { streamVersionUnknown } from './errors.ts';
import type { ShardMap } from './shard-map.ts';

/** A map, and the message it came with. */
export interface StoredMap {
  readonly map: ShardMap;
  readonly revision: number;
}

/** The shards of the stream, in a stream of JetStream of its own, which retention spares. */
export class ShardMapStore {
  readonly #log: ConditionalLog;
  readonly #streamName: string;

  constructor(access: JetStreamAccess) {
    this.#log = new ConditionalLog(access, 'shards');
    this.#streamName = access.streamName;
  }

  get log(): ConditionalLog {
    return this.#log;
  }

  /** Undefined while there is none. */
  async find(): Promise<StoredMap | undefined> {
    const message = await this.#log.findLast();
    if (!message) return undefined;
    if (message.kind !== 'map') throw streamVersionUnknown(`The shard map of ${this.#streamName}`);
    return { map: decodeMap(message.body), revision: message.number };
  }

  /** Throws `stream.notFound`. */
  async get(): Promise<StoredMap> {
    const stored = await this.find();
    if (!stored) throw streamNotFound(this.#streamName);
    return stored;
  }

  /** Puts `map` in the place of the one with this revision (0: of none). False when another is there. */
  async replace(revision: number, map: ShardMap): Promise<boolean> {
    return (await this.#log.append('map', encodeMap(map), revision)) === 'kept';
  }

  /** Replaces the map by what `plan` makes of the newest; undefined leaves it. Gives the map as it is then. */
  async change(plan: (map: ShardMap) => ShardMap | undefined): Promise<ShardMap> {
    for (;;) {
      const { map, revision } = await this.get();
      const next = plan(map);
      if (next === undefined) return map;
      if (await this.replace(revision, next)) return next; // Else somebody has changed it meanwhile.
    }
  }
}

/** As JSON, with bigints, which it does not know, as texts that end in n. */
function encodeMap(map: ShardMap): Buffer {
  return Buffer.from(JSON.stringify(map, (_, value) => (typeof value === 'bigint' ? `${value}n` : value)));
}

function decodeMap(body: Buffer): ShardMap {
  return JSON.parse(body.toString(), (_, value) =>
    typeof value === 'string' && /^\d+n$/.test(value) ? BigInt(value.slice(0, -1)) : value,
  );
}
