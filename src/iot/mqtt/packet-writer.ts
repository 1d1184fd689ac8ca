import assert from 'node:assert/strict';
import { isMqttString } from './utf8.ts';

/** The longest value a variable byte integer can have [MQTT5 1.5.5]. */
export const variableByteIntegerMax = 268_435_455;

/** How many bytes `value` takes as a variable byte integer. */
export function variableByteIntegerBytes(value: number): number {
  assert(value >= 0 && value <= variableByteIntegerMax);
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x200000 ? 3 : 4;
}

/** @returns the offset behind it */
export function writeVariableByteInteger(bytes: Buffer, offset: number, value: number): number {
  let at = offset;
  let rest = value;
  for (; rest > 0x7f; rest >>>= 7) bytes[at++] = (rest & 0x7f) | 0x80;
  bytes[at++] = rest;
  return at;
}

const initialBytes = 128;

/** Collects the fields of a packet in order. What it is given is ours, so what does not fit is an assertion. */
export class PacketWriter {
  #bytes = Buffer.allocUnsafe(initialBytes);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** What was written so far: a view, valid until the next write. */
  written(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  uint8(value: number): void {
    assert(Number.isInteger(value) && value >= 0 && value <= 0xff);
    const at = this.#grow(1);
    this.#bytes[at] = value;
  }

  uint16(value: number): void {
    const at = this.#grow(2);
    this.#bytes.writeUInt16BE(value, at); // throws when out of range
  }

  uint32(value: number): void {
    const at = this.#grow(4);
    this.#bytes.writeUInt32BE(value, at); // throws when out of range
  }

  variableByteInteger(value: number): void {
    assert(Number.isInteger(value));
    const at = this.#grow(variableByteIntegerBytes(value));
    writeVariableByteInteger(this.#bytes, at, value);
  }

  binary(value: Uint8Array): void {
    this.uint16(value.length);
    this.raw(value);
  }

  text(value: string): void {
    assert(isMqttString(value), 'a string has a lone surrogate or U+0000');
    const length = Buffer.byteLength(value);
    this.uint16(length);
    const at = this.#grow(length);
    this.#bytes.write(value, at, length, 'utf8');
  }

  packetId(value: number): void {
    assert(value !== 0); // [MQTT311 2.3.1-1] [MQTT5 2.2.1-3, 2.2.1-4]
    this.uint16(value);
  }

  raw(value: Uint8Array): void {
    const at = this.#grow(value.length);
    this.#bytes.set(value, at);
  }

  /** @returns where the new room begins */
  #grow(length: number): number {
    const at = this.#length;
    this.#length += length;
    if (this.#length > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.#length, this.#bytes.length * 2));
      this.#bytes.copy(larger, 0, 0, at);
      this.#bytes = larger;
    }
    return at;
  }
}
