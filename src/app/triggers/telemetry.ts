import { topicBegins } from '../../iot/rules/index.ts';
import type { DecodedTelemetry, MessageReader } from '../messages.ts';
import type { TelemetryFunction } from '../model.ts';
import { telemetryPrefix } from '../topics.ts';
import { type Runner, type StreamHandler, type StreamTrigger, streamTrigger } from './stream-trigger.ts';

export function telemetryTrigger(
  functionName: string,
  { context, options, handler }: TelemetryFunction,
  { runner, messages, application }: { runner: Runner; messages: MessageReader; application: string },
): StreamTrigger<DecodedTelemetry> {
  const prefix = telemetryPrefix(application, context);
  return streamTrigger(
    {
      functionName,
      trigger: 'telemetry',
      options,
      // The event has been validated against the schemas that the handler's type was made from.
      handler: handler as StreamHandler<DecodedTelemetry>,
      select: record => messages.telemetry(record, context),
      wants: (bytes, start, end) => topicBegins(bytes, start, end, prefix),
    },
    runner,
  );
}
