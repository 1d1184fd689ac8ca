import type { GrantedSubscription } from './client-state.ts';
import type { QoS } from './packets.ts';
import type { Session } from './session.ts';

const noIdentifiers: readonly number[] = [];
const keptMax = 256; // ours: entries left in place, to be written over by the next message

/**
 * Who gets one message, and how: parallel arrays, used again for the next message. A session with several matching
 * subscriptions gets it once, at the highest QoS, with all their identifiers
 * [MQTT311 3.3.5-1] [MQTT5 3.3.4-2 … 3.3.4-4].
 */
export class Recipients {
  count = 0;
  /** Whether it will wait for somebody. */
  keeps = false;
  readonly sessions: Session[] = [];
  readonly qos: QoS[] = [];
  readonly retain: boolean[] = [];
  readonly identifiers: (readonly number[])[] = [];
  /** The shared subscription it came by; made when there is one. */
  shares: (string | undefined)[] | undefined;

  add(routeNo: number, session: Session, subscription: GrantedSubscription, qos: QoS, retain: boolean): void {
    const granted = qos < subscription.qos ? qos : subscription.qos; // [MQTT311 3.8.4-6] [MQTT5 3.8.4-8]
    const retains = retain && subscription.retainAsPublished; // [MQTT311 3.3.1-9] [MQTT5 3.3.1-12, 3.3.1-13]
    const { subscriptionIdentifier } = subscription;
    if (session.routeNo === routeNo) {
      const index = session.routeIndex;
      if (granted > this.qos[index]) this.qos[index] = granted;
      if (retains) this.retain[index] = true;
      if (subscriptionIdentifier !== undefined) {
        this.identifiers[index] = [...this.identifiers[index], subscriptionIdentifier];
      }
      return;
    }
    session.routeNo = routeNo;
    session.routeIndex = this.count;
    this.#push(session, granted, retains, subscriptionIdentifier);
  }

  /**
   * A member of a group gets a copy of its own, beside what its other subscriptions bring, at the QoS granted to it
   * [MQTT5 4.8.2-3].
   */
  addMember(session: Session, subscription: GrantedSubscription, qos: QoS): void {
    this.shares ??= [];
    this.shares[this.count] = subscription.topicFilter;
    this.#push(session, qos < subscription.qos ? qos : subscription.qos, false, subscription.subscriptionIdentifier);
  }

  clear(): void {
    const isLarge = this.count > keptMax;
    this.count = 0;
    this.keeps = false;
    this.shares = undefined;
    if (!isLarge) return;
    this.sessions.length = 0; // A large fan-out must not keep its sessions alive.
    this.qos.length = 0;
    this.retain.length = 0;
    this.identifiers.length = 0;
  }

  #push(session: Session, qos: QoS, retain: boolean, subscriptionIdentifier: number | undefined): void {
    const index = this.count++;
    if (qos > 0 && (!session.link || session.waitingMessages > 0)) this.keeps = true;
    this.sessions[index] = session;
    this.qos[index] = qos;
    this.retain[index] = retain;
    this.identifiers[index] = subscriptionIdentifier === undefined ? noIdentifiers : [subscriptionIdentifier];
  }
}
