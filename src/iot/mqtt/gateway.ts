import type { Clock, Timer } from '../../kernel/clock.ts';
import type { Counters } from '../../kernel/counters.ts';
import { messageOf } from '../../kernel/errors.ts';
import type { Log } from '../../kernel/log.ts';
import type { Random } from '../../kernel/random.ts';
import type { ListenAddress, Listener, Socket, Sockets } from '../../kernel/sockets.ts';
import type { KeyValueStore } from '../../kernel/store.ts';
import type { Stream } from '../../platform/stream/index.ts';
import type { ConnectionState, DevicePolicy, Iot, OutgoingMessage, PublishReceipt, ThingCredentials } from '../port.ts';
import { Ingest } from '../rules/index.ts';
import { PolicyEngine, ThingRegistry, thingOfClient } from '../things/index.ts';
import { Broker, type LifecycleEvent } from './broker.ts';
import { Connection } from './connection.ts';
import { encode } from './encode.ts';
import { messageExpiryNotValid, messageTooLarge, topicNotValid } from './errors.ts';
import { mqttLimits } from './limits.ts';
import type { ProtocolVersion, PublishPacket, PublishProperties, QoS, Received, Will } from './packets.ts';
import type { Message, Session } from './session.ts';
import { isTopicName } from './topics.ts';

/** What every connection works with. */
export interface GatewayCore {
  readonly clock: Clock;
  readonly counts: Counters;
  readonly log: Log;
  readonly broker: Broker;
  readonly ingest: Ingest;
  readonly policy: PolicyEngine;
  readonly connections: Set<Connection>;
  /** Counts the turns of the event loop in which bytes arrived. */
  readonly turn: number;
  /** Bytes are about to be handled: makes sure that `turn` counts on when this turn is over. */
  beginTurn(): void;
  /** The connection has something to write at the end of this turn. */
  markDirty(connection: Connection): void;
  authenticate(thingName: string, password: Uint8Array): boolean;
  /** Offers a client's publish to the subscribers. */
  route(packet: PublishPacket & Received, from: Session): void;
  encodeMessage(message: Message, delivery: MessageDelivery): Buffer;
  /** Writes what was gathered, one call per connection. */
  flush(): void;
}

export interface MessageDelivery {
  readonly qos: QoS;
  readonly packetId: number;
  readonly dup: boolean;
  readonly version: ProtocolVersion;
}

export interface GatewayOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly counters: Counters;
  readonly log: Log;
  readonly sockets: Sockets;
  /** Holds the registered things. */
  readonly store: KeyValueStore;
  readonly stream: Stream;
  readonly policy: DevicePolicy;
  /** Nothing can be made durable any more: the process should end and start again. */
  readonly onFailure: (error: unknown) => void;
}

/** Where lifecycle events go in the stream; the names are AWS IoT's. */
export const lifecycleTopics = {
  connected: '$aws/events/presence/connected/',
  disconnected: '$aws/events/presence/disconnected/',
  subscribed: '$aws/events/subscriptions/subscribed/',
  unsubscribed: '$aws/events/subscriptions/unsubscribed/',
} as const;

/** The MQTT side of the IoT half: listeners, connections, sessions, and the way into the stream. Never runs app code. */
export class Gateway implements GatewayCore, Iot {
  readonly clock: Clock;
  readonly log: Log;
  readonly broker: Broker;
  readonly ingest: Ingest;
  readonly policy: PolicyEngine;
  readonly connections = new Set<Connection>();
  readonly counts: Counters;
  turn = 0;
  readonly #things: ThingRegistry;
  readonly #sockets: Sockets;
  #listener: Listener | undefined;
  #deadlines: Timer;
  #dirty: Connection[] = [];
  #turnHasBegun = false;

