/** Expressions and what DynamoDB makes of them, as tables. Conditions are judged on the item of `everyKind`. */

type Values = Record<string, unknown> | undefined;
type Names = Record<string, string> | undefined;

export const conditionCases: readonly (readonly [expression: string, values: Values, holds: boolean, names?: Names])[] =
  [
    ['attribute_exists(whole)', undefined, true],
    ['attribute_exists(absent)', undefined, false],
    ['attribute_not_exists(#map.b.absent)', undefined, true, { '#map': 'map' }],
    ['attribute_exists(#list[3].deep[0])', undefined, true, { '#list': 'list' }],
    ['attribute_exists(#list[9])', undefined, false, { '#list': 'list' }],
    ['attribute_type(nothing, :v)', { ':v': 'NULL' }, true],
    ['attribute_type(wholes, :v)', { ':v': 'NS' }, true],
    ['attribute_type(absent, :v)', { ':v': 'S' }, false],
    ['begins_with(#text, :v)', { ':v': 'gr' }, true, { '#text': 'text' }],
    ['begins_with(#raw, :v)', { ':v': Uint8Array.of(0, 1) }, true, { '#raw': 'raw' }],
    ['begins_with(whole, :v)', { ':v': '4' }, false],
    ['contains(#text, :v)', { ':v': 'ü' }, true, { '#text': 'text' }],
    ['contains(#raw, :v)', { ':v': Uint8Array.of(1, 255) }, true, { '#raw': 'raw' }],
    ['contains(texts, :v)', { ':v': 'b' }, true],
    ['contains(raws, :v)', { ':v': Uint8Array.of(2) }, true],
    ['contains(#list, :v)', { ':v': 'a' }, true, { '#list': 'list' }],
    ['contains(whole, :v)', { ':v': 4 }, false],
    ['size(#text) = :v', { ':v': 4 }, true, { '#text': 'text' }],
    ['size(#raw) = :v', { ':v': 3 }, true, { '#raw': 'raw' }],
    ['size(#map) < :v', { ':v': 3 }, true, { '#map': 'map' }],
    ['size(wholes) = size(#list)', undefined, false, { '#list': 'list' }],
    ['size(whole) = :v', { ':v': 2 }, false],
    ['whole = :v', { ':v': 42 }, true],
    ['whole = :v', { ':v': '42' }, false],
    ['whole <> :v', { ':v': '42' }, true],
    ['absent = :v', { ':v': 1 }, false],
    ['absent <> :v', { ':v': 1 }, true],
    ['absent < :v', { ':v': 1 }, false],
    ['NOT absent < :v', { ':v': 1 }, true],
    ['absent = absentToo', undefined, false],
    ['whole > :v', { ':v': 41.5 }, true],
    ['negative < :v', { ':v': -0.124 }, true],
    ['whole < :v', { ':v': 'text' }, false],
    ['#text > :v', { ':v': 'grz' }, true, { '#text': 'text' }],
    ['#raw >= :v', { ':v': Uint8Array.of(0, 1, 255) }, true, { '#raw': 'raw' }],
    ['yes = :v', { ':v': true }, true],
    ['nothing = :v', { ':v': null }, true],
    ['#map = :v', { ':v': { b: { c: 'x' }, a: 1 } }, true, { '#map': 'map' }],
    ['#map = :v', { ':v': { a: 1 } }, false, { '#map': 'map' }],
    ['texts = :v', { ':v': new Set(['b', 'a']) }, true],
    ['raws = :v', { ':v': new Set([Uint8Array.of(2), Uint8Array.of(1)]) }, true],
    ['whole BETWEEN :v AND :w', { ':v': 42, ':w': 43 }, true],
    ['whole BETWEEN negative AND #large', undefined, true, { '#large': 'large' }],
    ['absent BETWEEN :v AND :w', { ':v': 1, ':w': 2 }, false],
    ['whole IN (:v, :w)', { ':v': '42', ':w': 42 }, true],
    [':v IN (#list[0], whole)', { ':v': 'a' }, true, { '#list': 'list' }],
    ['absent IN (:v)', { ':v': 1 }, false],
    ['yes = :t OR nope = :t AND whole = :v', { ':t': true, ':v': 1 }, true],
    ['(yes = :t OR nope = :t) AND whole = :v', { ':t': true, ':v': 1 }, false],
    ['NOT yes = :t OR yes = :t', { ':t': true }, true],
    ['not (yes = :t and NOT nope = :t)', { ':t': true }, false],
  ];

type Before = Record<string, unknown>;

