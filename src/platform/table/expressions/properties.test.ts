/** What holds for every expression: random ones are printed, read back, and compared with the plainest way to judge them. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { testScale } from '../../../../test/support.ts';
import { TableError } from '../errors.ts';
import { compare, equals, type Item, typeOf, type Value } from '../values/value.ts';
import { Aliases, type Steps } from './aliases.ts';
import { compileCondition } from './condition.ts';
import { valueAt } from './evaluate.ts';
import { parseCondition } from './parse-condition.ts';
import { parseProjection } from './parse-projection.ts';
import { parseUpdate } from './parse-update.ts';
import { pathText, pathTree } from './paths.ts';
import { projectOn } from './projection.ts';
import type { Condition, Operand, Path, PathStep } from './syntax.ts';
import { compileUpdate } from './update.ts';

const numRuns = testScale(300, 20_000);

const stepArbitrary: fc.Arbitrary<PathStep> = fc.oneof(
  fc.constantFrom('a', 'b', 'c').map(name => ({ name })),
  fc.constantFrom('#x', '#y').map(alias => ({ alias })),
  fc.nat(2).map(index => ({ index })),
);
const pathArbitrary: fc.Arbitrary<Path> = fc
  .tuple(
    fc.constantFrom<PathStep>({ name: 'a' }, { name: 'b' }, { alias: '#x' }),
    fc.array(stepArbitrary, { maxLength: 2 }),
  )
  .map(([first, more]) => [first, ...more]);

const names = { '#x': 'a', '#y': 'c' };
const aliasArbitrary = fc.constantFrom(':s', ':n', ':t', ':m');
const values: Record<string, Value> = { ':s': 'b', ':n': 1, ':t': 'S', ':m': 2 };

const operandArbitrary: fc.Arbitrary<Operand> = fc.oneof(
  pathArbitrary.map(path => ({ path })),
  aliasArbitrary.map(value => ({ value, slot: 0 })),
  pathArbitrary.map(path => ({ size: [{ path }] })),
);

const conditionArbitrary = fc.letrec<{ condition: Condition }>(tie => ({
  condition: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.record({
      kind: fc.constant('compare' as const),
      comparator: fc.constantFrom('=', '<>', '<', '<=', '>', '>='),
      operands: fc.tuple(operandArbitrary, operandArbitrary),
    }),
    fc.record({
      kind: fc.constant('between' as const),
      operands: fc.tuple(operandArbitrary, operandArbitrary, operandArbitrary),
    }),
    fc.record({
      kind: fc.constant('in' as const),
      operands: fc
        .tuple(operandArbitrary, fc.array(operandArbitrary, { minLength: 1, maxLength: 3 }))
        .map(([one, others]): [Operand, ...Operand[]] => [one, ...others]),
    }),
    fc.record({
      kind: fc.constant('function' as const),
      name: fc.constantFrom('attribute_exists', 'attribute_not_exists'),
      operands: pathArbitrary.map(path => [{ path }]),
    }),
    fc.record({
      kind: fc.constant('function' as const),
      name: fc.constantFrom('begins_with', 'contains', 'attribute_type'),
      operands: fc.tuple(pathArbitrary, aliasArbitrary).map(([path, value]) => [{ path }, { value, slot: 0 }]),
    }),
    fc.record({ kind: fc.constant('not' as const), inner: tie('condition') }),
    fc.record({
      kind: fc.constantFrom('and' as const, 'or' as const),
      parts: fc.array(tie('condition'), { minLength: 2, maxLength: 3 }),
    }),
  ),
})).condition;

const scalarArbitrary = fc.oneof(
  fc.constantFrom<Value>('a', 'b', 'bc', '', 0, 1, 2, 1.5, true, false, null),
  fc.constantFrom<Value>(new Set(['b']), new Set([1, 2]), Uint8Array.of(1)),
);
const valueArbitrary = fc.letrec<{ value: Value }>(tie => ({
  value: fc.oneof(
    { depthSize: 'small' },
    scalarArbitrary,
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom('a', 'b', 'c'), tie('value'), { maxKeys: 3, noNullPrototype: true }),
  ),
})).value;
const itemArbitrary = fc.dictionary(fc.constantFrom('a', 'b', 'c'), valueArbitrary, {
  maxKeys: 3,
  noNullPrototype: true,
});

function printedPath(path: Path): string {
  return path
    .map((step, at) =>
      'index' in step ? `[${step.index}]` : (at > 0 ? '.' : '') + ('name' in step ? step.name : step.alias),
    )
    .join('');
}

function printedOperand(operand: Operand): string {
  if ('path' in operand) return printedPath(operand.path);
  return 'value' in operand ? operand.value : `size(${operand.size.map(printedOperand).join()})`;
}

/** Every part in parentheses, so that nothing hangs on precedence. */
function printed(condition: Condition): string {
  switch (condition.kind) {
    case 'and':
    case 'or':
      return condition.parts.map(part => `(${printed(part)})`).join(` ${condition.kind.toUpperCase()} `);
    case 'not':
      return `NOT (${printed(condition.inner)})`;
    case 'compare':
      return condition.operands.map(printedOperand).join(condition.comparator);
    case 'between': {
      const [operand, lower, upper] = condition.operands.map(printedOperand);
      return `${operand} BETWEEN ${lower} AND ${upper}`;
    }
    case 'in':
      return `${printedOperand(condition.operands[0])} IN (${condition.operands.slice(1).map(printedOperand).join()})`;
    case 'function':
      return `${condition.name}(${condition.operands.map(printedOperand).join()})`;
  }
}

