/**
 * What is said of random expressions, beside dynalite, whose parsers were written against DynamoDB. They are older than
 * some of what DynamoDB refuses today; those differences are named here.
 */
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { testScale } from '../../../../test/support.ts';
import { TableError } from '../errors.ts';
import { wireFormat } from '../values/wire-format.ts';
import { Aliases } from './aliases.ts';
import { compileCondition } from './condition.ts';
import { keyTermsOf } from './key-condition.ts';
import { parseCondition } from './parse-condition.ts';
import { parseProjection } from './parse-projection.ts';
import { parseUpdate } from './parse-update.ts';
import { compileProjection } from './projection.ts';
import { compileUpdate } from './update.ts';

interface Validations {
  /** Refuses, or leaves what it has read in the request. */
  validateExpressions(request: Record<string, unknown>): string | undefined;
  convertKeyCondition(expression: unknown): unknown;
}

// A cast: it has no types. This is the part of it that checks expressions.
const dynalite = createRequire(import.meta.url)('dynalite/validations') as Validations;

const numRuns = testScale(800, 20_000);
const names = { '#x': 'a', '#y': 'c', '#z': '[3]' };
const values = {
  ':s': { S: 'b' },
  ':n': { N: '1' },
  ':l': { L: [] },
  ':b': { BOOL: true },
  ':ss': { SS: ['a'] },
};

const compilers = {
  FilterExpression: (text: string, aliases: Aliases) =>
    void compileCondition('FilterExpression', parseCondition('FilterExpression', text), aliases),
  UpdateExpression: (text: string, aliases: Aliases) => void compileUpdate(parseUpdate(text), aliases),
  KeyConditionExpression: (text: string, aliases: Aliases) =>
    void keyTermsOf(parseCondition('KeyConditionExpression', text), aliases),
  ProjectionExpression: (text: string, aliases: Aliases) => void compileProjection(parseProjection(text), aliases),
};
type Kind = keyof typeof compilers;

function ours(kind: Kind, text: string): string {
  try {
    compilers[kind](text, new Aliases(names, values, wireFormat));
    return 'accepted';
  } catch (error) {
    assert.ok(error instanceof TableError, `${text}: ${String(error)}`);
    return error.message;
  }
}

function theirs(kind: Kind, text: string): string {
  const aliases = { ExpressionAttributeNames: names, ExpressionAttributeValues: values };
  const request: Record<string, unknown> = { ...structuredClone(aliases), [kind]: text };
  const message = dynalite.validateExpressions(request);
  if (message !== undefined && !message.startsWith('Value provided in')) return message;
  const read = request._keyCondition as { expression: unknown } | undefined; // a cast: where dynalite leaves it
  const terms = read === undefined ? undefined : dynalite.convertKeyCondition(read.expression);
  return typeof terms === 'string' ? terms : 'accepted';
}

/** Without what dynalite words otherwise, or finds in another order among refusals of one kind. */
function comparable(message: string): string {
  return message
    .replace(/Syntax error;.*/s, 'Syntax error')
    .replace(/(Invalid function name|used this way in an expression); function: .*/, '$1')
    .replace(/(conflict with each other).*/, '$1')
    .replace('Invalid KeyConditionExpression: KeyConditionExpressions', 'KeyConditionExpressions')
    .replace(', typeSet: ALLOWED_FOR_ADD_OPERAND', '')
    .replace('operand type: BOOLEAN', 'operand type: BOOL');
}

/** What DynamoDB refuses today, and dynalite does not look at. */
const newer = [
  /operator or function: (<|<=|>|>=|BETWEEN), operand type/,
  /The first operand must be distinct .*; operator: (IN|BETWEEN),/,
];

function agrees(kind: Kind, texts: fc.Arbitrary<string>): void {
  let compared = 0;
  fc.assert(
    fc.property(texts, text => {
      const message = ours(kind, text);
      if (newer.some(pattern => pattern.test(message))) return;
      compared++;
      assert.equal(comparable(message), comparable(theirs(kind, text)), text);
    }),
    { numRuns },
  );
  assert.ok(compared > numRuns / 2, `only ${compared} of ${numRuns} were compared`);
}

const list = <Each>(of: fc.Arbitrary<Each>, most: number) => fc.array(of, { minLength: 1, maxLength: most });
const tokens = (text: string) => list(fc.constantFrom(...text.split(' ')), 9).map(all => all.join(' '));