export const updateCases: readonly (readonly [
  before: Before,
  expression: string,
  values: Values,
  after: Before,
  names?: Names,
])[] = [
  [{}, 'SET a = :v', { ':v': 1 }, { a: 1 }],
  [{ a: 1 }, 'SET a = a + :v', { ':v': 2 }, { a: 3 }],
  [{ a: 0.1 }, 'SET a = a + :v', { ':v': 0.2 }, { a: 0.3 }],
  [{ a: 1.1 }, 'SET a = :v - a', { ':v': 1 }, { a: -0.1 }],
  [{ a: 1, b: 2 }, 'SET a = b, b = a', undefined, { a: 2, b: 1 }],
  [{ a: 1 }, 'SET b = a REMOVE a', undefined, { b: 1 }],
  [{ a: 1 }, 'SET a = if_not_exists(a, :v), b = if_not_exists(b, :v)', { ':v': 9 }, { a: 1, b: 9 }],
  [{}, 'SET n = if_not_exists(n, :zero) + :one', { ':zero': 0, ':one': 1 }, { n: 1 }],
  [{ l: [1] }, 'SET l = list_append(l, :v)', { ':v': [2] }, { l: [1, 2] }],
  [{ l: [1] }, 'SET l = list_append(:v, l)', { ':v': [2] }, { l: [2, 1] }],
  [{}, 'SET l = list_append(if_not_exists(l, :none), :v)', { ':none': [], ':v': [1] }, { l: [1] }],
  [{ l: [1, 2, 3] }, 'SET l[1] = :v', { ':v': 9 }, { l: [1, 9, 3] }],
  [{ l: [1] }, 'SET l[9] = :b, l[5] = :a', { ':a': 'a', ':b': 'b' }, { l: [1, 'a', 'b'] }],
  [{ l: [1, 2, 3, 4] }, 'REMOVE l[0], l[2]', undefined, { l: [2, 4] }],
  [{ l: [1, 2, 3] }, 'SET l[2] = :v REMOVE l[0]', { ':v': 9 }, { l: [2, 9] }],
  [{ l: [{ a: 1, b: 1 }, 2] }, 'REMOVE l[0].a, l[1]', undefined, { l: [{ b: 1 }] }],
  [{ m: { a: { x: 1 } } }, 'SET m.a.#dot = :v', { ':v': 2 }, { m: { a: { x: 1, 'y.z': 2 } } }, { '#dot': 'y.z' }],
  [{ m: { a: 1, b: 2 } }, 'REMOVE m.a, m.absent, absent', undefined, { m: { b: 2 } }],
  [{ l: [1, 2] }, 'REMOVE l[5]', undefined, { l: [1, 2] }],
  [{ a: null }, 'SET a = if_not_exists(a, :v)', { ':v': 1 }, { a: null }],
  [{ l: [1] }, 'SET l[9] = :b, x = :b, l[5] = :a', { ':a': 'a', ':b': 'b' }, { l: [1, 'a', 'b'], x: 'b' }],
  [{ l: [1] }, 'SET l[9] = :v REMOVE l[1]', { ':v': 2 }, { l: [1, 2] }],
  [{ a: [2, 3, 4, 5, 6, 7] }, 'REMOVE a[1] SET a[3] = :v', { ':v': 17 }, { a: [2, 4, 17, 6, 7] }],
  [{ m: {} }, 'ADD m.n :v, m.s :s', { ':v': 2, ':s': new Set(['a']) }, { m: { n: 2, s: new Set(['a']) } }],
  [{ m: { s: new Set([1, 2]) } }, 'DELETE m.s :s', { ':s': new Set([2]) }, { m: { s: new Set([1]) } }],
  [{ c: 10 }, 'SET c = (c - :v)', { ':v': 3 }, { c: 7 }],
  [{}, 'ADD n :v', { ':v': 2 }, { n: 2 }],
  [{ n: 0.1 }, 'ADD n :v', { ':v': 0.2 }, { n: 0.3 }],
  [{ s: new Set(['a']) }, 'ADD s :v', { ':v': new Set(['a', 'b']) }, { s: new Set(['a', 'b']) }],
  [{}, 'ADD s :v', { ':v': new Set([1]) }, { s: new Set([1]) }],
  [{ s: new Set(['a', 'b']) }, 'DELETE s :v', { ':v': new Set(['b', 'c']) }, { s: new Set(['a']) }],
  [{ s: new Set(['a']) }, 'DELETE s :v', { ':v': new Set(['a']) }, {}],
  [{}, 'DELETE s :v', { ':v': new Set(['a']) }, {}],
  [{ a: 1, n: 1 }, 'remove a add n :v set b = :v', { ':v': 1 }, { n: 2, b: 1 }],
];

