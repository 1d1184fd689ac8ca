/**
 * Snapshots of the whole store for exports from a running app: opened, read in pages and closed by calls, so that no
 * export needs memory for more than a page. They are leases: one that nobody reads for a while is closed, as it keeps
 * the store from using space again. A reader gives names and positions, never paths.
 */
import type { Clock, Timer } from '../../../kernel/clock.ts';
import type { Random } from '../../../kernel/random.ts';
import type { KeyValueStore, StoreSnapshot } from '../../../kernel/store.ts';
import { describeStored } from '../admin/table-description.ts';
import { invalid, limitExceeded, resourceNotFound, tableNotFoundByName } from '../errors.ts';
import type { Catalog } from '../storage/catalog.ts';
import { readCount } from '../storage/counters.ts';
import { afterKey, afterPrefix, laterKey, spacePrefix } from '../storage/key-encoding.ts';
import type { StoredTable } from '../storage/stored-table.ts';
import { randomId } from '../storage/table-id.ts';
import { decodeItem } from '../values/item-encoding.ts';
import { wireFormat } from '../values/wire-format.ts';
import { creationOf, type TableCreation } from './creation.ts';
import { transferLimits } from './limits.ts';

export interface HeldSnapshotsParts {
  readonly store: KeyValueStore;
  readonly catalog: Catalog;
  readonly clock: Clock;
  readonly random: Random;
}

export interface OpenedSnapshot {
  readonly SnapshotId: string;
  /** Unix epoch milliseconds: nothing that was acknowledged before is missing. */
  readonly AtMs: number;
  readonly Tables: readonly SnapshotTable[];
}

export interface SnapshotTable extends TableCreation {
  readonly TableArn: string;
  readonly TableId: string;
  readonly ItemCount: number;
  readonly TableSizeBytes: number;
}

export interface SnapshotPage {
  readonly Items: readonly Record<string, unknown>[];
  /** Where the next page begins; absent after the last. */
  readonly NextPosition?: string;
}

interface Held {
  readonly id: string;
  readonly snapshot: StoreSnapshot;
  readonly tables: ReadonlyMap<string, StoredTable>;
  readonly told: OpenedSnapshot;
  readonly endsAtMs: number;
  timer: Timer;
}

export class HeldSnapshots {
  readonly #parts: HeldSnapshotsParts;
  readonly #held = new Map<string, Held>();
  #opening = 0;

  constructor(parts: HeldSnapshotsParts) {
    this.#parts = parts;
  }

  /** All tables at one moment. Throws `table.limitExceeded` and what a snapshot of the store throws. */
  async open(): Promise<OpenedSnapshot> {
    const { store, catalog, clock, random } = this.#parts;
    if (this.#held.size + this.#opening >= transferLimits.snapshotsMax) {
      throw limitExceeded(`${transferLimits.snapshotsMax} exports are being made already.`);
    }
    this.#opening++;
    try {
      const opening = store.snapshot(); // begins at once, so the tables are those of the same moment
      const stored = catalog.list();
      const AtMs = clock.nowMs();
      const snapshot = await opening;
      const id = randomId(random);
      const endsAtMs = clock.monotonicMs() + transferLimits.snapshotHeldMs;
      const tables = new Map(stored.map(each => [each.tableName, each]));
      const told = { SnapshotId: id, AtMs, Tables: stored.map(each => this.#describe(snapshot, each)) };
      this.#held.set(id, { id, snapshot, tables, told, endsAtMs, timer: this.#lease(id, endsAtMs) });
      return told;
    } finally {
      this.#opening--;
    }
  }

  /** What `open` told of it. Throws `table.resourceNotFound` when it is gone. */
  async describe({ SnapshotId }: Record<string, unknown>): Promise<OpenedSnapshot> {
    return this.#renewed(SnapshotId).told;
  }

  /**
   * The items of a table in the order they lie in, typed as on the wire.
   * Throws `table.resourceNotFound` when the snapshot is gone, `table.notFound`, `table.corrupt`.
   */
  async read({ SnapshotId, TableName, Position }: Record<string, unknown>): Promise<SnapshotPage> {
    const held = this.#renewed(SnapshotId);
    const table = held.tables.get(String(TableName));
    if (table === undefined) throw tableNotFoundByName(String(TableName));
    const space = spacePrefix(table.id, 0);
    const start = Position === undefined ? space : laterKey(space, afterKey(bytesOf(Position)));
    const Items: Record<string, unknown>[] = [];
    let bytes = 0;
    for (const { key, value } of held.snapshot.range({ start, end: afterPrefix(space) })) {
      Items.push(wireFormat.writeItem(decodeItem(value)));
      bytes += value.length;
      if (bytes >= transferLimits.snapshotPageBytesMax) {
        return { Items, NextPosition: Buffer.from(key).toString('base64url') };
      }
    }
    return { Items };
  }

  /** Content if it is gone already. */
  async release({ SnapshotId }: Record<string, unknown>): Promise<object> {
    this.#end(String(SnapshotId));
    return {};
  }

  /** By the names the API of exports has. */
  readonly operations: Readonly<Record<string, (input: Record<string, unknown>) => Promise<object>>> = {
    OpenSnapshot: () => this.open(),
    DescribeSnapshot: input => this.describe(input),
    ReadSnapshot: input => this.read(input),
    CloseSnapshot: input => this.release(input),
  };

  close(): void {
    for (const id of [...this.#held.keys()]) this.#end(id);
  }

  #renewed(id: unknown): Held {
    const held = this.#held.get(String(id));
    if (held === undefined) throw resourceNotFound('Requested resource not found: Snapshot not found');
    held.timer.cancel();
    held.timer = this.#lease(held.id, held.endsAtMs);
    return held;
  }

  #lease(id: string, endsAtMs: number): Timer {
    const { clock } = this.#parts;
    const leftMs = Math.max(0, endsAtMs - clock.monotonicMs());
    return clock.setTimer(Math.min(transferLimits.snapshotIdleMs, leftMs), () => this.#end(id));
  }

  #end(id: string): void {
    const held = this.#held.get(id);
    if (held === undefined) return;
    held.timer.cancel();
    this.#held.delete(id);
    held.snapshot.close();
  }

  #describe(store: StoreSnapshot, stored: StoredTable): SnapshotTable {
    const description = describeStored({ store, clock: this.#parts.clock }, stored);
    const { timeToLive } = stored;
    const { items, bytes } = readCount(store, stored.id, 0);
    return {
      ...creationOf(description, timeToLive?.isEnabled ? timeToLive.attributeName : undefined, stored.tags),
      TableArn: description.TableArn ?? '',
      TableId: stored.tableId,
      ItemCount: items,
      TableSizeBytes: bytes,
    };
  }
}

function bytesOf(position: unknown): Uint8Array {
  if (typeof position !== 'string') throw invalid('Position must be what the page before gave.');
  return Buffer.from(position, 'base64url');
}
