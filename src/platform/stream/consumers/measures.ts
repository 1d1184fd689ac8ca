/** What a consumer tells of itself: counts since its start, and how far behind it is. */
import type { SequenceNumber, ShardId } from '../port.ts';

/** One finished invocation. */
export interface BatchReport {
  readonly consumer: string;
  readonly shardId: ShardId;
  readonly records: number;
  readonly bytes: number;
  readonly attempt: number;
  readonly isRedelivered: boolean;
  readonly iteratorAgeMs: number;
  readonly durationMs: number;
  /** `throttled`: there was no room to run it, which is not its records' fault. */
  readonly outcome: 'done' | 'partial' | 'failed' | 'throttled';
  readonly error?: unknown;
}

/** Told of each invocation when it has ended. Must not throw, and not take long. */
export type ConsumerObserver = (report: BatchReport) => void;

export interface ShardCounts {
  invocations: number;
  /** Of them, those that were given records again, or ended with records to give again. */
  retries: number;
  failures: number;
  throttles: number;
  /** Records handed out, each time it was. */
  given: number;
  handled: number;
  filtered: number;
  deadLettered: number;
  expired: number;
  batchRecordsMost: number;
}

export function noCounts(): ShardCounts {
  return {
    invocations: 0,
    retries: 0,
    failures: 0,
    throttles: 0,
    given: 0,
    handled: 0,
    filtered: 0,
    deadLettered: 0,
    expired: 0,
    batchRecordsMost: 0,
  };
}

export interface ShardSnapshot extends Readonly<ShardCounts> {
  readonly shardId: ShardId;
  readonly checkpoint: SequenceNumber | null;
  /** How long ago the oldest record came in that is not done; 0 when there is none. The one figure to have an alarm on. */
  readonly iteratorAgeMs: number;
  /** Records behind the checkpoint; known only where one counter counts all records of the stream. Of all its shards, then. */
  readonly recordsBehind?: number;
  readonly inFlight: number;
  /** Records that wait to be tried again, or behind one that does. */
  readonly waiting: number;
  /** Records read, and not done or not yet behind a saved checkpoint. */
  readonly ahead: number;
  readonly isCaughtUp: boolean;
}

export interface ConsumerSnapshot {
  readonly consumer: string;
  /** The greatest of its shards. */
  readonly iteratorAgeMs: number;
  readonly shards: readonly ShardSnapshot[];
}
