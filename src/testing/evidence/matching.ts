/** Whether something is as a test expects: only what the expectation names is compared. */
import { isDeepStrictEqual } from 'node:util';

/**
 * What is expected of a value: the same value; of an object some of its properties; of a text what it matches; or a
 * function that says whether it is right. Lists are compared whole.
 */
export type Expected<T> =
  | T
  | ((value: T) => boolean)
  | (T extends string ? RegExp : never)
  | (T extends readonly unknown[]
      ? never
      : T extends object
        ? { readonly [Name in keyof T]?: Expected<T[Name]> }
        : never);

export function isAsExpected(value: unknown, expected: unknown): boolean {
  if (typeof expected === 'function') return expected(value) === true;
  if (expected instanceof RegExp) return typeof value === 'string' && expected.test(value);
  if (!isRecord(expected)) return isDeepStrictEqual(value, expected);
  if (!isRecord(value)) return false;
  return Object.entries(expected).every(([name, part]) => isAsExpected(value[name], part));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return false;
  return !Array.isArray(value) && !(value instanceof Date) && !(value instanceof Error);
}
