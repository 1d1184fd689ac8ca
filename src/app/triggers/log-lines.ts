import { type Cause, fromOutside } from '../../kernel/causes.ts';
import type { StreamRecord } from '../../platform/stream/index.ts';
import type { LogsFunction } from '../model.ts';
import {
  type CausedEvent,
  type Runner,
  type StreamHandler,
  type StreamTrigger,
  streamTrigger,
} from './stream-trigger.ts';

/** A line of a channel of the log, as it was written. */
export interface LoggedLine extends CausedEvent {
  /** ISO 8601, to the millisecond. */
  readonly time: string;
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly message: string;
  readonly facts?: Readonly<Record<string, unknown>>;
  readonly functionName?: string;
  readonly thingName?: string;
  readonly requestId?: string;
}

export function logLinesTrigger(
  functionName: string,
  { options, handler }: LogsFunction,
  runner: Runner,
): StreamTrigger<LoggedLine> {
  return streamTrigger(
    {
      functionName,
      trigger: 'logs',
      options,
      handler: handler as StreamHandler<LoggedLine>, // It was declared for them.
      select: decode,
    },
    runner,
  );
}

function decode({ data }: StreamRecord): LoggedLine {
  // The log has written it.
  const line = JSON.parse(data.toString()) as LoggedLine & { readonly depth?: number; readonly eventId?: string };
  const { depth, eventId, ...told } = line;
  const cause = causeOf(line);
  return cause === undefined ? told : { ...told, cause };
}

/** A line knows how deep it was written, and by which function: one that logs into its own channel is stopped by it. */
function causeOf(line: LoggedLine & { readonly depth?: number; readonly eventId?: string }): Cause | undefined {
  const { depth, functionName, eventId, requestId } = line;
  if (depth === undefined || functionName === undefined) return undefined;
  return { ...fromOutside(eventId ?? requestId ?? functionName), depth, path: [functionName] };
}
