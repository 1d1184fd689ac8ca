import { readConnect } from './decode-connect.ts';
import { readProperties } from './decode-properties.ts';
import type { Peer } from './fixed-header.ts';
import { fixedFlags, fixedRemainingLength, isKnownType, maySend, packetTypes } from './fixed-header.ts';
import { mqttLimits } from './limits.ts';
import { PacketReader, refusal } from './packet-reader.ts';
import type {
  AckPacket,
  AuthPacket,
  ConnackPacket,
  DisconnectPacket,
  Packet,
  ProtocolVersion,
  PublishPacket,
  QoS,
  Received,
  Refusal,
  SubackPacket,
  SubscribePacket,
  Subscription,
  UnsubackPacket,
  UnsubscribePacket,
} from './packets.ts';
import { reasonCodes } from './packets.ts';
import { isReasonCode } from './reason-code-rules.ts';
import { isTopicFilter, shareNameOf } from './topics.ts';
import { sequenceBytes } from './utf8.ts';

/**
 * Bytes to packets: MQTT 3.1.1 and 5.0, all that both standards let a decoder check, and our own limits.
 * It never throws, never reads outside the bytes it was given, and takes no memory because of an announced length.
 * What needs memory of the connection (a second CONNECT, topic aliases, packet identifiers in use) is the caller's.
 */

export interface DecodeContext {
  /** 0 before CONNECT, when nothing else is accepted; afterwards what that CONNECT said. */
  readonly version: ProtocolVersion | 0;
  /** Of a whole packet, fixed header included [MQTT5 3.1.2.11.4]. */
  readonly packetBytesMax: number;
  /** Who sent the bytes. */
  readonly from: Peer;
}

const { malformedPacket, protocolError, packetTooLarge } = reasonCodes;

/**
 * The packet that begins at `start`. Bytes from `end` on are not looked at. A payload and other binary data are views
 * into `bytes`: copy what outlives it.
 * @returns the packet (its `byteLength` says where the next one begins); a refusal, as soon as the bytes so far cannot
 * become a packet; or `undefined` when more bytes are needed.
 */
export function decode(
  bytes: Buffer,
  start: number,
  end: number,
  context: DecodeContext,
): (Packet & Received) | Refusal | undefined {
  if (start >= end) return undefined;
  const first = bytes[start];
  const refusedFirst = checkFirstByte(first, context);
  if (refusedFirst !== undefined) return refusedFirst;

  let remainingLength = 0;
  let bodyStart = start + 1;
  for (let shift = 0; ; shift += 7) {
    if (bodyStart >= end) return undefined;
    const byte = bytes[bodyStart++];
    remainingLength |= (byte & 0x7f) << shift;
    if (byte < 0x80) {
      // No more bytes than needed [MQTT5 1.5.5-1]; 3.1.1 shows only the short form [MQTT311 2.2.3].
      if (byte === 0 && shift > 0) return refusal(malformedPacket, 'remaining length longer than needed');
      break;
    }
    if (shift === 21) return refusal(malformedPacket, 'remaining length of more than 4 bytes');
  }
  const packetEnd = bodyStart + remainingLength;
  if (packetEnd - start > context.packetBytesMax) return refusal(packetTooLarge, 'the packet is too large');
  if (first >> 4 === packetTypes.publish) {
    if (packetEnd > end) return undefined;
    return decodePublish(bytes, start, bodyStart, packetEnd, context);
  }
  const refusedLength = checkRemainingLength(first >> 4, remainingLength, context);
  if (refusedLength !== undefined) return refusedLength;
  if (packetEnd > end) return undefined;
  const reader = new PacketReader(bytes, bodyStart, packetEnd, packetEnd - start);
  const packet = readBody(reader, first >> 4, context);
  return reader.refusal ?? packet;
}

function checkFirstByte(first: number, { version, from }: DecodeContext): Refusal | undefined {
  const type = first >> 4;
  // The first packet must be CONNECT [MQTT311 3.1.0-1] [MQTT5 3.1.0-1].
  if (version === 0 && (type !== packetTypes.connect || from !== 'client')) {
    return refusal(protocolError, 'the first packet is not CONNECT');
  }
  if (version !== 0) {
    if (!isKnownType(type, version)) return refusal(malformedPacket, 'a reserved packet type');
    if (!maySend(from, type, version)) return refusal(protocolError, `a packet that a ${from} may not send`);
  }
  if (type !== packetTypes.publish) {
    // Whoever sends others means something we do not know [MQTT311 2.2.2-2, 3.6.1-1, 3.8.1-1, 3.10.1-1, 3.14.1-1]
    // [MQTT5 2.1.3-1, 3.6.1-1, 3.8.1-1, 3.10.1-1, 3.14.1-1, 3.15.1-1].
    return (first & 0x0f) === fixedFlags(type) ? undefined : refusal(malformedPacket, 'wrong fixed header flags');
  }
  const qos = (first >> 1) & 3;
  if (qos === 3) return refusal(malformedPacket, 'QoS 3'); // [MQTT311 3.3.1-4] [MQTT5 3.3.1-4]
  if (qos === 0 && (first & 0x08) !== 0) return refusal(malformedPacket, 'DUP with QoS 0'); // [MQTT311 3.3.1-2] [MQTT5 3.3.1-2]
  return undefined;
}

