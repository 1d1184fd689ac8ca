import type { Counters } from '../../kernel/counters.ts';
import { Fifo } from '../../kernel/fifo.ts';
import type { Identity } from '../access/port.ts';
import type { BrokerLimits } from './broker-limits.ts';
import type { Delivery, GrantedSubscription, Message } from './client-state.ts';
import type { ProtocolVersion } from './packets.ts';

/** What a session needs of the connection it is attached to. */
export interface SessionLink {
  /** False when the peer is too slow to take more now. */
  readonly hasRoom: boolean;
  /** QoS 1 and 2 messages the client is willing to have in flight [MQTT5 3.1.2.11.3]. */
  readonly receiveMaximum: number;
  /** QoS 0. False when the client takes no packet of that size, and for the next method too [MQTT5 3.1.2-25]. */
  sendNow(message: Message, retain: boolean, subscriptionIdentifiers: readonly number[]): boolean;
  sendDelivery(delivery: Delivery, dup: boolean): boolean;
  sendRelease(packetId: number): void;
  /** There is more to send, and others should have their turn first: calls `pump` soon. */
  pumpLater(): void;
  /** What the client must get could not be stored: the connection ends, and the next one brings it. */
  notStored(): void;
}

/** The part of the journal that a session writes to. Numbers are the journal's names for clients and deliveries. */
export interface DeliveryJournal {
  sent(clientNo: number, deliveryNo: number, packetId: number): void;
  released(clientNo: number, packetId: number): void;
  settled(clientNo: number, packetId: number): void;
  dropped(clientNo: number, deliveryNo: number): void;
  /** A QoS 2 packet id of the client's is free again. */
  completed(clientNo: number, packetId: number): void;
}

/** The journal, and what follows once something is stored. */
export interface SessionKeeping {
  readonly journal: DeliveryJournal;
  whenStored(then: () => void, otherwise: () => void): void;
}

/** Retained messages on their way to a new subscription, one by one. */
export interface RetainedReplay {
  readonly subscription: GrantedSubscription;
  /** The next one; undefined when there is none left, 'later' when it is still looking. */
  next(): Message | undefined | 'later';
  /** Hands it to the session as any other message, with RETAIN set. */
  deliver(message: Message): void;
}

/** Bytes that wait in all sessions together. */
export interface QueueBudget {
  bytes: number;
}

/** What became of a PUBREC. */
export type ReceiptFate = 'release' | 'settled' | 'unknown';

/**
 * What outlives the socket: subscriptions, messages in flight and those waiting. Packet ids are this session's own and
 * are never reused while in flight. Messages of one QoS go out in the order they came, on every topic
 * [MQTT311 4.6.0-5, 4.6.0-6] [MQTT5 4.6.0-5, 4.6.0-6]. Time, sockets and other sessions are the broker's business.
 */
export class Session {
  readonly identity: Identity;
  readonly clientNo: number;
  protocolVersion: ProtocolVersion;
  /** How long it is kept without a connection; 0 ends it with the connection. */
  expirySeconds: number;
  readonly subscriptions = new Map<string, GrantedSubscription>();
  /**
   * Packet ids of QoS 2 publishes taken from the client and not released by it yet [MQTT5 4.3.3-10]. Nothing here
   * expires, whatever became of the messages [MQTT5 4.3.3-13].
   */
  received: Set<number> | undefined;
  link: SessionLink | undefined;
  /** Set while what happens here must survive the process. */
  keeping: SessionKeeping | undefined;
  /** The broker's notes on the message it is handing out: which one, and where this session stands in its list. */
  routeNo = 0;
  routeIndex = 0;
  readonly #limits: BrokerLimits;
  readonly #budget: QueueBudget;
  readonly #counters: Counters;
  readonly #nowMs: () => number;
  #nextPacketId = 1;
  #nextDeliveryNo = 1;
  // Most sessions never have a message in flight or waiting, so these are made when first needed.
  #inflight: Map<number, Delivery> | undefined;
  #inflightBytes = 0;
  /** In flight since an earlier connection and not sent again on this one yet, oldest first. */
  #resends: Set<Delivery> | undefined;
  #queue: Fifo<Delivery> | undefined;
  #queuedBytes = 0;
  /** In flight, and sent once the packet id is stored: after a crash it could be given to another QoS 2 message. */
  #unsafe: Set<Delivery> | undefined;
  /** No message of the queue expires before this. */
  #earliestExpiryMs = Number.POSITIVE_INFINITY;
  #replays: RetainedReplay[] | undefined;
  /** Taken out of a replay and not sent yet. */
  #nextRetained: Message | undefined;

