/** What is given up on, as letters: each kind of event in a shape it can be made of again. */
import { envelopeBytes, readEnvelope, writeEnvelope } from '../../iot/rules/index.ts';
import { bufferOf } from '../../kernel/bytes.ts';
import { type Cause, causeLimits, encodeCause, fromOutside } from '../../kernel/causes.ts';
import type { ShardId, StreamRecord } from '../../platform/stream/index.ts';
import { readChange, writeChange } from '../../platform/table/index.ts';
import type { EndedCommand } from '../commands.ts';
import { letterNotWhole } from './errors.ts';
import type { Failure, NewLetter, RedrivenEvent } from './port.ts';
import type { StoredLetter } from './stored-letter.ts';

/** A record that a consumer has given up on. */
export interface FailedRecord extends Failure {
  readonly consumer: string;
  readonly shardId: ShardId;
  readonly record: StreamRecord;
}

/** Identifies a record to everybody who speaks of it: letters, traces, `mimamori explain`. */
export function recordEventId(shardId: ShardId, { sequenceNumber }: Pick<StreamRecord, 'sequenceNumber'>): string {
  return `${shardId}:${sequenceNumber}`;
}

/** The payload is the device's; the envelope is made again from the topic. What is no envelope of ours is kept as it is. */
export function messageLetter(failed: FailedRecord): NewLetter {
  const { data, partitionKey: thingName } = failed.record;
  const common = { ...ofRecord(failed), kind: 'message', thingName } as const;
  const message = readEnvelope(data);
  // Bytes from elsewhere may look like an envelope; then what is made of them is not what came.
  const isOurs = message !== undefined && messageOf(message.topic, message.payload, message.cause).equals(data);
  if (!isOurs) return { ...common, payload: data };
  const { topic, cause, payload } = message;
  return { ...common, topic, cause, payload };
}

/** The change as the table's stream has it: an image is up to 400 KB, and nothing of it is left out. */
export function changeLetter(failed: FailedRecord): NewLetter {
  return {
    ...ofRecord(failed),
    kind: 'change',
    cause: readChange(failed.record.data).cause,
    payload: failed.record.data,
  };
}

function ofRecord({ shardId, record, ...failure }: FailedRecord): Omit<NewLetter, 'kind' | 'payload'> {
  return {
    ...failure,
    eventId: recordEventId(shardId, record),
    receivedAtMs: record.arrivalAtMs,
    order: record.sequenceNumber,
    partitionKey: record.partitionKey,
    shardId,
    sequenceNumber: record.sequenceNumber,
  };
}

/** The end of a command that its function could not handle. */
export function resultLetter(
  command: string,
  result: EndedCommand,
  failure: Failure & { consumer: string },
): NewLetter {
  const { sessionId, sentAtMs, thingName, cause } = result;
  return {
    ...failure,
    kind: 'commandResult',
    eventId: `${command}:${sessionId}`,
    receivedAtMs: sentAtMs,
    thingName,
    partitionKey: thingName,
    command,
    cause,
    payload: Buffer.from(JSON.stringify(result)),
  };
}

/** An asynchronous event of a function, or a tick of a schedule. */
export function invocationLetter(
  event: {
    readonly kind: 'invocation' | 'tick';
    readonly functionName: string;
    readonly eventId: string;
    readonly receivedAtMs: number;
    readonly event: unknown;
    readonly requestId?: string;
    readonly thingName?: string;
    readonly cause?: Cause;
  },
  failure: Failure,
): NewLetter {
  const { functionName } = event;
  return { ...failure, ...event, consumer: functionName, payload: Buffer.from(JSON.stringify(event.event ?? null)) };
}

/**
 * What a handler is given again. An event that ended a loop begins anew: whoever redrives it says that the loop is
 * mended, and if it is not, the guard stops it again. Throws `letter.notWhole`.
 */
export function eventOf(letter: StoredLetter, payload: Uint8Array): RedrivenEvent {
  const { Kind, SK, EventId, FunctionName, Consumer, Command = '' } = letter;
  const cause = causeOf(letter);
  if (Kind === 'message' || Kind === 'change') {
    if (letter.ShardId === undefined || (Kind === 'change' && payload.length === 0)) throw letterNotWhole(SK);
    const data = Kind === 'change' ? changeOf(payload) : messageOf(letter.Topic, payload, cause);
    return {
      kind: Kind,
      shardId: letter.ShardId,
      record: {
        sequenceNumber: BigInt(letter.SequenceNumber ?? 0),
        partitionKey: letter.PartitionKey ?? '',
        data,
        arrivalAtMs: letter.ReceivedAtMs,
      },
      cause,
    };
  }
  const event: unknown = JSON.parse(Buffer.from(payload).toString()); // As it was written, or checked when it was edited.
  if (Kind === 'commandResult') return { kind: Kind, command: Command, result: event as EndedCommand, cause }; // As kept.
  return { kind: Kind, functionName: FunctionName ?? Consumer, eventId: EventId, event, cause };
}

function causeOf({ Cause }: StoredLetter): Cause | undefined {
  return Cause && unlooped({ depth: Cause.Depth, originId: Cause.OriginId, path: Cause.Path });
}

function unlooped(cause: Cause): Cause {
  return cause.depth < causeLimits.depthMax ? cause : fromOutside(cause.originId);
}

/** @param topic  undefined: what came was no message of ours, and is given as it was */
function messageOf(topic: string | undefined, payload: Uint8Array, cause: Cause | undefined): Buffer {
  if (topic === undefined) return Buffer.from(payload);
  const topicBytes = Buffer.byteLength(topic);
  const encoded = cause && encodeCause(cause);
  const data = Buffer.allocUnsafe(envelopeBytes(topicBytes, payload.length, encoded));
  writeEnvelope(data, 0, topic, topicBytes, payload, encoded);
  return data;
}

function changeOf(payload: Uint8Array): Buffer {
  const change = readChange(payload);
  const cause = change.cause && unlooped(change.cause);
  return cause === change.cause ? Buffer.from(payload) : bufferOf(writeChange({ ...change, cause }));
}
