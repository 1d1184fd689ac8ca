import { invalid } from '../errors.ts';
import { tableLimits } from '../limits.ts';
import { measureValue } from '../values/measure.ts';
import { isPlainObject, ownValue, textBytes, type Value } from '../values/value.ts';
import type { Parsed, Path } from './syntax.ts';
import type { ExpressionKind } from './tokenizer.ts';

/** A path whose aliases are looked up: names and list indexes. */
export type Steps = readonly (string | number)[];

/** The ExpressionAttributeNames and ExpressionAttributeValues of one request: all used must be defined, and vice versa. */
export class Aliases {
  readonly #names: Record<string, string>;
  readonly #values: Record<string, Value>;
  readonly #usedNames = new Set<string>();
  readonly #usedValues = new Set<string>();

  constructor(names: unknown, values: unknown) {
    this.#names = checkedNames(names);
    this.#values = checkedValues(values);
  }

  /** Marks what an expression uses. */
  use<Syntax>(kind: ExpressionKind, { syntax, names, values }: Parsed<Syntax>): Syntax {
    for (const alias of names) {
      if (!Object.hasOwn(this.#names, alias)) {
        throw invalid(
          `Invalid ${kind}: An expression attribute name used in the document path is not defined; attribute name: ${alias}`,
        );
      }
      this.#usedNames.add(alias);
    }
    for (const alias of values) {
      if (!Object.hasOwn(this.#values, alias)) {
        throw invalid(
          `Invalid ${kind}: An expression attribute value used in expression is not defined; attribute value: ${alias}`,
        );
      }
      this.#usedValues.add(alias);
    }
    return syntax;
  }

  value(alias: string): Value {
    return this.#values[alias]; // defined: `use` has checked every alias of the expression
  }

  steps(path: Path): Steps {
    return path.map(step => ('name' in step ? step.name : 'alias' in step ? this.#names[step.alias] : step.index));
  }

  /** To be called when all expressions of the request are read. */
  checkAllUsed(): void {
    refuseIdle('ExpressionAttributeNames', Object.keys(this.#names), this.#usedNames);
    refuseIdle('ExpressionAttributeValues', Object.keys(this.#values), this.#usedValues);
  }
}

function refuseIdle(parameter: string, defined: readonly string[], used: ReadonlySet<string>): void {
  if (defined.length === used.size) return;
  const idle = defined.filter(alias => !used.has(alias));
  throw invalid(`Value provided in ${parameter} unused in expressions: keys: {${idle.join(', ')}}`);
}

const none = Object.freeze({});

function checkedNames(names: unknown): Record<string, string> {
  if (names === undefined || names === null) return none;
  const checked = checkedAliases('ExpressionAttributeNames', names, /^#[A-Za-z0-9_]+$/);
  for (const alias of Object.keys(checked)) {
    const name = ownValue(checked, alias);
    if (typeof name !== 'string' || name === '' || textBytes(name) > tableLimits.attributeNameBytesMax) {
      throw invalid(`ExpressionAttributeNames contains invalid value: ${String(name)} for key ${alias}`);
    }
  }
  return checked as Record<string, string>; // a cast: every value was checked above
}

function checkedValues(values: unknown): Record<string, Value> {
  if (values === undefined || values === null) return none;
  const checked = checkedAliases('ExpressionAttributeValues', values, /^:[A-Za-z0-9_]+$/);
  let bytes = 0;
  for (const alias of Object.keys(checked)) bytes += measureValue(checked[alias]);
  if (bytes > tableLimits.expressionValuesBytesMax) {
    throw invalid(`ExpressionAttributeValues exceeds max size: ${bytes} bytes`);
  }
  return checked as Record<string, Value>; // a cast: `measureValue` refuses what is none
}

function checkedAliases(parameter: string, aliases: unknown, pattern: RegExp): Record<string, unknown> {
  if (!isPlainObject(aliases)) throw invalid(`${parameter} must be a plain object`);
  const keys = Object.keys(aliases);
  if (keys.length === 0) throw invalid(`${parameter} must not be empty`);
  for (const key of keys) {
    if (!pattern.test(key)) throw invalid(`${parameter} contains invalid key: Syntax error; key: "${key}"`);
  }
  return aliases as Record<string, unknown>; // a cast: a plain object is a record of what is not known yet
}
