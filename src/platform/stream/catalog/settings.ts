/** What a stream of the catalog is, beside its records and its shards. */
import { directoryOf } from './directories.ts';

export interface StreamSettings {
  readonly name: string;
  /** Tells it from another one of the same name, before or after it. */
  readonly createdAtMs: number;
  /** `creating` until its log is there, `deleting` until nothing of it is left; a start finishes either. */
  readonly phase: 'creating' | 'kept' | 'deleting';
  readonly mode: StreamMode;
  /** How many shards it was made with. */
  readonly shardCount: number;
  readonly openShardCount: number;
  /** How many it is on its way to have; a start goes on with it. */
  readonly targetShardCount?: number;
  readonly retentionHours: number;
  /** Of one record, its key included. */
  readonly recordBytesMax: number;
  /** What is asked to be measured of each shard; kept, and told. */
  readonly shardLevelMetrics: readonly string[];
  readonly tags: Readonly<Record<string, string>>;
}

export type StreamMode = 'PROVISIONED' | 'ON_DEMAND';

export type StreamStatus = 'CREATING' | 'ACTIVE' | 'UPDATING' | 'DELETING';

/** Undefined when the value is not what was written for the stream of this directory. */
export function settingsOf(value: unknown, directoryName: string): StreamSettings | undefined {
  if (typeof value !== 'object' || value === null || !('name' in value) || typeof value.name !== 'string') {
    return undefined;
  }
  if (directoryOf(value.name) !== directoryName) return undefined; // It was moved here, or copied.
  return value as StreamSettings; // a cast: its checksum is right, so `writeSettings` wrote it
}
