import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Ingest } from '../rules/index.ts';
import { PolicyEngine } from '../things/index.ts';
import { awsLimits, brokerLimits } from './broker-limits.ts';
import { bites, GatewayWorld, publishPacket } from './gateway-world.ts';
import type { Packet, ProtocolVersion } from './packets.ts';
import { reasonCodes } from './packets.ts';

const own = 'dt/app/one/reading';
const versions: ProtocolVersion[] = [4, 5];
const isPuback = (packet: Packet) => packet.type === 'puback';

describe('publishing', () => {
  const acksOnlyWhatIsDurable = async () => {
    const world = await GatewayWorld.start();
    const client = await world.connect('one');
    await world.durable();
    const syncs = world.disk.syncs;
    client.publish(own, 'kept');
    for (let ms = 0; ms < 30; ms++) {
      await world.advance(1);
      if (client.received.some(isPuback)) break;
    }
    assert.equal(client.take('puback').reasonCode, 0);
    assert(world.disk.syncs > syncs, 'acknowledged before the sync');
    assert.deepEqual(await world.telemetry(), ['kept']);
  };
  it('acknowledges telemetry only when it would survive a power cut', async () => {
    await acksOnlyWhatIsDurable();
    const { offer } = Ingest.prototype;
    const hasty: typeof offer = function (this: Ingest, thingName, topic, payload, target, packetId = 0) {
      offer.call(this, thingName, topic, payload);
      target?.acknowledge(packetId, 0);
    };
    await bites(Ingest.prototype, 'offer', { value: hasty, writable: true }, acksOnlyWhatIsDurable);
  });

  it('acknowledges in the order of the publishes, whatever their fate (hostile D11) [MQTT5 4.6.0-2]', async () => {
    const world = await GatewayWorld.start();
    const client = await world.connect('one');
    const topics = [own, 'forbidden', 'chat/a', own, 'forbidden', 'chat/b', own];
    client.send(...topics.map((topic, index) => publishPacket(topic, 'x', { packetId: 100 + index })));
    await world.durable();
    const answers = client
      .takeAll()
      .map(packet => (packet.type === 'puback' ? [packet.packetId, packet.reasonCode] : packet));
    const refused = reasonCodes.notAuthorized;
    assert.deepEqual(answers, [
      [100, 0],
      [101, refused],
      [102, 0],
      [103, 0],
      [104, refused],
      [105, 0],
      [106, 0],
    ]);
  });

  const onlyOwnTopics = async () => {
    const world = await GatewayWorld.start();
    const [client, listener] = [await world.connect('one'), await world.connect('two')];
    listener.subscribe('will/+');
    const topics = ['dt/app/two/reading', 'cmd/app/two/req', '$SYS/x', '$aws/things/one/shadow/update', 'will/two'];
    for (const topic of topics) client.publish(topic, 'x');
    await world.durable();
    assert.deepEqual(
      client.takeAll().map(packet => packet.type === 'puback' && packet.reasonCode),
      topics.map(() => reasonCodes.notAuthorized),
    );
    assert.deepEqual(listener.takeMessages(), []);
    assert.deepEqual(await world.telemetry(), []);
  };
  it('refuses what the policy does not allow, and does nothing with it (hostile A04, A05) [MQTT5 3.4.2.1]', async () => {
    await onlyOwnTopics();
    const yes = () => ({ allowed: true, ingest: true });
    await bites(PolicyEngine.prototype, 'judgePublish', { value: yes, writable: true }, onlyOwnTopics);
  });

  it('ends a 3.1.1 connection over such a publish, as AWS IoT Core does', async () => {
    const world = await GatewayWorld.start();
    const client = await world.connect('one', { protocolVersion: 4 });
    client.publish('dt/app/two/reading', 'x');
    await world.durable();
    assert(client.isClosed);
    assert.deepEqual(client.received, []);
    assert.equal((await world.lifecycle()).at(-1)?.disconnectReason, 'FORBIDDEN_ACCESS');
  });

  it('drops a forbidden QoS 0 publish and counts it', async () => {
    const world = await GatewayWorld.start();
    const client = await world.connect('one');
    client.publish('forbidden', 'x', { qos: 0 });
    await world.durable();
    assert(!client.isClosed);
    assert.equal(world.counters.get('mqtt.refused.publish'), 1);
  });

  it('judges by the policy of this moment, also what it has judged before (hostile A08)', async () => {
    const world = await GatewayWorld.start();
    const client = await world.connect('one');
    client.publish(own, 'x');
    await world.durable();
    client.takeAll();
    world.policy.replace({ publish: [], ingest: [], subscribe: [] });
    client.publish(own, 'y');
    await world.durable();
    assert.equal(client.take('puback').reasonCode, reasonCodes.notAuthorized);
  });

  it('refuses topic aliases that are not valid (hostile W17) [MQTT5 3.3.2-8, 3.3.2-9]', async () => {
    const world = await GatewayWorld.start();
    const { topicAliasMaximum } = brokerLimits;
    for (const topicAlias of [topicAliasMaximum + 1, 65_535]) {
      const client = await world.connect('one');
      client.publish(own, 'x', { properties: { topicAlias } });
      await world.settle();
      assert.equal(client.take('disconnect').reasonCode, reasonCodes.topicAliasInvalid);
    }
    const client = await world.connect('one');
    client.publish('', 'x', { properties: { topicAlias: 1 } }); // Never told what it stands for.
    await world.settle();
    assert.equal(client.take('disconnect').reasonCode, reasonCodes.topicAliasInvalid);
    await world.durable();
    assert.deepEqual(await world.telemetry(), []);
  });

  it('takes an alias for the topic it was last told with, on this connection only [MQTT5 3.3.2-7]', async () => {
    const world = await GatewayWorld.start();
    const client = await world.connect('one');
    client.publish(own, 'a', { properties: { topicAlias: 7 } });
    client.publish('', 'b', { properties: { topicAlias: 7 } });
    client.publish('chat/a', 'c', { properties: { topicAlias: 7 } });
    client.publish('', 'd', { properties: { topicAlias: 7 } });
    client.publish(own, 'e');
    await world.durable();
    assert.deepEqual(await world.telemetry(), ['a', 'b', 'e']);
    client.cut();
    const back = await world.connect('one');
    back.publish('', 'f', { properties: { topicAlias: 7 } });
    await world.settle();
    assert.equal(back.take('disconnect').reasonCode, reasonCodes.topicAliasInvalid);
  });

  it('refuses QoS 2 and subscription identifiers where AWS does', async () => {
    const world = await GatewayWorld.start({ limits: awsLimits });
    const client = await world.connect('one');
    assert.equal(client.connack?.properties?.maximumQoS, 1); // [MQTT5 3.2.2-9]
    client.publish(own, 'x', { qos: 2 });
    await world.settle();
    assert.equal(client.take('disconnect').reasonCode, reasonCodes.qosNotSupported); // [MQTT5 3.2.2-11]
  });

  it('counts refused publishes as answered: thousands of them do not fill the window', async () => {
    const world = await GatewayWorld.start();
    const client = await world.connect('one');
    for (let round = 0; round < 5; round++) {
      client.send(...Array.from({ length: 100 }, (_, n) => publishPacket('forbidden', 'x', { packetId: n + 1 })));
      await world.durable();
      assert.equal(client.takeAll().filter(isPuback).length, 100);
    }
  });

  for (const version of versions) {
    it(`reads a client that pipelines too much only as its publishes become durable, MQTT ${version} (hostile D10)`, async () => {
      const world = await GatewayWorld.start();
      const client = await world.connect('one', { protocolVersion: version });
      const count = brokerLimits.unacknowledgedMax * 3;
      client.send(...Array.from({ length: count }, (_, n) => publishPacket(own, `${n}`, { packetId: n + 1 })));
      await world.settle();
      assert.equal(world.counters.get('mqtt.published'), brokerLimits.unacknowledgedMax);
      await world.advance(500);
      const acknowledged = client.takeAll().flatMap(packet => (packet.type === 'puback' ? [packet.packetId] : []));
      assert.deepEqual(
        acknowledged,
        Array.from({ length: count }, (_, n) => n + 1),
      );
      assert.deepEqual(
        await world.telemetry(),
        Array.from({ length: count }, (_, n) => `${n}`),
      );
      assert(!client.isClosed);
    });
  }

  for (const version of versions) {
    it(`never acknowledges what a full disk did not keep, and goes on when there is room, MQTT ${version} (hostile T07)`, async () => {
      const world = await GatewayWorld.start();
      const client = await world.connect('one', { protocolVersion: version });
      await world.durable();
      world.disk.failNext({ operation: 'write', code: 'ENOSPC' });
      client.send(publishPacket(own, 'a', { packetId: 1 }), publishPacket(own, 'b', { packetId: 2 }));
      await world.durable();
      if (version === 5) {
        const codes = [client.take('puback').reasonCode, client.take('puback').reasonCode];
        assert.deepEqual(codes, [reasonCodes.quotaExceeded, reasonCodes.quotaExceeded]);
      } else {
        assert.deepEqual(client.received, []);
        assert(client.isClosed); // 3.1.1 has no other way to say so; it comes back and sends again.
      }
      const again = version === 5 ? client : await world.connect('one', { protocolVersion: 4 });
      again.publish(own, 'c', { packetId: 3 });
      await world.durable();
      assert.equal(again.take('puback').reasonCode, 0);
      assert.deepEqual(await world.telemetry(), ['c']);
    });
  }

  it('acknowledges nothing any more when a sync has failed (hostile T06)', async () => {
    const world = await GatewayWorld.start();
    const client = await world.connect('one');
    await world.durable();
    world.disk.failNext({ operation: 'sync', code: 'EIO' });
    client.publish(own, 'a');
    await world.durable();
    client.publish(own, 'b');
    await world.durable();
    const codes = client.takeAll().map(packet => packet.type === 'puback' && packet.reasonCode);
    assert.deepEqual(codes, [reasonCodes.quotaExceeded, reasonCodes.quotaExceeded]);
    assert(world.failures.length > 0);
  });

  it('keeps what was on its way to the disk when the connection was lost, and answers nobody', async () => {
    const world = await GatewayWorld.start();
    const client = await world.connect('one');
    client.publish(own, 'a');
    await world.settle();
    client.cut();
    await world.durable();
    assert.deepEqual(await world.telemetry(), ['a']);
    assert.equal(world.counters.get('mqtt.failed.connection'), 0);
  });

  it('handles nothing behind the packet that ended the connection (hostile W05)', async () => {
    const world = await GatewayWorld.start();
    const client = await world.connect('one');
    client.send(
      publishPacket(own, 'a', { packetId: 1 }),
      publishPacket(own, 'b', { packetId: 2, properties: { topicAlias: 65_535 } }),
      publishPacket(own, 'c', { packetId: 3 }),
    );
    client.publish(own, 'd');
    await world.durable();
    assert.deepEqual(await world.telemetry(), ['a']);
    assert.equal(client.take('disconnect').reasonCode, reasonCodes.topicAliasInvalid);
    assert.deepEqual(client.received, []);
  });

  it('stops reading senders while the disk is behind, and goes on with all of them', async () => {
    const world = await GatewayWorld.start();
    const [one, gone] = [await world.connect('one'), await world.connect('two')];
    await world.durable();
    const payload = Buffer.alloc(200 * 1024);
    const parts = Array.from({ length: 90 }, (_, n) => publishPacket(own, payload, { packetId: n + 1 }));
    for (let round = 0; round < 3; round++)
      one.send(...parts.map(packet => ({ ...packet, qos: 0, packetId: 0 }) as const));
    gone.send(...parts.map(packet => ({ ...packet, topic: 'dt/app/two/reading' })));
    await world.settle();
    gone.cut();
    one.publish(own, 'last');
    await world.advance(2_000);
    assert.equal(one.received.filter(isPuback).length, 1);
    assert(!one.isClosed && gone.isClosed);
    assert.equal(world.gateway.connections.size, 1);
    const inAll = world.counters.get('ingest.durable');
    assert(inAll >= 270, `${inAll} durable`);
  });
});

