import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { GatewayWorld, subscriptionsTo, type TestClient } from '../gateway-world.ts';
import { type QoS, reasonCodes } from '../packets.ts';
import { keptSession, takePublishes, versions, worldWithSubscriber } from './both-versions.ts';

/** Chapters 3.8 to 3.11 and 4.8.2: who gets what, and who no longer. */

const isFailure = (code: number) => code >= 0x80;

describe('SUBSCRIBE', () => {
  for (const version of versions) {
    it(`is answered with one code for each filter, in their order, MQTT ${version} [MQTT311 2.3.1-7, 3.8.4-1, 3.8.4-2, 3.8.4-4, 3.8.4-5, 3.9.3-1] [MQTT5 2.2.1-6, 3.8.4-1, 3.8.4-2, 3.8.4-5 … 3.8.4-7, 3.9.3-1]`, async () => {
      const world = await GatewayWorld.start();
      const sender = await world.connect('sender');
      const client = await world.connect('one', { protocolVersion: version });
      const asked: [string, QoS][] = [
        ['chat/a', 1],
        ['chat/b', 0],
        ['chat/c/#', 1],
        ['chat/a', 0], // The later of two that are the same holds, as in two SUBSCRIBEs.
      ];
      const subscriptions = asked.flatMap(([topicFilter, qos]) => subscriptionsTo(topicFilter, { qos }));
      client.send({ type: 'subscribe', packetId: 4_711, subscriptions });
      await world.settle();
      const { packetId, reasonCodes: codes } = client.take('suback');
      assert.equal(packetId, 4_711);
      assert.deepEqual(codes, [1, 0, 1, 0]);
      for (const topic of ['chat/a', 'chat/b', 'chat/c/d']) sender.publish(topic, topic);
      await world.durable();
      const seen = takePublishes(client).map(({ topic, qos }) => [topic, qos]);
      assert.deepEqual(seen, [
        ['chat/a', 0],
        ['chat/b', 0],
        ['chat/c/d', 1],
      ]);
    });

    it(`delivers at the lower of the QoS published and granted, MQTT ${version} [MQTT311 3.8.4-6] [MQTT5 3.8.4-7, 3.8.4-8]`, async () => {
      const world = await GatewayWorld.start();
      const sender = await world.connect('sender');
      const client = await world.connect('one', { protocolVersion: version });
      const granted = new Map<string, number>();
      for (const qos of [0, 1, 2] as const) {
        client.subscribe(`chat/${qos}`, { qos });
        await world.settle();
        const [code] = client.take('suback').reasonCodes;
        assert(code <= qos);
        granted.set(`chat/${qos}`, code);
      }
      for (const topic of granted.keys()) for (const qos of [0, 1] as const) sender.publish(topic, `${qos}`, { qos });
      await world.durable();
      const seen = takePublishes(client);
      assert.equal(seen.length, 6);
      for (const { topic, payload, qos } of seen) {
        assert.equal(qos, Math.min(Number(payload.toString()), granted.get(topic) ?? -1), topic);
      }
    });

    it(`to a filter the session has already replaces that subscription, MQTT ${version} [MQTT5 3.8.4-3]`, async () => {
      const { world, sender, client } = await worldWithSubscriber({ protocolVersion: version });
      client.subscribe('chat/#', { qos: 0 });
      await world.settle();
      client.take('suback');
      sender.publish('chat/a', 'x');
      await world.durable();
      assert.equal(client.take('publish').qos, 0);
      assert.deepEqual(client.received, []);
    });

    it(`that is malformed ends the connection, MQTT ${version} [MQTT311 2.2.2-2, 3.8.1-1, 3.8.3-4] [MQTT5 3.8.1-1, 3.8.3-5]`, async () => {
      const world = await GatewayWorld.start();
      const noProperties = version === 5 ? '00' : '';
      const length = version === 5 ? '07' : '06';
      const body = (options: string) => `${length}0001${noProperties}000161${options}`;
      for (const hex of [
        `80${body('01')}`,
        `83${body('01')}`,
        `82${body('40')}`,
        `82${body('81')}`,
        `82${body('03')}`,
      ]) {
        const client = await world.connect('one', { protocolVersion: version });
        client.sendBytes(Buffer.from(hex, 'hex'));
        await world.settle();
        assert(client.isClosed, hex);
        assert(!client.received.some(({ type }) => type === 'suback'), hex);
      }
    });
  }

  it('with No Local brings a client nothing of its own, whichever connection it is [MQTT5 3.8.3-3]', async () => {
    const { world, sender } = await worldWithSubscriber();
    const first = await world.connect('two', keptSession(5));
    first.subscribe('chat/#', { noLocal: true });
    await world.settle();
    first.cut();
    const second = await world.connect('two', keptSession(5));
    second.publish('chat/a', 'own', { qos: 0 });
    sender.publish('chat/a', 'another’s', { qos: 0 });
    await world.settle();
    assert.deepEqual(second.takeMessages(), ['another’s']);
  });

  it('with a filter that is refused fails for that filter alone [MQTT5 3.8.4-5, 3.8.4-7, 3.9.3-2]', async () => {
    const world = await GatewayWorld.start();
    const client = await world.connect('one');
    client.subscribe(['forbidden/#', 'chat/a', 'forbidden']);
    await world.settle();
    assert.deepEqual(client.take('suback').reasonCodes.map(isFailure), [true, false, true]);
    await world.clock.until(world.gateway.publish({ topic: 'chat/a', payload: Buffer.from('x'), qos: 0 }));
    await world.settle();
    assert.deepEqual(client.takeMessages(), ['x']);
  });
});

