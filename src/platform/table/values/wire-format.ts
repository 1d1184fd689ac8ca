/** Values with their types spelled out, as JSON carries them: `{"S": "text"}`, `{"N": "1.5"}`, `{"B": "AAEC"}`. */
import { bufferOf } from '../../../kernel/bytes.ts';
import { invalid } from '../errors.ts';
import { Decimal, type Numeric, numberBytes, numberText, parseNumber } from './decimal.ts';
import type { ValueFormat } from './format.ts';
import { checkedNameBytes, refuseDepth } from './measure.ts';
import {
  compareBytes,
  type Item,
  isPlainObject,
  type Member,
  membersInOrder,
  setOwn,
  setTypeOf,
  textBytes,
  type Value,
  type ValueSet,
} from './value.ts';

export const wireFormat: ValueFormat = {
  readItem(outside) {
    if (!isPlainObject(outside)) throw invalid('Start of structure or map found where not expected.');
    bytes = 0;
    const item = readEntries(outside as Record<string, unknown>, 1); // a cast: a plain object
    return { item, bytes };
  },
  writeItem: item => writeEntries(item),
};

/** Size of what is being read: added up on the way, as every value is visited anyway. */
let bytes = 0;

function readEntries(entries: Record<string, unknown>, level: number): Item {
  const item: Item = {};
  for (const name of Object.keys(entries)) {
    bytes += checkedNameBytes(name);
    setOwn(item, name, readValue(entries[name], level));
  }
  return item;
}

type Reader = (content: unknown, level: number) => Value;

/** By type tag. A content of null counts as absent, as in any JSON of the protocol. */
const readers: Readonly<Record<string, Reader>> = {
  __proto__: null as never, // tags come from outside: no inherited names
  S: readText,
  N: readNumber,
  B: readBinary,
  BOOL: readBoolean,
  NULL: readNull,
  M: readMap,
  L: readList,
  SS: content => readSet('SS', content),
  NS: content => readSet('NS', content),
  BS: content => readSet('BS', content),
};

function readValue(outside: unknown, level: number): Value {
  if (!isPlainObject(outside)) throw emptyValue();
  let value: Value | undefined;
  let count = 0;
  const typed = outside as Record<string, unknown>; // a cast: a plain object
  for (const tag of Object.keys(typed)) {
    const content = typed[tag];
    const reader = readers[tag];
    if (reader === undefined || content === undefined || content === null) continue;
    value = reader(content, level);
    count++;
  }
  if (count === 0 || value === undefined) throw emptyValue();
  if (count === 1) return value;
  throw invalid(
    'Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes',
  );
}

function emptyValue() {
  return invalid('Supplied AttributeValue is empty, must contain exactly one of the supported datatypes');
}

function readText(content: unknown): string {
  if (typeof content !== 'string' || !content.isWellFormed()) throw invalid('A string must be well-formed Unicode.');
  bytes += textBytes(content);
  return content;
}

function readNumber(content: unknown): Numeric {
  const value = parseNumber(String(content));
  bytes += numberBytes(value);
  return value;
}

function readBinary(content: unknown): Uint8Array {
  const binary = content instanceof Uint8Array ? content : new Uint8Array(Buffer.from(String(content), 'base64'));
  bytes += binary.length;
  return binary;
}

function readBoolean(content: unknown): boolean {
  bytes += 1;
  return content === true || content === 'true';
}

function readNull(content: unknown): null {
  if (content !== true) {
    throw invalid('One or more parameter values were invalid: Null attribute value types must have the value of true');
  }
  bytes += 1;
  return null;
}

function readMap(content: unknown, level: number): Item {
  const entries = content as Record<string, unknown>; // a cast: types were checked with the request
  const { length } = Object.keys(entries);
  if (length > 0) refuseDepth(level + 1);
  bytes += 3 + length;
  return readEntries(entries, level + 1);
}

function readList(content: unknown, level: number): Value[] {
  const elements = content as unknown[]; // a cast: types were checked with the request
  if (elements.length > 0) refuseDepth(level + 1);
  bytes += 3 + elements.length;
  return elements.map(element => readValue(element, level + 1));
}

const setWords = {
  SS: { empty: 'An string set  may not be empty' },
  NS: { empty: 'An number set  may not be empty' },
  BS: { empty: 'Binary sets should not be empty' },
} as const;

function readSet(tag: keyof typeof setWords, content: unknown): Value {
  const members = content as unknown[]; // a cast: types were checked with the request
  if (members.length === 0) throw invalid(`One or more parameter values were invalid: ${setWords[tag].empty}`);
  if (tag === 'SS') {
    const texts = new Set(members.map(readText));
    if (texts.size < members.length) throw duplicates(`Input collection [${members.join(', ')}] contains duplicates.`);
    return setInOrder(texts);
  }
  if (tag === 'NS') {
    const numbers = members.map(readNumber);
    if (new Set(numbers.map(numberText)).size < members.length) throw invalid('Input collection contains duplicates');
    return setInOrder(numbers);
  }
  const binaries = members.map(readBinary);
  const sorted = binaries.toSorted(compareBytes);
  if (sorted.some((member, index) => index > 0 && compareBytes(sorted[index - 1], member) === 0)) {
    throw duplicates(`Input collection [${binaries.map(base64).join(', ')}]of type BS contains duplicates.`);
  }
  return setInOrder(sorted);
}

function setInOrder(members: Iterable<Member>): ValueSet {
  return new Set(membersInOrder(members)) as ValueSet; // a cast: they are of one type
}

function duplicates(message: string) {
  return invalid(`One or more parameter values were invalid: ${message}`);
}

function base64(binary: Uint8Array): string {
  return bufferOf(binary).toString('base64');
}

function writeEntries(item: Item): Record<string, unknown> {
  const entries: Record<string, unknown> = {};
  for (const name of Object.keys(item)) setOwn(entries, name, writeValue(item[name]));
  return entries;
}

function writeValue(value: Value): unknown {
  if (typeof value === 'string') return { S: value };
  if (typeof value === 'number' || value instanceof Decimal) return { N: numberText(value) };
  if (typeof value === 'boolean') return { BOOL: value };
  if (value === null) return { NULL: true };
  if (value instanceof Uint8Array) return { B: base64(value) };
  if (Array.isArray(value)) return { L: value.map(writeValue) };
  if (!(value instanceof Set)) return { M: writeEntries(value) };
  const members: Member[] = [...value];
  return { [setTypeOf(value)]: members.map(writeMember) };
}

function writeMember(member: Member): string {
  if (typeof member === 'string') return member;
  return member instanceof Uint8Array ? base64(member) : numberText(member);
}
