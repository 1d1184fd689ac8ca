/** Reads a source on from a position: whole lines only, from segment to segment. */
import type { AppendFiles, ReadFile } from '../../kernel/append-files.ts';
import { logLimits } from '../limits.ts';
import { openIfThere, type Position } from './scan.ts';
import type { Segment } from './segments.ts';

export interface TailLine {
  readonly text: string;
  readonly bytes: Buffer;
  /** Where it begins. */
  readonly at: Position;
}

export interface TailRead {
  readonly lines: readonly TailLine[];
  /** Where the next read begins. */
  readonly next: Position;
  /** Retention has removed lines between the position and the first of these. */
  readonly hasGap: boolean;
}

/** The end of the last whole line of a source, as far as it is written now. */
export async function endOf(files: AppendFiles, segments: readonly Segment[]): Promise<Position | undefined> {
  const newest = segments.at(-1);
  if (newest === undefined) return undefined;
  const file = await openIfThere(files, newest.linesPath);
  if (file === undefined) return { number: newest.number, offset: 0 };
  try {
    const size = await file.size();
    const start = Math.max(size - logLimits.lineBytesMax - 1, 0);
    const bytes = await readAt(file, start, size - start);
    return { number: newest.number, offset: start + bytes.lastIndexOf(0x0a) + 1 };
  } finally {
    await file.close();
  }
}

/**
 * @param segments  as listed before this call: one that is there when a later one is, is complete
 * @param bytesMax  about as much as is read
 */
export async function readOn(
  files: AppendFiles,
  segments: readonly Segment[],
  from: Position,
  bytesMax: number,
): Promise<TailRead> {
  const lines: TailLine[] = [];
  const left = segments.filter(({ number }) => number >= from.number);
  const hasGap = left.length > 0 && left[0].number > from.number;
  let next = hasGap ? { number: left[0].number, offset: 0 } : from;
  let bytesLeft = bytesMax;
  for (const [index, segment] of left.entries()) {
    if (segment.number !== next.number) next = { number: segment.number, offset: 0 };
    const size = files.sizeOf(segment.linesPath) ?? 0;
    while (next.offset < size && bytesLeft > 0) {
      const taken = await takeLines(files, segment, next.offset, lines);
      if (taken === 0) break;
      bytesLeft -= taken;
      next = { number: segment.number, offset: next.offset + taken };
    }
    const isRead = next.offset >= size || index < left.length - 1;
    if (bytesLeft <= 0 || !isRead) break;
  }
  return { lines, next, hasGap };
}

/** Adds the whole lines of the next piece; returns how many bytes they take. */
async function takeLines(files: AppendFiles, segment: Segment, offset: number, into: TailLine[]): Promise<number> {
  const file = await openIfThere(files, segment.linesPath);
  if (file === undefined) return 0;
  try {
    const bytes = await readAt(file, offset, logLimits.followReadBytes);
    const end = bytes.lastIndexOf(0x0a) + 1;
    if (end === 0 && bytes.length === logLimits.followReadBytes) return bytes.length; // A hole that a power cut has left.
    for (let at = 0; at < end; ) {
      const next = bytes.indexOf(0x0a, at) + 1;
      const line = bytes.subarray(at, next - 1);
      into.push({ text: line.toString('utf8'), bytes: line, at: { number: segment.number, offset: offset + at } });
      at = next;
    }
    return end;
  } finally {
    await file.close();
  }
}

async function readAt(file: ReadFile, offset: number, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(length);
  return bytes.subarray(0, await file.read(bytes, offset));
}
