/**
 * The control packets of MQTT 3.1.1 and 5.0 as plain objects, the same shape for both versions.
 * Sources: OASIS MQTT Version 3.1.1 (2014) and MQTT Version 5.0 (2019), chapters 2 and 3.
 */

/** The protocol level byte of CONNECT: 4 is MQTT 3.1.1, 5 is MQTT 5.0. */
export type ProtocolVersion = 4 | 5;
export type QoS = 0 | 1 | 2;

/** What came off the wire knows how many bytes it took, fixed header included. */
export interface Received {
  readonly byteLength: number;
}

/** User properties keep their order and may repeat [MQTT5 3.1.2.11.8]. */
export type UserProperties = ReadonlyArray<readonly [name: string, value: string]>;

export interface WillProperties {
  willDelayIntervalSeconds?: number;
  payloadFormatIndicator?: 0 | 1;
  messageExpiryIntervalSeconds?: number;
  contentType?: string;
  responseTopic?: string;
  correlationData?: Uint8Array;
  userProperties?: UserProperties;
}

export interface Will {
  topic: string;
  payload: Uint8Array;
  qos: QoS;
  retain: boolean;
  properties?: WillProperties;
}

export interface ConnectProperties {
  sessionExpiryIntervalSeconds?: number;
  receiveMaximum?: number;
  maximumPacketSizeBytes?: number;
  topicAliasMaximum?: number;
  requestResponseInformation?: 0 | 1;
  requestProblemInformation?: 0 | 1;
  userProperties?: UserProperties;
  authenticationMethod?: string;
  authenticationData?: Uint8Array;
}

export interface ConnectPacket {
  type: 'connect';
  protocolVersion: ProtocolVersion;
  clientId: string;
  /** Clean Session in 3.1.1, Clean Start in 5. */
  cleanStart: boolean;
  keepAliveSeconds: number;
  username?: string;
  password?: Uint8Array;
  will?: Will;
  properties?: ConnectProperties;
}

export interface ConnackProperties {
  sessionExpiryIntervalSeconds?: number;
  receiveMaximum?: number;
  maximumQoS?: 0 | 1;
  retainAvailable?: 0 | 1;
  maximumPacketSizeBytes?: number;
  assignedClientIdentifier?: string;
  topicAliasMaximum?: number;
  reasonString?: string;
  userProperties?: UserProperties;
  wildcardSubscriptionAvailable?: 0 | 1;
  subscriptionIdentifiersAvailable?: 0 | 1;
  sharedSubscriptionAvailable?: 0 | 1;
  serverKeepAliveSeconds?: number;
  responseInformation?: string;
  serverReference?: string;
  authenticationMethod?: string;
  authenticationData?: Uint8Array;
}

export interface ConnackPacket {
  type: 'connack';
  sessionPresent: boolean;
  /** The return code (0–5) in 3.1.1, the reason code in 5. */
  reasonCode: number;
  properties?: ConnackProperties;
}

export interface PublishProperties {
  payloadFormatIndicator?: 0 | 1;
  messageExpiryIntervalSeconds?: number;
  topicAlias?: number;
  responseTopic?: string;
  correlationData?: Uint8Array;
  userProperties?: UserProperties;
  /** More than one only from server to client [MQTT5 3.3.2.3.8]. */
  subscriptionIdentifiers?: readonly number[];
  contentType?: string;
}

export interface PublishPacket {
  type: 'publish';
  /** Empty only in 5, together with a topic alias. */
  topic: string;
  payload: Uint8Array;
  qos: QoS;
  dup: boolean;
  retain: boolean;
  /** 1–65,535; 0 when `qos` is 0, which has none. */
  packetId: number;
  properties?: PublishProperties;
}

export interface AckProperties {
  reasonString?: string;
  userProperties?: UserProperties;
}

/** PUBACK, PUBREC, PUBREL and PUBCOMP share one shape. `reasonCode` is 0 in 3.1.1. */
export interface AckPacket {
  type: 'puback' | 'pubrec' | 'pubrel' | 'pubcomp';
  packetId: number;
  reasonCode: number;
  properties?: AckProperties;
}

