/**
 * What has been written and is not yet in the base: for each key its newest version, and below it, while that one could
 * still be taken back, the newest that cannot.
 */
import type { ChangeGroup, Version } from './change-group.ts';
import { SortedMap } from './sorted-map.ts';

/** One key. Stays the same object as long as the key has a version. */
export interface Slot {
  readonly key: string;
  version: Version | undefined;
}

const versionOverheadBytes = 256; // ours: what a version costs besides its key and value, roughly

export class Overlay {
  readonly #slots = new Map<string, Slot>();
  readonly #sorted = new SortedMap<Slot>();
  /** New slots that are not in `#sorted` yet: sorting can wait until somebody asks, or nobody waits. */
  #unsorted: Slot[] = [];
  #bytes = 0;

  get size(): number {
    return this.#slots.size;
  }

  /** Roughly what the newest versions take in memory. */
  get bytes(): number {
    return this.#bytes;
  }

  get(key: string): Version | undefined {
    return this.#slots.get(key)?.version;
  }

  /** The slot of `key`, which is given a version next. */
  slot(key: string): Slot {
    let slot = this.#slots.get(key);
    if (slot === undefined) {
      slot = { key, version: undefined };
      this.#slots.set(key, slot);
      this.#unsorted.push(slot);
    }
    return slot;
  }

  put(slot: Slot, version: Version): void {
    const before = slot.version;
    version.older = before?.group === version.group ? before.older : before;
    if (version.older?.group.durable) version.older.older = undefined; // nothing can uncover that any more
    this.restore(slot, version);
  }

  /** Undoes a `put` of which `before` was the version it replaced. */
  restore(slot: Slot, before: Version | undefined): void {
    if (slot.version !== undefined) this.#bytes -= bytesOf(slot.version);
    slot.version = before;
    if (before !== undefined) {
      this.#bytes += bytesOf(before);
      return;
    }
    this.#slots.delete(slot.key);
    this.#sorted.delete(slot.key);
  }

  /** Takes back all that `group` changed; what came later is taken back already. Walks everything: for failures only. */
  retract(group: ChangeGroup): void {
    for (const slot of [...this.#slots.values()]) {
      if (slot.version?.group === group) this.restore(slot, slot.version.older);
    }
  }

  /** Keys in order with their slots, as `SortedMap.range`. */
  range(start: string, end: string, reverse: boolean): Generator<[key: string, slot: Slot]> {
    this.sort();
    return this.#sorted.range(start, end, reverse);
  }

  /** Every slot, in the order of the keys. */
  slots(): Slot[] {
    this.sort();
    return this.#sorted.toArray();
  }

  /** Work that `range` and `slots` would do: for a moment in which nobody waits for this thread. */
  sort(): void {
    if (this.#unsorted.length === 0) return;
    for (const slot of this.#unsorted) if (slot.version !== undefined) this.#sorted.set(slot.key, slot);
    this.#unsorted = [];
  }
}

function bytesOf({ keyBytes, valueBytes }: Version): number {
  return keyBytes + Math.max(0, valueBytes) + versionOverheadBytes;
}
