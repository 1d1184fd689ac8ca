import type { Clock, Timer } from '../../kernel/clock.ts';
import type { Counters } from '../../kernel/counters.ts';
import type { ConnectionState } from '../port.ts';
import { thingOfClient } from '../things/index.ts';
import { brokerLimits } from './broker-limits.ts';
import type { Connection } from './connection.ts';
import type { QoS, Subscription, Will } from './packets.ts';
import { type Message, Session } from './session.ts';
import { TopicTree } from './topic-tree.ts';

/** A device came, went or subscribed. The words and reasons are those of AWS IoT lifecycle events. */
export type LifecycleEvent =
  | {
      readonly type: 'connected';
      readonly clientId: string;
      readonly ipAddress: string;
      readonly versionNumber: number;
    }
  | {
      readonly type: 'disconnected';
      readonly clientId: string;
      readonly clientInitiatedDisconnect: boolean;
      readonly disconnectReason: DisconnectReason;
      readonly versionNumber: number;
    }
  | { readonly type: 'subscribed' | 'unsubscribed'; readonly clientId: string; readonly topics: readonly string[] };

export type DisconnectReason =
  | 'CLIENT_INITIATED_DISCONNECT'
  | 'CONNECTION_LOST'
  | 'MQTT_KEEP_ALIVE_TIMEOUT'
  | 'DUPLICATE_CLIENTID'
  | 'CLIENT_ERROR'
  | 'AUTH_ERROR'
  | 'FORBIDDEN_ACCESS'
  | 'SERVER_ERROR'
  | 'SERVER_INITIATED_DISCONNECT';

interface Presence {
  connected: boolean;
  sinceMs: number;
  /** Rises with each connect; a disconnect repeats the number of its connect. */
  versionNumber: number;
}

interface DelayedWill {
  readonly timer: Timer;
  readonly publish: () => void;
}

/** Who gets a message, and at which QoS. */
export type Recipients = ReadonlyMap<Session, 0 | 1>;

/**
 * Sessions, their subscriptions, and who gets what. One connection owns a session at any instant; a newer one takes it
 * over and the older can no longer touch it. Sessions live in memory: they survive their connections, not a restart.
 */
export class Broker {
  readonly #clock: Clock;
  readonly #counters: Counters;
  readonly #onLifecycle: (event: LifecycleEvent) => void;
  readonly #publishWill: (thingName: string, will: Will) => void;
  readonly #sessions = new Map<string, Session>();
  readonly #owners = new Map<string, Connection>();
  readonly #expiries = new Map<string, Timer>();
  readonly #delayedWills = new Map<string, DelayedWill>();
  readonly #presence = new Map<string, Presence>();
  /** Which client ids each thing was seen with. */
  readonly #clients = new Map<string, Set<string>>();
  readonly #tree = new TopicTree<Session, Subscription>();

  constructor(options: {
    clock: Clock;
    counters: Counters;
    onLifecycle: (event: LifecycleEvent) => void;
    /** A will is published as its client would have done it, policy included. */
    publishWill: (thingName: string, will: Will) => void;
  }) {
    this.#clock = options.clock;
    this.#counters = options.counters;
    this.#onLifecycle = options.onLifecycle;
    this.#publishWill = options.publishWill;
  }

