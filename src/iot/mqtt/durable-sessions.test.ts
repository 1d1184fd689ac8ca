import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { testScale } from '../../../test/support.ts';
import { seededRandom } from '../../kernel/random.ts';
import { type ConnectOptions, GatewayWorld, publishPacket, type TestClient } from './gateway-world.ts';
import type { ProtocolVersion, PublishPacket, QoS } from './packets.ts';

const lasting: ConnectOptions = { cleanStart: false, properties: { sessionExpiryIntervalSeconds: 3_600 } };
const kept = (version: ProtocolVersion): ConnectOptions =>
  version === 5 ? lasting : { protocolVersion: 4, cleanStart: false };

function publishes(client: TestClient): PublishPacket[] {
  return client.takeAll().filter(packet => packet.type === 'publish');
}

async function worldWithSubscriber(qos: QoS = 1, version: ProtocolVersion = 5) {
  const world = await GatewayWorld.start({ durable: true });
  const client = await world.connect('one', kept(version));
  client.subscribe('chat/#', { qos });
  await world.durable();
  client.take('suback');
  return { world, client };
}

describe('after a power cut', () => {
  for (const version of [4, 5] as const) {
    it(`a session has its subscriptions and what was acknowledged to its senders, MQTT ${version} [MQTT311 4.1.0-1] [MQTT5 4.1.0-1]`, async () => {
      const { world, client } = await worldWithSubscriber(1, version);
      client.cut();
      await world.settle();
      const sender = await world.connect('sender');
      for (const text of ['a', 'b', 'c']) sender.publish('chat/x', text);
      await world.durable();
      assert.deepEqual(
        sender.takeAll().map(({ type }) => type),
        ['puback', 'puback', 'puback'],
      );
      await world.powerCut();
      const back = await world.connect('one', kept(version));
      assert.equal(back.connack?.sessionPresent, true);
      assert.deepEqual(
        publishes(back).map(({ payload, dup }) => [payload.toString(), dup]),
        [
          ['a', false],
          ['b', false],
          ['c', false],
        ],
      );
      const again = await world.connect('sender');
      again.publish('chat/y', 'd'); // The subscription still stands.
      await world.durable();
      assert.deepEqual(back.takeMessages(), ['d']);
    });
  }

  it('what was in flight goes out again under its packet id, as a duplicate [MQTT311 4.4.0-1] [MQTT5 4.4.0-1]', async () => {
    const { world, client } = await worldWithSubscriber();
    const sender = await world.connect('sender');
    for (const text of ['a', 'b', 'c']) sender.publish('chat/x', text);
    await world.durable();
    const sent = publishes(client);
    client.ack(sent[1].packetId);
    await world.durable();
    await world.powerCut();
    const back = await world.connect('one', lasting);
    assert.deepEqual(
      publishes(back).map(({ payload, packetId, dup }) => [payload.toString(), packetId, dup]),
      [
        ['a', sent[0].packetId, true],
        ['c', sent[2].packetId, true],
      ],
    );
  });

  it('a QoS 2 publish that was received is known, and not published again [MQTT311 4.3.3-2] [MQTT5 4.3.3-10]', async () => {
    const { world, client } = await worldWithSubscriber(1);
    const sender = await world.connect('sender', lasting);
    sender.send(publishPacket('chat/x', 'once', { qos: 2, packetId: 9 }));
    await world.durable();
    sender.take('pubrec');
    assert.deepEqual(client.takeMessages(), ['once']);
    client.ack(1);
    await world.durable();
    await world.powerCut();
    const back = await world.connect('one', lasting);
    const again = await world.connect('sender', lasting);
    again.send(publishPacket('chat/x', 'once', { qos: 2, packetId: 9, dup: true }));
    await world.durable();
    assert.equal(again.take('pubrec').packetId, 9);
    assert.deepEqual(back.takeMessages(), []);
    again.send({ type: 'pubrel', packetId: 9, reasonCode: 0 });
    await world.durable();
    assert.equal(again.take('pubcomp').reasonCode, 0);
    await world.powerCut(); // Released: the id is free for another message.
    const third = await world.connect('sender', lasting);
    third.send(publishPacket('chat/x', 'next', { qos: 2, packetId: 9 }));
    await world.durable();
    const last = await world.connect('one', lasting);
    assert.deepEqual(last.takeMessages(), ['next']);
  });

  it('a QoS 2 message the client has taken is released, not sent again (hostile S03) [MQTT5 4.3.3-6]', async () => {
    const { world, client } = await worldWithSubscriber(2);
    const sender = await world.connect('sender');
    sender.publish('chat/x', 'once', { qos: 2 });
    await world.durable();
    await world.durable();
    const { packetId } = client.take('publish');
    client.send({ type: 'pubrec', packetId, reasonCode: 0 });
    await world.durable();
    assert.equal(client.take('pubrel').packetId, packetId);
    await world.powerCut();
    const back = await world.connect('one', lasting);
    await world.durable();
    assert.deepEqual(
      back.takeAll().map(packet => [packet.type, 'packetId' in packet && packet.packetId]),
      [['pubrel', packetId]],
    );
    back.send({ type: 'pubcomp', packetId, reasonCode: 0 });
    await world.durable();
    await world.powerCut();
    assert.deepEqual((await world.connect('one', lasting)).received, []);
  });

  it('retained messages are there, and deleted ones are not', async () => {
    const world = await GatewayWorld.start({ durable: true });
    const sender = await world.connect('sender');
    sender.publish('chat/a', 'kept', { retain: true });
    sender.publish('chat/b', 'gone', { retain: true });
    sender.publish('chat/b', '', { retain: true });
    sender.publish('chat/c', 'old', { retain: true, qos: 0 });
    sender.publish('chat/c', 'new', { retain: true });
    await world.durable();
    await world.powerCut();
    const reader = await world.connect('one');
    reader.subscribe('chat/#');
    await world.durable();
    reader.take('suback');
    const seen = publishes(reader).map(({ topic, payload, retain }) => [topic, payload.toString(), retain]);
    assert.deepEqual(seen, [
      ['chat/a', 'kept', true],
      ['chat/c', 'new', true],
    ]);
  });

  it('a delayed will comes when it is due, also when it fell due meanwhile', async () => {
    const world = await GatewayWorld.start({ durable: true });
    const will = (name: string, willDelayIntervalSeconds: number) => ({
      topic: `will/${name}`,
      payload: Buffer.from(name),
      qos: 1 as const,
      retain: false,
      properties: { willDelayIntervalSeconds },
    });
    const listener = await world.connect('listener', lasting);
    listener.subscribe('will/+');
    const soon = await world.connect('soon', { ...lasting, will: will('soon', 10) });
    const late = await world.connect('late', { ...lasting, will: will('late', 100) });
    await world.connect('there', { ...lasting, will: will('there', 5) }); // Connected when the power goes.
    await world.durable();
    soon.cut();
    late.cut();
    await world.durable();
    await world.powerCut();
    const back = await world.connect('listener', lasting);
    await world.advance(4_000);
    assert.deepEqual(back.takeMessages(), []);
    await world.advance(3_000);
    assert.deepEqual(back.takeMessages(), ['there']);
    await world.advance(6_000);
    assert.deepEqual(back.takeMessages(), ['soon']);
    back.send({ type: 'pingreq' });
    await world.advance(50_000);
    back.send({ type: 'pingreq' });
    await world.advance(50_000);
    assert.deepEqual(back.takeMessages(), ['late']);
  });

  it('sessions end when they should have, after any number of restarts (hostile S05)', async () => {
    const { world, client } = await worldWithSubscriber();
    client.cut();
    await world.durable();
    for (let minutes = 0; minutes < 50; minutes += 10) {
      await world.advance(600_000);
      await world.powerCut();
    }
    await world.advance(500_000); // 3,500 s since it went
    await world.powerCut();
    assert.equal((await world.connect('one', lasting)).connack?.sessionPresent, true);
    await world.powerCut();
    await world.advance(3_602_000);
    await world.powerCut();
    assert.equal((await world.connect('one', lasting)).connack?.sessionPresent, false);
  });

  it('nobody who was connected is still shown as connected', async () => {
    const world = await GatewayWorld.start({ durable: true });
    await world.connect('one');
    await world.connect('two', lasting);
    await world.durable();
    await world.durable(); // First that it is there, then the event that says so.
    await world.powerCut();
    const states = await world.gateway.listConnections(['one', 'two']);
    assert.deepEqual(
      states.map(({ connected }) => connected),
      [false, false],
    );
    const events = await world.lifecycle();
    const seen = events.map(({ eventType, clientId, versionNumber }) => `${eventType} ${clientId} ${versionNumber}`);
    assert.deepEqual(seen.sort(), ['connected one 0', 'connected two 0', 'disconnected one 0', 'disconnected two 0']);
    await world.connect('one');
    assert.equal((await world.lifecycle()).at(-1)?.versionNumber, 1); // It goes on rising.
  });

  it('nothing is left of a session that ended, nor of one that was never to be kept', async () => {
    const { world, client } = await worldWithSubscriber();
    client.send({ type: 'disconnect', reasonCode: 0, properties: { sessionExpiryIntervalSeconds: 0 } });
    const passing = await world.connect('passing');
    passing.subscribe('chat/#');
    await world.durable();
    await world.powerCut();
    for (const clientId of ['one', 'passing']) {
      assert.equal((await world.connect(clientId, lasting)).connack?.sessionPresent, false);
    }
    assert.equal(world.gateway.router.size, 0);
  });
});

