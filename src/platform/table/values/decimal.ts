/**
 * DynamoDB's numbers: decimals of up to 38 digits. What a double holds exactly (and is a safe integer, or a fraction
 * below that) is a JavaScript number; everything else is a `Decimal`. So no two forms stand for one number.
 */
import { invalid } from '../errors.ts';

/** A number that a double does not hold exactly. Made by `parseNumber` only. */
export class Decimal {
  /** Plain notation, no outer zeros: what DynamoDB answers. */
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  toString(): string {
    return this.text;
  }
}

export type Numeric = number | Decimal;

/** ±0.digits × 10^exponent; no outer zeros. Zero has no digits. */
export interface Digits {
  readonly isNegative: boolean;
  readonly digits: string;
  readonly exponent: number;
}

const zero: Digits = { isNegative: false, digits: '', exponent: 0 };
const digitsMax = 38; // DynamoDB "Number": significant digits
const exponentMax = 126; // DynamoDB "Number": 9.99…E+125
const exponentMin = -129; // DynamoDB "Number": 1E-130
const digitsExactMax = 15; // any decimal of so many digits survives the way through a double

export function isNumeric(value: unknown): value is Numeric {
  return typeof value === 'number' || value instanceof Decimal;
}

/** A number as DynamoDB takes it: throws its refusals of what is none, too large, too small or too long. */
export function parseNumber(text: string): Numeric {
  // Most are short whole numbers.
  if (/^(?:0|-?[1-9]\d{0,14})$/.test(text)) return Number(text);
  return fromDigits(readDigits(text));
}

function readDigits(text: string): Digits {
  if (text === '') throw invalid('The parameter cannot be converted to a numeric value');
  const match = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d+))?$/.exec(text);
  if (match === null || (match[2] === '' && (match[3] ?? '') === '')) {
    throw invalid(`The parameter cannot be converted to a numeric value: ${text}`);
  }
  const [, sign, integer, fraction = '', power = '0'] = match;
  const all = integer + fraction;
  const digits = all.replace(/^0+/, '');
  const trimmed = withoutTrailingZeros(digits);
  if (trimmed === '') return zero;
  const exponent = integer.length + Number(power) - (all.length - digits.length);
  return { isNegative: sign === '-', digits: trimmed, exponent };
}

/** A loop, since `/0+$/` takes quadratic time on zeros in the middle. */
export function withoutTrailingZeros(digits: string): string {
  let length = digits.length;
  while (length > 0 && digits.charCodeAt(length - 1) === 48) length--;
  return digits.slice(0, length);
}

function fromDigits(number: Digits): Numeric {
  const { digits, exponent } = number;
  if (digits === '') return 0;
  if (exponent > exponentMax) {
    throw invalid('Number overflow. Attempting to store a number with magnitude larger than supported range');
  }
  if (exponent < exponentMin) {
    throw invalid('Number underflow. Attempting to store a number with magnitude smaller than supported range');
  }
  if (digits.length > digitsMax) throw invalid('Attempting to store more than 38 significant digits in a Number');
  const text = plainText(number);
  const double = Number(text);
  const isHeld =
    Math.abs(double) <= Number.MAX_SAFE_INTEGER && (digits.length <= digitsExactMax || holds(double, number));
  return isHeld ? double : new Decimal(text);
}

function holds(double: number, { digits, exponent }: Digits): boolean {
  const held = digitsOf(double);
  return held.digits === digits && held.exponent === exponent;
}

function plainText({ isNegative, digits, exponent }: Digits): string {
  const sign = isNegative ? '-' : '';
  if (exponent <= 0) return `${sign}0.${'0'.repeat(-exponent)}${digits}`;
  if (exponent >= digits.length) return `${sign}${digits}${'0'.repeat(exponent - digits.length)}`;
  return `${sign}${digits.slice(0, exponent)}.${digits.slice(exponent)}`;
}

/** Plain notation, never an exponent, as DynamoDB answers it. */
export function numberText(value: Numeric): string {
  if (typeof value !== 'number') return value.text;
  const text = String(value);
  if (!text.includes('e')) return text === '-0' ? '0' : text;
  return plainText(digitsOf(value));
}

export function digitsOf(value: Numeric): Digits {
  return value === 0 ? zero : readDigits(typeof value === 'number' ? String(value) : value.text);
}

/** Negative, zero or positive. */
export function compareNumbers(left: Numeric, right: Numeric): number {
  if (typeof left === 'number' && typeof right === 'number') return left - right;
  const a = digitsOf(left);
  const b = digitsOf(right);
  const signs = signOf(a) - signOf(b);
  if (signs !== 0 || a.digits === '') return signs;
  const magnitudes = a.exponent - b.exponent || compareDigits(a.digits, b.digits);
  return a.isNegative ? -magnitudes : magnitudes;
}

function signOf({ isNegative, digits }: Digits): number {
  if (digits === '') return 0;
  return isNegative ? -1 : 1;
}

function compareDigits(left: string, right: string): number {
  if (left === right) return 0;
  return left < right ? -1 : 1; // fractions: the shorter of two with one beginning is the smaller
}

/** Exact. Throws where the result is too large or has more than 38 digits. */
export function addNumbers(left: Numeric, right: Numeric): Numeric {
  if (typeof left === 'number' && typeof right === 'number') {
    const sum = left + right;
    if (Number.isInteger(left) && Number.isInteger(right) && Number.isSafeInteger(sum)) return sum === 0 ? 0 : sum;
  }
  const a = digitsOf(left);
  const b = digitsOf(right);
  const scale = Math.max(a.digits.length - a.exponent, b.digits.length - b.exponent, 0);
  const sum = scaled(a, scale) + scaled(b, scale);
  return parseNumber(`${sum}e-${scale}`);
}

export function subtractNumbers(left: Numeric, right: Numeric): Numeric {
  return addNumbers(left, negated(right));
}

function negated(value: Numeric): Numeric {
  if (typeof value === 'number') return value === 0 ? 0 : -value;
  return new Decimal(value.text.startsWith('-') ? value.text.slice(1) : `-${value.text}`);
}

function scaled({ isNegative, digits, exponent }: Digits, scale: number): bigint {
  const magnitude = BigInt(digits || '0') * 10n ** BigInt(exponent - digits.length + scale);
  return isNegative ? -magnitude : magnitude;
}

/** 1 + half a byte for each digit of the integer and of the fraction, outer zeros trimmed, + 1 if negative. */
export function numberBytes(value: Numeric): number {
  if (value === 0) return 1;
  if (typeof value === 'number' && Number.isSafeInteger(value)) return integerBytes(value);
  const { digits, exponent, isNegative } = digitsOf(value);
  const integerDigits = Math.max(0, Math.min(digits.length, exponent));
  const fractionDigits = digits.length - integerDigits;
  return 1 + Math.ceil(integerDigits / 2) + Math.ceil(fractionDigits / 2) + (isNegative ? 1 : 0);
}

function integerBytes(value: number): number {
  let rest = Math.abs(value);
  while (rest % 10 === 0) rest /= 10;
  let digits = 0;
  for (; rest >= 1; rest = Math.floor(rest / 10)) digits++;
  return 1 + ((digits + 1) >> 1) + (value < 0 ? 1 : 0);
}
