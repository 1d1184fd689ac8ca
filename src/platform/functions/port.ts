/** What runs, for what, and what came of it: the words that functions, logs, the ledger and `explain` share. */
import type { InvocationUse } from '../../kernel/call-counter.ts';
import type { Cause } from '../../kernel/causes.ts';

/** What a function was called for. */
export type Trigger =
  | 'telemetry'
  | 'records'
  | 'presence'
  | 'entityChange'
  | 'commandResult'
  | 'schedule'
  | 'direct'
  | 'route';

/** What is asked to be run. */
export interface InvocationCall {
  readonly functionName: string;
  readonly trigger: Trigger;
  /** Of the event; what the function makes is one deeper. Of several events the deepest. Default: it begins here. */
  readonly cause?: Cause;
  /** 1 for the first; more when the same event is tried again. Default 1. */
  readonly attempt?: number;
  /** The thing it is about, if it is about one. */
  readonly thingName?: string;
  /** What it is about: `<shardId>:<sequenceNumber>` of a record or change, a session id, a tick. */
  readonly eventId?: string;
  /** Of a batch: the records it was given lie between these two, inclusive. */
  readonly records?: RecordRange;
  readonly timeoutMs?: number;
}

export interface RecordRange {
  readonly shardId: string;
  readonly first: bigint;
  readonly last: bigint;
  readonly count: number;
}

/** What a handler is told of the invocation it runs in. */
export interface Invocation {
  /** Unique; the log's lines carry it. */
  readonly requestId: string;
  readonly functionName: string;
  /** 1 for the first; more when the same event is tried again. */
  readonly attempt: number;
  /** Functions that ran, one because of the other, before this one. */
  readonly depth: number;
  /** Aborts when the time is over, or when the app stops. */
  readonly signal: AbortSignal;
  /** Until the time is over, milliseconds; 0 when it is. */
  remainingMs(): number;
}

export type InvocationOutcome = 'succeeded' | 'failed' | 'timedOut' | 'refused';

/** What is known of an invocation when it has ended. */
export interface InvocationReport {
  readonly requestId: string;
  readonly functionName: string;
  readonly trigger: Trigger;
  readonly outcome: InvocationOutcome;
  /** What it failed with. */
  readonly error?: unknown;
  readonly startedAtMs: number;
  readonly durationMs: number;
  readonly attempt: number;
  /** Of the event that it ran for. */
  readonly cause: Cause;
  readonly thingName?: string;
  readonly eventId?: string;
  readonly records?: RecordRange;
  readonly use: InvocationUse;
}
