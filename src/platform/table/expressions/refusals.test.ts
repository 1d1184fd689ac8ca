import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { invalid } from '../errors.ts';
import { Aliases } from './aliases.ts';
import { parsedCondition, parsedProjection, parsedUpdate } from './cache.ts';
import { compileCondition } from './condition.ts';
import { compileProjection } from './projection.ts';
import type { ExpressionKind } from './tokenizer.ts';
import { compileUpdate } from './update.ts';

type Values = Record<string, unknown>;
type Names = Record<string, string>;
/** What DynamoDB answers, without `Invalid …Expression: ` at its beginning. */
type Cases = readonly (readonly [text: string, message: string, values?: Values, names?: Names])[];

function compile(kind: ExpressionKind, text: string, values?: Values, names?: Names): void {
  const aliases = new Aliases(names, values);
  if (kind === 'UpdateExpression') compileUpdate(aliases.use(kind, parsedUpdate(text)), aliases);
  else if (kind === 'ProjectionExpression') compileProjection(aliases.use(kind, parsedProjection(text)), aliases);
  else compileCondition(kind, aliases.use(kind, parsedCondition(kind, text)), aliases);
}

function refuses(kind: ExpressionKind, cases: Cases): void {
  for (const [text, message, values, names] of cases) {
    const refused = { name: 'ValidationException', code: 'table.invalid', message: `Invalid ${kind}: ${message}` };
    assert.throws(() => compile(kind, text, values, names), refused, text);
    assert.throws(() => compile(kind, text, values, names), refused, `${text} again, from the cache`);
  }
}

const syntax = (token: string, near: string) => `Syntax error; token: "${token}", near: "${near}"`;
const misused = (name: string) => `The function is not allowed to be used this way in an expression; function: ${name}`;
const wrongType = (operator: string, type: string) =>
  `Incorrect operand type for operator or function; operator or function: ${operator}, operand type: ${type}`;
const wrongCount = (operator: string, count: number) =>
  `Incorrect number of operands for operator or function; operator or function: ${operator}, number of operands: ${count}`;
const needsPath = (operator: string) =>
  `Operator or function requires a document path; operator or function: ${operator}`;
const same = (operator: string, path: string) =>
  'The first operand must be distinct from the remaining operands for this operator or function; ' +
  `operator: ${operator}, first operand: ${path}`;
const unnamed = (alias: string) =>
  `An expression attribute name used in the document path is not defined; attribute name: ${alias}`;
const unvalued = (alias: string) =>
  `An expression attribute value used in expression is not defined; attribute value: ${alias}`;
const reserved = (word: string) => `Attribute name is a reserved keyword; reserved keyword: ${word}`;
const clash = (problem: string, one: string, two: string) =>
  `Two document paths ${problem} with each other; must remove or rewrite one of these paths; path one: ${one}, path two: ${two}`;
const redundant = 'The expression has redundant parentheses;';

/** One value of every type, by the tag of its type. */
const ofType: Values = {
  S: 'a',
  N: 1,
  B: Uint8Array.of(1),
  BOOL: true,
  NULL: null,
  L: [],
  M: {},
  SS: new Set(['a']),
  NS: new Set([1]),
  BS: new Set([Uint8Array.of(1)]),
};
const typesBut = (...fitting: string[]) => Object.keys(ofType).filter(type => !fitting.includes(type));