  constructor(options: GatewayOptions) {
    this.clock = options.clock;
    this.counts = options.counters;
    this.log = options.log;
    this.#sockets = options.sockets;
    this.#things = new ThingRegistry({ store: options.store, random: options.random });
    this.policy = new PolicyEngine(options.policy, () =>
      this.broker.revise((thingName, topicFilter) => this.policy.maySubscribe(thingName, topicFilter)),
    );
    this.ingest = new Ingest({
      stream: options.stream,
      clock: options.clock,
      counters: options.counters,
      afterAcks: () => this.flush(),
      onFailure: options.onFailure,
    });
    this.broker = new Broker({
      clock: options.clock,
      counters: options.counters,
      onLifecycle: event => this.#recordLifecycle(event),
      publishWill: (thingName, will) => this.#publishWill(thingName, will),
    });
    this.#deadlines = this.#checkDeadlinesLater();
  }

  /** Starts taking connections; resolves with the port. */
  async listen(address: ListenAddress): Promise<number> {
    this.#listener = await this.#sockets.listen(address, socket => this.accept(socket));
    return this.#listener.port;
  }

  accept(socket: Socket): void {
    this.connections.add(new Connection(this, socket));
  }

  /** Takes nothing more, acknowledges what was received once it is durable, tells every client, and stops. */
  async close(): Promise<void> {
    await this.#listener?.close();
    for (const connection of this.connections) connection.stopReading();
    await this.#received();
    for (const connection of [...this.connections]) connection.shutDown();
    await this.#received(); // What the ends of connections left: their lifecycle events and wills.
    this.halt();
  }

