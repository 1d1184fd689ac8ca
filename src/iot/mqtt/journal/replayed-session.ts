import type { Delivery, GrantedSubscription, SessionState } from '../client-state.ts';
import type { StoredDelivery, StoredSession } from './values.ts';

/** A session while its events are applied. An event that tells of nothing it has is content, as a deletion is. */
export class ReplayedSession {
  expirySeconds: number;
  endsAtMs: number | undefined;
  readonly #subscriptions: Map<string, GrantedSubscription>;
  // Most sessions have no message on its way, so these are made when first needed.
  /** By packet id, in the order they were sent. */
  #sent: Map<number, StoredDelivery> | undefined;
  /** By delivery number, in the order they were queued. */
  #waiting: Map<number, StoredDelivery> | undefined;
  #received: Set<number> | undefined;

  constructor(stored: StoredSession) {
    this.expirySeconds = stored.expirySeconds;
    this.endsAtMs = stored.endsAtMs;
    this.#subscriptions = new Map(stored.subscriptions.map(one => [one.topicFilter, one]));
    for (const delivery of stored.deliveries) this.queue(delivery);
    for (const packetId of stored.received) this.receive(packetId);
  }

  subscribe(subscription: GrantedSubscription): void {
    this.#subscriptions.set(subscription.topicFilter, subscription);
  }

  unsubscribe(topicFilter: string): void {
    this.#subscriptions.delete(topicFilter);
  }

  queue(delivery: StoredDelivery): void {
    if (delivery.stage === 'waiting') {
      this.#waiting ??= new Map();
      this.#waiting.set(delivery.deliveryNo, delivery);
    } else {
      this.#sent ??= new Map();
      this.#sent.set(delivery.packetId, delivery);
    }
  }

  send(deliveryNo: number, packetId: number): void {
    const delivery = this.#waiting?.get(deliveryNo);
    if (!delivery) return;
    this.#waiting?.delete(deliveryNo);
    this.queue({ ...delivery, stage: 'sent', packetId });
  }

  release(packetId: number): void {
    const delivery = this.#sent?.get(packetId);
    if (delivery) this.#sent?.set(packetId, { ...delivery, stage: 'released' });
  }

  settle(packetId: number): void {
    this.#sent?.delete(packetId);
  }

  drop(deliveryNo: number): void {
    if (this.#waiting?.delete(deliveryNo)) return;
    for (const delivery of this.#sent?.values() ?? []) {
      if (delivery.deliveryNo === deliveryNo) this.#sent?.delete(delivery.packetId);
    }
  }

  receive(packetId: number): void {
    this.#received ??= new Set();
    this.#received.add(packetId);
  }

  complete(packetId: number): void {
    this.#received?.delete(packetId);
  }

  /** Throws when a message of it is missing. */
  finish(): SessionState {
    return {
      expirySeconds: this.expirySeconds,
      endsAtMs: this.endsAtMs,
      subscriptions: [...this.#subscriptions.values()],
      deliveries: [...(this.#sent?.values() ?? []), ...(this.#waiting?.values() ?? [])].map(toDelivery),
      received: [...(this.#received ?? [])],
    };
  }
}

function toDelivery({ stored, ...delivery }: StoredDelivery): Delivery {
  const { message } = stored;
  if (!message) throw new RangeError(`the message of delivery ${delivery.deliveryNo} is not in the log`);
  return { message, ...delivery };
}
