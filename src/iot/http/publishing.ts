import type { Identity, PublishVerdict } from '../access/port.ts';
import { isTopicOverLimit } from '../mqtt/connect.ts';
import { encodePublish } from '../mqtt/encode.ts';
import type { GatewayCore } from '../mqtt/gateway.ts';
import { mqttLimits } from '../mqtt/limits.ts';
import type { Publication } from '../mqtt/router.ts';
import type { Session } from '../mqtt/session.ts';
import type { AckTarget } from '../rules/index.ts';
import { forbidden, notStored, parameterNotValid, payloadTooLarge, storageFull, topicNotValid } from './errors.ts';
import type { PublicationHead } from './publication.ts';

/*
 * The same steps as a PUBLISH takes in `mqtt/publishing`, with the same authority and limits, for a client that has no
 * connection to be ended.
 */

const wireVersion = 5; // Requests have all that 5 has.

/** Whether this client may publish that here. Throws what it is refused with. */
export function judgeHead(core: GatewayCore, identity: Identity, head: PublicationHead): PublishVerdict {
  const { limits, access, counts } = core;
  if (head.qos > limits.qosMax) throw parameterNotValid('qos', `the highest is ${limits.qosMax}`);
  if (isTopicOverLimit(head.topic, limits)) throw topicNotValid();
  const verdict = access.judgePublish(identity, head.topic);
  if (verdict.allowed) return verdict;
  counts.add('mqtt.refused.publish');
  throw forbidden();
}

/** As long as a payload can ever be; with topic and properties it may be too much still. */
export function payloadBytesMax({ limits }: GatewayCore): number {
  return Math.min(limits.payloadBytesMax, mqttLimits.packetBytesMax);
}

/**
 * The PUBLISH that a client of MQTT would have sent: it takes as many bytes, fits the same limit, and is passed on by
 * the router as it is. Throws `iot.payloadTooLarge`.
 */
export function toPublication(head: PublicationHead, payload: Buffer): Publication {
  const packetId = head.qos === 0 ? 0 : 1; // It has to have one; each subscriber gets another.
  const packet = { type: 'publish', dup: false, ...head, payload, packetId } as const;
  const bytes = encodePublish(packet, wireVersion);
  if (bytes.length > mqttLimits.packetBytesMax) throw payloadTooLarge(mqttLimits.packetBytesMax);
  return { ...head, payload: bytes.subarray(bytes.length - payload.length), byteLength: bytes.length };
}

/**
 * Into the stream if it is telemetry, and to the subscribers. Resolves when as much is true as the QoS asks for: at
 * once with 0, once durable with 1. Throws `iot.notStored`, `iot.storageFull`.
 */
export function publishAs(
  core: GatewayCore,
  identity: Identity,
  verdict: PublishVerdict,
  publication: Publication,
  from: Session | undefined,
): Promise<void> {
  const { topic, payload, qos } = publication;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let retainedIsFull = false;
  const target: AckTarget = {
    // Of a retained message that could not be kept, nobody is told that it was.
    acknowledge: () => (retainedIsFull ? reject(storageFull()) : resolve()),
    refuse: (_, code) => reject(code.endsWith('.full') ? storageFull() : notStored()),
  };
  core.counts.add('mqtt.published');
  if (verdict.ingest) {
    const thingName = identity.thingName ?? identity.clientId;
    core.ingest.offer(thingName, topic, payload, qos === 0 ? undefined : target, 0, 0, verdict.partitionKey);
  }
  retainedIsFull = core.router.publish(publication, from, 0, wireVersion).retainedIsFull;
  if (qos === 0) target.acknowledge(0, 0);
  else if (!verdict.ingest) core.ingest.answerInOrder(target, 0, 0);
  core.flush();
  return promise;
}
