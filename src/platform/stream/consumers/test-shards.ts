/** A stream in memory with as many shards as a test wants, that can be split and merged while it is read. */
import type { Clock } from '../../../kernel/clock.ts';
import { shardNotFound } from '../errors.ts';
import type { Place, SequenceNumber, Shard, ShardId, StartingPosition, StreamReader, StreamRecord } from '../port.ts';
import { hashKeyMax, hashKeyOf, shardIdOf } from '../shards.ts';

interface KeptShard {
  shard: Shard;
  readonly records: StreamRecord[];
}

/** Numbers are sparse and of one counter, as those of an engine may be. */
const numberStep = 3n;

export class TestShards {
  readonly #clock: Clock;
  readonly #kept = new Map<ShardId, KeptShard>();
  readonly #waiting = new Set<() => void>();
  #last: SequenceNumber = 0n;
  #made = 0;
  /** Reads so far, by shard. */
  readonly reads = new Map<ShardId, number>();

  constructor(clock: Clock, count = 1) {
    this.#clock = clock;
    const width = (hashKeyMax + 1n) / BigInt(count);
    for (let index = 0n; index < count; index++) {
      const to = index === BigInt(count) - 1n ? hashKeyMax : (index + 1n) * width - 1n;
      this.#open({ from: index * width, to });
    }
  }

  get last(): SequenceNumber {
    return this.#last;
  }

  get shards(): Shard[] {
    return [...this.#kept.values()].map(({ shard }) => shard);
  }

  get openShards(): Shard[] {
    return this.shards.filter(({ endingSequenceNumber }) => endingSequenceNumber === undefined);
  }

  put(partitionKey: string, data: string): Place {
    const hash = hashKeyOf(partitionKey);
    for (const { shard, records } of this.#kept.values()) {
      const { from, to } = shard.hashKeys;
      if (shard.endingSequenceNumber !== undefined || hash < from || hash > to) continue;
      this.#last += numberStep;
      const sequenceNumber = this.#last;
      records.push({ sequenceNumber, partitionKey, data: Buffer.from(data), arrivalAtMs: this.#clock.nowMs() });
      this.#wake();
      return { shardId: shard.shardId, sequenceNumber };
    }
    throw new Error('The hash ranges have a gap.');
  }

  split(shardId: ShardId): void {
    const { from, to } = this.#close(shardId).hashKeys;
    const middle = (from + to) / 2n;
    this.#open({ from, to: middle }, { parentShardId: shardId });
    this.#open({ from: middle + 1n, to }, { parentShardId: shardId });
    this.#wake();
  }

  /** Two open shards, the second right behind the first. */
  merge(shardId: ShardId, adjacentParentShardId: ShardId): void {
    const { from } = this.#close(shardId).hashKeys;
    const { to } = this.#close(adjacentParentShardId).hashKeys;
    this.#open({ from, to }, { parentShardId: shardId, adjacentParentShardId });
    this.#wake();
  }

  /** Retention takes a whole shard. */
  forget(shardId: ShardId): void {
    this.#kept.delete(shardId);
  }

  openReader(): StreamReader {
    return {
      shards: async () => this.shards,
      close: async () => {},
      locate: async (shardId, position) => this.#locate(shardId, position),
      read: async (shardId, after, bytesMax, wants) => {
        this.reads.set(shardId, (this.reads.get(shardId) ?? 0) + 1);
        const records: StreamRecord[] = [];
        let bytes = 0;
        for (const record of this.#recordsOf(shardId)) {
          if (record.sequenceNumber <= (after ?? 0n)) continue;
          const last = records.at(-1);
          if (last && wants && !wants(last.data, 0, last.data.length)) records.pop();
          records.push(record);
          bytes += record.data.length;
          if (bytes >= bytesMax) break;
        }
        return records;
      },
      waitBeyond: (shardId, after, signal) => this.#waitBeyond(shardId, after, signal),
    };
  }

  #recordsOf(shardId: ShardId): StreamRecord[] {
    const kept = this.#kept.get(shardId);
    if (kept) return kept.records;
    throw shardNotFound(shardId);
  }

  #locate(shardId: ShardId, position: StartingPosition): SequenceNumber | null {
    const records = this.#recordsOf(shardId);
    if (position.type === 'LATEST') return records.at(-1)?.sequenceNumber ?? null;
    if (position.type === 'TRIM_HORIZON') return null;
    if (position.type !== 'AT_TIMESTAMP') throw new Error('No test needs it.');
    return records.findLast(({ arrivalAtMs }) => arrivalAtMs < position.atMs)?.sequenceNumber ?? null;
  }

  async #waitBeyond(shardId: ShardId, after: SequenceNumber | null, signal: AbortSignal): Promise<void> {
    const isOver = () => {
      const kept = this.#kept.get(shardId);
      const last = kept?.records.at(-1)?.sequenceNumber ?? 0n;
      return signal.aborted || !kept || kept.shard.endingSequenceNumber !== undefined || last > (after ?? 0n);
    };
    while (!isOver()) {
      await new Promise<void>(resolve => {
        const wake = () => {
          signal.removeEventListener('abort', wake);
          this.#waiting.delete(wake);
          resolve();
        };
        this.#waiting.add(wake);
        signal.addEventListener('abort', wake);
      });
    }
  }

  #wake(): void {
    for (const wake of [...this.#waiting]) wake();
  }

  #open(hashKeys: Shard['hashKeys'], parents: Pick<Shard, 'parentShardId' | 'adjacentParentShardId'> = {}): void {
    const shardId = shardIdOf(this.#made++);
    const shard = { shardId, hashKeys, startingSequenceNumber: this.#last + numberStep, ...parents };
    this.#kept.set(shardId, { shard, records: [] });
  }

  #close(shardId: ShardId): Shard {
    const kept = this.#kept.get(shardId);
    if (kept?.shard.endingSequenceNumber !== undefined || !kept) throw new Error(`${shardId} is not open.`);
    this.#last += numberStep; // A number that no record has.
    kept.shard = { ...kept.shard, endingSequenceNumber: this.#last };
    return kept.shard;
  }
}
