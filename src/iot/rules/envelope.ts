import { type Cause, decodeCause } from '../../kernel/causes.ts';

/**
 * How a message lies in the stream: version u8 (1) · flags u8 · topic bytes u16 · topic (UTF-8) · if flag 1 is set, cause
 * bytes u16 and the cause · payload. What devices send has no cause. On AWS the rule's Kinesis action carries the same
 * facts as JSON; both decode to `DeviceMessage`.
 */
export interface DeviceMessage {
  readonly topic: string;
  readonly payload: Buffer;
  /** Of a message that a function has made. */
  readonly cause?: Cause;
}

const version = 1;
const headerBytes = 4;
const causeFlag = 1;
const causeHeaderBytes = 2;

export function envelopeBytes(topicBytes: number, payloadBytes: number, cause?: Uint8Array): number {
  return headerBytes + topicBytes + (cause === undefined ? 0 : causeHeaderBytes + cause.length) + payloadBytes;
}

/** Writes the envelope at `position`, where `envelopeBytes` bytes have been reserved. */
export function writeEnvelope(
  into: Buffer,
  position: number,
  topic: string,
  topicBytes: number,
  payload: Uint8Array,
  cause?: Uint8Array,
): void {
  into[position] = version;
  into[position + 1] = cause === undefined ? 0 : causeFlag;
  into.writeUInt16LE(topicBytes, position + 2);
  let at = position + headerBytes;
  into.write(topic, at, topicBytes, 'utf8');
  at += topicBytes;
  if (cause !== undefined) {
    at = into.writeUInt16LE(cause.length, at);
    into.set(cause, at);
    at += cause.length;
  }
  into.set(payload, at);
}

/** Whether the envelope in `bytes` from `start` to `end` has a topic that begins with `prefix`, without decoding it. */
export function topicBegins(bytes: Buffer, start: number, end: number, prefix: Buffer): boolean {
  const topicAt = start + headerBytes;
  return topicAt + prefix.length <= end && prefix.compare(bytes, topicAt, topicAt + prefix.length) === 0;
}

/** Undefined when it is not an envelope of a version we know. */
export function readEnvelope(data: Buffer): DeviceMessage | undefined {
  if (data.length < headerBytes || data[0] !== version) return undefined;
  const topicEnd = headerBytes + data.readUInt16LE(2);
  if (topicEnd > data.length) return undefined;
  const topic = data.toString('utf8', headerBytes, topicEnd);
  if ((data[1] & causeFlag) === 0) return { topic, payload: data.subarray(topicEnd) };
  const causeAt = topicEnd + causeHeaderBytes;
  if (causeAt > data.length) return undefined;
  const payloadAt = causeAt + data.readUInt16LE(topicEnd);
  if (payloadAt > data.length) return undefined;
  return { topic, payload: data.subarray(payloadAt), cause: decodeCause(data.subarray(causeAt, payloadAt)) };
}