const missing = 'The provided expression refers to an attribute that does not exist in the item';
const wrongType = 'An operand in the update expression has an incorrect data type';
const badPath = 'The document path provided in the update expression is invalid for update';
const isKey = (name: string) =>
  `One or more parameter values were invalid: Cannot update attribute ${name}. This attribute is part of the key`;

export const refusedUpdates: readonly (readonly [expression: string, values: Values, message: string])[] = [
  ['SET a = absent', undefined, missing],
  ['SET a = absent + :v', { ':v': 1 }, missing],
  ['SET a = yes + :v', { ':v': 1 }, wrongType],
  ['SET a = list_append(whole, :v)', { ':v': [1] }, wrongType],
  ['SET absent.a = :v', { ':v': 1 }, badPath],
  ['SET whole.a = :v', { ':v': 1 }, badPath],
  ['SET whole[0] = :v', { ':v': 1 }, badPath],
  ['REMOVE absent.a', undefined, badPath],
  ['REMOVE whole[0]', undefined, badPath],
  ['ADD absent.a :v', { ':v': 1 }, badPath],
  ['ADD yes :v', { ':v': 1 }, wrongType],
  ['ADD texts :v', { ':v': new Set([1]) }, wrongType],
  ['DELETE whole :v', { ':v': new Set([1]) }, wrongType],
  ['SET PK = :v', { ':v': 'a' }, isKey('PK')],
  ['REMOVE SK', undefined, isKey('SK')],
];

const names = (count: number) => Array.from({ length: count }, (_, index) => `a${index}`);