describe('expressions, beside dynalite', () => {
  test('conditions are refused for the same reasons', () => {
    const operand = fc.constantFrom(
      ...'a b b.c #x #y.d b.#z b[3] l1[0] status :s :n :l :b :u #u (a) ((b))'.split(' '),
      ...['size(a)', 'size(:n)', 'size(:s)', '(size(b))', 'size(a, b)', 'contains(a, :s)', 'f(a)', 'size(size(a))'],
    );
    const name = fc.constantFrom(
      ...'attribute_exists attribute_not_exists contains begins_with attribute_type size g'.split(' '),
    );
    const leaf = fc.oneof(
      fc.tuple(operand, fc.constantFrom('=', '<>', '<', '>='), operand).map(parts => parts.join(' ')),
      fc.tuple(operand, operand, operand).map(([one, two, three]) => `${one} BETWEEN ${two} AND ${three}`),
      fc.tuple(operand, list(operand, 2)).map(([one, others]) => `${one} in (${others.join()})`),
      fc.tuple(name, list(operand, 2)).map(([called, operands]) => `${called}(${operands.join(', ')})`),
    );
    const condition = fc.letrec<{ condition: string }>(tie => ({
      condition: fc.oneof(
        { depthSize: 'small' },
        leaf,
        leaf.map(text => `NOT ${text}`),
        fc.tuple(tie('condition'), tie('condition')).map(([left, right]) => `${left} AND ${right}`),
        fc.tuple(tie('condition'), tie('condition')).map(([left, right]) => `${left} or ${right}`),
        tie('condition').map(text => `(${text})`),
        tie('condition').map(text => `NOT (${text})`),
      ),
    })).condition;
    agrees('FilterExpression', condition);
    agrees(
      'FilterExpression',
      tokens('a b #x :s ( ) [ ] . , = <> < + - AND OR BETWEEN IN 0 size( contains( f( ! ü status'),
    );
  });

  test('key conditions are refused for the same reasons', () => {
    const operand = fc.constantFrom(
      ...'a a a b b b.c #x #y :s :s :s :n :l :b :u'.split(' '),
      ...['(a)', '(:s)', 'size(a)', 'size(size(b))', 'b[0]'],
    );
    const leaf = fc.oneof(
      {
        weight: 3,
        arbitrary: fc.tuple(operand, fc.constantFrom('=', '=', '<>', '<', '>='), operand).map(all => all.join('')),
      },
      fc.tuple(operand, operand, operand).map(([one, two, three]) => `${one} BETWEEN ${two} AND ${three}`),
      fc.tuple(operand, list(operand, 2)).map(([one, others]) => `${one} in (${others.join()})`),
      fc.tuple(operand, operand).map(operands => `begins_with(${operands.join()})`),
      fc
        .tuple(fc.constantFrom('attribute_exists', 'contains', 'attribute_type'), list(operand, 2))
        .map(([called, operands]) => `${called}(${operands.join()})`),
    );
    const part = fc.oneof(
      { weight: 6, arbitrary: leaf },
      leaf.map(text => `(${text})`),
      leaf.map(text => `NOT ${text}`),
    );
    agrees(
      'KeyConditionExpression',
      fc
        .tuple(list(part, 3), fc.constantFrom(' AND ', ' AND ', ' AND ', ' or '))
        .map(([parts, word]) => parts.join(word)),
    );
  });

  test('updates are refused for the same reasons', () => {
    const path = fc.constantFrom(...'a b b.c #x #y.d l1[0] l1[1] status #u b.#z b[3] d e g.h'.split(' '));
    const operand = fc.constantFrom(
      ...'a b b.c #x #y.d status :s :n :l :u #u'.split(' '),
      ...['if_not_exists(a, :n)', 'if_not_exists(:n, a)', 'if_not_exists(a)', 'if_not_exists(a, if_not_exists(b, :n))'],
      ...[
        'list_append(a, :l)',
        'list_append(:s, a)',
        'list_append(a)',
        'list_append(if_not_exists(a, :l), :l)',
        'f(a)',
      ],
      ...['if_not_exists(if_not_exists(a, b), c)'],
    );
    const sum = fc.tuple(operand, fc.constantFrom('+', '-'), operand).map(parts => parts.join(' '));
    const assignment = fc
      .tuple(
        path,
        fc.oneof(
          operand,
          sum,
          sum.map(text => `(${text})`),
        ),
      )
      .map(parts => parts.join(' = '));
    const section = fc.oneof(
      list(assignment, 2).map(all => `SET ${all.join(', ')}`),
      list(path, 2).map(all => `remove ${all.join()}`),
      fc
        .tuple(fc.constantFrom('ADD', 'delete'), path, fc.constantFrom(':s', ':n', ':l', ':b', ':ss', ':u'))
        .map(parts => parts.join(' ')),
    );
    agrees(
      'UpdateExpression',
      list(section, 3).map(all => all.join(' ')),
    );
    agrees('UpdateExpression', tokens('SET REMOVE ADD DELETE a b.c #x :n = = , , + - [ 0 ] . status ! ü'));
  });

  test('projections are refused for the same reasons', () => {
    const path = fc.constantFrom(...'a b b.c #x #y.d l1[0] l1[1] status #u b.#z b[3] d e g.h'.split(' '));
    agrees(
      'ProjectionExpression',
      list(path, 4).map(all => all.join(', ')),
    );
    agrees('ProjectionExpression', tokens('a b.c #x , , [ 0 ] . status ! ( ) ü'));
  });
});
