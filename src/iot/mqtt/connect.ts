import type { Random } from '../../kernel/random.ts';
import type { Access, Admission, AdmissionRefusal, ClientCertificate, Identity } from '../access/port.ts';
import { codeToSay } from './aws-reason-codes.ts';
import { type Broker, neverExpires } from './broker.ts';
import type { BrokerLimits } from './broker-limits.ts';
import { type ConnackProperties, type ConnectPacket, reasonCodes, type Will } from './packets.ts';
import { reasonStringOf } from './reason-texts.ts';

/** What is answered to a CONNECT. `reasonCode` of a refusal is in the words of MQTT 5. */
export type ConnectOutcome =
  | {
      readonly accepted: true;
      readonly identity: Identity;
      readonly keepAliveSeconds: number;
      readonly expirySeconds: number;
      readonly properties: ConnackProperties | undefined;
    }
  /** `identity` of somebody who is known and may not do what was asked for: told as `connect_failed`. */
  | { readonly accepted: false; readonly reasonCode: number; readonly identity?: Identity };

/** Who decides, and by what. */
export interface ConnectJudge {
  readonly access: Access;
  readonly broker: Broker;
  readonly limits: BrokerLimits;
  readonly random: Random;
  /** Nobody new should come. */
  readonly isShortOfMemory: boolean;
}

/** Where the client comes from. */
export interface ConnectOrigin {
  readonly remoteAddress: string;
  readonly certificate: ClientCertificate | undefined;
}

/**
 * Decides about a CONNECT without touching anything: who it is, then whether that one may have what it asks for. Takes
 * time when the access engine does.
 */
export function judgeConnect(
  packet: ConnectPacket,
  origin: ConnectOrigin,
  judge: ConnectJudge,
): ConnectOutcome | Promise<ConnectOutcome> {
  const refusal = checkPacket(packet, judge);
  if (refusal !== undefined) return { accepted: false, reasonCode: codeToSay(refusal, judge.limits) };
  const isAssigned = packet.clientId === '';
  const clientId = isAssigned ? newClientId(judge.random) : packet.clientId;
  const { username, password } = packet;
  const admission = judge.access.authenticate({ clientId, username, password, ...origin });
  if (!(admission instanceof Promise)) return judgeAdmission(packet, admission, isAssigned, judge);
  return admission.then(settled => judgeAdmission(packet, settled, isAssigned, judge));
}

function judgeAdmission(
  packet: ConnectPacket,
  admission: Admission,
  isAssigned: boolean,
  judge: ConnectJudge,
): ConnectOutcome {
  if (!admission.admitted) {
    return { accepted: false, reasonCode: codeToSay(codesOfRefusals[admission.reason], judge.limits) };
  }
  const { identity } = admission;
  const refusal = checkWill(packet.will, identity, judge) ?? checkRoom(identity, judge);
  if (refusal !== undefined) {
    const isForbidden = refusal === reasonCodes.notAuthorized;
    const reasonCode = codeToSay(refusal, judge.limits);
    return isForbidden ? { accepted: false, reasonCode, identity } : { accepted: false, reasonCode };
  }
  const keepAliveSeconds = effectiveKeepAlive(packet.keepAliveSeconds, judge.limits);
  const expirySeconds = effectiveExpiry(packet, judge.limits);
  const properties =
    packet.protocolVersion === 5 ? announce(packet, { keepAliveSeconds, expirySeconds }, judge.limits) : undefined;
  // From here on it is the client's own id, as if the client had sent it [MQTT5 3.1.3-7, 3.2.2-16].
  if (isAssigned && properties) properties.assignedClientIdentifier = identity.clientId;
  return { accepted: true, identity, keepAliveSeconds, expirySeconds, properties };
}

const codesOfRefusals: Record<AdmissionRefusal, number> = {
  clientIdentifierNotValid: reasonCodes.clientIdentifierNotValid,
  badUserNameOrPassword: reasonCodes.badUserNameOrPassword,
  notAuthorized: reasonCodes.notAuthorized,
  serverBusy: reasonCodes.serverBusy,
};

/** What can be said without knowing who it is. */
function checkPacket(packet: ConnectPacket, { access, limits }: ConnectJudge): number | undefined {
  const { clientId, cleanStart, protocolVersion, will } = packet;
  // Enhanced authentication is not offered [MQTT5 4.12.0-1].
  if (packet.properties?.authenticationMethod !== undefined) return reasonCodes.badAuthenticationMethod;
  if (clientId === '') {
    const mayBeAssigned = protocolVersion === 5 || (cleanStart && limits.assignsClientIdsTo311);
    // [MQTT311 3.1.3-8] [MQTT5 3.1.3-6, 3.1.3-8]
    if (!access.assignsClientIds || !mayBeAssigned) return reasonCodes.clientIdentifierNotValid;
  }
  if (clientId.startsWith('$')) return reasonCodes.clientIdentifierNotValid; // AWS IoT Core refuses them too.
  if (will && will.qos > limits.qosMax) return reasonCodes.qosNotSupported; // [MQTT5 3.2.2-12]
  if (will && isTopicOverLimit(will.topic, limits)) return reasonCodes.topicNameInvalid;
  if (will && will.payload.length > limits.payloadBytesMax) return reasonCodes.quotaExceeded;
  return undefined;
}

/** A will nobody may publish is refused here, where its client can still be told (hostile S10). */
function checkWill(will: Will | undefined, identity: Identity, { access, limits }: ConnectJudge): number | undefined {
  if (!will) return undefined;
  const isAllowed = mayRetain(will, limits) && access.judgePublish(identity, will.topic).allowed;
  return isAllowed ? undefined : reasonCodes.notAuthorized;
}

