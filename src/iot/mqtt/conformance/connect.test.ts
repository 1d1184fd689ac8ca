import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { encode } from '../encode.ts';
import { GatewayWorld, publishPacket, subscriptionsTo } from '../gateway-world.ts';
import { type ProtocolVersion, reasonCodes } from '../packets.ts';
import { keptSession, takePublishes, versions, worldWithSubscriber } from './both-versions.ts';

/** Chapters 3.1 and 3.2: who comes in, and what is said to whom. */

const nameAt = 4; // Behind the fixed header and the length of the name.
const levelAt = 8;
const flagsAt = 9;

async function connectBytes(world: GatewayWorld, version: ProtocolVersion): Promise<Buffer> {
  const packet = await world.connectPacket('one', { protocolVersion: version });
  return Buffer.from(encode(packet, version));
}

/** What a stranger with these bytes gets, closed or not. */
async function answerTo(world: GatewayWorld, bytes: Uint8Array, version: ProtocolVersion) {
  const client = await world.socket(version);
  client.sendBytes(bytes);
  await world.settle();
  return { isClosed: client.isClosed, packets: client.takeAll() };
}

const isSuccess = (packet: { type: string; reasonCode?: number }) =>
  packet.type === 'connack' && packet.reasonCode === 0;

describe('CONNECT', () => {
  for (const version of versions) {
    it(`must come first, MQTT ${version} [MQTT311 3.1.0-1] [MQTT5 3.1.0-1]`, async () => {
      const world = await GatewayWorld.start();
      for (const bytes of [encode({ type: 'pingreq' }, version), encode(publishPacket('chat/a', 'x'), version)]) {
        assert.deepEqual(await answerTo(world, bytes, version), { isClosed: true, packets: [] });
      }
    });

    it(`ends the connection when it comes twice, MQTT ${version} [MQTT311 3.1.0-2] [MQTT5 3.1.0-2]`, async () => {
      const world = await GatewayWorld.start();
      const client = await world.connect('one', { protocolVersion: version });
      client.send(await world.connectPacket('one', { protocolVersion: version }));
      await world.settle();
      if (version === 5) assert.equal(client.take('disconnect').reasonCode, reasonCodes.protocolError);
      assert.deepEqual(client.received, []); // No second CONNACK either [MQTT5 3.2.0-2].
      assert(client.isClosed);
    });

    it(`is refused with another protocol name or level, MQTT ${version} [MQTT311 3.1.2-1, 3.1.2-2] [MQTT5 3.1.2-1, 3.1.2-2]`, async () => {
      const world = await GatewayWorld.start();
      const bytes = await connectBytes(world, version);
      const otherName = Buffer.from(bytes).fill('X', nameAt, nameAt + 1);
      const otherLevel = Buffer.from(bytes).fill(6, levelAt, levelAt + 1);
      for (const changed of [otherName, otherLevel]) {
        const { isClosed, packets } = await answerTo(world, changed, 4); // A refusal in the oldest words.
        assert(isClosed);
        assert(!packets.some(isSuccess) && packets.length <= 1);
      }
      const [refusal] = (await answerTo(world, otherLevel, 4)).packets;
      assert(refusal?.type === 'connack' && refusal.reasonCode === 1); // [MQTT311 3.1.2-2]
      assert.equal(world.gateway.connections.size, 0);
    });

    it(`ends the connection when it is malformed, MQTT ${version} [MQTT311 3.1.2-3, 3.1.4-1] [MQTT5 3.1.2-3, 3.1.4-1]`, async () => {
      const world = await GatewayWorld.start();
      const bytes = await connectBytes(world, version);
      const reserved = Buffer.from(bytes).fill(bytes[flagsAt] | 0x01, flagsAt, flagsAt + 1);
      const willQos3 = Buffer.from(bytes).fill(bytes[flagsAt] | 0x1c, flagsAt, flagsAt + 1);
      const noUsername = Buffer.from(bytes).fill(bytes[flagsAt] & 0x7f, flagsAt, flagsAt + 1);
      for (const changed of [reserved, willQos3, noUsername]) {
        const { isClosed, packets } = await answerTo(world, changed, version);
        assert(isClosed);
        if (version === 4)
          assert.deepEqual(packets, []); // Without a CONNACK [MQTT311 3.1.4-1, 3.2.2-6].
        else assert(!packets.some(isSuccess));
      }
    });

    it(`is answered with CONNACK 0, once, before anything else, MQTT ${version} [MQTT311 3.1.4-4, 3.2.0-1] [MQTT5 3.1.4-5, 3.2.0-1, 3.2.0-2]`, async () => {
      const options = keptSession(version);
      const { world, sender, client } = await worldWithSubscriber(options);
      client.cut();
      await world.settle();
      sender.publish('chat/a', 'waits');
      await world.durable();
      const back = await world.socket(version);
      back.send(await world.connectPacket('one', options), { type: 'pingreq' });
      await world.settle();
      const types = back.received.map(({ type }) => type);
      assert.equal(back.take('connack').reasonCode, 0);
      assert.equal(types.filter(type => type === 'connack').length, 1);
      assert(types.includes('publish') && types.includes('pingresp'));
    });

    it(`that is refused has no session, closes, and nothing behind it counts, MQTT ${version} [MQTT311 3.1.4-5, 3.2.2-4, 3.2.2-5] [MQTT5 3.1.4-2, 3.1.4-6, 3.2.2-6, 3.2.2-7]`, async () => {
      const options = keptSession(version);
      const { world, client } = await worldWithSubscriber(options); // So there is a session to be told of.
      client.cut();
      const listener = await world.connect('listener');
      listener.subscribe('chat/#');
      await world.settle();
      listener.takeAll();
      const thief = await world.socket(version);
      const connect = { ...(await world.connectPacket('one', options)), password: Buffer.from('wrong') };
      thief.send(connect, publishPacket('chat/a', 'stolen'), { type: 'pingreq' });
      await world.durable();
      const connack = thief.take('connack');
      assert.notEqual(connack.reasonCode, 0);
      assert.equal(connack.sessionPresent, false);
      assert.deepEqual(thief.received, []);
      assert(thief.isClosed);
      assert.deepEqual(listener.takeMessages(), []);
    });

    it(`is refused and closed over its client id, MQTT ${version} [MQTT311 3.1.3-8, 3.1.3-9] [MQTT5 3.1.3-8]`, async () => {
      const world = await GatewayWorld.start();
      const connect = await world.connectPacket('one', { protocolVersion: version, cleanStart: false });
      for (const clientId of version === 4 ? ['', 'o#e'] : ['o#e']) {
        const { isClosed, packets } = await answerTo(world, encode({ ...connect, clientId }, version), version);
        assert(isClosed);
        const [connack, ...rest] = packets;
        assert(connack.type === 'connack' && rest.length === 0);
        assert.equal(connack.reasonCode, version === 4 ? 2 : reasonCodes.clientIdentifierNotValid);
      }
    });

    it(`may have every client id of letters and digits up to 23, MQTT ${version} [MQTT311 3.1.3-5] [MQTT5 3.1.3-5]`, async () => {
      const world = await GatewayWorld.start();
      const alphabet = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';
      const ids = ['0', 'z', alphabet.slice(0, 23), alphabet.slice(23, 46), alphabet.slice(46)];
      for (const id of ids) await world.connect(id, { protocolVersion: version });
      assert.equal(world.gateway.connections.size, ids.length);
    });

    it(`ends the connection its client id has already, MQTT ${version} [MQTT311 3.1.4-2] [MQTT5 3.1.4-3]`, async () => {
      const world = await GatewayWorld.start();
      const older = await world.connect('one', keptSession(version));
      const newer = await world.connect('one', keptSession(version));
      if (version === 5) assert.equal(older.take('disconnect').reasonCode, reasonCodes.sessionTakenOver);
      assert(older.isClosed && !newer.isClosed);
    });
  }

  it('without an authentication method brings no AUTH, and no method in CONNACK [MQTT5 4.12.0-6]', async () => {
    const world = await GatewayWorld.start();
    const client = await world.connect('one');
    assert.equal(client.connack?.properties?.authenticationMethod, undefined);
    const properties = { authenticationMethod: 'SCRAM-SHA-1' };
    client.send({ type: 'auth', reasonCode: 0x18, properties }); // Which it must not [MQTT5 4.12.0-7].
    await world.settle();
    assert.equal(client.take('disconnect').reasonCode, reasonCodes.protocolError);
    assert.deepEqual(client.received, []);
  });

  it('with an authentication method that is unknown ends the connection [MQTT5 4.12.0-1]', async () => {
    const world = await GatewayWorld.start();
    const connect = await world.connectPacket('one', { properties: { authenticationMethod: 'SCRAM-SHA-1' } });
    const { isClosed, packets } = await answerTo(world, encode(connect, 5), 5);
    assert(isClosed);
    const [connack] = packets;
    assert(connack.type === 'connack' && connack.reasonCode === reasonCodes.badAuthenticationMethod);
  });

  it('brings Response Information only to who asks for it [MQTT5 3.1.2-28]', async () => {
    const world = await GatewayWorld.start();
    for (const properties of [undefined, { requestResponseInformation: 0 } as const]) {
      const { connack } = await world.connect('one', { properties });
      assert.equal(connack?.properties?.responseInformation, undefined);
    }
  });
});

