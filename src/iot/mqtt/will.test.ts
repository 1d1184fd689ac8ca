import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { GatewayWorld } from './gateway-world.ts';
import type { Will } from './packets.ts';
import { reasonCodes } from './packets.ts';

const will = (change: Partial<Will> = {}): Will => ({
  topic: 'will/one',
  payload: Buffer.from('gone'),
  qos: 1,
  retain: false,
  ...change,
});
const lasting = { sessionExpiryIntervalSeconds: 100 } as const;

async function worldWithListener() {
  const world = await GatewayWorld.start();
  const listener = await world.connect('listener');
  listener.subscribe('will/+');
  await world.settle();
  listener.takeAll();
  return { world, listener };
}

describe('a will', () => {
  it('is published when the connection is lost, at once and whole [MQTT5 3.1.2-8]', async () => {
    const { world, listener } = await worldWithListener();
    const properties = {
      contentType: 'text/plain',
      responseTopic: 'will/x',
      correlationData: Buffer.from([7]),
      userProperties: [['a', 'b']],
      messageExpiryIntervalSeconds: 60,
    } as const;
    const client = await world.connect('one', { will: will({ properties }) });
    client.cut();
    await world.settle();
    const published = listener.take('publish');
    assert.deepEqual(
      [published.topic, published.payload.toString(), published.qos, published.retain],
      ['will/one', 'gone', 1, false],
    );
    assert.deepEqual(published.properties, properties); // [MQTT5 3.1.3.2]
  });

  it('is published after every end but a goodbye [MQTT5 3.1.2-10, 3.14.4-3]', async () => {
    const { world, listener } = await worldWithListener();
    const endings: [string, number, (client: Awaited<ReturnType<GatewayWorld['connect']>>) => unknown][] = [
      ['DISCONNECT 0x00', 0, client => client.send({ type: 'disconnect', reasonCode: 0 })],
      ['DISCONNECT 0x04', 1, client => client.send({ type: 'disconnect', reasonCode: reasonCodes.disconnectWithWill })],
      ['DISCONNECT 0x80', 1, client => client.send({ type: 'disconnect', reasonCode: reasonCodes.unspecifiedError })],
      ['protocol error', 1, client => client.sendBytes(Buffer.from([0, 0]))],
      ['taken over', 1, () => world.connect('one')],
      ['keep alive', 1, () => world.advance(9_000)],
    ];
    for (const [name, count, end] of endings) {
      const client = await world.connect('one', { will: will(), keepAliveSeconds: 5 });
      await end(client);
      await world.settle();
      assert.equal(listener.takeMessages().length, count, name);
    }
    const old = await world.connect('one', { protocolVersion: 4, will: will() });
    old.send({ type: 'disconnect', reasonCode: 0 });
    await world.settle();
    assert.deepEqual(listener.takeMessages(), []); // [MQTT311 3.14.4-3]
  });

  it('waits for its delay, and is cancelled when the session goes on [MQTT5 3.1.3-9]', async () => {
    const { world, listener } = await worldWithListener();
    const delayed = {
      will: will({ properties: { willDelayIntervalSeconds: 10 } }),
      properties: lasting,
      cleanStart: false,
    };
    (await world.connect('one', delayed)).cut();
    await world.advance(9_000);
    const back = await world.connect('one', delayed);
    await world.advance(9_000);
    assert.deepEqual(listener.takeMessages(), []);
    back.cut();
    await world.advance(11_000);
    assert.deepEqual(listener.takeMessages(), ['gone']);
    (await world.connect('one', delayed)).cut();
    await world.settle();
    await world.connect('one', { properties: lasting }); // A clean start ends the session.
    assert.deepEqual(listener.takeMessages(), ['gone']);
  });

  it('does not wait longer than its session lives [MQTT5 3.1.3.2.2]', async () => {
    const { world, listener } = await worldWithListener();
    const properties = { willDelayIntervalSeconds: 3_000 };
    (await world.connect('one', { will: will({ properties }), properties: { sessionExpiryIntervalSeconds: 5 } })).cut();
    await world.advance(6_100);
    assert.deepEqual(listener.takeMessages(), ['gone']);
    (await world.connect('one', { will: will({ properties }) })).cut();
    await world.settle();
    assert.deepEqual(listener.takeMessages(), ['gone']); // No session, no delay.
    await world.advance(4_000_000);
    assert.deepEqual(listener.takeMessages(), []); // Once is enough.
  });

  it('changes with each connection, and never is that of the connection before (hostile S02)', async () => {
    const { world, listener } = await worldWithListener();
    const delayed = (text: string) => ({
      will: will({ payload: Buffer.from(text), properties: { willDelayIntervalSeconds: 10 } }),
      properties: lasting,
      cleanStart: false,
    });
    await world.connect('one', delayed('old')); // Freezes without a word.
    const newer = await world.connect('one', delayed('new'));
    await world.advance(60_000);
    assert.deepEqual(listener.takeMessages(), []);
    newer.cut();
    await world.advance(11_000);
    assert.deepEqual(listener.takeMessages(), ['new']);
  });

  it('is refused at CONNECT when its client may not publish it (hostile S10)', async () => {
    const world = await GatewayWorld.start();
    const cases: [Partial<Will>, number, number][] = [
      [{ topic: 'will/two' }, reasonCodes.notAuthorized, 5],
      [{ topic: '$aws/events/x' }, reasonCodes.notAuthorized, 5],
    ];
    for (const [change, five, four] of cases) {
      for (const [version, reasonCode] of [
        [5, five],
        [4, four],
      ] as const) {
        const client = await world.socket(version);
        client.send({ ...(await world.connectPacket('one', { will: will(change) })), protocolVersion: version });
        await world.settle();
        assert.equal(client.take('connack').reasonCode, reasonCode, JSON.stringify(change));
      }
    }
  });

  it('is checked again when it is due (hostile S10)', async () => {
    const { world, listener } = await worldWithListener();
    const client = await world.connect('one', { will: will() });
    world.policy.replace({ publish: [], ingest: [], subscribe: ['will/+'] });
    client.cut();
    await world.settle();
    assert.deepEqual(listener.takeMessages(), []);
    assert.equal(world.counters.get('mqtt.refused.will'), 1);
  });

  it('goes into the stream when its topic is telemetry', async () => {
    const world = await GatewayWorld.start();
    (await world.connect('one', { will: will({ topic: 'dt/app/one/reading' }) })).cut();
    await world.durable();
    assert.deepEqual(await world.telemetry(), ['gone']);
  });
});
