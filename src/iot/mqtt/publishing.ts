import { codeToSay } from './aws-reason-codes.ts';
import { isTopicOverLimit, mayRetain } from './connect.ts';
import { type Connection, clientError, endings, loggedCharactersMax } from './connection.ts';
import { type AckPacket, type PublishPacket, type Received, reasonCodes } from './packets.ts';

/** What a client is told once what it waits for is stored: the packet's type and its reason code, in one number. */
export type PublishAnswer = number;

const ackNumbers = { puback: 0, pubrec: 1, pubrel: 2, pubcomp: 3 } as const;

export function answerOf(type: AckPacket['type'], reasonCode: number): PublishAnswer {
  return (ackNumbers[type] << 8) | reasonCode;
}

const pubackSuccess = answerOf('puback', reasonCodes.success);
const pubrecSuccess = answerOf('pubrec', reasonCodes.success);

/** The hot path: checks in the order of their cost, then into the stream and to the subscribers. */
export function handlePublish(connection: Connection, packet: PublishPacket & Received): void {
  const { core, inbound, identity } = connection;
  if (packet.qos > core.limits.qosMax && connection.version === 4) {
    return core.counts.add('mqtt.ignored.qos'); // AWS IoT Core just does not acknowledge it; 3.1.1 has no word for why.
  }
  const refusal = endingOver(connection, packet);
  if (refusal !== undefined) return connection.end(clientError(refusal));
  const { qos, packetId } = packet;
  if (qos > 0) {
    inbound.unanswered++;
    if (isOverReceiveMaximum(connection, packet))
      return connection.end(clientError(reasonCodes.receiveMaximumExceeded));
  }
  if (qos === 2 && connection.session.received?.has(packetId)) {
    // Known, and not released yet: said again, not published again [MQTT311 4.3.3-2] [MQTT5 4.3.3-10].
    return core.ingest.answerInOrder(connection, packetId, pubrecSuccess);
  }
  const verdict = inbound.verdictOn(packet.topic, identity, core.access);
  if (!verdict.allowed || !mayRetain(packet, core.limits)) return refusePublish(connection, packet);
  if (!isWithinLimits(connection, packet)) return;
  core.counts.add('mqtt.published');
  const answer = qos === 1 ? pubackSuccess : pubrecSuccess; // QoS 0 gets none [MQTT311 3.3.4-1] [MQTT5 3.3.4-1].
  if (verdict.ingest) {
    const target = qos === 0 ? undefined : connection;
    const { topic, payload } = packet;
    const thingName = identity.thingName ?? identity.clientId;
    core.ingest.offer(thingName, topic, payload, target, packetId, answer, verdict.partitionKey);
  }
  const receivedId = qos === 2 ? packetId : 0;
  const { retainedIsFull } = core.router.publish(packet, connection.session, receivedId, connection.version);
  // Of QoS 1 nothing is noted: the same packet id is a new message, DUP or not [MQTT311 4.3.2-2] [MQTT5 4.3.2-5].
  if (qos === 2) noteReceived(connection, packetId);
  if (verdict.ingest || qos === 0) return;
  // Of a retained message that could not be kept, nobody is told that it was.
  const isTold = retainedIsFull && connection.version === 5;
  const code = isTold ? (answer & 0xff00) | reasonCodes.quotaExceeded : answer;
  if (isTold && qos === 2) connection.session.forgetReceived(packetId); // Free for another message [MQTT5 4.3.3-9].
  core.ingest.answerInOrder(connection, packetId, code);
}

/**
 * PUBREL: the client will not send that message again, so its packet id is free for another one
 * [MQTT311 4.3.3-2] [MQTT5 4.3.3-11, 4.3.3-12]. Whether the message has expired since is not asked [MQTT5 4.3.3-13].
 */
export function handlePubrel(connection: Connection, packetId: number): void {
  const { core, session, inbound } = connection;
  const wasKnown = session.forgetReceived(packetId);
  if (wasKnown && inbound.unreleased > 0) inbound.unreleased--;
  if (!wasKnown) core.counts.add('mqtt.ignored.unknownPubrel');
  // 3.1.1 has no other answer than that it is done [MQTT311 4.3.3-2].
  const isUnknown = !wasKnown && connection.version === 5;
  const code = isUnknown ? reasonCodes.packetIdentifierNotFound : reasonCodes.success;
  core.ingest.answerInOrder(connection, packetId, answerOf('pubcomp', code));
}

