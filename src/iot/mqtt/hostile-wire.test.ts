/** Hostile inputs of group W against a whole gateway: bytes that no honest client sends, and what becomes of the rest. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Admission } from '../access/port.ts';
import { awsLimits, brokerLimits } from './broker-limits.ts';
import { Connection } from './connection.ts';
import { encode } from './encode.ts';
import { packetTypes } from './fixed-header.ts';
import { bites, GatewayWorld, publishPacket, subscriptionsTo, type TestClient } from './gateway-world.ts';
import { openDoor, openWorld } from './hostile-world.ts';
import { mqttLimits } from './limits.ts';
import { PacketReader } from './packet-reader.ts';
import { type Packet, type ProtocolVersion, type PublishProperties, reasonCodes } from './packets.ts';
import { isReasonCode } from './reason-code-rules.ts';
import { Router } from './router.ts';
import { TopicTree } from './topic-tree.ts';
import { vectors } from './vectors.ts';

const versions: ProtocolVersion[] = [4, 5];
const nothingEnds = { value: () => {}, writable: true };
const nothingIsRefused = { value: () => {}, writable: true };

describe('bytes that are no packet', () => {
  const endTheirConnectionOnly = async () => {
    const { world, listener } = await openWorld();
    const hostile = vectors.filter(({ from, version, expected }) => {
      return from === 'client' && version !== 0 && typeof expected === 'number';
    });
    assert(hostile.length > 500, `${hostile.length} vectors`);
    for (const { name, version, bytes, expected } of hostile) {
      assert(version !== 0 && typeof expected === 'number');
      const client = await world.connect('one', { protocolVersion: version });
      client.sendBytes(Buffer.concat([bytes, encode(publishPacket('behind', 'it', { qos: 0 }), version)]));
      await world.settle();
      assert(client.isClosed, name);
      const canSay = version === 5 && isReasonCode(expected, packetTypes.disconnect, 5, 'server');
      const said = client.takeAll().map(packet => (packet.type === 'disconnect' ? packet.reasonCode : packet.type));
      if (version === 4) assert.deepEqual(said, [], name); // 3.1.1 has no word for it [MQTT311 4.8.0-1].
      if (canSay) assert.deepEqual(said, [expected], name); // [MQTT5 4.13.2-1]
    }
    assert.deepEqual(listener.takeAll(), []); // Nothing of it or behind it reached anybody.
    assert(!listener.isClosed);
    assert.equal(world.counters.get('mqtt.refused.packet'), hostile.length);
    assert.equal(world.counters.get('mqtt.failed.connection'), 0);
  };
  it('end their connection, said in MQTT 5, and touch nobody else (hostile W02, W03, W06, W07, W08, W11)', async () => {
    await endTheirConnectionOnly();
    await bites(Connection.prototype, 'end', nothingEnds, endTheirConnectionOnly);
  });

  const nothingMayStandBehind = async () => {
    const { world, listener } = await openWorld();
    const properties = { userProperties: [['a', 'b']] } as const; // So that what comes behind is no property section.
    const packets: Packet[] = [
      { type: 'subscribe', packetId: 1, subscriptions: subscriptionsTo('a') },
      { type: 'unsubscribe', packetId: 1, topicFilters: ['a'] },
      { type: 'puback', packetId: 1, reasonCode: 0, properties },
      { type: 'pubrel', packetId: 1, reasonCode: 0, properties },
      { type: 'disconnect', reasonCode: 4, properties },
    ];
    for (const packet of packets) {
      for (const more of [1, 2, 64]) {
        const client = await world.connect('one');
        const bytes = Buffer.concat([encode(packet, 5), Buffer.alloc(more, packet.type === 'subscribe' ? 0xff : 0)]);
        bytes[1] += more;
        client.sendBytes(bytes);
        await world.settle();
        assert(client.isClosed, `${packet.type} and ${more}`);
        client.take('disconnect');
      }
    }
    assert.deepEqual(listener.takeAll(), []);
  };
  it('include a packet with bytes behind its last field (hostile W04)', async () => {
    await nothingMayStandBehind();
    await bites(PacketReader.prototype, 'finish', { value: () => {}, writable: true }, nothingMayStandBehind);
  });

  const textIsUtf8 = async () => {
    const { world, listener } = await openWorld();
    const badTexts = [
      '00',
      'eda080',
      'edbfbf',
      'c0af',
      'c1bf',
      'e080af',
      'f5808080',
      'f4908080',
      'c3',
      'e282',
      '80',
      'ff',
    ];
    const marker = 'XXXXXXXXXXXX';
    for (const hex of badTexts) {
      const bad = Buffer.from(hex, 'hex');
      const spoil = (bytes: Buffer) => {
        const at = bytes.indexOf(marker);
        assert(at > 0);
        bad.copy(bytes, at + marker.length - bad.length); // At the end of the text, so that cut sequences are cut.
        return bytes;
      };
      const connect = await world.connectPacket('one');
      const will = { topic: 'will/one', payload: Buffer.from('x'), qos: 0, retain: false } as const;
      for (const refused of [
        { ...connect, clientId: marker },
        { ...connect, username: marker },
        { ...connect, will: { ...will, topic: marker } },
        { ...connect, will: { ...will, properties: { contentType: marker } } },
        { ...connect, properties: { userProperties: [[marker, 'x']] } } as const,
      ]) {
        const client = await world.socket();
        client.sendBytes(spoil(encode(refused, 5)));
        await world.settle();
        assert(client.isClosed, hex);
        assert.equal(world.gateway.broker.connectionOf(marker), undefined, hex);
      }
      const refusedLater: Packet[] = [
        publishPacket(marker, 'x', { qos: 0 }),
        publishPacket('a', 'x', { qos: 0, properties: { contentType: marker } }),
        publishPacket('a', 'x', { qos: 0, properties: { responseTopic: marker } }),
        { type: 'subscribe', packetId: 1, subscriptions: subscriptionsTo(marker) },
        { type: 'unsubscribe', packetId: 1, topicFilters: [marker] },
      ];
      for (const refused of refusedLater) {
        const client = await world.connect('one');
        client.sendBytes(spoil(encode(refused, 5)));
        await world.settle();
        assert(client.isClosed, `${refused.type} ${hex}`);
      }
    }
    assert.deepEqual(listener.takeAll(), []);
  };
  it('include text that is not UTF-8 or has U+0000, wherever it stands (hostile W09)', async () => {
    await textIsUtf8();
    const lenient = function (this: PacketReader) {
      return this.binary().toString('utf8');
    };
    await bites(PacketReader.prototype, 'text', { value: lenient, writable: true }, textIsUtf8);
  });

  it('do not include control characters and non-characters: they are kept as they are (hostile W09)', async () => {
    const { world, listener } = await openWorld();
    const odd = 'a/\u0001\u001b[31m\u007f\ufeff\uffff\u{1ffff}';
    const client = await world.connect('one');
    client.publish(odd, 'x', { qos: 0, properties: { contentType: odd } });
    await world.settle();
    const [seen] = listener.takeAll();
    assert(seen.type === 'publish');
    assert.deepEqual([seen.topic, seen.properties?.contentType], [odd, odd]);
  });
});

describe('CONNECT', () => {
  /** What the standards say of a flag byte, written down once more [MQTT311 3.1.2] [MQTT5 3.1.2]. */
  function isLegal(flags: number, version: ProtocolVersion): boolean {
    const [hasWill, willQos] = [(flags & 4) !== 0, (flags >> 3) & 3];
    if ((flags & 1) !== 0 || willQos === 3) return false;
    if (!hasWill && (flags & 0b0011_1000) !== 0) return false;
    return version === 5 || (flags & 0x80) !== 0 || (flags & 0x40) === 0;
  }

  /** The fields that the flags announce, in their order. */
  function connectBytes(flags: number, version: number): Buffer {
    const text = (content: string) => Buffer.concat([Buffer.from([0, content.length]), Buffer.from(content)]);
    const noProperties = version === 5 ? [Buffer.from([0])] : [];
    const body = [
      text(version === 3 ? 'MQIsdp' : 'MQTT'),
      Buffer.from([version, flags, 0, 60]),
      ...noProperties,
      text('one'),
    ];
    if ((flags & 4) !== 0) body.push(...noProperties, text('will/one'), text('gone'));
    if ((flags & 0x80) !== 0) body.push(text('user'));
    if ((flags & 0x40) !== 0) body.push(text('password'));
    const bytes = Buffer.concat(body);
    return Buffer.concat([Buffer.from([0x10, bytes.length]), bytes]);
  }

  const everyFlagByte = async () => {
    const { world } = await openWorld();
    for (const version of versions) {
      for (let flags = 0; flags <= 0xff; flags++) {
        const client = await world.socket(version);
        client.sendBytes(connectBytes(flags, version));
        await world.settle();
        const answers = client.takeAll().map(packet => (packet.type === 'connack' ? packet.reasonCode : packet.type));
        const refused = version === 5 ? [reasonCodes.malformedPacket] : []; // [MQTT311 3.1.4-1]: closed without CONNACK
        const what = `MQTT ${version} flags 0x${flags.toString(16)}`;
        assert.deepEqual(answers, isLegal(flags, version) ? [0] : refused, what);
        assert.equal(client.isClosed, !isLegal(flags, version), what);
        client.cut();
        await world.settle();
      }
    }
    for (const version of [0, 3, 6, 0x84, 255]) {
      const client = await world.socket(4);
      client.sendBytes(connectBytes(2, version));
      await world.settle();
      assert.equal(client.take('connack').reasonCode, 1, `level ${version}`); // [MQTT311 3.1.2-2]
      assert(client.isClosed);
    }
  };
  it('is taken with the flags the standards allow and no others, of 256 in each version (hostile W19)', async () => {
    await everyFlagByte();
    await bites(PacketReader.prototype, 'refuse', nothingIsRefused, everyFlagByte);
  });

  const illegalNumbersAreRefused = async () => {
    const { world } = await openWorld();
    const refused = [
      [0x21, 0, 0], // Receive Maximum 0 [MQTT5 3.1.2.11.3]
      [0x27, 0, 0, 0, 0], // Maximum Packet Size 0 [MQTT5 3.1.2.11.4]
      [0x17, 2], // Request Problem Information 2
      [0x11, 0, 0, 0, 1, 0x11, 0, 0, 0, 1], // Session Expiry twice
    ];
    for (const properties of refused) {
      const client = await world.socket();
      const bytes = encode(await world.connectPacket('one'), 5);
      const propertiesAt = 12; // Fixed header 2, name 6, level, flags, keep alive 2.
      assert.equal(bytes[propertiesAt], 0);
      const spoiled = Buffer.concat([
        bytes.subarray(0, propertiesAt),
        Buffer.from([properties.length, ...properties]),
        bytes.subarray(propertiesAt + 1),
      ]);
      spoiled[1] += properties.length;
      client.sendBytes(spoiled);
      await world.settle();
      assert.equal(client.take('connack').reasonCode, reasonCodes.protocolError, `${properties}`);
      assert(client.isClosed);
    }
  };
  it('is refused with a Receive Maximum or Maximum Packet Size of 0 (hostile W18)', async () => {
    await illegalNumbersAreRefused();
    await bites(PacketReader.prototype, 'refuse', nothingIsRefused, illegalNumbersAreRefused);
  });
});

