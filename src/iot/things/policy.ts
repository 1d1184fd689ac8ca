import { covers, matches } from '../mqtt/topics.ts';
import type { DevicePolicy } from '../port.ts';

const ownName = '{thing}';

/** What the policy says of one topic a device publishes to. */
export interface PublishVerdict {
  readonly allowed: boolean;
  readonly ingest: boolean;
}

/** The one place that decides what a device may do, whichever door it came in by. Unknown means no. */
export class PolicyEngine {
  #policy: DevicePolicy;

  constructor(policy: DevicePolicy) {
    this.#policy = policy;
  }

  replace(policy: DevicePolicy): void {
    this.#policy = policy;
  }

  judgePublish(thingName: string, topic: string): PublishVerdict {
    const matching = (templates: readonly string[]) =>
      templates.some(template => matches(fill(template, thingName), topic));
    return { allowed: matching(this.#policy.publish), ingest: matching(this.#policy.ingest) };
  }

  /** A filter is allowed only when everything it could ever match is. */
  maySubscribe(thingName: string, topicFilter: string): boolean {
    return this.#policy.subscribe.some(template => covers(fill(template, thingName), topicFilter));
  }
}

/** Thing names cannot hold wildcards or slashes (`isThingName`), so what is filled in stays one literal level. */
function fill(template: string, thingName: string): string {
  return template
    .split('/')
    .map(level => (level === ownName ? thingName : level))
    .join('/');
}
