/**
 * CBOR [RFC 8949], as the SDK for Java speaks it with Kinesis (`application/x-amz-cbor-1.1`): a second spelling of JSON
 * with bytes and times. A time is tag 1 with milliseconds, where the RFC has seconds (aws-sdk-java-v2, issue 4661).
 */
import { isUtf8 } from 'node:buffer';

const major = { unsigned: 0, negative: 1, bytes: 2, text: 3, list: 4, map: 5, tag: 6, simple: 7 } as const;
const indefinite = 31;
const timeTag = 1;

/** The bytes are no CBOR, or more of it than is allowed. */
export class CborError extends Error {}

export interface CborLimits {
  readonly depthMax: number;
  readonly valuesMax: number;
}

/**
 * Maps become objects without a prototype, bytes views into `bytes`, times numbers of seconds. Throws `CborError`, also
 * when there is anything behind the value.
 */
export function decodeCbor(bytes: Buffer, limits: CborLimits): unknown {
  const decoder = new Decoder(bytes, limits);
  const value = decoder.value(0);
  if (!decoder.isAtEnd) throw new CborError('something follows');
  return value;
}

const end = Symbol('the end of a list or map without a length');

class Decoder {
  readonly #bytes: Buffer;
  readonly #limits: CborLimits;
  #at = 0;
  #values = 0;

  constructor(bytes: Buffer, limits: CborLimits) {
    this.#bytes = bytes;
    this.#limits = limits;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  value(depth: number): unknown {
    const value = this.#valueOrEnd(depth);
    if (value === end) throw new CborError('nothing ends here');
    return value;
  }

  #valueOrEnd(depth: number): unknown {
    if (++this.#values > this.#limits.valuesMax) throw new CborError('too many values');
    if (depth > this.#limits.depthMax) throw new CborError('nested too deep');
    const initial = this.#take(1)[0];
    const info = initial & 31;
    switch (initial >> 5) {
      case major.unsigned:
        return this.#argument(info);
      case major.negative:
        return -1 - this.#argument(info);
      case major.bytes:
        return info === indefinite ? Buffer.concat(this.#chunks(major.bytes)) : this.#take(this.#argument(info));
      case major.text:
        return info === indefinite
          ? this.#chunks(major.text).map(textOf).join('')
          : textOf(this.#take(this.#argument(info)));
      case major.list:
        return this.#list(info, depth);
      case major.map:
        return this.#map(info, depth);
      case major.tag:
        return this.#tagged(this.#argument(info), depth);
      default:
        return this.#simple(info);
    }
  }

  #list(info: number, depth: number): unknown[] {
    const items: unknown[] = [];
    const count = info === indefinite ? Number.POSITIVE_INFINITY : this.#argument(info);
    while (items.length < count) {
      const item = this.#valueOrEnd(depth + 1);
      if (item === end && count === Number.POSITIVE_INFINITY) break;
      if (item === end) throw new CborError('a list ends early');
      items.push(item);
    }
    return items;
  }

  #map(info: number, depth: number): Record<string, unknown> {
    const map: Record<string, unknown> = Object.create(null); // A key may be called __proto__.
    const count = info === indefinite ? Number.POSITIVE_INFINITY : this.#argument(info);
    for (let read = 0; read < count; read++) {
      const key = this.#valueOrEnd(depth + 1);
      if (key === end && count === Number.POSITIVE_INFINITY) break;
      if (typeof key !== 'string') throw new CborError('a key is no text');
      map[key] = this.value(depth + 1);
    }
    return map;
  }

  #tagged(tag: number, depth: number): unknown {
    const value = this.value(depth + 1);
    if (tag !== timeTag) return value;
    if (typeof value !== 'number') throw new CborError('a time is no number');
    return value / 1_000;
  }

  #simple(info: number): unknown {
    switch (info) {
      case 20:
        return false;
      case 21:
        return true;
      case 22:
      case 23:
        return null;
      case 25:
        return halfOf(this.#take(2).readUInt16BE());
      case 26:
        return this.#take(4).readFloatBE();
      case 27:
        return this.#take(8).readDoubleBE();
      case indefinite:
        return end;
      default:
        throw new CborError('a value of no known kind');
    }
  }

