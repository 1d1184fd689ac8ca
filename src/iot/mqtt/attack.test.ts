/** What reviewing the gateway as an attacker has found: promises that were broken once, each as the test that failed first. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Access } from '../access/port.ts';
import { brokerLimits } from './broker-limits.ts';
import { GatewayWorld, type GatewayWorldOptions, publishPacket, type TestClient } from './gateway-world.ts';
import { lasting, openDoor } from './hostile-world.ts';
import { type PublishPacket, type QoS, reasonCodes } from './packets.ts';

/** Everybody may do everything; the user name counts as it is. */
const everybody = openDoor();

const openWorld = (options: GatewayWorldOptions = {}) => GatewayWorld.start({ access: everybody, ...options });

function publishes(client: TestClient): PublishPacket[] {
  return client.takeAll().filter(packet => packet.type === 'publish');
}

function texts(client: TestClient): string[] {
  return publishes(client).map(({ payload }) => Buffer.from(payload).toString());
}

async function subscribed(client: TestClient, world: GatewayWorld, topicFilter: string, qos: QoS = 1): Promise<void> {
  client.subscribe(topicFilter, { qos });
  await world.durable();
  client.take('suback');
}

async function retain(world: GatewayWorld, topics: readonly string[]): Promise<void> {
  const sender = await world.connect('retainer');
  for (const topic of topics) sender.publish(topic, topic, { retain: true });
  await world.durable();
}

describe('who waits for messages can come for them', () => {
  it('when what waits is nearly too much, since only they can make it less', async () => {
    const limits = { ...brokerLimits, queuedBytesTotalMax: 10_000 };
    const world = await openWorld({ limits });
    const client = await world.connect('away', lasting);
    await subscribed(client, world, 'a');
    client.cut();
    const sender = await world.connect('sender');
    for (let n = 0; n < 10; n++) sender.publish('a', Buffer.alloc(1_000));
    await world.durable();
    client.received.length = 0;
    const back = await world.connect('away', lasting); // 0x89 to everybody, until all sessions have expired.
    assert.equal(publishes(back).length, 8); // Each counts 256 bytes more than its packet.
  });

  it('when memory is nearly full, for the same reason', async () => {
    let pressure = 0.1;
    const world = await openWorld({ memoryPressure: () => pressure });
    const client = await world.connect('away', lasting);
    client.cut();
    pressure = 0.95;
    await world.advance(1_000);
    await world.connect('away', lasting);
  });
});

describe('a QoS 2 publish that was refused is not taken for the next one with its packet id', () => {
  it('after a restart, when it was refused because too much is retained [MQTT5 4.3.3-9]', async () => {
    const world = await openWorld({ durable: true, limits: { ...brokerLimits, retainedMessagesMax: 1 } });
    await retain(world, ['first']);
    const sender = await world.connect('sender', lasting);
    sender.send(publishPacket('second', 'x', { qos: 2, packetId: 9, retain: true }));
    await world.durable();
    assert.equal(sender.take('pubrec').reasonCode, reasonCodes.quotaExceeded); // So its packet id is free.
    await world.powerCut();
    const again = await world.connect('sender', lasting);
    const listener = await world.connect('listener');
    await subscribed(listener, world, 'a');
    again.send(publishPacket('a', 'another one', { qos: 2, packetId: 9 }));
    await world.durable();
    assert.deepEqual(texts(listener), ['another one']);
  });

  it('after a restart, when it was refused because the disk was full [MQTT5 4.3.3-9]', async () => {
    const world = await openWorld({ durable: true });
    const sender = await world.connect('sender', lasting);
    await world.durable();
    world.disk.failNext({ operation: 'write', code: 'ENOSPC' });
    sender.send(publishPacket('a', 'refused', { qos: 2, packetId: 9 }));
    await world.durable();
    assert.equal(sender.take('pubrec').reasonCode, reasonCodes.quotaExceeded); // So its packet id is free.
    await world.advance(5_000); // There is room again, and what memory knew is written after all.
    await world.powerCut();
    const again = await world.connect('sender', lasting);
    const listener = await world.connect('listener');
    await subscribed(listener, world, 'a');
    again.send(publishPacket('a', 'another one', { qos: 2, packetId: 9 }));
    await world.durable();
    assert.deepEqual(texts(listener), ['another one']);
  });
});

