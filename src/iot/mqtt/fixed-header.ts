import type { ProtocolVersion } from './packets.ts';

/** The first byte of a packet: its type, who may send it, its flags. [MQTT311 2.2] [MQTT5 2.1] */

export type Peer = 'client' | 'server';

export const packetTypes = {
  connect: 1,
  connack: 2,
  publish: 3,
  puback: 4,
  pubrec: 5,
  pubrel: 6,
  pubcomp: 7,
  subscribe: 8,
  suback: 9,
  unsubscribe: 10,
  unsuback: 11,
  pingreq: 12,
  pingresp: 13,
  disconnect: 14,
  auth: 15,
} as const;

export const senderBits = { client: 1, server: 2 } as const;
const neither = 0;
const client = senderBits.client;
const server = senderBits.server;
const either = client | server;

/** Who may send each type, by packet type number. [MQTT311 table 2.1] [MQTT5 table 2-1] */
const senders: Record<ProtocolVersion, readonly number[]> = {
  4: [
    neither,
    client,
    server,
    either,
    either,
    either,
    either,
    either,
    client,
    server,
    client,
    server,
    client,
    server,
    client,
    neither,
  ],
  5: [
    neither,
    client,
    server,
    either,
    either,
    either,
    either,
    either,
    client,
    server,
    client,
    server,
    client,
    server,
    either,
    either,
  ],
};

/** Whether this version has the type at all: 0 is reserved, and so is 15 (AUTH) before MQTT 5. */
export function isKnownType(type: number, version: ProtocolVersion): boolean {
  return senders[version][type] !== neither;
}

export function maySend(from: Peer, type: number, version: ProtocolVersion): boolean {
  return (senders[version][type] & senderBits[from]) !== 0;
}

/**
 * The flags every packet but PUBLISH must carry: 0010 for these three, else 0000. [MQTT311 table 2.2] [MQTT5 table 2-2]
 * [MQTT311 2.2.2-1, 3.6.1-1, 3.8.1-1, 3.10.1-1, 3.14.1-1] [MQTT5 3.6.1-1, 3.8.1-1, 3.10.1-1, 3.14.1-1, 3.15.1-1]
 */
export function fixedFlags(type: number): number {
  return type === packetTypes.pubrel || type === packetTypes.subscribe || type === packetTypes.unsubscribe ? 0b0010 : 0;
}

/** The only remaining length this packet can have, or undefined when it varies. */
export function fixedRemainingLength(type: number, version: ProtocolVersion): number | undefined {
  if (type === packetTypes.pingreq || type === packetTypes.pingresp) return 0;
  if (version === 5) return undefined;
  if (type === packetTypes.disconnect) return 0;
  if (type >= packetTypes.puback && type <= packetTypes.pubcomp) return 2;
  if (type === packetTypes.connack || type === packetTypes.unsuback) return 2;
  return undefined;
}