describe('UNSUBSCRIBE', () => {
  for (const version of versions) {
    it(`ends the subscriptions with exactly these filters, and is always answered, MQTT ${version} [MQTT311 2.3.1-7, 3.10.4-1, 3.10.4-2, 3.10.4-4 … 3.10.4-6] [MQTT5 2.2.1-6, 3.10.4-1, 3.10.4-2, 3.10.4-4 … 3.10.4-6, 3.11.3-1]`, async () => {
      const world = await GatewayWorld.start();
      const sender = await world.connect('sender');
      const client = await world.connect('one', { protocolVersion: version });
      client.subscribe(['chat/+', 'chat/a', 'chat/b/#', 'chat/é']);
      await world.settle();
      client.takeAll();
      const topicFilters = ['chat/b', 'chat/A', 'chat/+', 'chat/#', 'chat/e\u0301', 'chat/b/#'];
      client.send({ type: 'unsubscribe', packetId: 815, topicFilters });
      await world.settle();
      const { packetId, reasonCodes: codes } = client.take('unsuback');
      assert.equal(packetId, 815);
      const none = reasonCodes.noSubscriptionExisted;
      assert.deepEqual(codes, version === 5 ? [none, none, 0, none, none, 0] : []);
      for (const topic of ['chat/a', 'chat/b', 'chat/b/c', 'chat/é', 'chat/other']) sender.publish(topic, topic);
      await world.durable();
      assert.deepEqual(client.takeMessages(), ['chat/a', 'chat/é']);
      client.send({ type: 'unsubscribe', packetId: 816, topicFilters: ['chat/never'] });
      await world.settle();
      assert.equal(client.take('unsuback').packetId, 816);
    });

    it(`lets deliveries that have begun come to their end, MQTT ${version} [MQTT311 3.10.4-3] [MQTT5 3.10.4-3]`, async () => {
      const { world, sender, client } = await worldWithSubscriber(keptSession(version));
      sender.publish('chat/a', 'begun');
      await world.durable();
      const { packetId } = client.take('publish');
      client.send({ type: 'unsubscribe', packetId: 9, topicFilters: ['chat/#'] });
      await world.settle();
      sender.publish('chat/a', 'too late');
      await world.durable();
      client.take('unsuback');
      client.cut();
      await world.settle();
      const back = await world.connect('one', keptSession(version));
      const [again, ...more] = takePublishes(back);
      assert.deepEqual([again.payload.toString(), again.packetId, again.dup], ['begun', packetId, true]);
      assert.deepEqual(more, []);
      back.ack(packetId);
      await world.settle();
      back.cut();
      await world.settle();
      assert.deepEqual((await world.connect('one', keptSession(version))).received, []);
    });

    it(`with other flags ends the connection, MQTT ${version} [MQTT311 2.2.2-2, 3.10.1-1] [MQTT5 3.10.1-1]`, async () => {
      const world = await GatewayWorld.start();
      const body = version === 5 ? '06000100000161' : '050001000161';
      for (const first of ['a0', 'a3', 'aa']) {
        const client = await world.connect('one', { protocolVersion: version });
        client.sendBytes(Buffer.from(first + body, 'hex'));
        await world.settle();
        assert(client.isClosed, first);
        assert(!client.received.some(({ type }) => type === 'unsuback'), first);
      }
    });
  }
});