describe('Clean Start and Clean Session', () => {
  for (const version of versions) {
    it(`0 begins a session that is found again, MQTT ${version} [MQTT311 3.1.2-4, 3.1.4-3, 3.2.2-2, 3.2.2-3] [MQTT5 3.1.2-5, 3.1.2-6, 3.1.2-23, 3.1.4-4, 3.2.2-3]`, async () => {
      const { world, sender, client } = await worldWithSubscriber(keptSession(version));
      assert.equal(client.connack?.sessionPresent, false);
      client.cut();
      await world.settle();
      const back = await world.connect('one', keptSession(version));
      assert.equal(back.connack?.sessionPresent, true);
      sender.publish('chat/a', 'found');
      await world.durable();
      assert.deepEqual(back.takeMessages(), ['found']);
    });

    it(`1 throws the session away, MQTT ${version} [MQTT311 3.1.2-6, 3.1.4-3, 3.2.2-1] [MQTT5 3.1.2-4, 3.1.4-4, 3.2.2-2]`, async () => {
      const { world, sender, client } = await worldWithSubscriber(keptSession(version));
      client.cut();
      await world.settle();
      sender.publish('chat/a', 'for the old one');
      await world.durable();
      const clean = await world.connect('one', { protocolVersion: version, cleanStart: true });
      assert.equal(clean.connack?.sessionPresent, false);
      sender.publish('chat/a', 'for nobody');
      await world.durable();
      assert.deepEqual(clean.received, []);
      clean.cut();
      await world.settle();
      const { connack } = await world.connect('one', keptSession(version));
      assert.equal(connack?.sessionPresent, false); // It lasted as long as its connection.
    });

    it(`are about the session of that client id only, MQTT ${version} [MQTT311 3.1.3-2] [MQTT5 3.1.3-2]`, async () => {
      const { world, client } = await worldWithSubscriber(keptSession(version));
      client.cut();
      const other = await world.connect('one.other', keptSession(version));
      assert.equal(other.connack?.sessionPresent, false);
      await world.connect('one.other', { protocolVersion: version, cleanStart: true });
      assert.equal((await world.connect('one', keptSession(version))).connack?.sessionPresent, true);
    });
  }
});

