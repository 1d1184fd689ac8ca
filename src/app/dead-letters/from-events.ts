/** What is given up on, as letters: each kind of event in a shape it can be made of again. */
import { envelopeBytes, readEnvelope, writeEnvelope } from '../../iot/rules/index.ts';
import type { Cause } from '../../kernel/causes.ts';
import type { ShardId, StreamRecord } from '../../platform/stream/index.ts';
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

/** The payload is the device's; the envelope is made again from the topic. */
export function messageLetter(failed: FailedRecord): NewLetter {
  const message = readEnvelope(failed.record.data);
  return {
    ...ofRecord(failed),
    kind: 'message',
    thingName: failed.record.partitionKey,
    topic: message?.topic,
    payload: message?.payload ?? failed.record.data,
  };
}

/** The change as the table's stream has it: an image is up to 400 KB, and nothing of it is left out. */
export function changeLetter(failed: FailedRecord): NewLetter {
  return { ...ofRecord(failed), kind: 'change', payload: failed.record.data };
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

/** @param functionName  the one for results of this command */
export function resultLetter(functionName: string, command: string, result: EndedCommand, failure: Failure): NewLetter {
  return {
    ...failure,
    kind: 'commandResult',
    consumer: functionName,
    functionName,
    eventId: `${command}:${result.sessionId}`,
    receivedAtMs: result.sentAtMs,
    thingName: result.thingName,
    partitionKey: result.thingName,
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

/** What a handler is given again. Throws `deadLetter.notWhole`. */
export function eventOf(letter: StoredLetter, payload: Uint8Array): RedrivenEvent {
  const { Kind, SK, EventId, FunctionName, Consumer } = letter;
  const cause = letter.Cause && { depth: letter.Cause.Depth, originId: letter.Cause.OriginId, path: letter.Cause.Path };
  if (Kind === 'message' || Kind === 'change') {
    if (letter.ShardId === undefined || (Kind === 'change' && payload.length === 0)) throw letterNotWhole(SK);
    const data = letter.Topic === undefined ? Buffer.from(payload) : envelopeOf(letter.Topic, payload);
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
  return { kind: Kind, functionName: FunctionName ?? Consumer, eventId: EventId, event, cause };
}

function envelopeOf(topic: string, payload: Uint8Array): Buffer {
  const topicBytes = Buffer.byteLength(topic);
  const data = Buffer.allocUnsafe(envelopeBytes(topicBytes, payload.length));
  writeEnvelope(data, 0, topic, topicBytes, payload);
  return data;
}
