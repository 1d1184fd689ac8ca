import { thingOfClient } from '../things/index.ts';
import { brokerLimits } from './broker-limits.ts';
import type { GatewayCore } from './gateway.ts';
import { mqttLimits } from './limits.ts';
import { type ConnackProperties, type ConnectPacket, reasonCodes } from './packets.ts';

/** What is answered to a CONNECT. `reasonCode` is already in the words of the client's version. */
export type ConnectOutcome =
  | {
      readonly accepted: true;
      readonly keepAliveSeconds: number;
      readonly expirySeconds: number;
      readonly properties: ConnackProperties | undefined;
    }
  | { readonly accepted: false; readonly reasonCode: number };

type Judge = Pick<GatewayCore, 'authenticate' | 'policy' | 'broker'>;

/** Each check returns the MQTT 5 reason to refuse, or undefined to go on. The order is the documentation. */
const checks = [checkMethod, checkClientId, checkCredentials, checkWill, checkRoom];

/** Decides about a CONNECT without touching anything. */
export function judgeConnect(packet: ConnectPacket, judge: Judge): ConnectOutcome {
  for (const check of checks) {
    const reasonCode = check(packet, judge);
    if (reasonCode !== undefined) return { accepted: false, reasonCode: inWordsOf(packet, reasonCode) };
  }
  const keepAliveSeconds = effectiveKeepAlive(packet.keepAliveSeconds);
  const expirySeconds = effectiveExpiry(packet);
  return {
    accepted: true,
    keepAliveSeconds,
    expirySeconds,
    properties: announce(packet, keepAliveSeconds, expirySeconds),
  };
}

/** Enhanced authentication is not offered [MQTT5 4.12.0-1]. */
function checkMethod(packet: ConnectPacket): number | undefined {
  return packet.properties?.authenticationMethod === undefined ? undefined : reasonCodes.badAuthenticationMethod;
}

/** The client id names the thing, so it cannot be left to the server [MQTT311 3.1.3-8], nor hold what topics give a meaning. */
function checkClientId({ clientId }: ConnectPacket): number | undefined {
  return /^[a-zA-Z0-9:_.-]+$/.test(clientId) ? undefined : reasonCodes.clientIdentifierNotValid;
}

function checkCredentials(packet: ConnectPacket, judge: Judge): number | undefined {
  if (packet.password === undefined) return reasonCodes.notAuthorized; // Nobody is anonymous.
  const thingName = thingOfClient(packet.clientId);
  if (packet.username !== thingName) return reasonCodes.badUserNameOrPassword;
  return judge.authenticate(thingName, packet.password) ? undefined : reasonCodes.badUserNameOrPassword;
}

function checkWill({ will, clientId, protocolVersion }: ConnectPacket, judge: Judge): number | undefined {
  if (!will) return undefined;
  if (will.qos === 2) return reasonCodes.qosNotSupported; // [MQTT5 3.2.2-12]
  // 3.1.1 cannot be told so: its will is published as its retained messages are, to who is there [MQTT5 3.2.2-13].
  if (will.retain && protocolVersion === 5) return reasonCodes.retainNotSupported;
  return judge.policy.judgePublish(thingOfClient(clientId), will.topic).allowed ? undefined : reasonCodes.notAuthorized;
}

function checkRoom({ clientId }: ConnectPacket, { broker }: Judge): number | undefined {
  return broker.hasRoomFor(clientId) ? undefined : reasonCodes.serverBusy;
}

/** MQTT 3.1.1 has five return codes for what 5 says with many [MQTT311 table 3.1]. */
function inWordsOf(packet: ConnectPacket, reasonCode: number): number {
  if (packet.protocolVersion === 5) return reasonCode;
  if (reasonCode === reasonCodes.clientIdentifierNotValid) return 2;
  if (reasonCode === reasonCodes.serverBusy) return 3;
  if (reasonCode === reasonCodes.badUserNameOrPassword) return 4;
  return 5;
}

function effectiveKeepAlive(askedSeconds: number): number {
  if (askedSeconds === 0) return brokerLimits.keepAliveSecondsMax;
  return Math.min(Math.max(askedSeconds, brokerLimits.keepAliveSecondsMin), brokerLimits.keepAliveSecondsMax);
}

function effectiveExpiry(packet: ConnectPacket): number {
  if (packet.protocolVersion === 4) return packet.cleanStart ? 0 : brokerLimits.sessionExpirySecondsDefault;
  return Math.min(packet.properties?.sessionExpiryIntervalSeconds ?? 0, brokerLimits.sessionExpirySecondsMax);
}

/** What this server can do, and where it deviates from what was asked [MQTT5 3.2.2.3]. */
function announce(
  packet: ConnectPacket,
  keepAliveSeconds: number,
  expirySeconds: number,
): ConnackProperties | undefined {
  if (packet.protocolVersion === 4) return undefined;
  const properties: ConnackProperties = {
    maximumQoS: 1,
    retainAvailable: 0,
    maximumPacketSizeBytes: mqttLimits.packetBytesMax,
    subscriptionIdentifiersAvailable: 0,
    sharedSubscriptionAvailable: 0,
  };
  if (keepAliveSeconds !== packet.keepAliveSeconds) properties.serverKeepAliveSeconds = keepAliveSeconds;
  const asked = packet.properties?.sessionExpiryIntervalSeconds ?? 0;
  if (expirySeconds !== asked) properties.sessionExpiryIntervalSeconds = expirySeconds;
  return properties;
}