  constructor(options: {
    identity: Identity;
    clientNo: number;
    protocolVersion: ProtocolVersion;
    expirySeconds: number;
    limits: BrokerLimits;
    budget: QueueBudget;
    counters: Counters;
    nowMs: () => number;
  }) {
    this.identity = options.identity;
    this.clientNo = options.clientNo;
    this.protocolVersion = options.protocolVersion;
    this.expirySeconds = options.expirySeconds;
    this.#limits = options.limits;
    this.#budget = options.budget;
    this.#counters = options.counters;
    this.#nowMs = options.nowMs;
  }

  get clientId(): string {
    return this.identity.clientId;
  }

  /** A QoS 2 publish with this packet id is taken: said again, it is the same one [MQTT5 4.3.3-10]. */
  noteReceived(packetId: number): void {
    this.received ??= new Set();
    this.received.add(packetId);
  }

  /** The packet id is free: released, or refused. False when nothing was taken under it. */
  forgetReceived(packetId: number): boolean {
    if (this.received?.delete(packetId) !== true) return false;
    this.keeping?.journal.completed(this.clientNo, packetId);
    return true;
  }

  /** Messages that wait for the client's window or for room. */
  get waitingMessages(): number {
    return (this.#queue?.length ?? 0) + (this.#resends?.size ?? 0) + (this.#replays ? 1 : 0);
  }

  /** Everything owed to the client with QoS 1 and 2: in the order it was sent, then what waits. */
  *deliveries(): Generator<Delivery> {
    yield* this.#inflight?.values() ?? [];
    yield* this.#queue ?? [];
  }

  /** Takes back what `deliveries` gave to whoever stored it. */
  restore(deliveries: Iterable<Delivery>): void {
    for (const delivery of deliveries) {
      if (delivery.packetId !== 0) this.#putInFlight(delivery);
      else this.#enqueue(delivery);
      this.#nextPacketId = delivery.packetId === 0 ? this.#nextPacketId : packetIdAfter(delivery.packetId);
      this.#nextDeliveryNo = Math.max(this.#nextDeliveryNo, delivery.deliveryNo + 1);
    }
  }

  // --- Taking messages --------------------------------------------------------------------------------------------

  /** QoS 0: now or never. */
  offerNow(message: Message, retain: boolean, subscriptionIdentifiers: readonly number[]): boolean {
    if (this.link?.hasRoom !== true) return false;
    return this.link.sendNow(message, retain, subscriptionIdentifiers);
  }

  /**
   * QoS 1 and 2: takes the message within the session's limits. Nothing goes out before the caller has noted the
   * delivery in the journal and calls `transmit`. Undefined when it is dropped.
   */
  accept(
    message: Message,
    qos: 1 | 2,
    retain: boolean,
    subscriptionIdentifiers: readonly number[],
    nowMs: number,
  ): Delivery | undefined {
    if (!this.#fits(message) && this.#earliestExpiryMs <= nowMs) this.#dropExpired(nowMs);
    const isFirst = (this.#queue?.length ?? 0) === 0 && !this.#resends;
    const goesAtOnce = isFirst && this.#maySend(message);
    if (!goesAtOnce && !this.#fits(message)) return undefined;
    const delivery: Delivery = {
      message,
      qos,
      retain,
      subscriptionIdentifiers,
      deliveryNo: this.#nextDeliveryNo++,
      packetId: 0,
      stage: 'waiting',
    };
    if (goesAtOnce) this.#assign(delivery);
    else this.#enqueue(delivery);
    return delivery;
  }

  /** Sends an accepted delivery whose turn it was. If it cannot be stored, its publisher is told so and it is dropped. */
  transmit(delivery: Delivery): void {
    if (delivery.stage === 'sent') this.#sendSafely(delivery, () => this.#settle(delivery));
  }

  /** Retained messages for a subscription just made; they go out as far as the client's window and buffer allow. */
  replay(replay: RetainedReplay): void {
    // One for each filter: who asks again and again and takes nothing must not make them many (hostile D07).
    const { topicFilter } = replay.subscription;
    const others = this.#replays?.filter(({ subscription }) => subscription.topicFilter !== topicFilter) ?? [];
    if (others[0] !== this.#replays?.[0]) this.#nextRetained = undefined; // It was of the one that is replaced.
    this.#replays = [...others, replay];
  }

  // --- What the client answers ------------------------------------------------------------------------------------

  /**
   * PUBACK: until then the message was unacknowledged [MQTT311 4.3.2-1] [MQTT5 4.3.2-3]. False when no QoS 1 message
   * with that id was in flight. A shared one that is refused goes to nobody else [MQTT5 4.8.2-6].
   */
  acknowledge(packetId: number, nowMs: number): boolean {
    const delivery = this.#inflight?.get(packetId);
    if (delivery?.qos !== 1) return false;
    this.#settle(delivery);
    this.pump(nowMs);
    return true;
  }

  /**
   * PUBREC: until then the message was unacknowledged [MQTT5 4.3.3-3]. 'release' means that PUBREL is owed, once that
   * is durable [MQTT5 4.3.3-4].
   */
  receipt(packetId: number, isRefused: boolean, nowMs: number): ReceiptFate {
    const delivery = this.#inflight?.get(packetId);
    if (delivery?.qos !== 2) return 'unknown';
    if (isRefused) {
      // The client will not have it; it is not sent again [MQTT5 4.3.3-4, 4.4.0-2], nor to another one [MQTT5 4.8.2-6].
      this.#settle(delivery);
      this.pump(nowMs);
      return 'settled';
    }
    if (delivery.stage === 'released') return 'release';
    delivery.stage = 'released';
    this.keeping?.journal.released(this.clientNo, packetId);
    // From now on PUBREL is what is owed, in the order of the PUBRECs [MQTT311 4.6.0-4] [MQTT5 4.6.0-4].
    this.#inflight?.delete(packetId);
    this.#inflight?.set(packetId, delivery);
    return 'release';
  }

  /** PUBCOMP: until then PUBREL was unacknowledged [MQTT5 4.3.3-5]. False when no PUBREL with that id was owed. */
  complete(packetId: number, nowMs: number): boolean {
    const delivery = this.#inflight?.get(packetId);
    if (delivery?.stage !== 'released') return false;
    this.#settle(delivery);
    this.pump(nowMs);
    return true;
  }

  // --- Sending ----------------------------------------------------------------------------------------------------

  /**
   * A new connection took over: what was in flight goes out again as duplicates, with its packet ids
   * [MQTT311 4.4.0-1] [MQTT5 4.4.0-1], then the rest.
   */
  resume(nowMs: number): void {
    const hasInflight = this.#inflight !== undefined && this.#inflight.size > 0;
    this.#resends = hasInflight ? new Set(this.#inflight?.values()) : undefined; // As they were sent [MQTT5 4.6.0-1].
    this.pump(nowMs);
  }

  /** Sends what waits, as far as the client's window and buffer allow; drops what has expired [MQTT5 3.3.2-5]. */
  pump(nowMs: number): void {
    if (this.#resends) this.#pumpResends(this.#resends);
    if (this.#queue && !this.#resends) this.#pumpQueue(this.#queue, nowMs);
    if (this.#replays && !this.#resends) this.#pumpReplays(this.#replays, nowMs);
  }

  #pumpResends(resends: Set<Delivery>): void {
    let isWindowFull = false;
    for (const delivery of resends) {
      if (this.link?.hasRoom !== true) return;
      // Once PUBREL was owed, the message itself does not go again [MQTT5 4.3.3-6]; and a window that is full holds up
      // nothing but PUBLISH [MQTT5 3.3.4-10, 4.9.0-3].
      if (delivery.stage === 'released') {
        resends.delete(delivery);
        this.#releaseSafely(delivery, this.link);
        continue;
      }
      // What was settled since is neither in flight any more nor here.
      const awaited = (this.#inflight?.size ?? 0) - resends.size;
      // One that is not stored yet goes on from there, and so does all behind it.
      isWindowFull ||= awaited >= this.link.receiveMaximum || this.#unsafe?.has(delivery) === true;
      if (isWindowFull) continue;
      resends.delete(delivery);
      // A message that goes again says so with DUP [MQTT311 3.3.1-1] [MQTT5 3.3.1-1], and goes even if it has expired
      // [MQTT5 4.3.3-7].
      if (!this.link.sendDelivery(delivery, true)) this.#settle(delivery);
    }
    if (resends.size === 0) this.#resends = undefined;
  }

  #pumpQueue(queue: Fifo<Delivery>, nowMs: number): void {
    for (let delivery = queue.peek(); delivery; delivery = queue.peek()) {
      const { expiresAtMs } = delivery.message;
      const isExpired = expiresAtMs !== undefined && expiresAtMs <= nowMs;
      if (!isExpired && !this.#maySend(delivery.message)) return;
      queue.shift();
      this.#unqueue(delivery);
      if (isExpired) this.#drop(delivery, 'mqtt.dropped.expired');
      else {
        this.#assign(delivery);
        this.keeping?.journal.sent(this.clientNo, delivery.deliveryNo, delivery.packetId);
        this.#sendSafely(delivery, () => this.link?.notStored());
      }
    }
    this.#earliestExpiryMs = Number.POSITIVE_INFINITY;
  }

  #pumpReplays(replays: RetainedReplay[], nowMs: number): void {
    for (let done = 0; replays.length > 0; done++) {
      if (this.link?.hasRoom !== true || (this.#queue?.length ?? 0) >= this.#limits.retainedPerTurnMax) return;
      if (done >= this.#limits.retainedPerTurnMax) return this.link.pumpLater();
      const [replay] = replays;
      if (!this.subscriptions.has(replay.subscription.topicFilter)) {
        replays.shift(); // Unsubscribed meanwhile: nothing new comes of it [MQTT311 3.10.4-2] [MQTT5 3.10.4-2].
        this.#nextRetained = undefined;
        continue;
      }
      const message = this.#nextRetained ?? replay.next();
      if (message === 'later') continue;
      if (message?.expiresAtMs !== undefined && message.expiresAtMs <= nowMs) {
        this.#nextRetained = undefined; // While it waited for the window.
        continue;
      }
      if (message === undefined) replays.shift();
      else {
        // Taken out of the replay, it must not be lost when there is no room in the window for it now.
        this.#nextRetained = message;
        if (Math.min(message.qos, replay.subscription.qos) > 0 && !this.#maySend(message)) return;
        this.#nextRetained = undefined;
        replay.deliver(message);
      }
    }
    this.#replays = undefined;
  }

  /**
   * In flight is bounded in messages by the client's window and in bytes by us; one message always may. What is no
   * PUBLISH does not ask this [MQTT5 3.3.4-10, 4.9.0-3].
   */
  #maySend({ bytes }: Message): boolean {
    if (this.link?.hasRoom !== true) return false;
    const inflight = this.#inflight?.size ?? 0;
    if (inflight >= this.link.receiveMaximum) return false; // [MQTT5 4.9.0-1, 4.9.0-2]
    return inflight === 0 || this.#inflightBytes + bytes <= this.#limits.inflightBytesMax;
  }

  /** A packet id that is free [MQTT311 2.3.1-4, 4.3.2-1] [MQTT5 4.3.2-1, 4.3.3-1]: those in flight are passed over. */
  #assign(delivery: Delivery): void {
    while (this.#inflight?.has(this.#nextPacketId)) this.#nextPacketId = packetIdAfter(this.#nextPacketId);
    delivery.packetId = this.#nextPacketId;
    delivery.stage = 'sent';
    this.#nextPacketId = packetIdAfter(delivery.packetId);
    this.#putInFlight(delivery);
  }

  #putInFlight(delivery: Delivery): void {
    this.#inflight ??= new Map();
    this.#inflight.set(delivery.packetId, delivery);
    this.#inflightBytes += delivery.message.bytes;
    this.#budget.bytes += costOf(delivery);
  }

  /** The PUBREC may have come a moment ago, and PUBREL must not leave before that is stored (hostile S03). */
  #releaseSafely(delivery: Delivery, link: SessionLink): void {
    if (!this.keeping) return link.sendRelease(delivery.packetId);
    const release = () => {
      if (this.link === link && this.#inflight?.get(delivery.packetId) === delivery)
        link.sendRelease(delivery.packetId);
    };
    this.keeping.whenStored(release, () => link.notStored());
  }

  #sendSafely(delivery: Delivery, otherwise: () => void): void {
    // Messages keep their order across QoS 1 and 2: what comes behind one that is being stored goes with it.
    const waits = delivery.qos === 2 || (this.#unsafe !== undefined && this.#unsafe.size > 0);
    if (!waits || !this.keeping) return this.#send(delivery);
    this.#unsafe ??= new Set();
    this.#unsafe.add(delivery);
    this.keeping.whenStored(
      () => {
        this.#unsafe?.delete(delivery);
        const isOwed = this.#inflight?.get(delivery.packetId) === delivery;
        // A connection that came meanwhile sends it in its turn.
        if (this.link && isOwed && this.#resends?.has(delivery) !== true) this.#send(delivery);
        if (this.#resends) this.pump(this.#nowMs());
      },
      () => {
        this.#unsafe?.delete(delivery);
        otherwise();
      },
    );
  }

  /** For the first time, and so with DUP 0 [MQTT311 3.3.1-3, 4.3.2-1] [MQTT5 3.3.1-3, 4.3.2-2, 4.3.3-2]. */
  #send(delivery: Delivery): void {
    if (this.link?.sendDelivery(delivery, false) !== true) this.#settle(delivery);
  }

  #settle(delivery: Delivery): void {
    if (this.#inflight?.delete(delivery.packetId) !== true) return;
    this.#resends?.delete(delivery);
    this.#inflightBytes -= delivery.message.bytes;
    this.#budget.bytes -= costOf(delivery);
    this.keeping?.journal.settled(this.clientNo, delivery.packetId);
  }

  // --- Waiting ----------------------------------------------------------------------------------------------------

  #fits({ bytes }: Message): boolean {
    if ((this.#queue?.length ?? 0) >= this.#limits.queuedMessagesMax) return false;
    if (this.#queuedBytes + bytes > this.#limits.queuedBytesMax) return false;
    return this.#budget.bytes + bytes <= this.#limits.queuedBytesTotalMax;
  }

  #enqueue(delivery: Delivery): void {
    this.#queue ??= new Fifo();
    this.#queue.push(delivery);
    this.#noteQueued(delivery);
    this.#noteExpiry(delivery.message.expiresAtMs);
  }

  #noteQueued(delivery: Delivery): void {
    this.#queuedBytes += delivery.message.bytes;
    this.#budget.bytes += costOf(delivery);
  }

  #unqueue(delivery: Delivery): void {
    this.#queuedBytes -= delivery.message.bytes;
    this.#budget.bytes -= costOf(delivery);
  }

  /** Removes what has expired without waiting for a client to come for it (hostile D12). */
  dropExpired(nowMs: number): void {
    if (this.#earliestExpiryMs <= nowMs) this.#dropExpired(nowMs);
  }

  #dropExpired(nowMs: number): void {
    const isLive = ({ message: { expiresAtMs } }: Delivery) => expiresAtMs === undefined || expiresAtMs > nowMs;
    for (const delivery of this.#queue?.filter(isLive) ?? []) {
      this.#unqueue(delivery);
      this.#drop(delivery, 'mqtt.dropped.expired');
    }
    this.#earliestExpiryMs = Number.POSITIVE_INFINITY;
    for (const { message } of this.#queue ?? []) this.#noteExpiry(message.expiresAtMs);
  }

  /**
   * Its rights have changed: what waits and it may not have any more goes, and QoS 1 that was sent over a connection that
   * is gone (hostile S09). QoS 2 that was sent comes to its end: its client may have taken it.
   */
  dropForbidden(mayReceive: (topic: string) => boolean): void {
    const isAllowed = ({ message }: Delivery) => mayReceive(message.topic);
    for (const delivery of this.#queue?.filter(isAllowed) ?? []) {
      this.#unqueue(delivery);
      this.#drop(delivery, 'mqtt.dropped.notAuthorized');
    }
    for (const delivery of this.#inflight?.values() ?? []) {
      const isAway = !this.link || this.#resends?.has(delivery) === true;
      if (!isAway || delivery.qos === 2 || isAllowed(delivery)) continue;
      this.#counters.add('mqtt.dropped.notAuthorized');
      this.#settle(delivery);
    }
  }

  #drop(delivery: Delivery, counter: 'mqtt.dropped.expired' | 'mqtt.dropped.notAuthorized'): void {
    this.#counters.add(counter);
    this.keeping?.journal.dropped(this.clientNo, delivery.deliveryNo);
  }

  #noteExpiry(expiresAtMs: number | undefined): void {
    if (expiresAtMs !== undefined && expiresAtMs < this.#earliestExpiryMs) this.#earliestExpiryMs = expiresAtMs;
  }

  /** The session is over: gives what was owed, and what it took is free again. */
  clear(): Delivery[] {
    const owed = [...this.deliveries()];
    for (const delivery of owed) this.#budget.bytes -= costOf(delivery);
    this.#inflight = undefined;
    this.#resends = undefined;
    this.#queue = undefined;
    this.#unsafe = undefined;
    this.#replays = undefined;
    this.#inflightBytes = 0;
    this.#queuedBytes = 0;
    this.received = undefined;
    this.keeping = undefined;
    return owed;
  }
}

const deliveryBytes = 256; // ours, measured: what a delivery takes besides its message, its places in maps included

function costOf({ message }: Delivery): number {
  return message.bytes + deliveryBytes;
}

/** 1 to 65,535, and round again [MQTT311 2.3.1-1] [MQTT5 2.2.1-4]. */
function packetIdAfter(packetId: number): number {
  return (packetId % 65_535) + 1;
}
