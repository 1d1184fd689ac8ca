/** How values become parts of keys, so that no value can run into the next and byte order is the order of the values. */
import { createHash } from 'node:crypto';

/** What a key can be made of. */
export type Scalar = string | number | bigint | boolean;

export function isScalar(value: unknown): value is Scalar {
  return ['string', 'number', 'bigint', 'boolean'].includes(typeof value);
}

/** One of several values of a key. `#` ends it, so `#` and `%` inside are escaped; a number cannot look like a text. */
export function partOfKey(value: Scalar): string {
  if (typeof value === 'string') return value.replaceAll('%', '%25').replaceAll('#', '%23');
  return typeof value === 'boolean' ? `%${value}` : `%n${value}`;
}

export function joinedKey(values: readonly Scalar[]): string {
  return values.map(partOfKey).join('#');
}

/**
 * Text whose UTF-8 order is the order of the values of one type. Text stands for itself; only the empty one, and one that
 * begins with U+0000, get a U+0000 in front, because a key cannot be empty.
 */
export function orderText(value: Scalar): string {
  if (typeof value === 'string') return value === '' || value.startsWith('\0') ? `\0${value}` : value;
  return typeof value === 'boolean' ? String(value) : numberText(String(value));
}

const exponentShift = 500; // a JavaScript number's decimal exponent is from -324 to 308, DynamoDB's from -130 to 125

/**
 * 4 negative, 5 zero, 6 positive; then the decimal exponent and the digits, for negative numbers in nines' complement
 * and ended by `~`, behind every digit. Exact for any number of digits.
 */
export function numberText(decimal: string): string {
  const match = /^([+-]?)(\d*)\.?(\d*)(?:[eE]([+-]?\d+))?$/.exec(decimal);
  if (!match || `${match[2]}${match[3]}` === '') throw new RangeError(`${decimal} is not a decimal number`);
  const [, sign, whole, fraction, exponentText = '0'] = match;
  const all = whole + fraction;
  const digits = all.replace(/^0+/, '');
  if (digits === '') return '5';
  const exponent = Number(exponentText) + whole.length - (all.length - digits.length) - 1 + exponentShift;
  const magnitude = String(exponent).padStart(3, '0') + digits.replace(/0+$/, '');
  return sign === '-' ? `4${magnitude.replaceAll(/\d/g, digit => String(9 - Number(digit)))}~` : `6${magnitude}`;
}

/** Which shard holds the lookup record: the same for the same id, evenly spread. */
export function shardOf(idText: string, shards: number): number {
  return createHash('sha256').update(idText).digest().readUInt32BE() % shards;
}

export function keyBytes(text: string): number {
  return Buffer.byteLength(text);
}

/** DynamoDB's order of text keys: by UTF-8 bytes. */
export function compareText(left: string, right: string): number {
  return left === right ? 0 : Buffer.compare(Buffer.from(left), Buffer.from(right));
}