describe('keep alive', () => {
  for (const version of versions) {
    it(`that the client asked for ends its silence after 1.5 of it, with the will, MQTT ${version} [MQTT311 3.1.2-24] [MQTT5 3.1.2-22, 3.2.2-22]`, async () => {
      const world = await GatewayWorld.start();
      const listener = await world.connect('listener', { keepAliveSeconds: 1_000 });
      listener.subscribe('will/+');
      const will = { topic: 'will/one', payload: Buffer.from('silent'), qos: 0, retain: false } as const;
      const client = await world.connect('one', { protocolVersion: version, keepAliveSeconds: 30, will });
      assert.equal(client.connack?.properties?.serverKeepAliveSeconds, undefined);
      await world.advance(44_000);
      client.send({ type: 'pingreq' });
      await world.settle();
      assert.equal(client.take('pingresp').type, 'pingresp'); // [MQTT311 3.12.4-1] [MQTT5 3.12.4-1]
      await world.advance(44_000);
      assert(!client.isClosed);
      await world.advance(3_000); // Looked at once a second.
      assert(client.isClosed);
      assert.deepEqual(listener.takeMessages(), ['silent']);
    });
  }
});

describe('a client that takes only small packets', () => {
  it('gets every answer without what would make it too large [MQTT5 3.1.2-24, 3.2.2-19, 3.2.2-20, 3.4.2-2, 3.4.2-3, 3.9.2-1, 3.9.2-2, 3.11.2-1, 3.11.2-2, 3.14.2-3, 3.14.2-4]', async () => {
    const world = await GatewayWorld.start();
    const measured = await world.socket();
    measured.send(await world.connectPacket('one'));
    await world.settle();
    const connack = measured.take('connack') as { byteLength?: number }; // As the decoder gives it.
    const maximumPacketSizeBytes = connack.byteLength ?? 0;
    const client = await world.connect('one', { properties: { maximumPacketSizeBytes } });
    client.publish('forbidden', 'x');
    client.subscribe(['forbidden/#', 'chat/#']);
    client.send({ type: 'unsubscribe', packetId: 9, topicFilters: ['chat/#', 'forbidden/#'] });
    await world.durable();
    client.send(await world.connectPacket('one')); // A protocol error, for the DISCONNECT.
    await world.settle();
    const sizes = client.received.map(packet => (packet as { byteLength?: number }).byteLength ?? Infinity);
    assert.deepEqual(client.received.map(({ type }) => type).sort(), ['disconnect', 'puback', 'suback', 'unsuback']);
    for (const size of sizes) assert(size <= maximumPacketSizeBytes, `${size} bytes`);
  });

  it('gets no message that is larger, and loses nothing behind it [MQTT5 3.1.2-24, 3.1.2-25]', async () => {
    const { world, sender, client } = await worldWithSubscriber({
      properties: { maximumPacketSizeBytes: 200, receiveMaximum: 1 },
    });
    for (const text of ['x'.repeat(300), 'a', 'x'.repeat(300), 'b']) sender.publish('chat/a', text);
    await world.durable();
    const [first] = takePublishes(client);
    assert.equal(first.payload.toString(), 'a');
    client.ack(first.packetId);
    await world.settle();
    assert.deepEqual(client.takeMessages(), ['b']);
  });
});