describe('while the door is slow', () => {
  /** The verdicts are given when the test says so. */
  function slowDoor() {
    const waiting: ((admission: Admission) => void)[] = [];
    const access = openDoor({
      authenticate: ({ clientId }) =>
        clientId === 'listener'
          ? { admitted: true, identity: { clientId, thingName: undefined, principal: '' } }
          : new Promise(resolve => void waiting.push(resolve)),
    });
    const identity = { clientId: 'one', thingName: undefined, principal: 'one' };
    return {
      access,
      admit: () => waiting.shift()?.({ admitted: true, identity }),
      refuse: () => waiting.shift()?.({ admitted: false, reason: 'badUserNameOrPassword' }),
    };
  }

  /** Somebody who hears everything, and one who publishes behind a CONNECT that is not answered yet. */
  async function worldWithHastyClient(door: ReturnType<typeof slowDoor>) {
    const world = await GatewayWorld.start({ access: door.access });
    const listener = await world.connect('listener');
    listener.subscribe('#');
    await world.settle();
    listener.takeAll();
    const hasty = await world.socket();
    const will = { topic: 'will/one', payload: Buffer.from('will'), qos: 0, retain: false } as const;
    hasty.send(await world.connectPacket('one', { will }), publishPacket('chat/a', 'same segment', { packetId: 1 }));
    await world.settle();
    hasty.send(publishPacket('chat/a', 'next segment', { packetId: 2 }));
    await world.settle();
    return { world, listener, hasty };
  }

  const nothingCountsBeforeTheVerdict = async () => {
    const door = slowDoor();
    const { world, listener, hasty } = await worldWithHastyClient(door);
    assert.deepEqual([hasty.received, listener.received], [[], []]);
    door.refuse();
    await world.durable();
    assert.equal(hasty.take('connack').reasonCode, reasonCodes.badUserNameOrPassword);
    assert(hasty.isClosed);
    assert.deepEqual([hasty.received, listener.received], [[], []]); // Neither publish, nor a will.
    assert.equal(world.gateway.broker.connectionOf('one'), undefined);
  };
  it('what comes behind CONNECT waits, and is dropped when the client is not let in (hostile W05)', async () => {
    await nothingCountsBeforeTheVerdict();
    const handleEagerly = function (this: Connection, chunk: Buffer) {
      data.call(this, chunk);
      // Without the wait: whoever knocks is let in and handled while the verdict is being thought about.
      if (this.clientId === undefined) {
        this.core.router.publish({ topic: 'chat/a', payload: chunk, qos: 0, retain: false, byteLength: chunk.length });
      }
    };
    const { data } = Connection.prototype;
    await bites(Connection.prototype, 'data', { value: handleEagerly, writable: true }, nothingCountsBeforeTheVerdict);
  });

  it('and is handled in its order when it is (hostile W05)', async () => {
    const door = slowDoor();
    const { world, listener, hasty } = await worldWithHastyClient(door);
    door.admit();
    await world.durable();
    assert.deepEqual(listener.takeMessages(), ['same segment', 'next segment']);
    assert.deepEqual(
      [hasty.take('connack').reasonCode, hasty.take('puback').packetId, hasty.take('puback').packetId],
      [0, 1, 2],
    );
  });

  it('no more is taken from the socket than has arrived (hostile W05)', async () => {
    const door = slowDoor();
    const { world, hasty } = await worldWithHastyClient(door);
    for (let n = 0; n < 100; n++) hasty.publish('chat/a', Buffer.alloc(50_000), { qos: 0 });
    await world.advance(3_000);
    assert(hasty.socket.bufferedBytes >= 5_000_000, `${hasty.socket.bufferedBytes} bytes are still the client's`);
    door.admit();
    await world.durable();
    assert.equal(world.counters.get('mqtt.published'), 102);
  });

  it('a client is closed at the deadline all the same, and a verdict that comes later counts for nothing (hostile W05, S12)', async () => {
    const endsInTime = async () => {
      const door = slowDoor();
      const { world, listener, hasty } = await worldWithHastyClient(door);
      await world.advance(11_500);
      assert(hasty.isClosed);
      door.admit();
      await world.durable();
      assert.deepEqual([hasty.received, listener.received], [[], []]);
      assert.equal(world.gateway.broker.connectionOf('one'), undefined);
      assert.equal(world.gateway.connections.size, 1);
    };
    await endsInTime();
    await bites(brokerLimits, 'connectDeadlineMs', { value: 60_000 }, endsInTime);
  });

  it('a second CONNECT behind the first is refused once the first was let in (hostile W05)', async () => {
    const door = slowDoor();
    const world = await GatewayWorld.start({ access: door.access });
    const client = await world.socket();
    const connect = await world.connectPacket('one');
    client.send(connect, connect);
    await world.settle();
    door.admit();
    await world.settle();
    assert.equal(client.take('connack').reasonCode, 0);
    assert.equal(client.take('disconnect').reasonCode, reasonCodes.protocolError);
    assert(client.isClosed);
  });
});