export const refusedExpressions: readonly (readonly [parameters: Record<string, unknown>, message: string])[] = [
  [{ UpdateExpression: '' }, 'Invalid UpdateExpression: The expression can not be empty;'],
  [{ UpdateExpression: 'SET' }, 'Invalid UpdateExpression: Syntax error; token: "<EOF>"'],
  [{ UpdateExpression: 'SET a = b c' }, 'Invalid UpdateExpression: Syntax error; token: "c"'],
  [{ UpdateExpression: 'SET a = 1' }, 'Invalid UpdateExpression: Syntax error; token: "1"'],
  [{ UpdateExpression: 'SET a ! b' }, 'Invalid UpdateExpression: Syntax error; token: "!"'],
  [{ UpdateExpression: 'SET status = a' }, 'Attribute name is a reserved keyword; reserved keyword: status'],
  [{ UpdateExpression: 'SET a = b SET c = d' }, 'The "SET" section can only be used once in an update expression;'],
  [{ UpdateExpression: 'SET a = f(b)' }, 'Invalid function name; function: f'],
  [{ UpdateExpression: 'SET a = b, a = c' }, 'Two document paths overlap with each other;'],
  [{ UpdateExpression: 'SET a = b REMOVE a.c' }, 'path one: [a], path two: [a, c]'],
  [{ UpdateExpression: 'REMOVE a[1], a.x' }, 'Two document paths conflict with each other;'],
  [
    { UpdateExpression: 'SET a = :v' },
    'An expression attribute value used in expression is not defined; attribute value: :v',
  ],
  [
    { UpdateExpression: 'SET #a = b' },
    'An expression attribute name used in the document path is not defined; attribute name: #a',
  ],
  [
    { UpdateExpression: 'REMOVE a', ExpressionAttributeValues: { ':x': 1 } },
    'Value provided in ExpressionAttributeValues unused in expressions: keys: {:x}',
  ],
  [
    { UpdateExpression: 'REMOVE a', ExpressionAttributeNames: { '#x': 'b' } },
    'Value provided in ExpressionAttributeNames unused in expressions: keys: {#x}',
  ],
  [{ UpdateExpression: 'REMOVE a', ExpressionAttributeValues: {} }, 'ExpressionAttributeValues must not be empty'],
  [
    { UpdateExpression: 'REMOVE a', ExpressionAttributeNames: { x: 'b' } },
    'ExpressionAttributeNames contains invalid key',
  ],
  [
    { UpdateExpression: 'ADD a :v', ExpressionAttributeValues: { ':v': 'x' } },
    'Incorrect operand type for operator or function; operator: ADD',
  ],
  [{ ConditionExpression: '((a = b))' }, 'The expression has redundant parentheses;'],
  [{ ConditionExpression: 'a' }, 'Syntax error; token: "<EOF>", near: "a"'],
  [{ ConditionExpression: 'a != b' }, 'Syntax error; token: "!", near: "a !="'],
  [{ ConditionExpression: 'a = b AND #x = a' }, 'attribute name: #x'],
  [{ ConditionExpression: 'a = a' }, 'operator: =, first operand: [a]'],
  [
    { ConditionExpression: 'size(a)' },
    'The function is not allowed to be used this way in an expression; function: size',
  ],
  [
    { ConditionExpression: 'if_not_exists(a, b) = c' },
    'The function is not allowed in a condition expression; function: if_not_exists',
  ],
  [{ UpdateExpression: 'SET a = size(b)' }, 'The function is not allowed in an update expression; function: size'],
  [
    { UpdateExpression: 'SET a = b + :v', ExpressionAttributeValues: { ':v': 'x' } },
    'operator or function: +, operand type: S',
  ],
  [{ ConditionExpression: 'a = b AND' }, 'Syntax error; token: "<EOF>"'],
  [{ ConditionExpression: 'Contains(a, b)' }, 'Invalid function name; function: Contains'],
  [{ ConditionExpression: 'begins_with(a)' }, 'operator or function: begins_with, number of operands: 1'],
  [{ ConditionExpression: 'contains(a, a)' }, 'The first operand must be distinct from the remaining operands'],
  [
    { ConditionExpression: 'a = attribute_exists(b)' },
    'The function is not allowed to be used this way in an expression; function: attribute_exists',
  ],
  [
    { ConditionExpression: 'a < :v', ExpressionAttributeValues: { ':v': true } },
    'operator or function: <, operand type: BOOL',
  ],
  [
    { ConditionExpression: 'begins_with(a, :v)', ExpressionAttributeValues: { ':v': 1 } },
    'operator or function: begins_with, operand type: N',
  ],
  [
    { ConditionExpression: 'attribute_type(a, :v)', ExpressionAttributeValues: { ':v': 'X' } },
    'Invalid attribute type name found; type: X',
  ],
  [
    { ConditionExpression: 'a BETWEEN :v AND :w', ExpressionAttributeValues: { ':v': 2, ':w': 1 } },
    'The BETWEEN operator requires upper bound to be greater than or equal to lower bound',
  ],
  [
    { ConditionExpression: `a IN (${names(101).join()})` },
    'The IN operator is provided with too many operands; number of operands: 101',
  ],
  [
    {
      ConditionExpression: names(152)
        .map(name => `${name} = b`)
        .join(' OR '),
    },
    'The expression contains too many operators',
  ],
  [{ ConditionExpression: `${'NOT '.repeat(1000)}a = b` }, 'The expression contains too many operators'],
  [{ ConditionExpression: '('.repeat(4000) }, 'Syntax error; token: "<EOF>", near: "("'],
  [{ ConditionExpression: `${'('.repeat(2000)}a = b${')'.repeat(2000)}` }, 'The expression has redundant parentheses;'],
  [
    { ConditionExpression: `a = ${'b'.repeat(4093)}` },
    'Expression size has exceeded the maximum allowed size; expression size: 4097',
  ],
  [
    { KeyConditionExpression: 'SK = :v', ExpressionAttributeValues: { ':v': 'a' } },
    'Query condition missed key schema element: PK',
  ],
  [
    { KeyConditionExpression: 'PK > :v', ExpressionAttributeValues: { ':v': 'a' } },
    'Query key condition not supported',
  ],
  [
    { KeyConditionExpression: 'PK = :v OR SK = :v', ExpressionAttributeValues: { ':v': 'a' } },
    'Invalid operator used in KeyConditionExpression: OR',
  ],
  [
    { KeyConditionExpression: 'PK = :v AND another = :v', ExpressionAttributeValues: { ':v': 'a' } },
    'Query condition missed key schema element: SK',
  ],
  [
    { KeyConditionExpression: 'PK = :v AND SK = :n', ExpressionAttributeValues: { ':v': 'a', ':n': 1 } },
    'Condition parameter type does not match schema type',
  ],
  [
    { KeyConditionExpression: 'PK = :v', FilterExpression: 'SK = :v', ExpressionAttributeValues: { ':v': 'a' } },
    'Filter Expression can only contain non-primary key attributes: Primary key attribute: SK',
  ],
  [
    { KeyConditionExpression: 'PK = :v', ProjectionExpression: 'a, a.b', ExpressionAttributeValues: { ':v': 'a' } },
    'Invalid ProjectionExpression: Two document paths overlap with each other;',
  ],
  [
    { FilterExpression: 'a = b' },
    'Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.',
  ],
];
