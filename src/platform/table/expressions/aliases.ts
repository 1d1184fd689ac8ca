import assert from 'node:assert/strict';
import { invalid } from '../errors.ts';
import { tableLimits } from '../limits.ts';
import { documentFormat } from '../values/document-format.ts';
import type { ValueFormat } from '../values/format.ts';
import { isPlainObject, ownValue, textBytes, type Value } from '../values/value.ts';
import type { Parsed, Path } from './syntax.ts';
import type { ExpressionKind } from './tokenizer.ts';

/** A path whose aliases are looked up: names and list indexes. */
export type Steps = readonly (string | number)[];

/** What a text uses, next to what it says. */
type Used = Pick<Parsed<unknown>, 'names' | 'values'>;

const none = Object.freeze({});
const noValues: readonly Value[] = [];

/** The ExpressionAttributeNames and ExpressionAttributeValues of one request: all used must be defined, and vice versa. */
export class Aliases {
  readonly #names: Record<string, string>;
  readonly #values: Record<string, Value>;
  readonly #used: Used[] = [];
  /** Made here of other parameters, and so without the limits that expressions have which are sent. */
  readonly isTranslated: boolean;

  constructor(
    names: unknown,
    values: unknown,
    format: Pick<ValueFormat, 'readItem'> = documentFormat,
    isTranslated = false,
  ) {
    this.isTranslated = isTranslated;
    this.#names = names === undefined || names === null ? none : checkedNames(names);
    this.#values = values === undefined || values === null ? none : checkedValues(values, format);
  }

  /** Marks what an expression uses. That all of it is defined is checked when the expression is compiled. */
  use<Syntax extends Used>(_kind: ExpressionKind, parsed: Syntax): Syntax {
    this.#used.push(parsed);
    return parsed;
  }

  /** Whether the aliases an expression uses stand for these names. */
  mean(names: readonly string[], { names: aliases }: Used): boolean {
    for (let index = 0; index < aliases.length; index++) {
      if (ownValue(this.#names, aliases[index]) !== names[index]) return false;
    }
    return true;
  }

  /** The names behind the aliases an expression uses, all of which must be defined. */
  namesOf({ names }: Used): readonly string[] {
    return names.map(alias => {
      const name = ownValue(this.#names, alias);
      assert(name !== undefined); // else the expression was refused
      return name;
    });
  }

  /** The values behind aliases, each in its slot; undefined when one is not defined. */
  valuesOf({ values }: Used): readonly Value[] | undefined {
    if (values.length === 0) return noValues;
    const found: Value[] = [];
    for (const alias of values) {
      const value = ownValue(this.#values, alias);
      if (value === undefined) return undefined;
      found.push(value);
    }
    return found;
  }

  /** As `valuesOf`, with holes where an alias is not defined: to be read only where it is known to be. */
  someValuesOf({ values }: Used): readonly Value[] {
    return values.map(alias => ownValue(this.#values, alias) as Value); // a cast: see above
  }

  /** Names that are not defined stand for themselves, until `refuseUndefinedNames` has refused them. */
  steps(path: Path): Steps {
    return path.map(step =>
      'name' in step ? step.name : 'alias' in step ? (ownValue(this.#names, step.alias) ?? step.alias) : step.index,
    );
  }

  refuseUndefinedNames(kind: ExpressionKind, path: Path): void {
    for (const step of path) {
      if ('alias' in step && !Object.hasOwn(this.#names, step.alias)) {
        throw invalid(
          `Invalid ${kind}: An expression attribute name used in the document path is not defined; attribute name: ${step.alias}`,
        );
      }
    }
    if (path.length > tableLimits.nestingLevelsMax) {
      throw invalid(`Invalid ${kind}: The document path has too many nesting levels; nesting levels: ${path.length}`);
    }
  }

  /** @returns the value, or fails with what DynamoDB says of an alias that is not defined. */
  definedValue(kind: ExpressionKind, alias: string): Value {
    const value = ownValue(this.#values, alias);
    if (value !== undefined) return value;
    throw invalid(
      `Invalid ${kind}: An expression attribute value used in expression is not defined; attribute value: ${alias}`,
    );
  }

  /** All that an expression uses: names, then values. */
  refuseUndefined(kind: ExpressionKind, { paths, values }: Pick<Parsed<unknown>, 'paths' | 'values'>): void {
    for (const path of paths) this.refuseUndefinedNames(kind, path);
    for (const alias of values) this.definedValue(kind, alias);
  }

  /** To be called when all expressions of the request are compiled. */
  checkAllUsed(): void {
    this.#refuseIdle('names', 'ExpressionAttributeNames', this.#names);
    this.#refuseIdle('values', 'ExpressionAttributeValues', this.#values);
  }

  #refuseIdle(which: keyof Used, parameter: string, defined: Record<string, unknown>): void {
    if (defined === none) return;
    const aliases = Object.keys(defined);
    // Most requests have one expression that uses all there is. It was compiled, so what it uses is defined.
    if (this.#used.length === 1 && this.#used[0][which].length === aliases.length) return;
    const used = new Set(this.#used.flatMap(each => each[which]));
    const idle = aliases.filter(alias => !used.has(alias));
    if (idle.length === 0) return;
    throw invalid(`Value provided in ${parameter} unused in expressions: keys: {${idle.join(', ')}}`);
  }
}

function checkedNames(names: unknown): Record<string, string> {
  const checked = checkedAliases('ExpressionAttributeNames', names, /^#[A-Za-z0-9_]+$/);
  for (const alias of Object.keys(checked)) {
    if (alias.length > tableLimits.expressionNameBytesMax) {
      throw invalid(`ExpressionAttributeNames contains invalid key: key too long; size of key: ${alias.length}`);
    }
    const name = ownValue(checked, alias);
    if (typeof name !== 'string' || name === '' || textBytes(name) > tableLimits.attributeNameBytesMax) {
      throw invalid(`ExpressionAttributeNames contains invalid value: ${String(name)} for key ${alias}`);
    }
  }
  return checked as Record<string, string>; // a cast: every value was checked above
}

function checkedValues(values: unknown, format: Pick<ValueFormat, 'readItem'>): Record<string, Value> {
  const { item, bytes } = format.readItem(checkedAliases('ExpressionAttributeValues', values, /^:[A-Za-z0-9_]+$/));
  if (bytes > tableLimits.expressionValuesBytesMax) {
    throw invalid(`ExpressionAttributeValues exceeds max size: ${bytes} bytes`);
  }
  return item;
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
