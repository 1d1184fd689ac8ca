import { decode } from '../iot/mqtt/decode.ts';
import { encode } from '../iot/mqtt/encode.ts';
import { mqttLimits } from '../iot/mqtt/limits.ts';
import type { ConnackPacket, Packet, ProtocolVersion, PublishPacket, Will } from '../iot/mqtt/packets.ts';
import { PartialPacket } from '../iot/mqtt/partial-packet.ts';
import type { Clock, Timer } from '../kernel/clock.ts';
import type { Socket, Sockets } from '../kernel/sockets.ts';
import { busy, disconnected, packetTooLarge, refused } from './errors.ts';

export interface MqttClientOptions {
  readonly sockets: Sockets;
  readonly clock: Clock;
  readonly host: string;
  readonly port: number;
  readonly clientId: string;
  readonly username: string;
  readonly password: string;
  /** Default 5. */
  readonly protocolVersion?: ProtocolVersion;
  /** Default true. */
  readonly cleanStart?: boolean;
  readonly sessionExpirySeconds?: number;
  /** Default 60; 0 sends no pings unless the server asks for them. */
  readonly keepAliveSeconds?: number;
  readonly will?: Will;
  /** What it throws ends the connection, as the cause of `device.disconnected`. */
  readonly onMessage?: (topic: string, payload: Uint8Array) => void;
  readonly onClose?: () => void;
}

const clientLimits = {
  connectTimeoutMs: 10_000, // ours, as the server's deadline for CONNECT
  keepAliveSecondsDefault: 60,
  waitingMax: 10_000, // ours: publishes and subscribes that are not answered yet
  packetIdMax: 65_535, // [MQTT311 2.3.1] [MQTT5 2.2.1]
} as const;

interface Waiter {
  readonly resolve: (answer: Packet) => void;
  readonly reject: (error: Error) => void;
}

/**
 * One MQTT connection of a device: connect, publish, subscribe, and messages as they come. It does not reconnect and
 * keeps nothing; whoever uses it decides what a lost connection means.
 */
export class MqttClient {
  readonly #options: MqttClientOptions;
  readonly #socket: Socket;
  readonly #version: ProtocolVersion;
  #connack: Waiter | undefined;
  /** By packet id: who waits for its PUBACK or SUBACK. */
  readonly #waiters = new Map<number, Waiter>();
  /** Publishes the server has no room for in its window yet [MQTT5 3.3.4-7], oldest first. */
  readonly #outbox: PublishPacket[] = [];
  #unacknowledged = 0;
  #receiveMaximum: number = clientLimits.packetIdMax;
  #packetBytesMax = Number.POSITIVE_INFINITY;
  #partial: PartialPacket | undefined;
  #nextPacketId = 1;
  #ping: Timer | undefined;
  #heardSincePing = true;
  #closed = false;
  #cause: unknown;

  private constructor(options: MqttClientOptions, socket: Socket) {
    this.#options = options;
    this.#socket = socket;
    this.#version = options.protocolVersion ?? 5;
    socket.start({ data: bytes => this.#receive(bytes), drain: () => {}, close: () => this.#ended() });
  }

  /** Throws `device.refused` with the server's reason, or `device.disconnected`. */
  static async connect(options: MqttClientOptions): Promise<MqttClient> {
    const { sockets, clock, host, port } = options;
    const client = new MqttClient(options, await sockets.connect({ host, port }));
    const deadline = clock.setTimer(clientLimits.connectTimeoutMs, () => client.drop());
    const keepAliveSeconds = options.keepAliveSeconds ?? clientLimits.keepAliveSecondsDefault;
    try {
      const answer = new Promise<Packet>((resolve, reject) => {
        client.#connack = { resolve, reject };
      });
      answer.catch(() => {}); // Awaited below; sending may already have failed.
      client.#send({
        type: 'connect',
        protocolVersion: client.#version,
        clientId: options.clientId,
        cleanStart: options.cleanStart ?? true,
        keepAliveSeconds,
        username: options.username,
        password: Buffer.from(options.password),
        will: options.will,
        properties:
          client.#version === 5 && options.sessionExpirySeconds !== undefined
            ? { sessionExpiryIntervalSeconds: options.sessionExpirySeconds }
            : undefined,
      });
      const connack = await answer;
      if (connack.type === 'connack') client.#open(connack, keepAliveSeconds);
    } catch (error) {
      client.drop();
      throw error;
    } finally {
      deadline.cancel();
    }
    return client;
  }