describe('a QoS 2 publish that never came into the stream', () => {
  it('is not acknowledged when it is sent again after the connection was lost [MQTT5 4.3.3-10]', async () => {
    const world = await GatewayWorld.start();
    const sender = await world.connect('one', lasting);
    await world.durable();
    world.disk.failNext({ operation: 'write', code: 'ENOSPC' });
    sender.send(publishPacket('dt/app/one/reading', 'x', { qos: 2, packetId: 9 }));
    await world.settle();
    sender.cut(); // Before it can be told that its message was not kept.
    await world.advance(5_000);
    const again = await world.connect('one', lasting);
    again.send(publishPacket('dt/app/one/reading', 'x', { qos: 2, packetId: 9, dup: true }));
    await world.durable();
    assert.equal(again.take('pubrec').reasonCode, 0);
    assert.deepEqual(await world.telemetry(), ['x']);
  });
});

describe('a message of a shared subscription that comes back goes to the next member', () => {
  async function givenBack(qos: QoS) {
    const world = await openWorld();
    const first = await world.connect('first');
    first.send({
      type: 'subscribe',
      packetId: 1,
      subscriptions: [
        { topicFilter: '$share/g/a', qos: 1, noLocal: false, retainAsPublished: false, retainHandling: 0 },
      ],
      properties: { subscriptionIdentifier: 7 },
    });
    await world.settle();
    const sender = await world.connect('sender');
    sender.publish('a', 'x');
    await world.settle();
    const next = await world.connect('next');
    await subscribed(next, world, '$share/g/a', qos);
    first.cut();
    await world.settle();
    return publishes(next);
  }

  it('with what that one has asked for: not with the identifier of another one [MQTT5 3.3.4-3]', async () => {
    const [message] = await givenBack(1);
    assert.deepEqual(message.properties?.subscriptionIdentifiers ?? [], []);
  });

  it('with what that one has asked for: not with a higher QoS [MQTT5 3.8.4-8]', async () => {
    const [message] = await givenBack(0);
    assert.equal(message.qos, 0);
  });

  it('only if that one may receive it', async () => {
    const access: Access = { ...everybody, checksDeliveries: true, mayReceive: ({ clientId }) => clientId !== 'next' };
    const world = await openWorld({ access });
    const first = await world.connect('first');
    await subscribed(first, world, '$share/g/a');
    const next = await world.connect('next');
    await subscribed(next, world, '$share/g/#');
    await subscribed(next, world, '$share/g/a');
    const sender = await world.connect('sender');
    sender.publish('a', 'secret');
    await world.settle();
    first.cut();
    await world.settle();
    assert.deepEqual(texts(next), []);
  });
});

describe('a member of a shared subscription', () => {
  it('that is there gets QoS 0 messages though its window is full, rather than nobody', async () => {
    const world = await openWorld();
    const member = await world.connect('member', { properties: { receiveMaximum: 1 } });
    await subscribed(member, world, 'work', 1);
    await subscribed(member, world, '$share/g/a', 0);
    const sender = await world.connect('sender');
    sender.publish('work', '1');
    sender.publish('work', '2'); // Waits for the window.
    sender.publish('a', 'x', { qos: 0 });
    await world.settle();
    assert.deepEqual(texts(member), ['1', 'x']);
  });
});