/** The reason to end the connection over this PUBLISH, if there is one. Puts the topic in place of its alias. */
function endingOver({ core, inbound }: Connection, packet: PublishPacket & Received): number | undefined {
  if (packet.qos > core.limits.qosMax) return reasonCodes.qosNotSupported; // [MQTT5 3.2.2-11]
  const alias = packet.properties?.topicAlias;
  if (alias !== undefined) {
    const topic = inbound.topicOf(packet.topic, alias);
    if (topic === undefined) return reasonCodes.topicAliasInvalid; // [MQTT5 3.3.2-8 … 3.3.2-10]
    packet.topic = topic;
  }
  if (isTopicOverLimit(packet.topic, core.limits)) return reasonCodes.topicNameInvalid;
  const { payloadBytesMax, publishPacketBytesMax } = core.limits;
  const isTooLarge = packet.payload.length > payloadBytesMax || packet.byteLength > publishPacketBytesMax;
  return isTooLarge ? codeToSay(reasonCodes.packetTooLarge, core.limits) : undefined;
}

/**
 * What was told with CONNACK counts, anew on each connection [MQTT5 4.9] [MQTT5 3.3.4-7, 3.3.4-9]; 3.1.1 is not told, and
 * AWS IoT Core ends it all the same, while by default no packet ids are left that could be too many. QoS 2 is in flight until its PUBREL, and for a part of that unanswered, too: the larger of
 * both numbers never ends a client that keeps to the maximum.
 */
function isOverReceiveMaximum({ core, inbound, session }: Connection, { packetId }: PublishPacket): boolean {
  const { received } = session;
  const unreleased = Math.min(inbound.unreleased, received?.size ?? 0) + (received?.has(packetId) ? 0 : 1);
  return Math.max(inbound.unanswered, unreleased) > core.limits.receiveMaximum;
}

/** Whether the rates allow one more. Says or does what follows if not; a QoS 0 message is dropped. */
function isWithinLimits(connection: Connection, packet: PublishPacket & Received): boolean {
  const { core, inbound, version } = connection;
  const nowMs = core.clock.monotonicMs();
  const isWithin = inbound.isWithinRate(packet.byteLength, nowMs) && core.publishes.take(nowMs);
  if (isWithin) return true;
  core.counts.add('mqtt.refused.rate');
  // 3.1.1 cannot be refused one message: this one is taken, and the next ones are read when they are due.
  if (version === 4 && packet.qos > 0) {
    inbound.owe(packet.byteLength);
    connection.slowDown(Math.max(inbound.waitMs(nowMs), core.publishes.waitMs(nowMs)));
    return true;
  }
  if (packet.qos > 0) answerNegatively(connection, packet, reasonCodes.quotaExceeded);
  return false;
}

/** 5 is told so [MQTT5 3.4.2.1]; 3.1.1 has no word for it: closed as AWS IoT Core does, or acknowledged and dropped [MQTT311 3.3.5-2]. */
function refusePublish(connection: Connection, packet: PublishPacket): void {
  const { core, version, clientId } = connection;
  core.counts.add('mqtt.refused.publish');
  const topic = packet.topic.slice(0, loggedCharactersMax);
  core.log.warn({ clientId, topic }, 'A publish was not allowed by the policy.');
  if (version === 4 && core.limits.closesUnauthorized) return connection.end(endings.notAuthorized);
  if (packet.qos === 2 && version === 4) noteReceived(connection, packet.packetId); // Its PUBREL will come.
  if (packet.qos > 0) answerNegatively(connection, packet, version === 5 ? reasonCodes.notAuthorized : 0);
}

/** In 5 a QoS 2 packet id that is refused was not noted as taken: it is free for another message [MQTT5 4.3.3-9]. */
function answerNegatively(connection: Connection, packet: PublishPacket, reasonCode: number): void {
  const type = packet.qos === 1 ? 'puback' : 'pubrec';
  connection.core.ingest.answerInOrder(connection, packet.packetId, answerOf(type, reasonCode));
}

function noteReceived({ session, inbound }: Connection, packetId: number): void {
  inbound.unreleased++;
  session.noteReceived(packetId);
}
