import { noBytes } from '../../kernel/bytes.ts';
import type { Refusal } from './packets.ts';
import { reasonCodes } from './packets.ts';
import { isMqttText } from './utf8.ts';

export function refusal(reasonCode: number, message: string): Refusal {
  return { type: 'refusal', reasonCode, message };
}

/**
 * Reads the fields of one whole packet in order. It never throws: the first problem is kept in `refusal`, and from then
 * on there is nothing left to read, so every loop over the rest ends and every read gives 0, '' or no bytes.
 * Whoever made the reader looks at `refusal` once, at the end.
 */
export class PacketReader {
  readonly bytes: Buffer;
  /** Bytes of the whole packet, fixed header included. */
  readonly byteLength: number;
  position: number;
  /** Reads stop here: the end of the packet, or of the property section while that is being read. */
  limit: number;
  refusal: Refusal | undefined;
  /** Counted over the packet: a CONNECT has two property sections, one limit. */
  userProperties = 0;
  userPropertyBytes = 0;

  constructor(bytes: Buffer, position: number, limit: number, byteLength: number) {
    this.bytes = bytes;
    this.position = position;
    this.limit = limit;
    this.byteLength = byteLength;
  }

  get remaining(): number {
    return this.limit - this.position;
  }

  refuse(reasonCode: number, message: string): void {
    this.refusal ??= refusal(reasonCode, message);
    this.limit = this.position;
  }

  uint8(): number {
    if (!this.#has(1)) return 0;
    return this.bytes[this.position++];
  }

  uint16(): number {
    if (!this.#has(2)) return 0;
    const at = this.position;
    this.position += 2;
    return (this.bytes[at] << 8) | this.bytes[at + 1];
  }

  uint32(): number {
    if (!this.#has(4)) return 0;
    const at = this.position;
    this.position += 4;
    return this.bytes[at] * 0x1000000 + ((this.bytes[at + 1] << 16) | (this.bytes[at + 2] << 8) | this.bytes[at + 3]);
  }

  /** At most 4 bytes, and no more than needed [MQTT5 1.5.5-1]. */
  variableByteInteger(): number {
    let value = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.uint8();
      value |= (byte & 0x7f) << shift;
      if (byte > 0x7f) continue;
      if (byte === 0 && shift > 0) break;
      return value;
    }
    this.refuse(reasonCodes.malformedPacket, 'a variable byte integer is longer than needed or than 4 bytes');
    return 0;
  }

  /** Binary data: two bytes of length, then that many. A view into the packet, not a copy. */
  binary(): Buffer {
    const length = this.uint16();
    if (!this.#has(length)) return noBytes;
    this.position += length;
    return this.bytes.subarray(this.position - length, this.position);
  }

  text(): string {
    const length = this.uint16();
    if (!this.#has(length)) return '';
    const start = this.position;
    // [MQTT311 1.5.3-1, 1.5.3-2] [MQTT5 1.5.4-1, 1.5.4-2]
    if (!isMqttText(this.bytes, start, start + length)) {
      this.refuse(reasonCodes.malformedPacket, 'a string is not UTF-8 or has U+0000');
      return '';
    }
    this.position += length;
    // A leading U+FEFF stays: toString does not take it for a byte order mark [MQTT311 1.5.3-3] [MQTT5 1.5.4-3].
    return this.bytes.toString('utf8', start, this.position);
  }

  packetId(): number {
    const packetId = this.uint16();
    // [MQTT311 2.3.1-1] [MQTT5 2.2.1-3, 2.2.1-4]
    if (packetId === 0) this.refuse(reasonCodes.protocolError, 'packet identifier 0');
    return packetId;
  }

  /** Nothing may stand behind the last field. */
  finish(): void {
    if (this.position < this.limit) this.refuse(reasonCodes.malformedPacket, 'bytes behind the last field');
  }

  #has(length: number): boolean {
    if (this.limit - this.position >= length) return true;
    this.refuse(reasonCodes.malformedPacket, 'a field goes beyond the end of the packet');
    return false;
  }
}
