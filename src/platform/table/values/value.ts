/** The values of an item as the document API gives them, how they compare, and what they weigh. */

import { invalid, notSupported } from '../errors.ts';
import { tableLimits } from '../limits.ts';
import { decimalOf } from './decimal.ts';

export type Value = null | boolean | number | string | Uint8Array | ValueSet | Value[] | Item;
export type ValueSet = Set<string> | Set<number> | Set<Uint8Array>;

/** Keys come from outside: read with `ownValue`, write with `setOwn`, so that `__proto__` is a name like any other. */
export interface Item {
  [name: string]: Value;
}

export type TypeTag = 'S' | 'N' | 'B' | 'BOOL' | 'NULL' | 'L' | 'M' | 'SS' | 'NS' | 'BS';

/** A value with its type spelled out, as on DynamoDB's wire and in the `Item` of its errors. */
export type AttributeValue =
  | { S: string }
  | { N: string }
  | { B: Uint8Array }
  | { BOOL: boolean }
  | { NULL: true }
  | { L: AttributeValue[] }
  | { M: Record<string, AttributeValue> }
  | { SS: string[] }
  | { NS: string[] }
  | { BS: Uint8Array[] };

export function ownValue<Held>(map: Record<string, Held>, name: string): Held | undefined {
  return Object.hasOwn(map, name) ? map[name] : undefined;
}

export function setOwn<Held>(map: Record<string, Held>, name: string, value: Held): void {
  if (name === '__proto__') {
    Object.defineProperty(map, name, { value, enumerable: true, configurable: true, writable: true });
  } else {
    map[name] = value;
  }
}

export function isMap(value: Value | undefined): value is Item {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof Uint8Array) &&
    !(value instanceof Set)
  );
}

export function typeOf(value: Value): TypeTag {
  if (typeof value === 'string') return 'S';
  if (typeof value === 'number') return 'N';
  if (typeof value === 'boolean') return 'BOOL';
  if (value === null) return 'NULL';
  if (value instanceof Uint8Array) return 'B';
  if (Array.isArray(value)) return 'L';
  if (!(value instanceof Set)) return 'M';
  return setTypeOf(value);
}

function setTypeOf(set: ValueSet): 'SS' | 'NS' | 'BS' {
  const [first] = set;
  if (typeof first === 'string') return 'SS';
  return typeof first === 'number' ? 'NS' : 'BS';
}

export function isSet(value: Value | undefined): value is ValueSet {
  return value instanceof Set;
}

export function equals(left: Value, right: Value): boolean {
  if (left === right) return true;
  if (typeof left !== 'object' || typeof right !== 'object' || left === null || right === null) return false;
  const type = typeOf(left);
  if (type !== typeOf(right)) return false;
  if (left instanceof Uint8Array && right instanceof Uint8Array) return compareBytes(left, right) === 0;
  if (isSet(left) && isSet(right)) return left.size === right.size && [...left].every(each => setHas(right, each));
  if (Array.isArray(left) && Array.isArray(right)) {
    return left.length === right.length && left.every((element, index) => equals(element, right[index]));
  }
  if (!isMap(left) || !isMap(right)) return false;
  const names = Object.keys(left);
  return (
    names.length === Object.keys(right).length &&
    names.every(name => Object.hasOwn(right, name) && equals(left[name], right[name]))
  );
}

export function setHas(set: ValueSet, member: Value): boolean {
  if (!(member instanceof Uint8Array)) return (set as Set<Value>).has(member); // a cast: `has` of a union takes none
  for (const each of set) if (each instanceof Uint8Array && compareBytes(each, member) === 0) return true;
  return false;
}

/** Negative, zero or positive; undefined when the two have no order (other types, or different ones). */
export function compare(left: Value, right: Value): number | undefined {
  if (typeof left === 'number' && typeof right === 'number') return left - right;
  if (typeof left === 'string' && typeof right === 'string') return compareText(left, right);
  if (left instanceof Uint8Array && right instanceof Uint8Array) return compareBytes(left, right);
  return undefined;
}

export function compareBytes(left: Uint8Array, right: Uint8Array): number {
  return Buffer.compare(left, right);
}

/** By UTF-8 bytes, which is by code point; `<` compares UTF-16 units and puts U+FFFF behind U+10000. */
function compareText(left: string, right: string): number {
  if (left === right) return 0;
  const length = Math.min(left.length, right.length);
  for (let index = 0; index < length; index++) {
    const a = left.charCodeAt(index);
    const b = right.charCodeAt(index);
    if (a !== b) {
      const isSurrogate = (unit: number) => unit >= 0xd800 && unit <= 0xdfff;
      if (isSurrogate(a) !== isSurrogate(b)) return isSurrogate(a) ? 1 : -1;
      return a - b;
    }
  }
  return left.length - right.length;
}

/**
 * Checks that an attribute map from outside holds only what an item may hold.
 * @returns its size by DynamoDB's rule: names and values, without the 3 bytes a nested map costs.
 */
export function measureItem(item: unknown): number {
  if (!isPlainObject(item)) throw invalid('An item must be a plain object.');
  return measureEntries(item as Record<string, unknown>, 1); // a cast: checked on the line above
}

