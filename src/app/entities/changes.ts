/** What an update changes: merged in, told apart path by path, and said as an update expression. */
import { isDeepStrictEqual } from 'node:util';
import { entityLimits } from './limits.ts';
import type { Attributes, Meta } from './records.ts';

/** Objects merge by key, everything else replaces, undefined removes. */
export function merged(current: Attributes, change: Attributes): Attributes {
  const result: Attributes = { ...current };
  for (const [name, value] of Object.entries(change)) {
    const before = Object.hasOwn(current, name) ? current[name] : undefined;
    setOwn(result, name, isMap(before) && isMap(value) ? merged(before, value) : value);
  }
  return result;
}

/** Without what is undefined, at any depth: the table refuses it, as the document client does. */
export function withoutUndefined(data: Attributes): Attributes {
  const result: Attributes = {};
  for (const [name, value] of Object.entries(data)) {
    if (value !== undefined) setOwn(result, name, valueWithoutUndefined(value));
  }
  return result;
}

function valueWithoutUndefined(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(valueWithoutUndefined);
  return isMap(value) ? withoutUndefined(value) : value;
}

/** A key called `__proto__` is an attribute like any other. */
function setOwn(target: Attributes, name: string, value: unknown): void {
  Object.defineProperty(target, name, { value, enumerable: true, writable: true, configurable: true });
}

interface PathChange {
  readonly path: readonly string[];
  /** undefined = it is gone. */
  readonly value: unknown;
}

export function changedPaths(before: Attributes, after: Attributes, parent: readonly string[] = []): PathChange[] {
  const changes: PathChange[] = [];
  for (const name of new Set([...Object.keys(before), ...Object.keys(after)])) {
    const path = [...parent, name];
    const [old, next] = [before, after].map(each => (Object.hasOwn(each, name) ? each[name] : undefined));
    if (isMap(old) && isMap(next)) changes.push(...changedPaths(old, next, path));
    else if (!isDeepStrictEqual(old, next)) changes.push({ path, value: next });
  }
  return changes;
}

export interface UpdateParts {
  readonly UpdateExpression: string;
  readonly ExpressionAttributeNames: Record<string, string>;
  readonly ExpressionAttributeValues: Record<string, unknown>;
}

/** Sets only what has changed; undefined when that would be too long an expression. */
export function updateExpression(
  changes: readonly PathChange[],
  { Version, UpdatedAt }: Meta,
): UpdateParts | undefined {
  if (changes.length > entityLimits.changedPathsMax || changes.some(({ path }) => path.length > 8)) return undefined;
  const names = new Map<string, string>();
  const aliasOf = (name: string): string => {
    const alias = names.get(name) ?? `#n${names.size}`;
    names.set(name, alias);
    return alias;
  };
  const values: Record<string, unknown> = { ':version': Version, ':at': UpdatedAt };
  const sets = [`${aliasOf('Version')} = :version`, `${aliasOf('UpdatedAt')} = :at`];
  const removes: string[] = [];
  for (const [index, { path, value }] of changes.entries()) {
    const place = ['Data', ...path].map(aliasOf).join('.');
    if (value === undefined) removes.push(place);
    else {
      sets.push(`${place} = :v${index}`);
      values[`:v${index}`] = value;
    }
  }
  const remove = removes.length > 0 ? ` REMOVE ${removes.join(', ')}` : '';
  return {
    UpdateExpression: `SET ${sets.join(', ')}${remove}`,
    ExpressionAttributeNames: Object.fromEntries([...names].map(([name, alias]) => [alias, name])),
    ExpressionAttributeValues: values,
  };
}

function isMap(value: unknown): value is Attributes {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
