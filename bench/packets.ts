// The few MQTT 3.1.1 bytes a load generator needs, written by hand: the benchmark must not lean on the codec it
// measures. Encodes CONNECT, SUBSCRIBE and PUBLISH; decodes nothing but where a packet ends.
import assert from 'node:assert/strict';

export const connackAccepted = Buffer.from([0x20, 0x02, 0x00, 0x00]);
export const pubackBytes = 4; // 0x40, 0x02, packet id [MQTT-3.1.1 3.4]
export const acknowledgementBytes = 4; // CONNACK and PUBACK alike

export const disconnectPacket = Buffer.from([0xe0, 0x00]);

/** What a client says of itself. Without a user name it is anonymous. */
export interface ConnectOptions {
  clientId: string;
  username?: string;
  password?: string;
  cleanSession?: boolean; // true unless said otherwise
}

export function encodeConnect({ clientId, username, password, cleanSession = true }: ConnectOptions): Buffer {
  const protocolLevel = 4; // 3.1.1
  const credentials = username === undefined ? [] : [utf8(username), utf8(password ?? '')];
  const flags = (username === undefined ? 0 : 0xc0) | (cleanSession ? 0x02 : 0);
  const keepAliveSeconds = 0; // off: under load nobody has time for PINGREQ
  const header = Buffer.concat([
    utf8('MQTT'),
    Buffer.from([protocolLevel, flags, keepAliveSeconds >> 8, keepAliveSeconds & 0xff]),
  ]);
  return packet(0x10, Buffer.concat([header, utf8(clientId), ...credentials]));
}

export function encodeSubscribe(packetId: number, topicFilters: readonly string[], qos: 0 | 1): Buffer {
  const filters = topicFilters.flatMap(filter => [utf8(filter), Buffer.from([qos])]);
  return packet(0x82, Buffer.concat([uint16(packetId), ...filters]));
}

/** One packet id, type and length: PUBACK [MQTT311 3.4]. */
export function writePuback(target: Buffer, at: number, packetId: number): void {
  target[at] = 0x40;
  target[at + 1] = 0x02;
  target[at + 2] = packetId >> 8;
  target[at + 3] = packetId & 0xff;
}

/**
 * PUBLISH packets of one length in one buffer. The bytes in front of what changes with each message, the same in all
 * of them and in what a broker makes of them for a subscriber of the same QoS, tell whether it is what was published.
 */
export interface PublishRing {
  bytes: Buffer;
  count: number;
  packetBytes: number;
  packetIdAt: number; // in a packet; meaningless for QoS 0
  payloadAt: number; // in a packet
}

/** @param topics one packet each, all of one length. */
export function encodePublishRing(topics: readonly string[], payloadBytes: number, qos: 0 | 1): PublishRing {
  const payload = Buffer.alloc(payloadBytes, 'x');
  const packetId = qos === 1 ? uint16(0) : Buffer.alloc(0);
  const packets = topics.map(topic => packet(0x30 | (qos << 1), Buffer.concat([utf8(topic), packetId, payload])));
  const packetBytes = packets[0]?.length ?? 0;
  assert(packets.every(each => each.length === packetBytes)); // or the receiver could not tell where one ends
  const payloadAt = packetBytes - payloadBytes;
  return { bytes: Buffer.concat(packets), count: topics.length, packetBytes, packetIdAt: payloadAt - 2, payloadAt };
}

/**
 * The PUBLISH packets of one connection, one per packet id from 1 to `inFlight`, in one buffer, each `packetBytes` long.
 * The sender takes id n again only when n was acknowledged, so its bytes are free to be stamped then.
 */
export interface PublishSlots {
  bytes: Buffer;
  packetBytes: number;
  stampOffset: number; // where in a packet the 24 characters of `at` are
  valueOffset: number; // where in a packet the two last digits of `value` are
}

const payloadBeforeStamp = '{"at":"';
const payloadBeforeValueDigits = '","value":21.';
const payloadBeforePad = ',"pad":"';
const payloadEnd = '"}';
const emptyStamp = '2026-01-01T00:00:00.000Z';

/** The shortest payload that has all three members. */
export const payloadBytesMin = [
  payloadBeforeStamp,
  emptyStamp,
  payloadBeforeValueDigits,
  '00',
  payloadBeforePad,
  payloadEnd,
].join('').length;

export function encodePublishSlots(thingName: string, payloadBytes: number, inFlight: number): PublishSlots {
  const pad = 'x'.repeat(payloadBytes - payloadBytesMin);
  const payload = [payloadBeforeStamp, emptyStamp, payloadBeforeValueDigits, '00', payloadBeforePad, pad, payloadEnd];
  const topic = utf8(`dt/bench/sample/${thingName}/reading`);
  const publishes = Array.from({ length: inFlight }, (_, slot) => {
    const packetId = slot + 1;
    const idBytes = Buffer.from([packetId >> 8, packetId & 0xff]);
    return packet(0x32, Buffer.concat([topic, idBytes, Buffer.from(payload.join(''))])); // 0x32: PUBLISH, QoS 1
  });
  const packetBytes = publishes[0]?.length ?? 0;
  const stampOffset = packetBytes - payloadBytes + payloadBeforeStamp.length;
  const valueOffset = stampOffset + emptyStamp.length + payloadBeforeValueDigits.length;
  return { bytes: Buffer.concat(publishes), packetBytes, stampOffset, valueOffset };
}

/** Makes the packet in `slot` a new reading: the time now, and a value that changes with every message. */
export function stampSlot(slots: PublishSlots, slot: number, stamp: Uint8Array, counter: number): void {
  const start = slot * slots.packetBytes;
  slots.bytes.set(stamp, start + slots.stampOffset);
  slots.bytes[start + slots.valueOffset] = 0x30 + (((counter / 10) | 0) % 10);
  slots.bytes[start + slots.valueOffset + 1] = 0x30 + (counter % 10);
}

/** Where the packet at `start` ends, and where its body begins; undefined while its bytes are not all there. */
export function extentOf(bytes: Buffer, start: number): { body: number; end: number } | undefined {
  let length = 0;
  for (let at = start + 1, shift = 0; at < bytes.length; at++, shift += 7) {
    const byte = bytes[at] ?? 0;
    length += (byte & 0x7f) << shift;
    if (byte < 0x80) return at + 1 + length <= bytes.length ? { body: at + 1, end: at + 1 + length } : undefined;
  }
  return undefined;
}

function packet(firstByte: number, body: Buffer): Buffer {
  return Buffer.concat([Buffer.from([firstByte, ...remainingLength(body.length)]), body]);
}

function remainingLength(length: number): number[] {
  const bytes: number[] = [];
  for (let rest = length; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return [...bytes, rest];
    bytes.push((rest % 128) | 0x80);
  }
}

function utf8(text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([uint16(bytes.length), bytes]);
}

function uint16(value: number): Buffer {
  return Buffer.from([value >> 8, value & 0xff]);
}
