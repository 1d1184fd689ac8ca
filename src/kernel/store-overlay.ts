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

  /** Keys in order with their newest versions, as `SortedMap.range`. */
  range(start: string, end: string, reverse: boolean): Generator<[key: string, slot: Slot]> {
    return this.#sorted.range(start, end, reverse);
  }

  /** Every key, in order. */
  slots(): Slot[] {
    return this.#sorted.toArray();
  }

  set(key: string, version: Version): Slot {
    let slot = this.#slots.get(key);
    if (slot === undefined) {
      slot = { key, version };
      this.#slots.set(key, slot);
      this.#sorted.set(key, slot);
      this.#bytes += bytesOf(version);
      return slot;
    }
    const before = slot.version;
    version.older = before?.group === version.group ? before.older : before;
    if (version.older?.group.durable) version.older.older = undefined; // nothing can uncover that any more
    this.#replace(slot, version);
    return slot;
  }

  /** Undoes a `set` of which `before` was the version it replaced. */
  restore(slot: Slot, before: Version | undefined): void {
    this.#replace(slot, before);
  }

  /** Takes every version of `group` back. */
  retract(group: ChangeGroup, slots: readonly Slot[]): void {
    for (const slot of slots) {
      if (slot.version?.group === group) this.#replace(slot, slot.version.older);
    }
  }

  /** The base has `version` now. */
  settle(slot: Slot, version: Version): void {
    if (slot.version === version) {
      this.#replace(slot, undefined);
      return;
    }
    for (let above = slot.version; above !== undefined; above = above.older) {
      if (above.older === version) above.older = undefined;
    }
  }

  #replace(slot: Slot, version: Version | undefined): void {
    if (slot.version !== undefined) this.#bytes -= bytesOf(slot.version);
    slot.version = version;
    if (version !== undefined) {
      this.#bytes += bytesOf(version);
      return;
    }
    this.#slots.delete(slot.key);
    this.#sorted.delete(slot.key);
  }
}

/** The newest version that would survive a power cut. */
export function durableVersion(slot: Slot): Version | undefined {
  let version = slot.version;
  while (version !== undefined && !version.group.durable) version = version.older;
  return version;
}

function bytesOf({ keyBytes, valueBytes }: Version): number {
  return keyBytes + Math.max(0, valueBytes) + versionOverheadBytes;
}
