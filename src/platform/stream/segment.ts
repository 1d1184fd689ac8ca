import { type File, type Files, joinPath } from '../../kernel/files.ts';
import { streamCorrupt } from './errors.ts';
import type { SequenceNumber, ShardId } from './port.ts';
import { blockHeaderBytes, blockIsIntact, readBlockHeader } from './record-batch.ts';

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

/** What a recovery found in the newest segment. */
export interface SegmentEnd {
  /** Bytes of intact blocks; what lies behind is a torn write that was never acknowledged. */
  readonly intactBytes: number;
  readonly fileBytes: number;
  readonly nextSequenceNumber: SequenceNumber;
  /** Checksum of the last intact block, 0 when there is none. */
  readonly checksum: number;
  readonly lastArrivalAtMs: number;
}

/**
 * Walks a segment to its end. A damaged block with an intact, later one behind it is not a torn tail but corruption
 * of acknowledged records: `stream.corrupt`.
 */
export async function findSegmentEnd(file: File, segment: Segment): Promise<SegmentEnd> {
  const bytes = Buffer.allocUnsafe(await file.size());
  const fileBytes = await file.read(bytes, 0);
  let position = 0;
  let nextSequenceNumber = segment.firstSequenceNumber;
  let checksum = 0;
  let lastArrivalAtMs = 0;
  for (;;) {
    const header = readBlockHeader(bytes, position);
    if (!header || header.firstSequenceNumber !== nextSequenceNumber || !blockIsIntact(bytes, position, header)) break;
    if (checksum !== 0 && header.previousChecksum !== checksum) {
      throw streamCorrupt(segment.path, position, 'the block does not follow the one before it');
    }
    position += blockHeaderBytes + header.bodyBytes;
    nextSequenceNumber += BigInt(header.count);
    checksum = header.checksum;
    lastArrivalAtMs = header.arrivalAtMs;
  }
  if (laterBlockExists(bytes.subarray(0, fileBytes), position + 1, nextSequenceNumber)) {
    throw streamCorrupt(segment.path, position, 'intact records follow damaged ones');
  }
  return { intactBytes: position, fileBytes, nextSequenceNumber, checksum, lastArrivalAtMs };
}

function laterBlockExists(bytes: Buffer, from: number, notBefore: SequenceNumber): boolean {
  const magic = Buffer.from('MMS1', 'latin1');
  for (let at = bytes.indexOf(magic, from); at >= 0; at = bytes.indexOf(magic, at + 1)) {
    const header = readBlockHeader(bytes, at);
    if (header && header.firstSequenceNumber >= notBefore && blockIsIntact(bytes, at, header)) return true;
  }
  return false;
}
