import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { GatewayWorld, publishPacket } from '../gateway-world.ts';
import { type Packet, reasonCodes } from '../packets.ts';
import { keptSession, takePublishes, versions, worldWithSubscriber } from './both-versions.ts';

/** Chapters 3.3 to 3.7, 4.3 to 4.6 and 4.9: how messages are taken and handed on. */

const numbers = (count: number) => Array.from({ length: count }, (_, n) => `${n}`);
const pubackIds = (packets: readonly Packet[]) =>
  packets.flatMap(packet => (packet.type === 'puback' ? [packet.packetId] : []));

describe('PUBLISH from a client', () => {
  for (const version of versions) {
    it(`is answered as its QoS asks, with its packet id, MQTT ${version} [MQTT311 2.3.1-6, 3.3.4-1, 4.3.2-2] [MQTT5 2.2.1-5, 3.3.4-1, 4.3.2-4]`, async () => {
      const world = await GatewayWorld.start();
      const client = await world.connect('one', { protocolVersion: version });
      const publish = (qos: 0 | 1, packetId: number) => publishPacket('chat/a', 'x', { qos, packetId });
      client.send(publish(0, 0), publish(1, 513), publish(0, 0), publish(1, 65_535));
      await world.durable();
      assert.deepEqual(pubackIds(client.received), [513, 65_535]);
      assert.equal(client.received.length, 2);
    });

    it(`is a new message when its packet id comes again behind PUBACK, DUP or not, MQTT ${version} [MQTT311 4.3.2-2] [MQTT5 4.3.2-5]`, async () => {
      const { world, client } = await worldWithSubscriber();
      const publisher = await world.connect('two', { protocolVersion: version });
      for (const [text, dup] of [
        ['first', false],
        ['second', false],
        ['third', true],
      ] as const) {
        publisher.send(publishPacket('chat/a', text, { packetId: 7, dup }));
        await world.durable();
        assert.deepEqual(pubackIds(publisher.takeAll()), [7]);
      }
      assert.deepEqual(client.takeMessages(), ['first', 'second', 'third']);
    });

    it(`with a wildcard in its topic reaches nobody, MQTT ${version} [MQTT311 3.3.2-2, 4.7.1-1] [MQTT5 3.3.2-2, 4.7.0-1]`, async () => {
      const { world, client } = await worldWithSubscriber();
      for (const topic of ['chat/#', 'chat/+', 'chat/+/x']) {
        const publisher = await world.connect('two', { protocolVersion: version });
        const field = Buffer.concat([Buffer.from([0, topic.length]), Buffer.from(topic)]);
        const body = version === 5 ? Buffer.concat([field, Buffer.from([0])]) : field;
        publisher.sendBytes(Buffer.concat([Buffer.from([0x30, body.length]), body]));
        await world.settle();
        if (version === 5) assert.equal(publisher.take('disconnect').reasonCode, reasonCodes.topicNameInvalid);
        assert(publisher.isClosed);
      }
      assert.deepEqual(client.received, []);
    });

    it(`that is not authorized is acknowledged or ends the connection, and reaches nobody, MQTT ${version} [MQTT311 3.3.5-2]`, async () => {
      const world = await GatewayWorld.start();
      const listener = await world.connect('listener');
      listener.subscribe('will/+');
      const client = await world.connect('one', { protocolVersion: version });
      await world.settle();
      listener.takeAll();
      client.publish('will/another', 'x');
      await world.durable();
      assert(client.isClosed || pubackIds(client.received).length === 1);
      assert.deepEqual(listener.received, []);
    });
  }
});

