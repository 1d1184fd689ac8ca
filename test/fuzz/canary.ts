import type { GatewayWorld, TestClient } from '../../src/iot/mqtt/gateway-world.ts';
import type { Packet } from '../../src/iot/mqtt/packets.ts';
import { Broken } from './packet-oracles.ts';

const thingName = 'canary';
const ownTopic = `will/${thingName}`; // Only it may publish there, and everybody may listen.
const commandTopic = `cmd/app/${thingName}/req`;
const readingTopic = `dt/app/${thingName}/reading`;
export const canaryTopics = [ownTopic, commandTopic, readingTopic] as const;

/**
 * A well-behaved client among hostile ones: whatever those do, it gets what it is owed, in order, nothing lost, doubled
 * or from strangers, and is never disconnected.
 */
export class Canary {
  readonly #world: GatewayWorld;
  readonly #client: TestClient;
  #said = 0;
  readonly #expected: string[] = [];
  readonly #expectedAcks: number[] = [];
  readonly #readings: string[] = [];

  private constructor(world: GatewayWorld, client: TestClient) {
    this.#world = world;
    this.#client = client;
  }

  static async start(world: GatewayWorld): Promise<Canary> {
    const client = await world.connect(thingName, { keepAliveSeconds: 0 });
    client.subscribe([ownTopic, `cmd/app/${thingName}/#`]);
    await world.settle();
    client.takeAll();
    return new Canary(world, client);
  }

  /** A message to itself at QoS 1 and 0, a reading for the stream, and a command from the app. */
  speak(): void {
    const n = this.#said++;
    const client = this.#client;
    this.#expectedAcks.push(client.publish(ownTopic, `own ${n}`, { packetId: idOf(2 * n) }));
    client.publish(ownTopic, `own ${n} at QoS 0`, { qos: 0 });
    this.#expectedAcks.push(client.publish(readingTopic, `reading ${n}`, { packetId: idOf(2 * n + 1) }));
    this.#expected.push(`own ${n}`, `own ${n} at QoS 0`);
    this.#readings.push(`reading ${n}`);
  }

  /** The app speaks to it. */
  async hear(): Promise<void> {
    const text = `command ${this.#said}`;
    const command = { topic: commandTopic, payload: Buffer.from(text), qos: 1 } as const;
    const { subscribers } = await this.#world.clock.until(this.#world.gateway.publish(command));
    if (subscribers !== 1) throw new Broken('the app reaches the canary', subscribers);
  }

  /** Keeps the connection alive. */
  ping(): void {
    this.#client.send({ type: 'pingreq' });
  }

  /** What has arrived so far is right; what has not is missing. */
  async check(commands: number): Promise<void> {
    if (this.#client.isClosed) throw new Broken('the canary stays connected', this.#client.received);
    const packets: Packet[] = [];
    // More than its window may wait for its acknowledgements.
    for (let received = this.#take(); received.length > 0; received = this.#take()) {
      packets.push(...received);
      await this.#world.settle();
    }
    const texts = packets.flatMap(packet =>
      packet.type === 'publish' ? [Buffer.from(packet.payload).toString()] : [],
    );
    expectSame(
      'the canary hears itself, in order and once',
      texts.filter(text => text.startsWith('own ')),
      this.#expected,
    );
    const heard = texts.filter(text => text.startsWith('command '));
    if (heard.length !== commands) throw new Broken('the canary gets each command once', { heard, commands });
    if (texts.length !== this.#expected.length + commands) throw new Broken('the canary gets nothing else', texts);
    const acks = packets.flatMap(packet => (packet.type === 'puback' ? [packet.packetId] : []));
    expectSame('the canary is acknowledged, in order and once', acks, this.#expectedAcks);
    this.#expected.length = 0;
    this.#expectedAcks.length = 0;
  }

  /** Everything it was acknowledged for is in the stream, once and in order. */
  async checkStream(): Promise<void> {
    const records = await this.#world.records();
    const readings = records.flatMap(({ topic, text }) => (topic === readingTopic ? [text] : []));
    expectSame('the stream has each reading of the canary, in order and once', readings, this.#readings);
  }

  end(): void {
    this.#client.send({ type: 'disconnect', reasonCode: 0 });
  }

  #take(): Packet[] {
    for (const packetId of this.#client.unanswered) this.#client.ack(packetId);
    const received = this.#client.takeAll();
    const stranger = received.find(({ type }) => type !== 'publish' && type !== 'puback' && type !== 'pingresp');
    if (stranger) throw new Broken('the canary is told nothing it did not ask for', stranger);
    return received;
  }
}

function idOf(n: number): number {
  return (n % 0xffff) + 1;
}

function expectSame(promise: string, seen: readonly unknown[], expected: readonly unknown[]): void {
  if (seen.length === expected.length && seen.every((one, index) => one === expected[index])) return;
  throw new Broken(promise, { seen, expected });
}
