/** Hostile inputs of group D against a whole gateway: slow readers, floods, fan-out bombs, and what must come in order. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { testScale } from '../../../test/support.ts';
import { seededRandom } from '../../kernel/random.ts';
import type { Socket, SocketEvents } from '../../kernel/sockets.ts';
import { brokerLimits } from './broker-limits.ts';
import { Connection } from './connection.ts';
import { encode } from './encode.ts';
import { bites, GatewayWorld, publishPacket, subscriptionsTo, type TestClient } from './gateway-world.ts';
import { lasting, openDoor, openWorld } from './hostile-world.ts';
import { type Packet, type PublishPacket, reasonCodes } from './packets.ts';
import { Recipients } from './recipients.ts';
import { RetainedMessages } from './retained-messages.ts';
import { Session } from './session.ts';

function publishes(client: TestClient): PublishPacket[] {
  return client.takeAll().filter(packet => packet.type === 'publish');
}

/** What the server holds for a peer that has not taken it. */
function bufferedFor(client: TestClient): number {
  const { peer } = client.socket as Socket & { peer: Socket }; // As MemorySocket has it.
  return peer.bufferedBytes;
}

/** A peer that takes just as many bytes as the test says. */
class TricklingPeer implements Socket {
  readonly remoteAddress = '192.0.2.7';
  takenBytes = 0;
  writtenBytes = 0;
  isClosed = false;
  #events: SocketEvents | undefined;

  get bufferedBytes(): number {
    return Math.max(0, this.writtenBytes - this.takenBytes);
  }

  start(events: SocketEvents): void {
    this.#events = events;
  }

  send(...packets: Packet[]): void {
    this.#events?.data(Buffer.concat(packets.map(packet => encode(packet, 5))));
  }

  write(bytes: Uint8Array): void {
    this.writtenBytes += bytes.length;
  }

  end(): void {
    this.isClosed = true;
  }

  destroy(): void {
    this.isClosed = true;
  }

  pause(): void {}
  resume(): void {}
}

describe('a subscriber that stops reading', () => {
  for (const qos of [0, 1] as const) {
    const hurtsOnlyItself = async () => {
      const { world, listener } = await openWorld();
      const frozen = await world.connect('frozen', { ...lasting, keepAliveSeconds: 1_200 });
      const good = await Promise.all(
        Array.from({ length: 20 }, (_, n) => world.connect(`good-${n}`, { keepAliveSeconds: 1_200 })),
      );
      for (const client of [frozen, ...good]) client.subscribe('chat/#', { qos });
      await world.settle();
      for (const client of [frozen, ...good]) client.takeAll();
      frozen.socket.pause();
      const sender = await world.connect('sender', { keepAliveSeconds: 1_200 });
      let endedAfterSeconds: number | undefined;
      for (let second = 0; second < 60; second++) {
        for (let n = 0; n < 40; n++) sender.publish('chat/a', Buffer.alloc(4_000), { qos });
        await world.settle();
        const waits = bufferedFor(frozen);
        assert(waits <= brokerLimits.bufferedBytesMax + 5_000, `${waits} bytes wait for it after ${second} s`);
        for (const client of [...good, listener]) {
          assert.equal(
            client.unanswered.length +
              client.received.filter(packet => packet.type === 'publish' && packet.qos === 0).length,
            40,
          );
          for (const id of client.unanswered) client.ack(id);
          client.takeAll();
        }
        await world.advance(1_000);
        if (world.gateway.broker.connectionOf('frozen') === undefined) endedAfterSeconds ??= second;
      }
      assert(
        endedAfterSeconds !== undefined && endedAfterSeconds >= 10 && endedAfterSeconds <= 20,
        `${endedAfterSeconds} s`,
      );
      let waiting = 0;
      for (const client of world.gateway.broker.clients()) {
        if (client.state()?.identity.clientId === 'frozen') waiting = client.state()?.session?.deliveries.length ?? 0;
      }
      if (qos === 0) assert.equal(waiting, 0);
      else
        assert(
          waiting > 900 && waiting <= brokerLimits.queuedMessagesMax + brokerLimits.inflightMax,
          `${waiting} wait`,
        );
      assert(world.counters.get(`mqtt.dropped.qos${qos}`) > 0);
    };
    it(`costs a bounded buffer, then its connection, and nobody else anything, QoS ${qos} (hostile D01, D03)`, async () => {
      await hurtsOnlyItself();
      await bites(brokerLimits, 'writeDeadlineMs', { value: 1e9 }, hurtsOnlyItself);
      if (qos === 0) await bites(Connection.prototype, 'hasRoom', { get: () => true }, hurtsOnlyItself);
    });
  }

  const trickleIsNotEnough = async () => {
    const { world } = await openWorld();
    const [trickling, slow] = [new TricklingPeer(), new TricklingPeer()];
    for (const [peer, clientId] of [
      [trickling, 'trickling'],
      [slow, 'slow'],
    ] as const) {
      world.gateway.accept(peer);
      peer.send(await world.connectPacket(clientId, { keepAliveSeconds: 1_200 }));
      peer.send({ type: 'subscribe', packetId: 1, subscriptions: subscriptionsTo('chat/#') });
    }
    await world.clock.until(world.gateway.publish({ topic: 'chat/a', payload: Buffer.alloc(200_000), qos: 0 }));
    for (let second = 0; second < 30; second++) {
      trickling.takenBytes += 1;
      slow.takenBytes += 1_100;
      await world.advance(1_000);
    }
    assert(trickling.isClosed, 'a byte a second kept it alive');
    assert(!slow.isClosed);
  };
  it('or reads a byte a second is found out, and who is only slow is not (hostile D02)', async () => {
    await trickleIsNotEnough();
    await bites(brokerLimits, 'drainedBytesPerSecondMin', { value: 0 }, trickleIsNotEnough);
  });
});