describe('a condition', () => {
  test('with a syntax error is refused with the token and what stands around it', () => {
    refuses('FilterExpression', [
      ['INVALID SYNTAX HERE', syntax('SYNTAX', 'INVALID SYNTAX HERE')],
      ['things are not gonna be ok', syntax('are', 'things are not')],
      ['a', syntax('<EOF>', 'a')],
      ['a =', syntax('<EOF>', '=')],
      ['a = :v AND', syntax('<EOF>', 'AND')],
      ['a > 4', syntax('4', '> 4')],
      ['a != :v', syntax('!', 'a !=')],
      ['!!', syntax('!', '!!')],
      ['a = = :v', syntax('=', '= = :v')],
      ['_hidden = :v', syntax('_', '_hidden')],
      ['ü > a', syntax('ü', 'ü >')],
      ['a > 😀', syntax('😀', '> 😀')],
      ['a\u00a0> b', syntax('\u00a0', 'a\u00a0>')],
      ['attribute_exists(Pictures-RearView)', syntax('-', 'Pictures-RearView')],
      ['attribute_exists("Pictures.RearView")', syntax('"', '("Pictures')],
      ['attribute_exists(Pictures..RearView)', syntax('.', '..RearView')],
      ['attribute_exists(Pi#ctures.RearView)', syntax('#ctures', 'Pi#ctures.')],
      ['attribute_exists(l[a])', syntax('a', '[a]')],
      ['attribute_exists(l[])', syntax(']', '[])')],
      ['attribute_exists(l[-1])', syntax('-', '[-1')],
      ['attribute_exists(l[0.#a])', syntax('.', '0.#a')],
      ['attribute_type()', syntax(')', '()')],
      ['a in b', syntax('b', 'in b')],
      ['a in ()', syntax(')', '()')],
      ['a in (b,c,)', syntax(')', ',)')],
      ['a > between', syntax('between', '> between')],
      ['not.a > b', syntax('.', 'not.a')],
      ['(a)between(b.(c.d))and(c)', syntax('(', '.(c')],
      ['(a)between(b.c.d)and((c)', syntax('<EOF>', ')')],
      ['#$.b > a', syntax('#', '#$')],
      ['a > :things.stuff', syntax('.', ':things.stuff')],
      ['a = :', syntax(':', '= :')],
      ['b[:a] > a', syntax(':a', '[:a]')],
      ['b[#_] > a', syntax('#_', '[#_]')],
      ['b.c[4.5].#d = a', syntax('.', '4.5')],
      ['size(a).b > a', syntax('.', ').b')],
      ['(size(a)).b > a', syntax('.', ').b')],
      ['(size(a))[0] > a', syntax('[', ')[0')],
      ['(a) AND b = c', syntax('AND', ') AND b')],
      ['(a = b AND c)', syntax(')', 'c)')],
      ['NOT (a)', syntax('<EOF>', ')')],
      ['a = b)', syntax(')', 'b)')],
      ['(a = b) = c', syntax('=', ') = c')],
      ['a + b = c', syntax('+', 'a + b')],
      ['a = b c', syntax('c', 'b c')],
    ]);
  });

  test('with redundant parentheses is refused before anything else is looked at', () => {
    const cases = [
      '((a = b))',
      'a = b AND ((c = d))',
      'a=b and a > ((views))',
      '(a)between(((b.c)).d)and(c)',
      'a > whatever((:things), ((a)))',
      'a=b AND ((a=b AND a=b)) AND a=b',
      'a=b OR ((a=b OR a=b)) OR a=b',
      'a=b AND ((a=b AND (a=b AND a=b)))',
      '((size(a))) > b',
      '((contains(a, b)))',
      '((a)) = b',
      '((a)).b = :v',
    ];
    refuses(
      'FilterExpression',
      cases.map(text => [text, redundant]),
    );
  });

  test('with functions that do not exist or have no place is refused, in the order of the text', () => {
    refuses('FilterExpression', [
      ['a=b and whatever((:things)) > a', 'Invalid function name; function: whatever'],
      ['attRIbute_exIsts((views), #a)', 'Invalid function name; function: attRIbute_exIsts'],
      ['f(f(f(a))) = b', 'Invalid function name; function: f'],
      ['toString(a)', 'Invalid function name; function: toString'],
      ['constructor(a) = b', 'Invalid function name; function: constructor'],
      ['if_not_exists(a, b) = c', 'The function is not allowed in a condition expression; function: if_not_exists'],
      ['list_append(a, b) = c', 'The function is not allowed in a condition expression; function: list_append'],
      ['a=b and attribute_exists((views), (#a)) > b', misused('attribute_exists')],
      ['attribute_not_exists(things) > b', misused('attribute_not_exists')],
      ['attribute_type(things, :a) > b', misused('attribute_type')],
      ['begins_with(things, a) > b', misused('begins_with')],
      ['contains(:things, c) > b', misused('contains')],
      ['size(contains(a, b)) > a', misused('contains')],
      ['size(things)', misused('size')],
      ['NOT size(things)', misused('size')],
      ['(size(things)) OR a = b', misused('size')],
      ['a between b and attribute_exists(things)', misused('attribute_exists')],
      ['a in (b, attribute_exists(things))', misused('attribute_exists')],
    ]);
  });

  test('with a reserved word or an index out of range is refused before aliases are looked up', () => {
    refuses('FilterExpression', [
      ['attribute_exists(views, #a)', reserved('views')],
      [':a < abOrT', reserved('abOrT')],
      ['#list[0].COMMENT = :value', reserved('COMMENT')],
      ['set = :value', reserved('set')],
      ['l[2147483648] = :v', 'List index is not within the allowable range; index: [2147483648]'],
      ['l[99999999999999999999] = :v', 'List index is not within the allowable range; index: [99999999999999999999]'],
    ]);
  });

  test('with aliases that are not defined is refused at the first', () => {
    refuses('FilterExpression', [
      ['attribute_exists(#Pictures.RearView, :a) and a=b', unnamed('#Pictures')],
      ['begins_with(Pictures.#RearView)', unnamed('#RearView')],
      ['(#P between :lo and :hi) and (#PC in (:cat1, :cat2))', unnamed('#P')],
      ['#4g > a', unnamed('#4g')],
      ['#_ > a', unnamed('#_')],
      ['(a)between(b.c[45].#d)and(:a)', unnamed('#d')],
      ['begins_with(:hello, #a, #b)', unvalued(':hello')],
      [':a < :b', unvalued(':a')],
      [':_ > a', unvalued(':_')],
      ['size(:a) > b', unvalued(':a')],
    ]);
  });

  test('is judged one comparison after the other', () => {
    const number = { ':n': 1 };
    refuses('ConditionExpression', [
      ['a = :missing AND begins_with(b, :n)', unvalued(':missing'), number],
      ['begins_with(b, :n) AND a = :missing', wrongType('begins_with', 'N'), number],
      ['a = :n AND begins_with(b, :n) AND c = #missing', wrongType('begins_with', 'N'), number],
      ['a = a AND b = :missing', same('=', '[a]')],
      ['b = :missing AND a = a', unvalued(':missing')],
      ['size(a, b) = #c', unnamed('#c')],
      ['begins_with(size(a, b), size(:n))', wrongCount('size', 2), number],
      ['contains(a, a) AND begins_with(b, :n)', same('contains', '[a]'), number],
    ]);
  });

  test('with the wrong number of operands is refused', () => {
    const many = (count: number) => Array.from({ length: count }, (_, index) => `a${index}`).join();
    refuses('FilterExpression', [
      ['attribute_exists(things, a) and a=b', wrongCount('attribute_exists', 2)],
      ['attribute_not_exists(things, b)', wrongCount('attribute_not_exists', 2)],
      ['attribute_type(things)', wrongCount('attribute_type', 1)],
      ['begins_with(things)', wrongCount('begins_with', 1)],
      ['begins_with(things, size(a), b)', wrongCount('begins_with', 3)],
      ['contains(things)', wrongCount('contains', 1)],
      ['size(things, a) > b', wrongCount('size', 2)],
      [`a IN (${many(101)})`, 'The IN operator is provided with too many operands; number of operands: 101'],
    ]);
    compile('FilterExpression', `a IN (${many(100)})`);
  });

  test('that compares an attribute with itself is refused, under whatever name', () => {
    const names = { '#a': 'a' };
    refuses('FilterExpression', [
      ['a = a AND #a = b AND :views > a', same('=', '[a]'), undefined, names],
      ['#a <> a', same('<>', '[a]'), undefined, names],
      ['a > #a', same('>', '[a]'), undefined, names],
      ['((a=a) OR (a=a))', same('=', '[a]')],
      ['((a=a) AND (a=a))', same('=', '[a]')],
      ['contains(ab.bc[1].a, ab.bc[1].#a)', same('contains', '[ab, bc, [1], a]'), undefined, names],
      ['attribute_type(ab.bc[1].#a, ab.bc[1].a)', same('attribute_type', '[ab, bc, [1], a]'), undefined, names],
      ['begins_with(ab.bc[1].a, ab.bc[1].#a)', same('begins_with', '[ab, bc, [1], a]'), undefined, names],
      ['a IN (b, #a)', same('IN', '[a]'), undefined, names],
      ['a BETWEEN b AND a', same('BETWEEN', '[a]')],
    ]);
    compile('FilterExpression', ':a > :a AND size(a) = size(a)', { ':a': 1 });
    compile('FilterExpression', 'a[3] = a.#i AND b.c <> #bc', undefined, { '#i': '[3]', '#bc': 'b, c' });
  });

  test('with values of types that cannot be there is refused', () => {
    const cases: [string, string, Values?][] = [];
    for (const type of typesBut('S', 'B')) {
      cases.push(['begins_with(a, :a)', wrongType('begins_with', type), { ':a': ofType[type] }]);
      cases.push(['begins_with(:a, a)', wrongType('begins_with', type), { ':a': ofType[type] }]);
    }
    for (const type of typesBut('S')) {
      cases.push(['attribute_type(a, :a)', wrongType('attribute_type', type), { ':a': ofType[type] }]);
    }
    for (const type of typesBut('S', 'N', 'B')) {
      for (const operator of ['<', '<=', '>', '>=']) {
        cases.push([`a ${operator} :a`, wrongType(operator, type), { ':a': ofType[type] }]);
        cases.push([`:a ${operator} a`, wrongType(operator, type), { ':a': ofType[type] }]);
      }
      cases.push(['a BETWEEN :a AND :a', wrongType('BETWEEN', type), { ':a': ofType[type] }]);
      cases.push([':a BETWEEN b AND c', wrongType('BETWEEN', type), { ':a': ofType[type] }]);
    }
    for (const type of ['N', 'BOOL', 'NULL']) {
      cases.push(['size(:a) > a', wrongType('size', type), { ':a': ofType[type] }]);
    }
    refuses('FilterExpression', [
      ...cases,
      ['attribute_type(ab.bc[1].a, SS)', wrongType('attribute_type', '{NS,SS,L,BS,N,M,B,BOOL,NULL,S}')],
      ['attribute_type(a, size(a)) and a=b', wrongType('attribute_type', 'N')],
      ['begins_with(a, size(a))', wrongType('begins_with', 'N')],
      ['size(size(a)) > b', wrongType('size', 'N')],
      ['attribute_not_exists(size(:a))', wrongType('size', 'N'), { ':a': 1 }],
      ['attribute_not_exists(size(:a))', needsPath('attribute_not_exists'), { ':a': 'a' }],
      ['attribute_exists(:a) and a=b', needsPath('attribute_exists'), { ':a': 'a' }],
      [
        'attribute_type(a, :a)',
        'Invalid attribute type name found; type: 1, valid types: {B,NULL,SS,BOOL,L,BS,N,NS,S,M}',
        { ':a': '1' },
      ],
    ]);
    for (const type of typesBut())
      compile('FilterExpression', 'a = :a AND b <> :a AND :a IN (c)', { ':a': ofType[type] });
    for (const type of typesBut('N', 'BOOL', 'NULL')) {
      compile('FilterExpression', 'size(:a) > b AND contains(c, :a)', { ':a': ofType[type] });
    }
    for (const type of typesBut()) compile('FilterExpression', 'attribute_type(a, :a)', { ':a': type });
  });

  test('with bounds the wrong way round or of two types is refused', () => {
    const reversed = (bounds: string) =>
      `The BETWEEN operator requires upper bound to be greater than or equal to lower bound; ${bounds}`;
    const text = 'a BETWEEN :l AND :u';
    const bounds = (lower: string, upper: string) =>
      `lower bound operand: AttributeValue: {${lower}}, upper bound operand: AttributeValue: {${upper}}`;
    refuses('ConditionExpression', [
      [text, reversed(bounds('N:5', 'N:4')), { ':l': 5, ':u': 4 }],
      [text, reversed(bounds('N:12345678901234567890123', 'N:4')), { ':l': 12345678901234567890123n, ':u': 4 }],
      [text, reversed(bounds('S:z', 'S:a')), { ':l': 'z', ':u': 'a' }],
      [text, reversed(bounds('B:eg==', 'B:YQ==')), { ':l': Buffer.from('z'), ':u': Buffer.from('a') }],
      [
        text,
        `The BETWEEN operator requires same data type for lower and upper bounds; ${bounds('N:1', 'S:a')}`,
        { ':l': 1, ':u': 'a' },
      ],
    ]);
    compile('ConditionExpression', text, { ':l': 1, ':u': 1 });
  });

  test('is not spoilt for other values by some that were refused', () => {
    const text = 'a < :v AND begins_with(b, :w)';
    const compileWith = (values: Values) => compile('ConditionExpression', text, values);
    assert.throws(() => compileWith({ ':v': true, ':w': 'a' }), /operator or function: <, operand type: BOOL/);
    compileWith({ ':v': 1, ':w': 'a' });
    assert.throws(() => compileWith({ ':v': 1, ':w': 1 }), /operator or function: begins_with, operand type: N/);
    assert.throws(() => compileWith({ ':v': [], ':w': 1 }), /operator or function: <, operand type: L/);
    assert.throws(() => compileWith({ ':w': 'a' }), /attribute value: :v/);
    compileWith({ ':v': 'x', ':w': Uint8Array.of(1) });
  });
});

