import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { encode } from '../encode.ts';
import { GatewayWorld, publishPacket, type TestClient } from '../gateway-world.ts';
import type { Will } from '../packets.ts';
import { reasonCodes } from '../packets.ts';
import { keptSession, versions, worldWithSubscriber } from './both-versions.ts';

/** Wills, sessions and connections: how long they last, and what is said when they end. */

const aWill = (change: Partial<Will> = {}): Will => ({
  topic: 'will/one',
  payload: Buffer.from('gone'),
  qos: 1,
  retain: false,
  ...change,
});

async function worldWithListener() {
  const world = await GatewayWorld.start();
  const listener = await world.connect('listener', { keepAliveSeconds: 1_000 });
  listener.subscribe('will/+');
  await world.settle();
  listener.takeAll();
  return { world, listener };
}

describe('a will', () => {
  for (const version of versions) {
    it(`is published once when its connection is lost, not retained, MQTT ${version} [MQTT311 3.1.2-8, 3.1.2-10, 3.1.2-16] [MQTT5 3.1.2-7, 3.1.2-8, 3.1.2-10, 3.1.2-14]`, async () => {
      const { world, listener } = await worldWithListener();
      const client = await world.connect('one', { ...keptSession(version), will: aWill() });
      await world.advance(10_000);
      assert.deepEqual(listener.received, []);
      client.cut();
      await world.settle();
      const { topic, payload, qos, retain } = listener.take('publish');
      assert.deepEqual([topic, payload.toString(), qos, retain], ['will/one', 'gone', 1, false]);
      (await world.connect('one', keptSession(version))).cut(); // Without a will of its own [MQTT311 3.1.2-12].
      await world.advance(10_000);
      assert.deepEqual(listener.received, []);
    });

    it(`is published for who breaks the protocol or is taken over, MQTT ${version} [MQTT311 3.1.2-8] [MQTT5 3.1.2-8]`, async () => {
      const { world, listener } = await worldWithListener();
      const options = { protocolVersion: version, will: aWill() };
      (await world.connect('one', options)).sendBytes(Buffer.from('d000', 'hex'));
      await world.settle();
      assert.deepEqual(listener.takeMessages(), ['gone']);
      await world.connect('one', options);
      await world.connect('one', { protocolVersion: version });
      assert.deepEqual(listener.takeMessages(), ['gone']);
    });

    it(`is thrown away by a normal DISCONNECT, MQTT ${version} [MQTT311 3.1.2-10, 3.14.4-3] [MQTT5 3.1.2-10, 3.14.4-3]`, async () => {
      const { world, listener } = await worldWithListener();
      const client = await world.connect('one', { protocolVersion: version, will: aWill() });
      client.send({ type: 'disconnect', reasonCode: 0 });
      await world.advance(10_000);
      assert(client.isClosed);
      assert.deepEqual(listener.received, []);
    });
  }

  it('waits for its delay or the end of its session, and not for who is back [MQTT5 3.1.2-8, 3.1.3-9]', async () => {
    const { world, listener } = await worldWithListener();
    const connect = (sessionExpiryIntervalSeconds: number, cleanStart = false) =>
      world.connect('one', {
        cleanStart,
        will: aWill({ properties: { willDelayIntervalSeconds: 20 } }),
        properties: { sessionExpiryIntervalSeconds },
      });
    (await connect(100)).cut();
    await world.advance(19_000);
    (await connect(100)).cut(); // Back in time, and lost again.
    await world.advance(19_000);
    assert.deepEqual(listener.takeMessages(), []);
    await world.advance(2_000);
    assert.deepEqual(listener.takeMessages(), ['gone']);
    (await connect(5)).cut();
    await world.advance(6_000); // The session ends before the delay.
    assert.deepEqual(listener.takeMessages(), ['gone']);
  });

  it('is published with its properties, user properties in their order [MQTT5 3.1.3-10]', async () => {
    const { world, listener } = await worldWithListener();
    const userProperties = [
      ['z', '1'],
      ['a', '2'],
      ['z', '0'],
    ] as const;
    (await world.connect('one', { will: aWill({ properties: { userProperties } }) })).cut();
    await world.settle();
    assert.deepEqual(listener.take('publish').properties?.userProperties, userProperties);
  });
});

describe('a session', () => {
  for (const version of versions) {
    it(`lasts as long as its connection, however long that is, MQTT ${version} [MQTT311 4.1.0-1, 4.1.0-2] [MQTT5 4.1.0-1]`, async () => {
      const shortest =
        version === 5 ? { properties: { sessionExpiryIntervalSeconds: 1 } } : { protocolVersion: version };
      for (const options of [{ protocolVersion: version }, shortest]) {
        const { world, sender, client } = await worldWithSubscriber({ ...options, keepAliveSeconds: 1_000 });
        sender.publish('chat/a', 'in flight');
        await world.durable();
        for (let minute = 0; minute < 30; minute++) {
          for (const one of [sender, client]) one.send({ type: 'pingreq' });
          await world.advance(60_000);
        }
        client.ack(client.unanswered[0]);
        client.takeAll();
        sender.publish('chat/a', 'later');
        await world.durable();
        assert.deepEqual(client.takeMessages(), ['later']);
      }
    });
  }

  it('is thrown away when its expiry interval has passed, and not before [MQTT5 3.1.2-23, 4.1.0-2]', async () => {
    const world = await GatewayWorld.start();
    const options = { cleanStart: false, properties: { sessionExpiryIntervalSeconds: 60 } };
    const isKept = async (ms: number) => {
      (await world.connect('one', options)).cut();
      await world.advance(ms);
      return (await world.connect('one', options)).connack?.sessionPresent;
    };
    assert.equal(await isKept(59_000), true);
    assert.equal(await isKept(61_000), false);
  });
});

