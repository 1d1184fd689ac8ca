/** `--limits aws`: each quota and refusal of AWS IoT Core that the gateway obeys, both versions. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { awsLimits, type BrokerLimits } from './broker-limits.ts';
import { type ConnectOptions, GatewayWorld, publishPacket, subscriptionsTo, type TestClient } from './gateway-world.ts';
import { lasting, openDoor, openWorld, versions } from './hostile-world.ts';
import { type ConnectPacket, type Packet, type ProtocolVersion, type QoS, reasonCodes } from './packets.ts';

const { notAuthorized, quotaExceeded, qosNotSupported, topicFilterInvalid, topicNameInvalid } = reasonCodes;

/** As AWS, but not so that each connect has to wait a second. */
const aws: BrokerLimits = { ...awsLimits, connectsPerSecondMax: 1e6, connectsPerClientPerSecondMax: 1e6 };
const awsWorld = (change: Partial<BrokerLimits> = {}) => openWorld({}, { limits: { ...aws, ...change } });
const kept = (version: ProtocolVersion): ConnectOptions =>
  version === 5 ? lasting : { protocolVersion: 4, cleanStart: false };

/** What a client is told of one packet: reason codes, "closed" at the end of the connection. */
async function answersTo(world: GatewayWorld, client: TestClient, ...packets: Packet[]): Promise<(number | string)[]> {
  client.send(...packets);
  await world.durable();
  const codes = client.takeAll().flatMap((packet): (number | string)[] => {
    if (packet.type === 'suback' || packet.type === 'unsuback') return packet.reasonCodes;
    return 'reasonCode' in packet ? [packet.reasonCode] : [packet.type];
  });
  return client.isClosed ? [...codes, 'closed'] : codes;
}

async function connackOf(world: GatewayWorld, change: Partial<ConnectPacket>): Promise<number | undefined> {
  const client = await world.socket(change.protocolVersion);
  client.send({ ...(await world.connectPacket('one')), ...change });
  await world.settle();
  const [packet] = client.takeAll();
  return packet?.type === 'connack' ? packet.reasonCode : undefined;
}