export function measureValue(value: unknown, level = 1): number {
  switch (typeof value) {
    case 'string':
      if (!value.isWellFormed()) throw invalid('A string must be well-formed Unicode.');
      return textBytes(value);
    case 'number':
      return measureNumber(value);
    case 'boolean':
      return 1;
    case 'object':
      return value === null ? 1 : measureObject(value, level);
    case 'undefined':
      throw invalid('A value is undefined. Leave the attribute out, or use null.');
    case 'bigint':
      throw notSupported('bigint values');
    default:
      throw invalid(`A ${typeof value} cannot be stored.`);
  }
}

function measureObject(value: object, level: number): number {
  if (value instanceof Uint8Array) return value.length;
  if (value instanceof Set) return measureSet(value);
  if (level > tableLimits.nestingLevelsMax) throw invalid('Nesting Levels have exceeded supported limits');
  if (Array.isArray(value)) {
    let bytes = 3;
    for (const element of value) bytes += 1 + measureValue(element, level + 1);
    return bytes;
  }
  if (!isPlainObject(value)) {
    throw notSupported(`objects with a class (${Object.prototype.toString.call(value)}) as values`);
  }
  // A cast: a plain object is a record of what is not known yet.
  return 3 + Object.keys(value).length + measureEntries(value as Record<string, unknown>, level + 1);
}

function measureEntries(entries: Record<string, unknown>, level: number): number {
  let bytes = 0;
  for (const name of Object.keys(entries)) {
    if (!name.isWellFormed()) throw invalid('An attribute name must be well-formed Unicode.');
    const nameBytes = textBytes(name);
    if (nameBytes === 0 || nameBytes > tableLimits.attributeNameBytesMax) {
      throw invalid(`An attribute name must have 1 to ${tableLimits.attributeNameBytesMax} bytes.`);
    }
    bytes += nameBytes + measureValue(entries[name], level);
  }
  return bytes;
}

function measureSet(set: Set<unknown>): number {
  if (set.size === 0) throw invalid('One or more parameter values were invalid: An set  may not be empty');
  let bytes = 0;
  let type: string | undefined;
  for (const member of set) {
    const memberType = member instanceof Uint8Array ? 'binary' : typeof member;
    if (memberType !== 'string' && memberType !== 'number' && memberType !== 'binary') {
      throw invalid('A set may hold strings, numbers or Uint8Arrays.');
    }
    type ??= memberType;
    if (type !== memberType) throw invalid('The members of a set must be of one type.');
    bytes += measureValue(member);
  }
  if (type === 'binary') refuseEqualMembers(set as Set<Uint8Array>); // a cast: every member was checked above
  return bytes;
}

function refuseEqualMembers(set: Set<Uint8Array>): void {
  const sorted = [...set].sort(compareBytes);
  if (sorted.some((member, index) => index > 0 && compareBytes(sorted[index - 1], member) === 0)) {
    throw invalid('One or more parameter values were invalid: Input collection contains duplicates.');
  }
}

function measureNumber(value: number): number {
  if (!Number.isFinite(value)) throw invalid(`Special numeric value ${value} is not allowed`);
  const magnitude = Math.abs(value);
  if (magnitude > Number.MAX_SAFE_INTEGER) throw notSupported(`numbers beyond ±${Number.MAX_SAFE_INTEGER}`);
  if (magnitude !== 0 && magnitude < tableLimits.numberMagnitudeMin) {
    throw invalid('Number underflow. Attempting to store a number with magnitude smaller than supported range');
  }
  return numberBytes(value);
}

/** 1 + half a byte for each digit of the integer and of the fraction, outer zeros trimmed, + 1 if negative. */
function numberBytes(value: number): number {
  if (value === 0) return 1;
  const sign = value < 0 ? 1 : 0;
  const { digits, exponent } = decimalOf(value);
  const integerDigits = Math.max(0, Math.min(digits.length, exponent));
  return 1 + Math.ceil(integerDigits / 2) + Math.ceil((digits.length - integerDigits) / 2) + sign;
}

export function textBytes(text: string): number {
  return Buffer.byteLength(text, 'utf8');
}

export function isPlainObject(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  // The last is a plain object of another realm.
  return prototype === null || prototype === Object.prototype || Object.getPrototypeOf(prototype) === null;
}

/** Spells out the types, as DynamoDB does in the `Item` of an error. */
export function toAttributeValues(item: Item): Record<string, AttributeValue> {
  const typed: Record<string, AttributeValue> = {};
  for (const name of Object.keys(item)) setOwn(typed, name, toAttributeValue(item[name]));
  return typed;
}

export function toAttributeValue(value: Value): AttributeValue {
  if (typeof value === 'string') return { S: value };
  if (typeof value === 'number') return { N: String(value) };
  if (typeof value === 'boolean') return { BOOL: value };
  if (value === null) return { NULL: true };
  if (value instanceof Uint8Array) return { B: value };
  if (Array.isArray(value)) return { L: value.map(toAttributeValue) };
  if (isMap(value)) return { M: toAttributeValues(value) };
  const members: (string | number | Uint8Array)[] = [...value];
  switch (setTypeOf(value)) {
    case 'SS':
      return { SS: members.map(String) };
    case 'NS':
      return { NS: members.map(String) };
    case 'BS':
      return { BS: members.filter(member => member instanceof Uint8Array) };
  }
}
