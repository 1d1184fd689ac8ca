/**
 * Where items and index entries lie in the store, so that byte order is DynamoDB's order.
 *
 *   item         E  table  0      hash  partition  sort key
 *   index entry  E  table  index  hash  partition  sort keys, each ended  hash, partition and sort key of the item
 *
 * Partitions lie in the order of their hash, so that a segment of a scan is one range of keys. Among each other they
 * need no order, so a long partition key is replaced by its SHA-256: every entry then fits, whatever its keys hold.
 * Entries of equal keys lie in the order of a hash over all of their item's key, as in DynamoDB. An entry's value is the
 * store key of its item.
 *
 * Format 1 lay under T, without the hash, with longer numbers and without checksums. See `upgrade.ts`.
 */
import { hash } from 'node:crypto';
import type { KeyAttribute } from '../port.ts';
import { digitsOf, isNumeric, type Numeric } from '../values/decimal.ts';
import { compareBytes, type Value } from '../values/value.ts';
import { partitionHash } from './partition-hash.ts';

/** The first byte of every key of the table engine, as a store may have other tenants. */
export const tenant = 0x45; // E
const partitionPlainBytesMax = 254;
const spaceBytes = 4;
const hashBytes = 4;

/** Everything of one table (index 0) or of one of its indexes. */
export function spacePrefix(tableId: number, indexId: number): Uint8Array {
  return Uint8Array.of(tenant, tableId >>> 8, tableId & 0xff, indexId);
}

/** Everything of one table, its indexes included. */
export function tablePrefix(tableId: number): Uint8Array {
  return spacePrefix(tableId, 0).subarray(0, -1);
}

/** Everything of one partition: its space, its hash, and [length] bytes or [255] their SHA-256. */
export function partitionKeyPrefix(tableId: number, indexId: number, partition: Uint8Array): Uint8Array {
  const held = partition.length > partitionPlainBytesMax ? hash('sha256', partition, 'buffer') : partition;
  const prefix = new Uint8Array(spaceBytes + hashBytes + 1 + held.length);
  const order = partitionHash(partition);
  prefix[0] = tenant;
  prefix[1] = tableId >>> 8;
  prefix[2] = tableId & 0xff;
  prefix[3] = indexId;
  prefix[4] = order >>> 24;
  prefix[5] = (order >>> 16) & 0xff;
  prefix[6] = (order >>> 8) & 0xff;
  prefix[7] = order & 0xff;
  prefix[8] = held === partition ? partition.length : 255;
  prefix.set(held, 9);
  return prefix;
}

/** Which table and which of its spaces a key belongs to; 0 is the items. */
export function placeOf(key: Uint8Array): { tableId: number; space: number } {
  return { tableId: (key[1] << 8) | key[2], space: key[3] };
}

/** The bytes of the partition and of the sort key; undefined: the partition key is stored as its digest. */
export function partsOfItemKey(itemKey: Uint8Array): { partition: Uint8Array | undefined; sort: Uint8Array } {
  const at = spaceBytes + hashBytes;
  const length = itemKey[at];
  if (length === 255) return { partition: undefined, sort: itemKey.subarray(at + 1 + 32) };
  return { partition: itemKey.subarray(at + 1, at + 1 + length), sort: itemKey.subarray(at + 1 + length) };
}

/** Where the first partition lies whose hash is at least `order`, from 0 to 2^32. */
export function hashPosition(tableId: number, indexId: number, order: number): Uint8Array {
  if (order >= 2 ** 32) return afterPrefix(spacePrefix(tableId, indexId));
  const position = Buffer.alloc(spaceBytes + hashBytes);
  position.set(spacePrefix(tableId, indexId));
  position.writeUInt32BE(order, spaceBytes);
  return new Uint8Array(position);
}

/** What an index entry ends with: a hash of its item's key, and that key without the space and the hash it has there. */
export function entryTail(itemKey: Uint8Array): Uint8Array {
  const place = itemKey.subarray(spaceBytes + hashBytes);
  const order = partitionHash(place.subarray(1)); // without its length the partition, then the sort key
  const tail = new Uint8Array(hashBytes + place.length);
  tail[0] = order >>> 24;
  tail[1] = (order >>> 16) & 0xff;
  tail[2] = (order >>> 8) & 0xff;
  tail[3] = order & 0xff;
  tail.set(place, hashBytes);
  return tail;
}

/** The bytes of several partition attributes as one: all but the last with their lengths, so that no two are alike. */
export function joinedBytes(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0];
  return concat(
    parts.flatMap((part, at) =>
      at < parts.length - 1 ? [Uint8Array.of(part.length >>> 8, part.length & 0xff), part] : [part],
    ),
  );
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

const hundred = 100;

/**
 * Exponent and digits of base 100, as Oracle's NUMBER has them and DynamoDB hashes them: what is negative is
 * inverted and ended by a byte above every digit, zero is the exponent's middle alone.
 */
function numberBytes(value: Numeric): Uint8Array {
  if (value === 0) return Uint8Array.of(0x80);
  if (typeof value === 'number' && Number.isSafeInteger(value)) return integerBytes(value);
  const { isNegative, digits, exponent } = digitsOf(value);
  const aligned = exponent % 2 === 0 ? digits : `0${digits}`;
  const pairs: number[] = [];
  for (let index = 0; index < aligned.length; index += 2) {
    pairs.push(Number(aligned.slice(index, index + 2).padEnd(2, '0')));
  }
  return signedBytes(isNegative, Math.ceil(exponent / 2), pairs);
}

/** The same for most numbers there are, several times as fast. */
function integerBytes(value: number): Uint8Array {
  const pairs: number[] = [];
  let exponent = 0;
  for (let rest = Math.abs(value); rest > 0; rest = Math.floor(rest / hundred)) {
    const pair = rest % hundred;
    exponent++;
    if (pair !== 0 || pairs.length > 0) pairs.push(pair);
  }
  return signedBytes(value < 0, exponent, pairs.reverse());
}

function signedBytes(isNegative: boolean, exponent: number, pairs: readonly number[]): Uint8Array {
  const first = (exponent - 64) & 0xff; // exponents lie within -64 and 63, so that this is ordered
  if (!isNegative) return Uint8Array.from([first, ...pairs.map(pair => pair + 1)]);
  const inverted = pairs.map(pair => 101 - pair);
  return Uint8Array.from(inverted.length < 20 ? [255 - first, ...inverted, 102] : [255 - first, ...inverted]);
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
