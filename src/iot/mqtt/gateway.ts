import type { Clock, Timer } from '../../kernel/clock.ts';
import type { Counters } from '../../kernel/counters.ts';
import type { Log } from '../../kernel/log.ts';
import type { Random } from '../../kernel/random.ts';
import type { Listener, Socket, Sockets } from '../../kernel/sockets.ts';
import type { KeyValueStore } from '../../kernel/store.ts';
import type { Stream } from '../../platform/stream/index.ts';
import type { ConnectionState, DevicePolicy, Iot, OutgoingMessage, PublishReceipt, ThingCredentials } from '../port.ts';
import { Ingest } from '../rules/index.ts';
import { PolicyEngine, ThingRegistry, thingOfClient } from '../things/index.ts';
import { Broker, type LifecycleEvent } from './broker.ts';
import { Connection } from './connection.ts';
import { encode } from './encode.ts';
import type { ProtocolVersion, PublishPacket, QoS, Will } from './packets.ts';
import type { Message, Session } from './session.ts';

/** What every connection works with. */
export interface GatewayCore {
  readonly clock: Clock;
  readonly counts: Counters;
  readonly log: Log;
  readonly broker: Broker;
  readonly ingest: Ingest;
  readonly policy: PolicyEngine;
  readonly connections: Set<Connection>;
  /** Connections with something to write at the end of this turn. */
  readonly dirty: Connection[];
  authenticate(thingName: string, password: Uint8Array): boolean;
  /** Offers a client's publish to the subscribers. */
  route(packet: PublishPacket, from: Session): void;
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
  readonly dirty: Connection[] = [];
  readonly counts: Counters;
  readonly #things: ThingRegistry;
  readonly #sockets: Sockets;
  #listener: Listener | undefined;
  #deadlines: Timer;

  constructor(options: GatewayOptions) {
    this.clock = options.clock;
    this.counts = options.counters;
    this.log = options.log;
    this.#sockets = options.sockets;
    this.#things = new ThingRegistry({ store: options.store, random: options.random });
    this.policy = new PolicyEngine(options.policy);
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
  async listen(address: { host: string; port: number }): Promise<number> {
    this.#listener = await this.#sockets.listen(address, socket => this.accept(socket));
    return this.#listener.port;
  }

  accept(socket: Socket): void {
    this.connections.add(new Connection(this, socket));
  }

  /** Tells every client, makes durable what was received, and stops. */
  async close(): Promise<void> {
    await this.#listener?.close();
    for (const connection of [...this.connections]) connection.shutDown();
    this.halt();
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

  route(packet: PublishPacket, from: Session): void {
    if (this.broker.isQuiet) return; // Nobody subscribes to anything.
    const { topic, qos, properties } = packet;
    const payload = Buffer.from(packet.payload); // A queued message must not keep the socket's whole read alive.
    this.broker.publish({ topic, payload, qos, properties, expiresAtMs: this.#expiresAt(properties) }, from);
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
    const dirty = this.dirty.splice(0);
    for (const connection of dirty) connection.flush();
  }

  // --- The Iot port -----------------------------------------------------------------------------------------------

  async publish({ topic, payload, qos, messageExpirySeconds }: OutgoingMessage): Promise<PublishReceipt> {
    const properties =
      messageExpirySeconds === undefined ? undefined : { messageExpiryIntervalSeconds: messageExpirySeconds };
    const message = { topic, payload, qos, properties, expiresAtMs: this.#expiresAt(properties) };
    const subscribers = this.broker.publish(message);
    this.flush();
    return { subscribers };
  }

  createThing(thingName: string): Promise<ThingCredentials> {
    return this.#things.create(thingName);
  }

  async deleteThing(thingName: string): Promise<void> {
    await this.#things.delete(thingName);
    this.broker.evict(thingName);
    this.flush();
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
  #publishWill(thingName: string, will: Will): void {
    const verdict = this.policy.judgePublish(thingName, will.topic);
    if (!verdict.allowed) return this.counts.add('mqtt.refused.will');
    if (verdict.ingest) this.ingest.offer(thingName, will.topic, will.payload);
    this.broker.publish({
      topic: will.topic,
      payload: will.payload,
      qos: will.qos,
      properties: undefined,
      expiresAtMs: this.#expiresAt(will.properties),
    });
  }

  #recordLifecycle(event: LifecycleEvent): void {
    const { type, ...facts } = event;
    const payload = JSON.stringify({ ...facts, eventType: type, timestamp: this.clock.nowMs() });
    const { clientId } = event;
    this.ingest.offer(thingOfClient(clientId), lifecycleTopics[type] + clientId, Buffer.from(payload));
  }

  #checkDeadlinesLater(): Timer {
    return this.clock.setTimer(1_000, () => {
      const nowMs = this.clock.monotonicMs();
      for (const connection of this.connections) connection.checkDeadlines(nowMs);
      this.#deadlines = this.#checkDeadlinesLater();
    });
  }
}
