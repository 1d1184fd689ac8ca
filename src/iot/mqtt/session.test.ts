import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { brokerLimits } from './broker-limits.ts';
import { Connection } from './connection.ts';
import { bites, GatewayWorld } from './gateway-world.ts';
import type { ProtocolVersion } from './packets.ts';
import { reasonCodes } from './packets.ts';
import { Takeovers } from './takeovers.ts';

const lasting = { cleanStart: false, properties: { sessionExpiryIntervalSeconds: 3_600 } } as const;
const topic = 'cmd/app/one/req';

async function worldWithSubscriber(options: object = lasting) {
  const world = await GatewayWorld.start();
  const client = await world.connect('one', options);
  client.subscribe('cmd/app/one/#');
  await world.settle();
  client.takeAll();
  const tell = (payload: string | Uint8Array, more: object = {}) =>
    world.clock.until(world.gateway.publish({ topic, payload: Buffer.from(payload), qos: 1, ...more }));
  return { world, client, tell };
}

describe('a session', () => {
  for (const protocolVersion of [4, 5] as const) {
    it(`keeps subscriptions and QoS 1 messages while its client is away, MQTT ${protocolVersion} [MQTT5 3.1.2-5]`, async () => {
      const options = protocolVersion === 5 ? lasting : { protocolVersion, cleanStart: false };
      const { world, client, tell } = await worldWithSubscriber(options);
      assert.equal(client.connack?.sessionPresent, false);
      client.cut();
      await world.settle();
      await tell('a');
      await tell('not kept', { qos: 0 });
      await tell('b');
      const back = await world.connect('one', options);
      assert.equal(back.connack?.sessionPresent, true); // [MQTT5 3.2.2-3]
      assert.deepEqual(back.takeMessages(), ['a', 'b']);
      assert.equal(world.counters.get('mqtt.dropped.qos0'), 1);
    });
  }

  it('sends again what was in flight, as a duplicate with its packet id, before what waits (hostile S03) [MQTT5 4.4.0-1]', async () => {
    const { world, client, tell } = await worldWithSubscriber({
      ...lasting,
      properties: { ...lasting.properties, receiveMaximum: 3 },
    });
    for (const text of ['a', 'b', 'c', 'd', 'e']) await tell(text);
    await world.settle();
    const [a, b, c] = client.unanswered;
    assert.deepEqual(client.takeMessages(), ['a', 'b', 'c']);
    client.ack(b);
    await world.settle();
    assert.deepEqual(client.takeMessages(), ['d']);
    client.cut();
    const back = await world.connect('one', lasting);
    const seen = back.received.map(packet => packet.type === 'publish' && [packet.payload.toString(), packet.dup]);
    assert.deepEqual(seen, [
      ['a', true],
      ['c', true],
      ['d', true],
      ['e', false],
    ]);
    const ids = back.unanswered;
    assert.deepEqual(ids.slice(0, 2), [a, c]);
    assert.equal(new Set(ids).size, 4); // No id is used twice while in flight (hostile S07).
  });

  it('keeps to a smaller Receive Maximum also with what it sends again [MQTT5 3.3.4-9]', async () => {
    const { world, client, tell } = await worldWithSubscriber();
    for (let n = 0; n < 10; n++) await tell(`${n}`);
    client.cut();
    await world.settle();
    const back = await world.connect('one', { ...lasting, properties: { ...lasting.properties, receiveMaximum: 2 } });
    const all: string[] = [];
    for (let round = 0; round < 20 && all.length < 10; round++) {
      const ids = back.unanswered;
      assert(ids.length <= 2, `${ids.length} at once`);
      all.push(...back.takeMessages());
      for (const id of ids) back.ack(id);
      await world.settle();
    }
    assert.deepEqual(
      all,
      Array.from({ length: 10 }, (_, n) => `${n}`),
    );
  });

  it('takes an acknowledgement only once, and none for what was never sent (hostile S08)', async () => {
    const { world, client, tell } = await worldWithSubscriber();
    await tell('a');
    await world.settle();
    const [id] = client.unanswered;
    for (let n = 0; n < 1_000; n++) client.ack(1 + ((id + n) % 65_535));
    client.ack(id);
    client.ack(id);
    await world.settle();
    assert(!client.isClosed);
    assert.equal(world.counters.get('mqtt.ignored.unknownPuback'), 1_001);
  });

  it('never has two messages under one id, however often ids have gone round (hostile S07)', async () => {
    const { world, client, tell } = await worldWithSubscriber();
    await tell('stays');
    await world.settle();
    const [stuck] = client.unanswered;
    client.takeAll();
    const seen = new Set<number>();
    for (let round = 0; round < 700; round++) {
      for (let n = 0; n < 99; n++) void world.gateway.publish({ topic, payload: Buffer.from('x'), qos: 1 });
      await world.settle();
      const ids = client.unanswered;
      assert.equal(ids.length, 99);
      assert(!ids.includes(stuck));
      for (const id of ids) seen.add(id);
      client.takeAll();
      for (const id of ids) client.ack(id);
      await world.settle();
    }
    assert.equal(seen.size, 65_534);
  });

  it('is gone when its client said so or when its time is over, and a clean start discards it [MQTT5 3.1.2-4]', async () => {
    const { world, client, tell } = await worldWithSubscriber();
    client.cut();
    await world.advance(3_599_000);
    const back = await world.connect('one', lasting);
    assert.equal(back.connack?.sessionPresent, true);
    back.cut();
    await world.advance(3_601_000);
    await tell('lost');
    const late = await world.connect('one', lasting);
    assert.equal(late.connack?.sessionPresent, false);
    late.subscribe('cmd/app/one/#');
    await world.settle();
    const clean = await world.connect('one', { ...lasting, cleanStart: true });
    assert.equal(clean.connack?.sessionPresent, false);
    assert.deepEqual(await tell('nobody'), { subscribers: 0 });
    clean.subscribe('cmd/app/one/#');
    clean.send({ type: 'disconnect', reasonCode: 0, properties: { sessionExpiryIntervalSeconds: 0 } });
    await world.settle();
    assert.equal((await world.connect('one', lasting)).connack?.sessionPresent, false);
  });

  it('refuses an expiry at DISCONNECT when CONNECT said none (hostile W18) [MQTT5 3.14.2.2.2]', async () => {
    const world = await GatewayWorld.start();
    const client = await world.connect('one', {
      will: { topic: 'will/one', payload: Buffer.from('x'), qos: 0, retain: false },
    });
    const listener = await world.connect('two');
    listener.subscribe('will/+');
    await world.settle();
    listener.takeAll();
    client.send({ type: 'disconnect', reasonCode: 0, properties: { sessionExpiryIntervalSeconds: 10 } });
    await world.settle();
    assert.equal(client.take('disconnect').reasonCode, reasonCodes.protocolError);
    assert.deepEqual(listener.takeMessages(), ['x']); // It did not say goodbye.
    const lastingClient = await world.connect('one', lasting);
    lastingClient.send({ type: 'disconnect', reasonCode: 0, properties: { sessionExpiryIntervalSeconds: 10 } });
    await world.advance(9_000);
    const back = await world.connect('one', lasting);
    assert.equal(back.connack?.sessionPresent, true);
  });

  it('holds exactly its limit of messages, drops the newest, and counts them (hostile S06)', async () => {
    const { world, client, tell } = await worldWithSubscriber();
    client.cut();
    await world.settle();
    for (let n = 0; n < brokerLimits.queuedMessagesMax + 5; n++) await tell(`${n}`);
    assert.equal(world.counters.get('mqtt.dropped.qos1'), 5);
    const back = await world.connect('one', lasting);
    const all: string[] = [];
    while (back.received.length > 0) {
      const ids = back.unanswered;
      all.push(...back.takeMessages());
      for (const id of ids) back.ack(id);
      await world.settle();
    }
    assert.deepEqual(
      all,
      Array.from({ length: brokerLimits.queuedMessagesMax }, (_, n) => `${n}`),
    );
  });

  it('holds no more than its limit of bytes, and takes more when some were delivered (hostile S06)', async () => {
    const { world, client, tell } = await worldWithSubscriber();
    client.cut();
    await world.settle();
    const payload = Buffer.alloc(200_000);
    for (let n = 0; n < 30; n++) await tell(payload);
    const fitting = Math.floor(brokerLimits.queuedBytesMax / (payload.length + topic.length + 32));
    assert.equal(world.counters.get('mqtt.dropped.qos1'), 30 - fitting);
    const back = await world.connect('one', lasting);
    for (let round = 0; round < 20; round++) {
      for (const id of back.unanswered) back.ack(id);
      back.takeAll();
      await world.settle();
    }
    back.cut();
    await world.settle();
    for (let n = 0; n < fitting; n++) await tell(payload);
    assert.equal(world.counters.get('mqtt.dropped.qos1'), 30 - fitting); // The account was balanced.
  });

  it('counts the properties of a message among its bytes (hostile S06)', async () => {
    const world = await GatewayWorld.start();
    const sleeper = await world.connect('one', lasting);
    sleeper.subscribe('chat/#');
    await world.settle();
    sleeper.cut();
    const sender = await world.connect('two');
    for (let n = 0; n < 100; n++) {
      sender.publish('chat/a', '', {
        properties: { correlationData: Buffer.alloc(60_000), contentType: 'x'.repeat(60_000) },
      });
      await world.settle();
    }
    assert(world.counters.get('mqtt.dropped.qos1') >= 100 - brokerLimits.queuedBytesMax / 120_000);
  });

  it('has no more bytes in flight than its limit, whatever the window', async () => {
    const { world, client, tell } = await worldWithSubscriber();
    const payload = Buffer.alloc(250_000);
    for (let n = 0; n < 30; n++) {
      await tell(payload);
      await world.settle();
    }
    const inflight = client.received.length * payload.length;
    assert(inflight <= brokerLimits.inflightBytesMax, `${inflight} bytes in flight`);
    let total = 0;
    while (client.received.length > 0) {
      const ids = client.unanswered;
      total += client.takeAll().length;
      for (const id of ids) client.ack(id);
      await world.settle();
    }
    assert.equal(total, 30);
  });

  it('never delivers what has expired, and says how long the rest has left (hostile D12) [MQTT5 3.3.2-5, 3.3.2-6]', async () => {
    const { world, client, tell } = await worldWithSubscriber();
    client.cut();
    await world.settle();
    await tell('short', { messageExpirySeconds: 5 });
    await tell('long', { messageExpirySeconds: 100 });
    await tell('ever');
    await world.advance(10_000);
    const back = await world.connect('one', lasting);
    const seen = back.received.map(
      packet =>
        packet.type === 'publish' && [packet.payload.toString(), packet.properties?.messageExpiryIntervalSeconds],
    );
    assert.deepEqual(seen, [
      ['long', 90],
      ['ever', undefined],
    ]);
    assert.equal(world.counters.get('mqtt.dropped.expired'), 1);
  });

  it('makes room in a full queue by dropping what has expired (hostile D12)', async () => {
    const { world, client, tell } = await worldWithSubscriber();
    client.cut();
    await world.settle();
    for (let n = 0; n < brokerLimits.queuedMessagesMax; n++) await tell('old', { messageExpirySeconds: 5 });
    await world.advance(6_000);
    await tell('new');
    assert.equal(world.counters.get('mqtt.dropped.qos1'), 0);
    assert.deepEqual((await world.connect('one', lasting)).takeMessages(), ['new']);
  });

  it('drops for a client what is over its Maximum Packet Size, and goes on with the next (hostile W18) [MQTT5 3.1.2-25]', async () => {
    const properties = { ...lasting.properties, maximumPacketSizeBytes: 200, receiveMaximum: 1 };
    const { world, client, tell } = await worldWithSubscriber({ ...lasting, properties });
    for (const text of ['x'.repeat(300), 'a', 'y'.repeat(300), 'b']) await tell(text);
    await world.settle();
    assert.deepEqual([client.unanswered.length, client.received.length], [1, 1]);
    client.ack(client.unanswered[0]);
    await world.settle();
    assert.deepEqual(client.takeMessages(), ['a', 'b']);
    assert.equal(world.counters.get('mqtt.dropped.tooLargeForClient'), 2);
    const tiny = await world.socket();
    tiny.send(await world.connectPacket('two', { properties: { maximumPacketSizeBytes: 5 } }));
    await world.settle();
    assert.deepEqual(tiny.received, []); // Not even CONNACK fits [MQTT5 3.1.2-24].
    assert(tiny.isClosed);
  });
});

