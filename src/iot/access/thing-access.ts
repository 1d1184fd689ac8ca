import type { PolicyEngine } from '../things/policy.ts';
import { type ThingRegistry, thingOfClient } from '../things/registry.ts';
import { accessLimits } from './limits.ts';
import type {
  Access,
  Admission,
  AdmissionRefusal,
  ConnectAttempt,
  Identity,
  PublishVerdict,
  TelemetryTarget,
} from './port.ts';
import { isReservedTopic } from './reserved-topics.ts';

/**
 * The registered things and the policy of the app. A client is a thing: its id is the thing's name, or
 * `<thing>.<suffix>` for a further connection. Nobody is anonymous.
 */
export class ThingAccess implements Access {
  /** What a granted filter matches may be received: the policy allows a filter only if all of it is. */
  readonly checksDeliveries = false;
  /** The id names the thing, so it cannot be left to the server [MQTT311 3.1.3-8]. */
  readonly assignsClientIds = false;
  readonly #things: ThingRegistry;
  readonly #policy: PolicyEngine;

  constructor(options: { things: ThingRegistry; policy: PolicyEngine }) {
    this.#things = options.things;
    this.#policy = options.policy;
  }

  get version(): number {
    return this.#policy.version;
  }

  authenticate({ clientId, certificate, username, password }: ConnectAttempt): Admission {
    if (!isClientIdOfThing(clientId)) return refuse('clientIdentifierNotValid');
    const thingName = thingOfClient(clientId);
    const admit = (principal: string): Admission => ({ admitted: true, identity: { clientId, thingName, principal } });
    // A certificate proves more than a password, and AWS SDKs then put their metrics where the user name was.
    if (certificate?.commonName === thingName && this.#things.has(thingName)) return admit(certificate.certificateId);
    if (password === undefined) return refuse('notAuthorized');
    if (username !== thingName || password.length > accessLimits.passwordBytesMax)
      return refuse('badUserNameOrPassword');
    return this.#things.verify(thingName, password) ? admit(thingName) : refuse('badUserNameOrPassword');
  }

  isStillAllowed({ thingName }: Identity): boolean {
    return thingName !== undefined && this.#things.has(thingName);
  }

  judgePublish({ thingName }: Identity, topic: string): PublishVerdict {
    if (thingName === undefined || isReservedTopic(topic)) return refused;
    return this.#policy.judgePublish(thingName, topic);
  }

  maySubscribe({ thingName }: Identity, topicFilter: string): boolean {
    return thingName !== undefined && this.#policy.maySubscribe(thingName, topicFilter);
  }

  mayReceive(identity: Identity, topic: string): boolean {
    return this.maySubscribe(identity, topic); // A topic is a filter that matches only itself.
  }

  telemetryOn(topic: string): TelemetryTarget | undefined {
    return this.#policy.telemetryOn(topic);
  }

  filtersOf({ thingName }: Identity): readonly string[] {
    return thingName === undefined ? [] : this.#policy.filtersOf(thingName);
  }
}

const refused: PublishVerdict = { allowed: false, ingest: false };

/** What topics give a meaning cannot stand in it (hostile A01). */
function isClientIdOfThing(clientId: string): boolean {
  return /^[a-zA-Z0-9:_.-]+$/.test(clientId);
}

function refuse(reason: AdmissionRefusal): Admission {
  return { admitted: false, reason };
}
