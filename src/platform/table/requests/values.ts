/**
 * What an attribute value must be, beyond its JSON types. DynamoDB checks values in one of two layers, and which one an
 * operation runs decides the words. The engine would refuse the same when it reads them; here they are refused in
 * DynamoDB's order, before expressions and tables.
 */
import { invalid } from '../errors.ts';
import { tableLimits } from '../limits.ts';
import { withoutTrailingZeros } from '../values/decimal.ts';
import type { Request, Wording } from './shapes.ts';

/** A map of attribute values as JSON carries them: an item, a key, expression values. */
export type WireValues = Readonly<Record<string, unknown>>;

/** Throws `table.invalid`. */
export function checkValues(values: WireValues | undefined, wording: Wording): void {
  if (values === undefined) return;
  if (Object.hasOwn(values, '')) throw refusal('Empty attribute name', wording);
  for (const name of Object.keys(values)) checkValue(values[name], wording);
}

export function checkValue(value: unknown, wording: Wording): void {
  const failure = failureOf(value, 1, wording);
  if (failure !== undefined) throw refusal(failure, wording);
}

/** The words for what is found before the table is looked at. */
export function refusal(message: string, wording: Wording) {
  return invalid(wording === 'enveloped' ? `1 validation error detected: ${message}` : message);
}

// About 62 maps or lists around a leaf, as the public conformance suite found on the real service. Each is two objects
// of JSON, itself and what is under its tag; the leaf and the parameter are one each.
const newerLayerObjectsMax = 2 * 62 + 2;

/** Whether a value is nested so deep that DynamoDB reads the request it is in by its older layer. */
export function isBeyondNewerLayer(request: Request): boolean {
  return Object.values(request).some(parameter => isDeeper(parameter, newerLayerObjectsMax));
}

function isDeeper(json: unknown, objects: number): boolean {
  if (typeof json !== 'object' || json === null) return false;
  return objects === 0 || Object.values(json).some(value => isDeeper(value, objects - 1));
}

const notValid = 'One or more parameter values were invalid: ';

/** @returns why the value cannot be one, or undefined */
export function failureOf(value: unknown, level: number, wording: Wording): string | undefined {
  if (level > tableLimits.nestingLevelsMax) {
    return 'Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported limit';
  }
  if (typeof value !== 'object' || value === null) return empty;
  const typed = value as Record<string, unknown>; // a cast: types were checked
  const tags = Object.keys(typed);
  if (tags.length === 0) return empty;
  for (const tag of tags) {
    const failure = contentFailure(tag, typed[tag], level, wording);
    if (failure !== undefined) return failure;
  }
  if (tags.length === 1) return undefined;
  return 'Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes';
}

const empty = 'Supplied AttributeValue is empty, must contain exactly one of the supported datatypes';

function contentFailure(tag: string, content: unknown, level: number, wording: Wording): string | undefined {
  switch (tag) {
    case 'N':
      return numberFailure(String(content), wording);
    case 'NULL':
      return content === true ? undefined : `${notValid}Null attribute value types must have the value of true`;
    case 'SS':
      return textSetFailure(content as readonly string[], wording); // a cast: types were checked
    case 'NS':
      return numberSetFailure(content as readonly string[], wording); // a cast: types were checked
    case 'BS':
      return binarySetFailure(content as readonly string[], wording); // a cast: types were checked
    case 'L':
      return firstFailure(content as readonly unknown[], level, wording); // a cast: types were checked
    case 'M':
      return firstFailure(Object.values(content as object), level, wording); // a cast: types were checked
    default:
      return undefined;
  }
}

function firstFailure(values: readonly unknown[], level: number, wording: Wording): string | undefined {
  for (const value of values) {
    const failure = failureOf(value, level + 1, wording);
    if (failure !== undefined) return failure;
  }
  return undefined;
}

const plainNumber = /^-?\d{1,19}(?:\.\d{1,19})?$/;
const numberParts = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d+))?$/;
const magnitudeMax = 126; // 0.digits × 10^126 is below 1E+126
const magnitudeMin = -129; // 0.1 × 10^-129 is 1E-130
const significantDigitsMax = 38;