describe('taking over a session', () => {
  const newestWins = async (protocolVersion: ProtocolVersion = 5) => {
    const { world, client, tell } = await worldWithSubscriber(
      protocolVersion === 5 ? lasting : { protocolVersion, cleanStart: false },
    );
    await tell('a');
    await world.settle();
    const [id] = client.unanswered;
    client.takeAll();
    const newer = await world.connect('one', {
      ...(protocolVersion === 5 ? lasting : { cleanStart: false }),
      protocolVersion,
    });
    if (protocolVersion === 5) assert.equal(client.take('disconnect').reasonCode, reasonCodes.sessionTakenOver);
    assert(client.isClosed);
    assert.equal(newer.connack?.sessionPresent, true);
    client.ack(id); // The older can no longer touch it.
    client.subscribe('chat/#');
    client.send({ type: 'disconnect', reasonCode: 0 });
    client.cut();
    await world.settle();
    assert(!newer.isClosed);
    assert.deepEqual(newer.takeMessages(), ['a']);
    await tell('b');
    await world.settle();
    assert.deepEqual(newer.takeMessages(), ['b']);
    assert.deepEqual(client.takeMessages(), []);
    assert.deepEqual(await world.gateway.listConnections(['one']).then(([state]) => state.connected), true);
  };
  for (const version of [4, 5] as const) {
    it(`ends the connection before, which can touch nothing any more, MQTT ${version} (hostile S01, S02) [MQTT5 3.1.4-3]`, () =>
      newestWins(version));
  }
  it('is seen to be broken when the connection before is not ended', () =>
    bites(Connection.prototype, 'takenOver', { value: () => {}, writable: true }, () => newestWins()));

  it('acknowledges to the older connection what it published, and nothing of it to the newer', async () => {
    const world = await GatewayWorld.start();
    const client = await world.connect('one', lasting);
    await world.durable();
    client.publish('dt/app/one/reading', 'a');
    await world.settle();
    const newer = await world.connect('one', lasting);
    await world.durable();
    assert.deepEqual(newer.received, []);
    newer.publish('dt/app/one/reading', 'a', { dup: true });
    await world.durable();
    assert.equal(newer.take('puback').reasonCode, 0);
    assert.deepEqual(await world.telemetry(), ['a', 'a']); // At least once.
  });

  it('slows down clients that take over from each other for ever, and nobody else (hostile S01)', async () => {
    const slowsDown = async () => {
      const world = await GatewayWorld.start();
      const fight = async () => {
        const client = await world.socket();
        client.send(await world.connectPacket('one', lasting));
        await world.settle();
        return client.received.length > 0;
      };
      let accepted = 0;
      for (let n = 0; n < 200; n++) if (await fight()) accepted++;
      assert(accepted <= brokerLimits.takeoversPerMinuteMax + 2, `${accepted} at once`);
      assert((await world.connect('two')).connack); // Others are not made to wait.
      await world.advance(9_000);
      assert(world.gateway.connections.size <= 2, `${world.gateway.connections.size} connections`);
      assert.equal(world.logged.filter(({ message }) => message.includes('client id')).length, 1);
      await world.advance(60_000);
      assert.equal(await fight(), true); // A minute of peace, and it is as before.
    };
    await slowsDown();
    await bites(Takeovers.prototype, 'waitMs', { value: () => 0 }, slowsDown);
  });
});