describe('one publish to very many overlapping subscriptions', () => {
  const oneCopyEach = async (count: number) => {
    const { world } = await openWorld();
    const clients: TestClient[] = [];
    const levels = ['chat', 'a', 'b', 'c', 'd', 'e'];
    const filters: string[] = [];
    // Every way to write + for some of the levels, and # behind the others.
    for (let mask = 0; filters.length < 50; mask++) {
      filters.push(levels.map((level, n) => ((mask >> n) & 1 ? '+' : level)).join('/'));
      if (mask % 5 === 0) filters.push(`${levels.slice(0, 1 + (mask % 6)).join('/')}/${'+/'.repeat(mask / 30)}#`);
    }
    for (let n = 0; n < count; n++) {
      const client = await world.connect(`c-${n}`);
      for (const [index, topicFilter] of filters.entries()) {
        client.send({
          type: 'subscribe',
          packetId: index + 1,
          properties: { subscriptionIdentifier: index + 1 },
          subscriptions: subscriptionsTo(topicFilter, { qos: (index % 3) as 0 | 1 | 2 }),
        });
      }
      clients.push(client);
    }
    await world.settle();
    for (const client of clients) client.takeAll();
    const sender = await world.connect('sender');
    sender.publish(levels.join('/'), 'bomb', { qos: 2 });
    await world.durable();
    const own = clients[0].take('publish');
    assert.equal(own.qos, 2); // The highest of those granted [MQTT5 3.3.4-2].
    const identifiers = [...(own.properties?.subscriptionIdentifiers ?? [])].sort((left, right) => left - right);
    assert(identifiers.length >= 40 && new Set(identifiers).size === identifiers.length, `${identifiers}`);
    for (const client of clients.slice(1)) {
      const [{ properties }, ...more] = publishes(client);
      assert.deepEqual(more, []);
      assert.deepEqual(
        [...(properties?.subscriptionIdentifiers ?? [])].sort((left, right) => left - right),
        identifiers,
      ); // [MQTT5 3.3.4-3]
    }
  };
  it('is one copy for each client, with the identifiers of all that match (hostile D04)', async () => {
    await oneCopyEach(1_000);
    const { add } = Recipients.prototype;
    const forgets: typeof add = function (this: Recipients, routeNo, session, ...more) {
      session.routeNo = 0;
      add.call(this, routeNo, session, ...more);
    };
    await bites(Recipients.prototype, 'add', { value: forgets, writable: true }, () => oneCopyEach(20));
  });

  const turnsAreLeftToOthers = async () => {
    const world = await GatewayWorld.start({ access: openDoor() });
    let written = 0;
    let writtenInTurn = 0;
    let mostInTurn = 0;
    class Peer extends TricklingPeer {
      override write(bytes: Uint8Array): void {
        super.write(bytes);
        this.takenBytes = this.writtenBytes;
        written++;
        writtenInTurn++;
        mostInTurn = Math.max(mostInTurn, writtenInTurn);
      }
    }
    const connect = await world.connectPacket('one');
    for (let n = 0; n < 3_000; n++) {
      const peer = new Peer();
      world.gateway.accept(peer);
      peer.send(
        { ...connect, clientId: `c-${n}` },
        { type: 'subscribe', packetId: 1, subscriptions: subscriptionsTo('chat/a') },
      );
    }
    await world.advance(900); // Nothing else goes on then.
    [written, writtenInTurn, mostInTurn] = [0, 0, 0];
    const eachTurn = () => {
      writtenInTurn = 0;
      if (written < 3_000) world.clock.soon(eachTurn);
    };
    world.clock.soon(eachTurn);
    void world.gateway.publish({ topic: 'chat/a', payload: Buffer.from('x'), qos: 0 });
    await world.settle();
    assert.equal(written, 3_000);
    assert(mostInTurn <= 1_100, `${mostInTurn} connections in one turn`);
  };
  it('is written in several turns, in which others have theirs (hostile D04)', turnsAreLeftToOthers);
});