describe('subscription identifiers', () => {
  it('of all matching subscriptions come with the one copy there is [MQTT5 3.3.4-3, 3.3.4-4]', async () => {
    const world = await GatewayWorld.start();
    const client = await world.connect('one');
    const subscribe = (packetId: number, topicFilter: string, subscriptionIdentifier?: number) =>
      client.send({
        type: 'subscribe',
        packetId,
        subscriptions: subscriptionsTo(topicFilter),
        properties: subscriptionIdentifier === undefined ? undefined : { subscriptionIdentifier },
      });
    subscribe(1, 'chat/#', 268_435_455);
    subscribe(2, 'chat/+', 1);
    subscribe(3, 'chat/a');
    subscribe(4, 'chat/b', 7);
    await world.settle();
    client.takeAll();
    await world.clock.until(world.gateway.publish({ topic: 'chat/a', payload: Buffer.from('x'), qos: 1 }));
    await world.settle();
    const [message, ...more] = takePublishes(client);
    assert.deepEqual(more, []);
    const identifiers = [...(message.properties?.subscriptionIdentifiers ?? [])];
    assert.deepEqual(
      identifiers.sort((a, b) => a - b),
      [1, 268_435_455],
    );
  });
});

describe('shared subscriptions', () => {
  const shared = '$share/group/chat/#';

  async function group(qos: QoS = 1) {
    const world = await GatewayWorld.start();
    const sender = await world.connect('sender');
    const members = [await world.connect('one', keptSession(5)), await world.connect('two', keptSession(5))];
    for (const member of members) {
      member.subscribe(shared, { qos });
      await world.settle();
      assert.deepEqual(member.take('suback').reasonCodes, [qos]);
    }
    return { world, sender, members };
  }
  /** Who of two got the message, first. */
  const chosenFirst = (members: readonly TestClient[]) =>
    members.toSorted((a, b) => b.received.length - a.received.length);

  it('bring each message to one of the group, at the QoS granted to it [MQTT5 4.8.2-3]', async () => {
    const { world, sender, members } = await group(1);
    members[1].subscribe(shared, { qos: 0 });
    await world.settle();
    members[1].takeAll();
    for (let n = 0; n < 20; n++) sender.publish('chat/a', `${n}`);
    await world.durable();
    const [first, second] = members.map(takePublishes);
    assert.equal(first.length + second.length, 20);
    assert(first.every(({ qos }) => qos === 1) && second.every(({ qos }) => qos === 0));
  });

  it('complete a QoS 2 delivery with the client chosen, and with nobody else [MQTT5 4.8.2-4, 4.8.2-5]', async () => {
    const { world, sender, members } = await group(2);
    sender.publish('chat/a', 'x', { qos: 2 });
    await world.durable();
    const [chosen, other] = chosenFirst(members);
    const clientId = chosen === members[0] ? 'one' : 'two';
    const { packetId } = chosen.take('publish');
    chosen.cut();
    await world.durable();
    assert.deepEqual(other.received, []);
    const back = await world.connect(clientId, keptSession(5));
    assert.equal(takePublishes(back)[0].packetId, packetId);
    back.send({ type: 'disconnect', reasonCode: 0, properties: { sessionExpiryIntervalSeconds: 0 } });
    await world.durable();
    assert.deepEqual(other.received, []);
  });

  it('drop a message that the client chosen refuses [MQTT5 4.8.2-6]', async () => {
    const { world, sender, members } = await group(1);
    sender.publish('chat/a', 'x');
    await world.durable();
    const [chosen, other] = chosenFirst(members);
    const { packetId } = chosen.take('publish');
    chosen.send({ type: 'puback', packetId, reasonCode: reasonCodes.notAuthorized });
    await world.durable();
    chosen.cut();
    await world.advance(4_000_000);
    assert.deepEqual(takePublishes(other), []);
  });
});