describe('before it is stored', () => {
  it('no QoS 1 publish to a kept session is acknowledged', async () => {
    const { world, client } = await worldWithSubscriber();
    client.cut();
    const sender = await world.connect('sender');
    await world.durable();
    sender.publish('chat/x', 'a');
    await world.settle();
    assert.deepEqual(sender.received, []);
    await world.durable();
    sender.take('puback');
  });

  it('no QoS 2 message goes out, no PUBREL, and no PUBCOMP (hostile S03)', async () => {
    const { world, client } = await worldWithSubscriber(2);
    const sender = await world.connect('sender', lasting);
    await world.durable();
    sender.send(publishPacket('chat/x', 'a', { qos: 2, packetId: 3 }));
    await world.settle();
    assert.deepEqual([sender.received, client.received], [[], []]);
    await world.durable();
    sender.take('pubrec');
    const { packetId } = client.take('publish');
    client.send({ type: 'pubrec', packetId, reasonCode: 0 });
    sender.send({ type: 'pubrel', packetId: 3, reasonCode: 0 });
    await world.settle();
    assert.deepEqual([sender.received, client.received], [[], []]);
    await world.durable();
    assert.deepEqual([sender.take('pubcomp').type, client.take('pubrel').type], ['pubcomp', 'pubrel']);
  });

  it('a full disk refuses with a quota error and takes nothing, and it goes on when there is room (hostile T07)', async () => {
    const { world, client } = await worldWithSubscriber();
    client.cut();
    const sender = await world.connect('sender');
    await world.durable();
    world.disk.failNext({ operation: 'write', code: 'ENOSPC' });
    sender.publish('chat/x', 'refused');
    await world.durable();
    assert.equal(sender.take('puback').reasonCode, 0x97);
    await world.advance(2_000);
    sender.publish('chat/x', 'taken');
    await world.durable();
    assert.equal(sender.take('puback').reasonCode, 0);
    await world.powerCut();
    const back = await world.connect('one', lasting);
    assert(back.takeMessages().includes('taken'));
  });
});

