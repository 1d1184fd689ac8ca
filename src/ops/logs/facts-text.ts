/**
 * Facts as JSON, whatever they are: cyclic, huge, with getters that throw. What goes beyond a limit is left out and said
 * to be. It never throws.
 */
import { codeOf, MimamoriError, messageOf } from '../../kernel/errors.ts';
import { logLimits } from '../limits.ts';
import { type Redactor, redacted } from './redactor.ts';

/** The facts of a line, `{…}`; undefined when there are none. `error` is told apart, by `errorText`. */
export function factsText(facts: object, redactor: Redactor): string | undefined {
  const writer = new FactsWriter(redactor);
  const text = writer.write(facts, 'error');
  return text === '{}' ? undefined : text;
}

/** An error with its code, its stack and its causes. */
export function errorText(error: unknown, redactor: Redactor): string {
  return new FactsWriter(redactor).error(error, 0);
}

/** JSON that no terminal and no log viewer takes for anything but text: control, format and separator characters escaped. */
export function jsonText(text: string): string {
  const json = JSON.stringify(text);
  return unprintable.test(json) ? json.replaceAll(unprintables, escaped) : json;
}

const unprintable = /[\x7f-\x9f\p{Cf}\p{Zl}\p{Zp}]/u; // JSON.stringify escapes those below a space
const unprintables = new RegExp(unprintable.source, 'gu');

function escaped(character: string): string {
  let text = '';
  for (let at = 0; at < character.length; at++) text += `\\u${character.charCodeAt(at).toString(16).padStart(4, '0')}`;
  return text;
}

class FactsWriter {
  readonly #redactor: Redactor;
  /** The objects that the one being written lies in. */
  readonly #around: object[] = [];
  #charactersLeft: number = logLimits.factsCharactersMax;

  constructor(redactor: Redactor) {
    this.#redactor = redactor;
  }

  /** @param except  a name at the top that is left out when its value is an error */
  write(value: unknown, except?: string): string {
    try {
      return this.#value(value, except) ?? 'null';
    } catch {
      return jsonText('[unreadable]'); // A getter or a toJSON that throws, a proxy that was revoked.
    }
  }

  error(error: unknown, depth: number): string {
    try {
      return this.#error(error, depth);
    } catch {
      return '{"code":"internal","message":"[unreadable]"}';
    }
  }

  /** Undefined for what JSON has no word for: it is left out. */
  #value(value: unknown, except?: string): string | undefined {
    switch (typeof value) {
      case 'string':
        return this.#text(value);
      case 'number':
        return Number.isFinite(value) ? String(value) : `"${value}"`;
      case 'boolean':
        return String(value);
      case 'bigint':
        return `"${value}"`;
      case 'undefined':
        return undefined;
      case 'object':
        return value === null ? 'null' : this.#object(value, except);
      default:
        return `"[${typeof value}]"`;
    }
  }

  #text(text: string): string {
    const room = Math.min(logLimits.textCharactersMax, Math.max(this.#charactersLeft, 0));
    const json = jsonText(this.#redactor.text(text, room));
    this.#charactersLeft -= json.length;
    return json;
  }

  #object(value: object, except?: string): string {
    if (value instanceof Error) return this.error(value, 0);
    if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return `"[${value.byteLength} bytes]"`;
    if (this.#around.includes(value)) return '"[circular]"';
    if (this.#around.length >= logLimits.depthMax) return '"[deeper]"';
    this.#around.push(value);
    try {
      if (Array.isArray(value)) return this.#list(value, value.length);
      if (value instanceof Set) return this.#list(value, value.size);
      if (value instanceof Map) return this.#entries(value, value.size);
      const ownForm: unknown = 'toJSON' in value ? value.toJSON : undefined;
      if (typeof ownForm === 'function') return this.#value(ownForm.call(value)) ?? 'null';
      const names = Object.keys(value);
      return this.#entries(propertiesOf(value, names), names.length, except);
    } finally {
      this.#around.pop();
    }
  }

  #list(items: Iterable<unknown>, count: number): string {
    const parts: string[] = [];
    for (const item of items) {
      if (this.#isFull(parts.length)) {
        parts.push(`"… (${count} in all)"`);
        break;
      }
      parts.push(this.write(item));
    }
    return `[${parts.join(',')}]`;
  }

  #entries(entries: Iterable<readonly [unknown, unknown]>, count: number, except?: string): string {
    const parts: string[] = [];
    for (const [key, value] of entries) {
      if (this.#isFull(parts.length)) {
        parts.push(`"…":"${count} in all"`);
        break;
      }
      const name = typeof key === 'string' ? key : String(key);
      if (name === except && value instanceof Error) continue;
      const text = this.#redactor.isSecret(name) && !isHarmless(value) ? `"${redacted}"` : this.#valueOrWhyNot(value);
      if (text === undefined) continue;
      const label = jsonText(this.#redactor.text(name, logLimits.keyCharactersMax));
      this.#charactersLeft -= label.length + 2;
      parts.push(`${label}:${text}`);
    }
    return `{${parts.join(',')}}`;
  }

  #valueOrWhyNot(value: unknown): string | undefined {
    return value === undefined ? undefined : this.write(value);
  }

  #isFull(written: number): boolean {
    return written >= logLimits.entriesMax || this.#charactersLeft <= 0;
  }

  #error(error: unknown, depth: number): string {
    if (!(error instanceof Error)) return `{"code":"internal","message":${this.#text(messageOf(error))}}`;
    const parts = [`"code":${this.#text(codeOf(error))}`];
    if (error.name !== 'Error' && error.name !== 'MimamoriError')
      parts.push(`"name":${this.#text(String(error.name))}`);
    parts.push(`"message":${this.#text(String(error.message))}`);
    if (error instanceof MimamoriError) parts.push(`"fix":${this.#text(error.fix)}`);
    const stack = framesOf(error);
    if (stack !== '') parts.push(`"stack":${jsonText(this.#redactor.text(stack, logLimits.errorCharactersMax))}`);
    const behind = causesOf(error).map(cause => this.error(cause, depth + 1));
    if (behind.length > 0 && depth >= logLimits.causesMax) parts.push('"cause":"[deeper]"');
    else if (behind.length > 0) parts.push(`"cause":${behind.length === 1 ? behind[0] : `[${behind.join(',')}]`}`);
    return `{${parts.join(',')}}`;
  }
}

/** Each value only when it is asked for: a getter that throws costs its own value, not the others. */
function* propertiesOf(value: object, names: readonly string[]): Generator<[string, unknown]> {
  for (const name of names) {
    let property: unknown = '[unreadable]';
    try {
      property = Reflect.get(value, name);
    } catch {}
    yield [name, property];
  }
}

/** Whether a token was there is worth knowing; what it was is not. */
function isHarmless(value: unknown): boolean {
  return value === undefined || value === null || typeof value === 'boolean';
}

/** The frames alone: name and message stand beside them. */
function framesOf(error: Error): string {
  const lines = typeof error.stack === 'string' ? error.stack.slice(0, stackCharactersRead).split('\n') : [];
  const frames = lines.map(line => line.trim()).filter(line => line.startsWith('at '));
  return frames.slice(0, logLimits.stackFramesMax).join('\n');
}

const stackCharactersRead = 20_000; // ours: the message comes first, and may be long

function causesOf(error: Error): unknown[] {
  const several = error instanceof AggregateError ? error.errors.slice(0, logLimits.causesMax) : [];
  return error.cause === undefined ? several : [error.cause, ...several];
}
