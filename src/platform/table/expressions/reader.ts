import { invalid, type TableError } from '../errors.ts';
import { tableLimits } from '../limits.ts';
import { isReservedWord } from './reserved-words.ts';
import type { Parsed, Path, PathStep, ValueAlias } from './syntax.ts';
import { type ExpressionKind, type Token, tokenize } from './tokenizer.ts';

/** What the text alone shows to be wrong though its grammar is right. DynamoDB reports one kind before the other. */
type Refusal = 'parentheses' | 'reserved' | 'functionName' | 'functionPlace' | 'section';

const conditionOrder: readonly Refusal[] = ['parentheses', 'functionName', 'functionPlace', 'reserved'];
const updateOrder: readonly Refusal[] = ['parentheses', 'reserved', 'functionName', 'functionPlace', 'section'];

/** Words that cannot be names, and so make a syntax error where a name is expected. */
const conditionKeywords: ReadonlySet<string> = new Set(['AND', 'BETWEEN', 'IN', 'NOT', 'OR']);
const updateKeywords: ReadonlySet<string> = new Set(['ADD', 'DELETE', 'REMOVE', 'SET']);
const noKeywords: ReadonlySet<string> = new Set();

/** Reads tokens one by one, and what all expressions share: paths, aliases, keywords. */
export class Reader {
  readonly kind: ExpressionKind;
  readonly #text: string;
  readonly #tokens: readonly Token[];
  readonly #keywords: ReadonlySet<string>;
  readonly #paths: Path[] = [];
  readonly #names = new Set<string>();
  readonly #values = new Map<string, number>();
  readonly #refusals = new Map<Refusal, string>();
  readonly #isBounded: boolean;
  #at = 0;
  #operators = 0;
  #depth = 0;

  /** @param isBounded  whether what is read has the limits of what is sent */
  constructor(kind: ExpressionKind, text: string, isBounded = true) {
    this.kind = kind;
    this.#isBounded = isBounded;
    this.#text = text;
    this.#tokens = tokenize(kind, text, isBounded);
    this.#keywords =
      kind === 'UpdateExpression' ? updateKeywords : kind === 'ProjectionExpression' ? noKeywords : conditionKeywords;
  }

  get next(): Token {
    return this.#tokens[this.#at];
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

  /** A syntax error at the next token: `near` is what stands around it, from the token before to the one behind. */
  unexpected(): TableError {
    const before = this.#tokens[this.#at - 1] ?? this.next;
    const behind = this.#tokens[this.#at + 1] ?? this.next;
    const near = this.#text.slice(before.start, behind.end);
    return this.invalid(`Syntax error; token: "${this.next.text}", near: "${near}"`);
  }

  invalid(message: string): TableError {
    return invalid(`Invalid ${this.kind}: ${message}`);
  }

  /** Refuses the expression when it has been read to its end, unless a kind that comes first is refused too. */
  refuse(refusal: Refusal, message: string): void {
    if (!this.#refusals.has(refusal)) this.#refusals.set(refusal, message);
  }

  /** Counts operators and functions. */
  countOperator(): void {
    this.#operators++;
  }

  /** Runs `parse` one parenthesis deeper: bounds how deep the parser recurses. */
  nested<T>(parse: () => T): T {
    if (++this.#depth > tableLimits.expressionOperatorsMax) throw this.#tooDeep();
    const result = parse();
    this.#depth--;
    return result;
  }

  /**
   * So many open parentheses that the expression cannot be right: every level needs an operator of its own, or it is
   * redundant, or it never ends. This finds out which, as reading on would have done.
   */
  #tooDeep(): TableError {
    const count = (symbol: string) =>
      this.#tokens.filter(({ type, text }) => type === 'symbol' && text === symbol).length;
    if (count('(') !== count(')')) {
      this.#at = this.#tokens.length - 1;
      return this.unexpected();
    }
    const first = this.#order.map(refusal => this.#refusals.get(refusal)).find(message => message !== undefined);
    if (first !== undefined) return this.invalid(first);
    if (this.#operators > tableLimits.expressionOperatorsMax) return this.#tooManyOperators();
    return this.invalid('The expression has redundant parentheses;');
  }

  #tooManyOperators(): TableError {
    // DynamoDB reports where it stopped counting, not how many there are.
    return this.invalid(
      `The expression contains too many operators; operator count: ${tableLimits.expressionOperatorsMax + 1}`,
    );
  }

  get #order(): readonly Refusal[] {
    return this.kind === 'UpdateExpression' ? updateOrder : conditionOrder;
  }

  list<T>(readOne: () => T): T[] {
    const all = [readOne()];
    while (this.takeSymbol(',')) all.push(readOne());
    return all;
  }

  value(): ValueAlias {
    if (this.next.type !== 'value') throw this.unexpected();
    const { text } = this.take();
    const slot = this.#values.get(text) ?? this.#values.size;
    this.#values.set(text, slot);
    return { value: text, slot };
  }

  /** A function's name, if one is called here: a word that is no keyword, and an opening parenthesis. */
  takeCall(): string | undefined {
    const behind = this.#tokens[this.#at + 1];
    if (this.next.type !== 'word' || behind.type !== 'symbol' || behind.text !== '(') return undefined;
    if (this.#keywords.has(this.next.text.toUpperCase())) return undefined;
    this.countOperator();
    const name = this.take().text;
    this.take();
    return name;
  }

  path(): Path {
    const steps = [this.#nameStep()];
    this.#paths.push(steps);
    return this.#suffix(steps);
  }

  /** More steps behind a path that stood in parentheses. */
  longerPath(path: Path): Path {
    const steps = [...path];
    this.#paths[this.#paths.indexOf(path)] = steps;
    return this.#suffix(steps);
  }

  #suffix(steps: PathStep[]): Path {
    for (;;) {
      if (this.takeSymbol('.')) steps.push(this.#nameStep());
      else if (this.takeSymbol('[')) steps.push(this.#indexStep());
      else return steps;
    }
  }

  #nameStep(): PathStep {
    const { type, text } = this.next;
    if (type === 'name') {
      this.take();
      this.#names.add(text);
      return { alias: text };
    }
    if (type !== 'word' || this.#keywords.has(text.toUpperCase())) throw this.unexpected();
    this.take();
    if (isReservedWord(text)) {
      this.refuse('reserved', `Attribute name is a reserved keyword; reserved keyword: ${text}`);
    }
    return { name: text };
  }

  #indexStep(): PathStep {
    if (this.next.type !== 'integer') throw this.unexpected();
    const { text } = this.take();
    this.expectSymbol(']');
    const index = Number(text);
    if (index > tableLimits.listIndexMax) {
      this.refuse('reserved', `List index is not within the allowable range; index: [${text}]`);
    }
    return { index };
  }

  /** Nothing may follow, and nothing may have been refused. */
  finish<Root>(root: Root): Parsed<Root> {
    if (this.next.type !== 'end') throw this.unexpected();
    for (const refusal of this.#order) {
      const message = this.#refusals.get(refusal);
      if (message !== undefined) throw this.invalid(message);
    }
    const hasTooMany = this.#isBounded && this.#operators > tableLimits.expressionOperatorsMax;
    if (hasTooMany) throw this.#tooManyOperators();
    return { root, paths: this.#paths, names: [...this.#names], values: [...this.#values.keys()] };
  }
}