describe('a message handed on', () => {
  for (const version of versions) {
    it(`goes to those whose filters match, under its own topic, MQTT ${version} [MQTT311 3.3.2-3] [MQTT5 3.3.2-3]`, async () => {
      const world = await GatewayWorld.start();
      const sender = await world.connect('sender');
      const client = await world.connect('one', { protocolVersion: version });
      client.subscribe(['chat/+/x', 'chat/room/#']);
      await world.settle();
      client.takeAll();
      for (const topic of ['chat/a/x', 'chat/x', 'chat/a/b/x', 'chat/room', 'chat/room/a/b', 'chat/roomy', 'chat//x'])
        sender.publish(topic, topic);
      await world.durable();
      const seen = takePublishes(client).map(({ topic, payload }) => [topic, payload.toString()]);
      const expected = ['chat/a/x', 'chat/room', 'chat/room/a/b', 'chat//x'];
      assert.deepEqual(
        seen,
        expected.map(topic => [topic, topic]),
      );
    });

    it(`with QoS 0 has DUP 0 and no packet id, MQTT ${version} [MQTT311 2.3.1-5, 3.3.1-2, 4.3.1-1] [MQTT5 2.2.1-2, 3.3.1-2, 4.3.1-1]`, async () => {
      const { world, sender, client } = await worldWithSubscriber({ protocolVersion: version });
      sender.publish('chat/a', 'x', { qos: 0 });
      await world.settle();
      const { qos, dup, packetId } = client.take('publish');
      assert.deepEqual({ qos, dup, packetId }, { qos: 0, dup: false, packetId: 0 });
    });

    it(`with QoS 1 has a packet id that is free and DUP 0, whatever DUP its publisher said, MQTT ${version} [MQTT311 2.3.1-1, 2.3.1-4, 3.3.1-3, 4.3.2-1] [MQTT5 2.2.1-4, 3.3.1-3, 4.3.2-1, 4.3.2-2]`, async () => {
      const { world, sender, client } = await worldWithSubscriber({ protocolVersion: version });
      const seen = new Set<number>();
      for (let n = 0; n < 50; n++) {
        sender.publish('chat/a', 'x', { packetId: 1, dup: n % 2 === 1 });
        await world.durable();
        const { qos, dup, packetId } = client.take('publish');
        assert.deepEqual({ qos, dup }, { qos: 1, dup: false });
        assert(packetId > 0 && !seen.has(packetId));
        seen.add(packetId); // None of them is acknowledged.
      }
    });

    it(`with QoS 1 is unacknowledged until PUBACK, and sent again only to a resumed session, MQTT ${version} [MQTT311 3.3.1-1, 4.3.2-1, 4.4.0-1] [MQTT5 3.3.1-1, 4.3.2-3, 4.4.0-1]`, async () => {
      const options = { ...keptSession(version), keepAliveSeconds: 1_000 };
      const { world, sender, client } = await worldWithSubscriber(options);
      for (const text of ['a', 'b', 'c']) sender.publish('chat/x', text);
      await world.durable();
      const first = takePublishes(client);
      client.ack(first[1].packetId);
      await world.advance(900_000);
      assert.deepEqual(client.received, []); // Time alone repeats nothing.
      client.cut();
      await world.settle();
      const again = takePublishes(await world.connect('one', options));
      const asSent = (packets: typeof first) => packets.map(({ payload, packetId }) => [payload.toString(), packetId]);
      assert.deepEqual(asSent(again), asSent([first[0], first[2]]));
      assert(again.every(({ dup, qos }) => dup && qos === 1));
    });

    it(`is added to the sessions of all who asked for it, there or not, MQTT ${version} [MQTT311 3.1.2-5, 4.5.0-1] [MQTT5 4.5.0-1]`, async () => {
      const { world, sender, client } = await worldWithSubscriber(keptSession(version));
      const away = await world.connect('two', keptSession(version));
      away.subscribe(['chat/a', 'chat/b']);
      await world.settle();
      away.cut();
      await world.settle();
      for (const topic of ['chat/a', 'chat/b', 'chat/c']) sender.publish(topic, topic);
      await world.durable();
      assert.deepEqual(client.takeMessages(), ['chat/a', 'chat/b', 'chat/c']);
      assert.deepEqual((await world.connect('two', keptSession(version))).takeMessages(), ['chat/a', 'chat/b']);
    });

    it(`keeps its place among those of its publisher, also when sent again, MQTT ${version} [MQTT311 4.6.0-1, 4.6.0-5, 4.6.0-6] [MQTT5 4.6.0-5, 4.6.0-6]`, async () => {
      const { world, sender, client } = await worldWithSubscriber(keptSession(version));
      const all = numbers(60);
      for (const text of all.slice(0, 20)) sender.publish('chat/a', text);
      await world.durable();
      assert.deepEqual(client.takeMessages(), all.slice(0, 20));
      client.cut();
      await world.settle();
      for (const text of all.slice(20, 40)) sender.publish('chat/a', text);
      await world.durable();
      const back = await world.connect('one', keptSession(version));
      for (const text of all.slice(40)) sender.publish('chat/a', text);
      await world.durable();
      const seen: string[] = [];
      while (back.received.length > 0) {
        const ids = back.unanswered;
        seen.push(...back.takeMessages());
        for (const id of ids) back.ack(id);
        await world.settle();
      }
      assert.deepEqual(seen, all);
    });

    it(`is delivered at the highest QoS of overlapping subscriptions, MQTT ${version} [MQTT311 3.3.5-1] [MQTT5 3.3.4-2]`, async () => {
      const world = await GatewayWorld.start();
      const sender = await world.connect('sender');
      const client = await world.connect('one', { protocolVersion: version });
      client.subscribe('chat/#', { qos: 0 });
      client.subscribe('chat/+', { qos: 1 });
      client.subscribe('chat/a', { qos: 0 });
      await world.settle();
      client.takeAll();
      sender.publish('chat/a', 'x');
      await world.durable();
      const qos = takePublishes(client).map(packet => packet.qos);
      assert.equal(Math.max(...qos), 1);
    });
  }

  it('brings its properties unchanged, user properties in their order [MQTT5 3.3.2-4, 3.3.2-15 … 3.3.2-18, 3.3.2-20]', async () => {
    const { world, sender, client } = await worldWithSubscriber();
    const properties = {
      payloadFormatIndicator: 1,
      contentType: 'text/plain; charset=é',
      responseTopic: 'somewhere/else',
      correlationData: Buffer.from([0, 255, 0]),
      userProperties: [
        ['b', '2'],
        ['a', '1'],
        ['b', '1'],
        ['', ''],
      ],
    } as const;
    sender.publish('chat/a', 'x', { properties });
    await world.durable();
    assert.deepEqual(client.take('publish').properties, properties);
  });

  it('says how much of its expiry interval is left, and is gone when nothing is [MQTT5 3.3.2-5, 3.3.2-6]', async () => {
    const { world, sender, client } = await worldWithSubscriber(keptSession(5));
    client.cut();
    await world.settle();
    for (const seconds of [10, 60]) {
      sender.publish('chat/a', `${seconds}`, { properties: { messageExpiryIntervalSeconds: seconds } });
    }
    await world.advance(20_000);
    const back = await world.connect('one', keptSession(5));
    const [message, ...more] = takePublishes(back);
    assert.equal(message.payload.toString(), '60');
    assert.equal(message.properties?.messageExpiryIntervalSeconds, 40);
    assert.deepEqual(more, []);
  });

  it('is not sent again when it was refused with PUBACK of 0x80 or more [MQTT5 4.4.0-2]', async () => {
    const { world, sender, client } = await worldWithSubscriber(keptSession(5));
    sender.publish('chat/a', 'refused');
    await world.durable();
    const { packetId } = client.take('publish');
    client.send({ type: 'puback', packetId, reasonCode: reasonCodes.notAuthorized });
    await world.settle();
    client.cut();
    assert.deepEqual((await world.connect('one', keptSession(5))).received, []);
  });
});

