/** An engine on a memory disk and a virtual clock, for tests of what lies below the operations. */
import { MemoryDisk } from '../../../kernel/memory-store.ts';
import { seededRandom } from '../../../kernel/random.ts';
import type { KeyValueStore } from '../../../kernel/store.ts';
import { storeFull } from '../../../kernel/store-errors.ts';
import { VirtualClock } from '../../../kernel/virtual-clock.ts';
import type { Engine } from '../engine.ts';
import { decodeItem, encodedItemBytes } from '../values/item-encoding.ts';
import { measureItem } from '../values/measure.ts';
import type { Item, Value } from '../values/value.ts';
import { applyWrite } from './apply-write.ts';
import { entriesOf, readableIndex } from './entries.ts';
import { afterPrefix } from './key-encoding.ts';
import { itemKey, partitionPrefix } from './layout.ts';
import { type EngineOptions, openEngine } from './open-engine.ts';

export class StorageWorld {
  readonly clock = new VirtualClock();
  readonly disk = new MemoryDisk({ clock: this.clock });
  /** The disk takes what is written, and then turns out to be full. */
  isFull = false;
  #engine: Engine | undefined;

  get engine(): Engine {
    if (this.#engine === undefined) throw new Error('Open the world first.');
    return this.#engine;
  }

  async open(options: Partial<EngineOptions> = {}): Promise<Engine> {
    const engine = openEngine({
      store: this.#refusing(this.disk.open()),
      clock: this.clock,
      random: seededRandom(1),
      ...options,
    });
    this.#engine = await this.clock.until(engine);
    return this.#engine;
  }

  put(tableName: string, item: Item): Promise<void> {
    return this.clock.until(this.write(tableName, item, item));
  }

  delete(tableName: string, key: Item): Promise<void> {
    return this.clock.until(this.write(tableName, key, undefined));
  }

  /** Seen at once; the promise waits for the disk. */
  write(tableName: string, key: Item, next: Item | undefined): Promise<void> {
    const table = this.engine.catalog.table(tableName);
    const place = itemKey(table, key);
    return this.engine.store.write(transaction => {
      const encoded = transaction.get(place);
      const stored = encoded && { item: decodeItem(encoded), bytes: encodedItemBytes(encoded), encoded };
      return applyWrite(
        transaction,
        this.engine,
        table,
        place,
        stored,
        next && { item: next, bytes: measureItem(next) },
      );
    });
  }

  get(tableName: string, key: Item): Item | undefined {
    const encoded = this.engine.store.get(itemKey(this.engine.catalog.table(tableName), key));
    return encoded && decodeItem(encoded);
  }

  /** One partition of an index, as a query sees it. */
  query(tableName: string, indexName: string, ...partition: Value[]): Item[] {
    const table = this.engine.catalog.table(tableName);
    const index = readableIndex(table, indexName);
    const start = partitionPrefix(table, index, partition);
    return [...entriesOf(this.engine, table, index, { start, end: afterPrefix(start) })].map(({ item }) => item);
  }

  #refusing(store: KeyValueStore): KeyValueStore {
    return {
      get: key => store.get(key),
      range: range => store.range(range),
      snapshot: () => store.snapshot(),
      close: () => store.close(),
      write: work =>
        store.write(transaction => {
          const result = work(transaction);
          if (this.isFull) throw storeFull(new Error('no space left on device'));
          return result;
        }),
    };
  }
}