function numberFailure(text: string, wording: Wording): string | undefined {
  if (plainNumber.test(text)) return undefined;
  const parts = numberOf(text);
  if (parts === undefined || Math.abs(parts.power) >= 2 ** (wording === 'older' ? 33 : 63)) {
    const colon = text === '' && wording === 'older' ? '' : `: ${text}`;
    return `The parameter cannot be converted to a numeric value${colon}`;
  }
  // The older layer counts in 32 bits, so that what is far too large wraps round to far too small.
  const magnitude = wording === 'older' ? parts.magnitude | 0 : parts.magnitude;
  if (magnitude > magnitudeMax) {
    return 'Number overflow. Attempting to store a number with magnitude larger than supported range';
  }
  if (magnitude < magnitudeMin) {
    return 'Number underflow. Attempting to store a number with magnitude smaller than supported range';
  }
  if (parts.digits.length <= significantDigitsMax) return undefined;
  return 'Attempting to store more than 38 significant digits in a Number';
}

interface NumberParts {
  readonly sign: string;
  /** Without outer zeros; none for zero. */
  readonly digits: string;
  /** ±0.digits × 10^magnitude. */
  readonly magnitude: number;
  readonly power: number;
}

function numberOf(text: string): NumberParts | undefined {
  const match = numberParts.exec(text);
  if (match === null) return undefined;
  const [, sign, integer, fraction = '', power = '0'] = match;
  const all = integer + fraction;
  if (all === '') return undefined;
  const digits = all.replace(/^0+/, '');
  // A zero has the magnitude of a digit before the point.
  const magnitude = digits === '' ? 1 + Number(power) : integer.length + Number(power) - (all.length - digits.length);
  return { sign: sign === '-' ? '-' : '', digits: withoutTrailingZeros(digits), magnitude, power: Number(power) };
}

/** Equal for equal numbers, however they are written. */
export function canonicalNumber(text: string): string {
  const parts = numberOf(text);
  if (parts === undefined) return text;
  return parts.digits === '' ? '0' : `${parts.sign}${parts.digits}e${parts.magnitude}`;
}

function textSetFailure(members: readonly string[], wording: Wording): string | undefined {
  if (members.length === 0) return `${notValid}An string set  may not be empty`;
  if (new Set(members).size === members.length) return undefined;
  const shown =
    wording === 'older'
      ? members.join(', ')
      : upToFirstRepeat(members, text => Buffer.from(text, 'utf8'))
          .map(text => `"${text}"`)
          .join(', ');
  return `${notValid}Input collection [${shown}] contains duplicates.`;
}

function numberSetFailure(members: readonly string[], wording: Wording): string | undefined {
  if (members.length === 0) return `${notValid}An number set  may not be empty`;
  for (const member of members) {
    const failure = numberFailure(member, wording);
    if (failure !== undefined) return failure;
  }
  if (new Set(members.map(canonicalNumber)).size === members.length) return undefined;
  return wording === 'older'
    ? 'Input collection contains duplicates'
    : `${notValid}Input collection contains duplicates.`;
}

function binarySetFailure(members: readonly string[], wording: Wording): string | undefined {
  if (members.length === 0) return `${notValid}Binary sets should not be empty`;
  if (new Set(members).size === members.length) return undefined;
  const shown =
    wording === 'older'
      ? members.join(', ')
      : upToFirstRepeat(members, text => Buffer.from(text, 'base64'))
          .map(text => `"${text}"`)
          .join(',');
  return `${notValid}Input collection [${shown}]of type BS contains duplicates.`;
}

/** The newer layer prints its sorted set, then the member that was already in it, then the rest. */
function upToFirstRepeat(members: readonly string[], bytesOf: (member: string) => Buffer): string[] {
  const seen = new Set<string>();
  for (const [index, member] of members.entries()) {
    if (seen.has(member)) {
      const sorted = [...seen].sort((left, right) => Buffer.compare(bytesOf(left), bytesOf(right)));
      return [...sorted, ...members.slice(index)];
    }
    seen.add(member);
  }
  return [...members];
}
