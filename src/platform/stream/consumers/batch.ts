/** What a consumer and its function say to each other, and what becomes of records. Nothing that runs. */
import type { SequenceNumber, ShardId, StreamRecord } from '../port.ts';

/** A record as its function will see it. */
export interface Selected<Event> {
  readonly record: StreamRecord;
  readonly event: Event;
}

/** What an invocation is told of its batch. */
export interface BatchContext {
  readonly consumer: string;
  readonly shardId: ShardId;
  /** 1 the first time; the most that any record of the batch is at. */
  readonly attempt: number;
  /** Some record of it was handed out before, or may have been before a restart: its effects may be there already. */
  readonly isRedelivered: boolean;
  /** How long ago the last record of the batch came into the stream; of an empty batch, 0. */
  readonly iteratorAgeMs: number;
  /** Aborts when the consumer is to stop. The batch in hand may be finished. */
  readonly signal: AbortSignal;
  /** With a tumbling window, as Lambda's event has them: UTC instants, and what the window's last invocation returned. */
  readonly window?: { readonly start: string; readonly end: string };
  readonly state?: unknown;
  /** Everything of the window was given: the batch is empty, and the state will be forgotten. */
  readonly isFinalInvokeForWindow?: boolean;
  /** It is over before its time, because the state grew too large. */
  readonly isWindowTerminatedEarly?: boolean;
}

/** What an invocation says of the batch it was given, by index. Both empty: everything is done. */
export interface Outcome {
  readonly failed: ReadonlyMap<number, unknown>;
  /** Not tried, because an earlier record of the same key is among `failed`. Does not cost an attempt. */
  readonly skipped: ReadonlySet<number>;
}

/** What a handler written for Lambda returns. */
export interface BatchResponse {
  /** Heeded with `reportsBatchItemFailures` only. Everything from the lowest sequence number on is tried again. */
  readonly batchItemFailures?: readonly { readonly itemIdentifier: string }[] | null;
  /** Heeded with a tumbling window only: handed to its next invocation. */
  readonly state?: unknown;
}

// biome-ignore lint/suspicious/noConfusingVoidType: a handler that returns nothing is done with everything.
export type BatchAnswer = Outcome | BatchResponse | null | void;

/** Handles events, in order per partition key. Throwing fails the whole batch. */
export type BatchHandler<Event> = (batch: Selected<Event>[], context: BatchContext) => Promise<BatchAnswer>;

/** How a record can end. `filtered`: not an event for this consumer, so that it was passed by. */
export type Fate = 'handled' | 'filtered' | 'deadLettered' | 'expired';

/**
 * What became of every record up to the checkpoint that is saved with it and behind the one saved before, each in order;
 * so that an account kept in one transaction with the checkpoint counts none twice and leaves none out. Records that
 * `wants` refused are in none of the lists: they were never read.
 */
export type Settled = Readonly<Record<Fate, readonly StreamRecord[]>>;

export const nothingSettled: Settled = { handled: [], filtered: [], deadLettered: [], expired: [] };

/** As Lambda names why it has given up. */
export type GivenUpCondition = 'RetryAttemptsExhausted' | 'MaximumRecordAgeExceeded';

export interface DeadLetter {
  readonly consumer: string;
  readonly shardId: ShardId;
  readonly record: StreamRecord;
  readonly error: unknown;
  readonly attempts: number;
  /** Absent when the record was not tried until the end, because that would have been in vain. */
  readonly condition?: GivenUpCondition;
}

/** An open tumbling window, kept with the checkpoint. */
export interface KeptWindow {
  readonly startAtMs: number;
  /** JSON; at most `consumerLimits.windowStateBytesMax`. */
  readonly state: string;
}

/** Where a consumer notes what it is about to run, so that a watcher on another thread knows whom a hang is due to. */
export interface InvocationMarks {
  enter(first: SequenceNumber, last: SequenceNumber): void;
  leave(): void;
}

/** Records that were in flight when the app thread had to be restarted: they are run one at a time. */
export interface Suspects {
  readonly first: SequenceNumber;
  readonly last: SequenceNumber;
  /** Restarts already caused by a record while it ran alone. */
  readonly restarts: ReadonlyMap<SequenceNumber, number>;
  /** Runs `work` while no other suspect runs. */
  alone<T>(work: () => Promise<T>): Promise<T>;
}