function checkRemainingLength(type: number, length: number, { version }: DecodeContext): Refusal | undefined {
  if (version === 0) return undefined;
  const only = fixedRemainingLength(type, version);
  return only === undefined || only === length ? undefined : refusal(malformedPacket, 'wrong remaining length');
}

/**
 * The hot path. The topic stands first [MQTT311 3.3.2-1] [MQTT5 3.3.2-1]: one pass over it checks its bytes, wildcards
 * and levels; no reader unless there are properties.
 */
function decodePublish(
  bytes: Buffer,
  start: number,
  bodyStart: number,
  packetEnd: number,
  context: DecodeContext,
): (PublishPacket & Received) | Refusal {
  const topicStart = bodyStart + 2;
  if (topicStart > packetEnd) return beyondEnd();
  const topicEnd = topicStart + ((bytes[bodyStart] << 8) | bytes[bodyStart + 1]);
  const qos = ((bytes[start] >> 1) & 3) as QoS; // 3 was refused with the first byte
  let at = qos === 0 ? topicEnd : topicEnd + 2;
  if (at > packetEnd) return beyondEnd();
  const refusedTopic = checkTopic(bytes, topicStart, topicEnd);
  if (refusedTopic !== undefined) return refusedTopic;
  const packetId = qos === 0 ? 0 : (bytes[topicEnd] << 8) | bytes[topicEnd + 1];
  // [MQTT311 2.3.1-1] [MQTT5 2.2.1-3]
  if (qos !== 0 && packetId === 0) return refusal(protocolError, 'packet identifier 0');

  let properties: PublishPacket['properties'];
  if (context.version === 5) {
    if (at < packetEnd && bytes[at] === 0) {
      at++; // an empty section, which most have
    } else {
      const reader = new PacketReader(bytes, at, packetEnd, packetEnd - start);
      properties = readProperties(reader, packetTypes.publish, context.from);
      if (reader.refusal !== undefined) return reader.refusal;
      at = reader.position;
    }
  }
  if (topicEnd === topicStart && properties?.topicAlias === undefined) {
    return context.version === 5
      ? refusal(protocolError, 'neither a topic nor a topic alias') // [MQTT5 3.3.2.3.4]
      : refusal(reasonCodes.topicNameInvalid, 'an empty topic'); // [MQTT311 4.7.3-1]
  }
  const first = bytes[start];
  const packet: PublishPacket & Received = {
    type: 'publish',
    byteLength: packetEnd - start,
    topic: bytes.toString('utf8', topicStart, topicEnd),
    payload: bytes.subarray(at, packetEnd),
    qos,
    dup: (first & 0x08) !== 0,
    retain: (first & 0x01) !== 0,
    packetId,
  };
  if (properties !== undefined) packet.properties = properties;
  return packet;
}

function beyondEnd(): Refusal {
  return refusal(malformedPacket, 'a field goes beyond the end of the packet');
}

/** `isTopicName` on bytes, and whether they are UTF-8 at all. An empty topic passes: an alias may stand for it. */
function checkTopic(bytes: Buffer, start: number, end: number): Refusal | undefined {
  const { topicNameInvalid } = reasonCodes;
  if (end - start > mqttLimits.topicBytesMax) return refusal(topicNameInvalid, 'the topic is too long');
  let levels = 1;
  for (let at = start; at < end; ) {
    const byte = bytes[at];
    if (byte > 0x7f) {
      const length = sequenceBytes(bytes, at, end);
      if (length === 0) return refusal(malformedPacket, 'the topic is not UTF-8'); // [MQTT311 1.5.3-1] [MQTT5 1.5.4-1]
      at += length;
      continue;
    }
    if (byte === 0x2f) {
      levels++;
    } else if (byte === 0x2b || byte === 0x23) {
      return refusal(topicNameInvalid, 'a wildcard in a topic'); // [MQTT311 3.3.2-2] [MQTT5 3.3.2-2]
    } else if (byte === 0) {
      return refusal(topicNameInvalid, 'U+0000 in a topic'); // [MQTT311 4.7.3-2] [MQTT5 4.7.3-2]
    }
    at++;
  }
  return levels > mqttLimits.topicLevelsMax ? refusal(topicNameInvalid, 'the topic has too many levels') : undefined;
}

