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
}

/** One QoS 1 delivery that this session owes its client. */
interface Delivery {
  readonly message: Message;
  readonly packetId: number;
}

/** What a session needs of the connection it is attached to. */
export interface SessionLink {
  /** False when the peer is too slow to take more now. */
  readonly hasRoom: boolean;
  /** QoS 1 messages the client is willing to have in flight [MQTT5 3.1.2.11.3]. */
  readonly receiveMaximum: number;
  sendMessage(message: Message, qos: QoS, packetId: number, dup: boolean): void;
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
  #nextPacketId = 1;
  #inflight = new Map<number, Delivery>();
  #queue: Message[] = [];
  #queuedBytes = 0;

  constructor({ clientId, thingName, expirySeconds }: { clientId: string; thingName: string; expirySeconds: number }) {
    this.clientId = clientId;
    this.thingName = thingName;
    this.expirySeconds = expirySeconds;
  }

  get queuedMessages(): number {
    return this.#queue.length + this.#inflight.size;
  }

  /** Sends now if the client can take it, else keeps a QoS 1 message within the session's limits. */
  offer(message: Message, qos: QoS): DeliveryFate {
    if (qos === 0) {
      if (!this.link?.hasRoom) return 'dropped';
      this.link.sendMessage(message, 0, 0, false);
      return 'sent';
    }
    if (this.#queue.length === 0 && this.#canSend) {
      this.#send(message);
      return 'sent';
    }
    const bytes = message.payload.length + message.topic.length;
    const isFull = this.#queue.length >= brokerLimits.queuedMessagesMax;
    if (isFull || this.#queuedBytes + bytes > brokerLimits.queuedBytesMax) return 'dropped';
    this.#queue.push(message);
    this.#queuedBytes += bytes;
    return 'queued';
  }

  /** The client has taken a QoS 1 message. False when nothing with that id was in flight. */
  acknowledge(packetId: number, nowMs: number): boolean {
    if (!this.#inflight.delete(packetId)) return false;
    this.pump(nowMs);
    return true;
  }

  /** A new connection took over: what was in flight goes out again as duplicates [MQTT5 4.4.0-1], then the rest. */
  resume(nowMs: number): void {
    for (const { message, packetId } of this.#inflight.values()) this.link?.sendMessage(message, 1, packetId, true);
    this.pump(nowMs);
  }

  /** Sends what waits, as far as the client's window and buffer allow; drops what has expired. */
  pump(nowMs: number): void {
    let sent = 0;
    for (const message of this.#queue) {
      if (!this.#canSend) break;
      sent++;
      this.#queuedBytes -= message.payload.length + message.topic.length;
      if (message.expiresAtMs === undefined || message.expiresAtMs > nowMs) this.#send(message);
    }
    if (sent > 0) this.#queue.splice(0, sent);
  }

  get #canSend(): boolean {
    return this.link?.hasRoom === true && this.#inflight.size < this.link.receiveMaximum;
  }

  #send(message: Message): void {
    while (this.#inflight.has(this.#nextPacketId)) this.#nextPacketId = (this.#nextPacketId % 65_535) + 1;
    const packetId = this.#nextPacketId;
    this.#nextPacketId = (packetId % 65_535) + 1;
    this.#inflight.set(packetId, { message, packetId });
    this.link?.sendMessage(message, 1, packetId, false);
  }
}
