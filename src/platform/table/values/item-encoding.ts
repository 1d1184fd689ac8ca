/**
 * Items as bytes: a format version, the size DynamoDB would count, then values as a tag and their content. Our own format because it must keep sets,
 * numbers and every attribute name exactly (msgpackr renames `__proto__`).
 */
import assert from 'node:assert/strict';
import { formatTooNew } from '../errors.ts';
import { Decimal, parseNumber } from './decimal.ts';
import { type Item, isMap, membersInOrder, setOwn, type Value, type ValueSet } from './value.ts';

/** 2 has decimals; what 1 wrote reads the same. */
const formatVersion = 2;
const oldestReadVersion = 1;

/** Stored in data: never renumber. 3 and 4 are integers and their negatives; 5 is a double. */
const tags = {
  null: 0,
  false: 1,
  true: 2,
  integer: 3,
  negativeInteger: 4,
  double: 5,
  string: 6,
  binary: 7,
  list: 8,
  map: 9,
  set: 10,
  decimal: 11,
} as const;

let scratch = Buffer.allocUnsafeSlow(64 * 1024);
let end = 0;

/** @param bytes  size of the item by DynamoDB's rule; measuring it has also shown that all of it can be stored. */
export function encodeItem(item: Item, bytes: number): Uint8Array {
  end = 0;
  writeByte(formatVersion);
  writeInteger(bytes);
  writeEntries(item);
  return new Uint8Array(scratch.subarray(0, end));
}

function reserve(bytes: number): void {
  if (end + bytes <= scratch.length) return;
  const larger = Buffer.allocUnsafeSlow(Math.max(scratch.length * 2, end + bytes));
  scratch.copy(larger, 0, 0, end);
  scratch = larger;
}

function writeByte(byte: number): void {
  reserve(1);
  scratch[end++] = byte;
}

/** 7 bits in a byte, the lowest first, up to 2^53. */
function writeInteger(value: number): void {
  reserve(8);
  let rest = value;
  while (rest >= 128) {
    scratch[end++] = (rest % 128) + 128;
    rest = Math.floor(rest / 128);
  }
  scratch[end++] = rest;
}

function writeText(text: string): void {
  const { length } = text;
  reserve(length * 3 + 8);
  if (length < 48 && writeShortAscii(text)) return;

  const bytes = Buffer.byteLength(text, 'utf8');
  writeInteger(bytes);
  end += scratch.write(text, end, 'utf8');
}

/** Most names and many values: cheaper here than through a call into the runtime. */
function writeShortAscii(text: string): boolean {
  const { length } = text;
  for (let index = 0; index < length; index++) {
    const unit = text.charCodeAt(index);
    if (unit > 127) return false;
    scratch[end + 1 + index] = unit;
  }
  scratch[end] = length;
  end += length + 1;
  return true;
}

function writeBytes(bytes: Uint8Array): void {
  writeInteger(bytes.length);
  reserve(bytes.length);
  scratch.set(bytes, end);
  end += bytes.length;
}

function writeEntries(map: Item): void {
  const names = Object.keys(map);
  writeInteger(names.length);
  for (const name of names) {
    writeText(name);
    writeValue(map[name]);
  }
}

function writeValue(value: Value): void {
  if (typeof value === 'string') {
    writeByte(tags.string);
    writeText(value);
  } else if (typeof value === 'number') {
    writeNumber(value);
  } else if (typeof value === 'boolean') {
    writeByte(value ? tags.true : tags.false);
  } else if (value === null) {
    writeByte(tags.null);
  } else if (value instanceof Uint8Array) {
    writeByte(tags.binary);
    writeBytes(value);
  } else if (Array.isArray(value)) {
    writeByte(tags.list);
    writeInteger(value.length);
    for (const element of value) writeValue(element);
  } else if (value instanceof Decimal) {
    writeByte(tags.decimal);
    writeText(value.text);
  } else if (isMap(value)) {
    writeByte(tags.map);
    writeEntries(value);
  } else {
    writeByte(tags.set);
    writeInteger(value.size);
    for (const member of membersInOrder(value)) writeValue(member);
  }
}