export interface Subscription {
  topicFilter: string;
  qos: QoS;
  /** The rest is 5 only; false and 0 in 3.1.1. */
  noLocal: boolean;
  retainAsPublished: boolean;
  retainHandling: 0 | 1 | 2;
}

export interface SubscribePacket {
  type: 'subscribe';
  packetId: number;
  subscriptions: Subscription[];
  properties?: { subscriptionIdentifier?: number; userProperties?: UserProperties };
}

export interface SubackPacket {
  type: 'suback';
  packetId: number;
  reasonCodes: number[];
  properties?: AckProperties;
}

export interface UnsubscribePacket {
  type: 'unsubscribe';
  packetId: number;
  topicFilters: string[];
  properties?: { userProperties?: UserProperties };
}

export interface UnsubackPacket {
  type: 'unsuback';
  packetId: number;
  /** Empty in 3.1.1, which has none. */
  reasonCodes: number[];
  properties?: AckProperties;
}

export interface PingreqPacket {
  type: 'pingreq';
}

export interface PingrespPacket {
  type: 'pingresp';
}

export interface DisconnectPacket {
  type: 'disconnect';
  /** 0 in 3.1.1. */
  reasonCode: number;
  properties?: {
    sessionExpiryIntervalSeconds?: number;
    reasonString?: string;
    userProperties?: UserProperties;
    serverReference?: string;
  };
}

export interface AuthPacket {
  type: 'auth';
  reasonCode: number;
  properties?: {
    authenticationMethod?: string;
    authenticationData?: Uint8Array;
    reasonString?: string;
    userProperties?: UserProperties;
  };
}

export type Packet =
  | ConnectPacket
  | ConnackPacket
  | PublishPacket
  | AckPacket
  | SubscribePacket
  | SubackPacket
  | UnsubscribePacket
  | UnsubackPacket
  | PingreqPacket
  | PingrespPacket
  | DisconnectPacket
  | AuthPacket;

/** Bytes that are not a packet, and why. The connection ends; `reasonCode` is what MQTT 5 says on the way out. */
export interface Refusal {
  type: 'refusal';
  /** An MQTT 5 reason code: 0x81 malformed, 0x82 protocol error, 0x84 unsupported version, 0x95 too large, … */
  reasonCode: number;
  /** For the log: what was wrong, without the attacker's bytes. */
  message: string;
  /** Set when a CONNECT said which version it speaks before it went wrong, so that the answer can be in that version. */
  protocolVersion?: ProtocolVersion;
}

/** MQTT 5 reason codes [MQTT5 2.4]. */
export const reasonCodes = {
  success: 0x00,
  grantedQoS1: 0x01,
  disconnectWithWill: 0x04,
  noMatchingSubscribers: 0x10,
  noSubscriptionExisted: 0x11,
  unspecifiedError: 0x80,
  malformedPacket: 0x81,
  protocolError: 0x82,
  implementationSpecificError: 0x83,
  unsupportedProtocolVersion: 0x84,
  clientIdentifierNotValid: 0x85,
  badUserNameOrPassword: 0x86,
  notAuthorized: 0x87,
  serverUnavailable: 0x88,
  serverBusy: 0x89,
  serverShuttingDown: 0x8b,
  badAuthenticationMethod: 0x8c,
  keepAliveTimeout: 0x8d,
  sessionTakenOver: 0x8e,
  topicFilterInvalid: 0x8f,
  topicNameInvalid: 0x90,
  packetIdentifierInUse: 0x91,
  packetIdentifierNotFound: 0x92,
  receiveMaximumExceeded: 0x93,
  topicAliasInvalid: 0x94,
  packetTooLarge: 0x95,
  messageRateTooHigh: 0x96,
  quotaExceeded: 0x97,
  administrativeAction: 0x98,
  payloadFormatInvalid: 0x99,
  retainNotSupported: 0x9a,
  qosNotSupported: 0x9b,
  sharedSubscriptionsNotSupported: 0x9e,
  subscriptionIdentifiersNotSupported: 0xa1,
  wildcardSubscriptionsNotSupported: 0xa2,
} as const;
