/** Where a caller of GetRecords is: opaque to it, and checked when it comes back. */
import { createHash } from 'node:crypto';
import { invalid, iteratorExpired } from '../errors.ts';
import { tableLimits } from '../limits.ts';

export interface ShardPosition {
  readonly streamArn: string;
  readonly shardId: string;
  /** Sequence number of the next change to read, which may be still to come. */
  readonly next: bigint;
}

/** As AWS writes them: ARN, version, and what only the engine reads. */
export function iteratorOf({ streamArn, shardId, next }: ShardPosition, nowMs: number): string {
  const place = JSON.stringify([shardId, String(next), nowMs]);
  return `${streamArn}|1|${Buffer.from(place + checkOf(streamArn, place), 'utf8').toString('base64')}`;
}

/** Throws `table.invalid`, `table.iteratorExpired`. */
export function readIterator(iterator: string, nowMs: number): ShardPosition {
  const [streamArn, version, encoded, ...rest] = iterator.split('|');
  const text = Buffer.from(encoded ?? '', 'base64').toString('utf8');
  const place = text.slice(0, -checkCharacters);
  if (version !== '1' || rest.length > 0 || text.slice(-checkCharacters) !== checkOf(streamArn, place)) {
    throw invalid('Invalid ShardIterator');
  }
  const [shardId, next, issuedAtMs] = JSON.parse(place); // only `iteratorOf` writes what passes the check
  if (nowMs > issuedAtMs + tableLimits.shardIteratorValidMs) throw iteratorExpired();
  return { streamArn, shardId, next: BigInt(next) };
}

const checkCharacters = 16;

/** Against mistakes, not against forgers: who may read a stream may read it from anywhere. */
function checkOf(streamArn: string, place: string): string {
  return createHash('sha256').update(`${streamArn} ${place}`).digest('hex').slice(0, checkCharacters);
}
