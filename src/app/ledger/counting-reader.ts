import type { PassedRecords, ShardId, StreamReader } from '../../platform/stream/index.ts';

/** The same reader, whose passed-by records are noted. */
export function countingReader(reader: StreamReader, passedBy: (shardId: ShardId) => PassedRecords): StreamReader {
  return {
    read: (shardId, after, bytesMax, wants, passed = passedBy(shardId)) =>
      reader.read(shardId, after, bytesMax, wants, wants && passed),
    waitBeyond: (shardId, after, signal) => reader.waitBeyond(shardId, after, signal),
    locate: (shardId, position) => reader.locate(shardId, position),
    shards: () => reader.shards(),
    close: () => reader.close(),
  };
}
