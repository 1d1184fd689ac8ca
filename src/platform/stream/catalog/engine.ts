/** The engine behind one stream of a catalog, as far as a catalog needs it. */
import type { Resharding, Stream, StreamReader } from '../port.ts';

export interface CatalogEngine {
  /** Absent when the stream can only be read here. */
  readonly stream?: Stream & Resharding;
  readonly shards: Stream['shards'];
  openReader(): StreamReader;
  setRetentionMs(retentionMs: number): void;
  close(): Promise<void>;
}