function writeNumber(value: number): void {
  if (Number.isSafeInteger(value)) {
    writeByte(value < 0 ? tags.negativeInteger : tags.integer); // -0 becomes 0, as in DynamoDB
    writeInteger(Math.abs(value));
    return;
  }
  writeByte(tags.double);
  reserve(8);
  end = scratch.writeDoubleLE(value, end);
}

/** Text of any `Uint8Array`, without making a `Buffer` of it, which costs more than most texts. */
const { utf8Slice } = Buffer.prototype as unknown as {
  utf8Slice(this: Uint8Array, start: number, end: number): string;
}; // a cast: Node's types lack it

let source: Uint8Array = scratch;
let at = 0;

export function decodeItem(encoded: Uint8Array): Item {
  startReading(encoded);
  readInteger(); // the size
  const item = readEntries();
  assert(at === source.length); // nothing left over
  return item;
}

/** The size by DynamoDB's rule, without reading the item. */
export function encodedItemBytes(encoded: Uint8Array): number {
  startReading(encoded);
  return readInteger();
}

function startReading(encoded: Uint8Array): void {
  source = encoded;
  at = 0;
  const version = source[at++];
  if (version > formatVersion) throw formatTooNew(version, formatVersion);
  assert(version >= oldestReadVersion);
}

function readInteger(): number {
  let byte = source[at++];
  if (byte < 128) return byte;
  let value = byte - 128;
  for (let scale = 128; ; scale *= 128) {
    byte = source[at++];
    if (byte < 128) return value + byte * scale;
    value += (byte - 128) * scale;
  }
}

function readText(): string {
  const length = readInteger();
  const start = at;
  at += length;
  return utf8Slice.call(source, start, at);
}

function readBytes(): Uint8Array {
  const length = readInteger();
  at += length;
  return new Uint8Array(source.subarray(at - length, at));
}

function readEntries(): Item {
  const map: Item = {};
  for (let left = readInteger(); left > 0; left--) {
    const name = readName();
    setOwn(map, name, readValue());
  }
  return map;
}

function readValue(): Value {
  const tag = source[at++];
  switch (tag) {
    case tags.string:
      return readText();
    case tags.integer:
      return readInteger();
    case tags.negativeInteger:
      return -readInteger();
    case tags.double:
      at += 8;
      return new DataView(source.buffer, source.byteOffset).getFloat64(at - 8, true);
    case tags.decimal:
      return parseNumber(readText());
    case tags.false:
      return false;
    case tags.true:
      return true;
    case tags.null:
      return null;
    case tags.binary:
      return readBytes();
    case tags.list:
      return Array.from({ length: readInteger() }, readValue);
    case tags.map:
      return readEntries();
    case tags.set:
      // A cast: the members were of one type when they were written.
      return new Set(Array.from({ length: readInteger() }, readValue)) as ValueSet;
    default:
      assert.fail(`Unknown tag ${tag} in a stored item.`);
  }
}

/** Attribute names repeat from item to item, so the text of the last one with the same hash is kept. */
const nameSlots = 1_024;
const knownNames: { readonly bytes: Uint8Array; readonly text: string }[] = [];

function readName(): string {
  const length = readInteger();
  const start = at;
  at += length;
  if (length > 32) return utf8Slice.call(source, start, at);
  let hash = length;
  for (let index = start; index < at; index++) hash = (Math.imul(hash, 31) + source[index]) | 0;
  const slot = hash & (nameSlots - 1);
  const known = knownNames[slot];
  if (known !== undefined && known.bytes.length === length && isAt(start, known.bytes)) return known.text;
  const text = utf8Slice.call(source, start, at);
  knownNames[slot] = { bytes: new Uint8Array(source.subarray(start, at)), text };
  return text;
}

function isAt(start: number, bytes: Uint8Array): boolean {
  for (let index = 0; index < bytes.length; index++) if (source[start + index] !== bytes[index]) return false;
  return true;
}
