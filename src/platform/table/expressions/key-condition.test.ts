import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { invalid } from '../errors.ts';
import type { KeyAttribute } from '../port.ts';
import { Aliases } from './aliases.ts';
import { parsedCondition } from './cache.ts';
import { fitToKey, type KeyParts, keyTermsOf } from './key-condition.ts';

type Values = Record<string, unknown>;

const key = (partitionKeys: string, sortKeys = ''): KeyParts => ({
  partitionKeys: attributes(partitionKeys),
  sortKeys: attributes(sortKeys),
});

/** `a b:N`: a string and a number. */
function attributes(text: string): KeyAttribute[] {
  const words = text.split(' ').filter(word => word !== '');
  return words.map(word => ({ name: word.split(':')[0], type: (word.split(':')[1] ?? 'S') as KeyAttribute['type'] }));
}

function read(text: string, of: KeyParts, values: Values, names?: Record<string, string>) {
  const aliases = new Aliases(names, values);
  const parsed = aliases.use('KeyConditionExpression', parsedCondition('KeyConditionExpression', text));
  return fitToKey(keyTermsOf(parsed, aliases), of);
}

const single = key('p', 's');
const number = key('p', 's:N');
const many = key('h1 h2:N', 'a b:N c:B d');

describe('a key condition', () => {
  test('fixes the partition key, and compares the sort key as it likes', () => {
    const values = { ':p': 'x', ':a': 'k', ':b': 'm' };
    const used = (text: string) => Object.fromEntries(Object.entries(values).filter(([alias]) => text.includes(alias)));
    const sort = (text: string) => {
      const { partition, sort } = read(text, single, used(text));
      assert.deepEqual(partition, ['x']);
      return sort;
    };
    const range = (kind: string, value = 'k') => ({ fixed: [], range: { kind, value } });
    assert.deepEqual(sort('p = :p'), { fixed: [] });
    assert.deepEqual(sort(':p = p AND s = :a'), { fixed: ['k'] });
    assert.deepEqual(sort('s < :a AND p = :p'), range('<'));
    assert.deepEqual(sort('(p = :p) AND (s <= :a)'), range('<='));
    assert.deepEqual(sort('((p = :p) AND (s > :a))'), range('>'));
    assert.deepEqual(sort('p = :p AND s >= :a'), range('>='));
    assert.deepEqual(sort('p = :p AND :a < s'), range('>'));
    assert.deepEqual(sort('p = :p AND :a <= s'), range('>='));
    assert.deepEqual(sort('p = :p AND :a > s'), range('<'));
    assert.deepEqual(sort('p = :p AND :a >= s'), range('<='));
    assert.deepEqual(sort('p = :p AND begins_with(s, :a)'), range('begins_with'));
    const between = { fixed: [], range: { kind: 'between', lower: 'k', upper: 'm' } };
    assert.deepEqual(sort('p=:p AnD s BeTwEeN :a aNd :b'), between);
  });

  test('fixes all partition key attributes, then sort key attributes from the left', () => {
    const values: Values = { ':1': 'x', ':2': 2, ':a': 'A', ':b': 3, ':c': Uint8Array.of(1), ':d': 'D' };
    const sort = (text: string) => {
      const used = Object.fromEntries(Object.entries(values).filter(([alias]) => text.includes(alias)));
      const { partition, sort } = read(`h2 = :2 AND ${text} AND h1 = :1`, many, { ...used, ':1': 'x', ':2': 2 });
      assert.deepEqual(partition, ['x', 2]);
      return sort;
    };
    assert.deepEqual(sort('a = :a'), { fixed: ['A'] });
    assert.deepEqual(sort('a > :a'), { fixed: [], range: { kind: '>', value: 'A' } });
    assert.deepEqual(sort('b = :b AND a = :a'), { fixed: ['A', 3] });
    assert.deepEqual(sort('(b < :b AND a = :a)'), { fixed: ['A'], range: { kind: '<', value: 3 } });
    assert.deepEqual(sort('d = :d AND c = :c AND b = :b AND a = :a'), { fixed: ['A', 3, Uint8Array.of(1), 'D'] });
    assert.deepEqual(sort('begins_with(d, :d) AND c = :c AND b = :b AND a = :a'), {
      fixed: ['A', 3, Uint8Array.of(1)],
      range: { kind: 'begins_with', value: 'D' },
    });
  });

  test('that leaves gaps in the sort key or goes on behind a range is refused', () => {
    const values = { ':1': 'x', ':2': 2, ':a': 'A', ':b': 3, ':d': 'D' };
    const cases = [
      ['b = :b', 'a', 'b'],
      ['a = :a AND d = :d', 'b, c', 'd'],
      ['a > :a AND b = :b', 'a', 'b'],
      ['begins_with(a, :a) AND b > :b', 'a', 'b'],
      ['d = :d', 'a, b, c', 'd'],
    ];
    for (const [text, before, present] of cases) {
      const used = Object.fromEntries(
        Object.entries(values).filter(([alias]) => /\d/.test(alias) || text.includes(alias)),
      );
      assert.throws(
        () => read(`h1 = :1 AND h2 = :2 AND ${text}`, many, used),
        invalid(
          `RANGE key attributes ${before} must have equality conditions specified in the query because a condition is present on key attribute ${present}`,
        ),
        text,
      );
    }
  });

  test('that no key could have is refused without one', () => {
    const values = { ':a': 1, ':b': 1 };
    const each = (texts: string[], message: string, given?: Values) =>
      texts.map((text): [string, string, Values?] => [text, message, given]);
    const cases: [text: string, message: string, values?: Values][] = [
      ['a > :a and size(b) > c or a > c', 'Invalid operator used in KeyConditionExpression: OR', values],
      ['a in (b, size(c), d)', 'Invalid operator used in KeyConditionExpression: IN'],
      ['attribute_exists(a)', 'Invalid operator used in KeyConditionExpression: attribute_exists'],
      ['attribute_not_exists(a)', 'Invalid operator used in KeyConditionExpression: attribute_not_exists'],
      ['attribute_type(a, :t)', 'Invalid operator used in KeyConditionExpression: attribute_type', { ':t': 'S' }],
      ['contains(a.d, b)', 'Invalid operator used in KeyConditionExpression: contains'],
      ['not a > b', 'Invalid operator used in KeyConditionExpression: NOT'],
      ['a <> b', 'Invalid operator used in KeyConditionExpression: <>'],
      [
        ':a between size(b) and size(a) and b > :b',
        'Invalid condition in KeyConditionExpression: BETWEEN operator must have the key attribute as its first operand',
        values,
      ],
      [
        'begins_with(:a, b) and a > :a',
        'Invalid condition in KeyConditionExpression: begins_with operator must have the key attribute as its first operand',
        { ':a': 'a' },
      ],
      ...each(
        ['size(b) > a AND a.b > b AND b > c', 'a > size(b.d)', 'a between size(b) and size(c)'],
        'Invalid KeyConditionExpression: KeyConditionExpressions cannot contain nested operations',
      ),
      ...each(
        ['b > a.b', 'b between c[1] and d', 'a between b and size(c)', 'begins_with(a, b)'],
        'Invalid condition in KeyConditionExpression: Multiple attribute names used in one condition',
      ),
      ...each(
        ['b.d > a AND c.d > e.f', 'a.d > c', 'b[0] > a'],
        'Invalid KeyConditionExpression: KeyConditionExpressions cannot have conditions on nested attributes',
      ),
      [':b > :a AND a < :b', 'Invalid condition in KeyConditionExpression: No key attribute specified', values],
      [':a > b AND :a < :b', 'Invalid condition in KeyConditionExpression: No key attribute specified', values],
      ...each(
        ['b > :a AND b < :a and c = :a and d = :a', '(a > :a and b > :a) and (b > :a and c > :a)'],
        'Invalid KeyConditionExpression: KeyConditionExpressions must only contain one condition per key',
        { ':a': 1 },
      ),
      [
        'begins_with(s, :n) AND p = :missing',
        'Invalid KeyConditionExpression: Incorrect operand type for operator or function; operator or function: begins_with, operand type: N',
        { ':n': 1 },
      ],
      [
        'p = :missing AND begins_with(s, :n)',
        'Invalid KeyConditionExpression: An expression attribute value used in expression is not defined; attribute value: :missing',
        { ':n': 1 },
      ],
    ];
    for (const [text, message, given] of cases) {
      const aliases = new Aliases(undefined, given);
      const parsed = aliases.use('KeyConditionExpression', parsedCondition('KeyConditionExpression', text));
      assert.throws(() => keyTermsOf(parsed, aliases), invalid(message), text);
    }
  });

  test('that does not fit its key is refused', () => {
    const schemaType = 'One or more parameter values were invalid: Condition parameter type does not match schema type';
    const operand = (operator: string, type: string) =>
      `Invalid KeyConditionExpression: Incorrect operand type for operator or function; operator or function: ${operator}, operand type: ${type}`;
    const missed = (name: string) => `Query condition missed key schema element: ${name}`;
    const empty = (type: string, name: string) =>
      `One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty ${type} value. Key: ${name}`;
    const p = { ':p': 'q' };
    const cases: [text: string, of: KeyParts, values: Values, message: string][] = [
      ['s = :p', single, p, missed('p')],
      ['x = :p', single, p, missed('p')],
      ['p = :p AND x = :p', single, p, missed('s')],
      ['h1 = :p', many, p, missed('h2')],
      ['p > :p', single, p, 'Query key condition not supported'],
      ['begins_with(p, :p) AND s = :p', single, p, 'Query key condition not supported'],
      ['p = :p AND x = :p', key('p'), p, 'Query key condition not supported'],
      [
        'p = :p AND s > :a AND extra = :b',
        number,
        { ...p, ':a': 1, ':b': 5 },
        'The number of query conditions (3) exceeds the number of key attributes defined in the schema (2)',
      ],
      [
        'p = :p AND s > :a AND s < :b',
        number,
        { ...p, ':a': 1, ':b': 5 },
        'Invalid KeyConditionExpression: KeyConditionExpressions must only contain one condition per key',
      ],
      ['p = :p AND begins_with(s, :v)', number, { ...p, ':v': 1 }, operand('begins_with', 'N')],
      ['p = :p AND begins_with(s, :v)', number, { ...p, ':v': 'a' }, schemaType],
      ['p = :p AND begins_with(s, :v)', single, { ...p, ':v': true }, operand('begins_with', 'BOOL')],
      ['p = :p AND s < :v', number, { ...p, ':v': true }, operand('<', 'BOOL')],
      ['p = :p AND :v >= s', number, { ...p, ':v': true }, operand('>=', 'BOOL')],
      ['p = :p AND s BETWEEN :a AND :b', number, { ...p, ':a': false, ':b': true }, operand('BETWEEN', 'BOOL')],
      ['p = :p AND s = :v', number, { ...p, ':v': true }, schemaType],
      ['p = :p AND s = :p', number, p, schemaType],
      ['p = :n', single, { ':n': 1 }, schemaType],
      ['p = :n AND s > :n', single, { ':n': '' }, empty('string', 'p')],
      ['p = :p AND s > :n', key('p', 's:B'), { ...p, ':n': new Uint8Array() }, empty('binary', 's')],
    ];
    for (const [text, of, values, message] of cases) {
      assert.throws(() => read(text, of, values), invalid(message), text);
    }
  });
});
