import type { ThingCredentials } from '../iot/port.ts';
import type { TestWorld } from '../local/one-thread.ts';

/**
 * A world as it was at one moment: what is stored, the time, who is registered. Any number of apps can start from it, each
 * with a copy of its own.
 */
export class Snapshot {
  /** Never runs: it is copied. */
  readonly world: TestWorld;
  readonly credentials: ReadonlyMap<string, ThingCredentials>;

  constructor(world: TestWorld, credentials: ReadonlyMap<string, ThingCredentials>) {
    this.world = world;
    this.credentials = new Map(credentials);
  }
}
