import { invalid } from '../errors.ts';
import { tableLimits } from '../limits.ts';
import { isReservedWord } from './reserved-words.ts';
import type { Parsed, Path, PathStep } from './syntax.ts';
import { type ExpressionKind, syntaxError, type Token, tokenize } from './tokenizer.ts';

/** Reads tokens one by one, and what all expressions share: paths, aliases, keywords. */
export class Reader {
  readonly kind: ExpressionKind;
  /** Conditions that stood in parentheses; a second pair around the same one is refused. */
  readonly parenthesised = new WeakSet<object>();
  readonly #text: string;
  readonly #tokens: Token[];
  readonly #paths: Path[] = [];
  readonly #names = new Set<string>();
  readonly #values = new Set<string>();
  #at = 0;
  #operators = 0;
  #depth = 0;

  constructor(kind: ExpressionKind, text: string) {
    this.kind = kind;
    this.#text = text;
    this.#tokens = tokenize(kind, text);
  }

  get next(): Token {
    return this.#tokens[this.#at];
  }

  /** The token behind the next one. */
  get afterNext(): Token {
    return this.#tokens[Math.min(this.#at + 1, this.#tokens.length - 1)];
  }

  take(): Token {
    const token = this.next;
    if (token.type !== 'end') this.#at++;
    return token;
  }

  isSymbol(symbol: string): boolean {
    return this.next.type === 'symbol' && this.next.text === symbol;
  }

  takeSymbol(symbol: string): boolean {
    if (!this.isSymbol(symbol)) return false;
    this.#at++;
    return true;
  }

  expectSymbol(symbol: string): void {
    if (!this.takeSymbol(symbol)) throw this.unexpected();
  }

  isKeyword(keyword: string): boolean {
    return this.next.type === 'word' && this.next.text.toUpperCase() === keyword;
  }

  takeKeyword(keyword: string): boolean {
    if (!this.isKeyword(keyword)) return false;
    this.#at++;
    return true;
  }

  expectKeyword(keyword: string): void {
    if (!this.takeKeyword(keyword)) throw this.unexpected();
  }

  unexpected(token: Token = this.next) {
    return syntaxError(this.kind, this.#text, token);
  }

  invalid(message: string) {
    return invalid(`Invalid ${this.kind}: ${message}`);
  }

  /** Counts operators and functions: the limit also bounds how deep the parser and what follows may recurse. */
  countOperator(): void {
    if (++this.#operators > tableLimits.expressionOperatorsMax) {
      throw this.invalid(`The expression contains too many operators; operator count: ${this.#operators}`);
    }
  }

  /** Runs `parse` one parenthesis deeper. */
  nested<T>(parse: () => T): T {
    if (++this.#depth > tableLimits.expressionOperatorsMax) throw this.invalid('The expression is nested too deep');
    const result = parse();
    this.#depth--;
    return result;
  }

  list<T>(readOne: () => T): T[] {
    const all = [readOne()];
    while (this.takeSymbol(',')) all.push(readOne());
    return all;
  }

  value(): string {
    if (this.next.type !== 'value') throw this.unexpected();
    const { text } = this.take();
    this.#values.add(text);
    return text;
  }

  path(): Path {
    const steps = [this.#nameStep()];
    this.#paths.push(steps);
    for (;;) {
      if (this.takeSymbol('.')) steps.push(this.#nameStep());
      else if (this.takeSymbol('[')) steps.push(this.#indexStep());
      else return steps;
    }
  }

  #nameStep(): PathStep {
    const token = this.take();
    if (token.type === 'name') {
      this.#names.add(token.text);
      return { alias: token.text };
    }
    if (token.type !== 'word') throw this.unexpected(token);
    if (isReservedWord(token.text)) {
      throw this.invalid(`Attribute name is a reserved keyword; reserved keyword: ${token.text}`);
    }
    return { name: token.text };
  }

  #indexStep(): PathStep {
    const token = this.take();
    if (token.type !== 'integer') throw this.unexpected(token);
    this.expectSymbol(']');
    const index = Number(token.text);
    if (index > 2 ** 31 - 1) throw this.invalid(`List index is not within the allowable range; index: [${token.text}]`);
    return { index };
  }

  /** Nothing may follow. */
  finish<Syntax>(syntax: Syntax): Parsed<Syntax> {
    if (this.next.type !== 'end') throw this.unexpected();
    return { syntax, paths: this.#paths, names: [...this.#names], values: [...this.#values] };
  }
}
