/**
 * The types of a request, in the words DynamoDB's own decoder has for a wrong one. Unknown members are ignored over
 * the wire, as DynamoDB ignores them; in process they are refused, so that no misspelt parameter goes unnoticed.
 */
import { malformed, notSupported } from '../errors.ts';
import { isPlainObject } from '../values/value.ts';
import { nearestName } from './nearest-name.ts';
import { readBoolean, refuseScalar } from './scalars.ts';
import type { ListShape, MapShape, Member, Members, Request, Shape } from './shapes.ts';
import { checkValueTypes } from './value-types.ts';

const castError =
  'class sun.reflect.generics.reflectiveObjects.ParameterizedTypeImpl cannot be cast to class java.lang.Class ' +
  '(sun.reflect.generics.reflectiveObjects.ParameterizedTypeImpl and java.lang.Class are in module java.base of ' +
  "loader 'bootstrap')";
const model = 'com.amazonaws.dynamodb.v20120810.';

/**
 * @param input  over the wire parsed from JSON for this call alone: attribute values in it are brought into form in place
 * @returns the input, without members that are null or unknown, and with what the decoder converts converted
 */
export function checkTypes(operation: string, members: Members, input: unknown, isWire: boolean): Request {
  if (isWire) {
    if (!isPlainObject(input)) throw malformed('Start of structure or map found where not expected.');
    return readMembers(members, input as Record<string, unknown>, isWire); // a cast: a plain object
  }
  if (!isPlainObject(input)) throw malformed(`The input of ${operation} must be a plain object.`);
  if (isInOrder(members, input)) return input as Request; // a cast: just looked at
  refuseUnknown(operation, members, input);
  return readMembers(members, input as Record<string, unknown>, isWire); // a cast: a plain object
}

/** Whether there is nothing to say and nothing to convert; most calls in process end here. */
function isInOrder(members: Members, input: object): boolean {
  const given = input as Record<string, unknown>; // a cast: a plain object
  for (const name of Object.keys(given)) {
    const member: Member | undefined = Object.hasOwn(members, name) ? members[name] : undefined;
    if (member === undefined || member.legacy || member.unsupported || !isOfType(member, given[name])) return false;
  }
  return true;
}

function isOfType(shape: Shape, value: unknown): boolean {
  switch (shape.type) {
    case 'string':
    case 'boolean':
      return typeof value === shape.type;
    case 'integer':
    case 'long':
      return Number.isInteger(value);
    case 'map':
      if (!isObject(value)) return false;
      return shape.of.type === 'value' || (shape.of.type === 'string' && Object.values(value).every(isText));
    default:
      return false; // looked at by the long way
  }
}

function isText(value: unknown): boolean {
  return typeof value === 'string';
}

function refuseUnknown(operation: string, members: Members, input: object): void {
  for (const name of Object.keys(input)) {
    const member: Member | undefined = Object.hasOwn(members, name) ? members[name] : undefined;
    if (member !== undefined && member.legacy === undefined) continue; // known
    if ((input as Record<string, unknown>)[name] === undefined) continue; // a cast: a plain object
    const near = member === undefined ? nearestName(name, Object.keys(members)) : undefined;
    const hint = near === undefined ? '' : ` Did you mean ${near}?`;
    throw notSupported(`the parameter ${name} of ${operation}`, hint);
  }
}

function readMembers(members: Members, given: Record<string, unknown>, isWire: boolean): Record<string, unknown> {
  let isSame = true;
  const names = Object.keys(given);
  for (const name of names) {
    if (given[name] === undefined || given[name] === null || !Object.hasOwn(members, name)) isSame = false;
  }
  const read: Record<string, unknown> = {};
  let known = 0;
  for (const name in members) {
    if (!Object.hasOwn(given, name)) continue;
    const value = given[name];
    if (value === undefined || value === null) continue;
    if (members[name].unsupported) throw notSupported(`the parameter ${name}`);
    const converted = readShape(members[name], value, isWire);
    if (converted !== value) isSame = false;
    read[name] = converted;
    known++;
  }
  return isSame && known === names.length ? given : read;
}

function readShape(shape: Shape, value: unknown, isWire: boolean): unknown {
  switch (shape.type) {
    case 'string':
      return typeof value === 'string' ? value : refuseScalar(value, 'String');
    case 'boolean':
      return typeof value === 'boolean' ? value : readBoolean(value);
    case 'integer':
      return typeof value === 'number' ? Math.floor(value) : refuseScalar(value, 'Integer');
    case 'long':
      return typeof value === 'number' ? Math.floor(value) : refuseScalar(value, 'Long');
    case 'value':
      if (!isWire) return value;
      if (typeof value !== 'object') throw malformed('Unexpected field type');
      return checkValueTypes(value, 1);
    case 'list':
      return readList(shape, value, isWire);
    case 'map':
      return readMap(shape, value, isWire);
    case 'structure':
      if (isPlainObject(value)) return readMembers(shape.members, value as Record<string, unknown>, isWire); // a cast: a plain object
      throw Array.isArray(value)
        ? malformed(`Unrecognized collection type class ${model}${shape.name}`)
        : malformed('Unexpected field type');
  }
}

function readList(shape: ListShape, value: unknown, isWire: boolean): unknown[] {
  if (!Array.isArray(value)) {
    if (isObject(value)) throw malformed('Start of structure or map found where not expected');
    throw malformed(shape.isNested ? castError : 'Unexpected field type');
  }
  let copy: unknown[] | undefined;
  for (let index = 0; index < value.length; index++) {
    const element: unknown = value[index];
    const read = element === null || element === undefined ? null : readElement(shape.of, element, isWire);
    if (read === element) continue;
    copy ??= [...value];
    copy[index] = read;
  }
  return copy ?? value;
}

function readMap(shape: MapShape, value: unknown, isWire: boolean): Record<string, unknown> {
  if (Array.isArray(value)) {
    throw malformed(`Unrecognized collection type java.util.Map<java.lang.String, ${shape.javaType}>`);
  }
  if (!isObject(value)) throw malformed(shape.isNested ? castError : 'Unexpected field type');
  const entries = value as Record<string, unknown>; // a cast: an object
  if (shape.of.type === 'value' && !isWire) return entries; // read by the document format
  let copy: Record<string, unknown> | undefined;
  for (const name of Object.keys(entries)) {
    const held = entries[name];
    const read = held === null || held === undefined ? held : readElement(shape.of, held, isWire);
    if (read === held) continue;
    copy ??= { ...entries };
    Object.defineProperty(copy, name, { value: read, enumerable: true, configurable: true, writable: true });
  }
  return copy ?? entries;
}

/** Structures in lists and maps are refused in other words than those that are members. */
function readElement(shape: Shape, value: unknown, isWire: boolean): unknown {
  if (shape.type === 'value' && isWire) return checkValueTypes(value, 1);
  if (shape.type === 'structure' && !isObject(value) && !Array.isArray(value)) {
    throw malformed('Unexpected value type in payload');
  }
  return readShape(shape, value, isWire);
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