describe('names', () => {
  const composed = 'chat/caf\u00e9';
  const decomposed = 'chat/cafe\u0301';

  const areComparedByteForByte = async () => {
    const { world } = await openWorld();
    const clients = new Map<string, TestClient>();
    for (const [clientId, topic] of [
      ['caf\u00e9', composed],
      ['cafe\u0301', decomposed],
      ['c\uff41f\u00e9', 'chat\uff0fcaf\u00e9'],
      ['caf\u00e9\u200b', 'chat/caf\u00e9\u200b'],
    ]) {
      const client = await world.socket();
      client.send({ ...(await world.connectPacket('one')), clientId });
      client.subscribe(topic);
      clients.set(topic, client);
    }
    await world.settle();
    for (const client of clients.values()) client.takeAll();
    assert([...clients.values()].every(({ isClosed }) => !isClosed)); // Four ids, not one that was taken over.
    const sender = await world.connect('two');
    for (const topic of clients.keys()) sender.publish(topic, topic, { qos: 0, retain: true });
    await world.settle();
    for (const [topic, client] of clients) assert.deepEqual(client.takeMessages(), [topic]);
    assert.equal(world.gateway.router.retained.size, 4);
  };
  it('are compared byte for byte: look-alikes are others (hostile W10)', async () => {
    await areComparedByteForByte();
    const { match } = TopicTree.prototype;
    const normalising: typeof match = function (this: TopicTree<unknown, unknown>, topic, visit) {
      return match.call(this, topic.normalize('NFKC'), visit);
    };
    await bites(TopicTree.prototype, 'match', { value: normalising, writable: true }, areComparedByteForByte);
  });

  const keys = ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'prototype'];
  const arePlainData = async () => {
    const { world, listener } = await openWorld();
    const before = Object.getOwnPropertyNames(Object.prototype).sort();
    const userProperties = [...keys, ...keys].map((key, n) => [key, `${n}`] as const);
    const properties: PublishProperties = { userProperties };
    for (const key of keys) {
      const will = { topic: `${key}/will`, payload: Buffer.from('x'), qos: 0, retain: false, properties } as const;
      const client = await world.socket();
      client.send({ ...(await world.connectPacket('one')), clientId: key, username: key, will, properties });
      client.subscribe([key, `${key}/+`, `$share/${key}/${key}`]);
      client.publish(key, 'x', { qos: 0, properties, retain: true });
      client.publish(`${key}/${key}`, 'x', { qos: 1, properties });
      await world.durable();
      assert.deepEqual(
        client.takeAll().map(packet => (packet.type === 'publish' ? packet.properties : packet.type)),
        ['connack', 'suback', properties, properties, properties, 'puback'],
      );
      assert.deepEqual(
        listener.takeAll().map(packet => packet.type === 'publish' && packet.properties),
        [properties, properties],
      );
      client.cut();
      await world.settle();
      assert.deepEqual(
        listener.takeAll().map(packet => packet.type === 'publish' && packet.properties),
        [properties],
      ); // The will.
    }
    assert.deepEqual(Object.getOwnPropertyNames(Object.prototype).sort(), before);
    assert.equal((await world.gateway.listConnections(keys)).length, keys.length);
  };
  it('of objects mean nothing here: keys, client ids, topics and groups are data (hostile W14)', async () => {
    await arePlainData();
    const { publish } = Router.prototype;
    const asObject: typeof publish = function (this: Router, publication, from, receivedId) {
      const record: Record<string, string> = {};
      for (const [key, value] of publication.properties?.userProperties ?? []) record[key] = value;
      const properties = { ...publication.properties, userProperties: Object.entries(record) };
      return publish.call(this, { ...publication, properties }, from, receivedId);
    };
    await bites(Router.prototype, 'publish', { value: asObject, writable: true }, arePlainData);
  });
});

