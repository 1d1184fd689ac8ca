// Random operations over few keys and few attribute names, so that they meet.
import fc from 'fast-check';
import type { Condition, Operand, Path, SetValue, Update } from './expressions.ts';
import type { Wire, WireItem } from './values.ts';

export interface Key {
  PK: { S: string };
  SK: { N: string };
}

export type SortRange =
  | { kind: '=' | '<' | '<=' | '>' | '>='; value: Wire }
  | { kind: 'between'; lower: Wire; upper: Wire };

interface Guarded {
  condition?: Condition;
}

export type Write =
  | ({ kind: 'put'; item: WireItem } & Guarded)
  | ({ kind: 'delete'; key: Key } & Guarded)
  | ({ kind: 'update'; key: Key; update: Update } & Guarded);

export type Operation =
  | (Write & { returns: number })
  | { kind: 'get'; key: Key; projection?: Path[] }
  | { kind: 'query'; partition: string; range?: SortRange; filter?: Condition; limit: number; backwards: boolean }
  | { kind: 'queryIndex'; owner: string; filter?: Condition; limit: number; backwards: boolean }
  | { kind: 'scan'; filter?: Condition; limit: number; segments: number }
  | { kind: 'batchGet'; keys: Key[] }
  | { kind: 'batchWrite'; writes: ({ item: WireItem } | { key: Key })[] }
  | { kind: 'transactGet'; keys: Key[] }
  | { kind: 'transactWrite'; actions: (Write | { kind: 'check'; key: Key; condition: Condition })[] };

const texts = fc.constantFrom('', 'a', 'ab', 'b', 'ä', '\u{1F600}', '\uFFFD', '10');
const numberTexts = fc.oneof(
  { weight: 5, arbitrary: fc.integer({ min: -20, max: 20 }).map(String) },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      '0.1',
      '-0.5',
      '1.10',
      '1e3',
      '9007199254740993',
      '1E-130',
      '9.9E+125',
      '0.30000000000000004',
    ),
  },
  { weight: 1, arbitrary: fc.bigInt({ min: -(10n ** 38n) + 1n, max: 10n ** 38n - 1n }).map(String) },
);
const binaries = fc.constantFrom('', 'AA==', 'AAE=', '/w==');
const leaves: fc.Arbitrary<Wire> = fc.oneof(
  { weight: 4, arbitrary: texts.map(S => ({ S })) },
  { weight: 5, arbitrary: numberTexts.map(N => ({ N })) },
  { weight: 1, arbitrary: binaries.map(B => ({ B })) },
  { weight: 1, arbitrary: fc.boolean().map(BOOL => ({ BOOL })) },
  { weight: 1, arbitrary: fc.constant({ NULL: true } as const) },
  { weight: 1, arbitrary: fc.uniqueArray(texts, { minLength: 1, maxLength: 3 }).map(SS => ({ SS })) },
  {
    weight: 1,
    arbitrary: fc
      .uniqueArray(fc.integer({ min: 0, max: 4 }), { minLength: 1, maxLength: 3 })
      .map(all => ({ NS: all.map(String) })),
  },
  { weight: 1, arbitrary: fc.uniqueArray(binaries, { minLength: 1, maxLength: 2 }).map(BS => ({ BS })) },
);
const innerNames = fc.constantFrom('x', 'y', '__proto__');
const values: fc.Arbitrary<Wire> = fc.letrec<{ value: Wire }>(tie => ({
  value: fc.oneof(
    { maxDepth: 2 },
    { weight: 6, arbitrary: leaves },
    { weight: 2, arbitrary: fc.array(tie('value'), { maxLength: 3 }).map(L => ({ L })) },
    {
      weight: 2,
      arbitrary: fc
        .array(fc.tuple(innerNames, tie('value')), { maxLength: 3 })
        .map(entries => ({ M: Object.fromEntries(entries) })),
    },
  ),
})).value;

