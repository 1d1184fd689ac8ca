/** Invocations that are stored first and run later: what is stored of them, and by whom. Nothing that runs. */
import type { Cause } from '../../kernel/causes.ts';

/** One invocation, from the moment it is stored to its end. */
export interface LaterInvocation {
  readonly id: string;
  readonly functionName: string;
  readonly trigger: 'direct' | 'schedule';
  /** JSON. */
  readonly input: string;
  /** Of what it is about, for its log lines and effects; the same for all attempts. */
  readonly eventId: string;
  /** What led to it; it begins here when absent. */
  readonly cause?: Cause;
  /** When it was to be run first, Unix epoch milliseconds. */
  readonly dueAtMs: number;
  /** Begun so far. */
  readonly attempts: number;
  /** A second one with the same id is the same until then. */
  readonly keptUntilMs?: number;
}

/** What is told of all that are open when the app starts. */
export interface OpenLater {
  readonly id: string;
  readonly functionName: string;
  /** When its next attempt is due. */
  readonly dueAtMs: number;
  /** The app ended while it was at work. */
  readonly wasBegun: boolean;
}

/** Each resolves once it would survive a crash. */
export interface LaterStore {
  /** False when there is one with its id, open or not long ago. */
  put(invocation: LaterInvocation): Promise<boolean>;
  /** The same for the time of a schedule: that it has been called for this time is remembered with it. */
  putScheduled(invocation: LaterInvocation, scheduledAtMs: number): Promise<boolean>;
  /** Counts an attempt. Undefined when it has ended. */
  begin(id: string): Promise<LaterInvocation | undefined>;
  /** Another attempt is due then. */
  putBack(id: string, dueAtMs: number, attempts: number): Promise<void>;
  /** It has ended; `next` is put in the same moment. Nothing happens when it had ended before. */
  finish(invocation: LaterInvocation, next?: LaterInvocation): Promise<void>;
  /** All that have not ended, those first that are due first. One that was stored a moment ago may be missing. */
  open(): AsyncIterable<OpenLater>;
}

/** How a function is run that is called later. */
export interface LaterSettings {
  readonly attemptsMax: number;
  readonly eventAgeMsMax: number;
  /** Called with a record of each invocation that has succeeded, or has been given up. */
  readonly onSuccess?: string;
  readonly onFailure?: string;
}

export type LaterCondition = 'Success' | 'RetriesExhausted' | 'EventAgeExceeded';

/** As Lambda's destinations are told it. */
export interface DestinationRecord {
  readonly version: '1.0';
  readonly timestamp: string;
  readonly requestContext: {
    readonly requestId: string;
    readonly functionName: string;
    readonly condition: LaterCondition;
    readonly approximateInvokeCount: number;
  };
  readonly requestPayload: unknown;
  readonly responseContext: { readonly statusCode: 200; readonly functionError?: 'Unhandled' };
  readonly responsePayload: unknown;
}

/** What could not be done. */
export interface LaterDeadLetter {
  readonly invocation: LaterInvocation;
  readonly error: unknown;
  readonly condition: LaterCondition;
}
