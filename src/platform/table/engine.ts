/** What every operation works with, and the door a call comes through. */

import type { Caller } from '../../kernel/callers.ts';
import type { Clock } from '../../kernel/clock.ts';
import type { Random } from '../../kernel/random.ts';
import type { KeyValueStore } from '../../kernel/store.ts';
import type { Transitions } from './admin/transitions.ts';
import type { Meter } from './capacity/meter.ts';
import type { Catalog } from './storage/catalog.ts';
import type { IndexLag } from './storage/index-lag.ts';
import type { Upkeep } from './storage/upkeep.ts';
import type { TableChanges } from './streams/table-changes.ts';
import type { HeldSnapshots } from './transfer/held-snapshots.ts';
import type { ValueFormat } from './values/format.ts';

export interface Engine {
  /** That of `changes`, or the changes of a write would not be seen. */
  readonly store: KeyValueStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly catalog: Catalog;
  readonly meter: Meter;
  readonly changes: TableChanges;
  readonly transitions: Transitions;
  /** Of the whole store, held for exports. */
  readonly snapshots: HeldSnapshots;
  /** Fills and empties indexes and deletes what has expired, in the background. */
  readonly upkeep: Upkeep;
  /** Keeps changes from global indexes for a while, as on AWS. */
  readonly indexLag?: IndexLag;
  /** Ends the upkeep and closes the store. */
  close(): Promise<void>;
}

/** A call comes through a door: in process with JavaScript values, or over the endpoint with typed ones. */
export interface Door {
  readonly format: ValueFormat;
  readonly caller?: Caller;
}
