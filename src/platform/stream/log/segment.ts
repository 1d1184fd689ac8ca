import { type File, type Files, joinPath } from '../../../kernel/files.ts';
import { streamCorrupt } from '../errors.ts';
import type { SequenceNumber } from '../port.ts';
import { shardIdOf } from '../shards.ts';
import { type BlockHeader, blockBytesOf, blockIsIntact, magicStart, readBlockHeader } from './block.ts';

/** A log file holds consecutive blocks, of all shards, and is named after the first sequence number it may hold. */
export interface Segment {
  readonly firstSequenceNumber: SequenceNumber;
  readonly path: string;
}

const suffix = '.log';

/** Where the log of a stream lies. One that was begun before there were shards lies in the folder of its only one. */
export async function findLogDirectory(files: Files, directory: string): Promise<string> {
  const before = joinPath(directory, shardIdOf(0));
  return (await listSegments(files, before)).length > 0 ? before : directory;
}

export function segmentPath(logDirectory: string, firstSequenceNumber: SequenceNumber): string {
  return joinPath(logDirectory, `${String(firstSequenceNumber).padStart(20, '0')}${suffix}`);
}

/** The segments of a log, oldest first. */
export async function listSegments(files: Files, logDirectory: string): Promise<Segment[]> {
  const names = await files.list(logDirectory);
  return names
    .filter(name => /^\d{20}\.log$/.test(name))
    .map(name => ({
      firstSequenceNumber: BigInt(name.slice(0, -suffix.length)),
      path: joinPath(logDirectory, name),
    }));
}

export async function sizeOf(files: Files, { path }: Segment): Promise<number> {
  const file = await files.open(path, { readOnly: true });
  try {
    return await file.size();
  } finally {
    await file.close();
  }
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
  readonly first: BlockHeader | undefined;
  readonly last: BlockHeader | undefined;
}

/** Walks a segment from its start to the first byte that no longer belongs to an intact block in its place. */
export function walkBlocks(
  bytes: Buffer,
  segment: Segment,
  visit?: (position: number, header: BlockHeader) => void,
): IntactBlocks {
  let position = 0;
  let lastGroupPosition = 0;
  let nextSequenceNumber = segment.firstSequenceNumber;
  let first: BlockHeader | undefined;
  let last: BlockHeader | undefined;
  for (;;) {
    const header = readBlockHeader(bytes, position);
    if (!header || !blockIsIntact(bytes, position, header)) break;
    if (header.firstSequenceNumber !== nextSequenceNumber || (last && header.previousChecksum !== last.checksum)) {
      throw streamCorrupt(segment.path, position, 'the block does not follow the one before it');
    }
    visit?.(position, header);
    lastGroupPosition = position - header.groupBytesBefore;
    position += blockBytesOf(header);
    nextSequenceNumber += BigInt(header.count);
    first ??= header;
    last = header;
  }
  return { bytes: position, lastGroupPosition, nextSequenceNumber, first, last };
}

/**
 * Decides what lies behind the intact blocks of the newest segment. A group of which parts did not reach the disk was
 * never acknowledged: a torn tail, to be cut off. But an intact block of a later group proves that this one was synced
 * and acknowledged, so what is broken now was whole: `stream.corrupt`.
 * @param salt  of the log; undefined when no block before tells, then any block counts.
 */
export function rejectDamage(bytes: Buffer, segment: Segment, from: number, salt: number | undefined): void {
  const start = bytes.toString('latin1', from, from + magicStart.length + 1);
  if (/^MMS[014-9]$/.test(start)) {
    throw streamCorrupt(segment.path, from, 'it was written by another version of the stream');
  }
  for (let at = bytes.indexOf(magicStart, from); at >= 0; at = bytes.indexOf(magicStart, at + 1)) {
    const header = readBlockHeader(bytes, at);
    if (!header || (salt !== undefined && header.salt !== salt) || at - header.groupBytesBefore <= from) continue;
    if (blockIsIntact(bytes, at, header)) throw streamCorrupt(segment.path, from, 'later, intact records follow');
  }
}

/** Bytes from `from` to the last one that is not zero: the zeros written ahead are no part of what was torn. */
export function bytesWithoutPadding(bytes: Buffer, from: number): number {
  let end = bytes.length;
  while (end > from && bytes[end - 1] === 0) end--;
  return end - from;
}
