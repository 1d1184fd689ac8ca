import type { Counters } from '../../kernel/counters.ts';
import { brokerLimits } from './broker-limits.ts';
import type { PublishProperties, QoS, Subscription } from './packets.ts';

/** A message on its way to subscribers. Shared between them, so never changed. */
export interface Message {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: QoS;
  readonly properties: PublishProperties | undefined;
  /** On the wall clock, Unix epoch milliseconds; undefined = never. */
  readonly expiresAtMs: number | undefined;
  /** What it takes while it waits, properties included. */
  readonly bytes: number;
}

/** One QoS 1 delivery that this session owes its client. */
interface Delivery {
  readonly message: Message;
  readonly packetId: number;
  /** Sent on the connection there is now, and not acknowledged yet. */
  isAwaited: boolean;
}

/** What a session needs of the connection it is attached to. */
export interface SessionLink {
  /** False when the peer is too slow to take more now. */
  readonly hasRoom: boolean;
  /** QoS 1 messages the client is willing to have in flight [MQTT5 3.1.2.11.3]. */
  readonly receiveMaximum: number;
  /** False when the client takes no packet of that size; the message is settled then [MQTT5 3.1.2-25]. */
  sendMessage(message: Message, qos: QoS, packetId: number, dup: boolean): boolean;
}

/** What became of a message offered to a session. */
export type DeliveryFate = 'sent' | 'queued' | 'dropped';

/**
 * What outlives the socket: subscriptions, QoS 1 messages in flight and those waiting. Packet ids are this session's
 * own and are never reused while in flight. Time, sockets and other sessions are the broker's business.
 */
export class Session {
  readonly clientId: string;
  /** Whose identity and rights it has. */
  readonly thingName: string;
  /** How long it is kept without a connection; 0 ends it with the connection. */
  expirySeconds: number;
  readonly subscriptions = new Map<string, Subscription>();
  link: SessionLink | undefined;
  readonly #counters: Counters;
  #nextPacketId = 1;
  // Most sessions never have a message in flight or waiting, so these are made when first needed.
  #inflight: Map<number, Delivery> | undefined;
  #inflightBytes = 0;
  #awaited = 0;
  /** In flight since an earlier connection and not sent again on this one yet, oldest first. */
  #resends: Delivery[] | undefined;
  #queue: Message[] | undefined;
  #queuedBytes = 0;
  /** No message of the queue expires before this. */
  #earliestExpiryMs = Number.POSITIVE_INFINITY;

  constructor(options: { clientId: string; thingName: string; expirySeconds: number; counters: Counters }) {
    this.clientId = options.clientId;
    this.thingName = options.thingName;
    this.expirySeconds = options.expirySeconds;
    this.#counters = options.counters;
  }

