/**
 * Letters as items of the app's table. Letters of one consumer lie together, in the order of their events; a payload that
 * would make listing slow lies beside its letter, in parts.
 *
 *   letter   PK=$DeadLetter-<consumer>   SK=<id>                 what lists show, a small payload, who redrives it
 *   part     PK=$DeadLetterPart-<id>     SK=<original|edited>-<n>   Bytes
 *   count    PK=$DeadLetters             SK=<consumer>           Letters, Bytes, NotKept
 *   share    PK=$DeadLetters-<consumer>  SK=<thing>              the same of one thing
 */
import type { Cause } from '../../kernel/causes.ts';
import { codeOf, MimamoriError, messageOf } from '../../kernel/errors.ts';
import { letterTooLarge } from './errors.ts';
import { letterId } from './letter-id.ts';
import { deadLetterLimits } from './limits.ts';
import type { Failure, LetterKind, LetterSummary, NewLetter } from './port.ts';

export const countsKey = '$DeadLetters';
export const lettersKey = (consumer: string) => `$DeadLetter-${consumer}`;
export const sharesKey = (consumer: string) => `$DeadLetters-${consumer}`;

export interface StoredLetter {
  readonly PK: string;
  readonly SK: string;
  readonly Kind: LetterKind;
  readonly Consumer: string;
  readonly EventId: string;
  readonly ReceivedAtMs: number;
  readonly StoredAtMs: number;
  readonly ThingName?: string;
  readonly Topic?: string;
  readonly PartitionKey?: string;
  readonly ShardId?: string;
  readonly SequenceNumber?: string;
  readonly FunctionName?: string;
  readonly Command?: string;
  readonly RequestId?: string;
  readonly Cause?: { readonly Depth: number; readonly OriginId: string; readonly Path: readonly string[] };
  readonly ErrorCode: string;
  readonly ErrorMessage: string;
  readonly ErrorFix?: string;
  readonly ErrorStack?: string;
  readonly Condition?: string;
  readonly Attempts: number;
  readonly FirstAttemptAtMs: number;
  readonly LastAttemptAtMs: number;
  readonly Original: StoredPayload;
  readonly Edited?: StoredPayload;
  readonly EditedAtMs?: number;
  /** Raised by each edit: what was read is what is deleted or edited. */
  readonly Revision: number;
  readonly Redrives: number;
  readonly LastRedriveAtMs?: number;
  /** The redrive that was last done with it. */
  readonly LastRedriveId?: string;
  /** The redrive that has it in hand, until when it may be without a word, and how often it has tried. */
  readonly RedriveId?: string;
  readonly RedriveUntilMs?: number;
  readonly RedriveTries?: number;
}

/** Either `Inline` is all of it, or it lies in so many parts. */
export interface StoredPayload {
  readonly Bytes: number;
  readonly Inline?: Uint8Array;
  readonly Parts?: number;
}

export type PayloadVersion = 'original' | 'edited';

export interface StoredPart {
  readonly PK: string;
  readonly SK: string;
  readonly Bytes: Uint8Array;
}

/** A letter and the parts that are written with it. Throws `letter.tooLarge`. */
export function storedLetter(letter: NewLetter, nowMs: number): { item: StoredLetter; parts: StoredPart[] } {
  const id = letterId(letter);
  const { payload, parts } = storedPayload(id, 'original', letter.payload);
  const { thingName, topic, partitionKey, shardId, sequenceNumber, functionName, command, requestId } = letter;
  const item: StoredLetter = {
    PK: lettersKey(letter.consumer),
    SK: id,
    Kind: letter.kind,
    Consumer: letter.consumer,
    EventId: letter.eventId,
    ReceivedAtMs: letter.receivedAtMs,
    StoredAtMs: nowMs,
    ...(thingName !== undefined && { ThingName: bounded(thingName) }),
    ...(topic !== undefined && { Topic: topic }),
    ...(partitionKey !== undefined && { PartitionKey: partitionKey }),
    ...(shardId !== undefined && { ShardId: shardId }),
    ...(sequenceNumber !== undefined && { SequenceNumber: String(sequenceNumber) }),
    ...(functionName !== undefined && { FunctionName: functionName }),
    ...(command !== undefined && { Command: command }),
    ...(requestId !== undefined && { RequestId: bounded(requestId) }),
    ...(letter.cause && { Cause: storedCause(letter.cause) }),
    ...reasonOf(letter, nowMs),
    Original: payload,
    Revision: 0,
    Redrives: 0,
  };
  return { item, parts };
}

function reasonOf(failure: Failure, nowMs: number) {
  const { error, attempts, firstAttemptAtMs = nowMs, lastAttemptAtMs = nowMs, condition } = failure;
  return {
    ...errorFacts(error),
    ...(condition !== undefined && { Condition: condition }),
    Attempts: attempts,
    FirstAttemptAtMs: firstAttemptAtMs,
    LastAttemptAtMs: lastAttemptAtMs,
  };
}