const partitions = fc.constantFrom('p', 'q', 'r\u0000s');
const keys: fc.Arbitrary<Key> = fc.record({
  PK: partitions.map(S => ({ S })),
  SK: fc.constantFrom('1', '2', '2.5', '-7', '10').map(N => ({ N })),
});
const owners = fc.constantFrom('ada', 'bob');
const attributes = fc.record(
  {
    a: values,
    b: values,
    c: values,
    Owner: owners.map(S => ({ S })),
    Rank: fc.integer({ min: 0, max: 5 }).map(n => ({ N: String(n) })),
  },
  { requiredKeys: [] },
);
const items: fc.Arbitrary<WireItem> = fc.tuple(keys, attributes).map(([key, rest]) => ({ ...rest, ...key }));

const firstSteps = fc.constantFrom('a', 'b', 'c');
const laterSteps = fc.oneof(innerNames, fc.integer({ min: 0, max: 4 }));
const paths: fc.Arbitrary<Path> = fc
  .tuple(firstSteps, fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, fc.array(laterSteps, { maxLength: 2 })))
  .map(([first, rest]) => [first, ...rest]);

const operands: fc.Arbitrary<Operand> = fc.oneof(
  { weight: 3, arbitrary: paths.map(path => ({ path })) },
  { weight: 4, arbitrary: values.map(value => ({ value })) },
  { weight: 1, arbitrary: paths.map(size => ({ size })) },
);
const comparators = fc.constantFrom('=', '<>', '<', '<=', '>', '>=');
const tags = fc.constantFrom('S', 'N', 'B', 'BOOL', 'NULL', 'L', 'M', 'SS', 'NS', 'BS');
const pathOrValue = fc.oneof(
  paths.map(path => ({ path })),
  leaves.map(value => ({ value })),
);

export const conditions: fc.Arbitrary<Condition> = fc.letrec<{ condition: Condition }>(tie => ({
  condition: fc.oneof(
    { maxDepth: 2 },
    // The first operand is a path, for one of two literals alone is refused in ways of its own.
    fc.record({
      kind: fc.constant('compare' as const),
      comparator: comparators,
      left: paths.map(path => ({ path })),
      right: operands,
    }),
    fc.record({ kind: fc.constantFrom('exists' as const, 'notExists' as const), path: paths }),
    fc.record({ kind: fc.constant('type' as const), path: paths, tag: tags }),
    fc.record({ kind: fc.constantFrom('beginsWith' as const, 'contains' as const), path: paths, operand: pathOrValue }),
    fc.record({
      kind: fc.constant('between' as const),
      operand: paths.map(path => ({ path })),
      lower: leaves.map(value => ({ value })),
      upper: leaves.map(value => ({ value })),
    }),
    fc.record({
      kind: fc.constant('in' as const),
      operand: paths.map(path => ({ path })),
      candidates: fc.array(pathOrValue, { minLength: 1, maxLength: 3 }),
    }),
    fc.record({
      kind: fc.constantFrom('and' as const, 'or' as const),
      left: tie('condition'),
      right: tie('condition'),
    }),
    fc.record({ kind: fc.constant('not' as const), inner: tie('condition') }),
  ),
})).condition;

const operandsOfSum: fc.Arbitrary<SetValue> = fc.oneof(
  paths.map(path => ({ path })),
  numberTexts.map(N => ({ value: { N } })),
  fc.record({
    kind: fc.constant('ifNotExists' as const),
    path: paths,
    otherwise: numberTexts.map(N => ({ value: { N } })),
  }),
);
const lists = fc.array(values, { maxLength: 2 }).map(L => ({ value: { L } }));
const operandsOfAppend: fc.Arbitrary<SetValue> = fc.oneof(
  paths.map(path => ({ path })),
  lists,
  fc.record({ kind: fc.constant('ifNotExists' as const), path: paths, otherwise: lists }),
);
const setValues: fc.Arbitrary<SetValue> = fc.oneof(
  { weight: 6, arbitrary: values.map(value => ({ value })) },
  { weight: 1, arbitrary: paths.map(path => ({ path })) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom('plus' as const, 'minus' as const),
      left: operandsOfSum,
      right: operandsOfSum,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('append' as const), left: operandsOfAppend, right: operandsOfAppend }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('ifNotExists' as const),
      path: paths,
      otherwise: values.map(value => ({ value })),
    }),
  },
);
const sets: fc.Arbitrary<Wire> = fc.oneof(
  fc.uniqueArray(texts, { minLength: 1, maxLength: 2 }).map(SS => ({ SS })),
  fc.uniqueArray(fc.integer({ min: 0, max: 4 }), { minLength: 1, maxLength: 2 }).map(all => ({ NS: all.map(String) })),
);
const addable = fc.oneof(
  { weight: 5, arbitrary: numberTexts.map(N => ({ N })) },
  { weight: 5, arbitrary: sets },
  { weight: 1, arbitrary: leaves },
);
const deletable = fc.oneof({ weight: 9, arbitrary: sets }, { weight: 1, arbitrary: leaves });
const indexedSet = fc.oneof(
  owners.map(S => ({ path: ['Owner'], value: { value: { S } } })),
  fc.integer({ min: 0, max: 5 }).map(n => ({ path: ['Rank'], value: { value: { N: String(n) } } })),
);
function rarely<Action>(action: fc.Arbitrary<Action>): fc.Arbitrary<Action[]> {
  return fc.oneof(
    { weight: 3, arbitrary: fc.constant<Action[]>([]) },
    { weight: 1, arbitrary: action.map(each => [each]) },
  );
}