/** Slots are given out in the order of the text. */
function withoutSlots(condition: unknown): unknown {
  return JSON.parse(JSON.stringify(condition, (key, value) => (key === 'slot' ? undefined : value)));
}

function stepsOf(path: Path): Steps {
  return path.map(step =>
    'index' in step ? step.index : 'name' in step ? step.name : ({ '#x': 'a', '#y': 'c' }[step.alias] ?? ''),
  );
}

function naiveValue(item: Item, operand: Operand): Value | undefined {
  if ('path' in operand) return valueAt(item, stepsOf(operand.path));
  if ('value' in operand) return values[operand.value];
  const value = naiveValue(item, operand.size[0]);
  if (value === undefined || value === null || typeof value === 'number' || typeof value === 'boolean')
    return undefined;
  if (typeof value === 'string' || Array.isArray(value) || value instanceof Uint8Array) return value.length;
  return value instanceof Set ? value.size : Object.keys(value).length;
}

function naive(item: Item, condition: Condition): boolean {
  if ('parts' in condition) {
    return condition.kind === 'and'
      ? condition.parts.every(part => naive(item, part))
      : condition.parts.some(part => naive(item, part));
  }
  if (condition.kind === 'not') return !naive(item, condition.inner);
  const [one, two, three] = condition.operands.map(operand => naiveValue(item, operand));
  const order = (left?: Value, right?: Value) =>
    left === undefined || right === undefined ? Number.NaN : (compare(left, right) ?? Number.NaN);
  const same = (left?: Value, right?: Value) => left !== undefined && right !== undefined && equals(left, right);
  if (condition.kind === 'between') return order(one, two) >= 0 && order(one, three) <= 0;
  if (condition.kind === 'in') return condition.operands.slice(1).some(each => same(one, naiveValue(item, each)));
  if (condition.kind === 'compare') {
    const { comparator } = condition;
    if (comparator === '=') return same(one, two);
    if (comparator === '<>') return !same(one, two);
    const found = order(one, two);
    if (comparator === '<') return found < 0;
    if (comparator === '<=') return found <= 0;
    return comparator === '>' ? found > 0 : found >= 0;
  }
  if (condition.name === 'attribute_exists') return one !== undefined;
  if (condition.name === 'attribute_not_exists') return one === undefined;
  if (one === undefined || two === undefined) return false;
  if (condition.name === 'attribute_type') return typeOf(one) === two;
  if (condition.name === 'begins_with')
    return typeof one === 'string' && typeof two === 'string' && one.startsWith(two);
  if (typeof one === 'string') return typeof two === 'string' && one.includes(two);
  if (one instanceof Set) return [...one].some(member => equals(member, two));
  return Array.isArray(one) && one.some(element => equals(element, two));
}

describe('every condition', () => {
  test('printed reads back as itself', () => {
    fc.assert(
      fc.property(conditionArbitrary, condition => {
        const { root } = parseCondition('FilterExpression', printed(condition));
        assert.deepEqual(withoutSlots(root), withoutSlots(condition));
      }),
      { numRuns },
    );
  });

  test('holds of an item just when the plainest judge says so', () => {
    let judged = 0;
    fc.assert(
      fc.property(conditionArbitrary, itemArbitrary, (condition, item) => {
        const parsed = parseCondition('FilterExpression', printed(condition));
        const aliases = new Aliases(names, values);
        let predicate: (item: Item) => boolean;
        try {
          predicate = compileCondition('FilterExpression', parsed, aliases);
        } catch (error) {
          assert.ok(error instanceof TableError); // operands that are the same, or of types that cannot be
          return;
        }
        judged++;
        assert.equal(predicate(item), naive(item, condition), printed(condition));
      }),
      { numRuns },
    );
    assert.ok(judged > numRuns / 4, `only ${judged} of ${numRuns} were judged`);
  });
});

