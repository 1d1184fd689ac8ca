/** Which shards of a stream a consumer reads now: a parent to its end before its children, so that keys stay in order. Pure. */
import type { SequenceNumber, Shard, ShardId } from '../port.ts';

/** What is known of a shard: how far it was read, if ever. */
export type Progress = ReadonlyMap<ShardId, SequenceNumber>;

export class ShardPlan {
  readonly #shards: ReadonlyMap<ShardId, Shard>;
  readonly #progress: Progress;

  constructor(shards: readonly Shard[], progress: Progress) {
    this.#shards = new Map(shards.map(shard => [shard.shardId, shard]));
    this.#progress = progress;
  }

  /** Everything of it is done: it was read to its end, or its children were begun, which nobody does before that. */
  isFinished(shard: Shard): boolean {
    const reached = this.#progress.get(shard.shardId);
    const { endingSequenceNumber } = shard;
    if (endingSequenceNumber === undefined) return false;
    if (reached !== undefined && reached >= endingSequenceNumber) return true;
    return this.#childrenOf(shard).some(child => this.#isBegun(child));
  }

  #isBegun(shard: Shard): boolean {
    return this.#progress.has(shard.shardId) || this.isFinished(shard);
  }

  /** May be read now. */
  get ready(): Shard[] {
    return [...this.#shards.values()].filter(shard => !this.isFinished(shard) && this.#parentsAreFinished(shard));
  }

  /** Whose checkpoints say nothing any more: all their children are begun. */
  get toForget(): Shard[] {
    return [...this.#shards.values()].filter(shard => {
      const children = this.#childrenOf(shard);
      return this.#progress.has(shard.shardId) && children.length > 0 && children.every(child => this.#isBegun(child));
    });
  }

  #childrenOf({ shardId }: Shard): Shard[] {
    return [...this.#shards.values()].filter(
      child => child.parentShardId === shardId || child.adjacentParentShardId === shardId,
    );
  }

  #parentsAreFinished(shard: Shard): boolean {
    return this.#parentsOf(shard).every(parent => this.isFinished(parent));
  }

  /** Those that are still kept. */
  #parentsOf({ parentShardId, adjacentParentShardId }: Shard): Shard[] {
    return [parentShardId, adjacentParentShardId].flatMap(id => (id && this.#shards.get(id)) || []);
  }
}
