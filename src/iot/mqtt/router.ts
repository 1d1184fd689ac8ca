import type { Counters } from '../../kernel/counters.ts';
import type { Access } from '../access/port.ts';
import type { BrokerLimits } from './broker-limits.ts';
import type { Delivery, GrantedSubscription, Message, WireForm } from './client-state.ts';
import type { Receiver, RetainedEffect } from './journal/index.ts';
import type { ProtocolVersion, PublishProperties, QoS } from './packets.ts';
import { Recipients } from './recipients.ts';
import { RetainedMessages } from './retained-messages.ts';
import type { BrokerJournal } from './safe-keeping.ts';
import type { Session } from './session.ts';
import { type Fitness, type SharedGroup, SharedGroups } from './shared-groups.ts';
import { TopicTree } from './topic-tree.ts';
import { shareNameOf } from './topics.ts';

/** A message as it came in. */
export interface Publication {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: QoS;
  readonly retain: boolean;
  readonly properties?: PublishProperties;
  /** What it will take while it waits, properties included. */
  readonly byteLength: number;
}

/** What became of a message. */
export interface RouteOutcome {
  /** Connected sessions it was handed to. */
  readonly connected: number;
  /** The retained messages are at their limit, so this one is not kept. */
  readonly retainedIsFull: boolean;
}

const nowhere: RouteOutcome = { connected: 0, retainedIsFull: false };
const noIdentifiers: readonly number[] = [];

/** Who is asked before a message is handed over. */
type DeliveryRights = Pick<Access, 'checksDeliveries' | 'mayReceive'>;

/**
 * Who asked for what, and the way of each message to them: matched, kept if retained, noted in the journal if anybody
 * must have it after a crash, and only then sent.
 */
export class Router {
  readonly retained: RetainedMessages;
  readonly #limits: BrokerLimits;
  readonly #counters: Counters;
  readonly #rights: DeliveryRights;
  readonly #journal: BrokerJournal | undefined;
  readonly #nowMs: () => number;
  readonly #tree: TopicTree<Session, GrantedSubscription>;
  readonly #groups: SharedGroups<Session, GrantedSubscription>;
  #routeNo = 0;
  /** Used again for each message; another is made when a publish happens inside of a publish. */
  #recipients: Recipients | undefined = new Recipients();

  constructor(options: {
    limits: BrokerLimits;
    counters: Counters;
    rights: DeliveryRights;
    journal: BrokerJournal | undefined;
    nowMs: () => number;
  }) {
    this.#limits = options.limits;
    this.#counters = options.counters;
    this.#rights = options.rights;
    this.#journal = options.journal;
    this.#nowMs = options.nowMs;
    const { hashMatchesParent, retainedMessagesMax, retainedBytesMax } = options.limits;
    this.#tree = new TopicTree({ hashMatchesParent });
    this.#groups = new SharedGroups({ hashMatchesParent });
    this.retained = new RetainedMessages({
      messagesMax: retainedMessagesMax,
      bytesMax: retainedBytesMax,
      hashMatchesParent,
      onExpired: ({ topic }) => this.#journal?.retainedDeleted(topic),
    });
  }

  /** Number of subscriptions. */
  get size(): number {
    return this.#tree.size + this.#groups.size;
  }

