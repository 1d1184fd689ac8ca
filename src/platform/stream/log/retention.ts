import type { Files } from '../../../kernel/files.ts';
import type { SequenceNumber } from '../port.ts';
import { blockHeaderBytes, readBlockHeader } from './block.ts';
import { indexPath } from './index-file.ts';
import { listSegments, type Segment, sizeOf } from './segment.ts';

export interface Retention {
  readonly bytesMax: number;
  /** What arrived before this instant is too old. */
  readonly sinceMs: number;
  /** The last record every consumer is done with; null when somebody has not begun. */
  readonly consumedUpTo: SequenceNumber | null;
  /** Arrival of the newest record there is. */
  readonly lastArrivalAtMs: number;
}

/**
 * Deletes the oldest segments while they are over the size or age kept and every consumer is done with them; the newest
 * stays. Returns the first sequence number of the oldest that is left.
 */
export async function retire(files: Files, directory: string, retention: Retention): Promise<SequenceNumber> {
  const { bytesMax, sinceMs, consumedUpTo } = retention;
  // What an earlier run removed must be gone for good, or a power cut could bring it back and leave a gap behind it.
  await files.syncDirectory(directory);
  const segments = await listSegments(files, directory);
  const sizes = await Promise.all(segments.map(segment => sizeOf(files, segment)));
  let total = sizes.reduce((sum, size) => sum + size, 0);
  let oldest = 0;
  for (; oldest + 1 < segments.length; oldest++) {
    const lastOfSegment = segments[oldest + 1].firstSequenceNumber - 1n;
    if (consumedUpTo === null || lastOfSegment > consumedUpTo) break;
    if (total <= bytesMax && (await endedAtMs(files, segments[oldest + 1], retention)) >= sinceMs) break;
    await files.remove(indexPath(segments[oldest]));
    await files.remove(segments[oldest].path);
    // One by one, or a power cut could bring back an older one than it keeps, and leave a gap.
    await files.syncDirectory(directory);
    total -= sizes[oldest];
  }
  return segments[oldest].firstSequenceNumber;
}

/** When the segment before `next` had its last record, or soon after: when `next` got its first. */
async function endedAtMs(files: Files, next: Segment, { lastArrivalAtMs }: Retention): Promise<number> {
  const file = await files.open(next.path, { readOnly: true });
  try {
    const header = Buffer.alloc(blockHeaderBytes);
    const bytes = await file.read(header, 0);
    return readBlockHeader(header.subarray(0, bytes), 0)?.arrivalAtMs ?? lastArrivalAtMs;
  } finally {
    await file.close();
  }
}
