import { codeOf, MimamoriError } from '../../../kernel/errors.ts';
import { systemRandom } from '../../../kernel/random.ts';
import type { EmbeddedStreamOptions } from '../embedded-options.ts';
import { streamCorrupt, streamFailed, streamFull, streamNotWritable } from '../errors.ts';
import { streamLimits } from '../limits.ts';
import { newShardMap, type ShardMap } from '../shards.ts';
import { type Recovered, recoverLog } from './recovery.ts';
import { findLogDirectory } from './segment.ts';
import { SegmentedLog } from './segmented-log.ts';
import { openShardMap, writeShardMap } from './shard-map-file.ts';

export interface OpenedLog {
  readonly log: SegmentedLog;
  /** Where the segments lie. */
  readonly logDirectory: string;
  readonly map: ShardMap;
  readonly tornBytes: number;
}

/** What is on the disk of a stream, or a new one. Throws as `EmbeddedStream.open`. */
export async function openLog(options: EmbeddedStreamOptions): Promise<OpenedLog> {
  const { files, directory } = options;
  let log: SegmentedLog | undefined;
  try {
    await files.makeDirectory(directory);
    const logDirectory = await findLogDirectory(files, directory);
    const logOptions = {
      files,
      directory: logDirectory,
      segmentBytesMax: options.segmentBytesMax ?? streamLimits.segmentBytesMax,
      indexEveryBytes: options.indexEveryBytes ?? streamLimits.indexEveryBytes,
      paddingBytes: options.paddingBytes ?? streamLimits.paddingBytes,
    };
    const recovered = await recoverLog(logOptions, options.random ?? systemRandom);
    log = new SegmentedLog(logOptions, recovered);
    const map = await recoverShards(options, recovered);
    return { log, logDirectory, map, tornBytes: recovered.tornBytes };
  } catch (error) {
    await log?.close().catch(() => {}); // What went wrong first is what is to be told.
    throw whyNotOpened(directory, error);
  }
}

/** The shards the stream had; those of a new one are stored before anything can be appended to them. */
async function recoverShards(options: EmbeddedStreamOptions, recovered: Recovered): Promise<ShardMap> {
  const { files, directory, shards: shardCount = 1 } = options;
  const { nextSequenceNumber, hasShards, shardNumberMax, segment } = recovered;
  const known = await openShardMap(files, directory, hasShards);
  if (!known) {
    // A log without a map is empty, or was written before there were shards and has one.
    const map = newShardMap(nextSequenceNumber === segment.firstSequenceNumber ? shardCount : 1);
    await writeShardMap(files, directory, map);
    return map;
  }
  if (shardNumberMax >= known.nextNumber) {
    throw streamCorrupt(segment.path, 0, `it holds records of shard ${shardNumberMax}, which the stream does not have`);
  }
  // A shard begins when all before it is durable, so a log that ends earlier has lost records that were acknowledged.
  if (known.shards.some(({ startingSequenceNumber }) => startingSequenceNumber > nextSequenceNumber)) {
    throw streamCorrupt(
      segment.path,
      recovered.fileBytes,
      'records before the last change of the shards are not there',
    );
  }
  return known;
}

function whyNotOpened(directory: string, error: unknown): unknown {
  if (error instanceof MimamoriError) return error;
  const code = codeOf(error);
  if (['ENOSPC', 'EDQUOT'].includes(code)) return streamFull(error);
  if (['EROFS', 'EACCES', 'EPERM'].includes(code)) return streamNotWritable(directory, error);
  return /^E[A-Z]+$/.test(code) ? streamFailed(error) : error;
}
