import { isMqttString } from '../mqtt/utf8.ts';
import { parameterNotValid, targetNotValid } from './errors.ts';
import { dataPlaneLimits } from './limits.ts';

/** The request line taken apart. */
export interface Target {
  /** As it was sent: routes are compared with it, and only what follows a route's prefix is decoded, once (hostile H07). */
  readonly path: string;
  readonly parameters: Parameters;
}

/** @throws `iot.targetNotValid` */
export function readTarget(url = ''): Target {
  // The full form of a URL is for proxies (hostile H03); bytes beyond ASCII come percent-encoded or not at all.
  if (!/^\/[!-~]*$/.test(url) || url.includes('#')) throw targetNotValid('it is not a path in plain ASCII');
  const query = url.indexOf('?');
  return query < 0
    ? { path: url, parameters: new Parameters('') }
    : { path: url.slice(0, query), parameters: new Parameters(url.slice(query + 1)) };
}

/** Percent-decoded once. Strict: no broken escapes, no invalid or overlong UTF-8, no NUL (hostile W09). */
export function decodeOnce(text: string): string {
  let decoded: string;
  try {
    decoded = decodeURIComponent(text);
  } catch {
    throw targetNotValid('an escape is broken, or is not UTF-8');
  }
  if (!isMqttString(decoded)) throw targetNotValid('it has a NUL character');
  return decoded;
}

/** What follows the question mark. A plus sign is a plus sign, as topic filters need it, and never a space. */
export class Parameters {
  readonly #values = new Map<string, string[]>();

  constructor(query: string) {
    const pairs = query === '' ? [] : query.split('&', dataPlaneLimits.parametersMax + 1);
    if (pairs.length > dataPlaneLimits.parametersMax) throw targetNotValid('the query has too many parameters');
    for (const pair of pairs) {
      const equals = pair.indexOf('=');
      const name = decodeOnce(equals < 0 ? pair : pair.slice(0, equals));
      const value = equals < 0 ? '' : decodeOnce(pair.slice(equals + 1));
      const values = this.#values.get(name);
      if (values) values.push(value);
      else this.#values.set(name, [value]);
    }
  }

  all(name: string): readonly string[] {
    return this.#values.get(name) ?? [];
  }

  /** @throws `iot.parameterNotValid` when it is there more than once: which one counts is nothing to guess */
  find(name: string): string | undefined {
    const [value, ...others] = this.all(name);
    if (others.length > 0) throw parameterNotValid(name, 'it stands there more than once');
    return value;
  }

  findWhole(name: string, from: number, to: number): number | undefined {
    const text = this.find(name);
    return text === undefined ? undefined : wholeNumber(name, text, from, to);
  }

  findOneOf<Choice extends string>(name: string, choices: readonly Choice[]): Choice | undefined {
    const text = this.find(name);
    if (text === undefined) return undefined;
    const choice = choices.find(each => each === text);
    if (choice === undefined) throw parameterNotValid(name, `it is ${choices.join(' or ')}`);
    return choice;
  }

  /** Whole numbers with commas between them; [] when it is not there. */
  findList(name: string, from: number, to: number, countMax: number): number[] {
    const text = this.find(name);
    if (text === undefined || text === '') return [];
    const parts = text.split(',', countMax + 1);
    if (parts.length > countMax) throw parameterNotValid(name, `it has at most ${countMax} numbers`);
    return parts.map(part => wholeNumber(name, part, from, to));
  }
}

function wholeNumber(name: string, text: string, from: number, to: number): number {
  const number = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  if (number >= from && number <= to) return number;
  throw parameterNotValid(name, `whole numbers from ${from} to ${to}`);
}
