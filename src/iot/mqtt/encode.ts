import assert from 'node:assert/strict';
import { noBytes } from '../../kernel/bytes.ts';
import { propertySection, writeProperties } from './encode-properties.ts';
import { fixedFlags, isKnownType, packetTypes } from './fixed-header.ts';
import { PacketWriter, variableByteIntegerBytes, writeVariableByteInteger } from './packet-writer.ts';
import type {
  AckPacket,
  AuthPacket,
  ConnackPacket,
  ConnectPacket,
  DisconnectPacket,
  Packet,
  ProtocolVersion,
  PublishPacket,
  SubackPacket,
  SubscribePacket,
  UnsubackPacket,
  UnsubscribePacket,
} from './packets.ts';
import { willOwner } from './properties.ts';
import { isReasonCode } from './reason-code-rules.ts';
import { isTopicFilter, isTopicName, shareNameOf } from './topics.ts';

/**
 * Packets to bytes, for both sides of the connection. What it is given comes from us and was checked where it came in:
 * a packet the standard does not have is a bug of ours, and an assertion.
 */

/** The packet as it goes on the wire. CONNECT goes in the version it names, which must be `version`. */
export function encode(packet: Packet, version: ProtocolVersion): Buffer {
  if (packet.type === 'publish') return encodePublish(packet, version);
  const type = packetTypes[packet.type];
  assert(isKnownType(type, version), `${packet.type} does not exist in this version`);
  const writer = new PacketWriter();
  writeBody(writer, packet, version);
  const body = writer.written();
  const bytes = Buffer.allocUnsafe(1 + variableByteIntegerBytes(body.length) + body.length);
  bytes[0] = (type << 4) | fixedFlags(type);
  bytes.set(body, writeVariableByteInteger(bytes, 1, body.length));
  return bytes;
}

/**
 * One allocation of the exact size. `properties` have no place in 3.1.1 and are left out there: the same message goes
 * to subscribers of both versions.
 */
export function encodePublish(packet: PublishPacket, version: ProtocolVersion): Buffer {
  const { topic, payload, qos, packetId } = packet;
  const properties = version === 5 ? packet.properties : undefined;
  assert(topic === '' ? properties?.topicAlias !== undefined : isTopicName(topic)); // [MQTT5 3.3.2-2, 3.3.2.3.4]
  assert(qos === 0 ? packetId === 0 : packetId >= 1 && packetId <= 0xffff); // [MQTT311 2.3.1-5] [MQTT5 2.2.1-2]
  assert(qos !== 0 || !packet.dup); // [MQTT311 3.3.1-2] [MQTT5 3.3.1-2]

  const topicBytes = Buffer.byteLength(topic);
  const section = properties === undefined ? noBytes : propertySection(packetTypes.publish, properties);
  const sectionBytes = version === 5 ? variableByteIntegerBytes(section.length) + section.length : 0;
  const bodyBytes = 2 + topicBytes + (qos === 0 ? 0 : 2) + sectionBytes + payload.length;
  const bytes = Buffer.allocUnsafe(1 + variableByteIntegerBytes(bodyBytes) + bodyBytes);

  bytes[0] = (packetTypes.publish << 4) | (packet.dup ? 0x08 : 0) | (qos << 1) | (packet.retain ? 0x01 : 0);
  let at = writeVariableByteInteger(bytes, 1, bodyBytes);
  at = writeUint16(bytes, at, topicBytes);
  at += bytes.write(topic, at, topicBytes, 'utf8'); // First of all [MQTT311 3.3.2-1] [MQTT5 3.3.2-1].
  if (qos !== 0) at = writeUint16(bytes, at, packetId);
  if (version === 5) {
    at = writeVariableByteInteger(bytes, at, section.length); // 0 where there are none [MQTT5 2.2.2-1].
    bytes.set(section, at);
    at += section.length;
  }
  bytes.set(payload, at);
  assert(at + payload.length === bytes.length);
  return bytes;
}

/**
 * Writes a PUBACK, PUBREC, PUBREL or PUBCOMP of success, which is the same in both versions. For many
 * acknowledgements in one write.
 * @returns the offset behind it, 4 further on
 */
export function writePlainAck(buffer: Buffer, offset: number, type: AckPacket['type'], packetId: number): number {
  assert(packetId >= 1 && packetId <= 0xffff);
  assert(offset >= 0 && offset + 4 <= buffer.length);
  buffer[offset] = (packetTypes[type] << 4) | fixedFlags(packetTypes[type]);
  buffer[offset + 1] = 2;
  return writeUint16(buffer, offset + 2, packetId);
}

function writeUint16(bytes: Buffer, offset: number, value: number): number {
  bytes[offset] = value >> 8;
  bytes[offset + 1] = value & 0xff;
  return offset + 2;
}

/** A flat switch: every packet but PUBLISH. */
function writeBody(writer: PacketWriter, packet: Exclude<Packet, PublishPacket>, version: ProtocolVersion): void {
  if ('properties' in packet && packet.properties !== undefined) assert(version === 5); // 3.1.1 has none
  switch (packet.type) {
    case 'connect':
      writeConnect(writer, packet, version);
      break;
    case 'connack':
      writeConnack(writer, packet, version);
      break;
    case 'puback':
    case 'pubrec':
    case 'pubrel':
    case 'pubcomp':
      writeAck(writer, packet, version);
      break;
    case 'subscribe':
      writeSubscribe(writer, packet, version);
      break;
    case 'suback':
    case 'unsuback':
      writeSubackOrUnsuback(writer, packet, version);
      break;
    case 'unsubscribe':
      writeUnsubscribe(writer, packet, version);
      break;
    case 'pingreq':
    case 'pingresp':
      break;
    case 'disconnect':
    case 'auth':
      writeEnding(writer, packet, version);
      break;
  }
}