describe('retained messages on their way to a subscriber', () => {
  it('stop with UNSUBSCRIBE [MQTT311 3.10.4-2] [MQTT5 3.10.4-2]', async () => {
    const world = await openWorld();
    await retain(world, ['r/1', 'r/2', 'r/3']);
    const client = await world.connect('client', { properties: { receiveMaximum: 1 } });
    await subscribed(client, world, 'r/#');
    const [first] = publishes(client);
    client.send({ type: 'unsubscribe', packetId: 9, topicFilters: ['r/#'] });
    await world.settle();
    client.take('unsuback');
    client.ack(first.packetId);
    await world.settle();
    assert.deepEqual(texts(client), []);
  });

  it('are not sent once they have expired [MQTT5 3.3.2-5]', async () => {
    const world = await openWorld();
    const sender = await world.connect('sender');
    sender.publish('r/1', '1', { retain: true });
    sender.publish('r/2', '2', { retain: true, properties: { messageExpiryIntervalSeconds: 5 } });
    await world.settle();
    const client = await world.connect('client', { properties: { receiveMaximum: 1 } });
    await subscribed(client, world, 'r/#');
    const [first] = publishes(client);
    await world.advance(20_000);
    client.ack(first.packetId);
    await world.settle();
    assert.deepEqual(texts(client), []);
  });

  it('of one filter wait once, however often it is subscribed to (hostile D07)', async () => {
    const world = await openWorld();
    await retain(world, ['r/1', 'r/2']);
    const client = await world.connect('client', { properties: { receiveMaximum: 1 } });
    for (let n = 0; n < 1_000; n++) client.subscribe('r/#');
    await world.settle();
    client.received.length = 0;
    let sent = 0;
    for (let packetId = 1; packetId <= 2_100; packetId++) {
      client.ack(packetId);
      await world.settle();
      sent += publishes(client).length;
    }
    assert(sent < 10, `${sent} messages, and as many replays in memory, for one filter`);
  });
});

describe('a retained message', () => {
  it('of QoS 0 that is too much takes the outdated one with it, one of QoS 1 is refused [MQTT311 3.3.1-7]', async () => {
    const world = await openWorld({ limits: { ...brokerLimits, retainedBytesMax: 100 } });
    const sender = await world.connect('sender');
    for (const [qos, left] of [
      [1, ['old']],
      [0, []],
    ] as const) {
      sender.publish('r', 'old', { retain: true });
      await world.durable();
      sender.publish('r', Buffer.alloc(200), { retain: true, qos });
      await world.durable();
      const answers = sender.takeAll().flatMap(packet => (packet.type === 'puback' ? [packet.reasonCode] : []));
      assert.deepEqual(answers, qos === 1 ? [0, reasonCodes.quotaExceeded] : [0]);
      const reader = await world.connect('reader');
      await subscribed(reader, world, 'r');
      assert.deepEqual(texts(reader), left);
      reader.cut();
      await world.settle();
    }
  });
});

describe('a window that is full', () => {
  it('holds up no PUBREL [MQTT5 3.3.4-10, 4.9.0-3]', async () => {
    const world = await openWorld();
    const client = await world.connect('client', lasting);
    await subscribed(client, world, 'a', 2);
    const sender = await world.connect('sender');
    for (const text of ['1', '2', '3']) sender.publish('a', text, { qos: 2 });
    await world.durable();
    const [first, second, third] = publishes(client);
    for (const { packetId } of [third]) client.send({ type: 'pubrec', packetId, reasonCode: 0 });
    await world.durable();
    client.cut();
    const back = await world.connect('client', {
      ...lasting,
      properties: { ...lasting.properties, receiveMaximum: 1 },
    });
    await world.durable();
    const seen = back.takeAll().map(packet => [packet.type, 'packetId' in packet && packet.packetId]);
    assert.deepEqual(seen, [
      ['publish', first.packetId],
      ['pubrel', third.packetId],
    ]);
    assert.notEqual(second.packetId, first.packetId);
  });
});

describe('a will', () => {
  it('does not come back to its own client by a subscription with No Local [MQTT5 3.8.3-3]', async () => {
    const world = await openWorld();
    const will = { topic: 'a', payload: Buffer.from('gone'), qos: 1, retain: false } as const;
    const client = await world.connect('client', { ...lasting, will });
    client.subscribe('a', { noLocal: true });
    await world.settle();
    client.cut();
    await world.settle();
    const back = await world.connect('client', lasting);
    assert.deepEqual(texts(back), []);
  });
});

describe('when the wall clock jumps', () => {
  it('no waiting message expires by it (hostile C01)', async () => {
    const world = await openWorld();
    const client = await world.connect('away', lasting);
    await subscribed(client, world, 'a');
    client.cut();
    const sender = await world.connect('sender');
    sender.publish('a', 'x', { properties: { messageExpiryIntervalSeconds: 600 } });
    await world.settle();
    const { clock } = world;
    const before = clock.nowMs.bind(clock);
    clock.nowMs = () => before() + 86_400_000;
    await world.advance(3_000);
    const back = await world.connect('away', lasting);
    assert.deepEqual(texts(back), ['x']);
  });
});