describe('any number of power cuts', () => {
  const rounds = testScale(30, 1_000);

  it('lose no acknowledged message and double no QoS 2 message', async () => {
    const seed = Number(process.env.SEED ?? 20_261_121);
    console.log(`seed ${seed}, ${rounds} power cuts`);
    const random = seededRandom(seed);
    const world = await GatewayWorld.start({ durable: true });
    const story = new Story(world);
    for (let round = 0; round < rounds; round++) {
      await story.connect();
      const steps = random.integer(30);
      for (let step = 0; step < steps; step++) {
        story.publish(random.integer(2) === 0 ? 1 : 2);
        if (random.integer(10) < 3) await world.advance(random.integer(12));
        story.answer();
        if (random.integer(20) === 0) await story.reconnect();
      }
      await world.advance(random.integer(12));
      await world.powerCut();
    }
    await story.connect();
    for (let n = 0; n < 400; n++) {
      await world.durable();
      story.answer();
    }
    story.check();
  });
});

/** One publisher and one subscriber that keep to the protocol, across any number of connections. */
class Story {
  readonly #world: GatewayWorld;
  #sender: TestClient | undefined;
  #reader: TestClient | undefined;
  #nextText = 1;
  #nextPacketId = 1;
  /** What the publisher still owes: by packet id. */
  readonly #unacked = new Map<number, { text: string; qos: 1 | 2; released: boolean }>();
  readonly #acknowledged: string[] = [];
  readonly #seen = new Map<string, number>();
  /** QoS 2 packet ids that the subscriber has received and that are not released. */
  readonly #held = new Set<number>();

