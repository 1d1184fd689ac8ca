import { lifecycleTopics } from '../../iot/mqtt/index.ts';
import { topicBegins } from '../../iot/rules/index.ts';
import type { MessageReader, PresenceEvent } from '../messages.ts';
import type { PresenceFunction } from '../model.ts';
import { type Runner, type StreamHandler, type StreamTrigger, streamTrigger } from './stream-trigger.ts';

export function presenceTrigger(
  functionName: string,
  { options, handler }: PresenceFunction,
  { runner, messages }: { runner: Runner; messages: MessageReader },
): StreamTrigger<PresenceEvent> {
  const prefixes = [lifecycleTopics.connected, lifecycleTopics.disconnected].map(prefix => Buffer.from(prefix));
  return streamTrigger(
    {
      functionName,
      trigger: 'presence',
      options,
      handler: handler as StreamHandler<PresenceEvent>, // It was declared for these events.
      select: record => messages.presence(record),
      wants: (bytes, start, end) => prefixes.some(prefix => topicBegins(bytes, start, end, prefix)),
    },
    runner,
  );
}
