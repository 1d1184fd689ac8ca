/** Exact decimal arithmetic and digits of the numbers DynamoDB would keep as decimals, where JavaScript has doubles. */
import { invalid, notSupported } from '../errors.ts';

/** ±0.digits × 10^exponent; no outer zeros. Zero has no digits. */
export interface Decimal {
  readonly isNegative: boolean;
  readonly digits: string;
  readonly exponent: number;
}

export function decimalOf(value: number): Decimal {
  const [, sign, integer, fraction = '', power = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]\d+))?$/.exec(String(value)) ?? failToRead(value);
  const all = integer + fraction;
  const digits = all.replace(/^0+/, '');
  const exponent = integer.length + Number(power) - (all.length - digits.length);
  const trimmed = digits.replace(/0+$/, '');
  return { isNegative: sign === '-', digits: trimmed, exponent: trimmed === '' ? 0 : exponent };
}

function failToRead(value: number): never {
  throw invalid(`${value} is not a number that can be stored.`);
}

/** `left + right` as decimals, so that 0.1 + 0.2 is 0.3. */
export function add(left: number, right: number): number {
  const sum = left + right;
  if (Number.isInteger(left) && Number.isInteger(right) && Number.isSafeInteger(sum)) return sum;
  const a = decimalOf(left);
  const b = decimalOf(right);
  const scale = Math.max(a.digits.length - a.exponent, b.digits.length - b.exponent, 0);
  const text = withPoint(scaled(a, scale) + scaled(b, scale), scale);
  const result = Number(text);
  if (Math.abs(result) > Number.MAX_SAFE_INTEGER || !isExact(result, text)) {
    throw notSupported('a result with more digits than a JavaScript number holds');
  }
  return result;
}

function scaled({ isNegative, digits, exponent }: Decimal, scale: number): bigint {
  const magnitude = BigInt(digits || '0') * 10n ** BigInt(exponent - digits.length + scale);
  return isNegative ? -magnitude : magnitude;
}

function withPoint(value: bigint, scale: number): string {
  const digits = (value < 0n ? -value : value).toString().padStart(scale + 1, '0');
  return `${value < 0n ? '-' : ''}${digits.slice(0, digits.length - scale)}.${digits.slice(digits.length - scale)}0`;
}

function isExact(value: number, text: string): boolean {
  const { isNegative, digits, exponent } = decimalOf(value);
  const [integer, fraction] = text.replace('-', '').split('.');
  const all = (integer + fraction).replace(/^0+/, '');
  const exactExponent = integer.length - (integer.length + fraction.length - all.length);
  const exactDigits = all.replace(/0+$/, '');
  if (exactDigits === '') return digits === '';
  return exactDigits === digits && exactExponent === exponent && isNegative === text.startsWith('-');
}
