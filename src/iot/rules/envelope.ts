/**
 * How a device's message lies in the stream: version u8 (1) · flags u8 (0) · topic bytes u16 · topic (UTF-8) · payload.
 * On AWS the rule's Kinesis action carries the same facts as JSON; both decode to `DeviceMessage`.
 */
export interface DeviceMessage {
  readonly topic: string;
  readonly payload: Buffer;
}

const version = 1;
const headerBytes = 4;

export function envelopeBytes(topicBytes: number, payloadBytes: number): number {
  return headerBytes + topicBytes + payloadBytes;
}

/** Writes the envelope at `position`, where `envelopeBytes` bytes have been reserved. */
export function writeEnvelope(
  into: Buffer,
  position: number,
  topic: string,
  topicBytes: number,
  payload: Uint8Array,
): void {
  into[position] = version;
  into[position + 1] = 0;
  into.writeUInt16LE(topicBytes, position + 2);
  into.write(topic, position + headerBytes, topicBytes, 'utf8');
  into.set(payload, position + headerBytes + topicBytes);
}

/** Whether the envelope in `bytes` from `start` to `end` has a topic that begins with `prefix`, without decoding it. */
export function topicBegins(bytes: Buffer, start: number, end: number, prefix: Buffer): boolean {
  const topicAt = start + headerBytes;
  return topicAt + prefix.length <= end && prefix.compare(bytes, topicAt, topicAt + prefix.length) === 0;
}

/** Undefined when it is not an envelope of a version we know. */
export function readEnvelope(data: Buffer): DeviceMessage | undefined {
  if (data.length < headerBytes || data[0] !== version) return undefined;
  const payloadAt = headerBytes + data.readUInt16LE(2);
  if (payloadAt > data.length) return undefined;
  return { topic: data.toString('utf8', headerBytes, payloadAt), payload: data.subarray(payloadAt) };
}
