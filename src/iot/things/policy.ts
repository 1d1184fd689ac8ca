import assert from 'node:assert/strict';
import type { PublishVerdict, TelemetryTarget } from '../access/port.ts';
import { covers, isTopicFilter, matches } from '../mqtt/topics.ts';
import type { DevicePolicy, PartitionKeyStrategy } from '../port.ts';
import { isThingName } from './registry.ts';

export type { PublishVerdict } from '../access/port.ts';

const ownName = '{thing}';

/** The one place that decides what a device may do, whichever door it came in by. Unknown means no. */
export class PolicyEngine {
  readonly #onReplaced: () => void;
  #policy: DevicePolicy;
  #version = 0;

  constructor(policy: DevicePolicy, onReplaced: () => void = () => {}) {
    this.#policy = checked(policy);
    this.#onReplaced = onReplaced;
  }

  /** Changes with every policy: a remembered verdict of another version counts no more. */
  get version(): number {
    return this.#version;
  }

  /** A policy that is not valid is an error of ours; the one before it stays in force (hostile A06). */
  replace(policy: DevicePolicy): void {
    this.#policy = checked(policy);
    this.#version++;
    this.#onReplaced();
  }

  judgePublish(thingName: string, topic: string): PublishVerdict {
    const allowed = this.#anyOf(this.#policy.publish, thingName, filter => matches(filter, topic));
    // Only what is allowed is taken in, whatever the list of telemetry says.
    const ingest = allowed && this.#anyOf(this.#policy.ingest, thingName, filter => matches(filter, topic));
    const partitionKey = ingest ? this.#partitionKey(thingName, topic) : undefined;
    return partitionKey === undefined ? { allowed, ingest } : { allowed, ingest, partitionKey };
  }

  #partitionKey(thingName: string, topic: string): PartitionKeyStrategy | undefined {
    const { partitionKeys = [] } = this.#policy;
    return partitionKeys.find(({ topicFilter }) => matches(fill(topicFilter, thingName), topic))?.partitionKey;
  }

  /** The thing whose telemetry `topic` is, whether or not it is registered, and how that is keyed. */
  telemetryOn(topic: string): TelemetryTarget | undefined {
    const levels = topic.split('/');
    for (const template of this.#policy.ingest) {
      const thingName = levels[template.split('/').indexOf(ownName)];
      if (thingName === undefined) continue;
      const { ingest, partitionKey } = this.judgePublish(thingName, topic);
      if (ingest) return { thingName, partitionKey };
    }
    return undefined;
  }

  /** A filter is allowed only when everything it could ever match is. */
  maySubscribe(thingName: string, topicFilter: string): boolean {
    return this.#anyOf(this.#policy.subscribe, thingName, filter => covers(filter, topicFilter));
  }

  /** Everything the thing may subscribe to, as filters of its own. */
  filtersOf(thingName: string): readonly string[] {
    return isThingName(thingName) ? this.#policy.subscribe.map(template => fill(template, thingName)) : [];
  }

  /** Thing names cannot hold wildcards or slashes, so what is filled in stays one literal level; others have no rights. */
  #anyOf(templates: readonly string[], thingName: string, holds: (topicFilter: string) => boolean): boolean {
    return isThingName(thingName) && templates.some(template => holds(fill(template, thingName)));
  }
}

function checked(policy: DevicePolicy): DevicePolicy {
  const keyed = (policy.partitionKeys ?? []).map(({ topicFilter }) => topicFilter);
  for (const template of [...policy.publish, ...policy.subscribe, ...policy.ingest, ...keyed]) {
    assert(isTopicFilter(template) && !template.startsWith('$share/'), `${template} is not a topic filter`);
  }
  return policy;
}

/** Level by level, after the template has been taken apart: a name never becomes part of the pattern (hostile A01). */
function fill(template: string, thingName: string): string {
  return template
    .split('/')
    .map(level => (level === ownName ? thingName : level))
    .join('/');
}
