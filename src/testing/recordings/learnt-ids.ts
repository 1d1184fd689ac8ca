/**
 * What is called otherwise when it happens again: an app makes new ids each time. What an answer held then and holds now at
 * the same place is the same thing; from then on the one stands for the other wherever it occurs.
 */
export class LearntIds {
  readonly #now = new Map<string, string>();
  #pattern: RegExp | undefined;

  /** Compares an answer with what it was then. */
  learn(then: unknown, now: unknown): void {
    if (typeof then === 'string' && typeof now === 'string') {
      if (then !== now && looksLikeAnId(then)) this.#note(then, now);
      return;
    }
    if (typeof then !== 'object' || then === null || typeof now !== 'object' || now === null) return;
    for (const [name, held] of Object.entries(then)) this.learn(held, Reflect.get(now, name));
  }

  text(text: string): string {
    if (this.#pattern === undefined) return text;
    return text.replaceAll(this.#pattern, then => this.#now.get(then) ?? then);
  }

  value(value: unknown): unknown {
    if (typeof value === 'string') return this.text(value);
    if (Array.isArray(value)) return value.map(each => this.value(each));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([name, held]) => [name, this.value(held)]));
  }

  #note(then: string, now: string): void {
    if (this.#now.size >= idsMax) return;
    this.#now.set(then, now);
    const ids = [...this.#now.keys()].toSorted((left, right) => right.length - left.length);
    this.#pattern = new RegExp(ids.map(id => id.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, '\\$&')).join('|'), 'g');
  }
}

const idsMax = 10_000; // ours: learnt in one replay

/** Not a text for people, and no time: one word of some length with a digit in it. */
function looksLikeAnId(text: string): boolean {
  return text.length >= 6 && /^[\w:.-]+$/.test(text) && /\d/.test(text) && !/^\d{4}-\d\d-\d\dT/.test(text);
}
