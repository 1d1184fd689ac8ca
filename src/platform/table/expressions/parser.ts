/** From text to syntax: one function for each rule of the grammar, in the order of precedence. */
import { tableLimits } from '../limits.ts';
import { Reader } from './reader.ts';
import {
  type Comparator,
  type Condition,
  type ConditionFunction,
  conditionFunctions,
  type Operand,
  type Parsed,
  type Path,
  type Update,
  type UpdateValue,
} from './syntax.ts';
import type { ExpressionKind } from './tokenizer.ts';

export function parseCondition(kind: ExpressionKind, text: string): Parsed<Condition> {
  const reader = new Reader(kind, text);
  return reader.finish(disjunction(reader));
}

export function parseProjection(text: string): Parsed<readonly Path[]> {
  const reader = new Reader('ProjectionExpression', text);
  return reader.finish(reader.list(() => reader.path()));
}

export function parseUpdate(text: string): Parsed<Update> {
  const reader = new Reader('UpdateExpression', text);
  const clauses: { -readonly [Clause in keyof Update]?: Update[Clause] } = {};
  const once = (clause: keyof Update) => {
    if (clauses[clause] !== undefined) {
      throw reader.invalid(`The "${clause.toUpperCase()}" section can only be used once in an update expression;`);
    }
  };
  while (reader.next.type !== 'end') {
    if (reader.takeKeyword('SET')) {
      once('set');
      clauses.set = reader.list(() => assignment(reader));
    } else if (reader.takeKeyword('REMOVE')) {
      once('remove');
      clauses.remove = reader.list(() => reader.path());
    } else if (reader.takeKeyword('ADD')) {
      once('add');
      clauses.add = reader.list(() => pathAndValue(reader));
    } else if (reader.takeKeyword('DELETE')) {
      once('delete');
      clauses.delete = reader.list(() => pathAndValue(reader));
    } else {
      throw reader.unexpected();
    }
  }
  return reader.finish({ set: [], remove: [], add: [], delete: [], ...clauses });
}

function disjunction(reader: Reader): Condition {
  let left = conjunction(reader);
  while (reader.takeKeyword('OR')) {
    reader.countOperator();
    left = { kind: 'or', left, right: conjunction(reader) };
  }
  return left;
}

function conjunction(reader: Reader): Condition {
  let left = negation(reader);
  while (reader.takeKeyword('AND')) {
    reader.countOperator();
    left = { kind: 'and', left, right: negation(reader) };
  }
  return left;
}

function negation(reader: Reader): Condition {
  if (!reader.takeKeyword('NOT')) return primary(reader);
  reader.countOperator();
  return { kind: 'not', inner: negation(reader) };
}

function primary(reader: Reader): Condition {
  if (reader.takeSymbol('(')) return parenthesised(reader);
  if (reader.next.type === 'word' && isCall(reader) && reader.next.text !== 'size') return functionCall(reader);
  return comparison(reader, operand(reader));
}

function parenthesised(reader: Reader): Condition {
  const inner = reader.nested(() => disjunction(reader));
  reader.expectSymbol(')');
  if (reader.parenthesised.has(inner)) throw reader.invalid('The expression has redundant parentheses;');
  reader.parenthesised.add(inner);
  return inner;
}

function functionCall(reader: Reader): Condition {
  const { text: name } = reader.take();
  if (!isConditionFunction(name)) throw reader.invalid(`Invalid function name; function: ${name}`);
  reader.countOperator();
  reader.expectSymbol('(');
  const operands = reader.list(() => operand(reader));
  reader.expectSymbol(')');
  if (operands.length !== conditionFunctions[name]) {
    throw reader.invalid(
      `Incorrect number of operands for operator or function; operator or function: ${name}, number of operands: ${operands.length}`,
    );
  }
  return { kind: 'function', name, operands };
}

function isConditionFunction(name: string): name is ConditionFunction {
  return Object.hasOwn(conditionFunctions, name);
}

function comparison(reader: Reader, left: Operand): Condition {
  reader.countOperator();
  if (reader.takeKeyword('BETWEEN')) {
    const lower = operand(reader);
    reader.expectKeyword('AND');
    return { kind: 'between', operand: left, lower, upper: operand(reader) };
  }
  if (reader.takeKeyword('IN')) return { kind: 'in', operand: left, candidates: candidates(reader) };
  const { text } = reader.next;
  if (reader.next.type !== 'symbol' || !isComparator(text)) throw reader.unexpected();
  reader.take();
  return { kind: 'compare', comparator: text, left, right: operand(reader) };
}

function candidates(reader: Reader): Operand[] {
  reader.expectSymbol('(');
  const all = reader.list(() => operand(reader));
  reader.expectSymbol(')');
  if (all.length > tableLimits.inOperandsMax) {
    throw reader.invalid(`The IN operator is provided with too many operands; number of operands: ${all.length}`);
  }
  return all;
}

function isComparator(text: string): text is Comparator {
  return text === '=' || text === '<>' || text === '<' || text === '<=' || text === '>' || text === '>=';
}

function operand(reader: Reader): Operand {
  if (reader.next.type === 'value') return { value: reader.value() };
  if (!isCall(reader)) return { path: reader.path() };
  const { text: name } = reader.take();
  if (name !== 'size') {
    throw isConditionFunction(name)
      ? reader.invalid(`The function is not allowed to be used this way in an expression; function: ${name}`)
      : reader.invalid(`Invalid function name; function: ${name}`);
  }
  reader.countOperator();
  reader.expectSymbol('(');
  const sizeOf = reader.path();
  reader.expectSymbol(')');
  return { sizeOf };
}

function isCall(reader: Reader): boolean {
  return reader.next.type === 'word' && reader.afterNext.type === 'symbol' && reader.afterNext.text === '(';
}

function assignment(reader: Reader): Update['set'][number] {
  const path = reader.path();
  reader.expectSymbol('=');
  return { path, value: updateValue(reader) };
}

function pathAndValue(reader: Reader): Update['add'][number] {
  return { path: reader.path(), value: reader.value() };
}

function updateValue(reader: Reader): UpdateValue {
  const left = updateArgument(reader);
  const kind = reader.takeSymbol('+') ? 'plus' : reader.takeSymbol('-') ? 'minus' : undefined;
  if (kind === undefined) return left;
  reader.countOperator();
  return { kind, left, right: updateArgument(reader) };
}

function updateArgument(reader: Reader): UpdateValue {
  if (reader.next.type === 'value') return { value: reader.value() };
  if (reader.takeSymbol('(')) {
    const inner = reader.nested(() => updateValue(reader));
    reader.expectSymbol(')');
    return inner;
  }
  return isCall(reader) ? updateFunction(reader) : { path: reader.path() };
}

function updateFunction(reader: Reader): UpdateValue {
  const { text: name } = reader.take();
  reader.countOperator();
  reader.expectSymbol('(');
  let call: UpdateValue;
  if (name === 'if_not_exists') {
    const path = reader.path();
    reader.expectSymbol(',');
    call = { kind: name, path, otherwise: reader.nested(() => updateArgument(reader)) };
  } else if (name === 'list_append') {
    const left = reader.nested(() => updateArgument(reader));
    reader.expectSymbol(',');
    call = { kind: name, left, right: reader.nested(() => updateArgument(reader)) };
  } else {
    throw reader.invalid(`Invalid function name; function: ${name}`);
  }
  reader.expectSymbol(')');
  return call;
}