  /**
   * QoS 1: resolves once the server has acknowledged it. Throws `device.refused`, `device.disconnected`,
   * `device.busy`, `device.packetTooLarge`.
   */
  async publish(topic: string, payload: Uint8Array | string): Promise<void> {
    const packetId = this.#takePacketId();
    const packet = { type: 'publish', topic, payload: Buffer.from(payload), qos: 1, packetId } as const;
    const publish: PublishPacket = { ...packet, dup: false, retain: false };
    const bytes = encode(publish, this.#version).length;
    if (bytes > this.#packetBytesMax) throw packetTooLarge(bytes, this.#packetBytesMax); // [MQTT5 3.2.2-15]
    const answer = this.#answerTo(packetId);
    this.#outbox.push(publish);
    this.#sendOutbox();
    const puback = await answer;
    if (puback.type === 'puback' && puback.reasonCode >= 0x80) throw refused(topic, puback.reasonCode);
  }

  /** QoS 1. Throws `device.refused`, `device.disconnected`, `device.busy`. */
  async subscribe(topicFilter: string): Promise<void> {
    const packetId = this.#takePacketId();
    const subscription = { topicFilter, qos: 1, noLocal: false, retainAsPublished: false, retainHandling: 0 } as const;
    const answer = this.#answerTo(packetId);
    this.#send({ type: 'subscribe', packetId, subscriptions: [subscription] });
    const suback = await answer;
    if (suback.type === 'suback' && suback.reasonCodes[0] >= 0x80) throw refused(topicFilter, suback.reasonCodes[0]);
  }

  /** Says goodbye, so that no will is published. */
  disconnect(): void {
    if (this.#closed) return;
    this.#send({ type: 'disconnect', reasonCode: 0 });
    this.#socket.end();
    this.#ended();
  }

  /** Cuts the connection without a word, as a pulled plug does. */
  drop(): void {
    this.#socket.destroy();
    this.#ended();
  }

  #receive(chunk: Buffer): void {
    if (this.#closed) return;
    this.#heardSincePing = true;
    try {
      this.#handleAll(this.#partial ? this.#partial.join(chunk) : chunk);
    } catch (error) {
      this.#cause = error; // Out of `onMessage`: a socket's callback must not throw (hostile R03).
      this.drop();
    }
  }

  #handleAll(bytes: Buffer): void {
    const context = { version: this.#version, packetBytesMax: mqttLimits.packetBytesMax, from: 'server' } as const;
    let position = 0;
    while (position < bytes.length && !this.#closed) {
      const packet = decode(bytes, position, bytes.length, context);
      if (packet === undefined) break;
      if (packet.type === 'refusal') return this.drop();
      position += packet.byteLength;
      this.#handle(packet);
    }
    if (this.#closed || position === bytes.length) this.#partial = undefined;
    else if (position > 0 || !this.#partial) this.#partial = new PartialPacket(bytes, position);
  }

  #handle(packet: Packet): void {
    switch (packet.type) {
      case 'connack':
        this.#connack?.resolve(packet);
        this.#connack = undefined;
        return;
      case 'puback':
      case 'suback':
        return this.#settle(packet.packetId, packet);
      case 'publish':
        // The device has it before the server may forget it.
        this.#options.onMessage?.(packet.topic, packet.payload);
        if (packet.qos === 1) this.#send({ type: 'puback', packetId: packet.packetId, reasonCode: 0 });
        return;
      case 'disconnect':
        return this.drop();
      default:
    }
  }

  #settle(packetId: number, answer: Packet): void {
    const waiter = this.#waiters.get(packetId);
    if (!waiter) return; // An answer to nothing we asked.
    this.#waiters.delete(packetId);
    if (answer.type === 'puback') this.#unacknowledged--;
    waiter.resolve(answer);
    this.#sendOutbox();
  }

  #open({ reasonCode, properties }: ConnackPacket, keepAliveSeconds: number): void {
    if (reasonCode !== 0) throw refused(this.#options.clientId, reasonCode);
    this.#receiveMaximum = properties?.receiveMaximum ?? clientLimits.packetIdMax;
    this.#packetBytesMax = properties?.maximumPacketSizeBytes ?? mqttLimits.packetBytesMax;
    const seconds = properties?.serverKeepAliveSeconds ?? keepAliveSeconds; // [MQTT5 3.2.2-21]
    if (seconds > 0) this.#pingLater(seconds * 1_000 * 0.8);
  }

  #answerTo(packetId: number): Promise<Packet> {
    if (this.#closed) throw disconnected(this.#options.clientId, this.#cause);
    return new Promise((resolve, reject) => this.#waiters.set(packetId, { resolve, reject }));
  }

  #sendOutbox(): void {
    while (this.#unacknowledged < this.#receiveMaximum) {
      const publish = this.#outbox.shift();
      if (!publish) return;
      this.#unacknowledged++;
      this.#send(publish);
    }
  }

  /** A server that has said nothing since the last ping was sent is gone. */
  #pingLater(delayMs: number): void {
    this.#ping = this.#options.clock.setTimer(delayMs, () => {
      if (!this.#heardSincePing) return this.drop();
      this.#heardSincePing = false;
      this.#send({ type: 'pingreq' });
      this.#pingLater(delayMs);
    });
  }

  #send(packet: Packet): void {
    if (!this.#closed) this.#socket.write(encode(packet, this.#version));
  }

  /** One that nobody waits for [MQTT311 2.3.1-2] [MQTT5 2.2.1-3]. */
  #takePacketId(): number {
    if (this.#waiters.size >= clientLimits.waitingMax) throw busy(clientLimits.waitingMax);
    while (this.#waiters.has(this.#nextPacketId))
      this.#nextPacketId = (this.#nextPacketId % clientLimits.packetIdMax) + 1;
    const packetId = this.#nextPacketId;
    this.#nextPacketId = (packetId % clientLimits.packetIdMax) + 1;
    return packetId;
  }

  #ended(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#ping?.cancel();
    this.#outbox.length = 0;
    const waiters = [...this.#waiters.values()];
    if (this.#connack) waiters.push(this.#connack);
    this.#waiters.clear();
    for (const { reject } of waiters) reject(disconnected(this.#options.clientId, this.#cause));
    this.#options.onClose?.();
  }
}