describe('limits as of AWS: CONNECT', () => {
  it('announces what there is: QoS 1, 100 in flight, 8 aliases, 146 KB, no subscription identifiers', async () => {
    const { world } = await awsWorld();
    const client = await world.connect('one', {
      keepAliveSeconds: 60,
      properties: { sessionExpiryIntervalSeconds: 0 },
    });
    assert.deepEqual(client.connack?.properties, {
      maximumQoS: 1,
      receiveMaximum: 100,
      topicAliasMaximum: 8,
      maximumPacketSizeBytes: 149_504,
      subscriptionIdentifiersAvailable: 0,
    });
  });

  it('takes a keep alive of 30 to 1,200 s', async () => {
    const { world } = await awsWorld();
    for (const [asked, told, seconds] of [
      [0, 1_200, 1_200],
      [1, 30, 30],
      [29, 30, 30],
      [30, undefined, 30],
      [1_200, undefined, 1_200],
      [1_201, 1_200, 1_200],
    ] as const) {
      const client = await world.connect('one', { keepAliveSeconds: asked });
      assert.equal(client.connack?.properties?.serverKeepAliveSeconds, told);
      await world.advance(seconds * 1_500 - 1_000);
      assert(!client.isClosed, `${asked}`);
      await world.advance(2_500);
      assert(client.isClosed, `${asked}`);
    }
  });

  it('keeps a session of 3.1.1 for an hour, and one of 5 as long as it asks, at most 7 days', async () => {
    const { world } = await awsWorld();
    const five = { cleanStart: false, properties: { sessionExpiryIntervalSeconds: 10 * 86_400 } };
    const client = await world.connect('five', five);
    assert.equal(client.connack?.properties?.sessionExpiryIntervalSeconds, 7 * 86_400);
    client.cut();
    (await world.connect('four', { protocolVersion: 4, cleanStart: false })).cut();
    await world.advance(3_590_000);
    const again = await world.connect('four', { protocolVersion: 4, cleanStart: false });
    assert.equal(again.connack?.sessionPresent, true);
    again.cut();
    await world.advance(3_602_000);
    assert.equal(
      (await world.connect('four', { protocolVersion: 4, cleanStart: false })).connack?.sessionPresent,
      false,
    );
    await world.clock.suspend(6 * 86_400_000);
    assert.equal((await world.connect('five', five)).connack?.sessionPresent, true);
  });

  it('does not resume a session of one version with the other', async () => {
    const { world } = await awsWorld();
    for (const [first, then] of [
      [4, 5],
      [5, 4],
    ] as const) {
      const clientId = `c-${first}`;
      const client = await world.connect(clientId, kept(first));
      client.subscribe('chat/#');
      await world.settle();
      client.cut();
      await world.settle();
      assert.equal((await world.connect(clientId, kept(then))).connack?.sessionPresent, false);
    }
    assert.equal(world.gateway.router.size, 1); // The listener's.
  });

  it('takes client ids of 1 to 128 bytes that do not begin with $, and gives one only in 5', async () => {
    const { world } = await awsWorld();
    for (const version of versions) {
      const codeOf = (clientId: string) => connackOf(world, { protocolVersion: version, clientId });
      const notValid = version === 5 ? reasonCodes.clientIdentifierNotValid : 2;
      assert.equal(await codeOf('x'.repeat(128)), 0);
      assert.equal(await codeOf('x'.repeat(129)), notValid);
      assert.equal(await codeOf('$x'), notValid);
      assert.equal(await codeOf(''), version === 5 ? 0 : 2);
    }
  });

  it('takes one CONNECT a second of one client id, and 500 of all', async () => {
    const world = await GatewayWorld.start({ access: openDoor(), limits: awsLimits });
    await world.advance(1_000);
    assert.equal(await connackOf(world, { clientId: 'one' }), 0);
    assert.equal(await connackOf(world, { clientId: 'one' }), quotaExceeded);
    assert.equal(await connackOf(world, { clientId: 'one', protocolVersion: 4 }), 3);
    assert.equal(await connackOf(world, { clientId: 'two' }), 0);
    await world.advance(1_100);
    assert.equal(await connackOf(world, { clientId: 'one' }), 0);
    const codes: (number | undefined)[] = [];
    for (let n = 0; n < 600; n++) codes.push(await connackOf(world, { clientId: `c-${n}` }));
    assert.equal(codes.filter(code => code === 0).length, 499);
    assert.equal(codes.filter(code => code === quotaExceeded).length, 101); // 0x89 is not among AWS' codes.
  });

  it('refuses wills as it would refuse the publish: QoS 2, too deep, forbidden, retained where that is reserved', async () => {
    const world = await GatewayWorld.start({ limits: aws });
    const will = { topic: 'will/one', payload: Buffer.from('x'), qos: 1, retain: false } as const;
    assert.equal(await connackOf(world, { will }), 0);
    assert.equal(await connackOf(world, { will: { ...will, qos: 2 } }), qosNotSupported);
    assert.equal(await connackOf(world, { will: { ...will, topic: `chat${'/x'.repeat(8)}` } }), topicNameInvalid);
    assert.equal(await connackOf(world, { will: { ...will, topic: `chat/${'x'.repeat(252)}` } }), topicNameInvalid);
    assert.equal(await connackOf(world, { will: { ...will, topic: 'will/two' } }), notAuthorized);
    const { world: open } = await awsWorld();
    assert.equal(await connackOf(open, { will: { ...will, topic: '$aws/rules/x/y' } }), 0);
    assert.equal(await connackOf(open, { will: { ...will, topic: '$aws/rules/x/y', retain: true } }), notAuthorized);
  });

  it('answers enhanced authentication with a code that AWS lists', async () => {
    const { world } = await awsWorld();
    assert.equal(await connackOf(world, { properties: { authenticationMethod: 'x' } }), notAuthorized);
  });
});

