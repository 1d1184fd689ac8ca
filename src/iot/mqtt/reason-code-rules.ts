import { type Peer, packetTypes, senderBits } from './fixed-header.ts';
import type { ProtocolVersion } from './packets.ts';

/** Which reason codes a packet may carry, and from whom. Sources: the reason code tables of chapter 3 of both standards. */

interface CodesBySender {
  client?: readonly number[];
  server?: readonly number[];
  either?: readonly number[];
}

/** By reason code: the `senderBits` of those who may send it. */
function senderTable({ client = [], server = [], either = [] }: CodesBySender): Uint8Array {
  const table = new Uint8Array(256);
  for (const code of [...client, ...either]) table[code] |= senderBits.client;
  for (const code of [...server, ...either]) table[code] |= senderBits.server;
  return table;
}

const connackCodes = [
  0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8c, 0x90, 0x95, 0x97, 0x99, 0x9a, 0x9b,
  0x9c, 0x9d, 0x9f,
];
// "No matching subscribers" comes only from the server [MQTT5 3.4.2.1, 3.5.2.1].
const receivedCodes = { either: [0x00, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99], server: [0x10] };
const releaseCodes = { either: [0x00, 0x92] };
const subackCodes = [0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8f, 0x91, 0x97, 0x9e, 0xa1, 0xa2];
const unsubackCodes = [0x00, 0x11, 0x80, 0x83, 0x87, 0x8f, 0x91];
const disconnectCodes = {
  client: [0x00, 0x04],
  either: [0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99],
  server: [0x87, 0x89, 0x8b, 0x8d, 0x8e, 0x8f, 0x9a, 0x9b, 0x9c, 0x9d, 0x9e, 0x9f, 0xa0, 0xa1, 0xa2],
};

const tables: Record<ProtocolVersion, ReadonlyMap<number, Uint8Array>> = {
  4: new Map([
    [packetTypes.connack, senderTable({ server: [0, 1, 2, 3, 4, 5] })], // [MQTT311 table 3.1]
    [packetTypes.suback, senderTable({ server: [0x00, 0x01, 0x02, 0x80] })], // [MQTT311 3.9.3-2]
  ]),
  5: new Map([
    [packetTypes.connack, senderTable({ server: connackCodes })], // [MQTT5 3.2.2-8]
    [packetTypes.puback, senderTable(receivedCodes)], // [MQTT5 3.4.2-1]
    [packetTypes.pubrec, senderTable(receivedCodes)], // [MQTT5 3.5.2-1]
    [packetTypes.pubrel, senderTable(releaseCodes)], // [MQTT5 3.6.2-1]
    [packetTypes.pubcomp, senderTable(releaseCodes)], // [MQTT5 3.7.2-1]
    [packetTypes.suback, senderTable({ server: subackCodes })], // [MQTT5 3.9.3-2]
    [packetTypes.unsuback, senderTable({ server: unsubackCodes })], // [MQTT5 3.11.3-2]
    [packetTypes.disconnect, senderTable(disconnectCodes)], // [MQTT5 3.14.2-1]
    [packetTypes.auth, senderTable({ either: [0x18], server: [0x00], client: [0x19] })], // [MQTT5 3.15.2-1]
  ]),
};

/** Whether `from` may put this code into this packet; without `from`, whether anyone may. */
export function isReasonCode(code: number, type: number, version: ProtocolVersion, from?: Peer): boolean {
  const bits = tables[version].get(type)?.[code] ?? 0;
  return from === undefined ? bits !== 0 : (bits & senderBits[from]) !== 0;
}