  constructor(world: GatewayWorld) {
    this.#world = world;
  }

  async connect(): Promise<void> {
    this.#reader = await this.#world.connect('reader', lasting);
    this.#sender = await this.#world.connect('sender', lasting);
    if (this.#reader.connack?.sessionPresent === false) {
      this.#reader.subscribe('chat/#', { qos: 2 });
      await this.#world.durable();
    }
    if (this.#sender.connack?.sessionPresent === false) assert.equal(this.#unacked.size, 0, 'the session was lost');
    for (const [packetId, { text, qos, released }] of this.#unacked) {
      if (released) this.#sender.send({ type: 'pubrel', packetId, reasonCode: 0 });
      else this.#sender.send(publishPacket('chat/x', text, { qos, packetId, dup: true }));
    }
  }

  async reconnect(): Promise<void> {
    this.#reader?.cut();
    this.#sender?.cut();
    await this.#world.settle();
    await this.connect();
  }

  publish(qos: 1 | 2): void {
    if (this.#unacked.size >= 50) return;
    const text = `${qos}:${this.#nextText++}`;
    const packetId = this.#nextPacketId;
    this.#nextPacketId = (packetId % 1_000) + 1;
    if (this.#unacked.has(packetId)) return;
    this.#unacked.set(packetId, { text, qos, released: false });
    this.#sender?.send(publishPacket('chat/x', text, { qos, packetId }));
  }

  /** Handles what both have received. */
  answer(): void {
    for (const packet of this.#sender?.takeAll() ?? []) {
      if (packet.type === 'puback') this.#acknowledge(packet.packetId);
      if (packet.type === 'pubcomp') this.#unacked.delete(packet.packetId);
      if (packet.type !== 'pubrec') continue;
      const owed = this.#unacked.get(packet.packetId);
      assert(owed, 'a PUBREC for nothing');
      if (!owed.released) this.#acknowledged.push(owed.text);
      owed.released = true;
      this.#sender?.send({ type: 'pubrel', packetId: packet.packetId, reasonCode: 0 });
    }
    for (const packet of this.#reader?.takeAll() ?? []) {
      if (packet.type === 'publish') this.#take(packet);
      if (packet.type !== 'pubrel') continue;
      this.#held.delete(packet.packetId);
      this.#reader?.send({ type: 'pubcomp', packetId: packet.packetId, reasonCode: 0 });
    }
  }

  #acknowledge(packetId: number): void {
    const owed = this.#unacked.get(packetId);
    assert(owed, 'a PUBACK for nothing');
    this.#acknowledged.push(owed.text);
    this.#unacked.delete(packetId);
  }

  #take({ payload, qos, packetId }: PublishPacket): void {
    const text = payload.toString();
    const isKnown = qos === 2 && this.#held.has(packetId);
    if (!isKnown) this.#seen.set(text, (this.#seen.get(text) ?? 0) + 1);
    if (qos === 2) this.#held.add(packetId);
    this.#reader?.send({ type: qos === 2 ? 'pubrec' : 'puback', packetId, reasonCode: 0 });
  }

  check(): void {
    assert(this.#acknowledged.length > 0);
    const lost = this.#acknowledged.filter(text => !this.#seen.has(text));
    assert.deepEqual(lost, [], 'acknowledged and never delivered');
    const doubled = [...this.#seen].filter(([text, count]) => text.startsWith('2:') && count > 1);
    assert.deepEqual(doubled, [], 'delivered twice at QoS 2');
  }
}
