import { type File, type Files, joinPath } from '../../kernel/files.ts';
import { streamCorrupt } from './errors.ts';
import type { SequenceNumber, ShardId } from './port.ts';
import { blockHeaderBytes, blockIsIntact, magicBytes, readBlockHeader } from './record-batch.ts';

/** A log file holds consecutive blocks and is named after the first sequence number it may hold. */
export interface Segment {
  readonly firstSequenceNumber: SequenceNumber;
  readonly path: string;
}

const suffix = '.log';

export function segmentPath(directory: string, shardId: ShardId, firstSequenceNumber: SequenceNumber): string {
  return joinPath(directory, shardId, `${String(firstSequenceNumber).padStart(20, '0')}${suffix}`);
}

/** The segments of a shard, oldest first. */
export async function listSegments(files: Files, directory: string, shardId: ShardId): Promise<Segment[]> {
  const names = await files.list(joinPath(directory, shardId));
  return names
    .filter(name => /^\d{20}\.log$/.test(name))
    .map(name => ({
      firstSequenceNumber: BigInt(name.slice(0, -suffix.length)),
      path: joinPath(directory, shardId, name),
    }));
}

export async function readWhole(file: File): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(await file.size());
  return bytes.subarray(0, await file.read(bytes, 0));
}

/** The intact blocks a segment begins with. */
export interface IntactBlocks {
  /** Where they end. */
  readonly bytes: number;
  /** Where the last group commit among them starts. */
  readonly lastGroupPosition: number;
  readonly nextSequenceNumber: SequenceNumber;
  readonly last: LastBlock | undefined;
}

/** What the next block must know of the one before it. */
export interface LastBlock {
  readonly checksum: number;
  readonly arrivalAtMs: number;
  readonly salt: number;
}

/** Walks a segment from its start to the first byte that no longer belongs to an intact block in its place. */
export function walkBlocks(bytes: Buffer, segment: Segment): IntactBlocks {
  let position = 0;
  let lastGroupPosition = 0;
  let nextSequenceNumber = segment.firstSequenceNumber;
  let last: LastBlock | undefined;
  for (;;) {
    const header = readBlockHeader(bytes, position);
    if (!header || !blockIsIntact(bytes, position, header)) break;
    if (header.firstSequenceNumber !== nextSequenceNumber || (last && header.previousChecksum !== last.checksum)) {
      throw streamCorrupt(segment.path, position, 'the block does not follow the one before it');
    }
    lastGroupPosition = position - header.groupBytesBefore;
    position += blockHeaderBytes + header.bodyBytes;
    nextSequenceNumber += BigInt(header.count);
    last = header;
  }
  return { bytes: position, lastGroupPosition, nextSequenceNumber, last };
}

/**
 * Decides what lies behind the intact blocks of the newest segment. A group of which parts did not reach the disk was
 * never acknowledged: a torn tail, to be cut off. But an intact block of a later group proves that this one was synced
 * and acknowledged, so what is broken now was whole: `stream.corrupt`.
 * @param salt  of the log; undefined when no block before tells, then any block counts.
 */
export function rejectDamage(bytes: Buffer, segment: Segment, from: number, salt: number | undefined): void {
  const start = bytes.toString('latin1', from, from + magicBytes.length);
  if (/^MMS[013-9]$/.test(start)) {
    throw streamCorrupt(segment.path, from, 'it was written by another version of the stream');
  }
  for (let at = bytes.indexOf(magicBytes, from); at >= 0; at = bytes.indexOf(magicBytes, at + 1)) {
    const header = readBlockHeader(bytes, at);
    if (!header || (salt !== undefined && header.salt !== salt) || at - header.groupBytesBefore <= from) continue;
    if (blockIsIntact(bytes, at, header)) throw streamCorrupt(segment.path, from, 'later, intact records follow');
  }
}