describe('retained messages', () => {
  it("beyond their number or bytes are refused and told so, and evict nobody else's (hostile D06)", async () => {
    const holds = async (change: object, kept: number) => {
      const limits = { ...brokerLimits, ...change };
      const { world } = await openWorld({}, { limits });
      const own = await world.connect('own');
      own.publish('own/state', 'mine', { retain: true });
      await world.durable();
      for (const protocolVersion of [5, 4] as const) {
        const flooding = await world.connect('flooding', { protocolVersion });
        for (let n = 0; n < 500; n++) {
          flooding.publish(`flood/${protocolVersion}/${n}`, 'x'.repeat(100), {
            retain: true,
            qos: ((n % 2) + 1) as 1 | 2,
            packetId: n + 1,
          });
          if (n % 50 === 49) await world.durable();
        }
        const codes = flooding
          .takeAll()
          .map(packet => (packet.type === 'puback' || packet.type === 'pubrec') && packet.reasonCode);
        const refused = protocolVersion === 5 ? 500 - kept : 0; // 3.1.1 has no word for it: delivered, not kept, counted.
        assert.equal(codes.filter(code => code === reasonCodes.quotaExceeded).length, refused);
        assert.equal(codes.length, 500);
      }
      assert.equal(world.gateway.router.retained.size, kept + 1);
      assert.equal(world.counters.get('mqtt.refused.retained'), 1_000 - kept);
      const reader = await world.connect('reader');
      reader.subscribe('own/#');
      await world.durable();
      assert.deepEqual(reader.takeMessages(), ['mine']);
    };
    const retainedBytesMax = 10_000;
    await holds({ retainedMessagesMax: 101 }, 100);
    await holds({ retainedBytesMax }, 85);
    const { set } = RetainedMessages.prototype;
    const boundless: typeof set = function (this: RetainedMessages, message) {
      return set.call(this, { ...message, bytes: 0 });
    };
    await bites(RetainedMessages.prototype, 'set', { value: boundless, writable: true }, () =>
      holds({ retainedBytesMax }, 85),
    );
  });

  const replayKeepsToTheWindow = async () => {
    const { world } = await openWorld();
    const count = testScale(1_000, 100_000);
    const sender = await world.connect('sender');
    for (let n = 0; n < count; n++) {
      sender.publish(`chat/${n}`, `${n}`, { qos: 1, retain: true, packetId: (n % 60_000) + 1 });
      if (n % 500 === 499) await world.durable();
    }
    await world.durable();
    const readers: TestClient[] = [];
    for (let n = 0; n < 10; n++)
      readers.push(
        await world.connect(`reader-${n}`, { ...lasting, properties: { ...lasting.properties, receiveMaximum: 10 } }),
      );
    for (const reader of readers) reader.subscribe('#');
    await world.settle();
    const seen = readers.map(() => new Set<string>());
    for (let round = 0; seen.some(({ size }) => size < count); round++) {
      assert(round < count, 'not all came');
      for (const [index, reader] of readers.entries()) {
        const ids = reader.unanswered;
        assert(ids.length <= 10, `${ids.length} in flight`);
        for (const message of reader.takeMessages()) seen[index].add(message);
        for (const id of ids) reader.ack(id);
      }
      const waiting = [...world.gateway.broker.clients()].flatMap(client => client.state()?.session?.deliveries ?? []);
      assert(waiting.length <= 10 * 10, `${waiting.length} messages wait for readers`); // Streamed, not copied.
      if (round % 50 === 0) {
        sender.takeAll();
        sender.send({ type: 'pingreq' });
      }
      await world.settle();
      if (round % 50 === 0) sender.take('pingresp'); // Other traffic goes on.
    }
  };
  it('come to a subscriber of # at the pace of its window, whatever their number (hostile D07)', async () => {
    await replayKeepsToTheWindow();
    const { replay } = Session.prototype;
    const copies: typeof replay = function (this: Session, { next, deliver }) {
      for (let message = next(); message; message = next()) if (message !== 'later') deliver(message);
    };
    await bites(Session.prototype, 'replay', { value: copies, writable: true }, replayKeepsToTheWindow);
  });

  it('do not go on coming after UNSUBSCRIBE (hostile D07) [MQTT311 3.10.4-2] [MQTT5 3.10.4-2]', async () => {
    const { world } = await openWorld();
    const sender = await world.connect('sender');
    for (let n = 0; n < 50; n++) sender.publish(`chat/${n}`, `${n}`, { qos: 1, retain: true });
    await world.durable();
    const reader = await world.connect('reader', { properties: { receiveMaximum: 5 } });
    reader.subscribe('chat/#');
    await world.settle();
    const ids = reader.unanswered;
    assert.equal(ids.length, 5);
    reader.takeAll();
    reader.send({ type: 'unsubscribe', packetId: 9, topicFilters: ['chat/#'] });
    for (const id of ids) reader.ack(id);
    await world.settle();
    reader.take('unsuback');
    assert.deepEqual(reader.takeMessages(), []);
    reader.subscribe('chat/1'); // What was begun does not stand in the way of another.
    await world.settle();
    assert.deepEqual(reader.takeMessages(), ['1']);
  });
});

