import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { PolicyEngine } from '../things/index.ts';
import { brokerLimits } from './broker-limits.ts';
import { bites, GatewayWorld } from './gateway-world.ts';
import { reasonCodes } from './packets.ts';

const { notAuthorized, quotaExceeded } = reasonCodes;

describe('subscribing', () => {
  it('grants each QoS as asked, and delivers at the lower of both [MQTT311 3.8.4-6] [MQTT5 3.8.4-7, 3.8.4-8]', async () => {
    const world = await GatewayWorld.start();
    const sender = await world.connect('two');
    for (const protocolVersion of [4, 5] as const) {
      const client = await world.connect('one', { protocolVersion });
      const subscriptions = [0, 1, 2].map(qos => ({
        topicFilter: `chat/${qos}`,
        qos: qos as 0 | 1 | 2,
        noLocal: false,
        retainAsPublished: false,
        retainHandling: 0 as const,
      }));
      client.send({ type: 'subscribe', packetId: 7, subscriptions });
      await world.settle();
      const suback = client.take('suback');
      assert.deepEqual([suback.packetId, suback.reasonCodes], [7, [0, 1, 2]]);
      for (const asked of [0, 1, 2])
        for (const qos of [0, 1, 2] as const) sender.publish(`chat/${asked}`, `${asked}${qos}`, { qos });
      await world.durable();
      const seen = client.takeAll().map(packet => packet.type === 'publish' && `${packet.payload}:${packet.qos}`);
      assert.deepEqual(seen, ['00:0', '01:0', '02:0', '10:0', '11:1', '12:1', '20:0', '21:1', '22:2']);
    }
  });

  const nothingWider = async () => {
    const world = await GatewayWorld.start();
    const filters = [
      'cmd/app/two/req',
      'cmd/app/+/req',
      'cmd/#',
      '#',
      '+/app/one/req',
      '$SYS/#',
      '$aws/things/one/#',
      'chat',
      '/chat/#',
    ];
    const allowed = ['cmd/app/one/#', 'cmd/app/one', 'cmd/app/one/+', 'chat/#', 'chat/+/x', 'will/+', 'will/two'];
    const client = await world.connect('one');
    client.subscribe([...filters, ...allowed]);
    await world.settle();
    const answers = [...filters.map(() => notAuthorized), ...allowed.map(() => 1)];
    answers[filters.indexOf('chat')] = 1; // "chat/#" names its parent too [MQTT5 4.7.1.2].
    assert.deepEqual(client.take('suback').reasonCodes, answers);
    for (const topic of ['cmd/app/two/req', '$SYS/x', '$aws/things/one/x']) {
      await world.clock.until(world.gateway.publish({ topic, payload: Buffer.from('x'), qos: 1 }));
    }
    await world.settle();
    assert.deepEqual(client.received, []);
  };
  it('refuses every filter that could match more than is allowed (hostile A03, A04, A05)', async () => {
    await nothingWider();
    await bites(PolicyEngine.prototype, 'maySubscribe', { value: () => true, writable: true }, nothingWider);
  });

  it('ends a 3.1.1 connection over a forbidden filter, and none of the others counts', async () => {
    const world = await GatewayWorld.start();
    const options = { protocolVersion: 4, cleanStart: false } as const;
    const client = await world.connect('one', options);
    client.subscribe(['chat/#', 'cmd/app/two/#']);
    await world.settle();
    assert(client.isClosed);
    assert.deepEqual(client.received, []);
    const back = await world.connect('one', options);
    assert.equal(back.connack?.sessionPresent, true);
    const { subscribers } = await world.gateway.publish({ topic: 'chat/a', payload: Buffer.from('x'), qos: 1 });
    assert.equal(subscribers, 0);
    assert(!(await world.lifecycle()).some(({ eventType }) => eventType === 'subscribed'));
  });

  it('takes no more filters and subscriptions than the limits, whichever way they come', async () => {
    const world = await GatewayWorld.start();
    const client = await world.connect('one');
    const filters = (from: number, count: number) => Array.from({ length: count }, (_, n) => `chat/${from + n}`);
    const { filtersPerSubscribeMax, subscriptionsPerSessionMax } = brokerLimits;
    const granted = async (asked: string[]) => {
      client.subscribe(asked);
      await world.settle();
      return client.take('suback').reasonCodes.filter(code => code === 1).length;
    };
    assert.equal(await granted(filters(0, filtersPerSubscribeMax + 5)), filtersPerSubscribeMax);
    let total = filtersPerSubscribeMax;
    for (let round = 1; round <= 4; round++) total += await granted(filters(round * 100, filtersPerSubscribeMax));
    assert.equal(total, subscriptionsPerSessionMax);
    assert.equal(await granted(['chat/0', 'chat/1', 'chat/new']), 2); // Those it has may be renewed.
    client.subscribe(['chat/another']);
    await world.settle();
    assert.deepEqual(client.take('suback').reasonCodes, [quotaExceeded]);
  });

  it('delivers one copy however many filters match, at the highest QoS granted (hostile D04) [MQTT5 3.3.4-2]', async () => {
    const world = await GatewayWorld.start();
    const clients = [await world.connect('a'), await world.connect('b'), await world.connect('c')];
    for (const client of clients) {
      client.subscribe(['chat/+/x', 'chat/room/+'], { qos: 0 });
      client.subscribe(['chat/#', 'chat/room/x', 'chat/+/+'], { qos: 1 });
    }
    await world.settle();
    for (const client of clients) client.takeAll();
    clients[0].publish('chat/room/x', 'once', { qos: 1 });
    await world.durable();
    for (const client of clients) {
      const seen = client.takeAll().flatMap(packet => (packet.type === 'publish' ? [packet.qos] : []));
      assert.deepEqual(seen, [1]);
    }
  });

  it('does not send back to a subscriber what it published when asked not to [MQTT5 3.8.3-3]', async () => {
    const world = await GatewayWorld.start();
    const client = await world.connect('one');
    client.subscribe('chat/#', { noLocal: true });
    client.publish('chat/a', 'mine', { qos: 0 });
    await world.settle();
    await world.clock.until(world.gateway.publish({ topic: 'chat/a', payload: Buffer.from('theirs'), qos: 0 }));
    await world.settle();
    assert.deepEqual(client.takeMessages(), ['theirs']);
  });

  it('replaces a subscription that comes again [MQTT5 3.8.4-3]', async () => {
    const world = await GatewayWorld.start();
    const client = await world.connect('one');
    client.subscribe('chat/a', { qos: 1 });
    client.subscribe('chat/a', { qos: 0 });
    await world.settle();
    client.takeAll();
    await world.clock.until(world.gateway.publish({ topic: 'chat/a', payload: Buffer.from('x'), qos: 1 }));
    await world.settle();
    assert.equal(client.take('publish').qos, 0);
    assert.deepEqual(client.received, []);
  });

  it('unsubscribes, saying for each filter whether there was one [MQTT5 3.11.3-1]', async () => {
    const world = await GatewayWorld.start();
    for (const protocolVersion of [4, 5] as const) {
      const client = await world.connect('one', { protocolVersion });
      client.subscribe('chat/a');
      client.send({ type: 'unsubscribe', packetId: 9, topicFilters: ['chat/a', 'chat/b', 'chat/a'] });
      await world.settle();
      client.take('suback');
      const codes =
        protocolVersion === 5 ? [0, reasonCodes.noSubscriptionExisted, reasonCodes.noSubscriptionExisted] : [];
      assert.deepEqual(client.take('unsuback').reasonCodes, codes);
      const { subscribers } = await world.gateway.publish({ topic: 'chat/a', payload: Buffer.from('x'), qos: 1 });
      assert.equal(subscribers, 0);
    }
  });

  it('forwards the properties of a message unchanged and in order, to MQTT 5 only [MQTT5 3.3.2-17, 3.3.2-20]', async () => {
    const world = await GatewayWorld.start();
    const [sender, five] = [await world.connect('one'), await world.connect('two')];
    const four = await world.connect('three', { protocolVersion: 4 });
    for (const client of [five, four]) client.subscribe('chat/#');
    await world.settle();
    five.takeAll();
    four.takeAll();
    const properties = {
      payloadFormatIndicator: 1,
      contentType: 'text/plain',
      responseTopic: 'chat/answers',
      correlationData: Buffer.from([1, 2, 3]),
      userProperties: [
        ['b', '1'],
        ['__proto__', 'x'],
        ['b', '2'],
      ], // W14: pairs, never keys of an object
    } as const;
    sender.publish('chat/a', 'x', { properties });
    await world.durable();
    assert.deepEqual(five.take('publish').properties, properties);
    assert.equal(four.take('publish').properties, undefined);
    assert.equal(({} as Record<string, unknown>).x, undefined);
  });

  it('ends subscriptions that a new policy does not allow any more, of who is away as well (hostile S09, A08)', async () => {
    const world = await GatewayWorld.start();
    const lasting = { cleanStart: false, properties: { sessionExpiryIntervalSeconds: 3_600 } } as const;
    const [here, away] = [await world.connect('one', lasting), await world.connect('two', lasting)];
    for (const client of [here, away]) client.subscribe(['chat/a', 'will/+']);
    await world.settle();
    here.takeAll();
    away.cut();
    await world.settle();
    const { policy } = world;
    assert.throws(() => policy.replace({ publish: ['chat/#/x'], ingest: [], subscribe: ['#'] })); // A06: the last good one holds.
    policy.replace({ publish: [], ingest: [], subscribe: ['will/+'] });
    for (const topic of ['chat/a', 'will/x']) {
      await world.clock.until(world.gateway.publish({ topic, payload: Buffer.from(topic), qos: 1 }));
    }
    await world.settle();
    assert.deepEqual(here.takeMessages(), ['will/x']);
    assert.deepEqual((await world.connect('two', lasting)).takeMessages(), ['will/x']);
  });
});