describe('topics', () => {
  const deepOnesTouchNothing = async () => {
    const { world, listener } = await openWorld();
    const good = await world.connect('good');
    good.publish(`${'a/'.repeat(31)}a`, 'deepest', { qos: 0 });
    await world.settle();
    assert.deepEqual(listener.takeMessages(), ['deepest']);
    for (const slashes of [32, 33, 100, 1_023]) {
      const deep = '/'.repeat(slashes);
      const marker = 'X'.repeat(slashes); // Our encoder would not write the other.
      const spoiled = (packet: Packet) => {
        const bytes = encode(packet, 5);
        bytes.write(deep, bytes.indexOf(marker));
        return bytes;
      };
      const packets: Packet[] = [
        publishPacket(marker, 'x', { qos: 0, retain: true }),
        { type: 'subscribe', packetId: 1, subscriptions: subscriptionsTo(marker) },
        { type: 'unsubscribe', packetId: 1, topicFilters: [marker] },
        publishPacket('a', 'x', { qos: 0, properties: { responseTopic: marker } }),
      ];
      for (const packet of packets) {
        const client = await world.connect('one');
        client.sendBytes(spoiled(packet));
        await world.settle();
        assert(client.isClosed, `${packet.type} ${slashes}`);
        const { reasonCode } = client.take('disconnect');
        const isFilter = packet.type !== 'publish';
        assert.equal(reasonCode, isFilter ? reasonCodes.topicFilterInvalid : reasonCodes.topicNameInvalid);
      }
      const will = { topic: marker, payload: Buffer.from('x'), qos: 0, retain: false } as const;
      const client = await world.socket();
      client.sendBytes(spoiled(await world.connectPacket('one', { will })));
      await world.settle();
      assert.equal(client.take('connack').reasonCode, reasonCodes.topicNameInvalid);
      const published = world.gateway.publish({ topic: deep, payload: Buffer.from('x'), qos: 0 });
      await assert.rejects(published, { code: 'mqtt.topicNotValid' });
    }
    assert.equal(world.gateway.router.retained.size, 0);
    assert.equal(world.gateway.router.size, 1);
    assert.deepEqual(listener.takeAll(), []);
  };
  it('that are too deep are refused wherever they come, before anything happens (hostile W12)', async () => {
    await deepOnesTouchNothing();
    await bites(mqttLimits, 'topicLevelsMax', { value: 64 }, deepOnesTouchNothing);
  });
});

