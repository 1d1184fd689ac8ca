/**
 * Where items and index entries lie in the store, so that byte order is DynamoDB's order.
 *
 *   item         T  table  0      partition  sort key
 *   index entry  T  table  index  partition  sort key, ended  partition and sort key of the item
 *
 * Partitions need no order among each other, so a long partition key is replaced by its SHA-256: every entry then
 * fits, whatever its keys hold. An index entry's value is the store key of its item.
 */
import { createHash } from 'node:crypto';
import type { KeyAttribute } from '../port.ts';
import { digitsOf, isNumeric, type Numeric } from '../values/decimal.ts';
import { compareBytes, type Value } from '../values/value.ts';

/** The first byte of every key of the table engine, as a store may have other tenants. */
const tenant = 0x54; // T
const partitionPlainBytesMax = 254;

/** Everything of one table (index 0) or of one of its indexes. */
export function spacePrefix(tableId: number, indexId: number): Uint8Array {
  return Uint8Array.of(tenant, tableId >>> 8, tableId & 0xff, indexId);
}

/** [length] bytes, or [255] their SHA-256. */
export function partitionBytes(type: KeyAttribute['type'], value: Value): Uint8Array {
  const bytes = orderedBytes(type, value);
  if (bytes.length > partitionPlainBytesMax) {
    return concat([Uint8Array.of(255), createHash('sha256').update(bytes).digest()]);
  }
  return concat([Uint8Array.of(bytes.length), bytes]);
}

/** Bytes in the order of the values, for a value that was checked to be of `type`. */
export function orderedBytes(type: KeyAttribute['type'], value: Value): Uint8Array {
  if (type === 'S') return Buffer.from(String(value), 'utf8');
  if (type === 'N') return numberBytes(isNumeric(value) ? value : 0);
  return value instanceof Uint8Array ? value : new Uint8Array();
}

/** Ended, so that what follows cannot change the order: 0 becomes 0 255, and 0 0 is the end. */
export function endedBytes(bytes: Uint8Array): Uint8Array {
  const ended: number[] = [];
  for (const byte of bytes) {
    ended.push(byte);
    if (byte === 0) ended.push(255);
  }
  ended.push(0, 0);
  return Uint8Array.from(ended);
}

/** As `endedBytes`, without the end: for the bounds of a range. */
export function escapedBytes(bytes: Uint8Array): Uint8Array {
  return endedBytes(bytes).subarray(0, -2);
}

/** Sign, then exponent, then digits two by two; all but the sign inverted for negative numbers. */
function numberBytes(value: Numeric): Uint8Array {
  const { isNegative, digits, exponent } = digitsOf(value);
  if (digits === '') return Uint8Array.of(0x80);
  const shifted = exponent + 0x4000; // decimal exponents lie within ±130
  const bytes = [shifted >>> 8, shifted & 0xff];
  for (let index = 0; index < digits.length; index += 2) {
    bytes.push(Number(digits.slice(index, index + 2).padEnd(2, '0')) + 1); // never 0, which is the end
  }
  bytes.push(0);
  return Uint8Array.from([isNegative ? 0x7f : 0x81, ...(isNegative ? bytes.map(byte => 255 - byte) : bytes)]);
}

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const all = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** The first key behind all that begin with `prefix`. */
export function afterPrefix(prefix: Uint8Array): Uint8Array {
  const end = new Uint8Array(prefix);
  for (let index = end.length - 1; index >= 0; index--) {
    if (end[index] === 255) continue;
    end[index]++;
    return end.subarray(0, index + 1);
  }
  return Uint8Array.of(255, 255, 255, 255, 255); // behind every key of the tenant
}

/** The first key behind `key`. */
export function afterKey(key: Uint8Array): Uint8Array {
  return concat([key, Uint8Array.of(0)]);
}

export function laterKey(left: Uint8Array, right: Uint8Array): Uint8Array {
  return compareBytes(left, right) >= 0 ? left : right;
}

export function earlierKey(left: Uint8Array, right: Uint8Array): Uint8Array {
  return compareBytes(left, right) <= 0 ? left : right;
}
