import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Socket, SocketEvents } from '../../kernel/sockets.ts';
import { brokerLimits } from './broker-limits.ts';
import { Connection } from './connection.ts';
import { encode } from './encode.ts';
import { bites, GatewayWorld, subscriptionsTo } from './gateway-world.ts';
import type { Packet } from './packets.ts';
import { reasonCodes } from './packets.ts';

describe('keep alive', () => {
  for (const [asked, effective] of [
    [0, 1_200],
    [5, 5],
    [30, 30],
    [65_535, 1_200],
  ] as const) {
    it(`of ${asked} s ends a silent connection within 1.5 times ${effective} s (hostile S13) [MQTT5 3.1.2-22]`, async () => {
      const world = await GatewayWorld.start();
      const client = await world.connect('one', { keepAliveSeconds: asked });
      await world.advance(effective * 1_500 - 100);
      assert(!client.isClosed);
      client.send({ type: 'pingreq' });
      await world.settle();
      assert.equal(client.take('pingresp').type, 'pingresp'); // [MQTT5 3.12.4-1]
      await world.advance(effective * 1_500 - 100);
      assert(!client.isClosed);
      await world.advance(1_200); // Deadlines are looked at once a second.
      assert(client.isClosed);
      assert.equal(client.take('disconnect').reasonCode, reasonCodes.keepAliveTimeout);
      assert.equal((await world.lifecycle()).at(-1)?.disconnectReason, 'MQTT_KEEP_ALIVE_TIMEOUT');
    });
  }

  it('counts every byte from the client as a sign of life', async () => {
    const world = await GatewayWorld.start();
    const client = await world.connect('one', { keepAliveSeconds: 5 });
    for (let n = 0; n < 10; n++) {
      await world.advance(7_000);
      client.publish('chat/a', 'x', { qos: 0 });
    }
    await world.settle();
    assert(!client.isClosed);
  });
});

