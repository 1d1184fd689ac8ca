import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { orderedBytes } from '../storage/key-encoding.ts';
import {
  addNumbers,
  compareNumbers,
  Decimal,
  digitsOf,
  numberBytes,
  numberText,
  parseNumber,
  subtractNumbers,
} from './decimal.ts';
import { compareBytes } from './value.ts';

/** A decimal DynamoDB takes, as [whole number of up to 38 digits, power of ten]. */
const decimals = fc
  .tuple(fc.bigInt({ min: -(10n ** 38n) + 1n, max: 10n ** 38n - 1n }), fc.integer({ min: -60, max: 60 }))
  .map(([whole, power]) => ({ whole, power, value: parseNumber(`${whole}E${power}`) }));

/** As a whole number of 10^-200. */
function exact(text: string): bigint {
  const [integer, fraction = ''] = text.replace('-', '').split('.');
  const magnitude = BigInt(integer + fraction) * 10n ** BigInt(200 - fraction.length);
  return text.startsWith('-') ? -magnitude : magnitude;
}

describe('numbers of up to 38 digits', () => {
  it('come out in plain notation, without outer zeros', () => {
    const cases = {
      '00042': '42',
      '1.500': '1.5',
      '1.5E2': '150',
      '-0': '0',
      '+5': '5',
      '0.0000001': '0.0000001',
      '1e-7': '0.0000001',
      '.5': '0.5',
      '5.': '5',
      '1E+125': `1${'0'.repeat(125)}`,
      '-9.9999999999999999999999999999999999999E+125': `-${'9'.repeat(38)}${'0'.repeat(88)}`,
      '1E-130': `0.${'0'.repeat(129)}1`,
      '9007199254740993': '9007199254740993',
      '0.1': '0.1',
      '123456789012345678': '123456789012345678',
      '3.14159265358979323846': '3.14159265358979323846',
    };
    for (const [text, plain] of Object.entries(cases)) assert.equal(numberText(parseNumber(text)), plain, text);
  });

  it('are JavaScript numbers exactly where a double holds them', () => {
    for (const text of ['0.1', '42', '-1.5', '9007199254740991', '1e-20']) {
      assert.equal(typeof parseNumber(text), 'number', text);
    }
    for (const text of ['9007199254740992', '9007199254740993', '0.1000000000000000055', '1e20']) {
      assert(parseNumber(text) instanceof Decimal, text);
    }
  });

  it('are refused when they are none, too large, too small or too long, in the words of DynamoDB', () => {
    const none = (text: string) => `The parameter cannot be converted to a numeric value: ${text}`;
    const cases = {
      '': 'The parameter cannot be converted to a numeric value',
      abc: none('abc'),
      ' 1': none(' 1'),
      '1 ': none('1 '),
      '0x1': none('0x1'),
      NaN: none('NaN'),
      Infinity: none('Infinity'),
      '1e': none('1e'),
      '.': none('.'),
      '--1': none('--1'),
      '1_000': none('1_000'),
      '1E126': 'Number overflow. Attempting to store a number with magnitude larger than supported range',
      '1E999999999': 'Number overflow. Attempting to store a number with magnitude larger than supported range',
      '1E9999999999': 'Number overflow. Attempting to store a number with magnitude larger than supported range',
      '1E-131': 'Number underflow. Attempting to store a number with magnitude smaller than supported range',
      [`1${'0'.repeat(37)}1`]: 'Attempting to store more than 38 significant digits in a Number',
    };
    for (const [text, message] of Object.entries(cases)) {
      assert.throws(() => parseNumber(text), { name: 'ValidationException', message }, text);
    }
  });

  it('keep every digit, and order as their values do, in memory and as keys', () => {
    fc.assert(
      fc.property(decimals, decimals, (a, b) => {
        const [left, right] = [exact(numberText(a.value)), exact(numberText(b.value))];
        assert.equal(left, a.whole * 10n ** BigInt(200 + a.power));
        const expected = left < right ? -1 : left > right ? 1 : 0;
        assert.equal(Math.sign(compareNumbers(a.value, b.value)), expected);
        assert.equal(compareBytes(orderedBytes('N', a.value), orderedBytes('N', b.value)), expected);
      }),
      { numRuns: 2_000 },
    );
  });

  it('add and subtract exactly, or are refused', () => {
    fc.assert(
      fc.property(decimals, decimals, (a, b) => {
        for (const [operation, sign] of [
          [addNumbers, 1n],
          [subtractNumbers, -1n],
        ] as const) {
          const expected = exact(numberText(a.value)) + sign * exact(numberText(b.value));
          try {
            assert.equal(exact(numberText(operation(a.value, b.value))), expected);
          } catch (error) {
            assert.match(String(error), /more than 38 significant digits/);
            assert(String(expected).replace(/^-|0+$/g, '').length > 38);
          }
        }
      }),
      { numRuns: 2_000 },
    );
    assert.equal(numberText(addNumbers(0.1, 0.2)), '0.3');
    assert.equal(numberText(addNumbers(Number.MAX_SAFE_INTEGER, 2)), '9007199254740993');
    assert.throws(() => addNumbers(parseNumber(`${'9'.repeat(38)}E88`), parseNumber('1E88')), /Number overflow/);
  });

  it('weigh as DynamoDB says', () => {
    const cases = { '42': 2, '-42': 3, '0': 1, '0.0000001': 2, '100': 2, '12345': 4, '1.5': 3, '-0.25': 3 };
    for (const [text, bytes] of Object.entries(cases)) assert.equal(numberBytes(parseNumber(text)), bytes, text);
    fc.assert(
      fc.property(fc.integer({ min: -(2 ** 40), max: 2 ** 40 }), whole => {
        const { digits, isNegative } = digitsOf(whole);
        assert.equal(numberBytes(whole), 1 + Math.ceil(digits.length / 2) + (isNegative ? 1 : 0));
      }),
    );
  });

  it('take time in proportion to their text, whatever it is', () => {
    assert.throws(() => parseNumber(`1${'0'.repeat(200_000)}1`), /Number overflow/);
    assert.throws(() => parseNumber(`${'0'.repeat(200_000)}x`), /cannot be converted/);
  });
});