describe('a client that subscribes again and again', () => {
  const isOneReplay = async () => {
    const { world } = await openWorld();
    const sender = await world.connect('sender');
    for (let n = 0; n < 10; n++) sender.publish(`chat/${n}`, `${n}`, { qos: 1, retain: true });
    await world.durable();
    const reader = await world.connect('reader', { properties: { receiveMaximum: 1 } });
    for (let n = 0; n < 1_000; n++) reader.subscribe('chat/#');
    await world.settle();
    const seen: string[] = [];
    for (let round = 0; round < 100; round++) {
      for (const id of reader.unanswered) reader.ack(id);
      seen.push(...reader.takeMessages());
      await world.settle();
    }
    assert(seen.length <= 12, `${seen.length} messages`); // What was under way, and then each once.
    assert.equal(new Set(seen).size, 10);
  };
  it('and takes nothing has one replay of retained messages, not as many as it asked for (hostile D07)', async () => {
    await isOneReplay();
    const { replay } = Session.prototype;
    let filters = 0;
    const beside: typeof replay = function (this: Session, one) {
      const subscription = { ...one.subscription, topicFilter: `another/${filters++}` };
      this.subscriptions.set(subscription.topicFilter, subscription);
      replay.call(this, { ...one, next: () => one.next(), deliver: message => one.deliver(message), subscription });
    };
    await bites(Session.prototype, 'replay', { value: beside, writable: true }, isOneReplay);
  });
});

