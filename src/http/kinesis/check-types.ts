/** From what a body says to the members of a request: unknown ones are left out, the others must be of their type. */
import { notSerial, type Refusal } from '../aws-json/refusal.ts';
import { kinesisLimits } from './limits.ts';
import type { Members, Shape } from './shapes.ts';

export type Input = Readonly<Record<string, unknown>>;

/** Thrown inside only: a nested value that is of another type. */
class WrongType extends Error {}

export function checkTypes(parsed: unknown, members: Members): Input | Refusal {
  if (typeof parsed !== 'object' || parsed === null) return notSerial();
  if (Array.isArray(parsed)) return notSerial('Start of list found where not expected');
  try {
    return structureOf(parsed, members);
  } catch (error) {
    if (error instanceof WrongType) return notSerial(error.message);
    throw error;
  }
}

function structureOf(value: object, members: Members): Input {
  const input: Record<string, unknown> = {};
  for (const [name, shape] of Object.entries(members)) {
    const member = Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined; // a cast: it has it
    if (member !== undefined && member !== null) input[name] = typed(member, shape);
  }
  return input;
}

function typed(value: unknown, shape: Shape): unknown {
  switch (shape.type) {
    case 'String':
      return typeof value === 'string' ? value : fail(value, 'String');
    case 'Boolean':
      return typeof value === 'boolean' ? value : fail(value, 'Boolean');
    case 'Integer':
      return typeof value === 'number' ? Math.min(Math.floor(value), integerMax) : fail(value, 'Integer');
    case 'Timestamp':
      return typeof value === 'number' ? value : fail(value, 'milliseconds since epoch');
    case 'Blob':
      return blobOf(value);
    case 'List':
      if (!Array.isArray(value)) throw new WrongType(isObject(value) ? structureFound : 'Expected list or null');
      return value.map(item => (item === null || item === undefined ? null : typed(item, shape.member)));
    case 'Map':
      return mapOf(value);
    case 'Structure':
      if (Array.isArray(value)) throw new WrongType(listFound);
      if (!isObject(value)) throw new WrongType('Expected null');
      return structureOf(value, shape.members);
  }
}

const integerMax = 2 ** 31 - 1; // Java's
const listFound = 'Start of list found where not expected';
const structureFound = 'Start of structure or map found where not expected.';

/** Of text by text; a number that is none of either. */
function mapOf(value: unknown): ReadonlyMap<string, unknown> {
  if (Array.isArray(value)) throw new WrongType(listFound);
  if (!isObject(value)) throw new WrongType('Expected map or null');
  const entries = Object.entries(value).filter(([, each]) => each !== null);
  return new Map(entries.map(([name, each]) => [name, typeof each === 'string' ? each : fail(each, 'String')]));
}

/** Bytes as they are, or from base64 as its rules have it to the last bit. */
function blobOf(value: unknown): Uint8Array {
  if (value instanceof Uint8Array) return value;
  if (typeof value !== 'string') return fail(value, 'Blob');
  const bytes = Buffer.from(value, 'base64');
  if (bytes.toString('base64') === value) return bytes;
  const shown = `'${value.slice(0, kinesisLimits.echoCharactersMax)}' can not be converted to a Blob: `;
  if (value.length % 4 !== 0) {
    throw new WrongType(`${shown}Base64 encoded length is expected a multiple of 4 bytes but found: ${value.length}`);
  }
  const [wrong] = /[^a-zA-Z0-9+/=]|=[^=]/.exec(value) ?? [];
  throw new WrongType(
    wrong
      ? `${shown}Invalid Base64 character: '${wrong[0]}'`
      : `${shown}Invalid last non-pad Base64 character dectected`,
  );
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !(value instanceof Uint8Array);
}

/** In the words of Java, in which Kinesis is written. */
function fail(value: unknown, type: string): never {
  if (Array.isArray(value)) throw new WrongType(listFound);
  if (isObject(value)) throw new WrongType(structureFound);
  const to = type === 'milliseconds since epoch' ? type : `${type === 'Blob' ? 'a' : 'an'} ${type}`;
  if (typeof value === 'string' && type === 'Boolean') {
    throw new WrongType(
      `'${value.slice(0, kinesisLimits.echoCharactersMax).toUpperCase()}' can not be converted to ${to}`,
    );
  }
  throw new WrongType(`class ${javaClassOf(value)} can not be converted to ${to}`);
}

function javaClassOf(value: unknown): string {
  if (typeof value === 'boolean') return 'java.lang.Boolean';
  if (typeof value === 'number') return 'com.amazon.coral.value.json.numbers.TruncatingBigNumber';
  return typeof value === 'string' ? 'java.lang.String' : 'java.nio.HeapByteBuffer';
}