describe('limits as of AWS: PUBLISH', () => {
  for (const version of versions) {
    const ended = (reasonCode: number) => (version === 5 ? [reasonCode, 'closed'] : ['closed']);
    const publish = (topic: string, change: { qos?: QoS; retain?: boolean; payload?: Buffer } = {}) =>
      publishPacket(topic, change.payload ?? 'x', { packetId: 7, ...change });

    it(`takes payloads of 128 KB and ends the connection over more, MQTT ${version}`, async () => {
      const { world, listener } = await awsWorld();
      const client = await world.connect('one', { protocolVersion: version });
      assert.deepEqual(await answersTo(world, client, publish('a', { payload: Buffer.alloc(131_072) })), [0]);
      assert.deepEqual(
        await answersTo(world, client, publish('a', { payload: Buffer.alloc(131_073) })),
        ended(quotaExceeded),
      );
      assert.equal(listener.takeMessages().length, 1);
    });

    it(`takes topics of 256 bytes and 7 slashes, AWS' own prefixes not counted, MQTT ${version}`, async () => {
      const { world } = await awsWorld();
      const slashes = (count: number) => `a${'/x'.repeat(count)}`;
      const bytes = (count: number) => 'ä'.repeat(Math.floor(count / 2)) + 'a'.repeat(count % 2);
      const good = [
        slashes(7),
        bytes(256),
        `$aws/rules/my_rule/${slashes(7)}`,
        `$aws/rules/my_rule/${bytes(256)}`,
        `$aws/commands/things/t/executions/e/response/accepted/json`,
        '$aws/things/t/shadow/name/n/update/accepted',
      ];
      const bad = [
        slashes(8),
        bytes(257),
        `$aws/rules/my_rule/${slashes(8)}`,
        `$aws/rules/my_rule/${bytes(257)}`,
        `$aws/things/${bytes(250)}`,
      ];
      const client = await world.connect('good', { protocolVersion: version });
      for (const topic of good) assert.deepEqual(await answersTo(world, client, publish(topic)), [0], topic);
      for (const topic of bad) {
        const other = await world.connect('bad', { protocolVersion: version });
        assert.deepEqual(await answersTo(world, other, publish(topic)), ended(topicNameInvalid), topic);
      }
    });

    it(`does not take QoS 2: 5 is ended, 3.1.1 never gets an answer, MQTT ${version}`, async () => {
      const { world, listener } = await awsWorld();
      const client = await world.connect('one', { protocolVersion: version });
      assert.deepEqual(
        await answersTo(world, client, publish('a', { qos: 2 })),
        version === 5 ? [qosNotSupported, 'closed'] : [],
      );
      assert.deepEqual(listener.takeMessages(), []);
      if (version === 4) assert.deepEqual(await answersTo(world, client, publish('a')), [0]); // It is still there.
    });

    it(`ends who has more than 100 unacknowledged, MQTT ${version}`, async () => {
      const { world } = await awsWorld({ publishesPerSecondMax: 1_000 });
      const packets = Array.from({ length: 101 }, (_, n) => publishPacket('a', 'x', { packetId: n + 1 }));
      const client = await world.connect('one', { protocolVersion: version });
      assert.equal((await answersTo(world, client, ...packets.slice(0, 100))).length, 100);
      const answers = await answersTo(world, client, ...packets);
      assert.deepEqual(answers.slice(-2), ended(reasonCodes.receiveMaximumExceeded).slice(-2));
    });

    it(`takes 100 a second of one connection: more are refused in 5, and read when they are due in 3.1.1, MQTT ${version}`, async () => {
      const { world } = await awsWorld({ receiveMaximum: 65_535 });
      const client = await world.connect('one', { protocolVersion: version });
      await world.advance(1_000);
      const packets = Array.from({ length: 500 }, (_, n) => publishPacket('a', 'x', { packetId: n + 1 }));
      if (version === 5) {
        const answers = await answersTo(world, client, ...packets);
        assert.equal(answers.filter(code => code === 0).length, 100);
        assert.equal(answers.filter(code => code === quotaExceeded).length, 400);
        await world.advance(500);
        const later = await answersTo(world, client, ...packets);
        assert(Math.abs(later.filter(code => code === 0).length - 52) <= 2);
        return;
      }
      client.send(...packets);
      let acked = 0;
      for (const [ms, least, most] of [
        [100, 105, 115],
        [1_000, 205, 215],
        [1_000, 305, 315],
        [2_500, 500, 500],
      ]) {
        await world.advance(ms);
        acked += client.takeAll().length;
        assert(acked >= least && acked <= most, `${acked} acknowledged`);
      }
      assert(!client.isClosed);
    });

    it(`takes 512 KiB a second of one connection, MQTT ${version}`, async () => {
      const { world } = await awsWorld();
      const client = await world.connect('one', { protocolVersion: version });
      await world.advance(1_000);
      const packets = Array.from({ length: 20 }, (_, n) =>
        publishPacket('a', Buffer.alloc(100 * 1024), { packetId: n + 1 }),
      );
      if (version === 5) {
        const answers = await answersTo(world, client, ...packets);
        assert.equal(answers.filter(code => code === 0).length, 6); // The last one leaves a debt.
        assert.equal(answers.filter(code => code === quotaExceeded).length, 14);
        return;
      }
      client.send(...packets);
      await world.advance(1_000);
      assert(client.takeAll().length <= 12);
      await world.advance(2_500);
      assert.equal(client.isClosed, false);
      assert.equal(world.counters.get('mqtt.published'), 20);
    });

    it(`keeps a retained message of each topic, but none on reserved ones, MQTT ${version}`, async () => {
      const { world } = await awsWorld();
      const client = await world.connect('one', { protocolVersion: version });
      assert.deepEqual(await answersTo(world, client, publish('a', { retain: true })), [0]);
      assert.deepEqual(
        await answersTo(world, client, publish('$aws/rules/x/y', { retain: true })),
        version === 5 ? [notAuthorized] : ['closed'],
      );
      assert.equal(world.gateway.router.retained.size, 1);
    });

    it(`ends 3.1.1 over a publish that is not allowed, and tells 5, MQTT ${version}`, async () => {
      const world = await GatewayWorld.start({ limits: aws });
      const client = await world.connect('one', { protocolVersion: version });
      assert.deepEqual(
        await answersTo(world, client, publish('forbidden')),
        version === 5 ? [notAuthorized] : ['closed'],
      );
    });

    it(`takes 20,000 a second of all connections together, here 50, MQTT ${version}`, async () => {
      const { world } = await awsWorld({ totalPublishesPerSecondMax: 50 });
      await world.advance(1_000);
      const codes: (number | string)[] = [];
      for (let n = 0; n < 10; n++) {
        const client = await world.connect(`c-${n}`, { protocolVersion: version });
        client.send(...Array.from({ length: 10 }, (_, m) => publishPacket('a', 'x', { packetId: m + 1 })));
      }
      await world.settle();
      // 3.1.1 cannot be refused one: of each connection one more is taken, and the rest waits.
      const taken = world.counters.get('mqtt.published');
      if (version === 5) assert.equal(taken, 50);
      else assert(taken >= 50 && taken <= 50 + 10, `${taken} taken`);
      assert.deepEqual(codes, []);
      assert(world.counters.get('mqtt.refused.rate') > 0);
      await world.advance(10_000);
      if (version === 4) assert.equal(world.counters.get('mqtt.published'), 100); // Late, and none lost.
    });
  }

  it('takes 8 topic aliases from a client and gives none', async () => {
    const { world } = await awsWorld();
    const client = await world.connect('one', { properties: { topicAliasMaximum: 100 } });
    client.subscribe('a');
    await world.settle();
    client.takeAll();
    const sender = await world.connect('two');
    const aliased = (topicAlias: number) => publishPacket('a', 'x', { qos: 0, properties: { topicAlias } });
    assert.deepEqual(await answersTo(world, sender, aliased(8)), []);
    assert.deepEqual(await answersTo(world, sender, aliased(9)), [reasonCodes.topicAliasInvalid, 'closed']);
    assert.equal(client.take('publish').properties, undefined);
  });

  it('sends at most 100 unacknowledged to a client, whatever it would take', async () => {
    const { world } = await awsWorld({ publishesPerSecondMax: 1_000 });
    const client = await world.connect('one', { properties: { receiveMaximum: 1_000 } });
    const sender = await world.connect('two');
    client.subscribe('a');
    await world.settle();
    client.takeAll();
    for (let n = 0; n < 150; n++) {
      sender.publish('a', `${n}`);
      if (n % 50 === 49) await world.durable();
    }
    assert.equal(client.unanswered.length, 100);
  });
});