describe('a producer that is faster than the disk', () => {
  const isSlowedDown = async () => {
    const world = await GatewayWorld.start();
    world.disk.latencyMs = 500;
    const client = await world.connect('one');
    const count = 20_000;
    const sent = (n: number) => publishPacket('dt/app/one/reading', `${n}`.padEnd(500), { packetId: (n % 60_000) + 1 });
    for (let n = 0; n < count; n += 1_000) client.send(...Array.from({ length: 1_000 }, (_, m) => sent(n + m)));
    let acked = 0;
    let most = 0;
    for (let round = 0; acked < count && round < 500; round++) {
      await world.advance(100);
      const taken = world.counters.get('mqtt.published');
      const answers = client.takeAll();
      most = Math.max(most, taken - acked); // Before the answers of this round were known.
      acked += answers.length;
      assert(answers.every(packet => packet.type === 'puback' && packet.reasonCode === 0));
    }
    assert.equal(acked, count);
    assert(most <= 2_000, `${most} taken and not acknowledged`);
    assert.equal((await world.telemetry()).length, count);
  };
  it('is read no faster than what it sends becomes durable, and loses nothing (hostile D10)', async () => {
    await isSlowedDown();
    await bites(brokerLimits, 'unacknowledgedMax', { value: Number.POSITIVE_INFINITY }, isSlowedDown);
  });
});

describe('the order of messages', () => {
  /** Two publishers, two topics, one reader, and power cuts: QoS 1 and 2 each in order, repetitions only with DUP. */
  const isKept = async () => {
    const seed = Number(process.env.SEED ?? 20_261_211);
    const random = seededRandom(seed);
    const world = await GatewayWorld.start({ durable: true });
    const last = new Map<string, number>();
    const repeated = new Set<string>();
    const seen = new Set<string>();
    let next = 1;
    const owed = new Map<number, PublishPacket>();
    let sender: TestClient | undefined;
    let reader: TestClient | undefined;
    const connect = async () => {
      reader = await world.connect('reader', lasting);
      if (!reader.connack?.sessionPresent) reader.subscribe('chat/#', { qos: 1 });
      sender = await world.connect('sender', lasting);
      for (const packet of owed.values()) sender.send({ ...packet, dup: true });
    };
    const read = () => {
      for (const packet of sender?.takeAll() ?? []) if (packet.type === 'puback') owed.delete(packet.packetId);
      for (const packet of reader?.takeAll() ?? []) {
        if (packet.type !== 'publish') continue;
        const { topic } = packet;
        const text = Buffer.from(packet.payload).toString();
        const number = Number(text);
        if (seen.has(text)) repeated.add(text);
        else {
          assert(number > (last.get(topic) ?? 0), `${number} behind ${last.get(topic)} on ${topic}, seed ${seed}`);
          last.set(topic, number);
        }
        seen.add(text);
        if (random.integer(4) > 0) reader?.ack(packet.packetId);
      }
    };
    await connect();
    for (let round = 0; round < 150; round++) {
      for (let n = random.integer(6); n > 0 && owed.size < 100; n--) {
        const packet = publishPacket(`chat/${random.integer(2)}`, `${next}`, { packetId: (next % 60_000) + 1 });
        next++;
        owed.set(packet.packetId, packet);
        sender?.send(packet);
      }
      await world.advance(random.integer(10));
      read();
      if (random.integer(10) > 0) continue;
      if (random.integer(2) === 0) await world.powerCut();
      else reader?.cut();
      await world.settle();
      await connect();
      await world.settle();
    }
    for (let round = 0; round < 400 && (owed.size > 0 || round < 300); round++) {
      if (round % 50 === 0) await connect();
      await world.durable();
      read();
    }
    assert.equal(owed.size, 0);
    assert.equal(seen.size, next - 1);
    assert(repeated.size > 0); // Otherwise the cuts came too late to mean anything.
  };
  it('of one publisher on one topic is kept over cuts and restarts, and nothing is missing (hostile D11)', async () => {
    await isKept();
    const { resume } = Session.prototype;
    const forgets: typeof resume = function (this: Session, nowMs) {
      this.pump(nowMs);
    };
    await bites(Session.prototype, 'resume', { value: forgets, writable: true }, isKept);
  });
});

