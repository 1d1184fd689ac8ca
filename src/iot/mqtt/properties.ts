import { packetTypes } from './fixed-header.ts';
import type {
  AckProperties,
  AuthPacket,
  ConnackProperties,
  ConnectProperties,
  DisconnectPacket,
  PublishProperties,
  SubscribePacket,
  WillProperties,
} from './packets.ts';

/** The properties of MQTT 5: one table, which the decoder and the encoder both follow. [MQTT5 table 2-4] */

/** Every property of every packet. It is assignable to the properties of each single packet, which has fewer. */
export type AnyProperties = ConnectProperties &
  ConnackProperties &
  PublishProperties &
  WillProperties &
  AckProperties &
  NonNullable<SubscribePacket['properties']> &
  NonNullable<DisconnectPacket['properties']> &
  NonNullable<AuthPacket['properties']>;

/** How the value stands on the wire and what it may be. The `FromOne` kinds exclude 0. */
export type PropertyKind =
  | 'bit'
  | 'uint16'
  | 'uint16FromOne'
  | 'topicAlias'
  | 'uint32'
  | 'uint32FromOne'
  | 'subscriptionIdentifier'
  | 'text'
  | 'topic'
  | 'binary'
  | 'userProperty';

export interface PropertyRule {
  readonly id: number;
  readonly name: keyof AnyProperties;
  readonly kind: PropertyKind;
  /** One bit per packet type number; bit 0 is the will, which is no packet but has properties of its own. */
  readonly owners: number;
}

/** The owner of the will's properties, where others have their packet type. */
export const willOwner = 0;

const will = 1 << willOwner;
const connect = 1 << packetTypes.connect;
const connack = 1 << packetTypes.connack;
const publish = 1 << packetTypes.publish;
const subscribe = 1 << packetTypes.subscribe;
const unsubscribe = 1 << packetTypes.unsubscribe;
const disconnect = 1 << packetTypes.disconnect;
const auth = 1 << packetTypes.auth;
const acks =
  (1 << packetTypes.puback) |
  (1 << packetTypes.pubrec) |
  (1 << packetTypes.pubrel) |
  (1 << packetTypes.pubcomp) |
  (1 << packetTypes.suback) |
  (1 << packetTypes.unsuback);

const rules: readonly PropertyRule[] = [
  { id: 0x01, name: 'payloadFormatIndicator', kind: 'bit', owners: publish | will },
  { id: 0x02, name: 'messageExpiryIntervalSeconds', kind: 'uint32', owners: publish | will },
  { id: 0x03, name: 'contentType', kind: 'text', owners: publish | will },
  { id: 0x08, name: 'responseTopic', kind: 'topic', owners: publish | will },
  { id: 0x09, name: 'correlationData', kind: 'binary', owners: publish | will },
  { id: 0x0b, name: 'subscriptionIdentifier', kind: 'subscriptionIdentifier', owners: subscribe },
  { id: 0x0b, name: 'subscriptionIdentifiers', kind: 'subscriptionIdentifier', owners: publish },
  { id: 0x11, name: 'sessionExpiryIntervalSeconds', kind: 'uint32', owners: connect | connack | disconnect },
  { id: 0x12, name: 'assignedClientIdentifier', kind: 'text', owners: connack },
  { id: 0x13, name: 'serverKeepAliveSeconds', kind: 'uint16', owners: connack },
  { id: 0x15, name: 'authenticationMethod', kind: 'text', owners: connect | connack | auth },
  { id: 0x16, name: 'authenticationData', kind: 'binary', owners: connect | connack | auth },
  { id: 0x17, name: 'requestProblemInformation', kind: 'bit', owners: connect },
  { id: 0x18, name: 'willDelayIntervalSeconds', kind: 'uint32', owners: will },
  { id: 0x19, name: 'requestResponseInformation', kind: 'bit', owners: connect },
  { id: 0x1a, name: 'responseInformation', kind: 'text', owners: connack },
  { id: 0x1c, name: 'serverReference', kind: 'text', owners: connack | disconnect },
  { id: 0x1f, name: 'reasonString', kind: 'text', owners: connack | acks | disconnect | auth },
  { id: 0x21, name: 'receiveMaximum', kind: 'uint16FromOne', owners: connect | connack },
  { id: 0x22, name: 'topicAliasMaximum', kind: 'uint16', owners: connect | connack },
  { id: 0x23, name: 'topicAlias', kind: 'topicAlias', owners: publish },
  { id: 0x24, name: 'maximumQoS', kind: 'bit', owners: connack },
  { id: 0x25, name: 'retainAvailable', kind: 'bit', owners: connack },
  {
    id: 0x26,
    name: 'userProperties',
    kind: 'userProperty',
    owners: will | connect | connack | publish | acks | subscribe | unsubscribe | disconnect | auth,
  },
  { id: 0x27, name: 'maximumPacketSizeBytes', kind: 'uint32FromOne', owners: connect | connack },
  { id: 0x28, name: 'wildcardSubscriptionAvailable', kind: 'bit', owners: connack },
  { id: 0x29, name: 'subscriptionIdentifiersAvailable', kind: 'bit', owners: connack },
  { id: 0x2a, name: 'sharedSubscriptionAvailable', kind: 'bit', owners: connack },
];

const rulesByName: ReadonlyMap<string, PropertyRule> = new Map(rules.map(rule => [rule.name, rule]));

/** By owner, then by property id: what the decoder asks for each property, so no hashing. */
const rulesByOwner: ReadonlyArray<ReadonlyArray<PropertyRule | undefined>> = Array.from({ length: 16 }, (_, owner) =>
  Array.from({ length: 0x80 }, (_, id) => rules.find(rule => rule.id === id && (rule.owners & (1 << owner)) !== 0)),
);

/** The rule for a property of this packet (or of the will), or undefined when it does not belong there. */
export function propertyRuleById(owner: number, id: number): PropertyRule | undefined {
  return rulesByOwner[owner][id];
}

export function propertyRuleByName(owner: number, name: string): PropertyRule | undefined {
  const rule = rulesByName.get(name);
  return rule !== undefined && (rule.owners & (1 << owner)) !== 0 ? rule : undefined;
}