describe('presence', () => {
  it('tells in order who came, went and why, a disconnect with the number of its connect', async () => {
    const world = await GatewayWorld.start();
    const first = await world.connect('one', lasting);
    first.subscribe(['chat/a', 'chat/b']);
    await world.settle();
    first.send({ type: 'unsubscribe', packetId: 9, topicFilters: ['chat/a', 'chat/none'] });
    await world.settle();
    const second = await world.connect('one', lasting);
    second.cut();
    await world.settle();
    const third = await world.connect('one', { keepAliveSeconds: 5 });
    await world.advance(9_000);
    assert(third.isClosed);
    const fourth = await world.connect('one');
    fourth.send({ type: 'disconnect', reasonCode: 0 });
    await world.settle();
    const events = await world.lifecycle();
    const told = events.map(({ eventType, versionNumber, disconnectReason, topics }) => [
      eventType,
      versionNumber ?? topics,
      ...(disconnectReason ? [disconnectReason] : []),
    ]);
    assert.deepEqual(told, [
      ['connected', 0],
      ['subscribed', ['chat/a', 'chat/b']],
      ['unsubscribed', ['chat/a']],
      ['disconnected', 0, 'DUPLICATE_CLIENTID'],
      ['connected', 1],
      ['disconnected', 1, 'CONNECTION_LOST'],
      ['connected', 2],
      ['disconnected', 2, 'MQTT_KEEP_ALIVE_TIMEOUT'],
      ['connected', 3],
      ['disconnected', 3, 'CLIENT_INITIATED_DISCONNECT'],
    ]);
    assert.deepEqual(events.filter(event => event.clientInitiatedDisconnect === true).length, 1);
  });

  it('calls a thing connected while any of its clients is', async () => {
    const world = await GatewayWorld.start();
    const connected = async () => (await world.gateway.listConnections(['one', 'never']))[0].connected;
    assert.equal(await connected(), false);
    const [main, upload] = [await world.connect('one'), await world.connect('one.upload')];
    assert.equal(await connected(), true);
    main.cut();
    await world.settle();
    assert.equal(await connected(), true);
    upload.cut();
    await world.settle();
    assert.equal(await connected(), false);
    assert.deepEqual(await world.gateway.listConnections(['never']), [{ thingName: 'never', connected: false }]);
  });
});

