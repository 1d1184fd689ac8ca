import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { PolicyEngine } from '../things/index.ts';
import { brokerLimits } from './broker-limits.ts';
import { encode } from './encode.ts';
import { bites, GatewayWorld, publishPacket, subscriptionsTo } from './gateway-world.ts';
import { mqttLimits } from './limits.ts';
import type { Packet, ProtocolVersion } from './packets.ts';
import { reasonCodes } from './packets.ts';

const versions: ProtocolVersion[] = [4, 5];

describe('connecting', () => {
  it('answers a good CONNECT with what this server can do [MQTT5 3.2.2.3]', async () => {
    const world = await GatewayWorld.start();
    const { connack } = await world.connect('one');
    assert.deepEqual(connack?.properties, {
      maximumPacketSizeBytes: mqttLimits.packetBytesMax,
      topicAliasMaximum: brokerLimits.topicAliasMaximum,
    });
    assert.equal((await world.connect('two', { protocolVersion: 4 })).connack?.properties, undefined);
  });

  it('says which keep alive and session expiry hold when they are not those asked for [MQTT5 3.2.2-21, 3.2.2.3.2]', async () => {
    const world = await GatewayWorld.start();
    const properties = { sessionExpiryIntervalSeconds: 0xffff_ffff };
    for (const [asked, effective] of [
      [0, 1_200],
      [1, undefined],
      [5, undefined],
      [1_200, undefined],
      [65_535, 1_200],
    ] as const) {
      const { connack } = await world.connect('one', { keepAliveSeconds: asked, properties });
      assert.equal(connack?.properties?.serverKeepAliveSeconds, effective);
      assert.equal(connack?.properties?.sessionExpiryIntervalSeconds, 7 * 24 * 3_600);
    }
  });

  for (const version of versions) {
    it(`refuses who cannot prove to be the thing, all in the same words, MQTT ${version}`, async () => {
      const world = await GatewayWorld.start();
      const good = { ...(await world.connectPacket('one')), protocolVersion: version };
      await world.thing('two');
      const two = await world.connectPacket('two');
      const wrong = { 4: 4, 5: reasonCodes.badUserNameOrPassword }[version];
      const tries: [Partial<typeof good>, number][] = [
        [{ password: Buffer.from('wrong') }, wrong],
        [{ password: Buffer.alloc(0) }, wrong],
        [{ clientId: 'unknown', username: 'unknown' }, wrong],
        [{ username: 'two' }, wrong],
        [{ username: 'two', password: two.password }, wrong],
        [{ clientId: 'two.one' }, wrong],
        [{ clientId: '.one' }, wrong],
        [{ clientId: '' }, { 4: 2, 5: reasonCodes.clientIdentifierNotValid }[version]],
        [{ password: undefined }, { 4: 5, 5: reasonCodes.notAuthorized }[version]],
      ];
      for (const [change, reasonCode] of tries) {
        const client = await world.socket(version);
        client.send({ ...good, ...change });
        await world.settle();
        assert.equal(client.take('connack').reasonCode, reasonCode, JSON.stringify(change));
        assert(client.isClosed);
      }
      assert.equal(world.counters.get('mqtt.refused.connect'), tries.length);
      assert.equal(world.gateway.connections.size, 0);
      assert.deepEqual(await world.lifecycle(), []); // Nothing is kept of who never came in.
      const secrets = JSON.stringify(world.logged);
      assert(!secrets.includes(String(good.password)) && !secrets.includes('wrong'));
    });
  }

  it('refuses a client id that a topic would give a meaning (hostile A01, W10)', async () => {
    const world = await GatewayWorld.start();
    for (const clientId of [
      '+',
      '#',
      'one/x',
      'o*',
      'one?',
      '$\x7biot:ClientId}',
      'a/../b',
      'ｏne',
      'one\u200b',
      '$one',
    ]) {
      const client = await world.socket();
      client.send({ ...(await world.connectPacket('one')), clientId });
      await world.settle();
      assert.equal(client.take('connack').reasonCode, reasonCodes.clientIdentifierNotValid, clientId);
    }
  });

  it('ends who begins with anything but CONNECT, without an answer (hostile W05, W15) [MQTT5 3.1.0-1]', async () => {
    const world = await GatewayWorld.start();
    const others: Packet[] = [
      publishPacket('chat/a', 'x'),
      { type: 'puback', packetId: 1, reasonCode: 0 },
      { type: 'subscribe', packetId: 1, subscriptions: subscriptionsTo('chat/a') },
      { type: 'pingreq' },
      { type: 'disconnect', reasonCode: 0 },
      { type: 'auth', reasonCode: 0x18, properties: { authenticationMethod: 'x' } },
    ];
    const beginnings = others.map(packet => encode(packet, 5));
    beginnings.push(Buffer.from('GET / HTTP/1.1\r\n\r\n'), Buffer.from('160301020001fc0303', 'hex'));
    beginnings.push(Buffer.from('PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n'));
    for (const bytes of beginnings) {
      const client = await world.socket();
      client.sendBytes(bytes);
      await world.settle();
      assert(client.isClosed, bytes.toString('hex'));
      assert.deepEqual(client.received, []);
    }
    assert.equal(world.gateway.connections.size, 0);
  });

  it('refuses every first byte that is not that of CONNECT (hostile W07)', async () => {
    const world = await GatewayWorld.start();
    for (let first = 0; first <= 0xff; first++) {
      const client = await world.socket();
      client.sendBytes(Buffer.from([first, 0]));
      await world.settle();
      assert(client.isClosed, `0x${first.toString(16)}`); // CONNECT without a body is refused as well.
    }
    assert.equal(world.gateway.connections.size, 0);
  });

  for (const version of versions) {
    it(`refuses a second CONNECT, MQTT ${version} (hostile W05) [MQTT5 3.1.0-2]`, async () => {
      const world = await GatewayWorld.start();
      const client = await world.connect('one', { protocolVersion: version });
      client.send({ ...(await world.connectPacket('one')), protocolVersion: version });
      await world.settle();
      if (version === 5) assert.equal(client.take('disconnect').reasonCode, reasonCodes.protocolError);
      assert(client.isClosed);
      const pipelined = await world.socket(version);
      const connect = { ...(await world.connectPacket('one')), protocolVersion: version };
      pipelined.send(connect, connect);
      await world.settle();
      assert.equal(pipelined.take('connack').reasonCode, 0);
      assert(pipelined.isClosed);
    });
  }

  const pipelinedIsHandledOnlyBehindAGoodConnect = async () => {
    const world = await GatewayWorld.start();
    const connect = await world.connectPacket('one');
    const listener = await world.connect('two');
    listener.subscribe('chat/#');
    await world.settle();
    listener.takeAll();
    const good = await world.socket();
    good.send(connect, publishPacket('chat/a', 'good'), publishPacket('dt/app/one/reading', 'good', { packetId: 2 }));
    await world.durable();
    assert.equal(good.take('connack').reasonCode, 0);
    assert.deepEqual([good.take('puback').packetId, good.take('puback').packetId], [1, 2]);
    const bad = await world.socket();
    bad.send(
      { ...connect, password: Buffer.from('x') },
      publishPacket('chat/a', 'bad'),
      publishPacket('dt/app/one/reading', 'bad'),
    );
    await world.durable();
    assert.deepEqual(listener.takeMessages(), ['good']);
    assert.deepEqual(await world.telemetry(), ['good']);
    assert(bad.isClosed && !good.isClosed);
  };
  it('handles what comes right behind CONNECT when it is accepted, and drops it when it is not (hostile W05)', async () => {
    await pipelinedIsHandledOnlyBehindAGoodConnect();
  });

  it('answers a CONNECT that is wrong in a version it knows in that version (hostile W19, W13)', async () => {
    const world = await GatewayWorld.start();
    const answerTo = async (bytes: Buffer, version: ProtocolVersion) => {
      const client = await world.socket(version);
      client.sendBytes(bytes);
      await world.settle();
      assert(client.isClosed);
      return client.takeAll().map(packet => (packet.type === 'connack' ? packet.reasonCode : packet.type));
    };
    const five = encode(await world.connectPacket('one'), 5);
    const four = encode({ ...(await world.connectPacket('one')), protocolVersion: 4 }, 4);
    const changed = (bytes: Buffer, at: number, value: number) => Buffer.from(bytes).fill(value, at, at + 1);
    const flagsAt = 9; // Fixed header 2, name 6, level 1.
    assert.deepEqual(await answerTo(changed(five, flagsAt, five[flagsAt] | 1), 5), [reasonCodes.malformedPacket]);
    assert.deepEqual(await answerTo(changed(four, flagsAt, four[flagsAt] | 1), 4), []);
    assert.deepEqual(await answerTo(changed(four, flagsAt - 1, 3), 4), [1]); // [MQTT311 3.1.2-2]
    assert.deepEqual(await answerTo(changed(five, flagsAt - 1, 6), 4), [1]);
    const tooLong = { ...(await world.connectPacket('one')), clientId: 'x'.repeat(129) };
    assert.deepEqual(await answerTo(encode(tooLong, 5), 5), [reasonCodes.clientIdentifierNotValid]);
    assert.deepEqual(await answerTo(encode({ ...tooLong, protocolVersion: 4 }, 4), 4), [2]); // [MQTT311 3.1.3-9]
    const deep = { ...(await world.connectPacket('one')), will: will('a/'.repeat(40)) };
    assert.deepEqual(await answerTo(encodeUnchecked(deep), 5), [reasonCodes.topicNameInvalid]);
  });

  it('offers no enhanced authentication (hostile S12) [MQTT5 4.12.0-1]', async () => {
    const world = await GatewayWorld.start();
    const client = await world.socket();
    client.send(await world.connectPacket('one', { properties: { authenticationMethod: 'SCRAM-SHA-1' } }));
    await world.settle();
    assert.equal(client.take('connack').reasonCode, reasonCodes.badAuthenticationMethod);
    const later = await world.connect('one');
    later.send({ type: 'auth', reasonCode: 0x18, properties: { authenticationMethod: 'SCRAM-SHA-1' } });
    await world.settle();
    assert.equal(later.take('disconnect').reasonCode, reasonCodes.protocolError);
  });

  it('closes who does not connect within the deadline, and keeps nothing of it (hostile S12, W01)', async () => {
    const world = await GatewayWorld.start();
    const silent = await world.socket();
    const dribbling = await world.socket();
    const connect = encode(await world.connectPacket('one'), 5);
    for (let second = 0; second < 10; second++) {
      dribbling.sendBytes(connect.subarray(second, second + 1));
      await world.advance(1_000);
    }
    assert(!silent.isClosed && !dribbling.isClosed);
    await world.advance(1_100);
    assert(silent.isClosed && dribbling.isClosed);
    assert.equal(world.gateway.connections.size, 0);
  });

  const sizeCapHolds = async () => {
    const world = await GatewayWorld.start();
    const before = await world.socket();
    before.sendBytes(fixedHeader(0x10, 32 * 1024 + 1)); // The bytes themselves never come.
    await world.settle();
    assert(before.isClosed);
    const after = await world.connect('one');
    after.sendBytes(fixedHeader(0x30, 256 * 1024 + 1));
    await world.settle();
    assert.equal(after.take('disconnect').reasonCode, reasonCodes.packetTooLarge);
    assert(after.isClosed);
  };
  it('refuses a packet over the cap as soon as its length is known (hostile W01) [MQTT5 3.1.2.11.4]', async () => {
    await sizeCapHolds();
    await bites(mqttLimits, 'packetBytesBeforeConnectMax', { value: 2 ** 28 }, sizeCapHolds);
    await bites(mqttLimits, 'packetBytesMax', { value: 2 ** 28 }, sizeCapHolds);
  });

  it('ends a session over bytes that are no packet, with the reason in MQTT 5 (hostile W02, W04, W06, W07)', async () => {
    const world = await GatewayWorld.start();
    const cases: [string, number][] = [
      ['30ffffffff01', reasonCodes.malformedPacket], // W02: five bytes of length
      ['c08000', reasonCodes.malformedPacket], // W02: a length longer than needed
      ['c00100', reasonCodes.malformedPacket], // W04: a byte too many
      ['20020000', reasonCodes.protocolError], // W06: CONNACK
      ['90030001ff', reasonCodes.protocolError], // W06: SUBACK
      ['d000', reasonCodes.protocolError], // W06: PINGRESP
      ['0000', reasonCodes.malformedPacket], // W07: type 0
      ['36040001610001', reasonCodes.malformedPacket], // W07: QoS 3
      ['3206000161000000', reasonCodes.protocolError], // W07: packet id 0
      ['8206000100000361', reasonCodes.malformedPacket], // W08: half a filter
      ['8203000100', reasonCodes.protocolError], // W08: no filter
      ['a203000100', reasonCodes.protocolError], // W08: no filter to unsubscribe from
      ['30040003610000', reasonCodes.malformedPacket], // W03: a topic longer than the packet
    ];
    for (const [hex, reasonCode] of cases) {
      const client = await world.connect('one');
      client.sendBytes(Buffer.from(hex, 'hex'));
      await world.settle();
      assert.equal(client.take('disconnect').reasonCode, reasonCode, hex);
      assert(client.isClosed);
    }
  });

  it('refuses topics that are none, and filters that are none (hostile W09, W11, W12)', async () => {
    const world = await GatewayWorld.start();
    const topic = (text: string | Buffer) => {
      const bytes = Buffer.from(text);
      return Buffer.concat([
        Buffer.from([0x30]),
        lengthOf(bytes.length + 3),
        uint16(bytes.length),
        bytes,
        Buffer.from([0]),
      ]);
    };
    const filter = (text: string) => {
      const bytes = Buffer.from(text);
      return Buffer.concat([
        Buffer.from([0x82]),
        lengthOf(bytes.length + 6),
        Buffer.from([0, 1, 0]),
        uint16(bytes.length),
        bytes,
        Buffer.from([1]),
      ]);
    };
    const cases: [Buffer, number][] = [
      [topic('chat/+'), reasonCodes.topicNameInvalid],
      [topic('chat/#'), reasonCodes.topicNameInvalid],
      [topic(''), reasonCodes.protocolError],
      [topic('chat\0'), reasonCodes.topicNameInvalid],
      [topic(Buffer.from('63eda080', 'hex')), reasonCodes.malformedPacket],
      [topic(Buffer.from('63c0af', 'hex')), reasonCodes.malformedPacket],
      [topic('/'.repeat(32)), reasonCodes.topicNameInvalid],
      [topic('/'.repeat(65_535)), reasonCodes.topicNameInvalid],
      [topic(`chat/${'x'.repeat(1_020)}`), reasonCodes.topicNameInvalid],
      [filter('chat/#/x'), reasonCodes.topicFilterInvalid],
      [filter('chat/x+'), reasonCodes.topicFilterInvalid],
      [filter('chat/x#'), reasonCodes.topicFilterInvalid],
      [filter('/'.repeat(32)), reasonCodes.topicFilterInvalid],
    ];
    for (const [bytes, reasonCode] of cases) {
      const client = await world.connect('one');
      client.sendBytes(bytes);
      await world.settle();
      assert.equal(client.take('disconnect').reasonCode, reasonCode, bytes.subarray(0, 20).toString('latin1'));
    }
    assert.equal(world.counters.get('mqtt.published'), 0);
  });

  it('understands bytes that come one at a time (hostile W16)', async () => {
    const world = await GatewayWorld.start();
    const client = await world.socket();
    const bytes = Buffer.concat([
      encode(await world.connectPacket('one'), 5),
      encode(publishPacket('dt/app/one/reading', 'slowly'), 5),
      encode({ type: 'pingreq' }, 5),
    ]);
    for (const byte of bytes) {
      client.sendBytes(Uint8Array.of(byte));
      await world.settle();
    }
    await world.durable();
    assert.deepEqual(
      client.takeAll().map(({ type }) => type),
      ['connack', 'pingresp', 'puback'],
    );
    assert.deepEqual(await world.telemetry(), ['slowly']);
  });

  it('answers a megabyte of PINGREQ in one write over several turns, in which others are served (hostile W16)', async () => {
    const world = await GatewayWorld.start();
    const [flooding, other] = [await world.connect('one'), await world.connect('two')];
    const count = 512 * 1024;
    flooding.sendBytes(Buffer.from('c000'.repeat(count), 'hex'));
    other.send({ type: 'pingreq' });
    let pongs = 0;
    let pongsBeforeOther = -1;
    let turns = 0;
    for (; pongs < count && turns < 10_000; turns++) {
      await world.settle();
      pongs += flooding.takeAll().length;
      if (other.received.length > 0 && pongsBeforeOther < 0) pongsBeforeOther = pongs;
    }
    assert.equal(pongs, count);
    assert(!flooding.isClosed);
    assert.equal(other.take('pingresp').type, 'pingresp');
    assert(world.gateway.turn >= count / brokerLimits.packetsPerTurnMax - 1, `${world.gateway.turn} turns`);
  });

  it('takes no more sessions than the limit of a thing, whose own is always free (hostile S04)', async () => {
    const world = await GatewayWorld.start();
    const properties = { sessionExpiryIntervalSeconds: 3_600 };
    for (let n = 1; n <= brokerLimits.sessionsPerThingMax; n++) (await world.connect(`one.${n}`, { properties })).cut();
    const more = await world.socket();
    more.send(await world.connectPacket('one.more', { properties }));
    await world.settle();
    assert.equal(more.take('connack').reasonCode, reasonCodes.serverBusy);
    await world.connect('one');
    await world.connect('one.1');
    await world.connect('two.1');
    await world.advance(3_601_000);
    await world.connect('one.more');
  });

  it('contains an error of ours to the connection it happened on (hostile R03)', async () => {
    const world = await GatewayWorld.start();
    const [good, bad] = [await world.connect('good'), await world.connect('bad')];
    const { judgePublish } = PolicyEngine.prototype;
    PolicyEngine.prototype.judgePublish = function (thingName, topic) {
      if (thingName === 'bad') throw new Error('a bug');
      return judgePublish.call(this, thingName, topic);
    };
    try {
      bad.publish('chat/a', 'x');
      good.publish('chat/a', 'x');
      await world.durable();
    } finally {
      PolicyEngine.prototype.judgePublish = judgePublish;
    }
    assert.equal(bad.take('disconnect').reasonCode, reasonCodes.unspecifiedError);
    assert(bad.isClosed && !good.isClosed);
    assert.equal(good.take('puback').reasonCode, 0);
    assert.equal(world.counters.get('mqtt.failed.connection'), 1);
    assert(world.logged.some(({ facts }) => facts.error === 'a bug'));
    const [last] = (await world.lifecycle()).slice(-1);
    assert.equal(last.disconnectReason, 'SERVER_ERROR');
  });
});

function will(topic: string) {
  return { topic, payload: Buffer.from('gone'), qos: 1, retain: false } as const;
}

/** A CONNECT whose will topic no encoder of ours would write. */
function encodeUnchecked(packet: Parameters<typeof encode>[0] & { will: { topic: string } }): Buffer {
  const { topic } = packet.will;
  const marker = 'w'.repeat(topic.length);
  const bytes = encode({ ...packet, will: { ...packet.will, topic: marker } } as Packet, 5); // Only the topic's text differs.
  bytes.write(topic, bytes.indexOf(marker));
  return bytes;
}

function fixedHeader(first: number, packetBytes: number): Buffer {
  return Buffer.concat([Buffer.from([first]), lengthOf(packetBytes - 4)]);
}

function lengthOf(value: number): Buffer {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>>= 7) {
    bytes.push(rest > 0x7f ? (rest & 0x7f) | 0x80 : rest);
    if (rest <= 0x7f) return Buffer.from(bytes);
  }
}

function uint16(value: number): Buffer {
  return Buffer.from([value >> 8, value & 0xff]);
}
