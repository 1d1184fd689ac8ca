import { type ConnectOptions, GatewayWorld, type TestClient } from '../gateway-world.ts';
import type { ProtocolVersion, QoS } from '../packets.ts';

/** What the tests of the clauses say the same way in 3.1.1 and in 5. For tests only. */

export const versions: readonly ProtocolVersion[] = [4, 5];

/** A session that outlives its connection. */
export function keptSession(protocolVersion: ProtocolVersion): ConnectOptions {
  const properties = { sessionExpiryIntervalSeconds: 3_600 };
  return protocolVersion === 5 ? { cleanStart: false, properties } : { protocolVersion, cleanStart: false };
}

/** A world with a client `one` that has subscribed to `chat/#` and a `sender` that has not. */
export async function worldWithSubscriber(options: ConnectOptions = {}, qos: QoS = 1) {
  const world = await GatewayWorld.start();
  const sender = await world.connect('sender');
  const client = await world.connect('one', options);
  client.subscribe('chat/#', { qos });
  await world.settle();
  client.take('suback');
  return { world, sender, client };
}

/** The PUBLISH packets received, and forgets everything. */
export function takePublishes(client: TestClient) {
  return client.takeAll().filter(packet => packet.type === 'publish');
}
