// The few MQTT 3.1.1 bytes a load generator needs, written by hand: the benchmark must not lean on the codec it
// measures. Encodes CONNECT and one connection's PUBLISH packets; decodes nothing.
import type { Identity } from './load.ts';

export const connackAccepted = Buffer.from([0x20, 0x02, 0x00, 0x00]);
export const pubackBytes = 4; // 0x40, 0x02, packet id [MQTT-3.1.1 3.4]
export const acknowledgementBytes = 4; // CONNACK and PUBACK alike

export function encodeConnect({ clientId, username, password }: Identity): Buffer {
  const protocolLevel = 4; // 3.1.1
  const flags = 0xc2; // user name, password, clean session
  const keepAliveSeconds = 0; // off: under load nobody has time for PINGREQ
  const header = Buffer.concat([
    utf8('MQTT'),
    Buffer.from([protocolLevel, flags, keepAliveSeconds >> 8, keepAliveSeconds & 0xff]),
  ]);
  return packet(0x10, Buffer.concat([header, utf8(clientId), utf8(username), utf8(password)]));
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
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 0xff]), bytes]);
}
