/** Keeps out of a recording what must not leave the deployment: secrets, and, when asked, the names of things and users. */
import { Redactor, redacted } from '../../ops/logs/redactor.ts';
import { testingLimits } from '../limits.ts';

export class Cleaning {
  readonly #redactor: Redactor;
  readonly #names: ReadonlyMap<string, string>;
  readonly #pattern: RegExp | undefined;

  /**
   * @param redactKeys  further names of properties whose values are secret
   * @param names  what stands in place of which name, wherever it occurs
   */
  constructor({ redactKeys, names }: { redactKeys: readonly string[]; names: ReadonlyMap<string, string> }) {
    this.#redactor = new Redactor(redactKeys);
    this.#names = names;
    this.#pattern = patternOf([...names.keys()]);
  }

  text(text: string): string {
    const clean = this.#redactor.text(text, testingLimits.recordingLineBytesMax);
    return this.#pattern === undefined ? clean : clean.replaceAll(this.#pattern, name => this.#names.get(name) ?? name);
  }

  /** The values of secret properties go; their kinds stay, so that what checks the kind still takes it. */
  value(value: unknown): unknown {
    if (typeof value === 'string') return this.text(value);
    if (Array.isArray(value)) return value.map(each => this.value(each));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).map(([name, held]) => [
        this.text(name),
        this.#redactor.isSecret(name) ? blank(held) : this.value(held),
      ]),
    );
  }
}

/** Of any depth: everything below a secret is secret. */
function blank(value: unknown): unknown {
  if (typeof value === 'string') return redacted;
  if (typeof value === 'number') return 0;
  if (Array.isArray(value)) return value.map(blank);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, held]) => [name, blank(held)]));
}

/** Whole names only: `lamp-1` is no part of `lamp-10`. */
function patternOf(names: readonly string[]): RegExp | undefined {
  if (names.length === 0) return undefined;
  const longestFirst = names.toSorted((left, right) => right.length - left.length);
  const escaped = longestFirst.map(name => name.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, '\\$&'));
  return new RegExp(`(?<![A-Za-z0-9_-])(?:${escaped.join('|')})(?![A-Za-z0-9_-])`, 'g');
}

/** `thing-1`, `thing-2`, … in the order they come. */
export function newNames(things: Iterable<string>, users: Iterable<string>): Map<string, string> {
  const names = new Map<string, string>();
  let count = 0;
  for (const thing of things) if (!names.has(thing)) names.set(thing, `thing-${++count}`);
  count = 0;
  for (const user of users) if (!names.has(user)) names.set(user, `user-${++count}`);
  return names;
}