/** What the letter says of its error: written with it, and again when a redrive has failed. */
export function errorFacts(error: unknown) {
  const { messageCharactersMax, stackCharactersMax } = deadLetterLimits;
  const fix = error instanceof MimamoriError ? error.fix : undefined;
  const stack = error instanceof Error ? error.stack : undefined;
  return {
    ErrorCode: codeOf(error),
    ErrorMessage: wellFormed(messageOf(error), messageCharactersMax),
    ...(fix !== undefined && { ErrorFix: wellFormed(fix, messageCharactersMax) }),
    ...(stack !== undefined && { ErrorStack: wellFormed(stack, stackCharactersMax) }),
  };
}

/** Throws `letter.tooLarge`. */
export function storedPayload(
  id: string,
  version: PayloadVersion,
  bytes: Uint8Array,
): { payload: StoredPayload; parts: StoredPart[] } {
  const { inlineBytesMax, partBytesMax, partsMax } = deadLetterLimits;
  if (bytes.length <= inlineBytesMax) return { payload: { Bytes: bytes.length, Inline: bytes }, parts: [] };
  if (bytes.length > partsMax * partBytesMax) throw letterTooLarge(bytes.length, partsMax * partBytesMax);
  const parts = Array.from({ length: Math.ceil(bytes.length / partBytesMax) }, (_, index) => ({
    ...partKey(id, version, index),
    Bytes: bytes.subarray(index * partBytesMax, (index + 1) * partBytesMax),
  }));
  return { payload: { Bytes: bytes.length, Parts: parts.length }, parts };
}

export function partKey(id: string, version: PayloadVersion, index: number): { PK: string; SK: string } {
  return { PK: `$DeadLetterPart-${id}`, SK: `${version}-${index}` };
}

/** The keys of everything that lies beside a letter. */
export function partKeysOf({ SK, Original, Edited }: StoredLetter): { PK: string; SK: string }[] {
  const keysOf = (version: PayloadVersion, payload: StoredPayload | undefined) =>
    Array.from({ length: payload?.Parts ?? 0 }, (_, index) => partKey(SK, version, index));
  return [...keysOf('original', Original), ...keysOf('edited', Edited)];
}

/** What a letter takes of the bound. */
export function bytesOf({ Original, Edited }: Pick<StoredLetter, 'Original' | 'Edited'>): number {
  return letterOverheadBytes + Original.Bytes + (Edited?.Bytes ?? 0);
}

const letterOverheadBytes = 1_024; // ours: about what a letter takes without its payload

export function summaryOf(stored: StoredLetter): LetterSummary {
  const { ThingName, Topic, PartitionKey, ShardId, SequenceNumber, FunctionName, RequestId, Cause } = stored;
  const { ErrorFix, ErrorStack, Condition, EditedAtMs, LastRedriveAtMs } = stored;
  return {
    id: stored.SK,
    kind: stored.Kind,
    consumer: stored.Consumer,
    eventId: stored.EventId,
    receivedAtMs: stored.ReceivedAtMs,
    storedAtMs: stored.StoredAtMs,
    ...(ThingName !== undefined && { thingName: ThingName }),
    ...(Topic !== undefined && { topic: Topic }),
    ...(PartitionKey !== undefined && { partitionKey: PartitionKey }),
    ...(ShardId !== undefined && { shardId: ShardId }),
    ...(SequenceNumber !== undefined && { sequenceNumber: SequenceNumber }),
    ...(FunctionName !== undefined && { functionName: FunctionName }),
    ...(RequestId !== undefined && { requestId: RequestId }),
    ...(Cause && { cause: causeOf(Cause) }),
    error: {
      code: stored.ErrorCode,
      message: stored.ErrorMessage,
      ...(ErrorFix !== undefined && { fix: ErrorFix }),
      ...(ErrorStack !== undefined && { stack: ErrorStack }),
      ...(Condition !== undefined && { condition: Condition }),
    },
    attempts: stored.Attempts,
    firstAttemptAtMs: stored.FirstAttemptAtMs,
    lastAttemptAtMs: stored.LastAttemptAtMs,
    payloadBytes: (stored.Edited ?? stored.Original).Bytes,
    ...(EditedAtMs !== undefined && { editedAtMs: EditedAtMs }),
    redrives: stored.Redrives,
    ...(LastRedriveAtMs !== undefined && { lastRedriveAtMs: LastRedriveAtMs }),
  };
}

function storedCause({ depth, originId, path }: Cause): StoredLetter['Cause'] {
  return { Depth: depth, OriginId: bounded(originId), Path: path.map(bounded) };
}

function causeOf({ Depth, OriginId, Path }: NonNullable<StoredLetter['Cause']>): Cause {
  return { depth: Depth, originId: OriginId, path: Path };
}

function bounded(text: string): string {
  return wellFormed(text, deadLetterLimits.nameCharactersMax);
}

/** Cut, and without half a surrogate pair, which no table keeps. */
function wellFormed(text: string, charactersMax: number): string {
  return text.slice(0, charactersMax).toWellFormed();
}