  /** Of bytes or text without a length: pieces with one, up to an end. */
  #chunks(kind: number): Buffer[] {
    const chunks: Buffer[] = [];
    for (;;) {
      if (++this.#values > this.#limits.valuesMax) throw new CborError('too many values');
      const initial = this.#take(1)[0];
      if (initial === 0xff) return chunks;
      if (initial >> 5 !== kind || (initial & 31) === indefinite) throw new CborError('a piece of another kind');
      chunks.push(this.#take(this.#argument(initial & 31)));
    }
  }

  /** The number that an initial byte tells, or that follows it. Beyond 2^53 it is not exact, as in JSON. */
  #argument(info: number): number {
    if (info < 24) return info;
    if (info === 24) return this.#take(1)[0];
    if (info === 25) return this.#take(2).readUInt16BE();
    if (info === 26) return this.#take(4).readUInt32BE();
    if (info === 27) return Number(this.#take(8).readBigUInt64BE());
    throw new CborError('a length that is none');
  }

  #take(count: number): Buffer {
    const start = this.#at;
    if (count > this.#bytes.length - start) throw new CborError('it ends too early');
    this.#at += count;
    return this.#bytes.subarray(start, this.#at);
  }
}

function textOf(bytes: Buffer): string {
  if (!isUtf8(bytes)) throw new CborError('text is no UTF-8');
  return bytes.toString('utf8');
}

/** IEEE 754 binary16. */
function halfOf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1 + fraction / 1_024) * 2 ** (exponent - 15);
}

/** Dates become times of milliseconds; what is undefined is left out of objects. */
export function encodeCbor(value: unknown): Buffer {
  const parts: Buffer[] = [];
  encodeInto(parts, value);
  return Buffer.concat(parts);
}

function encodeInto(parts: Buffer[], value: unknown): void {
  if (value === null || value === undefined) parts.push(Buffer.of(0xf6));
  else if (typeof value === 'boolean') parts.push(Buffer.of(value ? 0xf5 : 0xf4));
  else if (typeof value === 'number') parts.push(numberBytes(value));
  else if (typeof value === 'string') {
    const text = Buffer.from(value);
    parts.push(headOf(major.text, text.length), text);
  } else if (value instanceof Uint8Array)
    parts.push(headOf(major.bytes, value.length), Buffer.from(value.buffer, value.byteOffset, value.length));
  else if (value instanceof Date) parts.push(headOf(major.tag, timeTag), numberBytes(value.getTime()));
  else if (Array.isArray(value)) {
    parts.push(headOf(major.list, value.length));
    for (const item of value) encodeInto(parts, item);
  } else {
    const members = Object.entries(value).filter(([, member]) => member !== undefined);
    parts.push(headOf(major.map, members.length));
    for (const [name, member] of members) {
      encodeInto(parts, name);
      encodeInto(parts, member);
    }
  }
}

function numberBytes(value: number): Buffer {
  if (Number.isSafeInteger(value))
    return value < 0 ? headOf(major.negative, -1 - value) : headOf(major.unsigned, value);
  const bytes = Buffer.alloc(9);
  bytes[0] = 0xfb;
  bytes.writeDoubleBE(value, 1);
  return bytes;
}

function headOf(kind: number, argument: number): Buffer {
  const initial = kind << 5;
  if (argument < 24) return Buffer.of(initial | argument);
  if (argument < 2 ** 8) return Buffer.of(initial | 24, argument);
  const wide = argument < 2 ** 16 ? 2 : argument < 2 ** 32 ? 4 : 8;
  const bytes = Buffer.alloc(1 + wide);
  bytes[0] = initial | (wide === 2 ? 25 : wide === 4 ? 26 : 27);
  if (wide === 8) bytes.writeBigUInt64BE(BigInt(argument), 1);
  else bytes.writeUIntBE(argument, 1, wide);
  return bytes;
}