  /** Whether this client may have a session: its own from before, or one more. */
  hasRoomFor(clientId: string): boolean {
    if (this.#sessions.has(clientId)) return true;
    if (this.#sessions.size >= brokerLimits.sessionsMax) return false;
    const thingName = thingOfClient(clientId);
    const others = this.#clients.get(thingName)?.size ?? 0;
    return clientId === thingName || others < brokerLimits.sessionsPerThingMax;
  }

  /**
   * Gives the client's session to `connection`: the one before is ended first [MQTT5 3.1.4-3], a clean start
   * discards what was remembered [MQTT5 3.1.2-4].
   */
  attach(connection: Connection, options: AttachOptions): { session: Session; sessionPresent: boolean } {
    const { clientId } = options;
    this.#owners.get(clientId)?.takenOver();
    this.#expiries.get(clientId)?.cancel();
    this.#expiries.delete(clientId);
    const known = this.#sessions.get(clientId);
    if (known && options.cleanStart) this.#end(known);
    this.#settleDelayedWill(clientId, options.cleanStart);
    const resumed = options.cleanStart ? undefined : known;
    const { expirySeconds } = options;
    const thingName = thingOfClient(clientId);
    const session = resumed ?? new Session({ clientId, thingName, expirySeconds, counters: this.#counters });
    session.expirySeconds = expirySeconds;
    session.link = connection;
    this.#sessions.set(clientId, session);
    this.#owners.set(clientId, connection);
    const versionNumber = (this.#presence.get(clientId)?.versionNumber ?? -1) + 1;
    this.#presence.set(clientId, { connected: true, sinceMs: this.#clock.nowMs(), versionNumber });
    this.#clientsOf(session.thingName).add(clientId);
    this.#onLifecycle({ type: 'connected', clientId, ipAddress: options.remoteAddress, versionNumber });
    return { session, sessionPresent: resumed !== undefined };
  }

  /** The owner's connection has ended. Content when `connection` does not own the session any more. */
  detach(connection: Connection, session: Session, reason: DisconnectReason, will: Will | undefined): void {
    const { clientId } = session;
    if (this.#owners.get(clientId) !== connection) return;
    this.#owners.delete(clientId);
    session.link = undefined;
    const presence = this.#presence.get(clientId);
    const versionNumber = presence?.versionNumber ?? 0;
    this.#presence.set(clientId, { connected: false, sinceMs: this.#clock.nowMs(), versionNumber });
    const clientInitiatedDisconnect = reason === 'CLIENT_INITIATED_DISCONNECT';
    this.#onLifecycle({
      type: 'disconnected',
      clientId,
      clientInitiatedDisconnect,
      disconnectReason: reason,
      versionNumber,
    });
    if (will) this.#leaveWill(session, will);
    if (session.expirySeconds === 0) this.#end(session);
    else
      this.#expiries.set(
        clientId,
        this.#clock.setTimer(session.expirySeconds * 1_000, () => this.#end(session)),
      );
  }

  subscribe(session: Session, subscriptions: readonly Subscription[]): void {
    for (const subscription of subscriptions) {
      session.subscriptions.set(subscription.topicFilter, subscription);
      this.#tree.add(subscription.topicFilter, session, subscription);
    }
    const topics = subscriptions.map(subscription => subscription.topicFilter);
    if (topics.length > 0) this.#onLifecycle({ type: 'subscribed', clientId: session.clientId, topics });
  }

  /** Says for each filter whether there was such a subscription. */
  unsubscribe(session: Session, topicFilters: readonly string[]): boolean[] {
    const were = topicFilters.map(topicFilter => session.subscriptions.delete(topicFilter));
    const topics = topicFilters.filter((_, index) => were[index]);
    for (const topicFilter of topics) this.#tree.delete(topicFilter, session);
    if (topics.length > 0) this.#onLifecycle({ type: 'unsubscribed', clientId: session.clientId, topics });
    return were;
  }

  /** Ends the subscriptions that are not allowed any more: the policy has changed. */
  revise(isAllowed: (thingName: string, topicFilter: string) => boolean): void {
    for (const session of this.#sessions.values()) {
      const filters = [...session.subscriptions.keys()];
      this.unsubscribe(
        session,
        filters.filter(topicFilter => !isAllowed(session.thingName, topicFilter)),
      );
    }
  }

  /**
   * Who gets a message on `topic`: every session that asked for it once, at the highest QoS granted [MQTT5 3.3.4-2].
   * Undefined when nobody did, so that a publish nobody wants costs no copy.
   */
  recipients(topic: string, qos: QoS, from?: Session): Recipients | undefined {
    if (this.#tree.size === 0) return undefined;
    let recipients: Map<Session, 0 | 1> | undefined;
    this.#tree.match(topic, (session, subscription) => {
      if (subscription.noLocal && session === from) return; // [MQTT5 3.8.3-3]
      recipients ??= new Map();
      const granted = qos === 0 || subscription.qos === 0 ? 0 : 1;
      if (granted === 1 || !recipients.has(session)) recipients.set(session, granted);
    });
    return recipients;
  }

  /** @returns how many of the recipients are connected and were handed the message. */
  deliver(message: Message, recipients: Recipients): number {
    const nowMs = this.#clock.nowMs();
    let connected = 0;
    for (const [session, qos] of recipients) {
      const fate = session.offer(message, qos, nowMs);
      if (fate === 'dropped') this.#counters.add(qos === 0 ? 'mqtt.dropped.qos0' : 'mqtt.dropped.qos1');
      else if (session.link) connected++;
    }
    return connected;
  }

  /** A thing is connected when any of its clients is. */
  connectionState(thingName: string): ConnectionState {
    let state: ConnectionState = { thingName, connected: false };
    for (const clientId of this.#clients.get(thingName) ?? []) {
      const presence = this.#presence.get(clientId);
      if (!presence || (state.connected && !presence.connected)) continue;
      const isBetter = presence.connected !== state.connected || presence.sinceMs > (state.sinceMs ?? 0);
      if (isBetter) state = { thingName, connected: presence.connected, sinceMs: presence.sinceMs };
    }
    return state;
  }

  /** Ends the connections of a thing and forgets its sessions, because the thing was deleted. */
  evict(thingName: string): void {
    for (const clientId of [...(this.#clients.get(thingName) ?? [])]) {
      this.#dropDelayedWill(clientId); // With the thing goes its right to publish.
      this.#owners.get(clientId)?.evicted();
      const session = this.#sessions.get(clientId);
      if (session) this.#end(session);
    }
    for (const clientId of this.#clients.get(thingName) ?? []) this.#presence.delete(clientId);
    this.#clients.delete(thingName);
  }

  /** Frees its timers. */
  close(): void {
    for (const timer of this.#expiries.values()) timer.cancel();
    for (const { timer } of this.#delayedWills.values()) timer.cancel();
  }

  #clientsOf(thingName: string): Set<string> {
    const known = this.#clients.get(thingName);
    if (known) return known;
    const clients = new Set<string>();
    this.#clients.set(thingName, clients);
    return clients;
  }

  /** Only the thing's own client id is remembered beyond its session: further ones could be any number. */
  #forget({ clientId, thingName }: Session): void {
    if (clientId === thingName || this.#owners.has(clientId)) return;
    this.#presence.delete(clientId);
    this.#clients.get(thingName)?.delete(clientId);
  }

  #end(session: Session): void {
    for (const topicFilter of session.subscriptions.keys()) this.#tree.delete(topicFilter, session);
    session.subscriptions.clear();
    this.#expiries.get(session.clientId)?.cancel();
    this.#expiries.delete(session.clientId);
    if (this.#sessions.get(session.clientId) === session) {
      this.#sessions.delete(session.clientId);
      this.#forget(session);
    }
    this.#settleDelayedWill(session.clientId, true); // The will is due when the session ends [MQTT5 3.1.2-8].
  }

  #leaveWill(session: Session, will: Will): void {
    const { clientId, thingName } = session;
    const publish = () => {
      this.#delayedWills.delete(clientId);
      this.#publishWill(thingName, will);
    };
    const delaySeconds = Math.min(will.properties?.willDelayIntervalSeconds ?? 0, session.expirySeconds);
    if (delaySeconds === 0) publish();
    else this.#delayedWills.set(clientId, { timer: this.#clock.setTimer(delaySeconds * 1_000, publish), publish });
  }

  /** A delayed will is published when its session ends and cancelled when the session goes on [MQTT5 3.1.3-9]. */
  #settleDelayedWill(clientId: string, sessionEnded: boolean): void {
    const delayed = this.#dropDelayedWill(clientId);
    if (sessionEnded) delayed?.publish();
  }

  #dropDelayedWill(clientId: string): DelayedWill | undefined {
    const delayed = this.#delayedWills.get(clientId);
    delayed?.timer.cancel();
    this.#delayedWills.delete(clientId);
    return delayed;
  }
}

export interface AttachOptions {
  readonly clientId: string;
  readonly cleanStart: boolean;
  readonly expirySeconds: number;
  readonly remoteAddress: string;
}
