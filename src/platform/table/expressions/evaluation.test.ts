import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { invalid } from '../errors.ts';
import { Decimal } from '../values/decimal.ts';
import type { Item } from '../values/value.ts';
import { Aliases } from './aliases.ts';
import { parsedCondition, parsedProjection, parsedUpdate } from './cache.ts';
import { compileCondition } from './condition.ts';
import { compileProjection, projectOn } from './projection.ts';
import { type CompiledUpdate, compileUpdate } from './update.ts';

type Values = Record<string, unknown>;
type Names = Record<string, string>;

function holds(item: Item, text: string, values?: Values, names?: Names): boolean {
  const aliases = new Aliases(names, values);
  const parsed = aliases.use('ConditionExpression', parsedCondition('ConditionExpression', text));
  return compileCondition('ConditionExpression', parsed, aliases)(item);
}

function update(text: string, values?: Values, names?: Names): CompiledUpdate {
  const aliases = new Aliases(names, values);
  return compileUpdate(aliases.use('UpdateExpression', parsedUpdate(text)), aliases);
}

function projected(item: Item, text: string, names?: Names): Item {
  const aliases = new Aliases(names, undefined);
  return compileProjection(aliases.use('ProjectionExpression', parsedProjection(text)), aliases)(item);
}

const long = new Decimal('12345678901234567890.5');

describe('a condition', () => {
  test('judges numbers of 38 digits like others', () => {
    const item: Item = { n: long, small: 1, members: new Set([long, 1]), elements: [long] };
    assert.equal(holds(item, 'n > small AND small < n AND small <= n AND NOT n <= small'), true);
    assert.equal(holds(item, 'n > :v', { ':v': 12345678901234567890n }), true);
    assert.equal(holds(item, 'n BETWEEN :l AND :u', { ':l': 1, ':u': 12345678901234567891n }), true);
    assert.equal(holds(item, 'contains(members, n) AND contains(elements, n) AND n IN (small, elements[0])'), true);
    assert.equal(holds(item, 'attribute_type(n, :t) AND size(elements) = small', { ':t': 'N' }), true);
    assert.equal(holds(item, 'attribute_exists(n.digits) OR size(n) > small'), false);
  });

  test('reads paths through maps and lists, whatever their names', () => {
    const item: Item = JSON.parse('{"__proto__": {"constructor": [{"a": 1}]}, "toString": 2}');
    const names = { '#p': '__proto__', '#c': 'constructor' };
    assert.equal(holds(item, '#p.#c[0].a = :v', { ':v': 1 }, names), true);
    assert.equal(holds({}, 'attribute_exists(#p) OR attribute_exists(#c.#p)', undefined, names), false);
    assert.equal(holds(item, 'toString = :v', { ':v': 2 }), true);
    assert.equal(holds({}, 'attribute_exists(toString)'), false);
    assert.equal(
      holds({ m: { l: [] } }, 'attribute_exists(m.l.#n) OR attribute_exists(m.l[0])', undefined, { '#n': 'length' }),
      false,
    );
  });

  test('takes operands in any place: values first, sizes of values, attributes of attributes', () => {
    const item: Item = { a: 'hello', c: 'he', n: 5, prefix: 'hel', nothing: null };
    assert.equal(holds(item, 'begins_with(:s, c)', { ':s': 'hello' }), true);
    assert.equal(holds(item, 'begins_with(a, prefix)'), true);
    assert.equal(holds(item, 'attribute_type(:n, :t)', { ':n': 1, ':t': 'N' }), true);
    assert.equal(holds(item, 'size(:s) = n AND size((a)) = (n)', { ':s': 'abcde' }), true);
    assert.equal(holds(item, 'contains(:l, n)', { ':l': [5] }), true);
    assert.equal(holds(item, ':v IN (a, n)', { ':v': 5 }), true);
    assert.equal(holds(item, 'nothing = :v AND attribute_exists(nothing)', { ':v': null }), true);
    assert.equal(holds({ b: { c: [{ d: 1 }] } }, '((b.c)[0]).d = :v', { ':v': 1 }), true);
  });

  test('binds AND before OR, NOT before both, BETWEEN its AND before all', () => {
    const item: Item = { a: 1, b: 2, c: 3 };
    assert.equal(holds(item, 'a < b OR c < b AND b < a'), true);
    assert.equal(holds(item, 'NOT a < b AND c < b'), false);
    assert.equal(holds(item, 'NOT NOT NOT NOT a < b'), true);
    assert.equal(holds(item, 'b BETWEEN a AND c AND a < b'), true);
    assert.equal(holds(item, '(a < b OR b < a) AND (b < c AND (a < b OR b < c))'), true);
    assert.equal(holds(item, 'nOt(b<a)aNd(b)BeTwEeN(a)and(c)'), true);
  });

  test('means the names and values of its own request, though the text is the same', () => {
    const item: Item = { a: 1, b: 2 };
    assert.equal(holds(item, '#n = :v', { ':v': 1 }, { '#n': 'a' }), true);
    assert.equal(holds(item, '#n = :v', { ':v': 1 }, { '#n': 'b' }), false);
    assert.equal(holds(item, '#n = :v', { ':v': 2 }, { '#n': 'b' }), true);
    assert.equal(holds(item, '#n = :v', { ':v': '1' }, { '#n': 'a' }), false);
  });
});

