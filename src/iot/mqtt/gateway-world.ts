/**
 * A gateway with memory for network and disk and a clock of its own, and clients that speak raw packets, so that a test
 * can say what no honest client would. For tests only.
 */
import assert from 'node:assert/strict';
import { Counters } from '../../kernel/counters.ts';
import { MemorySockets } from '../../kernel/memory-sockets.ts';
import { MemoryDisk, openMemoryStore } from '../../kernel/memory-store.ts';
import { seededRandom } from '../../kernel/random.ts';
import type { Socket } from '../../kernel/sockets.ts';
import { TestDisk } from '../../kernel/test-disk.ts';
import { VirtualClock } from '../../kernel/virtual-clock.ts';
import {
  EmbeddedStream,
  EmbeddedStreamReader,
  LocalTail,
  onlyShard,
  type StreamRecord,
} from '../../platform/stream/index.ts';
import { type Access, ThingAccess } from '../access/index.ts';
import type { DevicePolicy, ThingCredentials } from '../port.ts';
import { readEnvelope } from '../rules/index.ts';
import { PolicyEngine, ThingRegistry } from '../things/index.ts';
import type { BrokerLimits } from './broker-limits.ts';
import { decode } from './decode.ts';
import { encode } from './encode.ts';
import { Gateway } from './gateway.ts';
import { recoverJournal } from './journal/index.ts';
import type {
  ConnackPacket,
  ConnectPacket,
  Packet,
  ProtocolVersion,
  PublishPacket,
  QoS,
  Subscription,
} from './packets.ts';

/** Own telemetry into the stream, commands down, and a room where everybody may talk to everybody. */
export const testPolicy: DevicePolicy = {
  publish: ['dt/app/{thing}/reading', 'chat/#', 'will/{thing}'],
  ingest: ['dt/app/{thing}/reading'],
  subscribe: ['cmd/app/{thing}/#', 'chat/#', 'will/+'],
};

/** How long a group takes to the disk: a write and a sync. */
const diskMs = 5;

export interface GatewayWorldOptions {
  /** Default: `testPolicy`, for registered things. */
  readonly policy?: DevicePolicy;
  /** A general broker instead, by these rules. */
  readonly access?: Access;
  readonly limits?: BrokerLimits;
  /** Sessions survive a power cut. */
  readonly durable?: boolean;
  readonly memoryPressure?: () => number;
}

export class GatewayWorld {
  readonly clock = new VirtualClock();
  readonly counters = new Counters();
  readonly disk: TestDisk;
  readonly sockets: MemorySockets;
  readonly policy: PolicyEngine;
  readonly failures: unknown[] = [];
  readonly logged: { facts: Record<string, unknown>; message: string }[] = [];
  readonly #options: GatewayWorldOptions;
  readonly #storeDisk: MemoryDisk;
  readonly #tail = new LocalTail(0n);
  readonly #credentials = new Map<string, ThingCredentials>();
  #stream: EmbeddedStream | undefined;
  #gateway: Gateway | undefined;
  port = 0;

  private constructor(options: GatewayWorldOptions) {
    this.#options = options;
    this.disk = new TestDisk({ clock: this.clock, random: seededRandom(1), latencyMs: diskMs });
    this.#storeDisk = new MemoryDisk({ clock: this.clock });
    this.sockets = new MemorySockets(this.clock);
    this.policy = new PolicyEngine(options.policy ?? testPolicy, () => this.gateway.revise());
  }

  static async start(options: DevicePolicy | GatewayWorldOptions = {}): Promise<GatewayWorld> {
    const world = new GatewayWorld('publish' in options ? { policy: options } : options);
    await world.startGateway();
    return world;
  }