describe('properties', () => {
  const areCapped = async () => {
    const { world, listener } = await openWorld();
    const many = Array.from({ length: 33 }, (_, n) => [`${n}`, ''] as const);
    const large = [['x', 'x'.repeat(8 * 1024)]] as const;
    const [most, largest] = [many.slice(1), [['x', 'x'.repeat(8 * 1024 - 1)]] as const];
    for (const userProperties of [most, largest]) {
      const client = await world.connect('one', { properties: { userProperties } });
      client.publish('a', 'x', { qos: 0, properties: { userProperties } });
      await world.settle();
      assert.equal(listener.takeMessages().length, 1);
    }
    const flood = Array.from({ length: 20_000 }, () => ['a', 'b'] as const);
    for (const userProperties of [many, large, flood]) {
      const properties = { userProperties };
      const packets: Packet[] = [
        publishPacket('a', 'x', { qos: 0, properties }),
        { type: 'subscribe', packetId: 1, subscriptions: subscriptionsTo('a'), properties },
        { type: 'unsubscribe', packetId: 1, topicFilters: ['a'], properties },
        { type: 'puback', packetId: 1, reasonCode: 0x80, properties },
        { type: 'disconnect', reasonCode: 4, properties },
      ];
      for (const packet of packets) {
        const client = await world.connect('one');
        client.send(packet);
        await world.settle();
        assert(client.isClosed, packet.type);
        assert.equal(client.take('disconnect').reasonCode, reasonCodes.quotaExceeded, packet.type);
      }
      const client = await world.socket();
      client.send(await world.connectPacket('one', { properties }));
      await world.settle();
      const codes = client.takeAll().map(packet => packet.type === 'connack' && packet.reasonCode);
      // Over 32 KiB it is refused before anybody has looked which version it is.
      assert.deepEqual(codes, userProperties === flood ? [] : [reasonCodes.quotaExceeded]);
      assert(client.isClosed);
    }
    assert.deepEqual(listener.takeAll(), []);
  };
  it('of users are capped in number and bytes, in every packet (hostile W13)', async () => {
    await areCapped();
    await bites(mqttLimits, 'userPropertiesMax', { value: 100_000 }, areCapped);
    await bites(mqttLimits, 'userPropertyBytesMax', { value: 1_000_000 }, areCapped);
  });
});