describe('an update', () => {
  test('with a syntax error is refused with the token and what stands around it', () => {
    refuses('UpdateExpression', [
      ['INVALID SYNTAX HERE', syntax('INVALID', 'INVALID SYNTAX')],
      ['SET', syntax('<EOF>', 'SET')],
      ['SET a = :v,', syntax('<EOF>', ',')],
      ['SET a = :v + ', syntax('<EOF>', '+')],
      ['SET numx = numx * :v', syntax('*', 'numx * :v')],
      ['SET numx = numx / :v', syntax('/', 'numx / :v')],
      ['SET a = b + c + d', syntax('+', 'c + d')],
      ['SET a = (b + c) + d', syntax('+', ') + d')],
      ['SET a = b + (c + d)', syntax('+', 'c + d')],
      ['SET a = if_not_exists(c, :a + :b)', syntax('+', ':a + :b')],
      ['set (a = (b + c))', syntax('(', 'set (a')],
      ['set a = (b.c).d + e', syntax('.', ').d')],
      ['set a = (b.c)[0] + e', syntax('[', ')[0')],
      ['set a[1] = "eight"', syntax('"', '= "eight')],
      ['set a[1] = 1', syntax('1', '= 1')],
      ['SET _123 = :v', syntax('_', 'SET _123')],
      ['SET hi-there = :v', syntax('-', 'hi-there')],
      ['SET # = :v', syntax('#', 'SET # =')],
      ['SET #as, #b = :v', syntax(',', '#as, #b')],
      ['SET a[:xyz] = :v', syntax(':xyz', '[:xyz]')],
      ['SET :a = :b', syntax(':a', 'SET :a =')],
      ['SET a = _f(b,c,d)', syntax('_', '= _f')],
      ['SET if_not_exist(a, b) = a', syntax('(', 'if_not_exist(a')],
      ['ADD numx', syntax('<EOF>', 'numx')],
      ['ADD numx 1', syntax('1', 'numx 1')],
      ['ADD hits : incr', syntax(':', 'hits : incr')],
      ['DELETE setx a', syntax('a', 'setx a')],
      ['add a if_not_exist(b)', syntax('if_not_exist', 'a if_not_exist(')],
      ['remove a = b', syntax('=', 'a = b')],
      ['remove a b', syntax('b', 'a b')],
      ['remove :a', syntax(':a', 'remove :a')],
      ['SET add = :v', syntax('add', 'SET add =')],
      ['SET a = :v WHERE b', syntax('WHERE', ':v WHERE b')],
    ]);
  });

  test('is refused for one kind of mistake before the other, whatever their order in the text', () => {
    const values = { ':a': 'a', ':b': 'a' };
    const names = { '#a': 'a', '#b': 'b' };
    refuses('UpdateExpression', [
      [' set #c = :c set abOrt = true ', reserved('abOrt'), values, names],
      [' remove Absolute ', reserved('Absolute'), values, names],
      ['set #c = if_not_exist(:c) set c = d', 'Invalid function name; function: if_not_exist', values, names],
      ['set a = #c set c = :d', section('SET'), values, names],
      ['remove #d set a = b remove e', section('REMOVE'), values, names],
      ['add #d :e set a = b add e :f', section('ADD'), values, names],
      ['delete #d :e set a = b delete #e :f', section('DELETE'), values, names],
      ['SET #c = if_not_exists(:c)', unnamed('#c'), values, names],
      ['SET #a = if_not_exists(:c)', unvalued(':c'), values, names],
      [
        'set d[1] = a, d.b = a, c[1].a = a, #c = if_not_exists(a)',
        clash('overlap', '[c, [1], a]', '[c]'),
        undefined,
        { '#c': 'c' },
      ],
      ['set a = list_append(:a, b), a.c = :missing', unvalued(':missing'), values],
      ['set b = list_append(:a, c), d = if_not_exists(e) add f.g :a', addOperand('ADD', 'STRING'), values],
    ]);
  });

  const section = (name: string) => `The "${name}" section can only be used once in an update expression;`;
  const addOperand = (operator: string, type: string) =>
    `Incorrect operand type for operator or function; operator: ${operator}, operand type: ${type}, typeSet: ALLOWED_FOR_ADD_OPERAND`;

  test('whose targets lie within each other or take each other for something else is refused', () => {
    const names = { '#c': 'c', '#d': '[3]' };
    refuses('UpdateExpression', [
      ['SET fieldx = :s, fieldx = :s', clash('overlap', '[fieldx]', '[fieldx]'), { ':s': 1 }],
      ['SET mapx = :s, mapx.num = :s', clash('overlap', '[mapx]', '[mapx, num]'), { ':s': 1 }],
      ['SET a.b.c.d.e = :s, a.b = :s', clash('overlap', '[a, b, c, d, e]', '[a, b]'), { ':s': 1 }],
      ['SET lst[0] = :s, lst[0].ok = :s', clash('overlap', '[lst, [0]]', '[lst, [0], ok]'), { ':s': 1 }],
      ['set #c[3].#d = a, #c[3] = a', clash('overlap', '[c, [3], [3]]', '[c, [3]]'), undefined, names],
      ['SET a = :s REMOVE a', clash('overlap', '[a]', '[a]'), { ':s': 1 }],
      ['REMOVE a SET a = :s', clash('overlap', '[a]', '[a]'), { ':s': 1 }],
      ['ADD n :s SET n.x = :s', clash('overlap', '[n]', '[n, x]'), { ':s': 1 }],
      [
        'set #c[3].#d = a, #c.#d[3] = if_not_exists(a)',
        clash('conflict', '[c, [3], [3]]', '[c, [3], [3]]'),
        undefined,
        names,
      ],
      ['remove a.#c set a[1] = #d', clash('conflict', '[a, c]', '[a, [1]]'), undefined, names],
    ]);
    compile('UpdateExpression', 'SET a.b = c, a.d[1] = c, a.d[2].x = c REMOVE a.e, b', undefined);
  });

  test('with functions or operands that do not fit is refused', () => {
    const cases: [string, string, Values?][] = [];
    const named: Values = { S: 'STRING', N: 'NUMBER', B: 'BINARY', BOOL: 'BOOL', NULL: 'NULL', L: 'LIST', M: 'MAP' };
    for (const type of typesBut('N', 'SS', 'NS', 'BS')) {
      cases.push(['add a.b :a', addOperand('ADD', String(named[type])), { ':a': ofType[type] }]);
    }
    for (const type of typesBut('SS', 'NS', 'BS')) {
      cases.push(['delete a.b :a', addOperand('DELETE', String(named[type])), { ':a': ofType[type] }]);
    }
    for (const type of typesBut('L')) {
      cases.push(['set a = list_append(:a, b)', wrongType('list_append', type), { ':a': ofType[type] }]);
      cases.push(['set a = list_append(b, :a)', wrongType('list_append', type), { ':a': ofType[type] }]);
    }
    for (const type of typesBut('N')) {
      cases.push(['set a = a + :a', wrongType('+', type), { ':a': ofType[type] }]);
      cases.push(['set a = :a - a', wrongType('-', type), { ':a': ofType[type] }]);
    }
    const notHere = (name: string) => `The function is not allowed in an update expression; function: ${name}`;
    refuses('UpdateExpression', [
      ...cases,
      ['SET r = contains(s, :needle)', notHere('contains')],
      ['SET r = size(s)', notHere('size')],
      ['SET a = f123_hi(b,c,d)', 'Invalid function name; function: f123_hi'],
      ['SET a = LIST_APPEND(b, c)', 'Invalid function name; function: LIST_APPEND'],
      ['SET r = list_append(list_append(l, :t), :u)', misused('list_append')],
      ['set a = if_not_exists(c)', wrongCount('if_not_exists', 1)],
      ['set a = list_append(c)', wrongCount('list_append', 1)],
      ['set a = list_append(a, b, c)', wrongCount('list_append', 3)],
      ['set a = if_not_exists(:a, c)', needsPath('if_not_exists'), { ':a': 1 }],
      ['set a = if_not_exists(if_not_exists(a, b), c)', needsPath('if_not_exists')],
      ['set a = ((b))', redundant],
      ['set a = ((b + c))', redundant],
    ]);
    for (const text of [
      'set a = ((b.c.d)+(e))',
      'set a = (b + c)',
      'set a = (b)',
      'SET a = if_not_exists(a, b) + b',
      'SET a = if_not_exists(a, if_not_exists(b, c))',
      'SET a = list_append(if_not_exists(a, b), c)',
    ]) {
      compile('UpdateExpression', text);
    }
  });
});