describe('deleting a thing', () => {
  it('ends its connections and sessions in the same turn, wills included, and lets nobody in (hostile S09)', async () => {
    const { world, client } = await worldWithSubscriber({
      ...lasting,
      will: { topic: 'will/one', payload: Buffer.from('live'), qos: 0, retain: false },
    });
    const connect = await world.connectPacket('one');
    const delayed = { willDelayIntervalSeconds: 60 };
    const gone = await world.connect('one.gone', {
      ...lasting,
      will: { topic: 'will/one', payload: Buffer.from('delayed'), qos: 0, retain: false, properties: delayed },
    });
    const listener = await world.connect('two');
    listener.subscribe('will/+');
    gone.cut();
    await world.settle();
    listener.takeAll();
    const deleting = world.gateway.deleteThing('one');
    assert.equal(world.gateway.connections.size, 1); // Before anything else could happen.
    const same = await world.socket();
    same.send(connect);
    await world.clock.until(deleting);
    assert.equal(client.take('disconnect').reasonCode, reasonCodes.administrativeAction);
    assert.equal(same.take('connack').reasonCode, reasonCodes.badUserNameOrPassword);
    await world.advance(120_000);
    assert.deepEqual(listener.takeMessages(), []);
    await world.clock.until(world.gateway.deleteThing('one')); // Content if there is none.
    await world.clock.until(world.gateway.deleteThing('../x'));
  });
});