  get gateway(): Gateway {
    assert(this.#gateway);
    return this.#gateway;
  }

  get stream(): EmbeddedStream {
    assert(this.#stream);
    return this.#stream;
  }

  /** A gateway on what the disks hold; clients connect to its port. */
  async startGateway(): Promise<void> {
    const { clock, disk, counters, sockets } = this;
    const onDurable = (last: bigint, generation: number) => this.#tail.moveTo(last, generation);
    this.#stream = await clock.until(
      EmbeddedStream.open({ files: disk, clock, directory: '/stream', paddingBytes: 0, onDurable }),
    );
    const store = await openMemoryStore({ clock, disk: this.#storeDisk });
    const things = new ThingRegistry({ store, random: seededRandom(3) });
    const { access, limits, durable, memoryPressure } = this.#options;
    const journal = { files: disk, clock, random: seededRandom(4), directory: '/sessions', paddingBytes: 0 };
    const sessions = durable ? await clock.until(recoverJournal(journal)) : undefined;
    const note = (facts: object, message: string) => void this.logged.push({ facts: { ...facts }, message });
    this.#gateway = new Gateway({
      clock,
      random: seededRandom(2),
      counters,
      log: { info: note, warn: note, error: note },
      sockets,
      access: access ?? new ThingAccess({ things, policy: this.policy }),
      things,
      stream: this.#stream,
      sessions,
      limits,
      memoryPressure,
      onFailure: error => void this.failures.push(error),
    });
    this.port = await this.gateway.listen({ host: 'test', port: 0 });
  }

  /** What was not synced is lost, and everybody's connection; then another gateway starts on the same disks. */
  async powerCut(): Promise<void> {
    this.sockets.cut();
    this.gateway.halt();
    this.disk.powerCut();
    this.#storeDisk.crash();
    await this.startGateway();
  }

  /** Registered with the first call. */
  async thing(thingName: string): Promise<ThingCredentials> {
    const known = this.#credentials.get(thingName);
    if (known) return known;
    const credentials = await this.clock.until(this.gateway.createThing(thingName));
    this.#credentials.set(thingName, credentials);
    return credentials;
  }

  /** A socket that has said nothing yet. */
  async socket(version: ProtocolVersion = 5): Promise<TestClient> {
    return new TestClient(await this.sockets.connect({ port: this.port }), version);
  }

  /** A connected client; the id is the thing's name or `<thing>.<suffix>`. */
  async connect(clientId: string, options: ConnectOptions = {}): Promise<TestClient> {
    const client = await this.socket(options.protocolVersion);
    client.send(await this.connectPacket(clientId, options));
    await this.clock.settle();
    const connack = client.take('connack');
    assert.equal(connack.reasonCode, 0);
    client.connack = connack;
    return client;
  }

  async connectPacket(clientId: string, options: ConnectOptions = {}): Promise<ConnectPacket> {
    const { username, password } = await this.thing(clientId.split('.')[0]);
    const defaults = { protocolVersion: 5, cleanStart: true, keepAliveSeconds: 60 } as const;
    return { type: 'connect', clientId, username, password: Buffer.from(password), ...defaults, ...options };
  }

  settle(): Promise<void> {
    return this.clock.settle();
  }

  advance(ms: number): Promise<void> {
    return this.clock.advance(ms);
  }

  /** Until everything received is durable. */
  durable(): Promise<void> {
    return this.clock.advance(4 * diskMs);
  }

  /** What is durable in the stream, oldest first. */
  async records(): Promise<{ topic: string; text: string }[]> {
    const reader = new EmbeddedStreamReader({ files: this.disk, directory: '/stream', tail: this.#tail });
    const records: { topic: string; text: string }[] = [];
    let after: bigint | null = null;
    for (;;) {
      const read: StreamRecord[] = await this.clock.until(reader.read(onlyShard, after, 1_000_000));
      for (const { data, sequenceNumber } of read) {
        const message = readEnvelope(data);
        assert(message);
        records.push({ topic: message.topic, text: message.payload.toString() });
        after = sequenceNumber;
      }
      if (read.length === 0) break;
    }
    return records;
  }

  /** Lifecycle events in order, as AWS IoT tells them. */
  async lifecycle(): Promise<Record<string, unknown>[]> {
    await this.durable();
    const records = await this.records();
    return records.filter(({ topic }) => topic.startsWith('$aws/events/')).map(({ text }) => JSON.parse(text));
  }

  /** The durable messages of things. */
  async telemetry(): Promise<string[]> {
    const records = await this.records();
    return records.filter(({ topic }) => !topic.startsWith('$aws/')).map(({ text }) => text);
  }
}

export type ConnectOptions = Partial<Omit<ConnectPacket, 'type' | 'clientId'>>;

export class TestClient {
  readonly received: Packet[] = [];
  readonly version: ProtocolVersion;
  readonly socket: Socket;
  isClosed = false;
  connack: ConnackPacket | undefined;
  #nextPacketId = 1;
  #rest: Buffer = Buffer.alloc(0);

  constructor(socket: Socket, version: ProtocolVersion) {
    this.version = version;
    this.socket = socket;
    socket.start({
      data: bytes => this.#receive(bytes),
      drain: () => {},
      close: () => {
        this.isClosed = true;
      },
    });
  }

  send(...packets: Packet[]): void {
    this.sendBytes(Buffer.concat(packets.map(packet => encode(packet, this.version))));
  }

  sendBytes(bytes: Uint8Array): void {
    this.socket.write(bytes);
  }

  /** @returns the packet id, 0 for QoS 0 */
  publish(topic: string, payload: string | Uint8Array, options: Partial<PublishPacket> = {}): number {
    const packet = publishPacket(topic, payload, {
      packetId: (options.qos ?? 1) === 0 ? 0 : this.#packetId(),
      ...options,
    });
    this.send(packet);
    return packet.packetId;
  }

  subscribe(topicFilters: string | readonly string[], options: Partial<Subscription> = {}): number {
    const packetId = this.#packetId();
    this.send({ type: 'subscribe', packetId, subscriptions: subscriptionsTo(topicFilters, options) });
    return packetId;
  }

  /** The oldest packet received, which must be of that type. */
  take<Type extends Packet['type']>(type: Type): Packet & { type: Type } {
    const packet = this.received.shift();
    assert.equal(packet?.type, type, `received ${JSON.stringify(packet)}`);
    return packet as Packet & { type: Type }; // Compared in the line above.
  }

  /** Everything received, and forgets it. */
  takeAll(): Packet[] {
    return this.received.splice(0);
  }

  /** Payloads of the PUBLISH packets received, and forgets everything. */
  takeMessages(): string[] {
    return this.takeAll().flatMap(packet =>
      packet.type === 'publish' ? [Buffer.from(packet.payload).toString()] : [],
    );
  }

  /** Packet ids of the QoS 1 messages received so far. */
  get unanswered(): number[] {
    return this.received.flatMap(packet => (packet.type === 'publish' && packet.qos === 1 ? [packet.packetId] : []));
  }

  ack(packetId: number): void {
    this.send({ type: 'puback', packetId, reasonCode: 0 });
  }

  /** As a pulled plug. */
  cut(): void {
    this.socket.destroy();
  }

  #packetId(): number {
    return this.#nextPacketId++;
  }

  #receive(chunk: Buffer): void {
    const bytes = Buffer.concat([this.#rest, chunk]);
    let position = 0;
    for (;;) {
      const context = { version: this.version, packetBytesMax: 10_000_000, from: 'server' } as const;
      const packet = decode(bytes, position, bytes.length, context);
      if (packet === undefined) break;
      assert(packet.type !== 'refusal', JSON.stringify(packet));
      position += packet.byteLength;
      this.received.push(packet);
    }
    this.#rest = bytes.subarray(position);
  }
}

export function publishPacket(
  topic: string,
  payload: string | Uint8Array,
  options: Partial<PublishPacket> = {},
): PublishPacket {
  const qos: QoS = options.qos ?? 1;
  const packetId = qos === 0 ? 0 : 1;
  return {
    type: 'publish',
    topic,
    payload: Buffer.from(payload),
    dup: false,
    retain: false,
    packetId,
    ...options,
    qos,
  };
}

export function subscriptionsTo(
  filters: string | readonly string[],
  options: Partial<Subscription> = {},
): Subscription[] {
  const defaults = { qos: 1, noLocal: false, retainAsPublished: false, retainHandling: 0 } as const;
  return [filters].flat().map(topicFilter => ({ topicFilter, ...defaults, ...options }));
}

/** Runs a promise with one defence taken away and expects it to be broken: the test of the promise bites. */
export async function bites(
  target: object,
  name: string,
  replacement: PropertyDescriptor,
  promise: () => Promise<void>,
): Promise<void> {
  const before = Object.getOwnPropertyDescriptor(target, name);
  assert(before, `there is no ${name}`);
  Object.defineProperty(target, name, { configurable: true, ...replacement });
  try {
    await assert.rejects(promise, assert.AssertionError);
  } finally {
    Object.defineProperty(target, name, before);
  }
}