const updates: fc.Arbitrary<Update> = fc
  .record({
    set: fc.array(
      fc.oneof(
        { weight: 4, arbitrary: fc.record({ path: paths, value: setValues }) },
        { weight: 1, arbitrary: indexedSet },
      ),
      { maxLength: 2 },
    ),
    remove: rarely(
      fc.oneof({ weight: 9, arbitrary: paths }, { weight: 3, arbitrary: fc.constantFrom(['Owner'], ['Rank'], ['PK']) }),
    ),
    add: rarely(fc.record({ path: paths, value: addable })),
    delete: rarely(fc.record({ path: paths, value: deletable })),
  })
  .filter(({ set, remove, add, delete: gone }) => set.length + remove.length + add.length + gone.length > 0);

const guard = { condition: fc.option(conditions, { nil: undefined, freq: 3 }) };
const writes: fc.Arbitrary<Write> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('put' as const), item: items, ...guard }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('delete' as const), key: keys, ...guard }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('update' as const), key: keys, update: updates, ...guard }) },
);
const limits = fc.integer({ min: 1, max: 6 });
const filters = fc.option(conditions, { nil: undefined });
const sortValues = fc.constantFrom('1', '2', '2.50', '-7', '10', '3').map(N => ({ N }));
const ranges: fc.Arbitrary<SortRange> = fc.oneof(
  fc.record({
    kind: fc.constantFrom('=' as const, '<' as const, '<=' as const, '>' as const, '>=' as const),
    value: sortValues,
  }),
  fc.record({ kind: fc.constant('between' as const), lower: sortValues, upper: sortValues }),
);
const someKeys = fc.uniqueArray(keys, { minLength: 1, maxLength: 4, selector: JSON.stringify });

export const operations: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 10, arbitrary: fc.tuple(writes, fc.nat(4)).map(([write, returns]) => ({ ...write, returns })) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('get' as const),
      key: keys,
      projection: fc.option(
        fc.uniqueArray(firstSteps, { minLength: 1 }).map(names => names.map(name => [name])),
        { nil: undefined },
      ),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('query' as const),
      partition: partitions,
      range: fc.option(ranges, { nil: undefined }),
      filter: filters,
      limit: limits,
      backwards: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('queryIndex' as const),
      owner: owners,
      filter: filters,
      limit: limits,
      backwards: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('scan' as const),
      filter: filters,
      limit: limits,
      segments: fc.integer({ min: 1, max: 4 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('batchGet' as const), keys: someKeys }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('batchWrite' as const),
      writes: fc.array(
        fc.oneof(
          items.map(item => ({ item })),
          keys.map(key => ({ key })),
        ),
        { minLength: 1, maxLength: 4 },
      ),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('transactGet' as const), keys: someKeys }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('transactWrite' as const),
      actions: fc.array(
        fc.oneof(
          { weight: 3, arbitrary: writes },
          {
            weight: 1,
            arbitrary: fc.record({ kind: fc.constant('check' as const), key: keys, condition: conditions }),
          },
        ),
        { minLength: 1, maxLength: 4 },
      ),
    }),
  },
);
