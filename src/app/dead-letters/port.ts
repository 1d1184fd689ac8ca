/** What dead letters are, and what is asked of them. Nothing that runs. */
import type { Cause } from '../../kernel/causes.ts';
import type { SequenceNumber, ShardId, StreamRecord } from '../../platform/stream/index.ts';
import type { EndedCommand } from '../commands.ts';

/** What kind of event could not be handled. */
export type LetterKind = 'message' | 'change' | 'commandResult' | 'invocation' | 'tick';

/** Why and how often it was tried in vain. */
export interface Failure {
  readonly error: unknown;
  readonly attempts: number;
  /** Unix epoch milliseconds; absent when nobody has noted it: now. */
  readonly firstAttemptAtMs?: number;
  readonly lastAttemptAtMs?: number;
  /** As Lambda names it: retries or age exceeded. */
  readonly condition?: string;
}

/** An event that could not be handled, by whoever gives up on it. */
export interface NewLetter extends Failure {
  readonly kind: LetterKind;
  /** Who could not: a consumer or a function. A redrive gives it to the same, unless told otherwise. */
  readonly consumer: string;
  /** Identifies the event: given up on again by the same consumer, it is the same letter. */
  readonly eventId: string;
  /** When the event came in, Unix epoch milliseconds: what letters are sorted by. */
  readonly receivedAtMs: number;
  /** Of events of one millisecond, which came first. Default 0. */
  readonly order?: bigint;
  readonly payload: Uint8Array;
  readonly thingName?: string;
  readonly topic?: string;
  readonly partitionKey?: string;
  readonly shardId?: ShardId;
  readonly sequenceNumber?: SequenceNumber;
  /** The function that was to run, if it is not the consumer itself. */
  readonly functionName?: string;
  /** Whose end it was, of a command result. */
  readonly command?: string;
  readonly requestId?: string;
  readonly cause?: Cause;
}

/** A letter as lists show it. JSON says all of it. */
export interface LetterSummary {
  /** Sorts by when the event came in. */
  readonly id: string;
  readonly kind: LetterKind;
  readonly consumer: string;
  readonly eventId: string;
  readonly receivedAtMs: number;
  readonly storedAtMs: number;
  readonly thingName?: string;
  readonly topic?: string;
  readonly partitionKey?: string;
  readonly shardId?: ShardId;
  /** A decimal number, as Kinesis writes it. */
  readonly sequenceNumber?: string;
  readonly functionName?: string;
  readonly requestId?: string;
  readonly cause?: Cause;
  readonly error: {
    readonly code: string;
    readonly message: string;
    readonly fix?: string;
    readonly stack?: string;
    readonly condition?: string;
  };
  readonly attempts: number;
  readonly firstAttemptAtMs: number;
  readonly lastAttemptAtMs: number;
  readonly payloadBytes: number;
  /** Since when another payload is redriven in place of the original; both are kept. */
  readonly editedAtMs?: number;
  /** How often it was redriven in vain, and when last. */
  readonly redrives: number;
  readonly lastRedriveAtMs?: number;
}

/** A whole letter. */
export interface DeadLetter extends LetterSummary {
  /** As it came. */
  readonly original: Uint8Array;
  /** What a redrive gives: the edited payload, or the original. */
  readonly payload: Uint8Array;
}

/** Which letters. Everything that is given must fit. */
export interface LetterFilter {
  readonly consumer?: string;
  readonly thingName?: string;
  /** Of the error. */
  readonly code?: string;
  /** When the event came in: from, inclusive, and to, exclusive. Unix epoch milliseconds. */
  readonly sinceMs?: number;
  readonly untilMs?: number;
  /** Stands in the payload, the topic, or what the error says; upper and lower case are the same. */
  readonly text?: string;
}

export interface LetterPage {
  readonly letters: readonly LetterSummary[];
  /** There may be more: ask again with it as `before`. It may come without a letter, when few fit the filter. */
  readonly next?: string;
}

export interface LetterCount {
  readonly consumer: string;
  readonly letters: number;
  readonly bytes: number;
  /** Events of things that had used up their share: counted, not kept. */
  readonly notKept: number;
}

/** A letter as it goes to a handler again. */
export type RedrivenEvent =
  | {
      readonly kind: 'message' | 'change';
      readonly record: StreamRecord;
      readonly shardId: ShardId;
      readonly cause?: Cause;
    }
  | {
      readonly kind: 'commandResult';
      readonly command: string;
      readonly result: EndedCommand;
      readonly cause?: Cause;
    }
  | {
      readonly kind: 'invocation' | 'tick';
      readonly functionName: string;
      readonly eventId: string;
      /** What the function is given, from JSON. */
      readonly event: unknown;
      readonly cause?: Cause;
    };

/** Runs one event through the handler of `consumer`, once. Rejects with what the handler threw, or why it cannot. */
export type RunOne = (consumer: string, event: RedrivenEvent) => Promise<void>;
