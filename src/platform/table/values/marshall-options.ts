/** What the SDK's document client can be told to do with JavaScript values before they are stored (`marshallOptions`). */
import type { ValueFormat } from './format.ts';
import { isPlainObject, setOwn } from './value.ts';

export interface MarshallOptions {
  /** Leaves out what is undefined in maps, lists and sets; otherwise it is refused. */
  readonly removeUndefinedValues?: boolean;
  /** Stores null for empty strings, binaries and sets. */
  readonly convertEmptyValues?: boolean;
  /** Stores an instance of a class as a map of what it owns; otherwise it is refused. */
  readonly convertClassInstanceToMap?: boolean;
}

/** `format`, whose values are first brought into the form the options ask for. */
export function withMarshallOptions(format: ValueFormat, options: MarshallOptions): ValueFormat {
  if (!options.removeUndefinedValues && !options.convertEmptyValues && !options.convertClassInstanceToMap)
    return format;
  return { ...format, readItem: outside => format.readItem(converted(outside, options)) };
}

function converted(value: unknown, options: MarshallOptions): unknown {
  if (value === '') return options.convertEmptyValues ? null : value;
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return kept(value, options).map(element => converted(element, options));
  if (value instanceof Set) {
    const members = kept([...value], options);
    return members.length === 0 && options.convertEmptyValues ? null : new Set(members);
  }
  if (ArrayBuffer.isView(value)) return value.byteLength === 0 && options.convertEmptyValues ? null : value;
  if (value instanceof Map) return convertedEntries(value, options);
  const isMap = isPlainObject(value) || (options.convertClassInstanceToMap && isInstance(value));
  return isMap ? convertedEntries(Object.entries(value), options) : value;
}

/** Of a class that the engine and the SDK do not know. */
function isInstance(value: object): boolean {
  return !(value instanceof ArrayBuffer) && value.constructor?.name !== 'NumberValue';
}

function kept(values: readonly unknown[], { removeUndefinedValues }: MarshallOptions): readonly unknown[] {
  return removeUndefinedValues ? values.filter(value => value !== undefined) : values;
}

function convertedEntries(entries: Iterable<[unknown, unknown]>, options: MarshallOptions): object {
  const map: Record<string, unknown> = {};
  for (const [name, value] of entries) {
    if (value === undefined && options.removeUndefinedValues) continue;
    setOwn(map, String(name), converted(value, options));
  }
  return map;
}