describe('every list of paths', () => {
  const pathsArbitrary = fc.array(pathArbitrary.map(stepsOf), { minLength: 1, maxLength: 6 });

  test('is refused just when two of them overlap or conflict', () => {
    const relation = (left: Steps, right: Steps) => {
      for (let at = 0; at < Math.min(left.length, right.length); at++) {
        if (typeof left[at] !== typeof right[at]) return 'conflict';
        if (left[at] !== right[at]) return undefined;
      }
      return 'overlap';
    };
    fc.assert(
      fc.property(pathsArbitrary, paths => {
        const clashes = paths.flatMap((right, at) =>
          paths.slice(0, at).map(left => ({ relation: relation(left, right), left, right })),
        );
        const expected =
          clashes.find(each => each.relation === 'overlap') ?? clashes.find(each => each.relation === 'conflict');
        let message: string | undefined;
        try {
          pathTree(paths, text => new TableError({ name: 'n', code: 'c', fix: 'f', message: text }));
        } catch (error) {
          assert.ok(error instanceof TableError);
          message = error.message;
        }
        assert.equal(message?.split(' ')[3], expected?.relation);
        if (expected?.relation === 'overlap') {
          const { left, right } = expected;
          assert.ok(message?.endsWith(`path one: ${pathText(left)}, path two: ${pathText(right)}`), message);
        }
      }),
      { numRuns },
    );
  });

  test('projects an item on what stands at them', () => {
    fc.assert(
      fc.property(pathArbitrary.map(stepsOf), itemArbitrary, (steps, item) => {
        const compacted = steps.map(step => (typeof step === 'number' ? 0 : step));
        const value = valueAt(item, steps);
        const kept = projectOn([steps])(item);
        assert.deepEqual(valueAt(kept, compacted), value);
        if (value === undefined) assert.deepEqual(kept, {});
      }),
      { numRuns },
    );
  });
});

describe('every update of one target', () => {
  test('writes there and nowhere else', () => {
    fc.assert(
      fc.property(pathArbitrary, itemArbitrary, scalarArbitrary, (path, item, value) => {
        const steps = stepsOf(path);
        const before = structuredClone(item);
        const aliases = new Aliases(names, { ':v': value });
        const set = compileUpdate(parseUpdate(`SET ${printedPath(path)} = :v`), aliases);
        const parent = valueAt(item, steps.slice(0, -1));
        const last = steps[steps.length - 1];
        const fits = typeof last === 'number' ? Array.isArray(parent) : parent !== undefined && typeOf(parent) === 'M';
        if (!fits) {
          assert.throws(() => set.apply(item), /invalid for update/);
          return;
        }
        const after = set.apply(item);
        const place = Array.isArray(parent) && typeof last === 'number' ? Math.min(last, parent.length) : last;
        assert.deepEqual(valueAt(after, [...steps.slice(0, -1), place]), value);
        assert.deepEqual(item, before);
        const removed = compileUpdate(
          parseUpdate(`REMOVE ${printedPath([...path.slice(0, -1), stepAt(place)])}`),
          aliases,
        );
        if (valueAt(item, steps) === undefined) assert.deepEqual(removed.apply(after), before);
      }),
      { numRuns },
    );
  });

  const stepAt = (step: string | number): PathStep => (typeof step === 'number' ? { index: step } : { name: step });
});

describe('every text', () => {
  const tokenArbitrary = fc.constantFrom(
    ...'a b #x :v ( ) ( ) [ ] . , = <> < <= + - AND OR NOT BETWEEN IN SET REMOVE ADD DELETE 0 1 size( contains('.split(
      ' ',
    ),
    ...'if_not_exists( list_append( attribute_exists( begins_with( f( ! # : ü status'.split(' '),
  );
  const textArbitrary = fc.oneof(
    fc.string({ maxLength: 40 }),
    fc.string({ unit: 'binary', maxLength: 40 }),
    fc.array(tokenArbitrary, { maxLength: 25 }).map(tokens => tokens.join(' ')),
    fc.array(tokenArbitrary, { maxLength: 25 }).map(tokens => tokens.join('')),
  );

  test('is read or refused in DynamoDB’s words, never anything else', () => {
    const parsers = [
      (text: string) => parseCondition('ConditionExpression', text),
      (text: string) => parseUpdate(text),
      (text: string) => parseProjection(text),
    ];
    fc.assert(
      fc.property(textArbitrary, text => {
        for (const parse of parsers) {
          try {
            parse(text);
          } catch (error) {
            assert.ok(error instanceof TableError, `${text}: ${String(error)}`);
            assert.match(error.message, /^Invalid (Condition|Update|Projection)Expression: /);
          }
        }
      }),
      { numRuns: numRuns * 3 },
    );
  });
});
