/** What runs, for what, and what came of it: the words that functions, logs, the ledger and `explain` share. */
import type { InvocationEffects, InvocationUse } from '../../kernel/call-counter.ts';
import type { Cause } from '../../kernel/causes.ts';

/** What a function was called for. */
export type Trigger =
  | 'telemetry'
  | 'records'
  | 'logs'
  | 'presence'
  | 'entityChange'
  | 'commandResult'
  | 'schedule'
  | 'direct'
  | 'route';

/** What a function was declared with, as far as it concerns how it is run. */
export interface FunctionSettings {
  readonly reservedConcurrency?: number;
  readonly budget?: FunctionBudget;
  readonly isolated?: boolean;
  readonly memoryMegabytes?: number;
}

/** What a function may use in a minute. */
export interface FunctionBudget {
  readonly invocationsPerMinuteMax?: number;
  /** Milliseconds of running in a minute, all invocations together. */
  readonly computeMsPerMinuteMax?: number;
  /** When it runs again after its budget is used up: by itself, or once somebody has reset it. Default `nextMinute`. */
  readonly resume?: 'nextMinute' | 'manual';
}

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
  /** What it has written, sent and published. */
  readonly effects?: InvocationEffects;
  /** How long a worker was made ready for it; absent: one was, or none was needed. Not part of `durationMs`. */
  readonly coldStartMs?: number;
  readonly measures: InvocationMeasures;
}

/** What the running of an invocation has taken, where that can be told from the others'. */
export interface InvocationMeasures {
  /** Of its thread, while it ran. */
  readonly cpuMs?: number;
  /** The most heap that was in use, with buffers outside of it. */
  readonly memoryBytes?: number;
}

/** Workers for isolated functions. Each runs one invocation at a time, and is not used by another function. */
export interface Isolation {
  /** One that has loaded the app. Rejects with `function.notLoadable`. */
  take(functionName: string, memoryMegabytes: number): Promise<IsolatedWorker>;
  close(): Promise<void>;
}

export interface IsolatedWorker {
  /** How long it took to be ready, if it was started for this invocation. */
  readonly coldStartMs?: number;
  /** Of the invocation it runs, or has run, as far as it is known. */
  readonly measures: InvocationMeasures;
  /**
   * Runs the handler of its function. When the invocation's signal aborts it is ended soon after. Rejects with what the
   * handler throws, `function.outOfMemory` and `function.exited`.
   */
  run(call: IsolatedCall): Promise<unknown>;
  /** To be called when the invocation is over, whatever has become of it. */
  release(): void;
}

export interface IsolatedCall {
  /** What the handler is given: an event, a batch, an input. */
  readonly input: unknown;
  readonly invocation: Invocation;
}
