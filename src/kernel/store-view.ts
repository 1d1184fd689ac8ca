/** Reading a base and what lies over it as one. */
import type { Version } from './change-group.ts';
import { SortedMap, toText } from './sorted-map.ts';
import type { StoreEntry, StoreRange, StoreReader, StoreSnapshot } from './store.ts';
import type { BaseSnapshot } from './store-base.ts';
import { storeClosed } from './store-errors.ts';
import type { Slot } from './store-overlay.ts';

/** Bytes of the caller's own; not `slice()`, which in a `Buffer` would share the memory. */
export function valueBytesOf(version: Version): Uint8Array | undefined {
  const value = version.group.valueIn(version);
  return value && new Uint8Array(value);
}

/** The entries of `range` as `base` has them, changed by `versions`, which come in the same order. */
export function* merged(
  base: StoreReader,
  range: StoreRange,
  versions: Iterator<[key: string, version: Version]>,
): Generator<StoreEntry> {
  let next = versions.next();
  for (const entry of base.range(range)) {
    if (next.done !== true) {
      const key = toText(entry.key);
      while (next.done !== true && comesBefore(next.value[0], key, range.reverse)) {
        yield* entryOf(next.value[1]);
        next = versions.next();
      }
      if (next.done !== true && next.value[0] === key) continue; // the change comes with the next entry
    }
    yield entry;
  }
  for (; next.done !== true; next = versions.next()) yield* entryOf(next.value[1]);
}

/** What a store held at one moment. Holds on to the memory of the overlay and the pages of the base of that moment. */
export class OverlaySnapshot implements StoreSnapshot {
  readonly #base: BaseSnapshot;
  readonly #versions = new SortedMap<Version>();
  readonly #onClose: () => void;
  #closed = false;

  constructor(base: BaseSnapshot, versions: Iterable<[key: string, version: Version]>, onClose: () => void) {
    this.#base = base;
    this.#onClose = onClose;
    for (const [key, version] of versions) this.#versions.append(key, version);
  }

  get(key: Uint8Array): Uint8Array | undefined {
    this.#checkOpen();
    const version = this.#versions.get(toText(key));
    return version === undefined ? this.#base.get(key) : valueBytesOf(version);
  }

  *range(range: StoreRange): Generator<StoreEntry> {
    this.#checkOpen();
    const start = toText(range.start);
    const end = toText(range.end);
    if (start >= end) return;
    for (const entry of merged(this.#base, range, this.#versions.range(start, end, range.reverse === true))) {
      yield entry;
      this.#checkOpen();
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#base.close();
    this.#onClose();
  }

  #checkOpen(): void {
    if (this.#closed) throw storeClosed();
  }
}

/** The newest version of each key: that of `upper`, else that of `lower`; both in the order of the keys. */
export function* layered(
  upper: Iterable<[key: string, slot: Slot]>,
  lower: Iterable<[key: string, slot: Slot]>,
  reverse: boolean,
): Generator<[key: string, version: Version], void, undefined> {
  const below = lower[Symbol.iterator]();
  let next = below.next();
  for (const [key, { version }] of upper) {
    for (; next.done !== true && comesBefore(next.value[0], key, reverse); next = below.next()) {
      yield* versionOf(next.value);
    }
    if (next.done !== true && next.value[0] === key) next = below.next();
    if (version !== undefined) yield [key, version];
  }
  for (; next.done !== true; next = below.next()) yield* versionOf(next.value);
}

function* versionOf([key, { version }]: [key: string, slot: Slot]): Generator<[key: string, version: Version]> {
  if (version !== undefined) yield [key, version];
}

function* entryOf(version: Version): Generator<StoreEntry> {
  const value = valueBytesOf(version);
  if (value !== undefined) yield { key: new Uint8Array(version.group.keyIn(version)), value };
}

function comesBefore(left: string, right: string, reverse = false): boolean {
  return reverse ? left > right : left < right;
}
