import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Decimal } from './decimal.ts';
import { documentFormat, makeDocumentFormat } from './document-format.ts';
import { decodeItem, encodedItemBytes, encodeItem } from './item-encoding.ts';
import { measureItem } from './measure.ts';
import { wireFormat } from './wire-format.ts';

class NumberValue {
  readonly value: string;
  constructor(value: string) {
    this.value = value;
  }
}

const numberTexts = fc
  .tuple(fc.bigInt({ min: -(10n ** 38n) + 1n, max: 10n ** 38n - 1n }), fc.integer({ min: -40, max: 40 }))
  .map(([whole, power]) => `${whole}E${power}`);
const text = fc.string({ unit: 'binary' });
const name = fc.string({ unit: 'binary', minLength: 1 });
const bytes = fc.uint8Array().map(array => Buffer.from(array).toString('base64'));
const { value: typedValues } = fc.letrec<{ value: Record<string, unknown> }>(tie => ({
  value: fc.oneof(
    { maxDepth: 4 },
    text.map(S => ({ S })),
    numberTexts.map(N => ({ N })),
    bytes.map(B => ({ B })),
    fc.boolean().map(BOOL => ({ BOOL })),
    fc.constant({ NULL: true }),
    fc.uniqueArray(text, { minLength: 1 }).map(SS => ({ SS })),
    fc.uniqueArray(fc.integer(), { minLength: 1 }).map(all => ({ NS: all.map(String) })),
    fc.uniqueArray(bytes, { minLength: 1 }).map(BS => ({ BS })),
    fc.array(tie('value')).map(L => ({ L })),
    fc.dictionary(name, tie('value')).map(M => ({ M })),
  ),
}));

