/** Expressions written to hurt: as deep, as long and as many as the limits let through. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { invalid } from '../errors.ts';
import { tableLimits } from '../limits.ts';
import type { Item } from '../values/value.ts';
import { Aliases } from './aliases.ts';
import { ParsedCache } from './cache.ts';
import { compileCondition } from './condition.ts';
import { parseCondition } from './parse-condition.ts';
import { parseProjection } from './parse-projection.ts';
import { parseUpdate } from './parse-update.ts';
import { compileProjection } from './projection.ts';
import { compileUpdate } from './update.ts';

const { expressionBytesMax } = tableLimits;
const refused = (message: string) => invalid(`Invalid ConditionExpression: ${message}`);
const parse = (text: string) => parseCondition('ConditionExpression', text);
const tooMany = 'The expression contains too many operators; operator count: 301';

function holds(text: string, item: Item, values?: Record<string, unknown>): boolean {
  return compileCondition('ConditionExpression', parse(text), new Aliases(undefined, values))(item);
}

function unevenNames(bytes: number, separator: string): string[] {
  const names: string[] = [];
  for (let used = 0; ; ) {
    const name = `n${names.length.toString(36)}x`;
    used += name.length + separator.length;
    if (used > bytes) return names;
    names.push(name);
  }
}

describe('an expression as deep as it can be', () => {
  test('is carried out as long as every level has its operator', () => {
    const depth = 149; // with 299 operators
    const item: Item = { a: 1, b: 2, c: 3 };
    assert.equal(holds(`a>b ${'or (a>b '.repeat(depth)}${')'.repeat(depth)}`, item), false);
    assert.equal(holds(`${'(a>b or '.repeat(depth)}a<b${')'.repeat(depth)}`, item), true);
    assert.equal(holds(`${'not '.repeat(298)}a<b`, item), true);
    assert.equal(holds(`${'not ('.repeat(299)}a<b${')'.repeat(299)}`, item), false);
  });

  test('is refused for its operators, and what comes first is still said first', () => {
    assert.throws(() => parse(`a<b ${'or (a<b '.repeat(454)}${')'.repeat(454)}`), refused(tooMany));
    assert.throws(() => parse(`a<b ${'or a<b '.repeat(200)}`), refused(tooMany));
    assert.throws(() => parse(`${'not '.repeat(1_000)}a<b`), refused(tooMany));
    assert.throws(() => parse(`${'not '.repeat(1_000)}a`), refused('Syntax error; token: "<EOF>", near: "a"'));
    assert.throws(() => parse(`a<b ${'or (a<b '.repeat(454)}`), refused('Syntax error; token: "<EOF>", near: "b"'));
    assert.throws(
      () => parse(`status<b ${'or a<b '.repeat(200)}`),
      refused('Attribute name is a reserved keyword; reserved keyword: status'),
    );
    const sums = Array.from({ length: 301 }, (_, index) => `a${index}=a+b`).join();
    assert.throws(() => parseUpdate(`SET ${sums}`), invalid(`Invalid UpdateExpression: ${tooMany}`));
  });

  test('is refused for parentheses that mean nothing or never end', () => {
    const redundant = refused('The expression has redundant parentheses;');
    for (const depth of [2, 299, 300, 301, 2_046]) {
      assert.throws(
        () => parse(`${'('.repeat(depth)}a<b${')'.repeat(depth)}`),
        redundant,
        `${depth} around a condition`,
      );
      if (depth > 2_045) continue;
      assert.throws(
        () => parse(`a<${'('.repeat(depth)}b${')'.repeat(depth)}`),
        redundant,
        `${depth} around an operand`,
      );
    }
    for (const depth of [3, 300, 301, expressionBytesMax]) {
      assert.throws(() => parse('('.repeat(depth)), refused('Syntax error; token: "<EOF>", near: "("'));
    }
    const update = 'Invalid UpdateExpression: ';
    assert.throws(
      () => parseUpdate(`SET a=${'('.repeat(4_000)}`),
      invalid(`${update}Syntax error; token: "<EOF>", near: "("`),
    );
    assert.throws(
      () => parseUpdate(`SET a=${'('.repeat(2_000)}b${')'.repeat(2_000)}`),
      invalid(`${update}The expression has redundant parentheses;`),
    );
  });

  test('is refused for functions in functions', () => {
    const calls = (name: string, depth: number) => `a < ${`${name}(`.repeat(depth)}b${')'.repeat(depth)}`;
    assert.throws(() => parse(calls('f', 1_355)), refused('Invalid function name; function: f'));
    assert.throws(() => parse(calls('size', 680)), refused(tooMany));
    assert.throws(
      () => holds(calls('size', 299), {}),
      refused('Incorrect operand type for operator or function; operator or function: size, operand type: N'),
    );
    const nested = `SET a = ${'if_not_exists(a,'.repeat(200)}:v${')'.repeat(200)}`;
    const aliases = new Aliases(undefined, { ':v': 1 });
    assert.deepEqual(compileUpdate(parseUpdate(nested), aliases).apply({}), { a: 1 });
  });
});

describe('an expression as long as it can be', () => {
  test('is read to the last byte, and refused one byte later', () => {
    const longest = `a = ${'b'.repeat(expressionBytesMax - 4)}`;
    parse(longest);
    const size = (bytes: number) =>
      refused(`Expression size has exceeded the maximum allowed size; expression size: ${bytes}`);
    assert.throws(() => parse(`${longest}b`), size(4_097));
    assert.throws(() => parse('('.repeat(15_000)), size(15_000));
    assert.throws(() => parse('ü'.repeat(2_049)), size(4_098));
    assert.throws(() => parseUpdate(`SET a = ${'b'.repeat(4_089)}`), {
      message: 'Invalid UpdateExpression: Expression size has exceeded the maximum allowed size;',
    });
    const spaces = ' '.repeat(4_085);
    assert.equal(
      compileUpdate(parseUpdate(`SET${spaces}a = :v`), new Aliases(undefined, { ':v': 1 })).targets.length,
      1,
    );
  });

  test('costs no more than its length: paths, aliases, indexes', { timeout: 10_000 }, () => {
    for (let round = 0; round < 50; round++) {
      const paths = unevenNames(expressionBytesMax, ',');
      compileProjection(parseProjection(paths.join()), new Aliases(undefined, undefined));
      const aliases = unevenNames(expressionBytesMax, ',#');
      const names = Object.fromEntries(aliases.map(alias => [`#${alias}`, alias]));
      const many = new Aliases(names, undefined);
      const projection = compileProjection(
        many.use('ProjectionExpression', parseProjection(aliases.map(alias => `#${alias}`).join())),
        many,
      );
      many.checkAllUsed();
      assert.deepEqual(projection({ n0x: 1, other: 2 }), { n0x: 1 });
      const indexes = unevenNames(expressionBytesMax / 2, '').map((_, index) => `l[${index}]`);
      const removes = compileUpdate(
        parseUpdate(`REMOVE ${indexes.slice(0, 400).join()}`),
        new Aliases(undefined, undefined),
      );
      assert.deepEqual(removes.apply({ l: Array.from({ length: 401 }, (_, index) => index) }), { l: [400] });
    }
  });

  test('takes steps as many as an item has levels', () => {
    const deep = (levels: number) => `a${'.a'.repeat(levels - 1)} = :v`;
    assert.equal(holds(deep(32), {}, { ':v': 1 }), false);
    assert.throws(
      () => holds(deep(33), {}, { ':v': 1 }),
      refused('The document path has too many nesting levels; nesting levels: 33'),
    );
  });
});

describe('an update of sets', () => {
  test('of a hundred thousand members each takes no minutes', { timeout: 10_000 }, () => {
    const members = (from: number) =>
      new Set(Array.from({ length: 100_000 }, (_, index) => Buffer.from((index + from).toString(36).padStart(4, '0'))));
    const values = { ':v': members(50_000) };
    const item: Item = { s: members(0) };
    const added = compileUpdate(parseUpdate('ADD s :v'), new Aliases(undefined, values)).apply(item);
    assert.equal((added.s as Set<Uint8Array>).size, 150_000);
    const left = compileUpdate(parseUpdate('DELETE s :v'), new Aliases(undefined, values)).apply(item);
    assert.equal((left.s as Set<Uint8Array>).size, 50_000);
  });
});

describe('what is kept of a text', () => {
  test('holds nothing of the request it first came with', async () => {
    setFlagsFromString('--expose-gc');
    const collectGarbage: () => void = runInNewContext('gc');
    const conditions = [
      'a = :v',
      'NOT (a = :v OR :v IN (b, c))',
      'a BETWEEN :v AND :v',
      'size(:v) > b AND contains(a, :v)',
    ];
    const kept: unknown[] = [];
    const referenceOf = (compile: (aliases: Aliases) => unknown) => {
      const value = Uint8Array.of(1);
      kept.push(compile(new Aliases(undefined, { ':v': value })));
      return new WeakRef(value);
    };
    const values = conditions.map(text =>
      referenceOf(aliases => {
        const parsed = parse(text);
        compileCondition('ConditionExpression', parsed, aliases)({ a: 1 });
        return parsed;
      }),
    );
    const update = referenceOf(aliases => {
      const parsed = parseUpdate('SET a = :v, b = if_not_exists(b, if_not_exists(c, :v)) REMOVE d.e');
      compileUpdate(parsed, aliases).apply({ d: {} });
      return parsed;
    });
    await new Promise(resolve => setImmediate(resolve));
    collectGarbage();
    assert.deepEqual(
      [...values, update].map(each => each.deref()),
      [undefined, undefined, undefined, undefined, undefined],
    );
    assert.equal(kept.length, 5);
  });
});

describe('the cache of parsed expressions', () => {
  test('holds no more than it may, and keeps what is used', () => {
    let parsed = 0;
    const cache = new ParsedCache(text => {
      parsed++;
      return parse(text);
    }, 100);
    const kept = cache.get('kept = :v');
    for (let index = 0; index < 1_000; index++) {
      cache.get(`a${index} = :v`);
      assert.equal(cache.get('kept = :v'), kept);
      assert.ok(cache.size <= 100, `${cache.size}`);
    }
    assert.equal(parsed, 1_001);
  });

  test('keeps nothing of texts that were refused', () => {
    const cache = new ParsedCache(parse, 10);
    for (let index = 0; index < 100; index++) assert.throws(() => cache.get(`a${index} =`));
    assert.equal(cache.size, 0);
  });
});
