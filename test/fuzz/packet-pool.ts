import fc from 'fast-check';
import { decode } from '../../src/iot/mqtt/decode.ts';
import { encode } from '../../src/iot/mqtt/encode.ts';
import type { Peer } from '../../src/iot/mqtt/fixed-header.ts';
import { packetTypes } from '../../src/iot/mqtt/fixed-header.ts';
import { anyPacket } from '../../src/iot/mqtt/packet-arbitraries.ts';
import type { Packet, ProtocolVersion } from '../../src/iot/mqtt/packets.ts';
import type { PropertyKind } from '../../src/iot/mqtt/properties.ts';
import { propertyRuleById } from '../../src/iot/mqtt/properties.ts';
import { vectors } from '../../src/iot/mqtt/vectors.ts';

/** The packets that mutations start from, taken apart once so that a mutation can be about a field and not a byte. */
export interface PoolPacket {
  readonly version: ProtocolVersion | 0;
  readonly from: Peer;
  /** Type and flags. */
  readonly first: number;
  /** What stands behind the remaining length. */
  readonly body: Buffer;
  readonly isValid: boolean;
  readonly properties: PropertySection | undefined;
}

/** Where the properties of a packet of MQTT 5 stand in its body. */
export interface PropertySection {
  /** Of the length in front of them. */
  readonly start: number;
  readonly end: number;
  /** Each property with its id. */
  readonly items: readonly Buffer[];
}

const poolLimits = {
  bodyBytesMax: 4 * 1024, // ours: longer ones cost copying and find nothing that these do not
  madePerVersion: 1_500, // ours: packets of `anyPacket` beside the vectors
} as const;

/** The same in every run of the same code: made from the wire vectors and from packets of a fixed seed. */
export function packetPool(): PoolPacket[] {
  const pool: PoolPacket[] = [];
  for (const { version, from, bytes } of vectors) add(pool, version, from, bytes);
  for (const version of [4, 5] as const) {
    const packets: Packet[] = fc.sample(anyPacket(version), { seed: 1, numRuns: poolLimits.madePerVersion });
    for (const packet of packets) {
      const bytes = encode(packet, version);
      const spoken = packet.type === 'connect' ? 0 : version;
      for (const from of ['client', 'server'] as const) {
        if (isValid(spoken, from, bytes)) add(pool, spoken, from, bytes);
      }
    }
  }
  return pool;
}

function add(pool: PoolPacket[], version: ProtocolVersion | 0, from: Peer, bytes: Buffer): void {
  if (bytes.length < 2) return;
  let at = 1;
  while (at < Math.min(5, bytes.length) && bytes[at] > 0x7f) at++;
  const body = Buffer.from(bytes.subarray(at + 1));
  if (body.length > poolLimits.bodyBytesMax) return;
  const properties = propertiesOf(version, bytes[0], body);
  pool.push({ version, from, first: bytes[0], body, isValid: isValid(version, from, bytes), properties });
}

function isValid(version: ProtocolVersion | 0, from: Peer, bytes: Buffer): boolean {
  const decoded = decode(bytes, 0, bytes.length, { version, from, packetBytesMax: 1_000_000 });
  return decoded !== undefined && decoded.type !== 'refusal';
}

function propertiesOf(version: ProtocolVersion | 0, first: number, body: Buffer): PropertySection | undefined {
  const type = first >> 4;
  if (version === 4 || (type === packetTypes.connect && body[6] !== 5)) return undefined;
  const start = propertiesStart(first, body);
  if (start === undefined || start >= body.length || body[start] > 0x7f) return undefined; // Long ones are rare.
  const end = start + 1 + body[start];
  if (end > body.length) return undefined;
  const items: Buffer[] = [];
  for (let at = start + 1; at < end; ) {
    const kind = propertyRuleById(type, body[at])?.kind;
    if (kind === undefined) return undefined;
    const next = at + 1 + valueBytes(kind, body, at + 1);
    if (next > end) return undefined;
    items.push(body.subarray(at, next));
    at = next;
  }
  return { start, end, items };
}

function propertiesStart(first: number, body: Buffer): number | undefined {
  switch (first >> 4) {
    case packetTypes.connect:
      return 10;
    case packetTypes.publish:
      return body.length < 2 ? undefined : 2 + body.readUInt16BE(0) + ((first & 0x06) === 0 ? 0 : 2);
    case packetTypes.puback:
    case packetTypes.pubrec:
    case packetTypes.pubrel:
    case packetTypes.pubcomp:
      return 3;
    case packetTypes.disconnect:
    case packetTypes.auth:
      return 1;
    case packetTypes.pingreq:
    case packetTypes.pingresp:
      return undefined;
    default:
      return 2;
  }
}

function valueBytes(kind: PropertyKind, body: Buffer, at: number): number {
  const textBytes = (start: number) => (start + 2 <= body.length ? 2 + body.readUInt16BE(start) : body.length);
  switch (kind) {
    case 'bit':
      return 1;
    case 'uint16':
    case 'uint16FromOne':
    case 'topicAlias':
      return 2;
    case 'uint32':
    case 'uint32FromOne':
      return 4;
    case 'subscriptionIdentifier': {
      let length = 1;
      while (length < 4 && body[at + length - 1] > 0x7f) length++;
      return length;
    }
    case 'userProperty':
      return textBytes(at) + textBytes(at + textBytes(at));
    default:
      return textBytes(at);
  }
}
