import { codeOf } from '../../../kernel/errors.ts';
import type { SequenceNumber } from '../port.ts';
import { blockHeaderBytes, readBlockHeader } from './block.ts';
import { LogCursor, type LogFiles } from './cursor.ts';
import { readIndex } from './index-file.ts';
import { listSegments, type Segment } from './segment.ts';

const scanBytes = 64 * 1024; // ours: headers are looked at, so large reads are of no use

/** The first record, of any shard, that arrived at or after an instant; undefined when none up to `last` did. */
export async function findByTime(
  log: LogFiles,
  atMs: number,
  last: SequenceNumber,
): Promise<SequenceNumber | undefined> {
  const segment = await lastBegunBefore(log, atMs);
  if (!segment) return firstFrom(log, 0n, atMs, last);
  const entries = await readIndex(log.files, segment);
  const entry = entries.findLast(({ arrivalAtMs }) => arrivalAtMs < atMs);
  if (entry && (await arrivedBefore(log, entry.firstSequenceNumber, atMs))) {
    return firstFrom(log, entry.firstSequenceNumber, atMs, last);
  }
  return firstFrom(log, segment.firstSequenceNumber, atMs, last);
}

/** The newest segment whose first record arrived before the instant: what is looked for is in it or begins the next. */
async function lastBegunBefore(log: LogFiles, atMs: number): Promise<Segment | undefined> {
  const segments = await listSegments(log.files, log.directory);
  let low = 0;
  for (let high = segments.length; low < high; ) {
    const middle = (low + high) >> 1;
    if ((await beganAtMs(log, segments[middle])) < atMs) low = middle + 1;
    else high = middle;
  }
  return segments[low - 1];
}

/** Infinity while it has no record; before all others when retention has just removed it. */
async function beganAtMs({ files }: LogFiles, segment: Segment): Promise<number> {
  try {
    const file = await files.open(segment.path, { readOnly: true });
    try {
      const bytes = Buffer.alloc(blockHeaderBytes);
      const header = readBlockHeader(bytes.subarray(0, await file.read(bytes, 0)), 0);
      return header?.arrivalAtMs ?? Number.POSITIVE_INFINITY;
    } finally {
      await file.close();
    }
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
    return Number.NEGATIVE_INFINITY;
  }
}

/** Whether the block that begins with `sequenceNumber` is where the index says, and as old as that says. */
async function arrivedBefore(log: LogFiles, sequenceNumber: SequenceNumber, atMs: number): Promise<boolean> {
  let isBefore = false;
  const cursor = await LogCursor.open(log, sequenceNumber);
  try {
    await cursor.advance(sequenceNumber, scanBytes, (_chunk, _position, header) => {
      isBefore = header.firstSequenceNumber === sequenceNumber && header.arrivalAtMs < atMs;
      return false;
    });
    return isBefore;
  } finally {
    await cursor.close();
  }
}

async function firstFrom(
  log: LogFiles,
  from: SequenceNumber,
  atMs: number,
  last: SequenceNumber,
): Promise<SequenceNumber | undefined> {
  let found: SequenceNumber | undefined;
  const cursor = await LogCursor.open(log, from);
  try {
    while (found === undefined && cursor.nextSequenceNumber <= last) {
      await cursor.advance(last, scanBytes, (_chunk, _position, header) => {
        if (header.arrivalAtMs >= atMs) found = header.firstSequenceNumber;
        return found === undefined;
      });
    }
    return found;
  } finally {
    await cursor.close();
  }
}
