/** Opens a table engine on a store: upgrades what is there, brings it up to what is declared, and starts the upkeep. */
import type { Clock } from '../../../kernel/clock.ts';
import { type Log, silentLog } from '../../../kernel/log.ts';
import { type Random, systemRandom } from '../../../kernel/random.ts';
import type { KeyValueStore } from '../../../kernel/store.ts';
import { Transitions } from '../admin/transitions.ts';
import { type Meter, noMeter } from '../capacity/meter.ts';
import type { Engine } from '../engine.ts';
import type { TableSchema } from '../port.ts';
import { TableChanges } from '../streams/table-changes.ts';
import { HeldSnapshots } from '../transfer/held-snapshots.ts';
import { Catalog } from './catalog.ts';
import { checkSchema } from './check-schema.ts';
import { checkedStore } from './checked-store.ts';
import { damageOf } from './damage.ts';
import { declareTables } from './declare.ts';
import { sweepExpired } from './expiry-sweep.ts';
import { IndexLag } from './index-lag.ts';
import { randomId } from './table-id.ts';
import { upgradeStore } from './upgrade.ts';
import { Upkeep } from './upkeep.ts';

export interface EngineOptions {
  /** Closed together with the engine, and when it cannot be opened. */
  readonly store: KeyValueStore;
  readonly clock: Clock;
  readonly random?: Random;
  /** Told what keeps work in the background from being done; default nobody. */
  readonly log?: Log;
  /** Made or brought up to this; tables made at run time stay as they are. */
  readonly tables?: readonly TableSchema[];
  readonly meter?: Meter;
  /** For how long a table that is created, updated or deleted says so; default not at all. */
  readonly transitionMs?: number;
  /** Of one table's stream, before the oldest changes go early; default `tableLimits.streamBytesMax`. */
  readonly streamBytesMax?: number;
  /** By how much queries of global indexes lag behind writes; default not at all. */
  readonly indexLagMs?: number;
}

/**
 * Resolves when the indexes that are declared are complete. Throws `table.schemaChanged`, `table.formatTooNew`,
 * `table.corrupt`; then the store is closed.
 */
export async function openEngine(options: EngineOptions): Promise<Engine> {
  const { store, clock, random = systemRandom, tables = [], streamBytesMax } = options;
  let close = () => store.close();
  try {
    for (const schema of tables) checkSchema(schema);
    await upgradeStore(store, { clock, random });
    let catalog: Catalog | undefined;
    const checked = checkedStore(store, key => damageOf(key, () => catalog));
    const changes = new TableChanges({ store: checked, clock, streamBytesMax });
    close = () => changes.store.close();
    const engine = engineOn(options, changes);
    catalog = engine.catalog;
    close = () => engine.close();
    await declareTables({ catalog, nowMs: clock.nowMs(), newTableId: () => randomId(random) }, tables);
    await engine.upkeep.completeIndexes(tables.map(({ tableName }) => tableName));
    engine.changes.streamsChanged();
    engine.upkeep.wake();
    engine.upkeep.sweep();
    return engine;
  } catch (error) {
    await close();
    throw error;
  }
}

function engineOn(options: EngineOptions, changes: TableChanges): Engine {
  const { clock, random = systemRandom, log = silentLog, meter = noMeter, transitionMs = 0, indexLagMs = 0 } = options;
  const { store } = changes;
  const transitions = new Transitions(clock, transitionMs);
  const catalog = new Catalog(store, tableName => transitions.isUsable(tableName));
  const snapshots = new HeldSnapshots({ store, catalog, clock, random });
  const upkeep = new Upkeep({ store, catalog, clock, log, sweep: () => sweepExpired(engine) });
  const engine: Engine = {
    store,
    clock,
    random,
    catalog,
    meter,
    changes,
    transitions,
    snapshots,
    upkeep,
    ...(indexLagMs > 0 && { indexLag: new IndexLag(clock, indexLagMs) }),
    async close() {
      snapshots.close();
      await upkeep.close();
      await store.close();
    },
  };
  return engine;
}
