import { lifecycleTopics } from '../iot/mqtt/index.ts';
import type { DevicePolicy } from '../iot/port.ts';
import { thingOfClient } from '../iot/things/index.ts';
import type { EntityMap } from './entities/index.ts';
import type { CommandMap, DirectMap, Model, StreamMap, TelemetryMap } from './model.ts';

/** A model whose parts do not matter here. */
export type AnyModel = Model<TelemetryMap, CommandMap, EntityMap, DirectMap, StreamMap>;

/** What the topic of a record in the stream says. */
export type TopicMeaning =
  | { readonly kind: 'telemetry'; readonly context: string; readonly thingName: string; readonly type: string }
  | { readonly kind: 'response'; readonly command: string; readonly thingName: string }
  | { readonly kind: 'lifecycle'; readonly event: keyof typeof lifecycleTopics; readonly thingName: string };

export function telemetryTopic(application: string, context: string, thingName: string, type: string): string {
  return `dt/${application}/${context}/${thingName}/${type}`;
}

export function commandTopic(
  application: string,
  command: string,
  thingName: string,
  direction: 'req' | 'res',
): string {
  return `cmd/${application}/${command}/${thingName}/${direction}`;
}

/** What the topics of a context's telemetry begin with. */
export function telemetryPrefix(application: string, context: string): Buffer {
  return Buffer.from(`dt/${application}/${context}/`);
}

/** What the topics of all telemetry begin with. */
export const anyTelemetryPrefix = Buffer.from('dt/');

const knownTopicsMax = 20_000; // ours: topics that a `topicReader` remembers; then it starts over

/** `meaningOfTopic` of one application, remembering what it has seen: most topics come again and again. */
export function topicReader(application: string): (topic: string) => TopicMeaning | undefined {
  const known = new Map<string, TopicMeaning | undefined>();
  return topic => {
    if (known.has(topic)) return known.get(topic);
    const meaning = meaningOfTopic(application, topic);
    if (known.size >= knownTopicsMax) known.clear();
    known.set(topic, meaning);
    return meaning;
  };
}

/** Undefined for a topic this application does not know. */
export function meaningOfTopic(application: string, topic: string): TopicMeaning | undefined {
  const levels = topic.split('/');
  if (levels[0] === '$aws') return meaningOfLifecycle(topic);
  if (levels.length !== 5 || levels[1] !== application) return undefined;
  const [kind, , name, thingName, last] = levels;
  if (kind === 'dt') return { kind: 'telemetry', context: name, thingName, type: last };
  if (kind === 'cmd' && last === 'res') return { kind: 'response', command: name, thingName };
  return undefined;
}

function meaningOfLifecycle(topic: string): TopicMeaning | undefined {
  for (const [event, prefix] of Object.entries(lifecycleTopics)) {
    if (topic.startsWith(prefix)) {
      // The entries of a constant are typed by their values only; the keys are its own.
      return {
        kind: 'lifecycle',
        event: event as keyof typeof lifecycleTopics,
        thingName: thingOfClient(topic.slice(prefix.length)),
      };
    }
  }
  return undefined;
}

/**
 * What every device of the application may do: publish its declared telemetry and its answers, subscribe below its own
 * name. Nothing else exists for it.
 */
export function devicePolicy(model: AnyModel): DevicePolicy {
  const { application } = model;
  const telemetry = Object.entries(model.telemetry).flatMap(([context, types]) =>
    Object.keys(types).map(type => telemetryTopic(application, context, '{thing}', type)),
  );
  const answers = Object.keys(model.commands).map(command => commandTopic(application, command, '{thing}', 'res'));
  const publish = [...telemetry, ...answers];
  const partitionKeys = Object.entries(model.partitionKeys).flatMap(([context, partitionKey]) =>
    partitionKey === undefined || partitionKey === 'thing'
      ? []
      : [{ topicFilter: telemetryTopic(application, context, '{thing}', '+'), partitionKey }],
  );
  const subscribe = [`cmd/${application}/+/{thing}/#`, `dt/${application}/+/{thing}/#`];
  return { publish, ingest: publish, subscribe, ...(partitionKeys.length > 0 && { partitionKeys }) };
}
