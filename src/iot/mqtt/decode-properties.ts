import type { Peer } from './fixed-header.ts';
import { packetTypes } from './fixed-header.ts';
import { mqttLimits } from './limits.ts';
import type { PacketReader } from './packet-reader.ts';
import { reasonCodes } from './packets.ts';
import type { AnyProperties, PropertyRule } from './properties.ts';
import { propertyRuleById } from './properties.ts';
import { isTopicName } from './topics.ts';

/**
 * Reads the property section of an MQTT 5 packet, its length included. `undefined` when it is empty (or refused).
 * @param owner  the packet type number, or `willOwner`
 */
export function readProperties(reader: PacketReader, owner: number, from: Peer): AnyProperties | undefined {
  const length = reader.variableByteInteger();
  if (length === 0) return undefined;
  if (length > reader.remaining) {
    reader.refuse(reasonCodes.malformedPacket, 'the properties go beyond the end of the packet');
    return undefined;
  }
  const packetEnd = reader.limit;
  reader.limit = reader.position + length;
  const properties = readSection(reader, owner, from);
  if (reader.refusal !== undefined) return undefined;
  reader.limit = packetEnd;
  return properties;
}

function readSection(reader: PacketReader, owner: number, from: Peer): AnyProperties {
  const properties: AnyProperties = {};
  // The table keeps names and kinds of value together, which is more than the type of an assignment can follow.
  const values = properties as Record<string, unknown>;
  while (reader.position < reader.limit) {
    const rule = propertyRuleById(owner, reader.uint8());
    if (rule === undefined) {
      // Unknown, or in the wrong packet: both are malformed [MQTT5 2.2.2.2].
      reader.refuse(reasonCodes.malformedPacket, 'a property that this packet does not have');
    } else if (rule.kind === 'userProperty') {
      addUserProperty(reader, properties);
    } else if (rule.name === 'subscriptionIdentifiers') {
      addSubscriptionIdentifier(reader, properties, rule, from);
    } else if (values[rule.name] !== undefined) {
      reader.refuse(reasonCodes.protocolError, `${rule.name} twice`);
    } else {
      values[rule.name] = readValue(reader, rule);
    }
  }
  if (owner === packetTypes.auth && properties.authenticationMethod === undefined) {
    reader.refuse(reasonCodes.protocolError, 'AUTH without a method'); // [MQTT5 3.15.2.2.2]
  }
  if (properties.authenticationData !== undefined && properties.authenticationMethod === undefined) {
    reader.refuse(reasonCodes.protocolError, 'authenticationData without a method'); // [MQTT5 3.1.2.11.10]
  }
  if (properties.sessionExpiryIntervalSeconds !== undefined && owner === packetTypes.disconnect && from === 'server') {
    reader.refuse(reasonCodes.protocolError, 'sessionExpiryIntervalSeconds from a server'); // [MQTT5 3.14.2-2]
  }
  return properties;
}

function readValue(reader: PacketReader, rule: PropertyRule): number | string | Buffer {
  switch (rule.kind) {
    case 'bit': {
      const value = reader.uint8();
      if (value > 1) reader.refuse(reasonCodes.protocolError, `${rule.name} other than 0 and 1`);
      return value;
    }
    case 'uint16':
      return reader.uint16();
    case 'uint16FromOne':
      return refuseZero(reader, reader.uint16(), rule, reasonCodes.protocolError); // [MQTT5 3.1.2.11.3, 3.2.2.3.3]
    case 'topicAlias':
      return refuseZero(reader, reader.uint16(), rule, reasonCodes.topicAliasInvalid); // [MQTT5 3.3.2-8]
    case 'uint32':
      return reader.uint32();
    case 'uint32FromOne':
      return refuseZero(reader, reader.uint32(), rule, reasonCodes.protocolError); // [MQTT5 3.1.2.11.4, 3.2.2.3.6]
    case 'subscriptionIdentifier':
      return refuseZero(reader, reader.variableByteInteger(), rule, reasonCodes.protocolError); // [MQTT5 3.8.2.1.2]
    case 'topic':
      return readResponseTopic(reader);
    case 'binary':
      return reader.binary();
    default:
      return reader.text(); // Such as the content type [MQTT5 3.3.2-19].
  }
}

function refuseZero(reader: PacketReader, value: number, rule: PropertyRule, reasonCode: number): number {
  if (value === 0) reader.refuse(reasonCode, `${rule.name} 0`);
  return value;
}

function readResponseTopic(reader: PacketReader): string {
  const topic = reader.text(); // [MQTT5 3.3.2-13]
  if (topic === '' || /[+#]/.test(topic)) {
    // The standard names no code for these; empty: [MQTT5 4.7.3-1], wildcards: [MQTT5 3.3.2-14].
    reader.refuse(reasonCodes.protocolError, 'responseTopic is empty or has a wildcard');
  } else if (!isTopicName(topic)) {
    reader.refuse(reasonCodes.topicNameInvalid, 'responseTopic is too long or too deep');
  }
  return topic;
}

/**
 * Kept in order [MQTT5 3.3.2-18], and the same name may repeat [MQTT5 3.1.2.11.8]; pairs, so that no name becomes a key
 * of an object. Name and value are both text [MQTT5 1.5.7-1].
 */
function addUserProperty(reader: PacketReader, properties: AnyProperties): void {
  const start = reader.position;
  const name = reader.text();
  const value = reader.text();
  reader.userProperties += 1;
  reader.userPropertyBytes += reader.position - start - 4; // without the two lengths
  if (reader.userProperties > mqttLimits.userPropertiesMax) {
    reader.refuse(reasonCodes.quotaExceeded, 'too many user properties');
  } else if (reader.userPropertyBytes > mqttLimits.userPropertyBytesMax) {
    reader.refuse(reasonCodes.quotaExceeded, 'user properties too large');
  }
  const pairs = (properties.userProperties ?? []) as Array<readonly [string, string]>; // ours alone until returned
  pairs.push([name, value]);
  properties.userProperties = pairs;
}

function addSubscriptionIdentifier(
  reader: PacketReader,
  properties: AnyProperties,
  rule: PropertyRule,
  from: Peer,
): void {
  if (from === 'client') reader.refuse(reasonCodes.protocolError, 'a client sent subscriptionIdentifiers'); // [MQTT5 3.3.4-6]
  const identifiers = (properties.subscriptionIdentifiers ?? []) as number[]; // ours alone until returned
  identifiers.push(refuseZero(reader, reader.variableByteInteger(), rule, reasonCodes.protocolError)); // [MQTT5 3.3.2.3.8]
  properties.subscriptionIdentifiers = identifiers;
}