describe('a subscriber that does not read', () => {
  const tell = (world: GatewayWorld, qos: 0 | 1, bytes: number) =>
    world.clock.until(world.gateway.publish({ topic: 'chat/a', payload: Buffer.alloc(bytes), qos }));

  async function worldWithReaders() {
    const world = await GatewayWorld.start();
    const lasting = { properties: { sessionExpiryIntervalSeconds: 3_600 } };
    const [frozen, good] = [await world.connect('frozen', lasting), await world.connect('good')];
    for (const client of [frozen, good]) client.subscribe('chat/#');
    await world.settle();
    for (const client of [frozen, good]) client.takeAll();
    frozen.socket.pause();
    return { world, frozen, good };
  }
  const bufferedFor = (client: { socket: object }) => {
    const { peer } = client.socket as { peer: { bufferedBytes: number } }; // As MemorySocket has it.
    return peer.bufferedBytes;
  };

  const memoryIsBounded = async () => {
    const { world, frozen, good } = await worldWithReaders();
    for (let n = 0; n < 100; n++) await tell(world, 0, 50_000);
    assert(bufferedFor(frozen) <= brokerLimits.bufferedBytesMax + 51_000, `${bufferedFor(frozen)} bytes`);
    assert.equal(good.takeMessages().length, 100); // The others notice nothing.
    assert(world.counters.get('mqtt.dropped.qos0') > 70);
  };
  it('gets no more QoS 0 than its buffer takes, counted, and the others all of it (hostile D01, D03)', async () => {
    await memoryIsBounded();
    await bites(Connection.prototype, 'hasRoom', { get: () => true }, memoryIsBounded);
  });

  it('is ended after the write deadline, and finds its QoS 1 messages when it is back (hostile D01)', async () => {
    const { world, frozen } = await worldWithReaders();
    for (let n = 0; n < 8; n++) await tell(world, 1, 200_000);
    await world.advance(brokerLimits.writeDeadlineMs - 1_000);
    assert.equal(world.gateway.connections.size, 2);
    await world.advance(3_500);
    assert.equal(world.gateway.connections.size, 1);
    const events = await world.lifecycle();
    assert.equal(events.at(-1)?.disconnectReason, 'SERVER_INITIATED_DISCONNECT');
    assert.equal(events.at(-1)?.clientId, 'frozen');
    assert(frozen.received.length === 0);
    const back = await world.connect('frozen', { cleanStart: false });
    for (let round = 0; round < 8; round++) {
      for (const id of back.unanswered.slice(round)) back.ack(id);
      await world.settle();
    }
    assert.equal(back.takeMessages().length, 8);
  });

  it('is ended when it reads only a trickle, and not when it reads slowly (hostile D02)', async () => {
    const world = await GatewayWorld.start();
    const [trickling, reading] = [new SlowSocket(), new SlowSocket()];
    for (const [socket, thingName] of [
      [trickling, 'one'],
      [reading, 'two'],
    ] as const) {
      world.gateway.accept(socket);
      socket.send(await world.connectPacket(thingName));
      socket.send({ type: 'subscribe', packetId: 1, subscriptions: subscriptionsTo('chat/#') });
    }
    await tell(world, 0, 250_000);
    for (let second = 0; second < 15; second++) {
      trickling.takenBytes += 500;
      reading.takenBytes += 5_000;
      await world.advance(1_000);
    }
    assert.equal(world.gateway.connections.size, 1);
    assert(trickling.isDestroyed && !reading.isDestroyed);
  });

  it('is not ended when it makes progress, however long it stays behind', async () => {
    const { world, frozen } = await worldWithReaders();
    for (let second = 0; second < 40; second++) {
      for (let n = 0; n < 3; n++) await tell(world, 0, 200_000);
      frozen.socket.resume();
      await world.settle();
      frozen.socket.pause();
      frozen.send({ type: 'pingreq' });
      await world.advance(1_000);
    }
    assert(!frozen.isClosed);
    assert(frozen.takeMessages().length > 100);
  });

  it('goes on with what waits as soon as it reads again', async () => {
    const { world, frozen } = await worldWithReaders();
    for (let n = 0; n < 20; n++) await tell(world, 1, 200_000);
    frozen.socket.resume();
    let seen = 0;
    for (let round = 0; round < 30; round++) {
      await world.settle();
      const ids = frozen.unanswered;
      seen += frozen.takeMessages().length;
      for (const id of ids) frozen.ack(id);
    }
    assert.equal(seen, 20);
  });

  it('that asks and asks without reading the answers is not read any further (hostile D01)', async () => {
    const { world, frozen } = await worldWithReaders();
    const pings = Buffer.from('c000'.repeat(100_000), 'hex');
    for (let n = 0; n < 30; n++) {
      frozen.sendBytes(pings);
      for (let turn = 0; turn < 60; turn++) await world.settle();
    }
    assert(bufferedFor(frozen) <= brokerLimits.bufferedAnswersBytesMax + 2 * brokerLimits.packetsPerTurnMax);
    await world.advance(13_000);
    assert.equal(world.gateway.connections.size, 1);
  });
});

/** A peer that takes just as many bytes as the test says. */
class SlowSocket implements Socket {
  readonly remoteAddress = '127.0.0.1';
  takenBytes = 0;
  isDestroyed = false;
  #writtenBytes = 0;
  #events: SocketEvents | undefined;

  get bufferedBytes(): number {
    return Math.max(0, this.#writtenBytes - this.takenBytes);
  }

  start(events: SocketEvents): void {
    this.#events = events;
  }

  send(packet: Packet): void {
    this.#events?.data(encode(packet, 5));
  }

  write(bytes: Uint8Array): void {
    this.#writtenBytes += bytes.length;
  }

  end(): void {
    this.isDestroyed = true;
  }

  destroy(): void {
    this.isDestroyed = true;
  }

  pause(): void {}
  resume(): void {}
}
