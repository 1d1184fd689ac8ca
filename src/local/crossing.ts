/**
 * Values that cross between threads as what they are. Structured cloning keeps plain data, dates, maps, sets and bigints;
 * it makes a Buffer a Uint8Array, an instance of a class a plain object, and of an error little more than its message. Those
 * travel under a mark. What has none of them is handed over as it is, without a copy.
 */
import { ApiError } from '../app/index.ts';
import { MimamoriError } from '../kernel/errors.ts';
import { FunctionRefusal } from '../platform/functions/index.ts';

const mark = '$crossing';

interface Marked {
  readonly [mark]: 'buffer' | 'instance' | 'error' | 'plain';
  /** Of an instance or an error. */
  readonly name?: string;
  readonly value: unknown;
}

/** Ready to be posted. */
export function outward(value: unknown): unknown {
  return needsMark(value, new Set()) ? packed(value, new Map()) : value;
}

/** As it was before it was posted. */
export function inward(value: unknown): unknown {
  return needsMark(value, new Set()) ? unpacked(value, new Map()) : value;
}

function needsMark(value: unknown, seen: Set<object>): boolean {
  if (typeof value !== 'object' || value === null || seen.has(value)) return false;
  seen.add(value);
  if (Array.isArray(value)) return value.some(element => needsMark(element, seen));
  if (value instanceof Map) return [...value].some(entry => needsMark(entry, seen));
  if (value instanceof Set) return [...value].some(member => needsMark(member, seen));
  if (isCloned(value)) return false;
  if (!isPlain(value) || Object.hasOwn(value, mark)) return true;
  return Object.values(value).some(held => needsMark(held, seen));
}

/** Structured cloning keeps these whole. */
function isCloned(value: object): boolean {
  if (Buffer.isBuffer(value)) return false;
  return value instanceof Date || value instanceof RegExp || value instanceof ArrayBuffer || ArrayBuffer.isView(value);
}

function isPlain(value: object): value is Record<string, unknown> {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** Each object once, so that those that refer to each other still do. */
type Copies = Map<object, unknown>;

function packed(value: unknown, copies: Copies): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (copies.has(value)) return copies.get(value);
  const copy = collectionCopy(value, copies, packed);
  if (copy !== undefined) return copy;
  if (isCloned(value)) return value;
  if (Buffer.isBuffer(value)) return noted(value, { [mark]: 'buffer', value: new Uint8Array(value) }, copies);
  if (value instanceof Error) return packedError(value, copies);
  if (isPlain(value) && !Object.hasOwn(value, mark)) return objectCopy(value, copies, packed);
  const name = isPlain(value) ? undefined : value.constructor?.name;
  const marked = { [mark]: name === undefined ? 'plain' : 'instance', name, value: {} as Record<string, unknown> };
  copies.set(value, marked);
  for (const [key, held] of Object.entries(value)) define(marked.value, key, packed(held, copies));
  return marked;
}

function unpacked(value: unknown, copies: Copies): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (copies.has(value)) return copies.get(value);
  const copy = collectionCopy(value, copies, unpacked);
  if (copy !== undefined) return copy;
  if (isCloned(value) || !isPlain(value)) return value;
  if (!Object.hasOwn(value, mark)) return objectCopy(value, copies, unpacked);
  const marked = value as unknown as Marked; // The other side has made it: see `packed`.
  if (marked[mark] === 'buffer') return noted(value, Buffer.from(marked.value as Uint8Array), copies);
  if (marked[mark] === 'error') return unpackedError(value, marked, copies);
  // A class of that name and none of its methods: whoever refuses instances refuses it as the original.
  const instance: object = marked[mark] === 'plain' ? {} : new (classNamed(marked.name ?? ''))();
  copies.set(value, instance);
  const held = marked.value as Record<string, unknown>; // As `packed` writes it.
  for (const [key, each] of Object.entries(held)) define(instance, key, unpacked(each, copies));
  return instance;
}

function classNamed(name: string): new () => object {
  return { [name]: class {} }[name];
}

function noted<T>(original: object, copy: T, copies: Copies): T {
  copies.set(original, copy);
  return copy;
}

type Convert = (value: unknown, copies: Copies) => unknown;

function collectionCopy(value: object, copies: Copies, convert: Convert): unknown {
  if (Array.isArray(value)) {
    const array = noted(value, [] as unknown[], copies);
    for (const element of value) array.push(convert(element, copies));
    return array;
  }
  if (value instanceof Map) {
    const map = noted(value, new Map(), copies);
    for (const [key, held] of value) map.set(convert(key, copies), convert(held, copies));
    return map;
  }
  if (value instanceof Set) {
    const set = noted(value, new Set(), copies);
    for (const member of value) set.add(convert(member, copies));
    return set;
  }
  return undefined;
}

function objectCopy(value: Record<string, unknown>, copies: Copies, convert: Convert): Record<string, unknown> {
  const copy: Record<string, unknown> = noted(value, {}, copies);
  for (const [key, held] of Object.entries(value)) define(copy, key, convert(held, copies));
  return copy;
}

/** A key may be `__proto__`. */
function define(target: object, key: string, value: unknown): void {
  Object.defineProperty(target, key, { value, enumerable: true, writable: true, configurable: true });
}

// --- Errors ---------------------------------------------------------------------------------------------------------

/** What an error of ours is told by. */
interface ErrorValue {
  readonly message: string;
  readonly stack: string | undefined;
  readonly cause: unknown;
  /** Everything else that it carries, such as a code, or the reasons of a cancelled transaction. */
  readonly own: Record<string, unknown>;
}

function packedError(error: Error, copies: Copies): Marked {
  const { name, message, stack } = error;
  const value = { message, stack, cause: undefined as unknown, own: {} as Record<string, unknown> };
  const marked = noted(error, { [mark]: 'error' as const, name, value }, copies);
  value.cause = crossing(error.cause, copies);
  for (const [key, held] of Object.entries(error)) if (key !== 'name') define(value.own, key, crossing(held, copies));
  return marked;
}

/** What cannot be posted at all, such as a function, is left out of an error. */
function crossing(value: unknown, copies: Copies): unknown {
  return typeof value === 'function' || typeof value === 'symbol' ? undefined : packed(value, copies);
}

function unpackedError(original: object, { name = 'Error', value }: Marked, copies: Copies): Error {
  const { message, stack, cause, own } = value as ErrorValue; // As `packedError` writes it.
  const error = noted(original, newError(message, own), copies);
  if (stack !== undefined) define(error, 'stack', stack);
  define(error, 'name', name);
  if (cause !== undefined) define(error, 'cause', unpacked(cause, copies));
  for (const [key, held] of Object.entries(own)) define(error, key, unpacked(held, copies));
  return error;
}

/** Of the class that the layers above know it by. */
function newError(message: string, own: Record<string, unknown>): Error {
  const { code, fix, retryable, status, functionName } = own;
  if (typeof code !== 'string' || typeof fix !== 'string') return new Error(message);
  const description = { code, message, fix, retryable: retryable === true };
  if (typeof status === 'number') return new ApiError(status, description);
  if (typeof functionName === 'string') return new FunctionRefusal(functionName, undefined, description);
  return new MimamoriError(description);
}
