/** The values of an item inside the engine, their types, and how they compare. */
import { compareNumbers, Decimal, isNumeric, type Numeric } from './decimal.ts';

export type Value = null | boolean | Numeric | string | Uint8Array | ValueSet | Value[] | Item;
export type ValueSet = Set<string> | Set<Numeric> | Set<Uint8Array>;

/** Keys come from outside: read with `ownValue`, write with `setOwn`, so that `__proto__` is a name like any other. */
export interface Item {
  [name: string]: Value;
}

export type TypeTag = 'S' | 'N' | 'B' | 'BOOL' | 'NULL' | 'L' | 'M' | 'SS' | 'NS' | 'BS';

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
    !(value instanceof Set) &&
    !(value instanceof Decimal)
  );
}

export function typeOf(value: Value): TypeTag {
  if (typeof value === 'string') return 'S';
  if (typeof value === 'number') return 'N';
  if (typeof value === 'boolean') return 'BOOL';
  if (value === null) return 'NULL';
  if (value instanceof Uint8Array) return 'B';
  if (Array.isArray(value)) return 'L';
  if (value instanceof Set) return setTypeOf(value);
  return value instanceof Decimal ? 'N' : 'M';
}

export function setTypeOf(set: ValueSet): 'SS' | 'NS' | 'BS' {
  const [first] = set;
  if (typeof first === 'string') return 'SS';
  return isNumeric(first) ? 'NS' : 'BS';
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
  if (left instanceof Decimal && right instanceof Decimal) return left.text === right.text;
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
  if (!(member instanceof Uint8Array || member instanceof Decimal)) {
    return (set as Set<Value>).has(member); // a cast: `has` of a union takes none
  }
  for (const each of set) if (equals(each, member)) return true;
  return false;
}

/** Negative, zero or positive; undefined when the two have no order (other types, or different ones). */
export function compare(left: Value, right: Value): number | undefined {
  if (isNumeric(left) && isNumeric(right)) return compareNumbers(left, right);
  if (typeof left === 'string' && typeof right === 'string') return compareText(left, right);
  if (left instanceof Uint8Array && right instanceof Uint8Array) return compareBytes(left, right);
  return undefined;
}

export type Member = string | Numeric | Uint8Array;

/** The order in which DynamoDB answers the members of a set: texts and binaries by their bytes, numbers by value. */
export function membersInOrder(members: Iterable<Member>): readonly Member[] {
  const list = [...members];
  const isBehind = (left: Member, right: Member) => (compare(left, right) ?? 0) > 0; // of one type, so they have an order
  for (let index = 1; index < list.length; index++) {
    if (isBehind(list[index - 1], list[index])) return list.sort((left, right) => compare(left, right) ?? 0);
  }
  return list;
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

export function textBytes(text: string): number {
  return Buffer.byteLength(text, 'utf8');
}

export function isPlainObject(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  // The last is a plain object of another realm.
  return prototype === null || prototype === Object.prototype || Object.getPrototypeOf(prototype) === null;
}