describe('closing the gateway', () => {
  it('acknowledges what it has received, says goodbye, and keeps the last events (hostile R08)', async () => {
    const world = await GatewayWorld.start();
    const client = await world.connect('one');
    const stranger = await world.socket();
    client.publish('dt/app/one/reading', 'last');
    await world.settle();
    await world.clock.until(world.gateway.close());
    await world.clock.until(world.stream.close());
    await world.settle();
    assert.equal(client.take('puback').reasonCode, 0);
    assert.equal(client.take('disconnect').reasonCode, reasonCodes.serverShuttingDown);
    assert(client.isClosed && stranger.isClosed);
    assert.equal((await world.lifecycle()).at(-1)?.disconnectReason, 'SERVER_INITIATED_DISCONNECT');
    assert.deepEqual(await world.telemetry(), ['last']);
    await assert.rejects(world.sockets.connect({ port: world.port }));
  });

  it('is over when every client has heard it, and soon when one does not listen', async () => {
    const world = await GatewayWorld.start();
    const client = await world.connect('one');
    await world.clock.until(world.gateway.close());
    assert(client.isClosed); // As soon as it is over, the process may end.
    assert.equal(client.take('disconnect').reasonCode, reasonCodes.serverShuttingDown);
    const another = await GatewayWorld.start();
    const deaf = await another.connect('one');
    deaf.socket.pause();
    const sinceMs = another.clock.nowMs();
    await another.clock.until(another.gateway.close());
    assert(!deaf.isClosed);
    const tookMs = another.clock.nowMs() - sinceMs;
    assert(tookMs >= 1_000 && tookMs < 1_500, `${tookMs} ms`); // And what the disk takes.
  });
});
