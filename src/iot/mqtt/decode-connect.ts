import { readProperties } from './decode-properties.ts';
import { packetTypes } from './fixed-header.ts';
import { mqttLimits } from './limits.ts';
import type { PacketReader } from './packet-reader.ts';
import type { ConnectPacket, ProtocolVersion, QoS, Received, Will } from './packets.ts';
import { reasonCodes } from './packets.ts';
import { willOwner } from './properties.ts';
import { isTopicName } from './topics.ts';

/** CONNECT, the one packet that says itself which version it speaks. [MQTT311 3.1] [MQTT5 3.1] */

const flagBits = {
  reserved: 0x01,
  cleanStart: 0x02,
  will: 0x04,
  willQoS: 0x18,
  willRetain: 0x20,
  password: 0x40,
  username: 0x80,
} as const;

/** The caller looks at `reader.refusal`; the packet counts only without one. */
export function readConnect(reader: PacketReader): (ConnectPacket & Received) | undefined {
  const protocolVersion = readProtocolVersion(reader);
  if (protocolVersion === undefined) return undefined;
  const flags = reader.uint8();
  checkFlags(reader, flags, protocolVersion);
  const packet: ConnectPacket & Received = {
    type: 'connect',
    byteLength: reader.byteLength,
    protocolVersion,
    cleanStart: (flags & flagBits.cleanStart) !== 0,
    keepAliveSeconds: reader.uint16(),
    clientId: '',
  };
  const properties = protocolVersion === 5 ? readProperties(reader, packetTypes.connect, 'client') : undefined;
  if (properties !== undefined) packet.properties = properties;
  // The payload has its fields in this order [MQTT311 3.1.3-1] [MQTT5 3.1.3-1]. Whether the client identifier may be
  // empty is the caller's to say: it depends on cleanStart and on whether one is assigned.
  packet.clientId = reader.text();
  // Far above the 23 characters that every server must take [MQTT5 3.1.3-5].
  if (Buffer.byteLength(packet.clientId) > mqttLimits.clientIdBytesMax) {
    reader.refuse(reasonCodes.clientIdentifierNotValid, 'the client identifier is too long');
  }
  if ((flags & flagBits.will) !== 0) packet.will = readWill(reader, flags, protocolVersion);
  if ((flags & flagBits.username) !== 0) packet.username = reader.text();
  if ((flags & flagBits.password) !== 0) packet.password = reader.binary();
  reader.finish();
  // From here on a refusal can be said in the client's own version.
  if (reader.refusal !== undefined) reader.refusal.protocolVersion = protocolVersion;
  return packet;
}

function readProtocolVersion(reader: PacketReader): ProtocolVersion | undefined {
  const name = reader.text();
  const level = reader.uint8();
  // [MQTT311 3.1.2-1, 3.1.2-2] [MQTT5 3.1.2-1, 3.1.2-2]; MQIsdp with level 3 is MQTT 3.1, which nobody should still speak.
  if (name === 'MQTT' && (level === 4 || level === 5)) return level;
  reader.refuse(reasonCodes.unsupportedProtocolVersion, 'neither MQTT 3.1.1 nor MQTT 5');
  return undefined;
}

function checkFlags(reader: PacketReader, flags: number, protocolVersion: ProtocolVersion): void {
  const malformed = reasonCodes.malformedPacket;
  const willQoS = (flags & flagBits.willQoS) >> 3;
  if ((flags & flagBits.reserved) !== 0) {
    reader.refuse(malformed, 'reserved connect flag'); // [MQTT311 3.1.2-3] [MQTT5 3.1.2-3]
  } else if (willQoS === 3) {
    reader.refuse(malformed, 'will QoS 3'); // [MQTT311 3.1.2-14] [MQTT5 3.1.2-12]
  } else if ((flags & flagBits.will) === 0 && (willQoS !== 0 || (flags & flagBits.willRetain) !== 0)) {
    reader.refuse(malformed, 'will QoS or retain without a will'); // [MQTT311 3.1.2-13, -15] [MQTT5 3.1.2-11, -13]
  } else if (protocolVersion === 4 && (flags & flagBits.password) !== 0 && (flags & flagBits.username) === 0) {
    reader.refuse(malformed, 'a password without a user name'); // [MQTT311 3.1.2-22]; MQTT 5 allows it
  }
}

function readWill(reader: PacketReader, flags: number, protocolVersion: ProtocolVersion): Will {
  const properties = protocolVersion === 5 ? readProperties(reader, willOwner, 'client') : undefined;
  const topic = reader.text();
  if (!isTopicName(topic)) reader.refuse(reasonCodes.topicNameInvalid, 'the will topic is not a valid topic name');
  const will: Will = {
    topic,
    payload: reader.binary(),
    qos: ((flags & flagBits.willQoS) >> 3) as QoS, // 3 was refused
    retain: (flags & flagBits.willRetain) !== 0,
  };
  if (properties !== undefined) will.properties = properties;
  return will;
}