function writeConnect(writer: PacketWriter, packet: ConnectPacket, version: ProtocolVersion): void {
  const { will, username, password } = packet;
  assert(packet.protocolVersion === version);
  assert(version === 5 || password === undefined || username !== undefined); // [MQTT311 3.1.2-22]
  writer.text('MQTT');
  writer.uint8(version);
  let flags = packet.cleanStart ? 0x02 : 0;
  if (will !== undefined) flags |= 0x04 | (will.qos << 3) | (will.retain ? 0x20 : 0);
  if (password !== undefined) flags |= 0x40;
  if (username !== undefined) flags |= 0x80;
  writer.uint8(flags);
  writer.uint16(packet.keepAliveSeconds);
  if (version === 5) writeProperties(writer, packetTypes.connect, packet.properties);
  writer.text(packet.clientId); // then in this order [MQTT311 3.1.3-1] [MQTT5 3.1.3-1]
  if (will !== undefined) {
    assert(isTopicName(will.topic), 'the will topic is not a topic name');
    if (version === 5) writeProperties(writer, willOwner, will.properties);
    else assert(will.properties === undefined);
    writer.text(will.topic);
    writer.binary(will.payload);
  }
  if (username !== undefined) writer.text(username);
  if (password !== undefined) writer.binary(password);
}

function writeConnack(writer: PacketWriter, packet: ConnackPacket, version: ProtocolVersion): void {
  assert(packet.reasonCode === 0 || !packet.sessionPresent); // [MQTT311 3.2.2-4] [MQTT5 3.2.2-6]
  writer.uint8(packet.sessionPresent ? 1 : 0);
  writeReasonCode(writer, packetTypes.connack, packet.reasonCode, version);
  if (version === 5) writeProperties(writer, packetTypes.connack, packet.properties);
}

function writeAck(writer: PacketWriter, packet: AckPacket, version: ProtocolVersion): void {
  writer.packetId(packet.packetId);
  if (version === 4) {
    assert(packet.reasonCode === 0); // 3.1.1 has only success
    return;
  }
  writeReasonAndProperties(writer, packetTypes[packet.type], packet.reasonCode, packet.properties);
}

function writeSubscribe(writer: PacketWriter, packet: SubscribePacket, version: ProtocolVersion): void {
  assert(packet.subscriptions.length > 0); // [MQTT311 3.8.3-3] [MQTT5 3.8.3-2]
  writer.packetId(packet.packetId);
  if (version === 5) writeProperties(writer, packetTypes.subscribe, packet.properties);
  for (const { topicFilter, qos, noLocal, retainAsPublished, retainHandling } of packet.subscriptions) {
    assert(isTopicFilter(topicFilter), 'a topic filter is not valid');
    assert(version === 5 || (!noLocal && !retainAsPublished && retainHandling === 0));
    assert(!noLocal || shareNameOf(topicFilter) === undefined); // [MQTT5 3.8.3-4]
    writer.text(topicFilter);
    writer.uint8(qos | (noLocal ? 0x04 : 0) | (retainAsPublished ? 0x08 : 0) | (retainHandling << 4));
  }
}

function writeSubackOrUnsuback(
  writer: PacketWriter,
  packet: SubackPacket | UnsubackPacket,
  version: ProtocolVersion,
): void {
  writer.packetId(packet.packetId);
  if (version === 5) writeProperties(writer, packetTypes[packet.type], packet.properties);
  const hasCodes = version === 5 || packet.type === 'suback'; // UNSUBACK has none in 3.1.1
  assert(packet.reasonCodes.length > 0 === hasCodes);
  for (const code of packet.reasonCodes) writeReasonCode(writer, packetTypes[packet.type], code, version);
}

function writeUnsubscribe(writer: PacketWriter, packet: UnsubscribePacket, version: ProtocolVersion): void {
  assert(packet.topicFilters.length > 0); // [MQTT311 3.10.3-2] [MQTT5 3.10.3-2]
  writer.packetId(packet.packetId);
  if (version === 5) writeProperties(writer, packetTypes.unsubscribe, packet.properties);
  for (const topicFilter of packet.topicFilters) {
    assert(isTopicFilter(topicFilter), 'a topic filter is not valid');
    writer.text(topicFilter);
  }
}

function writeEnding(writer: PacketWriter, packet: DisconnectPacket | AuthPacket, version: ProtocolVersion): void {
  if (version === 4) {
    assert(packet.reasonCode === 0); // 3.1.1 has only a normal disconnect
    return;
  }
  if (packet.type === 'auth' && packet.reasonCode !== 0) {
    assert(packet.properties?.authenticationMethod !== undefined); // [MQTT5 3.15.2.2.2]
  }
  writeReasonAndProperties(writer, packetTypes[packet.type], packet.reasonCode, packet.properties);
}

/** The shortest form: success without properties is nothing at all [MQTT5 3.4.2.1, 3.14.2.1, 3.15.2.1]. */
function writeReasonAndProperties(writer: PacketWriter, type: number, reasonCode: number, properties?: object): void {
  if (reasonCode === 0 && properties === undefined) return;
  writeReasonCode(writer, type, reasonCode, 5);
  if (properties !== undefined) writeProperties(writer, type, properties);
}

function writeReasonCode(writer: PacketWriter, type: number, code: number, version: ProtocolVersion): void {
  assert(isReasonCode(code, type, version), `a packet of type ${type} has no reason code ${code}`);
  writer.uint8(code);
}