  /** Messages that wait for the client's window or for room. */
  get waitingMessages(): number {
    return (this.#queue?.length ?? 0) + (this.#resends?.length ?? 0);
  }

  /** Sends now if the client can take it, else keeps a QoS 1 message within the session's limits. */
  offer(message: Message, qos: QoS, nowMs: number): DeliveryFate {
    if (qos === 0) {
      if (this.link?.hasRoom !== true) return 'dropped';
      return this.link.sendMessage(message, 0, 0, false) ? 'sent' : 'dropped';
    }
    if (this.waitingMessages === 0 && this.#maySend(message)) return this.#send(message) ? 'sent' : 'dropped';
    return this.#enqueue(message, nowMs) ? 'queued' : 'dropped';
  }

  /** The client has taken a QoS 1 message. False when nothing with that id was in flight. */
  acknowledge(packetId: number, nowMs: number): boolean {
    const delivery = this.#inflight?.get(packetId);
    if (!delivery) return false;
    this.#settle(delivery);
    this.pump(nowMs);
    return true;
  }

  /** A new connection took over: what was in flight goes out again as duplicates [MQTT5 4.4.0-1], then the rest. */
  resume(nowMs: number): void {
    this.#resends = this.#inflight && [...this.#inflight.values()]; // In the order they were sent [MQTT5 4.6.0-1].
    for (const delivery of this.#resends ?? []) delivery.isAwaited = false;
    this.#awaited = 0;
    this.pump(nowMs);
  }

  /** Sends what waits, as far as the client's window and buffer allow; drops what has expired. */
  pump(nowMs: number): void {
    if (this.#resends) this.#pumpResends(this.#resends);
    if (this.#queue && !this.#resends) this.#pumpQueue(this.#queue, nowMs);
  }

  #pumpResends(resends: Delivery[]): void {
    let done = 0;
    for (const delivery of resends) {
      const { message, packetId } = delivery;
      if (this.link?.hasRoom !== true || this.#awaited >= this.link.receiveMaximum) break;
      done++;
      if (this.#inflight?.get(packetId) !== delivery) continue; // Acknowledged before it was sent again.
      delivery.isAwaited = true;
      this.#awaited++;
      if (!this.link.sendMessage(message, 1, packetId, true)) this.#settle(delivery);
    }
    resends.splice(0, done);
    if (resends.length === 0) this.#resends = undefined;
  }

  #pumpQueue(queue: Message[], nowMs: number): void {
    let done = 0;
    for (const message of queue) {
      const isExpired = message.expiresAtMs !== undefined && message.expiresAtMs <= nowMs;
      if (!isExpired && !this.#maySend(message)) break;
      done++;
      this.#queuedBytes -= message.bytes;
      if (isExpired) this.#counters.add('mqtt.dropped.expired');
      else this.#send(message);
    }
    if (done > 0) queue.splice(0, done);
    if (queue.length === 0) this.#earliestExpiryMs = Number.POSITIVE_INFINITY;
  }

  #enqueue(message: Message, nowMs: number): boolean {
    if (!this.#fits(message) && this.#earliestExpiryMs <= nowMs) this.#dropExpired(nowMs);
    if (!this.#fits(message)) return false;
    this.#queue ??= [];
    this.#queue.push(message);
    this.#queuedBytes += message.bytes;
    if (message.expiresAtMs !== undefined) this.#noteExpiry(message.expiresAtMs);
    return true;
  }

  #fits({ bytes }: Message): boolean {
    if ((this.#queue?.length ?? 0) >= brokerLimits.queuedMessagesMax) return false;
    return this.#queuedBytes + bytes <= brokerLimits.queuedBytesMax;
  }

  #dropExpired(nowMs: number): void {
    const queue = this.#queue ?? [];
    const kept = queue.filter(({ expiresAtMs }) => expiresAtMs === undefined || expiresAtMs > nowMs);
    this.#counters.add('mqtt.dropped.expired', queue.length - kept.length);
    this.#queue = kept;
    this.#queuedBytes = kept.reduce((sum, { bytes }) => sum + bytes, 0);
    this.#earliestExpiryMs = Number.POSITIVE_INFINITY;
    for (const { expiresAtMs } of kept) if (expiresAtMs !== undefined) this.#noteExpiry(expiresAtMs);
  }

  #noteExpiry(expiresAtMs: number): void {
    if (expiresAtMs < this.#earliestExpiryMs) this.#earliestExpiryMs = expiresAtMs;
  }

  /** In flight is bounded in messages by the client's window and in bytes by us; one message always may. */
  #maySend({ bytes }: Message): boolean {
    if (this.link?.hasRoom !== true) return false;
    const inflight = this.#inflight?.size ?? 0;
    if (inflight >= this.link.receiveMaximum) return false;
    return inflight === 0 || this.#inflightBytes + bytes <= brokerLimits.inflightBytesMax;
  }

  #send(message: Message): boolean {
    this.#inflight ??= new Map();
    while (this.#inflight.has(this.#nextPacketId)) this.#nextPacketId = packetIdAfter(this.#nextPacketId);
    const packetId = this.#nextPacketId;
    this.#nextPacketId = packetIdAfter(packetId);
    const delivery = { message, packetId, isAwaited: true };
    this.#inflight.set(packetId, delivery);
    this.#inflightBytes += message.bytes;
    this.#awaited++;
    if (this.link?.sendMessage(message, 1, packetId, false) === true) return true;
    this.#settle(delivery);
    return false;
  }

  #settle({ message, packetId, isAwaited }: Delivery): void {
    this.#inflight?.delete(packetId);
    this.#inflightBytes -= message.bytes;
    if (isAwaited) this.#awaited--;
  }
}

/** 1 to 65,535, and round again [MQTT311 2.3.1-1] [MQTT5 2.2.1-4]. */
function packetIdAfter(packetId: number): number {
  return (packetId % 65_535) + 1;
}
