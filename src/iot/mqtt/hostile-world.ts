/** What the tests of hostile inputs share. For tests only. */
import type { Access } from '../access/port.ts';
import { type ConnectOptions, GatewayWorld, type GatewayWorldOptions } from './gateway-world.ts';
import type { ProtocolVersion } from './packets.ts';

export const versions: readonly ProtocolVersion[] = [4, 5];

/** A session that outlives its connection by an hour. */
export const lasting: ConnectOptions = { cleanStart: false, properties: { sessionExpiryIntervalSeconds: 3_600 } };

/** Lets everybody in and everything pass: the gateway alone is between a client and the others. */
export function openDoor(change: Partial<Access> = {}): Access {
  return {
    version: 1,
    checksDeliveries: false,
    assignsClientIds: true,
    authenticate: ({ clientId, username }) => ({
      admitted: true,
      identity: { clientId, thingName: undefined, principal: username ?? '' },
    }),
    isStillAllowed: () => true,
    judgePublish: () => ({ allowed: true, ingest: false }),
    maySubscribe: () => true,
    mayReceive: () => true,
    ...change,
  };
}

/** A world with that door, and a listener who hears everything. */
export async function openWorld(change: Partial<Access> = {}, options: GatewayWorldOptions = {}) {
  const world = await GatewayWorld.start({ access: openDoor(change), ...options });
  const listener = await world.connect('listener', { keepAliveSeconds: 1_200 });
  listener.subscribe('#');
  await world.settle();
  listener.takeAll();
  return { world, listener };
}