describe('a client that wants no problem information', () => {
  it('gets no reasons and no user properties but in PUBLISH, CONNACK and DISCONNECT [MQTT5 3.1.2-29]', async () => {
    const world = await GatewayWorld.start();
    const client = await world.connect('one', { properties: { requestProblemInformation: 0 } });
    client.publish('forbidden', 'x');
    client.send({ type: 'subscribe', packetId: 8, subscriptions: subscriptionsTo(['forbidden/#', 'chat/#']) });
    client.send({ type: 'unsubscribe', packetId: 9, topicFilters: ['never'] });
    await world.durable();
    const told = client.takeAll();
    assert.deepEqual(told.map(({ type }) => type).sort(), ['puback', 'suback', 'unsuback']);
    for (const packet of told) {
      const { reasonString, userProperties } = { ...('properties' in packet ? packet.properties : {}) } as {
        reasonString?: string; // What some of the packets may have.
        userProperties?: unknown;
      };
      assert.deepEqual([reasonString, userProperties], [undefined, undefined], packet.type);
    }
  });
});

describe('topic aliases', () => {
  it('go to nobody who named no maximum, or 0, and never over it [MQTT5 3.1.2-26, 3.1.2-27, 3.3.2-11]', async () => {
    for (const topicAliasMaximum of [undefined, 0, 2]) {
      const { world, sender, client } = await worldWithSubscriber({
        properties: topicAliasMaximum === undefined ? {} : { topicAliasMaximum },
      });
      for (const topic of ['chat/a', 'chat/b', 'chat/c', 'chat/a']) sender.publish(topic, topic, { qos: 0 });
      await world.settle();
      const seen = takePublishes(client);
      assert.equal(seen.length, 4);
      for (const { topic, properties } of seen) {
        const alias = properties?.topicAlias;
        assert(alias === undefined ? topic !== '' : alias >= 1 && alias <= (topicAliasMaximum ?? 0), `alias ${alias}`);
      }
    }
  });

  it('are all taken up to the maximum announced [MQTT5 3.3.2-12]', async () => {
    const { world, sender, client } = await worldWithSubscriber();
    const maximum = sender.connack?.properties?.topicAliasMaximum ?? 0;
    assert(maximum > 0);
    for (let topicAlias = 1; topicAlias <= maximum; topicAlias++) {
      sender.publish(`chat/${topicAlias}`, 'named', { qos: 0, properties: { topicAlias } });
      sender.publish('', 'by alias', { qos: 0, properties: { topicAlias } });
    }
    await world.settle();
    const topics = takePublishes(client).map(({ topic }) => topic);
    assert.deepEqual(
      topics,
      Array.from({ length: 2 * maximum }, (_, n) => `chat/${Math.floor(n / 2) + 1}`),
    );
    sender.publish('chat/x', 'x', { qos: 0, properties: { topicAlias: maximum + 1 } }); // [MQTT5 3.3.2-9]
    await world.settle();
    assert.equal(sender.take('disconnect').reasonCode, reasonCodes.topicAliasInvalid);
  });

  it('are forgotten with their connection [MQTT5 3.3.2-7]', async () => {
    const { world, client } = await worldWithSubscriber();
    const first = await world.connect('two', keptSession(5));
    first.publish('chat/a', 'named', { qos: 0, properties: { topicAlias: 1 } });
    await world.settle();
    assert.deepEqual(client.takeMessages(), ['named']);
    first.cut();
    const second = await world.connect('two', keptSession(5));
    second.publish('', 'by alias', { qos: 0, properties: { topicAlias: 1 } });
    await world.settle();
    assert(second.isClosed);
    assert.deepEqual(client.takeMessages(), []);
  });
});