describe('Receive Maximum', () => {
  it('bounds what is unacknowledged, and holds up nothing else [MQTT5 3.3.4-9, 3.3.4-10, 4.9.0-1 … 4.9.0-3]', async () => {
    const { world, sender, client } = await worldWithSubscriber({ properties: { receiveMaximum: 3 } });
    for (const text of numbers(10)) sender.publish('chat/a', text);
    await world.durable();
    const ids = client.unanswered;
    assert.deepEqual(client.takeMessages(), ['0', '1', '2']); // More than none, and no more than three.
    sender.publish('chat/a', 'QoS 0', { qos: 0 });
    client.publish('chat/b', 'own');
    client.subscribe('chat/b', { qos: 0 });
    client.send({ type: 'pingreq' });
    await world.durable();
    const types = client.takeAll().map(({ type }) => type);
    for (const type of ['puback', 'suback', 'pingresp'] as const) assert(types.includes(type), type);
    client.ack(ids[1]);
    await world.settle();
    assert.deepEqual(client.takeMessages(), ['3']); // One room, one message.
  });
});

describe('QoS 2 from a client', () => {
  for (const version of versions) {
    it(`is delivered once however often it comes until PUBREL, MQTT ${version} [MQTT311 2.3.1-6, 3.3.4-1, 4.3.3-2] [MQTT5 2.2.1-5, 3.3.4-1, 4.3.3-8, 4.3.3-10 … 4.3.3-12]`, async () => {
      const { world, client } = await worldWithSubscriber({}, 2);
      const publisher = await world.connect('two', { protocolVersion: version });
      const publish = (text: string, dup: boolean) =>
        publisher.send(publishPacket('chat/a', text, { qos: 2, packetId: 5, dup }));
      publish('once', false);
      await world.durable();
      assert.equal(publisher.take('pubrec').packetId, 5);
      publish('once', true);
      await world.durable();
      assert.equal(publisher.take('pubrec').packetId, 5);
      publisher.send({ type: 'pubrel', packetId: 5, reasonCode: 0 });
      await world.durable();
      assert.equal(publisher.take('pubcomp').packetId, 5);
      publish('another', false);
      await world.durable();
      assert.equal(publisher.take('pubrec').packetId, 5);
      assert.deepEqual(client.takeMessages(), ['once', 'another']);
    });
  }

  it('goes on to PUBCOMP when the message has expired meanwhile [MQTT5 4.3.3-13]', async () => {
    const { world, client } = await worldWithSubscriber({ keepAliveSeconds: 1_000 }, 2);
    const publisher = await world.connect('two', { keepAliveSeconds: 1_000 });
    const properties = { messageExpiryIntervalSeconds: 5 };
    publisher.send(publishPacket('chat/a', 'x', { qos: 2, packetId: 5, properties }));
    await world.durable();
    assert.equal(publisher.take('pubrec').reasonCode, 0);
    await world.advance(60_000);
    publisher.send({ type: 'pubrel', packetId: 5, reasonCode: 0 });
    await world.durable();
    assert.equal(publisher.take('pubcomp').packetId, 5);
    assert.deepEqual(client.takeMessages(), ['x']); // It was delivered before that.
  });

  it('is a new message behind PUBREC of 0x80 or more [MQTT5 4.3.3-9]', async () => {
    const world = await GatewayWorld.start();
    const client = await world.connect('one');
    for (let round = 0; round < 2; round++) {
      client.send(publishPacket('forbidden', 'x', { qos: 2, packetId: 5 }));
      await world.durable();
      assert.equal(client.take('pubrec').reasonCode, reasonCodes.notAuthorized);
    }
    client.send(publishPacket('chat/a', 'x', { qos: 2, packetId: 5 }));
    await world.durable();
    assert.equal(client.take('pubrec').reasonCode, 0);
  });
});

