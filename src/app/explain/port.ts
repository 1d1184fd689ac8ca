/** What became of one message. JSON says all of it. */
import type { Cause } from '../../kernel/causes.ts';
import type { LetterSummary } from '../dead-letters/index.ts';
import type { Trace } from '../traces/index.ts';

export interface Explanation {
  readonly message: ExplainedMessage;
  readonly consumers: readonly ExplainedConsumer[];
  /** Other messages of the thing around the time that was asked for, the nearest first. */
  readonly neighbours: readonly { readonly id: string; readonly receivedAtMs: number; readonly topic?: string }[];
}

export interface ExplainedMessage {
  /** `<shardId>:<sequenceNumber>`. */
  readonly id: string;
  readonly thingName: string;
  readonly partitionKey: string;
  readonly shardId: string;
  readonly sequenceNumber: string;
  /** When the stream took it, which is before it was acknowledged. */
  readonly receivedAtMs: number;
  /** Absent: it is no message of ours, but came into the stream in another way. */
  readonly topic?: string;
  readonly payloadBytes: number;
  readonly payload: string;
  /** What led to it, if a function made it. */
  readonly cause?: Cause;
  /** Messages of the thing that were received in the same minute. */
  readonly receivedInMinute?: number;
}

export type ExplainedFate =
  /** The consumer is not there yet. */
  | 'waiting'
  | 'filtered'
  | 'handled'
  | 'deadLettered'
  | 'expired'
  /** It is done with it, and nothing more is known. */
  | 'settled';

export interface ExplainedConsumer {
  readonly consumer: string;
  readonly fate: ExplainedFate;
  /** In words. */
  readonly why: string;
  /** Of one that waits: how far the consumer is behind. */
  readonly recordsBehind?: string;
  readonly behindMs?: number;
  readonly letter?: LetterSummary;
  /** Invocations for it, oldest first. */
  readonly traces: readonly Trace[];
  /** What the ledger counts of the thing in that minute, for this consumer. */
  readonly minute?: Readonly<Record<string, number>>;
}
