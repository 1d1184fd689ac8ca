/** Snapshots of a store that no engine runs on: nothing expires and nothing is built while it is read. */
import type { Clock } from '../../../kernel/clock.ts';
import type { Random } from '../../../kernel/random.ts';
import type { KeyValueStore } from '../../../kernel/store.ts';
import { Catalog } from '../storage/catalog.ts';
import { checkedStore } from '../storage/checked-store.ts';
import { damageOf } from '../storage/damage.ts';
import { upgradeStore } from '../storage/upgrade.ts';
import { HeldSnapshots } from './held-snapshots.ts';

/** Brings the store up to this release first. The store is the caller's to close. */
export async function openStoppedSnapshots(parts: {
  readonly store: KeyValueStore;
  readonly clock: Clock;
  readonly random: Random;
}): Promise<HeldSnapshots> {
  await upgradeStore(parts.store, parts);
  let catalog: Catalog | undefined;
  const store = checkedStore(parts.store, key => damageOf(key, () => catalog));
  catalog = new Catalog(store);
  return new HeldSnapshots({ ...parts, store, catalog });
}
