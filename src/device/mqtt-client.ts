import { EventEmitter, once } from 'node:events';
import { decode } from '../iot/mqtt/decode.ts';
import { encode } from '../iot/mqtt/encode.ts';
import { mqttLimits } from '../iot/mqtt/limits.ts';
import type { Packet, ProtocolVersion, Will } from '../iot/mqtt/packets.ts';
import type { Clock, Timer } from '../kernel/clock.ts';
import { MimamoriError } from '../kernel/errors.ts';
import type { Socket, Sockets } from '../kernel/sockets.ts';

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
  readonly keepAliveSeconds?: number;
  readonly will?: Will;
  readonly onMessage?: (topic: string, payload: Uint8Array) => void;
  readonly onClose?: () => void;
}

const clientLimits = { connectTimeoutMs: 10_000, keepAliveSecondsDefault: 60 } as const;

/**
 * One MQTT connection of a device: connect, publish, subscribe, and messages as they come. It does not reconnect and
 * keeps nothing; whoever uses it decides what a lost connection means.
 */
export class MqttClient {
  readonly #options: MqttClientOptions;
  readonly #socket: Socket;
  readonly #version: ProtocolVersion;
  readonly #answers = new EventEmitter().setMaxListeners(0);
  #rest: Buffer = Buffer.alloc(0);
  #nextPacketId = 1;
  #ping: Timer | undefined;
  #closed = false;

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
    try {
      const connack = await client.#answer('connack');
      if (connack.type === 'connack' && connack.reasonCode !== 0) throw refused(options.clientId, connack.reasonCode);
    } finally {
      deadline.cancel();
    }
    client.#pingLater(keepAliveSeconds * 1_000 * 0.8);
    return client;
  }

  /** QoS 1: resolves once the server has acknowledged it. Throws `device.refused`, `device.disconnected`. */
  async publish(topic: string, payload: Uint8Array | string): Promise<void> {
    const packetId = this.#takePacketId();
    const answer = this.#answer(`puback ${packetId}`);
    const properties = undefined;
    this.#send({
      type: 'publish',
      topic,
      payload: Buffer.from(payload),
      qos: 1,
      dup: false,
      retain: false,
      packetId,
      properties,
    });
    const puback = await answer;
    if (puback.type === 'puback' && puback.reasonCode >= 0x80) throw refused(topic, puback.reasonCode);
  }

  /** QoS 1. Throws `device.refused`, `device.disconnected`. */
  async subscribe(topicFilter: string): Promise<void> {
    const packetId = this.#takePacketId();
    const answer = this.#answer(`suback ${packetId}`);
    const subscription = { topicFilter, qos: 1, noLocal: false, retainAsPublished: false, retainHandling: 0 } as const;
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
    const bytes = this.#rest.length > 0 ? Buffer.concat([this.#rest, chunk]) : chunk;
    const context = { version: this.#version, packetBytesMax: mqttLimits.packetBytesMax, from: 'server' } as const;
    let position = 0;
    while (position < bytes.length && !this.#closed) {
      const packet = decode(bytes, position, bytes.length, context);
      if (packet === undefined) break;
      if (packet.type === 'refusal') return this.drop();
      position += packet.byteLength;
      this.#handle(packet);
    }
    this.#rest = bytes.subarray(position);
  }

  #handle(packet: Packet): void {
    switch (packet.type) {
      case 'connack':
        this.#answers.emit('connack', packet);
        return;
      case 'puback':
      case 'suback':
        this.#answers.emit(`${packet.type} ${packet.packetId}`, packet);
        return;
      case 'publish':
        if (packet.qos === 1) this.#send({ type: 'puback', packetId: packet.packetId, reasonCode: 0 });
        this.#options.onMessage?.(packet.topic, packet.payload);
        return;
      case 'disconnect':
        return this.drop();
      default:
    }
  }

  async #answer(name: string): Promise<Packet> {
    if (this.#closed) throw disconnected(this.#options.clientId);
    const gone = new AbortController();
    const onClosed = () => gone.abort();
    this.#answers.once('closed', onClosed);
    try {
      const [packet] = await once(this.#answers, name, { signal: gone.signal });
      return packet;
    } catch {
      throw disconnected(this.#options.clientId);
    } finally {
      this.#answers.off('closed', onClosed);
    }
  }

  #pingLater(delayMs: number): void {
    this.#ping = this.#options.clock.setTimer(delayMs, () => {
      this.#send({ type: 'pingreq' });
      this.#pingLater(delayMs);
    });
  }

  #send(packet: Packet): void {
    if (!this.#closed) this.#socket.write(encode(packet, this.#version));
  }

  #takePacketId(): number {
    const packetId = this.#nextPacketId;
    this.#nextPacketId = (packetId % 65_535) + 1;
    return packetId;
  }

  #ended(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#ping?.cancel();
    this.#answers.emit('closed');
    this.#options.onClose?.();
  }
}

const refused = (what: string, reasonCode: number) =>
  new MimamoriError({
    code: 'device.refused',
    message: `The server refused ${what} with reason 0x${reasonCode.toString(16).padStart(2, '0')}.`,
    fix: 'Check the credentials, and that the topic is one of this device.',
  });

const disconnected = (clientId: string) =>
  new MimamoriError({
    code: 'device.disconnected',
    message: `The connection of ${clientId} has ended.`,
    fix: 'Connect again; what was not acknowledged must be sent again.',
    retryable: true,
  });