/** A flat switch: every packet but PUBLISH. */
function readBody(reader: PacketReader, type: number, context: DecodeContext): (Packet & Received) | undefined {
  if (type === packetTypes.connect) return readConnect(reader);
  if (context.version === 0) return undefined; // refused with the first byte
  switch (type) {
    case packetTypes.connack:
      return readConnack(reader, context.version);
    case packetTypes.puback:
      return readAck(reader, 'puback', context.version, context.from);
    case packetTypes.pubrec:
      return readAck(reader, 'pubrec', context.version, context.from);
    case packetTypes.pubrel:
      return readAck(reader, 'pubrel', context.version, context.from);
    case packetTypes.pubcomp:
      return readAck(reader, 'pubcomp', context.version, context.from);
    case packetTypes.subscribe:
      return readSubscribe(reader, context.version);
    case packetTypes.suback:
      return readSuback(reader, context.version);
    case packetTypes.unsubscribe:
      return readUnsubscribe(reader, context.version);
    case packetTypes.unsuback:
      return readUnsuback(reader, context.version);
    case packetTypes.pingreq:
      return { type: 'pingreq', byteLength: reader.byteLength };
    case packetTypes.pingresp:
      return { type: 'pingresp', byteLength: reader.byteLength };
    case packetTypes.disconnect:
      return readDisconnect(reader, context.from);
    case packetTypes.auth:
      return readAuth(reader, context.from);
    default:
      return undefined; // PUBLISH has its own path, type 0 was refused
  }
}

function readConnack(reader: PacketReader, version: ProtocolVersion): ConnackPacket & Received {
  const flags = reader.uint8();
  if (flags > 1) reader.refuse(malformedPacket, 'reserved CONNACK flags'); // [MQTT311 3.2.2.1] [MQTT5 3.2.2-1]
  const reasonCode = readReasonCode(reader, packetTypes.connack, version, 'server');
  if (flags === 1 && reasonCode !== 0) {
    reader.refuse(protocolError, 'a refused connection with a session'); // [MQTT311 3.2.2-4] [MQTT5 3.2.2-6]
  }
  const packet: ConnackPacket & Received = {
    type: 'connack',
    byteLength: reader.byteLength,
    sessionPresent: flags === 1,
    reasonCode,
  };
  const properties = version === 5 ? readProperties(reader, packetTypes.connack, 'server') : undefined;
  if (properties !== undefined) packet.properties = properties;
  reader.finish();
  return packet;
}

function readAck(
  reader: PacketReader,
  type: AckPacket['type'],
  version: ProtocolVersion,
  from: Peer,
): AckPacket & Received {
  const packet: AckPacket & Received = {
    type,
    byteLength: reader.byteLength,
    packetId: reader.packetId(),
    reasonCode: version === 5 ? readReasonCode(reader, packetTypes[type], version, from) : 0,
  };
  // Without a length there are no properties [MQTT5 3.4.2.2.1].
  const properties = reader.remaining > 0 ? readProperties(reader, packetTypes[type], from) : undefined;
  if (properties !== undefined) packet.properties = properties;
  reader.finish();
  return packet;
}

function readSubscribe(reader: PacketReader, version: ProtocolVersion): SubscribePacket & Received {
  const packet: SubscribePacket & Received = {
    type: 'subscribe',
    byteLength: reader.byteLength,
    packetId: reader.packetId(),
    subscriptions: [],
  };
  const properties = version === 5 ? readProperties(reader, packetTypes.subscribe, 'client') : undefined;
  if (properties !== undefined) packet.properties = properties;
  if (reader.remaining === 0) reader.refuse(protocolError, 'no topic filter'); // [MQTT311 3.8.3-3] [MQTT5 3.8.3-2]
  while (reader.remaining > 0) packet.subscriptions.push(readSubscription(reader, version));
  return packet;
}

function readSubscription(reader: PacketReader, version: ProtocolVersion): Subscription {
  const topicFilter = readTopicFilter(reader);
  const options = reader.uint8();
  const qos = options & 0x03;
  const noLocal = (options & 0x04) !== 0;
  const retainHandling = (options >> 4) & 0x03;
  // In 3.1.1 only the QoS bits exist, and QoS 3 is malformed as well [MQTT311 3.8.3-4].
  if ((options & (version === 5 ? 0xc0 : 0xfc)) !== 0 || (version === 4 && qos === 3)) {
    reader.refuse(malformedPacket, 'reserved subscription options'); // [MQTT5 3.8.3-5]
  } else if (qos === 3) {
    reader.refuse(protocolError, 'a subscription with QoS 3'); // [MQTT5 3.8.3.1]
  } else if (retainHandling === 3) {
    reader.refuse(protocolError, 'retain handling 3'); // [MQTT5 3.8.3.1]
  } else if (noLocal && shareNameOf(topicFilter) !== undefined) {
    reader.refuse(protocolError, 'no local on a shared subscription'); // [MQTT5 3.8.3-4]
  }
  return {
    topicFilter,
    qos: qos as QoS, // 3 was refused
    noLocal,
    retainAsPublished: (options & 0x08) !== 0,
    retainHandling: retainHandling as Subscription['retainHandling'], // 3 was refused
  };
}