describe('who was let in by rules that are no more', () => {
  it('does not come in after waiting for a take-over (hostile A08)', async () => {
    let isAllowed = true;
    const access: Access = {
      ...everybody,
      isStillAllowed: () => isAllowed,
      authenticate: attempt =>
        isAllowed ? everybody.authenticate(attempt) : { admitted: false, reason: 'notAuthorized' },
    };
    const world = await openWorld({ access, limits: { ...brokerLimits, takeoversPerMinuteMax: 1 } });
    for (let n = 0; n < 5; n++) {
      const client = await world.socket();
      client.send(await world.connectPacket('fought.over'));
      await world.advance(n * 1_000);
    }
    const waiting = await world.socket();
    waiting.send(await world.connectPacket('fought.over'));
    await world.settle();
    assert.deepEqual(waiting.takeAll(), []);
    isAllowed = false;
    world.gateway.revise();
    await world.advance(8_500);
    assert.deepEqual(
      waiting.takeAll().flatMap(packet => (packet.type === 'connack' ? [packet.reasonCode] : [])),
      [reasonCodes.notAuthorized],
    );
  });
});

describe('an error of ours', () => {
  it('while answering a durable SUBSCRIBE costs its connection and nobody else (hostile R03)', async () => {
    const world = await openWorld({ durable: true });
    const other = await world.connect('other', lasting);
    const client = await world.connect('client', lasting);
    await world.durable();
    const { router } = world.gateway;
    router.replayRetained = () => {
      throw new Error('a mistake');
    };
    const rejections: unknown[] = [];
    const note = (reason: unknown) => void rejections.push(reason);
    process.on('unhandledRejection', note);
    try {
      client.subscribe('a');
      await world.durable();
      other.publish('b', 'x');
      await world.durable();
    } finally {
      process.off('unhandledRejection', note);
    }
    assert.deepEqual(rejections, []);
    assert.equal(other.take('puback').reasonCode, 0);
  });
});

describe('the order of messages', () => {
  it('holds between QoS 1 and QoS 2 in a session that is stored', async () => {
    const world = await openWorld({ durable: true });
    const client = await world.connect('client', lasting);
    await subscribed(client, world, 'a', 2);
    const sender = await world.connect('sender');
    sender.publish('a', '1', { qos: 2 });
    sender.publish('a', '2', { qos: 1 });
    await world.durable();
    assert.deepEqual(texts(client), ['1', '2']);
  });

  it('holds when a session is resumed while a QoS 2 message is not stored yet', async () => {
    const world = await openWorld({ durable: true });
    const client = await world.connect('client', {
      ...lasting,
      properties: { ...lasting.properties, receiveMaximum: 9 },
    });
    await subscribed(client, world, 'a', 2);
    const sender = await world.connect('sender');
    sender.publish('a', '1', { qos: 1 });
    await world.durable();
    sender.publish('a', '2', { qos: 2 });
    const back = await world.socket();
    const properties = { ...lasting.properties, receiveMaximum: 1 };
    back.send(await world.connectPacket('client', { ...lasting, properties }));
    await world.durable();
    assert.deepEqual(texts(back), ['1']);
  });
});

describe('what waits is bounded in memory, not in bytes that were sent', () => {
  it('a small message keeps no more of the memory than its own copy (hostile R02)', async () => {
    const world = await openWorld();
    await retain(world, ['r/1']);
    const message = world.gateway.router.retained.find('r/1', world.gateway.nowMs());
    assert(message);
    const keptBytes = message.payload.buffer.byteLength;
    assert(keptBytes < 1_000, `one byte of payload keeps ${keptBytes} bytes`);
  });

  it('a delivery counts with what it takes itself, some 200 bytes (hostile R02)', async () => {
    const world = await openWorld({ limits: { ...brokerLimits, queuedBytesTotalMax: 50_000 } });
    const client = await world.connect('away', {
      ...lasting,
      properties: { ...lasting.properties, receiveMaximum: 500 },
    });
    await subscribed(client, world, 'a');
    client.cut();
    const sender = await world.connect('sender');
    for (let n = 0; n < 500; n++) sender.publish('a', '');
    await world.settle();
    const dropped = world.counters.all()['mqtt.dropped.qos1'] ?? 0;
    assert(500 - dropped < 300, `${500 - dropped} deliveries wait within 50,000 bytes`);
  });
});
