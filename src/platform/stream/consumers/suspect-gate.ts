import type { ShardId } from '../port.ts';
import type { SuspectGate } from './intake.ts';

/**
 * Keeps the shards of a stream together until none of them has a suspect left: if one went ahead meanwhile, its batches
 * would be in flight, too, when a suspect ends the thread again, and nobody could tell whose fault it was.
 */
export class SuspectGates {
  readonly #missing: Set<ShardId>;
  readonly #opened = Promise.withResolvers<void>();

  constructor(shardIds: Iterable<ShardId>) {
    this.#missing = new Set(shardIds);
  }

  gateOf(shardId: ShardId): SuspectGate {
    return {
      opened: this.#opened.promise,
      arrive: () => {
        this.#missing.delete(shardId);
        if (this.#missing.size === 0) this.open();
      },
    };
  }

  /** Everybody may go on, or is to stop. */
  open(): void {
    this.#opened.resolve();
  }
}