describe('bytes that break the rules', () => {
  /** The first two stand for what is malformed, the others for protocol violations. */
  const broken: readonly [name: string, hex: string][] = [
    ['a remaining length that never ends', 'c0ffffffff'],
    ['text that is not UTF-8', '30030001ff'],
    ['U+0000 in a topic', '3003000100'],
    ['QoS 3', '3605000161000178'],
    ['reserved flags of PUBREL', '60020001'],
    ['reserved flags of DISCONNECT', 'e100'],
    ['reserved flags of PINGREQ', 'c100'],
    ['the packet of a server', 'd000'],
    ['packet id 0', '32050001610000'],
    ['SUBSCRIBE without a filter', '82020001'],
  ];
  for (const version of versions) {
    it(`end the connection, and in 5 with the reason, MQTT ${version} [MQTT311 1.5.3-1, 1.5.3-2, 2.2.2-2, 3.3.1-4, 3.6.1-1, 3.14.1-1, 4.8.0-1] [MQTT5 3.3.1-4, 3.6.1-1, 3.14.1-1, 3.14.2-1, 3.14.4-1, 3.14.4-2, 4.13.1-1, 4.13.2-1]`, async () => {
      const world = await GatewayWorld.start();
      for (const [name, hex] of broken) {
        const client = await world.connect('one', { protocolVersion: version });
        client.sendBytes(Buffer.concat([Buffer.from(hex, 'hex'), encode({ type: 'pingreq' }, version)]));
        await world.settle();
        assert(client.isClosed, name);
        if (version === 5) {
          const { reasonCode, properties } = client.take('disconnect');
          assert(reasonCode >= 0x80, name);
          assert.equal(properties?.sessionExpiryIntervalSeconds, undefined, name); // [MQTT5 3.14.2-2]
        }
        assert.deepEqual(client.received, [], name); // Nothing comes behind DISCONNECT.
      }
    });
  }

  it('bring no DISCONNECT to who was never let in [MQTT5 3.14.0-1]', async () => {
    const world = await GatewayWorld.start();
    const connect = await world.connectPacket('one');
    const beginnings = [
      encode({ type: 'pingreq' }, 5),
      Buffer.from('10ffffffff', 'hex'),
      Buffer.from('f00218 00'.replaceAll(' ', ''), 'hex'),
      encode({ ...connect, password: Buffer.from('wrong') }, 5),
      Buffer.concat([encode({ ...connect, clientId: 'o#e' }, 5), encode(connect, 5)]),
    ];
    const clients: TestClient[] = [];
    for (const bytes of beginnings) {
      const client = await world.socket();
      client.sendBytes(bytes);
      clients.push(client);
    }
    clients.push(await world.socket()); // And to who says nothing at all.
    await world.advance(30_000);
    for (const client of clients) {
      assert(client.isClosed);
      assert(!client.received.some(({ type }) => type === 'disconnect'));
    }
  });

  it('or a message that cannot be stored end a 3.1.1 connection without an acknowledgement [MQTT311 4.8.0-2]', async () => {
    const world = await GatewayWorld.start();
    const client = await world.connect('one', { protocolVersion: 4 });
    await world.durable();
    world.disk.failNext({ operation: 'write', code: 'ENOSPC' });
    client.send(publishPacket('dt/app/one/reading', 'x'));
    await world.durable();
    assert(client.isClosed);
    assert.deepEqual(client.received, []);
  });
});

describe('DISCONNECT from the server', () => {
  it('names no session expiry, is its last word, and closes [MQTT5 3.14.2-1, 3.14.2-2, 3.14.4-1, 3.14.4-2, 4.13.2-1]', async () => {
    const { world, client: older, sender } = await worldWithSubscriber(keptSession(5));
    await world.connect('one', keptSession(5));
    sender.publish('chat/a', 'x');
    await world.durable();
    const { reasonCode, properties } = older.take('disconnect');
    assert.equal(reasonCode, reasonCodes.sessionTakenOver);
    assert.equal(properties?.sessionExpiryIntervalSeconds, undefined);
    assert.deepEqual(older.received, []);
    assert(older.isClosed);
  });
});

describe('PINGREQ', () => {
  for (const version of versions) {
    it(`is answered with PINGRESP, MQTT ${version} [MQTT311 3.12.4-1] [MQTT5 3.12.4-1]`, async () => {
      const world = await GatewayWorld.start();
      const client = await world.connect('one', { protocolVersion: version });
      client.send({ type: 'pingreq' }, { type: 'pingreq' });
      await world.settle();
      assert.deepEqual(
        client.received.map(({ type }) => type),
        ['pingresp', 'pingresp'],
      );
    });
  }
});
