import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { systemFiles } from '../../kernel/files.ts';
import { seededRandom } from '../../kernel/random.ts';
import { VirtualClock } from '../../kernel/virtual-clock.ts';
import { FileAccess } from '../access/index.ts';
import { GatewayWorld } from './gateway-world.ts';
import { reasonCodes } from './packets.ts';

/** A general broker that lets everybody in. */
async function openBroker() {
  const options = { files: systemFiles, clock: new VirtualClock(), random: seededRandom(1), allowAnonymous: true };
  return GatewayWorld.start({ access: await FileAccess.open(options) });
}

const anonymous = { type: 'connect', clientId: '', cleanStart: true, keepAliveSeconds: 60 } as const;

describe('a client without an id', () => {
  it('is given one of its own and told which, MQTT 5 [MQTT5 3.1.3-6, 3.1.3-7, 3.2.2-16]', async () => {
    const world = await openBroker();
    const ids = new Set<string>();
    for (let n = 0; n < 3; n++) {
      const client = await world.socket(5);
      client.send({ ...anonymous, protocolVersion: 5 });
      await world.settle();
      const connack = client.take('connack');
      assert.equal(connack.reasonCode, 0);
      const id = connack.properties?.assignedClientIdentifier;
      assert(id !== undefined && id !== '');
      ids.add(id);
    }
    assert.equal(ids.size, 3);
    assert.equal(world.gateway.connections.size, 3); // Nobody took over from another.
  });

  it('is given one without a word, MQTT 3.1.1 with Clean Session 1 [MQTT311 3.1.3-6, 3.1.3-7]', async () => {
    const world = await openBroker();
    const clients = [await world.socket(4), await world.socket(4)];
    for (const client of clients) client.send({ ...anonymous, protocolVersion: 4 });
    await world.settle();
    for (const client of clients) {
      assert.deepEqual([client.take('connack').reasonCode, client.isClosed], [0, false]);
      client.subscribe('a');
    }
    await world.settle();
    for (const client of clients) client.take('suback');
    clients[0].publish('a', 'x', { qos: 0 });
    await world.settle();
    for (const client of clients) assert.deepEqual(client.takeMessages(), ['x']);
  });

  it('is refused when its session should be kept, MQTT 3.1.1 [MQTT311 3.1.3-8, 3.1.3-9]', async () => {
    const world = await openBroker();
    const client = await world.socket(4);
    client.send({ ...anonymous, cleanStart: false, protocolVersion: 4 });
    await world.settle();
    assert.equal(client.take('connack').reasonCode, 2);
    assert(client.isClosed);
  });

  it('can come back under the id it was given', async () => {
    const world = await openBroker();
    const first = await world.socket(5);
    const properties = { sessionExpiryIntervalSeconds: 100 };
    first.send({ ...anonymous, protocolVersion: 5, properties });
    await world.settle();
    const { properties: { assignedClientIdentifier: clientId = '' } = {} } = first.take('connack');
    first.cut();
    const back = await world.socket(5);
    back.send({ ...anonymous, clientId, cleanStart: false, protocolVersion: 5, properties });
    await world.settle();
    assert.deepEqual([back.take('connack').sessionPresent, clientId.length > 0], [true, true]);
  });

  it('cannot name a thing, so an app refuses it', async () => {
    const world = await GatewayWorld.start();
    const client = await world.socket(5);
    client.send({ ...anonymous, protocolVersion: 5 });
    await world.settle();
    assert.equal(client.take('connack').reasonCode, reasonCodes.clientIdentifierNotValid);
  });
});