describe('a projection', () => {
  test('with a syntax error is refused with the token and what stands around it', () => {
    refuses('ProjectionExpression', [
      ['whatever(stuff)', syntax('(', 'whatever(stuff')],
      [':a', syntax(':a', ':a')],
      ['a,', syntax('<EOF>', ',')],
      ['a,,b', syntax(',', ',,b')],
      ['a..b', syntax('.', '..b')],
      ['a[b]', syntax('b', '[b]')],
      ['(a.b).c', syntax('(', '(a')],
      ['a-b', syntax('-', 'a-b')],
      ['!!', syntax('!', '!!')],
      ['#list[].#comment', syntax(']', '[].')],
    ]);
  });

  test('is refused for reserved words, aliases, overlaps and conflicts, in this order', () => {
    const names = { '#a': 'a', '#b': '[3]' };
    refuses('ProjectionExpression', [
      ['a.abORt', reserved('abORt')],
      ['#a,ABSoLUTE', reserved('ABSoLUTE')],
      ['and', reserved('and')],
      ['a,b,a,#a', unnamed('#a')],
      ['b[1], b.a, #a.b, a', clash('overlap', '[a, b]', '[a]'), undefined, names],
      ['a, #a[1]', clash('overlap', '[a]', '[a, [1]]'), undefined, names],
      ['a.b, #a[1], #b', clash('conflict', '[a, b]', '[a, [1]]'), undefined, names],
      ['a.b[1], #a[1], #b', clash('conflict', '[a, b, [1]]', '[a, [1]]'), undefined, names],
      ['a[3].b, #a.#b.b', clash('conflict', '[a, [3], b]', '[a, [3], b]'), undefined, names],
      [`a${'.b'.repeat(32)}`, 'The document path has too many nesting levels; nesting levels: 33'],
    ]);
    compile('ProjectionExpression', `a${'.b'.repeat(31)}`);
  });
});