describe('limits as of AWS: SUBSCRIBE', () => {
  for (const version of versions) {
    const subscribe = (filters: string | string[], qos: QoS = 1): Packet => ({
      type: 'subscribe',
      packetId: 3,
      subscriptions: subscriptionsTo(filters, { qos }),
    });
    /** As a SUBACK says it: 3.1.1 has one word for all. */
    const code = (reasonCode: number) => (version === 5 || reasonCode < 3 ? reasonCode : 0x80);

    it(`takes 8 filters in one packet and 50 of one connection, MQTT ${version}`, async () => {
      const { world } = await awsWorld();
      const client = await world.connect('one', { protocolVersion: version });
      const filters = (from: number, count: number) => Array.from({ length: count }, (_, n) => `f/${from + n}`);
      const nine = await answersTo(world, client, subscribe(filters(0, 9)));
      assert.deepEqual(nine, [...Array(8).fill(1), code(quotaExceeded)]);
      for (let n = 1; n < 6; n++)
        assert.deepEqual(await answersTo(world, client, subscribe(filters(n * 8, 8))), Array(8).fill(1));
      assert.deepEqual(await answersTo(world, client, subscribe(filters(48, 4))), [
        1,
        1,
        code(quotaExceeded),
        code(quotaExceeded),
      ]);
    });

    it(`takes filters of 256 bytes and 7 slashes, the share not counted, MQTT ${version}`, async () => {
      const { world } = await awsWorld();
      const client = await world.connect('one', { protocolVersion: version });
      const deep = (slashes: number) => `a${'/x'.repeat(slashes)}`;
      const asked: [string, number][] = [
        [deep(7), 1],
        [deep(8), topicFilterInvalid],
        [`$share/${'n'.repeat(128)}/${deep(7)}`, 1],
        [`$share/n/${deep(8)}`, topicFilterInvalid],
        [`$share/${'n'.repeat(129)}/a`, topicFilterInvalid],
        ['a'.repeat(256), 1],
        ['a'.repeat(257), topicFilterInvalid],
        [`$share/n/${'a'.repeat(256)}`, 1],
      ];
      const answers = await answersTo(world, client, subscribe(asked.map(([filter]) => filter)));
      assert.deepEqual(
        answers,
        asked.map(([, expected]) => code(expected)),
      );
    });

    it(`does not take QoS 2: 5 is ended, 3.1.1 never gets an answer, MQTT ${version}`, async () => {
      const { world } = await awsWorld();
      const client = await world.connect('one', { protocolVersion: version });
      const answers = await answersTo(world, client, subscribe(['a', 'b'], 2));
      assert.deepEqual(answers, version === 5 ? [qosNotSupported, 'closed'] : []);
      assert.equal(world.gateway.router.size, 1); // The listener's.
      assert.equal(client.isClosed, version === 5);
    });

    it(`ends 3.1.1 over a filter that is not allowed, and tells 5, MQTT ${version}`, async () => {
      const world = await GatewayWorld.start({ limits: aws });
      const client = await world.connect('one', { protocolVersion: version });
      const answers = await answersTo(world, client, subscribe(['chat/a', 'cmd/app/two/x']));
      assert.deepEqual(answers, version === 5 ? [1, notAuthorized] : ['closed']);
    });

    it(`does not let # match its parent, nor a retained message any wildcard or share, MQTT ${version}`, async () => {
      const { world } = await awsWorld();
      const sender = await world.connect('sender');
      sender.publish('sensor', 'parent', { retain: true });
      sender.publish('sensor/1', 'child', { retain: true });
      await world.durable();
      const hearsOf = async (filter: string): Promise<string[]> => {
        const client = await world.connect('one', { protocolVersion: version });
        client.subscribe(filter);
        await world.durable();
        const retained = client.takeMessages();
        sender.publish('sensor', 'parent live');
        sender.publish('sensor/', 'empty child live');
        sender.publish('sensor/1', 'child live');
        await world.durable();
        await world.advance(100); // Not to be over the rate.
        return [...retained, ...client.takeMessages()];
      };
      assert.deepEqual(await hearsOf('sensor/#'), ['empty child live', 'child live']);
      assert.deepEqual(await hearsOf('sensor/+'), ['empty child live', 'child live']);
      assert.deepEqual(await hearsOf('$share/g/sensor/1'), ['child live']);
      assert.deepEqual(await hearsOf('sensor/1'), ['child', 'child live']);
      assert.deepEqual(await hearsOf('sensor'), ['parent', 'parent live']);
    });

    it(`answers UNSUBSCRIBE with success whether there was a subscription or not, MQTT ${version}`, async () => {
      const { world } = await awsWorld();
      const client = await world.connect('one', { protocolVersion: version });
      await answersTo(world, client, subscribe('a'));
      const answers = await answersTo(world, client, {
        type: 'unsubscribe',
        packetId: 4,
        topicFilters: ['a', 'never'],
      });
      assert.deepEqual(answers, version === 5 ? [0, 0] : []);
    });
  }

  it('ends who uses subscription identifiers, which it said there are none of', async () => {
    const { world } = await awsWorld();
    const client = await world.connect('one');
    const properties = { subscriptionIdentifier: 1 };
    const packet: Packet = { type: 'subscribe', packetId: 3, subscriptions: subscriptionsTo('a'), properties };
    assert.deepEqual(await answersTo(world, client, packet), [
      reasonCodes.subscriptionIdentifiersNotSupported,
      'closed',
    ]);
  });

  it('hands each message of a shared subscription to one member, and keeps QoS 1 while one has a session', async () => {
    const { world } = await awsWorld();
    const members = [await world.connect('m-1', kept(5)), await world.connect('m-2', kept(4))];
    for (const member of members) member.subscribe('$share/g/chat/#');
    await world.durable();
    for (const member of members) member.takeAll();
    const sender = await world.connect('sender');
    for (let n = 0; n < 20; n++) sender.publish('chat/a', `${n}`);
    await world.durable();
    assert.equal(members.flatMap(member => member.takeMessages()).length, 20);
    for (const member of members) member.cut();
    await world.settle();
    sender.publish('chat/a', 'queued');
    sender.publish('chat/a', 'nobody there', { qos: 0 });
    await world.durable();
    const back = [await world.connect('m-1', kept(5)), await world.connect('m-2', kept(4))];
    await world.durable();
    assert.equal(back.flatMap(member => member.takeMessages()).filter(text => text === 'queued').length, 1);
    assert.equal(world.counters.get('mqtt.dropped.qos0'), 1);
  });
});

describe('limits as of AWS: message expiry', () => {
  it('forwards what is left of it, from queues, retained messages and wills', async () => {
    const { world } = await awsWorld();
    const properties = { messageExpiryIntervalSeconds: 600 };
    const away = await world.connect('away', lasting);
    away.subscribe('chat/a');
    await world.settle();
    away.cut();
    const sender = await world.connect('sender', { keepAliveSeconds: 1_200 });
    sender.publish('chat/a', 'queued', { properties, retain: true });
    await world.durable();
    await world.advance(100_000);
    const back = await world.connect('away', lasting);
    assert.equal(back.take('publish').properties?.messageExpiryIntervalSeconds, 500);
    back.subscribe('chat/a');
    await world.durable();
    back.take('suback');
    const retained = back.take('publish');
    assert.deepEqual([retained.retain, retained.properties?.messageExpiryIntervalSeconds], [true, 500]);
  });
});