describe('QoS 2 with little room', () => {
  it('is answered also to who takes only the smallest packets [MQTT5 3.5.2-2, 3.5.2-3, 3.6.2-2, 3.6.2-3, 3.7.2-2, 3.7.2-3]', async () => {
    const measured = await (await GatewayWorld.start()).connect('one');
    const { byteLength: connackBytes = 0 } = measured.connack as { byteLength?: number }; // As the decoder gives it.
    const byteLength = Math.max(connackBytes, 14); // 14: the PUBLISH below
    const properties = { maximumPacketSizeBytes: byteLength };
    const { world, sender, client } = await worldWithSubscriber({ properties }, 2);
    client.publish('forbidden', 'x', { qos: 2 });
    client.publish('will/one', 'x', { qos: 2, packetId: 9 });
    sender.publish('chat/a', 'x', { qos: 2 });
    await world.durable();
    const [{ packetId }] = client.received.filter(({ type }) => type === 'publish') as { packetId: number }[];
    client.send({ type: 'pubrec', packetId, reasonCode: 0 }, { type: 'pubrec', packetId: 999, reasonCode: 0 });
    client.send({ type: 'pubrel', packetId: 9, reasonCode: 0 }, { type: 'pubrel', packetId: 998, reasonCode: 0 });
    await world.durable();
    const types = client.received.map(({ type }) => type).sort();
    const answers = ['pubcomp', 'pubcomp', 'publish', 'pubrec', 'pubrec', 'pubrel', 'pubrel'];
    assert.deepEqual(types, answers);
    for (const packet of client.received)
      assert(((packet as { byteLength?: number }).byteLength ?? Infinity) <= byteLength);
  });
});