describe('an update', () => {
  const failure = (message: string) => invalid(message);
  const badPath = failure('The document path provided in the update expression is invalid for update');
  const wrongType = failure('An operand in the update expression has an incorrect data type');

  test('leaves the item before as it was, and shares what it does not touch', () => {
    const before: Item = { l: [1, [2]], m: { a: 1, b: { c: 2 } }, other: { x: [1] } };
    const copy = structuredClone(before);
    const after = update('SET l[0] = :v, m.a = :v REMOVE l[1] ADD m.n :v', { ':v': 9 }).apply(before);
    assert.deepEqual(before, copy);
    assert.deepEqual(after, { l: [9], m: { a: 9, b: { c: 2 }, n: 9 }, other: { x: [1] } });
    assert.equal(after.other, before.other);
    assert.equal((after.m as Item).b, (before.m as Item).b);
  });

  test('appends what is set past the end in the order of indexes, in every list', () => {
    const text = 'SET a[84] = :1, x = :1, a[37] = :2, m.l[9] = :1, a[17] = :3, m.l[8] = :2, a[50] = :4, a[0] = :4';
    const values = { ':1': 'a1', ':2': 'a2', ':3': 'a3', ':4': 'a4' };
    const after = update(text, values).apply({ a: ['one', 'two'], m: { l: [] } });
    assert.deepEqual(after, { a: ['a4', 'two', 'a3', 'a2', 'a4', 'a1'], x: 'a1', m: { l: ['a2', 'a1'] } });
  });

  test('removes by the indexes of the list before, also beside elements that change or are new', () => {
    const remove = (text: string, a: Item['a'], values?: Values) => update(text, values).apply({ a }).a;
    assert.deepEqual(remove('REMOVE a[0], a[2], a[17]', [1, 2, 3, 4]), [2, 4]);
    assert.deepEqual(remove('REMOVE a[1] SET a[3] = :v', [2, 3, 4, 5, 6, 7], { ':v': 17 }), [2, 4, 17, 6, 7]);
    assert.deepEqual(remove('SET a[9] = :v REMOVE a[3], a[4]', [1, 2, 3], { ':v': 4 }), [1, 2, 3, 4]);
    assert.deepEqual(remove('REMOVE a[0].x, a[1], a[2].y', [{ x: 1, y: 1 }, 2, { x: 1, y: 1 }]), [{ y: 1 }, { x: 1 }]);
    assert.deepEqual(remove('DELETE a[0] :s REMOVE a[1]', [new Set(['a']), 2, 3], { ':s': new Set(['a']) }), [3]);
  });

  test('refuses paths that lead through what is not there, but takes nothing from an item that is not', () => {
    for (const text of ['a.c', 'l.c', 'absent.c', 'a[0]', 'absent[0]', 'm.absent.c', 'l[5].c', 'l[5][0]']) {
      const item: Item = { a: 'hello', l: ['hi'], m: {} };
      assert.throws(() => update(`SET ${text} = :v`, { ':v': 1 }).apply(item), badPath, text);
      assert.throws(() => update(`REMOVE ${text}`).apply(item), badPath, text);
      assert.throws(() => update(`ADD ${text} :v`, { ':v': 1 }).apply(item), badPath, text);
      assert.throws(() => update(`DELETE ${text} :v`, { ':v': new Set([1]) }).apply(item), badPath, text);
      assert.throws(() => update(`SET ${text} = :v`, { ':v': 1 }).apply({ PK: 'p' }, true), badPath, text);
      assert.deepEqual(update(`REMOVE ${text}`).apply({ PK: 'p' }, true), { PK: 'p' }, text);
    }
    assert.throws(() => update('SET x.a = :v REMOVE x.b', { ':v': 1 }).apply({ PK: 'p' }, true), badPath);
  });

  test('reads right-hand sides before it follows the paths of its targets', () => {
    const missing = failure('The provided expression refers to an attribute that does not exist in the item');
    assert.throws(() => update('SET absent.a = b').apply({}), missing);
    assert.throws(() => update('SET a = absent.b').apply({}), missing);
    assert.throws(() => update('SET a = :v + absent', { ':v': 1 }).apply({}), missing);
    assert.throws(() => update('SET a = list_append(absent, :v)', { ':v': [] }).apply({}), missing);
    assert.throws(() => update('SET a = if_not_exists(b, c)').apply({}), missing);
    assert.throws(() => update('SET a = :v + b', { ':v': 1 }).apply({ b: 'x' }), wrongType);
    assert.throws(() => update('SET a = list_append(b, b)').apply({ b: 1 }), wrongType);
  });

  test('adds and subtracts exactly, and refuses what a number cannot hold', () => {
    const applied = (text: string, item: Item, values?: Values) => update(text, values).apply(item);
    assert.deepEqual(applied('SET a = a + :v', { a: long }, { ':v': 0.5 }), { a: new Decimal('12345678901234567891') });
    assert.deepEqual(applied('SET a = a - :v', { a: long }, { ':v': 12345678901234567890n }), { a: 0.5 });
    assert.deepEqual(applied('SET a = :v - a', { a: 0.3 }, { ':v': 0.1 }), { a: -0.2 });
    assert.deepEqual(applied('ADD a :v', { a: long }, { ':v': -1 }), { a: new Decimal('12345678901234567889.5') });
    const overflow = 'Number overflow. Attempting to store a number with magnitude larger than supported range';
    const large = { a: new Decimal(`9${'0'.repeat(125)}`) };
    assert.throws(() => applied('SET a = a + a', large), invalid(overflow));
    assert.throws(() => applied('ADD a :v', { a: 1 }, { ':v': 'x' }), { name: 'ValidationException' });
    assert.throws(() => applied('ADD a :v', { a: 'x' }, { ':v': 1 }), wrongType);
    const digits = 'Attempting to store more than 38 significant digits in a Number';
    assert.throws(() => applied('SET a = a + :v', { a: 1 }, { ':v': 1e-100 }), invalid(digits));
  });

  test('adds to sets and takes from them, of numbers and bytes by what they hold', () => {
    const sets = (text: string, s: Item['s'] | undefined, v: unknown) =>
      update(text, { ':v': v }).apply(s === undefined ? {} : { s }).s;
    const bytes = (...all: number[]) => new Set(all.map(each => Uint8Array.of(each)));
    assert.deepEqual(sets('ADD s :v', bytes(1, 2), bytes(2, 3)), bytes(1, 2, 3));
    assert.deepEqual(sets('DELETE s :v', bytes(1, 2), bytes(2, 3)), bytes(1));
    assert.equal(sets('DELETE s :v', bytes(1, 2), bytes(2, 1)), undefined);
    assert.deepEqual(
      sets('ADD s :v', new Set([long]), new Set([1, 12345678901234567890n])),
      new Set([long, 1, new Decimal('12345678901234567890')]),
    );
    assert.deepEqual(
      sets('ADD s :v', new Set([new Decimal('12345678901234567890')]), new Set([12345678901234567890n])),
      new Set([new Decimal('12345678901234567890')]),
    );
    assert.deepEqual(sets('ADD s :v', new Set(['a']), new Set([''])), new Set(['a', '']));
    assert.deepEqual(sets('DELETE s :v', new Set(['', 'a']), new Set(['a'])), new Set(['']));
    assert.throws(() => sets('ADD s :v', new Set(['a']), new Set([1])), wrongType);
    assert.throws(() => sets('ADD s :v', [1], new Set([1])), wrongType);
    assert.throws(() => sets('DELETE s :v', 'a', new Set(['a'])), wrongType);
  });

  test('treats names that objects have by themselves like others', () => {
    const names = { '#p': '__proto__', '#c': 'constructor' };
    const after = update('SET #p = :v, #c = if_not_exists(#c, :v)', { ':v': { a: 1 } }, names).apply({});
    assert.deepEqual(Object.entries(after), [
      ['__proto__', { a: 1 }],
      ['constructor', { a: 1 }],
    ]);
    const nested = update('SET #p.#p = :v REMOVE #p.a', { ':v': 1 }, names).apply(after);
    const [[, inner]] = Object.entries(nested);
    assert.deepEqual(Object.entries(inner ?? {}), [['__proto__', 1]]);
    assert.deepEqual(Object.keys(update('REMOVE #p', undefined, names).apply(after)), ['constructor']);
    assert.equal(Object.getPrototypeOf(nested), Object.prototype);
  });

  test('counts what writes and what takes away, and names its targets in the order of the text', () => {
    const { targets, valueActions, clearingActions } = update('REMOVE a, b[1] ADD c :n SET d.e = :n DELETE f :s', {
      ':n': 1,
      ':s': new Set([1]),
    });
    assert.deepEqual(targets, [['a'], ['b', 1], ['c'], ['d', 'e'], ['f']]);
    assert.deepEqual([valueActions, clearingActions], [2, 3]);
  });

  test('answers UPDATED_OLD and UPDATED_NEW with what stood and stands at its targets', () => {
    const shapes = (before: Item, text: string, values?: Values) => {
      const compiled = update(text, values);
      const project = projectOn(compiled.targets);
      return [project(before), project(compiled.apply(before))];
    };
    const item: Item = { a: { b: 'dog', c: [1, 2, 3] }, d: 'cat' };
    assert.deepEqual(shapes(item, 'SET a.b = :v', { ':v': 'hi' }), [{ a: { b: 'dog' } }, { a: { b: 'hi' } }]);
    assert.deepEqual(shapes(item, 'SET a.c[1] = :v, a.b = :w', { ':v': 7, ':w': 'x' }), [
      { a: { c: [2], b: 'dog' } },
      { a: { c: [7], b: 'x' } },
    ]);
    assert.deepEqual(shapes(item, 'REMOVE a.c[1], a.c[3]'), [{ a: { c: [2] } }, { a: { c: [3] } }]); // shifted
    assert.deepEqual(shapes(item, 'SET a.x = :v', { ':v': 8 }), [{}, { a: { x: 8 } }]);
    assert.deepEqual(shapes(item, 'SET a.c[100] = :v', { ':v': 8 }), [{}, {}]);
    assert.deepEqual(shapes(item, 'REMOVE d'), [{ d: 'cat' }, {}]);
  });
});

describe('a projection', () => {
  test('keeps what it names inside its parents, list elements close together and in their order', () => {
    const item: Item = { m: { a: 1, b: 2 }, l: [0, { x: 1, y: 2 }, 2, [3, 4]], s: 's' };
    assert.deepEqual(projected(item, 'm.b, l[3], l[1].x, absent, m.absent.deep'), {
      m: { b: 2 },
      l: [{ x: 1 }, [3, 4]],
    });
    assert.deepEqual(projected(item, 'l[2], l[0]'), { l: [0, 2] });
    assert.deepEqual(projected(item, 'l[3][1], l[1].y, l[1].x'), { l: [{ y: 2, x: 1 }, [4]] });
    assert.deepEqual(projected(item, 's.x, l.x, m[0]'), {});
    assert.deepEqual(projected(item, 'l[2147483647], #s', { '#s': 's' }), { s: 's' });
    const hidden: Item = JSON.parse('{"__proto__": {"a": 1}}');
    assert.deepEqual(Object.entries(projected(hidden, '#p.a', { '#p': '__proto__' })), [['__proto__', { a: 1 }]]);
  });
});
