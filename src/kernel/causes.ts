/**
 * What led to what: how many functions have run, one because of the other, before this event, and what began it. A cause
 * travels beside every publish, change, command and invocation, so that a function that feeds itself is found after a few
 * rounds instead of 2.8 billion.
 */
import { currentCaller } from './callers.ts';

export interface Cause {
  /** Functions that ran, one because of the other, to make this event. 0: it came from outside. */
  readonly depth: number;
  /** What came from outside and began it: the id of a record, a request, a timer. */
  readonly originId: string;
  /** The functions that ran, the last one last; of a long chain only the end. */
  readonly path: readonly string[];
}

export const causeLimits = {
  depthMax: 16, // Lambda stops a chain of its own services after about 16 invocations ["Recursive loop detection"]
  pathNamesMax: 16, // ours: as many as can run
  nameCharactersMax: 128, // ours: longer names are cut
  encodedBytesMax: 16 * 1024, // ours: above what 16 names and an id take, each character as six
} as const;

/** The cause of what the running invocation makes; undefined outside of any. */
export function currentCause(): Cause | undefined {
  return currentCaller()?.cause;
}

/** The cause of what `functionName` makes when it runs for an event with the cause `before`. */
export function causedBy(functionName: string, before: Cause): Cause {
  const name = functionName.slice(0, causeLimits.nameCharactersMax);
  return {
    depth: before.depth + 1,
    originId: before.originId,
    path: [...before.path, name].slice(-causeLimits.pathNamesMax),
  };
}

export function fromOutside(originId: string): Cause {
  return { depth: 0, originId: originId.slice(0, causeLimits.nameCharactersMax), path: [] };
}

/** Of several events that are handled together the one that has come furthest: what it makes continues all of them. */
export function deepest(causes: Iterable<Cause>): Cause | undefined {
  let found: Cause | undefined;
  for (const cause of causes) if (found === undefined || cause.depth > found.depth) found = cause;
  return found;
}

/** The bytes are shared between everything that has this cause: they are never written to. */
export function encodeCause(cause: Cause): Uint8Array {
  let bytes = encodedCauses.get(cause);
  if (bytes === undefined) {
    const { depth, originId, path } = cause;
    bytes = Buffer.from(JSON.stringify([depth, originId, ...path]));
    encodedCauses.set(cause, bytes);
  }
  return bytes;
}

/** An invocation makes many things with one cause. */
const encodedCauses = new WeakMap<Cause, Uint8Array>();

/** Undefined when it is none: what cannot be read must not keep an event from being handled. */
export function decodeCause(bytes: Uint8Array): Cause | undefined {
  if (bytes.length > causeLimits.encodedBytesMax) return undefined;
  try {
    const parts: unknown = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString());
    if (!Array.isArray(parts)) return undefined;
    const [depth, originId, ...path] = parts;
    const isCause = Number.isSafeInteger(depth) && depth >= 0 && [originId, ...path].every(isText);
    return isCause ? { depth, originId, path } : undefined;
  } catch {
    return undefined;
  }
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length <= causeLimits.nameCharactersMax;
}
