/** From the text of a condition to its syntax: one function for each rule of the grammar, in the order of precedence. */
import { Reader } from './reader.ts';
import {
  type Comparator,
  type Condition,
  type ConditionFunction,
  conditionFunctions,
  type Operand,
  type Parsed,
  type Path,
  updateFunctions,
} from './syntax.ts';
import type { ExpressionKind } from './tokenizer.ts';

export function parseCondition(kind: ExpressionKind, text: string, isBounded = true): Parsed<Condition> {
  return new ConditionParser(new Reader(kind, text, isBounded)).parse();
}

/** A function that was called; what follows tells whether as a condition or as an operand. */
interface Call {
  readonly call: string;
  readonly operands: readonly Operand[];
}

type Node = Condition | Operand | Call;

class ConditionParser {
  readonly #reader: Reader;
  /** What stood in parentheses; a second pair around the same is refused. */
  readonly #parenthesised = new WeakSet<object>();

  constructor(reader: Reader) {
    this.#reader = reader;
  }

  parse(): Parsed<Condition> {
    return this.#reader.finish(this.#condition(this.#disjunction()));
  }

  #disjunction(): Node {
    return this.#chain('or', 'OR', () => this.#conjunction());
  }

  #conjunction(): Node {
    return this.#chain('and', 'AND', () => this.#negation());
  }

  #chain(kind: 'and' | 'or', keyword: string, readOne: () => Node): Node {
    const first = readOne();
    if (!this.#reader.isKeyword(keyword)) return first;
    const parts = [this.#condition(first)];
    while (this.#reader.takeKeyword(keyword)) {
      this.#reader.countOperator();
      parts.push(this.#condition(readOne()));
    }
    return { kind, parts };
  }

  #negation(): Node {
    let negations = 0;
    while (this.#reader.takeKeyword('NOT')) {
      this.#reader.countOperator();
      negations++;
    }
    let node = this.#comparison();
    for (; negations > 0; negations--) node = { kind: 'not', inner: this.#condition(node) };
    return node;
  }

  /** A comparison, a condition in parentheses, a call; or an operand that was in parentheses, for who asked to judge. */
  #comparison(): Node {
    const node = this.#reader.takeSymbol('(') ? this.#group() : this.#single();
    if ('kind' in node) return node;
    const reader = this.#reader;
    if (reader.takeKeyword('BETWEEN')) {
      reader.countOperator();
      const lower = this.#operand();
      reader.expectKeyword('AND');
      const upper = this.#operand();
      return { kind: 'between', operands: [this.#asOperand(node), lower, upper] };
    }
    if (reader.takeKeyword('IN')) {
      reader.countOperator();
      reader.expectSymbol('(');
      const candidates = reader.list(() => this.#operand());
      reader.expectSymbol(')');
      return { kind: 'in', operands: [this.#asOperand(node), ...candidates] };
    }
    const { type, text } = reader.next;
    if (type !== 'symbol' || !isComparator(text)) return node;
    reader.countOperator();
    reader.take();
    const right = this.#operand();
    return { kind: 'compare', comparator: text, operands: [this.#asOperand(node), right] };
  }

  /** Behind an opening parenthesis: whatever it encloses. */
  #group(): Node {
    const inner = this.#reader.nested(() => this.#disjunction());
    return this.#closed(inner);
  }

  #closed<Inner extends Node>(inner: Inner): Inner | { readonly path: Path } {
    const reader = this.#reader;
    reader.expectSymbol(')');
    if (this.#parenthesised.has(inner)) reader.refuse('parentheses', 'The expression has redundant parentheses;');
    this.#parenthesised.add(inner);
    const goesOn = reader.isSymbol('.') || reader.isSymbol('[');
    return goesOn && 'path' in inner ? { path: reader.longerPath(inner.path) } : inner;
  }

  #operand(): Operand {
    const reader = this.#reader;
    if (!reader.takeSymbol('(')) return this.#asOperand(this.#single());
    const inner = reader.nested(() => this.#operand());
    return this.#closed(inner);
  }

  #single(): Operand | Call {
    const reader = this.#reader;
    const name = reader.takeCall();
    if (name === undefined) return reader.next.type === 'value' ? reader.value() : { path: reader.path() };
    if (Object.hasOwn(updateFunctions, name)) {
      reader.refuse('functionName', `The function is not allowed in a condition expression; function: ${name}`);
    } else if (name !== 'size' && !isConditionFunction(name)) {
      reader.refuse('functionName', `Invalid function name; function: ${name}`);
    }
    const operands = reader.nested(() => reader.list(() => this.#operand()));
    reader.expectSymbol(')');
    return { call: name, operands };
  }

  #asOperand(node: Operand | Call): Operand {
    if (!('call' in node)) return node;
    if (node.call !== 'size') this.#refusePlace(node.call);
    return { size: node.operands };
  }

  /** An operand alone is no condition; that something had to follow shows only here. */
  #condition(node: Node): Condition {
    if ('kind' in node) return node;
    if (!('call' in node)) throw this.#reader.unexpected();
    if (node.call === 'size') this.#refusePlace(node.call);
    // A cast: any other name has been refused, and the expression will not be used.
    return { kind: 'function', name: node.call as ConditionFunction, operands: node.operands };
  }

  #refusePlace(name: string): void {
    const message = `The function is not allowed to be used this way in an expression; function: ${name}`;
    this.#reader.refuse('functionPlace', message);
  }
}

function isConditionFunction(name: string): name is ConditionFunction {
  return Object.hasOwn(conditionFunctions, name);
}

function isComparator(text: string): text is Comparator {
  return text === '=' || text === '<>' || text === '<' || text === '<=' || text === '>' || text === '>=';
}