/** AWS IoT Core keeps nothing on the topics it reserves. */
export function mayRetain({ topic, retain }: Pick<Will, 'topic' | 'retain'>, limits: BrokerLimits): boolean {
  return !retain || limits.retainsReservedTopics || !topic.startsWith('$');
}

/** Who has a session may come for it whatever the load: only that client can make less of what waits for it. */
function checkRoom(identity: Identity, { broker, isShortOfMemory }: ConnectJudge): number | undefined {
  if (broker.belongsToAnother(identity)) return reasonCodes.notAuthorized;
  if (broker.sessionOf(identity)) return undefined;
  const isBusy = isShortOfMemory || broker.isOverloaded || !broker.hasRoomFor(identity);
  return isBusy ? reasonCodes.serverBusy : undefined;
}

/** MQTT 3.1.1 has five return codes for what 5 says with many [MQTT311 table 3.1]. */
export function inWordsOf(protocolVersion: 4 | 5, reasonCode: number): number {
  if (protocolVersion === 5) return reasonCode;
  if (reasonCode === reasonCodes.clientIdentifierNotValid) return 2;
  if (reasonCode === reasonCodes.serverBusy || reasonCode === reasonCodes.quotaExceeded) return 3;
  if (reasonCode === reasonCodes.badUserNameOrPassword) return 4;
  return 5;
}

/** Properties of a CONNACK that refuses. */
export function refusalProperties(protocolVersion: 4 | 5, reasonCode: number): ConnackProperties | undefined {
  return protocolVersion === 5 ? reasonStringOf(reasonCode) : undefined;
}

/** Whether a topic or filter (without its share) is longer or deeper than the limits in force allow. */
export function isTopicOverLimit(topic: string, { topicBytesMax, topicSlashesMax }: BrokerLimits): boolean {
  if (topicBytesMax === Number.POSITIVE_INFINITY && topicSlashesMax === Number.POSITIVE_INFINITY) return false;
  const counted = withoutBasicIngest(topic);
  if (Buffer.byteLength(counted) > topicBytesMax) return true;
  // How deep reserved topics are is AWS' choice: $aws/commands/things/<thing>/executions/<id>/response/accepted/json.
  if (counted === topic && topic.startsWith('$aws/')) return false;
  let slashes = 0;
  for (let at = counted.indexOf('/'); at !== -1; at = counted.indexOf('/', at + 1)) slashes++;
  return slashes > topicSlashesMax;
}

/** The three levels `$aws/rules/<rule>/` count neither as bytes nor as slashes ("Basic Ingest"). */
function withoutBasicIngest(topic: string): string {
  const ruleAt = '$aws/rules/'.length;
  const ruleEnd = topic.startsWith('$aws/rules/') ? topic.indexOf('/', ruleAt) : -1;
  return ruleEnd === -1 ? topic : topic.slice(ruleEnd + 1);
}

/** Unpredictable, and short enough for every client [MQTT311 3.1.3-5]. */
function newClientId(random: Random): string {
  return `auto-${Buffer.from(random.bytes(12)).toString('base64url')}`;
}

function effectiveKeepAlive(askedSeconds: number, limits: BrokerLimits): number {
  if (askedSeconds === 0) return limits.keepAliveSecondsMax;
  return Math.min(Math.max(askedSeconds, limits.keepAliveSecondsMin), limits.keepAliveSecondsMax);
}

function effectiveExpiry(packet: ConnectPacket, limits: BrokerLimits): number {
  const { sessionExpirySecondsMax: max, sessionExpirySecondsDefault } = limits;
  if (packet.protocolVersion === 4) return packet.cleanStart ? 0 : Math.min(sessionExpirySecondsDefault, max);
  const asked = packet.properties?.sessionExpiryIntervalSeconds ?? 0;
  // The largest number means for ever [MQTT5 3.1.2.11.2].
  return asked === neverExpires && max === Number.POSITIVE_INFINITY ? neverExpires : Math.min(asked, max);
}

/**
 * What this server can do, and where it deviates from what was asked [MQTT5 3.2.2.3]. Response Information is told to
 * nobody, so never to who did not ask for it [MQTT5 3.1.2-28].
 */
function announce(
  packet: ConnectPacket,
  { keepAliveSeconds, expirySeconds }: { keepAliveSeconds: number; expirySeconds: number },
  limits: BrokerLimits,
): ConnackProperties {
  const properties: ConnackProperties = { maximumPacketSizeBytes: limits.publishPacketBytesMax };
  if (limits.qosMax < 2) properties.maximumQoS = limits.qosMax === 1 ? 1 : 0; // [MQTT5 3.2.2-9]
  if (limits.topicAliasMaximum > 0) properties.topicAliasMaximum = limits.topicAliasMaximum;
  if (limits.receiveMaximum < 65_535) properties.receiveMaximum = limits.receiveMaximum;
  if (!limits.subscriptionIdentifiersAvailable) properties.subscriptionIdentifiersAvailable = 0;
  // Where it is not told, the client's own is in force [MQTT5 3.2.2-22].
  if (keepAliveSeconds !== packet.keepAliveSeconds) properties.serverKeepAliveSeconds = keepAliveSeconds;
  const asked = packet.properties?.sessionExpiryIntervalSeconds ?? 0;
  if (expirySeconds !== asked) properties.sessionExpiryIntervalSeconds = expirySeconds;
  return properties;
}