  /** Resolves when everything offered to the ingest so far was made durable or refused. */
  #received(): Promise<void> {
    return new Promise(resolve =>
      this.ingest.answerInOrder({ acknowledge: () => resolve(), refuse: () => resolve() }, 0, 0),
    );
  }

  /** Frees the timers, and nothing else: what a process that dies leaves behind. */
  halt(): void {
    this.#deadlines.cancel();
    this.broker.close();
  }

  // --- For connections --------------------------------------------------------------------------------------------

  authenticate(thingName: string, password: Uint8Array): boolean {
    return this.#things.verify(thingName, password);
  }

  beginTurn(): void {
    if (this.#turnHasBegun) return;
    this.#turnHasBegun = true;
    this.clock.soon(() => {
      this.#turnHasBegun = false;
      this.turn++;
    });
  }

  markDirty(connection: Connection): void {
    this.#dirty.push(connection);
  }

  route({ topic, qos, payload, properties, byteLength }: PublishPacket & Received, from: Session): void {
    const recipients = this.broker.recipients(topic, qos, from);
    if (!recipients) return;
    const message = {
      topic,
      payload: Buffer.from(payload), // A queued message must not keep the socket's whole read alive.
      qos,
      properties: ownProperties(properties),
      expiresAtMs: this.#expiresAt(properties),
      bytes: byteLength,
    };
    this.broker.deliver(message, recipients);
  }

  encodeMessage(message: Message, { qos, packetId, dup, version }: MessageDelivery): Buffer {
    const { topic, payload, properties, expiresAtMs } = message;
    const remaining = expiresAtMs === undefined ? undefined : Math.ceil((expiresAtMs - this.clock.nowMs()) / 1_000);
    const forwarded =
      version === 5 && (properties || remaining !== undefined)
        ? { ...properties, messageExpiryIntervalSeconds: remaining && Math.max(remaining, 1) } // [MQTT5 3.3.2-6]
        : undefined;
    return encode(
      { type: 'publish', topic, payload, qos, dup, retain: false, packetId, properties: forwarded },
      version,
    );
  }

  flush(): void {
    if (this.#dirty.length === 0) return;
    const dirty = this.#dirty;
    this.#dirty = [];
    for (const connection of dirty) connection.flush();
  }

  // --- The Iot port -----------------------------------------------------------------------------------------------

  /** Throws `mqtt.topicNotValid`, `mqtt.messageTooLarge`, `mqtt.messageExpiryNotValid`. */
  async publish({ topic, payload, qos, messageExpirySeconds }: OutgoingMessage): Promise<PublishReceipt> {
    if (!isTopicName(topic)) throw topicNotValid();
    const bytes = payload.length + Buffer.byteLength(topic) + outgoingOverheadBytes;
    if (bytes > mqttLimits.packetBytesMax) throw messageTooLarge(payload.length);
    if (messageExpirySeconds !== undefined && !isExpiry(messageExpirySeconds)) throw messageExpiryNotValid();
    const properties =
      messageExpirySeconds === undefined ? undefined : { messageExpiryIntervalSeconds: messageExpirySeconds };
    const recipients = this.broker.recipients(topic, qos);
    if (!recipients) return { subscribers: 0 };
    const message = { topic, payload, qos, properties, expiresAtMs: this.#expiresAt(properties), bytes };
    const subscribers = this.broker.deliver(message, recipients);
    this.flush();
    return { subscribers };
  }

  createThing(thingName: string): Promise<ThingCredentials> {
    return this.#things.create(thingName);
  }

  async deleteThing(thingName: string): Promise<void> {
    const deleted = this.#things.delete(thingName); // Who connects from here on is refused.
    this.broker.evict(thingName);
    this.flush();
    await deleted;
  }

  async listConnections(thingNames: readonly string[]): Promise<ConnectionState[]> {
    return thingNames.map(thingName => this.broker.connectionState(thingName));
  }

  async counters(): Promise<Record<string, number>> {
    return { ...this.counts.all(), 'mqtt.connections': this.connections.size };
  }

  // --- Inside -----------------------------------------------------------------------------------------------------

  #expiresAt(properties: { messageExpiryIntervalSeconds?: number } | undefined): number | undefined {
    const seconds = properties?.messageExpiryIntervalSeconds;
    return seconds === undefined ? undefined : this.clock.nowMs() + seconds * 1_000;
  }

  /** Checked again when it happens: the policy may have changed since CONNECT. */
  #publishWill(thingName: string, { topic, payload, qos, properties }: Will): void {
    this.#contain('A will was lost by an error of ours.', () => {
      const verdict = this.policy.judgePublish(thingName, topic);
      if (!verdict.allowed) return this.counts.add('mqtt.refused.will');
      if (verdict.ingest) this.ingest.offer(thingName, topic, payload);
      const recipients = this.broker.recipients(topic, qos);
      if (!recipients) return;
      const { willDelayIntervalSeconds: _, ...forwarded } = properties ?? {};
      const expiresAtMs = this.#expiresAt(properties);
      const bytes = mqttLimits.packetBytesBeforeConnectMax; // At most: it came in a CONNECT.
      this.broker.deliver({ topic, payload, qos, properties: forwarded, expiresAtMs, bytes }, recipients);
      this.flush(); // A will may be due when nothing else happens.
    });
  }

  #recordLifecycle(event: LifecycleEvent): void {
    this.#contain('A lifecycle event was lost by an error of ours.', () => {
      const { type, ...facts } = event;
      const payload = JSON.stringify({ ...facts, eventType: type, timestamp: this.clock.nowMs() });
      const { clientId } = event;
      this.ingest.offer(thingOfClient(clientId), lifecycleTopics[type] + clientId, Buffer.from(payload));
    });
  }

  #checkDeadlinesLater(): Timer {
    return this.clock.setTimer(1_000, () => {
      const nowMs = this.clock.monotonicMs();
      for (const connection of this.connections) connection.checkDeadlines(nowMs);
      this.flush();
      this.#deadlines = this.#checkDeadlinesLater();
    });
  }

  /** What happens on the way must not keep a session from ending (hostile R03). */
  #contain(complaint: string, run: () => void): void {
    try {
      run();
    } catch (error) {
      this.counts.add('mqtt.failed.broker');
      this.log.warn({ error: messageOf(error) }, complaint);
    }
  }
}

const outgoingOverheadBytes = 32; // ours: fixed header, packet id and message expiry take 18 at most

/** A whole number that fits the property's four bytes [MQTT5 3.3.2.3.3]. */
function isExpiry(seconds: number): boolean {
  return Number.isInteger(seconds) && seconds >= 1 && seconds <= 0xffff_ffff;
}

/** Binary data is a view into what was read from the socket. */
function ownProperties(properties: PublishProperties | undefined): PublishProperties | undefined {
  if (properties?.correlationData === undefined) return properties;
  return { ...properties, correlationData: Buffer.from(properties.correlationData) };
}
