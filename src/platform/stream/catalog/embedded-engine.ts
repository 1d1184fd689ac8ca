/** The embedded stream as the engine of a catalog. */
import type { Clock } from '../../../kernel/clock.ts';
import type { Files } from '../../../kernel/files.ts';
import type { Random } from '../../../kernel/random.ts';
import { EmbeddedStream } from '../embedded.ts';
import { EmbeddedStreamReader } from '../embedded-reader.ts';
import type { SequenceNumber } from '../port.ts';
import { LocalTail } from '../tail.ts';
import type { ShardThroughput } from '../throughput.ts';
import type { CatalogEngine } from './engine.ts';
import { catalogLimits } from './limits.ts';
import type { StreamSettings } from './settings.ts';

export interface EmbeddedEngineOptions {
  readonly files: Files;
  readonly clock: Clock;
  readonly random: Random;
  /** What a shard takes. Absent: whatever the disk takes. */
  readonly throughput?: ShardThroughput;
  readonly segmentBytesMax?: number;
  readonly paddingBytes?: number;
  readonly retentionBytesMax?: number;
  /** Told by directory, when it is opened and after each commit: for readers on another thread. */
  readonly onDurable?: (directory: string, last: SequenceNumber, generation: number) => void;
}

/** How a catalog opens the log of a stream. It throws as `EmbeddedStream.open`. */
export function embeddedEngines(
  options: EmbeddedEngineOptions,
): (directory: string, settings: StreamSettings) => Promise<CatalogEngine> {
  return async (directory, { shardCount, retentionHours }) => {
    const { files } = options;
    const tail = new LocalTail(0n);
    const stream = await EmbeddedStream.open({
      ...options,
      directory,
      shards: shardCount,
      recordBytesMax: catalogLimits.recordBytesMax, // What this one takes may be changed while it runs.
      retentionMs: retentionHours * 3_600_000,
      onDurable: (last, generation) => {
        tail.moveTo(last, generation);
        options.onDurable?.(directory, last, generation);
      },
    });
    return {
      stream,
      shards: () => stream.shards(),
      openReader: () => new EmbeddedStreamReader({ files, directory, tail }),
      setRetentionMs: retentionMs => stream.setRetentionMs(retentionMs),
      close: () => stream.close(),
    };
  };
}
