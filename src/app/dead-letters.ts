/** What could not be handled, as it lies in the table until somebody looks at it. */
import { readEnvelope } from '../iot/rules/index.ts';
import { codeOf, messageOf } from '../kernel/errors.ts';
import type { DeadLetter } from '../platform/stream/index.ts';
import type { EndedCommand } from './commands.ts';

export interface Failure {
  readonly consumer: string;
  readonly error: unknown;
  readonly attempts: number;
}

/** Why, and how often it was tried. */
export function reasonOf({ error, attempts }: Failure): Record<string, unknown> {
  return { ErrorCode: codeOf(error), ErrorMessage: messageOf(error).slice(0, 1_000), Attempts: attempts };
}

/** The whole record, so that it can be looked at and sent in again. */
export function recordDeadLetter(letter: DeadLetter): Record<string, unknown> {
  const { consumer, shardId, record } = letter;
  const message = readEnvelope(record.data);
  return {
    PK: `DeadLetter-${consumer}`,
    SK: `${shardId}-${String(record.sequenceNumber).padStart(20, '0')}`,
    ThingName: record.partitionKey,
    Topic: message?.topic ?? null,
    Payload: message?.payload ?? record.data,
    ReceivedAtMs: record.arrivalAtMs,
    ...reasonOf(letter),
  };
}

export function resultDeadLetter(command: string, result: EndedCommand, failure: Failure): Record<string, unknown> {
  const { thingName, sessionId, request, response, outcome } = result;
  return {
    PK: `DeadLetter-${failure.consumer}`,
    SK: `${command}-${sessionId}`,
    ThingName: thingName,
    Request: request,
    Response: response ?? null,
    Outcome: outcome,
    ...reasonOf(failure),
  };
}