describe('many packets in one write', () => {
  const areHandledInTurns = async () => {
    const world = await GatewayWorld.start();
    const [flooding, other] = [await world.connect('one'), await world.connect('two')];
    const count = 10_000;
    const turnsBefore = world.gateway.turn;
    flooding.sendBytes(Buffer.from('c000'.repeat(count), 'hex'));
    other.send({ type: 'pingreq' });
    while (other.received.length === 0) await world.settle();
    const published = () => flooding.received.length;
    while (published() < count) await world.settle();
    const turns = world.gateway.turn - turnsBefore;
    assert(turns >= Math.ceil(count / 4_096), `${turns} turns`);
  };
  it('have no more than a turn at once: then the others are served (hostile W16)', async () => {
    await areHandledInTurns();
    await bites(brokerLimits, 'packetsPerTurnMax', { value: Number.POSITIVE_INFINITY }, areHandledInTurns);
  });
});

describe('topic aliases', () => {
  const fromClientsAreCapped = async () => {
    const { world, listener } = await openWorld();
    const hostile: [PublishProperties, string, number][] = [
      [{ topicAlias: 33 }, 'a', reasonCodes.topicAliasInvalid],
      [{ topicAlias: 65_535 }, 'a', reasonCodes.topicAliasInvalid],
      [{ topicAlias: 1 }, '', reasonCodes.topicAliasInvalid], // Never said what it stands for.
    ];
    for (const [properties, topic, reasonCode] of hostile) {
      const client = await world.connect('one');
      client.publish(topic, 'x', { qos: 0, properties });
      await world.settle();
      assert.equal(client.take('disconnect').reasonCode, reasonCode, JSON.stringify(properties));
    }
    const client = await world.connect('one');
    const zero = encode(publishPacket('a', 'x', { qos: 0, properties: { topicAlias: 0x55 } }), 5);
    zero[zero.indexOf(0x55)] = 0;
    client.sendBytes(zero);
    await world.settle();
    assert.equal(client.take('disconnect').reasonCode, reasonCodes.topicAliasInvalid); // [MQTT5 3.3.2-8]
    assert.deepEqual(listener.takeAll(), []);
  };
  it('from a client are those announced, told before, and never 0 (hostile W17)', async () => {
    await fromClientsAreCapped();
    await bites(brokerLimits, 'topicAliasMaximum', { value: 65_535 }, fromClientsAreCapped);
  });

  const toClientsAreCapped = async () => {
    const { world } = await openWorld();
    const sender = await world.connect('sender');
    for (const [asked, given] of [
      [0, 0],
      [2, 2],
      [65_535, 32],
    ]) {
      for (let connection = 0; connection < 2; connection++) {
        const client = await world.connect('one', { properties: { topicAliasMaximum: asked } });
        client.subscribe('chat/#', { qos: 0 });
        await world.settle();
        client.takeAll();
        for (let round = 0; round < 2; round++)
          for (let n = 0; n < 50; n++) sender.publish(`chat/${n}`, `${n}`, { qos: 0 });
        await world.settle();
        const topics = new Map<number, string>(); // As a client keeps them: nothing of the connection before counts.
        const seen = client.takeAll().map(packet => {
          assert(packet.type === 'publish');
          const alias = packet.properties?.topicAlias;
          if (alias === undefined) return packet.topic;
          assert(alias >= 1 && alias <= asked, `alias ${alias} of ${asked}`); // [MQTT5 3.1.2-26, 3.1.2-27]
          if (packet.topic !== '') topics.set(alias, packet.topic);
          return topics.get(alias);
        });
        assert.deepEqual(
          seen,
          [...Array(100)].map((_, n) => `chat/${n % 50}`),
        );
        assert.equal(topics.size, given);
        client.cut();
        await world.settle();
      }
    }
  };
  it('to a client are as many as it takes, at most 32, and end with the connection (hostile W17)', async () => {
    await toClientsAreCapped();
    await bites(brokerLimits, 'topicAliasesToClientMax', { value: 1_000 }, toClientsAreCapped);
  });
});

describe('a publisher', () => {
  const staysWithinReceiveMaximum = async () => {
    const world = await GatewayWorld.start({ limits: { ...awsLimits, publishesPerSecondMax: 1_000 } });
    const client = await world.connect('one');
    assert.equal(client.connack?.properties?.receiveMaximum, 100);
    const publishes = (count: number) =>
      Array.from({ length: count }, (_, n) => publishPacket('chat/a', 'x', { packetId: n + 1 }));
    client.send(...publishes(100));
    await world.durable();
    assert.equal(client.takeAll().length, 100);
    client.send(...publishes(101));
    await world.settle();
    assert.equal(client.take('disconnect').reasonCode, reasonCodes.receiveMaximumExceeded); // [MQTT5 3.3.4-9]
    assert(client.isClosed);
  };
  it('with more unanswered than the Receive Maximum it was told is ended with 0x93 (hostile W18)', async () => {
    await staysWithinReceiveMaximum();
    await bites(awsLimits, 'receiveMaximum', { value: 65_535 }, staysWithinReceiveMaximum);
  });
});
