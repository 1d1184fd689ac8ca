/** From the text of an update to its syntax. */
import { Reader } from './reader.ts';
import {
  conditionFunctions,
  type Parsed,
  type UpdateAction,
  type UpdateFunction,
  type UpdateValue,
  updateFunctions,
} from './syntax.ts';

export function parseUpdate(text: string, isBounded = true): Parsed<readonly UpdateAction[]> {
  return new UpdateParser(new Reader('UpdateExpression', text, isBounded)).parse();
}

class UpdateParser {
  readonly #reader: Reader;
  readonly #actions: UpdateAction[] = [];
  readonly #sections = new Set<UpdateAction['clause']>();
  /** What stood in parentheses; a second pair around the same is refused. */
  readonly #parenthesised = new WeakSet<object>();

  constructor(reader: Reader) {
    this.#reader = reader;
  }

  parse(): Parsed<readonly UpdateAction[]> {
    do this.#section();
    while (this.#reader.next.type !== 'end');
    return this.#reader.finish(this.#actions);
  }

  #section(): void {
    const reader = this.#reader;
    if (reader.takeKeyword('SET')) this.#actionsOf('set', () => this.#assignment());
    else if (reader.takeKeyword('REMOVE')) this.#actionsOf('remove', () => ({ clause: 'remove', path: reader.path() }));
    else if (reader.takeKeyword('ADD')) this.#actionsOf('add', () => this.#pathAndValue('add'));
    else if (reader.takeKeyword('DELETE')) this.#actionsOf('delete', () => this.#pathAndValue('delete'));
    else throw reader.unexpected();
  }

  #actionsOf(clause: UpdateAction['clause'], readOne: () => UpdateAction): void {
    if (this.#sections.has(clause)) {
      const message = `The "${clause.toUpperCase()}" section can only be used once in an update expression;`;
      this.#reader.refuse('section', message);
    }
    this.#sections.add(clause);
    this.#actions.push(...this.#reader.list(readOne));
  }

  #assignment(): UpdateAction {
    const path = this.#reader.path();
    this.#reader.expectSymbol('=');
    return { clause: 'set', path, value: this.#value() };
  }

  #pathAndValue(clause: 'add' | 'delete'): UpdateAction {
    return { clause, path: this.#reader.path(), value: this.#reader.value() };
  }

  /** One argument, or a sum or difference of two; either may stand in parentheses. */
  #value(): UpdateValue {
    const reader = this.#reader;
    const left = this.#argument(() => this.#value());
    const isSum = 'kind' in left && left.kind !== 'call';
    if (isSum) return left; // in parentheses; DynamoDB adds two numbers, not three
    const kind = reader.takeSymbol('+') ? 'plus' : reader.takeSymbol('-') ? 'minus' : undefined;
    if (kind === undefined) return left;
    reader.countOperator();
    const right = this.#argument(() => this.#argument());
    return { kind, left, right };
  }

  #argument(readInner: () => UpdateValue = () => this.#argument()): UpdateValue {
    const reader = this.#reader;
    if (reader.next.type === 'value') return reader.value();
    if (!reader.takeSymbol('(')) return this.#call() ?? { path: reader.path() };
    const inner = reader.nested(readInner);
    reader.expectSymbol(')');
    if (this.#parenthesised.has(inner)) reader.refuse('parentheses', 'The expression has redundant parentheses;');
    this.#parenthesised.add(inner);
    return inner;
  }

  #call(): UpdateValue | undefined {
    const reader = this.#reader;
    const name = reader.takeCall();
    if (name === undefined) return undefined;
    if (name === 'size' || Object.hasOwn(conditionFunctions, name)) {
      reader.refuse('functionName', `The function is not allowed in an update expression; function: ${name}`);
    } else if (!Object.hasOwn(updateFunctions, name)) {
      reader.refuse('functionName', `Invalid function name; function: ${name}`);
    }
    const operands = reader.nested(() => reader.list(() => this.#argument()));
    reader.expectSymbol(')');
    if (operands.some(operand => 'kind' in operand && operand.kind === 'call' && operand.name === 'list_append')) {
      const message = 'The function is not allowed to be used this way in an expression; function: list_append';
      reader.refuse('functionPlace', message);
    }
    // A cast: any other name has been refused, and the expression will not be used.
    return { kind: 'call', name: name as UpdateFunction, operands };
  }
}
