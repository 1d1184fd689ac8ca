/** What a value may be, and what it weighs by DynamoDB's rule. Both formats end here. */
import { invalid } from '../errors.ts';
import { tableLimits } from '../limits.ts';
import { Decimal, isNumeric, numberBytes } from './decimal.ts';
import { compareBytes, isPlainObject, textBytes, type Value, type ValueSet } from './value.ts';

/**
 * Checks that an attribute map holds only what an item may hold.
 * @returns its size: names and values, without the 3 bytes a nested map costs.
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
    default:
      throw invalid(`A ${typeof value} cannot be stored.`);
  }
}

function measureObject(value: object, level: number): number {
  if (value instanceof Uint8Array) return value.length;
  if (value instanceof Set) return measureSet(value);
  if (value instanceof Decimal) return numberBytes(value);
  if (Array.isArray(value)) {
    let bytes = 3;
    if (value.length > 0) refuseDepth(level + 1);
    for (const element of value) bytes += 1 + measureValue(element, level + 1);
    return bytes;
  }
  if (!isPlainObject(value)) {
    throw invalid(
      `An instance of ${classNameOf(value)} cannot be stored. Store a plain object, text or a number made of it.`,
    );
  }
  const { length } = Object.keys(value);
  if (length > 0) refuseDepth(level + 1);
  // A cast: a plain object is a record of what is not known yet.
  return 3 + length + measureEntries(value as Record<string, unknown>, level + 1);
}

function classNameOf(value: object): string {
  return typeof value.constructor === 'function' ? value.constructor.name : 'a class';
}

/** An attribute is at level 1, what it holds at level 2. */
export function refuseDepth(level: number): void {
  if (level <= tableLimits.nestingLevelsMax) return;
  throw invalid(
    'Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported limit',
  );
}

function measureEntries(entries: Record<string, unknown>, level: number): number {
  let bytes = 0;
  for (const name of Object.keys(entries)) {
    const value = entries[name];
    if (value === undefined) throw invalid(`The attribute ${name} is undefined. Leave it out, or use null.`);
    bytes += checkedNameBytes(name) + measureValue(value, level);
  }
  return bytes;
}

/** @returns how many bytes the name of an attribute has; refuses one that cannot be. */
export function checkedNameBytes(name: string): number {
  const nameBytes = textBytes(name);
  if (nameBytes === 0)
    throw invalid('One or more parameter values were invalid: Attribute name is a null or empty string');
  if (nameBytes > tableLimits.attributeNameBytesMax) {
    throw invalid(
      `One or more parameter values were invalid: An attribute name has ${nameBytes} bytes, more than ${tableLimits.attributeNameBytesMax}`,
    );
  }
  if (!name.isWellFormed())
    throw invalid('One or more parameter values were invalid: An attribute name must be well-formed Unicode');
  return nameBytes;
}

function measureSet(set: Set<unknown>): number {
  if (set.size === 0) throw invalid('One or more parameter values were invalid: An set  may not be empty');
  let bytes = 0;
  let type: string | undefined;
  for (const member of set) {
    const memberType = member instanceof Uint8Array ? 'binary' : isNumeric(member) ? 'number' : typeof member;
    if (memberType !== 'string' && memberType !== 'number' && memberType !== 'binary') {
      throw invalid('A set may hold strings, numbers or binary values.');
    }
    type ??= memberType;
    if (type !== memberType) throw invalid('The members of a set must be of one type.');
    bytes += measureValue(member);
  }
  if (type !== 'string' && hasEqualMembers(set as ValueSet)) {
    // a cast: every member was checked above
    throw invalid('One or more parameter values were invalid: Input collection contains duplicates.');
  }
  return bytes;
}

/** Whether members that are objects say the same twice; others cannot be twice in a Set. */
function hasEqualMembers(set: ValueSet): boolean {
  const texts = new Set<string>();
  const bytes: Uint8Array[] = [];
  for (const member of set) {
    if (member instanceof Uint8Array) bytes.push(member);
    else if (member instanceof Decimal && texts.size === texts.add(member.text).size) return true;
  }
  bytes.sort(compareBytes);
  return bytes.some((member, index) => index > 0 && compareBytes(bytes[index - 1], member) === 0);
}

function measureNumber(value: number): number {
  if (!Number.isFinite(value)) throw invalid(`Special numeric value ${value} is not allowed`);
  const magnitude = Math.abs(value);
  if (magnitude > Number.MAX_SAFE_INTEGER) {
    throw invalid(`Number ${value} is beyond Number.MAX_SAFE_INTEGER. Use a bigint, or a NumberValue of its digits.`);
  }
  if (magnitude !== 0 && magnitude < tableLimits.numberMagnitudeMin) {
    throw invalid('Number underflow. Attempting to store a number with magnitude smaller than supported range');
  }
  return numberBytes(value);
}

/** What counts for the limits of keys: of text and bytes their length; numbers have none. */
export function keyBytes(value: Value): number {
  if (typeof value === 'string') return textBytes(value);
  return value instanceof Uint8Array ? value.length : 0;
}
