import type { Clock } from '../../kernel/clock.ts';
import type { Files } from '../../kernel/files.ts';
import type { Random } from '../../kernel/random.ts';
import type { SequenceNumber } from './port.ts';
import type { ShardThroughput } from './throughput.ts';

export interface EmbeddedStreamOptions {
  readonly files: Files;
  readonly clock: Clock;
  /** Salts a new log. The system's when absent. */
  readonly random?: Random;
  /** Created when absent. */
  readonly directory: string;
  /** How many shards a new stream begins with, of equal width; 1 when absent. */
  readonly shards?: number;
  /** Key and data of a record: 1 to 10 MiB, 1 MiB when absent. */
  readonly recordBytesMax?: number;
  /** What a shard takes; what comes faster is refused with `stream.throttled`. Absent: whatever the disk takes. */
  readonly throughput?: ShardThroughput;
  readonly segmentBytesMax?: number;
  readonly indexEveryBytes?: number;
  readonly paddingBytes?: number;
  readonly retentionBytesMax?: number;
  readonly retentionMs?: number;
  /**
   * The record every consumer is done with, or null; segments up to it may be deleted, younger ones never. Absent: there
   * is nobody to wait for.
   */
  readonly consumedUpTo?: () => SequenceNumber | null;
  /**
   * Called when it is open, after each group commit and when the shards have changed, with the last durable sequence
   * number and the generation of the shards: what a `StreamTail` must tell readers.
   */
  readonly onDurable?: (lastSequenceNumber: SequenceNumber, shardsGeneration: number) => void;
}