  /** Whether anybody subscribes to what matches this topic. */
  isWanted(topic: string): boolean {
    let isWanted = false;
    const note = () => {
      isWanted = true;
    };
    this.#tree.match(topic, note);
    if (!isWanted && this.#groups.size > 0) this.#groups.match(topic, note);
    return isWanted;
  }

  /** False for a filter that would make every match too expensive (hostile D08), and for a group that is full. */
  accepts(session: Session, topicFilter: string): boolean {
    if (shareNameOf(topicFilter) === undefined) return this.#tree.accepts(topicFilter);
    return this.#groups.accepts(topicFilter, session);
  }

  add(session: Session, subscription: GrantedSubscription): void {
    const { topicFilter } = subscription;
    if (shareNameOf(topicFilter) === undefined) this.#tree.add(topicFilter, session, subscription);
    else this.#groups.add(topicFilter, session, subscription);
  }

  delete(session: Session, topicFilter: string): void {
    if (shareNameOf(topicFilter) === undefined) this.#tree.delete(topicFilter, session);
    else this.#groups.delete(topicFilter, session);
  }

  /**
   * Hands a message to everybody who asked for it. `receivedId` is the packet id of a QoS 2 publish of `from`: it is
   * noted together with the message, so that a repetition is known as one even after a crash.
   */
  publish(publication: Publication, from?: Session, receivedId = 0, version?: ProtocolVersion): RouteOutcome {
    const effect = this.#retainedEffect(publication);
    const noted = receivedId !== 0 && from?.keeping ? { clientNo: from.clientNo, packetId: receivedId } : undefined;
    if (this.size === 0 && effect === 'keep' && !noted) return nowhere;
    const recipients = this.#recipients ?? new Recipients();
    this.#recipients = undefined;
    try {
      this.#findRecipients(recipients, publication, from);
      if (recipients.count === 0 && effect === 'keep' && !noted) return nowhere;
      const message = this.#toMessage(publication, version, effect === 'set' || recipients.keeps);
      const retainedIsFull = effect === 'set' && this.retained.set(message) === 'full';
      if (retainedIsFull) this.#counters.add('mqtt.refused.retained');
      // QoS 0 cannot be refused: what was kept before is outdated, whether or not the new one is kept [MQTT311 3.3.1-7].
      const isOutdated = retainedIsFull && message.qos === 0 && this.retained.find(message.topic, this.#nowMs());
      const stored = retainedIsFull ? (isOutdated ? 'delete' : 'keep') : effect;
      if (stored === 'delete') this.retained.delete(message.topic);
      const deliveries = this.#accept(recipients, message);
      this.#note(message, deliveries, stored, noted);
      return { connected: this.#hand(recipients, message, deliveries), retainedIsFull };
    } finally {
      recipients.clear();
      this.#recipients = recipients;
    }
  }

  /**
   * The retained messages that a new subscription asks for [MQTT311 3.3.1-6] [MQTT5 3.3.1-9 … 3.3.1-11], with RETAIN 1
   * [MQTT311 3.3.1-8]; for one that was replaced again, unless it asks otherwise [MQTT311 3.8.4-3] [MQTT5 3.8.4-4].
   */
  replayRetained(session: Session, subscription: GrantedSubscription, isNew: boolean): void {
    const { topicFilter, retainHandling } = subscription;
    if (retainHandling === 2 || (retainHandling === 1 && !isNew) || this.retained.size === 0) return;
    if (shareNameOf(topicFilter) !== undefined) return; // [MQTT5 3.8.4]: none for shared subscriptions.
    if (!this.#limits.retainedToWildcards && /[+#]/.test(topicFilter)) return;
    const replay = this.retained.matching(topicFilter);
    const { subscriptionIdentifier } = subscription;
    const identifiers = subscriptionIdentifier === undefined ? noIdentifiers : [subscriptionIdentifier];
    session.replay({
      subscription,
      next: () => replay.next(this.#nowMs()),
      deliver: message => {
        if (!this.#mayReceive(session, message.topic)) return;
        const qos = Math.min(message.qos, subscription.qos);
        if (qos === 0) {
          if (!session.offerNow(message, true, identifiers)) this.#counters.add('mqtt.dropped.qos0');
          return;
        }
        const delivery = session.accept(message, qos === 1 ? 1 : 2, true, identifiers, this.#nowMs());
        if (!delivery) return this.#counters.add('mqtt.dropped.qos1');
        this.#note(message, [{ session, delivery }], 'keep', undefined);
        session.transmit(delivery);
      },
    });
  }

  /** A message of a shared subscription comes back from a member whose session has ended. */
  giveBack(delivery: Delivery): void {
    const { message, share, stage, qos } = delivery;
    // QoS 2 that was sent may have arrived, and must not be sent to another [MQTT5 4.8.2-4, 4.8.2-5].
    if (share === undefined || (qos === 2 && stage !== 'waiting')) return;
    const group = this.#groups.find(share);
    const picked = group && this.#pickMember(group, message.topic, qos);
    if (!picked) return this.#counters.add('mqtt.dropped.qos1');
    const { subscriber, options } = picked;
    const identifiers = options.subscriptionIdentifier === undefined ? noIdentifiers : [options.subscriptionIdentifier];
    const granted = Math.min(qos, options.qos);
    if (granted === 0) return void subscriber.offerNow(message, false, identifiers);
    const again = subscriber.accept(message, granted === 1 ? 1 : 2, false, identifiers, this.#nowMs());
    if (!again) return this.#counters.add('mqtt.dropped.qos1');
    again.share = share;
    this.#note(message, [{ session: picked.subscriber, delivery: again }], 'keep', undefined);
    picked.subscriber.transmit(again);
  }

  // --- Inside -----------------------------------------------------------------------------------------------------

  /** A zero-byte payload deletes [MQTT311 3.3.1-10, 3.3.1-11] [MQTT5 3.3.1-6, 3.3.1-7]. */
  #retainedEffect({ retain, payload, topic }: Publication): RetainedEffect {
    if (!retain) return 'keep'; // [MQTT311 3.3.1-12] [MQTT5 3.3.1-8]
    if (payload.length > 0) return 'set';
    return this.retained.find(topic, this.#nowMs()) ? 'delete' : 'keep';
  }

  /**
   * `version` of the connection it came from, if it came from one. `isKept` says that it may stay for long, and so must not
   * keep a slab of Node's buffer pool alive.
   */
  #toMessage(publication: Publication, version: ProtocolVersion | undefined, isKept: boolean): Message {
    const { topic, payload, qos, retain, properties, byteLength } = publication;
    const expirySeconds = properties?.messageExpiryIntervalSeconds;
    const isForwardable = version !== undefined && properties?.topicAlias === undefined;
    const wire = isForwardable ? wireOf(publication, version, isKept) : undefined;
    return {
      topic,
      // A copy: it must not keep the socket's whole read alive.
      payload: wire ? wire.bytes.subarray(byteLength - payload.length) : copyOf(payload, isKept),
      qos,
      retain,
      properties: ownProperties(properties),
      expiresAtMs: expirySeconds === undefined ? undefined : this.#nowMs() + expirySeconds * 1_000,
      bytes: byteLength,
      wire,
      journalNo: 0,
    };
  }

  /** Nobody but those whose filters match [MQTT311 3.3.2-3] [MQTT5 3.3.2-3]. */
  #findRecipients(recipients: Recipients, { topic, qos, retain }: Publication, from: Session | undefined): void {
    const routeNo = ++this.#routeNo;
    const checks = this.#rights.checksDeliveries;
    this.#tree.match(topic, (session, subscription) => {
      if (subscription.noLocal && session === from) return; // [MQTT5 3.8.3-3]
      if (checks && !this.#mayReceive(session, topic)) return;
      recipients.add(routeNo, session, subscription, qos, retain);
    });
    if (this.#groups.size === 0) return;
    this.#groups.match(topic, group => {
      const picked = this.#pickMember(group, topic, qos);
      if (picked) recipients.addMember(picked.subscriber, picked.options, qos);
      else this.#counters.add(qos === 0 ? 'mqtt.dropped.qos0' : 'mqtt.dropped.qos1');
    });
  }

  #pickMember(group: SharedGroup<Session, GrantedSubscription>, topic: string, qos: QoS) {
    return group.pick('fair', topic, (session, subscription) => {
      if (this.#rights.checksDeliveries && !this.#mayReceive(session, topic)) return 0;
      return fitnessFor(qos, session, subscription);
    });
  }

  #mayReceive({ identity }: Session, topic: string): boolean {
    if (!this.#rights.checksDeliveries || this.#rights.mayReceive(identity, topic)) return true;
    this.#counters.add('mqtt.dropped.notAuthorized');
    return false;
  }

  /**
   * Takes the message into all sessions that get it at QoS 1 or 2, whether their clients are there or not
   * [MQTT311 3.1.2-5, 4.5.0-1] [MQTT5 4.5.0-1]; a session at its limit drops it.
   */
  #accept(recipients: Recipients, message: Message): SessionDelivery[] {
    const deliveries: SessionDelivery[] = [];
    const nowMs = this.#nowMs();
    for (let index = 0; index < recipients.count; index++) {
      const qos = recipients.qos[index];
      if (qos === 0) continue;
      const session = recipients.sessions[index];
      const delivery = session.accept(message, qos, recipients.retain[index], recipients.identifiers[index], nowMs);
      if (!delivery) {
        this.#counters.add('mqtt.dropped.qos1');
        continue;
      }
      const share = recipients.shares?.[index];
      if (share !== undefined) delivery.share = share;
      deliveries.push({ session, delivery });
    }
    return deliveries;
  }

  #note(
    message: Message,
    deliveries: readonly SessionDelivery[],
    effect: RetainedEffect,
    from: { clientNo: number; packetId: number } | undefined,
  ): void {
    const journal = this.#journal;
    if (!journal) return;
    let refs: Receiver[] | undefined;
    for (const { session, delivery } of deliveries) {
      if (!session.keeping) continue;
      refs ??= [];
      refs.push({ clientNo: session.clientNo, delivery });
    }
    if (refs || effect !== 'keep' || from) journal.published(message, refs ?? [], effect, from);
  }

  #hand(recipients: Recipients, message: Message, deliveries: readonly SessionDelivery[]): number {
    let connected = 0;
    for (const { session, delivery } of deliveries) {
      session.transmit(delivery);
      if (session.link) connected++;
    }
    if (deliveries.length === recipients.count) return connected;
    for (let index = 0; index < recipients.count; index++) {
      if (recipients.qos[index] !== 0) continue;
      const session = recipients.sessions[index];
      if (session.offerNow(message, recipients.retain[index], recipients.identifiers[index])) connected++;
      else this.#counters.add('mqtt.dropped.qos0');
    }
    return connected;
  }
}

interface SessionDelivery {
  readonly session: Session;
  readonly delivery: Delivery;
}

/** Who of a group can take a message best: there with room, then there or able to queue it, then not at all. */
function fitnessFor(qos: QoS, session: Session, subscription: GrantedSubscription): Fitness {
  const hasRoom = session.link?.hasRoom === true;
  if (qos === 0 || subscription.qos === 0) return hasRoom ? 2 : 0; // Now or never.
  if (hasRoom && session.waitingMessages === 0) return 2;
  return session.link || session.expirySeconds > 0 ? 1 : 0;
}

/** The payload is a view into what was read, and stands at the end of its packet. */
function wireOf({ payload, byteLength }: Publication, version: ProtocolVersion, isKept: boolean): WireForm {
  const end = payload.byteOffset + payload.byteLength;
  return { version, bytes: copyOf(new Uint8Array(payload.buffer, end - byteLength, byteLength), isKept) };
}

function copyOf(bytes: Uint8Array, isKept: boolean): Buffer {
  const copy = isKept ? Buffer.allocUnsafeSlow(bytes.length) : Buffer.allocUnsafe(bytes.length);
  copy.set(bytes);
  return copy;
}

/**
 * Subscribers get them as they came [MQTT5 3.3.2-4, 3.3.2-15 … 3.3.2-18, 3.3.2-20], but for an alias, which is the
 * publisher's own. Binary data is a view into what was read from the socket.
 */
function ownProperties(properties: PublishProperties | undefined): PublishProperties | undefined {
  if (properties === undefined) return undefined;
  const { topicAlias: _, correlationData, ...rest } = properties;
  return correlationData === undefined ? rest : { ...rest, correlationData: Buffer.from(correlationData) };
}