describe('formats of values', () => {
  it('give back on the wire what came, numbers in their canonical form, and agree on the size', () => {
    fc.assert(
      fc.property(fc.dictionary(name, typedValues), typed => {
        const { item, bytes: size } = wireFormat.readItem(typed);
        const stored = encodeItem(item, size);
        assert.equal(encodedItemBytes(stored), size);
        const out = wireFormat.writeItem(decodeItem(stored));
        assert.deepEqual(out, wireFormat.writeItem(item));
        assert.deepEqual(wireFormat.writeItem(wireFormat.readItem(out).item), out);
        assert.equal(measureItem(item), size);
      }),
      { numRuns: 500 },
    );
  });

  it('take what the SDK takes: bigint, NumberValue, Map, every kind of bytes', () => {
    const { item } = documentFormat.readItem({
      large: 12345678901234567890n,
      long: new NumberValue('3.14159265358979323846'),
      map: new Map<string, unknown>([['inner', 1n]]),
      view: new Uint16Array([1, 2]),
      buffer: new ArrayBuffer(2),
      numbers: new Set([1, 2n, new NumberValue('1e30')]),
      list: [{ deep: 9007199254740993n }],
    });
    assert.deepEqual(wireFormat.writeItem(item), {
      large: { N: '12345678901234567890' },
      long: { N: '3.14159265358979323846' },
      map: { M: { inner: { N: '1' } } },
      view: { B: 'AQACAA==' },
      buffer: { B: 'AAA=' },
      numbers: { NS: ['1', '2', `1${'0'.repeat(30)}`] },
      list: { L: [{ M: { deep: { N: '9007199254740993' } } }] },
    });
  });

  it('give documents numbers as the SDK does: bigint beyond 2^53, digits when asked', () => {
    const { item } = wireFormat.readItem({
      a: { N: '9007199254740993' },
      b: { L: [{ N: '0.10000000000000000001' }, { N: '7' }] },
      c: { NS: ['1', '1e40'] },
      d: { S: 'text' },
    });
    assert.deepEqual(documentFormat.writeItem(item), {
      a: 9007199254740993n,
      b: [0.1, 7],
      c: new Set([1, 10n ** 40n]),
      d: 'text',
    });
    const wrapped = makeDocumentFormat({ wrapNumbers: digits => ({ digits }) }).writeItem(item);
    assert.deepEqual(wrapped.b, [{ digits: '0.10000000000000000001' }, { digits: '7' }]);
    assert(item.a instanceof Decimal); // what goes out is not what is kept
  });

  it('refuse in process what cannot be stored', () => {
    const cases: readonly (readonly [unknown, RegExp])[] = [
      [{ a: undefined }, /undefined/],
      [{ a: () => {} }, /function cannot be stored/],
      [{ a: new Date(0) }, /instance of Date/],
      [{ a: Number.NaN }, /Special numeric value NaN is not allowed/],
      [{ a: 2 ** 53 }, /bigint/],
      [{ a: new Set() }, /may not be empty/],
      [{ a: new Set([1, 'x']) }, /one type/],
      [{ a: new Set([1, 1n]) }, /duplicates/],
      [{ a: new Set([10n ** 30n, new NumberValue('1e30')]) }, /duplicates/],
      [{ a: new Set([Uint8Array.of(1), Uint8Array.of(1)]) }, /duplicates/],
      [{ a: '\ud800' }, /well-formed/],
      [{ '': 1 }, /null or empty string/],
      [{ a: { ['n'.repeat(70_000)]: 1 } }, /70000 bytes/],
      [{ a: nested(40) }, /Nesting Levels have exceeded supported limits/],
      [{ a: new Map([['b', nested(40)]]) }, /Nesting Levels have exceeded supported limits/],
      [[], /plain object/],
    ];
    for (const [item, message] of cases) {
      assert.throws(() => documentFormat.readItem(item), { name: 'ValidationException', message });
    }
  });

  it('refuse on the wire what DynamoDB refuses, in its words', () => {
    const invalid = 'One or more parameter values were invalid: ';
    const empty = 'Supplied AttributeValue is empty, must contain exactly one of the supported datatypes';
    const cases: readonly (readonly [unknown, string])[] = [
      [{}, empty],
      [{ S: null }, empty],
      [{ X: 'a' }, empty],
      [{ constructor: 'a' }, empty],
      [
        { S: 'a', N: '1' },
        'Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes',
      ],
      [{ NULL: false }, `${invalid}Null attribute value types must have the value of true`],
      [{ SS: [] }, `${invalid}An string set  may not be empty`],
      [{ NS: [] }, `${invalid}An number set  may not be empty`],
      [{ BS: [] }, `${invalid}Binary sets should not be empty`],
      [{ SS: ['a', 'b', 'a'] }, `${invalid}Input collection [a, b, a] contains duplicates.`],
      [{ NS: ['1', '1.0'] }, 'Input collection contains duplicates'],
      [{ BS: ['AA==', 'AA=='] }, `${invalid}Input collection [AA==, AA==]of type BS contains duplicates.`],
      [{ M: { a: { L: [{ N: 'x' }] } } }, 'The parameter cannot be converted to a numeric value: x'],
      [
        typedNested(32), // the innermost is at level 33
        'Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported limit',
      ],
    ];
    for (const [value, message] of cases) {
      assert.throws(() => wireFormat.readItem({ a: value }), { name: 'ValidationException', message });
    }
  });

  it('keep names that mean something to JavaScript', () => {
    const typed = JSON.parse('{"__proto__":{"M":{"__proto__":{"S":"x"},"constructor":{"N":"1"}}}}');
    const { item, bytes: size } = wireFormat.readItem(typed);
    assert.equal(JSON.stringify(wireFormat.writeItem(decodeItem(encodeItem(item, size)))), JSON.stringify(typed));
    assert.equal(Object.getPrototypeOf(item), Object.prototype);
  });

  it('read items that the release before wrote', () => {
    // {PK: 'a', n: -1.5, whole: 300, s: Set {'x'}, b: Uint8Array [1], m: {t: true}, l: [null]}, format version 1
    const written = Buffer.from(
      '01250702504b060161016e05000000000000f8bf0577686f6c6503ac0201730a010601780162070101016d0901017402016c080100',
      'hex',
    );
    assert.deepEqual(decodeItem(written), {
      PK: 'a',
      n: -1.5,
      whole: 300,
      s: new Set(['x']),
      b: Uint8Array.of(1),
      m: { t: true },
      l: [null],
    });
  });
});

function nested(levels: number): unknown {
  let value: unknown = 1;
  for (let level = 0; level < levels; level++) value = [value];
  return value;
}

function typedNested(levels: number): unknown {
  let value: unknown = { NULL: true };
  for (let level = 0; level < levels; level++) value = { L: [value] };
  return value;
}
