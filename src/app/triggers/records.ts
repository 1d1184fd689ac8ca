import { parseJson } from '../../kernel/json.ts';
import type { StreamRecord } from '../../platform/stream/index.ts';
import { recordNotValid } from '../errors.ts';
import type { RecordsFunction, StreamDefinition } from '../model.ts';
import { problemsOf } from '../problems.ts';
import {
  type CausedEvent,
  type Runner,
  type StreamHandler,
  type StreamTrigger,
  streamTrigger,
} from './stream-trigger.ts';

/** What a function for records is given, before its types are known. */
interface DecodedRecord extends CausedEvent {
  readonly record: unknown;
  readonly partitionKey: string;
  readonly arrivalAtMs: number;
  readonly sequenceNumber: bigint;
}

export function recordsTrigger(
  functionName: string,
  { stream, options, handler }: RecordsFunction,
  { runner, definition }: { runner: Runner; definition: StreamDefinition },
): StreamTrigger<DecodedRecord> {
  return streamTrigger(
    {
      functionName,
      trigger: 'records',
      options,
      handler: handler as StreamHandler<DecodedRecord>, // The record has been validated against its schema.
      select: record => decode(stream, definition, record),
    },
    runner,
  );
}

function decode(stream: string, { record: schema }: StreamDefinition, record: StreamRecord): DecodedRecord {
  const { data, partitionKey, arrivalAtMs, sequenceNumber } = record;
  const parsed = schema.safeParse(readJson(stream, data));
  if (!parsed.success) throw recordNotValid(stream, problemsOf(parsed.error));
  return { record: parsed.data, partitionKey, arrivalAtMs, sequenceNumber };
}

function readJson(stream: string, data: Buffer): unknown {
  try {
    return parseJson(data.toString());
  } catch {
    throw recordNotValid(stream, 'it is not JSON in well-formed Unicode');
  }
}
