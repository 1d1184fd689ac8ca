import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { GatewayWorld } from '../gateway-world.ts';
import type { ProtocolVersion, Subscription } from '../packets.ts';
import { takePublishes, versions, worldWithSubscriber } from './both-versions.ts';

/** Chapter 3.3.1.3 and what else there is about retained messages. */

/** What a client that subscribes now gets at once: topic, payload, RETAIN. */
async function retainedFor(
  world: GatewayWorld,
  topicFilter: string,
  options: Partial<Subscription> = {},
  protocolVersion: ProtocolVersion = 5,
) {
  const client = await world.connect('reader', { protocolVersion });
  client.subscribe(topicFilter, options);
  await world.durable();
  return takePublishes(client).map(({ topic, payload, retain }) => [topic, payload.toString(), retain]);
}

async function worldWithPublisher(protocolVersion: ProtocolVersion) {
  const world = await GatewayWorld.start();
  const publisher = await world.connect('publisher', { protocolVersion });
  const retain = async (topic: string, payload: string, options: { qos?: 0 | 1; retain?: boolean } = {}) => {
    publisher.publish(topic, payload, { retain: true, ...options });
    await world.durable();
  };
  return { world, publisher, retain };
}

describe('a retained message', () => {
  for (const version of versions) {
    it(`is the last of its topic, and comes with RETAIN to a new subscription, MQTT ${version} [MQTT311 3.3.1-5, 3.3.1-6, 3.3.1-8] [MQTT5 3.3.1-5, 3.3.1-9]`, async () => {
      const { world, retain } = await worldWithPublisher(version);
      await retain('chat/a', 'old');
      await retain('chat/a', 'new');
      await retain('chat/b/c', 'other');
      await retain('will/publisher', 'of another filter');
      assert.deepEqual((await retainedFor(world, 'chat/#', {}, version)).toSorted(), [
        ['chat/a', 'new', true],
        ['chat/b/c', 'other', true],
      ]);
    });

    it(`of QoS 0 takes the place of the one before, MQTT ${version} [MQTT311 3.3.1-7]`, async () => {
      const { world, retain } = await worldWithPublisher(version);
      await retain('chat/a', 'old', { qos: 1 });
      await retain('chat/a', 'new', { qos: 0 });
      const seen = await retainedFor(world, 'chat/#', {}, version);
      assert(!seen.some(([, text]) => text === 'old'));
    });

    it(`without payload is delivered, removes what there was, and is not kept, MQTT ${version} [MQTT311 3.3.1-10, 3.3.1-11] [MQTT5 3.3.1-6, 3.3.1-7]`, async () => {
      const { world, client } = await worldWithSubscriber({ protocolVersion: version });
      const publisher = await world.connect('publisher', { protocolVersion: version });
      for (const text of ['kept', '']) {
        publisher.publish('chat/a', text, { retain: true });
        await world.durable();
      }
      assert.deepEqual(client.takeMessages(), ['kept', '']);
      assert.deepEqual(await retainedFor(world, 'chat/#', {}, version), []);
    });

    it(`stays as it is when a message without RETAIN comes, MQTT ${version} [MQTT311 3.3.1-12] [MQTT5 3.3.1-8]`, async () => {
      const { world, retain } = await worldWithPublisher(version);
      await retain('chat/a', 'kept');
      await retain('chat/a', 'passing', { retain: false });
      await retain('chat/b', 'passing', { retain: false });
      await retain('chat/a', '', { retain: false });
      assert.deepEqual(await retainedFor(world, 'chat/#', {}, version), [['chat/a', 'kept', true]]);
    });

    it(`comes with RETAIN 0 to a subscription that was there, MQTT ${version} [MQTT311 3.3.1-9] [MQTT5 3.3.1-12]`, async () => {
      const { world, client } = await worldWithSubscriber({ protocolVersion: version });
      const publisher = await world.connect('publisher', { protocolVersion: version });
      publisher.publish('chat/a', 'x', { retain: true });
      await world.durable();
      assert.equal(client.take('publish').retain, false);
    });

    it(`outlives the session of its publisher, MQTT ${version} [MQTT311 3.1.2-7]`, async () => {
      const { world, publisher, retain } = await worldWithPublisher(version);
      await retain('chat/a', 'kept');
      publisher.send({ type: 'disconnect', reasonCode: 0 });
      await world.advance(10_000);
      assert.deepEqual(await retainedFor(world, 'chat/#', {}, version), [['chat/a', 'kept', true]]);
    });

    it(`comes again when its subscription is replaced, and nothing is lost meanwhile, MQTT ${version} [MQTT311 3.8.4-3] [MQTT5 3.8.4-4]`, async () => {
      const { world, retain } = await worldWithPublisher(version);
      await retain('chat/a', 'kept');
      const client = await world.connect('one', { protocolVersion: version });
      client.subscribe('chat/#', { qos: 0 });
      await world.durable();
      assert.deepEqual(client.takeMessages(), ['kept']);
      client.subscribe('chat/#', { qos: 1 });
      await retain('chat/b', 'meanwhile', { retain: false });
      const seen = takePublishes(client).map(({ payload, qos }) => [payload.toString(), qos]);
      assert.deepEqual(seen, [
        ['kept', 1],
        ['meanwhile', 1],
      ]);
    });

    it(`is what a will with Will Retain becomes, MQTT ${version} [MQTT311 3.1.2-17] [MQTT5 3.1.2-15]`, async () => {
      const world = await GatewayWorld.start();
      const will = { topic: 'will/one', payload: Buffer.from('gone'), qos: 1, retain: true } as const;
      (await world.connect('one', { protocolVersion: version, will })).cut();
      await world.durable();
      assert.deepEqual(await retainedFor(world, 'will/+', {}, version), [['will/one', 'gone', true]]);
    });
  }

  it('comes as Retain Handling says [MQTT5 3.3.1-9 … 3.3.1-11]', async () => {
    const { world, retain } = await worldWithPublisher(5);
    await retain('chat/a', 'kept');
    const client = await world.connect('one');
    for (const [retainHandling, count] of [
      [2, 0], // Never.
      [1, 0], // Only to a new subscription, which this is not.
      [0, 1], // Always.
    ] as const) {
      client.subscribe('chat/#', { retainHandling });
      await world.durable();
      assert.equal(client.takeMessages().length, count, `handling ${retainHandling}`);
    }
    client.subscribe('chat/+', { retainHandling: 1 });
    await world.durable();
    assert.deepEqual(client.takeMessages(), ['kept']);
  });

  it('keeps its flag for who asked for Retain As Published [MQTT5 3.3.1-13]', async () => {
    const { world, retain } = await worldWithPublisher(5);
    const client = await world.connect('one');
    client.subscribe('chat/#', { retainAsPublished: true });
    await world.settle();
    client.takeAll();
    await retain('chat/a', 'with');
    await retain('chat/a', 'without', { retain: false });
    assert.deepEqual(
      takePublishes(client).map(packet => packet.retain),
      [true, false],
    );
  });
});
