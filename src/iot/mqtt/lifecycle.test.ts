/** Lifecycle events: AWS IoT Core's topics and payloads ("Lifecycle events"), whatever happens to a connection. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { awsLimits, brokerLimits } from './broker-limits.ts';
import { GatewayWorld, publishPacket, subscriptionsTo, type TestClient, testPolicy } from './gateway-world.ts';
import { lasting, openDoor, openWorld } from './hostile-world.ts';
import { type Packet, reasonCodes, type Will } from './packets.ts';

type Event = Record<string, unknown>;

/** What a subscriber hears of the events, beside what the functions get. */
async function worldThatListens() {
  const { world, listener } = await openWorld();
  listener.subscribe('$aws/events/#');
  await world.durable();
  await world.durable();
  listener.takeAll();
  const heard = async (): Promise<{ topic: string; event: Event }[]> => {
    await world.durable();
    await world.durable();
    return listener.takeAll().flatMap(packet => {
      if (packet.type !== 'publish' || !packet.topic.startsWith('$aws/')) return [];
      return [{ topic: packet.topic, event: JSON.parse(Buffer.from(packet.payload).toString()) }];
    });
  };
  return { world, listener, heard };
}

describe('a lifecycle event', () => {
  it('goes to the topic of its client, with the fields AWS has and no others', async () => {
    const { world, heard } = await worldThatListens();
    const client = await world.socket();
    client.send({ ...(await world.connectPacket('one')), username: 'vouched' });
    await world.settle();
    client.subscribe(['foo/bar', 'foo/+']);
    await world.settle();
    client.send({ type: 'unsubscribe', packetId: 9, topicFilters: ['foo/+', 'never'] });
    await world.settle();
    client.send({ type: 'disconnect', reasonCode: 0 });
    const events = await heard();
    assert.deepEqual(
      events.map(({ topic }) => topic),
      [
        '$aws/events/presence/connected/one',
        '$aws/events/subscriptions/subscribed/one',
        '$aws/events/subscriptions/unsubscribed/one',
        '$aws/events/presence/disconnected/one',
      ],
    );
    const [{ event: connected }] = events;
    const { sessionIdentifier, timestamp } = connected;
    assert.match(String(sessionIdentifier), /^[0-9a-f]{32}$/);
    assert(Math.abs(Number(timestamp) - world.clock.nowMs()) < 1_000); // Milliseconds, as nowhere else in AWS IoT.
    const common = { clientId: 'one', sessionIdentifier, principalIdentifier: 'vouched' };
    const without = ({ timestamp: _, ...event }: Event) => event;
    assert.deepEqual(
      events.map(({ event }) => without(event)),
      [
        { ...common, eventType: 'connected', ipAddress: '127.0.0.1', versionNumber: 0 },
        { ...common, eventType: 'subscribed', topics: ['foo/bar', 'foo/+'] },
        { ...common, eventType: 'unsubscribed', topics: ['foo/+'] },
        {
          ...common,
          eventType: 'disconnected',
          clientInitiatedDisconnect: true,
          disconnectReason: 'CLIENT_INITIATED_DISCONNECT',
          versionNumber: 0,
        },
      ],
    );
  });

  it('names the thing where the client is one', async () => {
    const world = await GatewayWorld.start();
    (await world.connect('one.upload')).cut();
    await world.durable();
    const events = await world.lifecycle();
    assert.deepEqual(
      events.map(({ clientId, thingName }) => [clientId, thingName]),
      [
        ['one.upload', 'one'],
        ['one.upload', 'one'],
      ],
    );
  });

  it('is not told of a client id that no topic can hold', async () => {
    const { world, heard } = await worldThatListens();
    for (const clientId of ['a+b', '#', 'c#']) {
      const client = await world.socket();
      client.send({ ...(await world.connectPacket('one')), clientId });
      client.subscribe('foo');
      await world.settle();
      assert.equal(client.take('connack').reasonCode, 0);
      client.cut();
    }
    assert.deepEqual(await heard(), []);
  });

  it('says of a refused will that the connect failed, and nothing of who was not known or came too often', async () => {
    const world = await GatewayWorld.start({ limits: { ...awsLimits, connectsPerClientPerSecondMax: 3 } });
    const will: Will = { topic: 'will/two', payload: Buffer.from('x'), qos: 0, retain: false };
    const listener = await world.connect('listener');
    world.policy.replace({ ...testPolicy, subscribe: ['$aws/events/#'] });
    listener.subscribe('$aws/events/presence/connect_failed/+');
    await world.durable();
    listener.takeAll();
    const tries: [Partial<Packet & { type: 'connect' }>, number][] = [
      [{ will }, reasonCodes.notAuthorized],
      [{ password: Buffer.from('wrong') }, reasonCodes.badUserNameOrPassword],
      [{}, 0],
      [{}, reasonCodes.quotaExceeded],
    ];
    for (const [change, code] of tries) {
      const client = await world.socket();
      client.send({ ...(await world.connectPacket('one')), ...change });
      await world.settle();
      assert.equal(client.take('connack').reasonCode, code);
    }
    await world.durable();
    const events = listener.takeMessages().map(text => JSON.parse(text));
    assert.equal(events.length, 1);
    const { timestamp, sessionIdentifier, ...event } = events[0];
    assert(Number.isInteger(timestamp) && /^[0-9a-f]{32}$/.test(sessionIdentifier));
    assert.deepEqual(event, {
      clientId: 'one',
      thingName: 'one',
      principalIdentifier: 'one',
      eventType: 'connect_failed',
      connectFailureReason: 'AUTHORIZATION_FAILED',
    });
  });
});