describe('what expires', () => {
  const isGoneUnread = async () => {
    const { world, listener } = await openWorld();
    const away = await world.connect('away', lasting);
    away.subscribe('chat/#', { qos: 1 });
    await world.settle();
    away.cut();
    const sender = await world.connect('sender', { keepAliveSeconds: 1_200 });
    for (let n = 0; n < 300; n++) {
      const properties = n % 3 === 0 ? {} : { messageExpiryIntervalSeconds: n % 3 === 1 ? 1 : 3_000 };
      sender.publish(`chat/${n}`, `${n}`, { qos: n % 2 === 0 ? 1 : 2, retain: true, packetId: n + 1, properties });
    }
    await world.durable();
    const waiting = () =>
      [...world.gateway.broker.clients()]
        .flatMap(client => client.state()?.session?.deliveries ?? [])
        .filter(({ message }) => message.topic.startsWith('chat/')).length;
    const before = waiting();
    listener.takeAll();
    await world.advance(3_500);
    assert.equal(before - waiting(), 100); // Nobody has come for them.
    assert.equal(world.gateway.router.retained.size, 200);
    const back = await world.connect('away', lasting);
    back.subscribe('chat/#', { qos: 0 });
    const seen: PublishPacket[] = [];
    for (let round = 0; round < 10; round++) {
      await world.settle();
      for (const id of back.unanswered) back.ack(id);
      seen.push(...publishes(back));
    }
    assert.equal(seen.length, 400); // Those that waited, and those that are retained.
    for (const { payload, properties } of seen) {
      const kind = Number(Buffer.from(payload).toString()) % 3;
      assert.notEqual(kind, 1);
      const left = properties?.messageExpiryIntervalSeconds;
      assert(kind === 0 ? left === undefined : left !== undefined && left >= 2_990 && left <= 2_998, `${left} s left`);
    }
  };
  it('is removed from queues and retained messages without being touched by a reader (hostile D12)', async () => {
    await isGoneUnread();
    await bites(Session.prototype, 'dropExpired', { value: () => {}, writable: true }, isGoneUnread);
    await bites(RetainedMessages.prototype, 'dropExpired', { value: () => 0, writable: true }, isGoneUnread);
  });

  const willsKeepTheirTime = async () => {
    const { world, listener } = await openWorld();
    const will = (willDelayIntervalSeconds: number, messageExpiryIntervalSeconds: number) => ({
      topic: 'will/one',
      payload: Buffer.from(`${willDelayIntervalSeconds}`),
      qos: 1 as const,
      retain: true,
      properties: { willDelayIntervalSeconds, messageExpiryIntervalSeconds },
    });
    (await world.connect('one', { ...lasting, will: will(10, 5) })).cut();
    await world.advance(9_000);
    assert.deepEqual(listener.takeMessages(), []);
    await world.advance(2_500);
    const [seen] = publishes(listener);
    assert.equal(seen.properties?.messageExpiryIntervalSeconds, 5); // It counts from when the will is published.
    assert.equal(seen.properties !== undefined && 'willDelayIntervalSeconds' in seen.properties, false);
    assert.equal(world.gateway.router.retained.size, 1);
    await world.advance(7_000);
    assert.equal(world.gateway.router.retained.size, 0);
  };
  it('may be a delayed will: late, not early, and gone when its own time is over (hostile D12)', async () => {
    await willsKeepTheirTime();
    await bites(RetainedMessages.prototype, 'dropExpired', { value: () => 0, writable: true }, willsKeepTheirTime);
  });
});