describe('an app that publishes', () => {
  it('is told how many were there to hear it', async () => {
    const world = await GatewayWorld.start();
    const publish = (topic: string) =>
      world.clock.until(world.gateway.publish({ topic, payload: Buffer.from('x'), qos: 1 }));
    assert.deepEqual(await publish('cmd/app/one/req'), { subscribers: 0 });
    const client = await world.connect('one', { properties: { sessionExpiryIntervalSeconds: 60 } });
    client.subscribe('cmd/app/one/#');
    await world.settle();
    assert.deepEqual(await publish('cmd/app/one/req'), { subscribers: 1 });
    client.cut();
    await world.settle();
    assert.deepEqual(await publish('cmd/app/one/req'), { subscribers: 0 }); // Queued, but nobody is there.
  });

  it('is refused what no packet can carry, before anybody gets a part of it', async () => {
    const world = await GatewayWorld.start();
    const client = await world.connect('one');
    client.subscribe('cmd/app/one/#');
    await world.settle();
    client.takeAll();
    const good = { topic: 'cmd/app/one/req', payload: Buffer.from('x'), qos: 1 } as const;
    const refuse = (change: object, code: string) =>
      assert.rejects(world.clock.until(world.gateway.publish({ ...good, ...change })), { code });
    await refuse({ topic: 'cmd/app/one/+' }, 'mqtt.topicNotValid');
    await refuse({ topic: '' }, 'mqtt.topicNotValid');
    await refuse({ payload: Buffer.alloc(256 * 1024) }, 'mqtt.messageTooLarge');
    for (const messageExpirySeconds of [0, -1, 1.5, Number.NaN, 2 ** 32]) {
      await refuse({ messageExpirySeconds }, 'mqtt.messageExpiryNotValid');
    }
    await world.settle();
    assert.deepEqual(client.received, []);
    assert.equal(world.counters.get('mqtt.failed.connection'), 0);
  });
});