describe('the reason of a disconnect', () => {
  const endings: Record<string, (world: GatewayWorld, client: TestClient) => unknown> = {
    'CLIENT_INITIATED_DISCONNECT by DISCONNECT': (_, client) => client.send({ type: 'disconnect', reasonCode: 0 }),
    'CLIENT_INITIATED_DISCONNECT by DISCONNECT with will': (_, client) =>
      client.send({ type: 'disconnect', reasonCode: reasonCodes.disconnectWithWill }),
    'CONNECTION_LOST by a pulled plug': (_, client) => client.cut(),
    'MQTT_KEEP_ALIVE_TIMEOUT by silence': world => world.advance(100_000),
    'DUPLICATE_CLIENTID by another connection': world => world.connect('one'),
    'CLIENT_ERROR by bytes that are no packet': (_, client) => client.sendBytes(Buffer.from('ffff', 'hex')),
    'CLIENT_ERROR by a protocol error': (_, client) =>
      client.send(publishPacket('chat/a', 'x', { qos: 0, properties: { topicAlias: 65_535 } })),
    'SERVER_INITIATED_DISCONNECT by deleting the thing': world => world.gateway.deleteThing('one'),
    'SERVER_INITIATED_DISCONNECT by the end of the process': world => world.gateway.close(),
    'SERVER_ERROR by a crash': world => world.durable().then(() => world.powerCut()),
  };
  for (const [name, end] of Object.entries(endings)) {
    const [reason] = name.split(' ');
    it(`is ${name}, and the will follows unless it was a goodbye`, async () => {
      const world = await GatewayWorld.start({ durable: true });
      const listener = await world.connect('listener', { ...lasting, keepAliveSeconds: 1_200 });
      listener.subscribe('will/+');
      const will: Will = { topic: 'will/one', payload: Buffer.from('will'), qos: 1, retain: false };
      const client = await world.connect('one', { will });
      await world.durable();
      await world.durable();
      const ending = end(world, client);
      for (let round = 0; round < 4; round++) await world.durable();
      await ending;
      const [event] = (await world.lifecycle()).filter(
        ({ eventType, clientId }) => eventType === 'disconnected' && clientId === 'one',
      );
      assert.equal(event.disconnectReason, reason);
      assert.equal(event.clientInitiatedDisconnect, reason === 'CLIENT_INITIATED_DISCONNECT');
      assert.equal(event.versionNumber, 0);
      assert.equal('ipAddress' in event, false);
      if (/process/.test(name)) return; // The listener was ended as well.
      const heard = listener.isClosed ? await world.connect('listener', lasting) : listener;
      await world.advance(2_000); // After a crash it is due within a second.
      const isGoodbye = name === 'CLIENT_INITIATED_DISCONNECT by DISCONNECT';
      const hasRight = reason !== 'SERVER_INITIATED_DISCONNECT';
      assert.deepEqual(heard.takeMessages(), isGoodbye || !hasRight ? [] : ['will']);
    });
  }

  it('is FORBIDDEN_ACCESS for 3.1.1, which cannot be told otherwise', async () => {
    const packets: Packet[] = [
      publishPacket('forbidden', 'x'),
      { type: 'subscribe', packetId: 1, subscriptions: subscriptionsTo('forbidden') },
    ];
    for (const packet of packets) {
      const world = await GatewayWorld.start();
      const client = await world.connect('one', { protocolVersion: 4 });
      client.send(packet);
      await world.durable();
      assert.equal((await world.lifecycle()).at(-1)?.disconnectReason, 'FORBIDDEN_ACCESS');
    }
  });
});

describe('the version number', () => {
  it('is the same in a connect and its disconnect, and rises with each connection', async () => {
    const { world, heard } = await worldThatListens();
    for (let n = 0; n < 3; n++) {
      const client = await world.connect('one');
      await world.durable();
      client.cut();
      await world.durable();
    }
    const versions = (await heard()).map(({ event }) => `${event.eventType} ${event.versionNumber}`);
    assert.deepEqual(versions, [
      'connected 0',
      'disconnected 0',
      'connected 1',
      'disconnected 1',
      'connected 2',
      'disconnected 2',
    ]);
  });

  it('never tells the end of a connection that was taken over as that of the newer one', async () => {
    const { world, heard } = await worldThatListens();
    await world.connect('one');
    await world.connect('one');
    const events = await heard();
    const last = events.filter(({ event }) => event.eventType === 'connected').at(-1)?.event;
    const ended = events.filter(({ event }) => event.eventType === 'disconnected').map(({ event }) => event);
    assert.equal(last?.versionNumber, 1);
    assert.deepEqual(
      ended.map(({ versionNumber, disconnectReason }) => [versionNumber, disconnectReason]),
      [[0, 'DUPLICATE_CLIENTID']],
    );
    assert.notEqual(ended[0].sessionIdentifier, last?.sessionIdentifier);
  });

  it('begins anew once a client was away for an hour without a session', async () => {
    const world = await GatewayWorld.start({ access: openDoor() });
    const number = async () => {
      (await world.connect('one')).cut();
      await world.durable();
      const events = await world.lifecycle();
      return events.filter(({ eventType }) => eventType === 'connected').at(-1)?.versionNumber;
    };
    assert.equal(await number(), 0);
    await world.advance(brokerLimits.presenceMs - 10_000);
    assert.equal(await number(), 1);
    await world.advance(brokerLimits.presenceMs + 2_000);
    assert.equal(await number(), 0);
  });
});