function readTopicFilter(reader: PacketReader): string {
  const topicFilter = reader.text();
  // [MQTT311 4.7.1-2, 4.7.1-3, 4.7.3-1] [MQTT5 4.7.1-1, 4.7.1-2, 4.7.3-1, 4.8.2-1, 4.8.2-2]
  if (!isTopicFilter(topicFilter)) reader.refuse(reasonCodes.topicFilterInvalid, 'a topic filter is not valid');
  return topicFilter;
}

function readSuback(reader: PacketReader, version: ProtocolVersion): SubackPacket & Received {
  const packet: SubackPacket & Received = {
    type: 'suback',
    byteLength: reader.byteLength,
    packetId: reader.packetId(),
    reasonCodes: [],
  };
  const properties = version === 5 ? readProperties(reader, packetTypes.suback, 'server') : undefined;
  if (properties !== undefined) packet.properties = properties;
  readReasonCodes(reader, packetTypes.suback, version, packet.reasonCodes);
  return packet;
}

function readUnsubscribe(reader: PacketReader, version: ProtocolVersion): UnsubscribePacket & Received {
  const packet: UnsubscribePacket & Received = {
    type: 'unsubscribe',
    byteLength: reader.byteLength,
    packetId: reader.packetId(),
    topicFilters: [],
  };
  const properties = version === 5 ? readProperties(reader, packetTypes.unsubscribe, 'client') : undefined;
  if (properties !== undefined) packet.properties = properties;
  if (reader.remaining === 0) reader.refuse(protocolError, 'no topic filter'); // [MQTT311 3.10.3-2] [MQTT5 3.10.3-2]
  while (reader.remaining > 0) packet.topicFilters.push(readTopicFilter(reader));
  return packet;
}

function readUnsuback(reader: PacketReader, version: ProtocolVersion): UnsubackPacket & Received {
  const packet: UnsubackPacket & Received = {
    type: 'unsuback',
    byteLength: reader.byteLength,
    packetId: reader.packetId(),
    reasonCodes: [],
  };
  if (version === 4) return packet; // has no payload [MQTT311 3.11.3]
  const properties = readProperties(reader, packetTypes.unsuback, 'server');
  if (properties !== undefined) packet.properties = properties;
  readReasonCodes(reader, packetTypes.unsuback, version, packet.reasonCodes);
  return packet;
}

function readDisconnect(reader: PacketReader, from: Peer): DisconnectPacket & Received {
  const packet: DisconnectPacket & Received = {
    type: 'disconnect',
    byteLength: reader.byteLength,
    reasonCode: readReasonCode(reader, packetTypes.disconnect, 5, from), // 3.1.1 has none, which reads as 0
  };
  const properties = reader.remaining > 0 ? readProperties(reader, packetTypes.disconnect, from) : undefined;
  if (properties !== undefined) packet.properties = properties;
  reader.finish();
  return packet;
}

function readAuth(reader: PacketReader, from: Peer): AuthPacket & Received {
  const isEmpty = reader.remaining === 0;
  const packet: AuthPacket & Received = {
    type: 'auth',
    byteLength: reader.byteLength,
    reasonCode: readReasonCode(reader, packetTypes.auth, 5, from),
  };
  if (isEmpty) return packet; // success without properties [MQTT5 3.15.2.1]
  const properties = readProperties(reader, packetTypes.auth, from);
  if (properties === undefined)
    reader.refuse(protocolError, 'AUTH without a method'); // [MQTT5 3.15.2.2.2]
  else packet.properties = properties;
  reader.finish();
  return packet;
}

/** Left out at the end of a packet it is 0 [MQTT5 3.4.2.1, 3.14.2.1, 3.15.2.1]. */
function readReasonCode(reader: PacketReader, type: number, version: ProtocolVersion, from: Peer): number {
  const code = reader.remaining > 0 ? reader.uint8() : 0;
  if (!isReasonCode(code, type, version, from)) {
    reader.refuse(protocolError, `a reason code that this packet does not have from a ${from}`);
  }
  return code;
}

/** One for each topic filter of the request, which had at least one. */
function readReasonCodes(reader: PacketReader, type: number, version: ProtocolVersion, codes: number[]): void {
  if (reader.remaining === 0) reader.refuse(protocolError, 'no reason code');
  while (reader.remaining > 0) codes.push(readReasonCode(reader, type, version, 'server'));
}
