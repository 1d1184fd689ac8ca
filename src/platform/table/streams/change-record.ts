/**
 * One change as bytes: a format version, when it was made, what kind it is, then the key and the images the stream
 * keeps, each behind its length. The key comes first, so that whoever wants few changes reads only that of the others.
 */

import assert from 'node:assert/strict';
import { bufferOf } from '../../../kernel/bytes.ts';
import { type Cause, decodeCause, encodeCause } from '../../../kernel/causes.ts';
import { formatTooNew } from '../errors.ts';
import { decodeItem, encodedItemBytes, encodeItem } from '../values/item-encoding.ts';
import { measureItem } from '../values/measure.ts';
import type { Item } from '../values/value.ts';

export type ChangeName = 'INSERT' | 'MODIFY' | 'REMOVE';

/** Who made a change that no caller made. */
export interface UserIdentity {
  readonly type: string;
  readonly principalId: string;
}

/** What TTL signs its deletions with. */
export const ttlIdentity: UserIdentity = { type: 'Service', principalId: 'dynamodb.amazonaws.com' };

export interface ChangeRecord {
  readonly name: ChangeName;
  /** When it was made, Unix epoch milliseconds. */
  readonly atMs: number;
  readonly keys: Item;
  readonly newImage?: Item;
  readonly oldImage?: Item;
  readonly userIdentity?: UserIdentity;
  /** What led to it, if a function made it. */
  readonly cause?: Cause;
  /** By DynamoDB's rule: key and images. */
  readonly sizeBytes: number;
}

/** Items as `encodeItem` gives them, with their size. */
export interface EncodedChange {
  readonly name: ChangeName;
  readonly atMs: number;
  readonly keys: Uint8Array;
  readonly newImage: Uint8Array | undefined;
  readonly oldImage: Uint8Array | undefined;
  readonly userIdentity: UserIdentity | undefined;
  readonly cause: Cause | undefined;
}

const formatVersion = 1;
const headBytes = 10;
const lengthBytes = 4;
const names: readonly ChangeName[] = ['INSERT', 'MODIFY', 'REMOVE']; // stored by place: never reorder

export function encodeSized(item: Item): Uint8Array {
  return encodeItem(item, measureItem(item));
}

export function encodeChange(change: EncodedChange): Uint8Array {
  const { keys, newImage, oldImage, userIdentity, cause } = change;
  const identity = userIdentity && Buffer.from(JSON.stringify([userIdentity.type, userIdentity.principalId]), 'utf8');
  const parts = [keys, newImage, oldImage, identity];
  if (cause !== undefined) parts.push(encodeCause(cause)); // Releases before causes pass it by.
  const bytes = parts.reduce((sum, part) => sum + lengthBytes + (part?.length ?? 0), headBytes);
  const encoded = Buffer.allocUnsafeSlow(bytes);
  encoded[0] = formatVersion;
  encoded.writeDoubleBE(change.atMs, 1);
  encoded[9] = names.indexOf(change.name);
  let at = headBytes;
  for (const part of parts) {
    at = encoded.writeUInt32BE(part?.length ?? 0, at);
    if (part !== undefined) encoded.set(part, at);
    at += part?.length ?? 0;
  }
  return encoded;
}

export function decodeChange(encoded: Uint8Array): ChangeRecord {
  const [keys, newImage, oldImage, identity, encodedCause] = partsOf(encoded);
  const cause = encodedCause && decodeCause(encodedCause);
  assert(keys !== undefined); // every change is of an item
  return {
    name: names[encoded[9]],
    atMs: changedAtMs(encoded),
    keys: decodeItem(keys),
    ...(newImage && { newImage: decodeItem(newImage) }),
    ...(oldImage && { oldImage: decodeItem(oldImage) }),
    ...(identity && { userIdentity: identityFrom(identity) }),
    ...(cause && { cause }),
    sizeBytes: sizeOf(keys) + sizeOf(newImage) + sizeOf(oldImage),
  };
}

/** When a change was made, without decoding the rest. */
export function changedAtMs(encoded: Uint8Array): number {
  return bufferOf(encoded).readDoubleBE(1);
}

/** The key of the item that changed, without decoding its images. */
export function changedKey(encoded: Uint8Array): Item {
  const length = bufferOf(encoded).readUInt32BE(headBytes);
  return decodeItem(encoded.subarray(headBytes + lengthBytes, headBytes + lengthBytes + length));
}

function partsOf(encoded: Uint8Array): (Uint8Array | undefined)[] {
  const source = bufferOf(encoded);
  if (source[0] > formatVersion) throw formatTooNew(source[0], formatVersion);
  assert(source[0] === formatVersion);
  const parts: (Uint8Array | undefined)[] = [];
  let at = headBytes;
  while (at < source.length) {
    const start = at + lengthBytes;
    at = start + source.readUInt32BE(at);
    parts.push(at > start ? encoded.subarray(start, at) : undefined);
  }
  assert(at === source.length); // nothing left over
  return parts;
}

function sizeOf(encodedItem: Uint8Array | undefined): number {
  return encodedItem === undefined ? 0 : encodedItemBytes(encodedItem);
}

function identityFrom(bytes: Uint8Array): UserIdentity {
  const [type, principalId] = JSON.parse(bufferOf(bytes).toString('utf8')); // only this file writes it
  return { type, principalId };
}