describe('aliases', () => {
  const refused = (names: unknown, values: unknown, message: string) =>
    assert.throws(() => new Aliases(names, values), invalid(message));

  test('are refused for how they are written', () => {
    refused({}, undefined, 'ExpressionAttributeNames must not be empty');
    refused(undefined, {}, 'ExpressionAttributeValues must not be empty');
    refused({ a: 'a' }, {}, 'ExpressionAttributeNames contains invalid key: Syntax error; key: "a"');
    refused({ '#': 'a' }, undefined, 'ExpressionAttributeNames contains invalid key: Syntax error; key: "#"');
    refused({ '#a-b': 'a' }, undefined, 'ExpressionAttributeNames contains invalid key: Syntax error; key: "#a-b"');
    refused(undefined, { b: 1 }, 'ExpressionAttributeValues contains invalid key: Syntax error; key: "b"');
    const long = `#${'n'.repeat(255)}`;
    refused(
      { [long]: 'a' },
      undefined,
      'ExpressionAttributeNames contains invalid key: key too long; size of key: 256',
    );
    new Aliases({ [long.slice(1).replace('n', '#')]: 'a' }, { [`:${'v'.repeat(300)}`]: 1 });
  });

  test('must all be used, by whichever expression', () => {
    const aliases = new Aliases({ '#a': 'a', '#b': 'b', '#c': 'c' }, { ':a': 1, ':b': 2 });
    const use = (text: string) =>
      compileCondition(
        'FilterExpression',
        aliases.use('FilterExpression', parsedCondition('FilterExpression', text)),
        aliases,
      );
    const idle = (parameter: string, keys: string) =>
      invalid(`Value provided in ${parameter} unused in expressions: keys: {${keys}}`);
    use('#a = :a');
    assert.throws(() => aliases.checkAllUsed(), idle('ExpressionAttributeNames', '#b, #c'));
    use('#b = #c AND #a = :a');
    assert.throws(() => aliases.checkAllUsed(), idle('ExpressionAttributeValues', ':b'));
    use('x = :b');
    aliases.checkAllUsed();
  });
});
