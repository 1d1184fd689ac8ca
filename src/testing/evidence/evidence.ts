/** What there was: a list that says what it holds when it is not what a test expects. */
import { inspect } from 'node:util';
import { listed, unexpected } from '../errors.ts';
import { type Expected, isAsExpected } from './matching.ts';

export class Evidence<T> implements Iterable<T> {
  /** In one word, in the plural: `messages`. */
  readonly #what: string;
  readonly #all: readonly T[];

  constructor(what: string, all: readonly T[]) {
    this.#what = what;
    this.#all = all;
  }

  get length(): number {
    return this.#all.length;
  }

  all(): T[] {
    return [...this.#all];
  }

  [Symbol.iterator](): Iterator<T> {
    return this.#all[Symbol.iterator]();
  }

  map<Result>(of: (each: T) => Result): Result[] {
    return this.#all.map(each => of(each));
  }

  /** Those that are as expected. */
  where(expected: Expected<T>): Evidence<T> {
    return new Evidence(
      `${this.#what} like ${textOf(expected)}`,
      this.#all.filter(each => isAsExpected(each, expected)),
    );
  }

  /** The only one that is as expected. Throws `testing.unexpected`, which says what there was instead. */
  one(expected?: Expected<T>): T {
    const found = this.#matching(expected);
    if (found.length === 1) return found[0];
    throw this.#refusal(found.length === 0 ? 'There is none' : `There are ${found.length}, not one`, expected, found);
  }

  /** The newest one that is as expected. Throws `testing.unexpected`. */
  last(expected?: Expected<T>): T {
    const found = this.#matching(expected);
    const last = found.at(-1);
    if (last === undefined) throw this.#refusal('There is none', expected, found);
    return last;
  }

  /** Throws `testing.unexpected` unless there are exactly so many. */
  count(count: number, expected?: Expected<T>): T[] {
    const found = this.#matching(expected);
    if (found.length === count) return found;
    throw this.#refusal(`There are ${found.length}, not ${count}`, expected, found);
  }

  /** Throws `testing.unexpected` if there is any. */
  none(expected?: Expected<T>): void {
    this.count(0, expected);
  }

  #matching(expected: Expected<T> | undefined): T[] {
    return expected === undefined ? [...this.#all] : this.#all.filter(each => isAsExpected(each, expected));
  }

  #refusal(how: string, expected: Expected<T> | undefined, found: readonly T[]): Error {
    const like = expected === undefined ? '' : ` like ${textOf(expected)}`;
    const shown = found.length > 0 ? found : this.#all;
    const instead = shown.length === 0 ? 'There were no others.' : `There was: ${listed(shown.map(textOf))}.`;
    return unexpected(
      `${how} of the ${this.#what}${like}. ${instead}`,
      'Look at what there was, or at what made it so.',
    );
  }
}

const textCharactersMax = 400; // ours: of one of several in a message

function textOf(value: unknown): string {
  const text = inspect(value, { depth: 4, breakLength: Number.POSITIVE_INFINITY, compact: true });
  return text.length <= textCharactersMax ? text : `${text.slice(0, textCharactersMax)}…`;
}
