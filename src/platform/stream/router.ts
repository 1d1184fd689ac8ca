import { hash } from 'node:crypto';
import { type KeptShard, openShardsOf, type ShardMap } from './shards.ts';

const routerLimits = {
  keysMax: 65_536, // ours: partition keys whose shard is remembered, each about 100 bytes
} as const;

/** Which of the open shards a record belongs to. Made anew when the shards change. */
export class Router {
  /** By their ranges. A record's slot is the place of its shard in here. */
  readonly shards: readonly KeptShard[];
  /** Of keys met lately, by the key's bytes. When `young` is full it becomes `old`, and what was in that is forgotten. */
  #young = new Map<string, number>();
  #old = new Map<string, number>();

  constructor(map: ShardMap) {
    this.shards = openShardsOf(map);
  }

  /** The slot of the key that lies in `bytes` from `start` to `end`. */
  slotOfKey(bytes: Buffer, start: number, end: number): number {
    const key = bytes.toString('latin1', start, end); // Different bytes give different strings, whatever they mean.
    const known = this.#young.get(key);
    if (known !== undefined) return known;
    const slot = this.#old.get(key) ?? this.slotOf(hashKeyOfBytes(bytes.subarray(start, end)));
    if (this.#young.size >= routerLimits.keysMax / 2) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(key, slot);
    return slot;
  }

  /** The last one whose range begins at or before the hash key. */
  slotOf(hashKey: bigint): number {
    let low = 0;
    for (let high = this.shards.length - 1; low < high; ) {
      const middle = (low + high + 1) >> 1;
      if (this.shards[middle].hashKeys.from <= hashKey) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

function hashKeyOfBytes(key: Uint8Array): bigint {
  return BigInt(`0x${hash('md5', key, 'hex')}`);
}
