/**
 * JavaScript values, as `DynamoDBDocument` takes and gives them. Its defaults are kept: whole numbers beyond 2^53 come
 * out as bigint, longer fractions as the nearest double; `wrapNumbers` gives the digits instead.
 */
import { invalid } from '../errors.ts';
import { tableLimits } from '../limits.ts';
import { Decimal, numberText, parseNumber } from './decimal.ts';
import type { ValueFormat } from './format.ts';
import { measureItem } from './measure.ts';
import { type Item, isPlainObject, setOwn, type Value, type ValueSet } from './value.ts';

export interface DocumentFormatOptions {
  /** Makes what stands for a number from its digits, e.g. `NumberValue.from`; default: number or bigint. */
  readonly wrapNumbers?: (digits: string) => unknown;
}

export function makeDocumentFormat({ wrapNumbers }: DocumentFormatOptions = {}): ValueFormat {
  return {
    readItem(outside) {
      const item = hasForeign(outside, 1) ? fromForeign(outside, 1) : outside;
      const bytes = measureItem(item);
      return { item: item as Item, bytes }; // a cast: `measureItem` refuses what is none
    },
    writeItem: item => written(item, wrapNumbers) as Record<string, unknown>, // a cast: a map stays a map
  };
}

export const documentFormat: ValueFormat = makeDocumentFormat();

/** Whether there is a value that the SDK takes and the engine has another form for. */
function hasForeign(value: unknown, level: number): boolean {
  if (typeof value === 'bigint') return true;
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return false;
  if (level > tableLimits.nestingLevelsMax + 1) return false; // refused when it is measured
  if (Array.isArray(value)) return value.some(element => hasForeign(element, level + 1));
  if (value instanceof Set) return [...value].some(member => typeof member !== 'string' && isForeign(member));
  if (!isPlainObject(value)) return isForeign(value);
  for (const name in value) {
    if (hasForeign((value as Record<string, unknown>)[name], level + 1)) return true; // a cast: a plain object
  }
  return false;
}

function isForeign(value: unknown): boolean {
  if (typeof value === 'bigint' || value instanceof Map || value instanceof ArrayBuffer) return true;
  return (ArrayBuffer.isView(value) && !(value instanceof Uint8Array)) || digitsOfNumberValue(value) !== undefined;
}

/** The SDK's `NumberValue`, known by its shape: the SDK need not be installed, or may be there twice. */
function digitsOfNumberValue(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null || value.constructor?.name !== 'NumberValue') return undefined;
  return 'value' in value && typeof value.value === 'string' ? value.value : undefined;
}

function fromForeign(value: unknown, level: number): unknown {
  if (typeof value === 'bigint') return parseNumber(String(value));
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value;
  if (level > tableLimits.nestingLevelsMax + 1) throw invalid('Nesting Levels have exceeded supported limits');
  if (Array.isArray(value)) return value.map(element => fromForeign(element, level + 1));
  if (value instanceof Set) return setFromForeign(value);
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  const digits = digitsOfNumberValue(value);
  if (digits !== undefined) return parseNumber(digits);
  if (!(value instanceof Map) && !isPlainObject(value)) return value;
  const map: Record<string, unknown> = {};
  for (const [name, held] of value instanceof Map ? value : Object.entries(value)) {
    setOwn(map, String(name), fromForeign(held, level + 1));
  }
  return map;
}

function setFromForeign(set: Set<unknown>): Set<unknown> {
  const members = [...set].map(member => fromForeign(member, 1));
  const converted = new Set(members);
  if (converted.size < members.length) {
    throw invalid('One or more parameter values were invalid: Input collection contains duplicates.');
  }
  return converted;
}

/** Itself unless it holds a number that has to come out in another form. */
function written(value: Value, wrapNumbers: DocumentFormatOptions['wrapNumbers']): unknown {
  if (value instanceof Decimal || (typeof value === 'number' && wrapNumbers !== undefined)) {
    return wrapNumbers === undefined ? nativeNumber(numberText(value)) : wrapNumbers(numberText(value));
  }
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value;
  if (value instanceof Set) return writtenSet(value, wrapNumbers);
  if (Array.isArray(value)) return mappedIfChanged(value, element => written(element, wrapNumbers));
  let copy: Record<string, unknown> | undefined;
  for (const name of Object.keys(value)) {
    const held = value[name];
    const out = written(held, wrapNumbers);
    if (out === held) continue;
    copy ??= { ...value };
    setOwn(copy, name, out);
  }
  return copy ?? value;
}

function writtenSet(set: ValueSet, wrapNumbers: DocumentFormatOptions['wrapNumbers']): unknown {
  const [first] = set;
  if (typeof first === 'string' || first instanceof Uint8Array) return set;
  const members: Value[] = [...set];
  const out = mappedIfChanged(members, member => written(member, wrapNumbers));
  return out === members ? set : new Set(out);
}

function mappedIfChanged(values: readonly Value[], map: (value: Value) => unknown): readonly unknown[] {
  let copy: unknown[] | undefined;
  for (let index = 0; index < values.length; index++) {
    const out = map(values[index]);
    if (out === values[index]) continue;
    copy ??= [...values];
    copy[index] = out;
  }
  return copy ?? values;
}

function nativeNumber(digits: string): number | bigint {
  const double = Number(digits);
  return Math.abs(double) > Number.MAX_SAFE_INTEGER ? wholeNumber(digits) : double;
}

function wholeNumber(digits: string): bigint {
  if (!digits.includes('.')) return BigInt(digits);
  throw invalid(`${digits} can't be converted to BigInt. Set wrapNumbers to get its digits.`);
}
