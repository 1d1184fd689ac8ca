import type { File, Files } from '../../../kernel/files.ts';
import type { Random } from '../../../kernel/random.ts';
import { streamCorrupt } from '../errors.ts';
import type { SequenceNumber } from '../port.ts';
import { type BlockHeader, blockHeaderBytes } from './block.ts';
import { IndexWriter } from './index-file.ts';
import {
  bytesWithoutPadding,
  listSegments,
  readWhole,
  rejectDamage,
  type Segment,
  segmentPath,
  sizeOf,
  walkBlocks,
} from './segment.ts';
import type { LogOptions } from './segmented-log.ts';

/** What the next block must know of the one before it. */
export interface LastBlock {
  readonly checksum: number;
  readonly arrivalAtMs: number;
  readonly salt: number;
}

/** What opening found on the disk. */
export interface Recovered {
  readonly file: File;
  readonly segment: Segment;
  readonly index: IndexWriter;
  readonly fileBytes: number;
  /** Bytes of a torn write that were cut off; none of them was acknowledged. */
  readonly tornBytes: number;
  readonly nextSequenceNumber: SequenceNumber;
  readonly firstArrivalAtMs: number | undefined;
  readonly last: LastBlock;
  /** Whether somebody wrote it who knew of shards. */
  readonly hasShards: boolean;
  /** The largest number of a shard in the newest segment. */
  readonly shardNumberMax: number;
}

/**
 * Opens or creates the log. Reads the newest segment, and the one before it when the newest has no block yet; cuts off a
 * torn tail and nothing else. When it resolves, everything that is left is durable, whether or not the process before
 * got to sync it. Throws `stream.corrupt`.
 */
export async function recoverLog(options: LogOptions, random: Random): Promise<Recovered> {
  const { files, directory } = options;
  const segments = await listSegments(files, directory);
  const vain = (await isBegunInVain(files, segments)) && segments.pop();
  if (vain) await files.remove(vain.path);
  if (segments.length === 0) segments.push({ firstSequenceNumber: 1n, path: segmentPath(directory, 1n) });
  const file = await files.open(segments[segments.length - 1].path, { create: true });
  try {
    await files.syncDirectory(directory);
    return await recover(options, segments, file, random);
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function recover(options: LogOptions, segments: Segment[], file: File, random: Random): Promise<Recovered> {
  const segment = segments[segments.length - 1];
  const index = new IndexWriter(options.files, segment, options.indexEveryBytes);
  const bytes = await readWhole(file);
  let shardNumberMax = 0;
  const intact = walkBlocks(bytes, segment, (position, header) => {
    index.note(position, header.firstSequenceNumber, header.arrivalAtMs);
    shardNumberMax = Math.max(shardNumberMax, header.shardNumber);
  });
  const last = intact.last ?? (await lastBlockBefore(options.files, segments));
  if (intact.bytes < bytes.length) rejectDamage(bytes, segment, intact.bytes, last?.salt);
  await file.truncate(intact.bytes);
  // After a failed sync the page cache may show what the disk does not have and will not be asked for again: the last
  // group is the only one that nobody may have heard to be safe, so it is written once more.
  await file.write(bytes.subarray(intact.lastGroupPosition, intact.bytes), intact.lastGroupPosition);
  await file.sync();
  return {
    file,
    segment,
    index,
    fileBytes: intact.bytes,
    tornBytes: bytesWithoutPadding(bytes, intact.bytes),
    nextSequenceNumber: intact.nextSequenceNumber,
    firstArrivalAtMs: intact.first?.arrivalAtMs,
    last: last ?? { checksum: 0, arrivalAtMs: 0, salt: Buffer.from(random.bytes(4)).readUInt32LE() },
    hasShards: last?.headerBytes === blockHeaderBytes,
    shardNumberMax,
  };
}

/** Nothing came into the newest segment, and the one before went on beyond its number: the disk refused to keep its name. */
async function isBegunInVain(files: Files, segments: readonly Segment[]): Promise<boolean> {
  const [segment, newest] = segments.slice(-2);
  if (!newest || (await sizeOf(files, newest)) > 0) return false;
  return walkBlocks(await readSegment(files, segment), segment).nextSequenceNumber > newest.firstSequenceNumber;
}

async function readSegment(files: Files, { path }: Segment): Promise<Buffer> {
  const file = await files.open(path, { readOnly: true });
  try {
    return await readWhole(file);
  } finally {
    await file.close();
  }
}

/** The block the first one of the newest segment follows; undefined when there is none. */
async function lastBlockBefore(files: Files, segments: Segment[]): Promise<BlockHeader | undefined> {
  const [segment, newest] = segments.slice(-2);
  if (!newest) return undefined;
  const bytes = await readSegment(files, segment);
  const intact = walkBlocks(bytes, segment);
  const isWhole = bytesWithoutPadding(bytes, intact.bytes) === 0;
  if (!isWhole || intact.nextSequenceNumber !== newest.firstSequenceNumber) {
    throw streamCorrupt(segment.path, intact.bytes, `record ${newest.firstSequenceNumber - 1n} should be its last`);
  }
  return intact.last;
}