describe('QoS 2 to a client', () => {
  for (const version of versions) {
    it(`goes PUBLISH, PUBREC, PUBREL, PUBCOMP under one packet id, MQTT ${version} [MQTT311 2.3.1-4, 4.3.3-1] [MQTT5 2.2.1-4, 4.3.3-1 … 4.3.3-4]`, async () => {
      const { world, sender, client } = await worldWithSubscriber({ protocolVersion: version }, 2);
      sender.publish('chat/a', 'first', { qos: 2 });
      sender.publish('chat/a', 'second', { qos: 2 });
      await world.durable();
      const [first, second] = takePublishes(client);
      assert.deepEqual([first.qos, first.dup, second.qos, second.dup], [2, false, 2, false]);
      assert(first.packetId > 0 && second.packetId > 0 && first.packetId !== second.packetId);
      client.send({ type: 'pubrec', packetId: first.packetId, reasonCode: 0 });
      await world.durable();
      assert.equal(client.take('pubrel').packetId, first.packetId);
      client.send({ type: 'pubcomp', packetId: first.packetId, reasonCode: 0 });
      await world.durable();
      assert.deepEqual(client.received, []);
    });

    it(`is taken up where it stopped: PUBLISH before PUBREC, only PUBREL behind it, MQTT ${version} [MQTT311 4.3.3-1, 4.4.0-1] [MQTT5 4.3.3-3, 4.3.3-5, 4.3.3-6, 4.4.0-1]`, async () => {
      const { world, sender, client } = await worldWithSubscriber(keptSession(version), 2);
      for (const text of ['released', 'sent', 'done']) sender.publish('chat/a', text, { qos: 2 });
      await world.durable();
      const [released, sent, done] = takePublishes(client);
      for (const { packetId } of [released, done]) client.send({ type: 'pubrec', packetId, reasonCode: 0 });
      await world.durable();
      client.send({ type: 'pubcomp', packetId: done.packetId, reasonCode: 0 });
      await world.durable();
      client.cut();
      await world.settle();
      const back = await world.connect('one', keptSession(version));
      await world.durable();
      const seen = back.received.map(packet => [packet.type, 'packetId' in packet && packet.packetId]);
      assert.deepEqual(seen.toSorted(), [
        ['publish', sent.packetId],
        ['pubrel', released.packetId],
      ]);
      assert(takePublishes(back).every(({ dup }) => dup));
    });
  }

  it('does not expire between PUBLISH and PUBCOMP [MQTT5 4.3.3-7]', async () => {
    const options = { ...keptSession(5), keepAliveSeconds: 1_000 };
    const { world, sender, client } = await worldWithSubscriber(options, 2);
    sender.publish('chat/a', 'x', { qos: 2, properties: { messageExpiryIntervalSeconds: 10 } });
    await world.durable();
    const { packetId } = client.take('publish');
    await world.advance(60_000);
    client.cut();
    await world.settle();
    const back = await world.connect('one', options);
    const [again] = takePublishes(back);
    assert.equal(again.packetId, packetId);
    back.send({ type: 'pubrec', packetId, reasonCode: 0 });
    await world.durable();
    assert.equal(back.take('pubrel').packetId, packetId);
  });

  it('ends with PUBREC of 0x80 or more [MQTT5 4.4.0-2]', async () => {
    const { world, sender, client } = await worldWithSubscriber(keptSession(5), 2);
    sender.publish('chat/a', 'x', { qos: 2 });
    await world.durable();
    const { packetId } = client.take('publish');
    client.send({ type: 'pubrec', packetId, reasonCode: reasonCodes.notAuthorized });
    await world.durable();
    assert.deepEqual(client.received, []);
    client.cut();
    await world.settle();
    assert.deepEqual((await world.connect('one', keptSession(5))).received, []);
  });
});
