import type { Peer } from './fixed-header.ts';
import type { Packet, ProtocolVersion } from './packets.ts';

/**
 * One row of the wire vectors, and the few words its bytes are written with. These words know nothing of the codec:
 * they count bytes and put lengths in front.
 */
export interface Vector {
  readonly name: string;
  /** 0: before CONNECT. */
  readonly version: ProtocolVersion | 0;
  readonly from: Peer;
  readonly bytes: Buffer;
  /** The packet, or the reason code of the refusal. */
  readonly expected: Packet | number;
  /** False when the packet has a shorter form, which is the one the encoder writes. */
  readonly isShortest: boolean;
}

/** Who speaks, and in which version. */
export interface Speaker {
  readonly version: ProtocolVersion | 0;
  readonly from: Peer;
}

export const stranger: Speaker = { version: 0, from: 'client' };
export const client4: Speaker = { version: 4, from: 'client' };
export const server4: Speaker = { version: 4, from: 'server' };
export const client5: Speaker = { version: 5, from: 'client' };
export const server5: Speaker = { version: 5, from: 'server' };

export function valid(name: string, speaker: Speaker, hex: string, packet: Packet): Vector {
  return { name, ...speaker, bytes: fromHex(hex), expected: packet, isShortest: true };
}

export function validLonger(name: string, speaker: Speaker, hex: string, packet: Packet): Vector {
  return { name, ...speaker, bytes: fromHex(hex), expected: packet, isShortest: false };
}

export function refused(name: string, speaker: Speaker, hex: string, reasonCode: number): Vector {
  return { name, ...speaker, bytes: fromHex(hex), expected: reasonCode, isShortest: false };
}

/** A packet: its first byte, the remaining length of what follows, and that. All in hex; spaces are for the eye. */
export function frame(first: string, ...body: string[]): string {
  return `${first} ${counted(body.join(''))}`;
}

/** A variable byte integer with the number of bytes, then the bytes: the body of a packet, a property section. */
export function counted(...parts: string[]): string {
  const bytes = parts.join('').replaceAll(' ', '');
  let rest = bytes.length / 2;
  let length = '';
  do {
    length += hexByte((rest % 128) + (rest > 127 ? 128 : 0));
    rest = Math.floor(rest / 128);
  } while (rest > 0);
  return length + bytes;
}

/** A string or binary data: two bytes of length, then that. */
export function text(content: string): string {
  return field(Buffer.from(content).toString('hex'));
}

export function field(hex: string): string {
  const bytes = hex.replaceAll(' ', '');
  return hexByte(bytes.length / 2 / 256) + hexByte((bytes.length / 2) % 256) + bytes;
}

export function hexByte(value: number): string {
  return Math.floor(value).toString(16).padStart(2, '0');
}

function fromHex(hex: string): Buffer {
  return Buffer.from(hex.replaceAll(' ', ''), 'hex');
}
