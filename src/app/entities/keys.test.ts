import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { compareText, joinedKey, numberText, orderText, shardOf } from './keys.ts';

const sign = (order: number) => Math.sign(order);

describe('keys of entities', () => {
  it('put every number in its order', () => {
    const number = fc.oneof(
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.integer(),
      fc.constantFrom(0, -0, 0.1),
    );
    fc.assert(
      fc.property(number, number, (left, right) => {
        assert.equal(sign(compareText(orderText(left), orderText(right))), left < right ? -1 : left > right ? 1 : 0);
      }),
    );
  });

  it('put numbers of 38 digits in their order, beyond what JavaScript can tell apart', () => {
    const digits = (last: string) => `1234567890123456789012345678901234567${last}`;
    const inOrder = [
      `-${digits('9')}`,
      `-${digits('8')}`,
      '-1',
      '-0.5',
      '0',
      '0.5',
      '1',
      '1.5',
      '10',
      digits('8'),
      digits('9'),
      `${digits('1')}e3`,
    ];
    assert.deepEqual(
      [...inOrder].reverse().sort((left, right) => compareText(numberText(left), numberText(right))),
      inOrder,
    );
    assert.equal(numberText('100'), numberText('1.00e2'));
    assert.equal(numberText('007'), numberText('7'));
    assert.equal(orderText(12n), orderText(12));
  });

  it('put texts in the order of their bytes, the empty one and control characters too', () => {
    const text = fc.oneof(
      fc.string({ unit: 'grapheme' }),
      fc.constantFrom('', '\0', '\0\0', '\0a', 'a', '\u{10ffff}', '\ue000'),
    );
    fc.assert(
      fc.property(text, text, (left, right) => {
        assert.equal(sign(compareText(orderText(left), orderText(right))), sign(compareText(left, right)));
        assert.notEqual(orderText(left), '');
      }),
    );
  });

  it('keep different values apart', () => {
    const scalar = fc.oneof(
      fc.string({ unit: fc.constantFrom('a', '#', '%', '2', '3', 'n') }),
      fc.integer({ min: -30, max: 30 }),
      fc.boolean(),
    );
    const values = fc.array(scalar, { minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(values, values, (left, right) => {
        const same = left.length === right.length && left.every((value, index) => Object.is(value, right[index]));
        assert.equal(joinedKey(left) === joinedKey(right), same || JSON.stringify(left) === JSON.stringify(right));
      }),
    );
  });

  it('spread ids evenly over shards: no shard holds more than a third above its share (covers S0-19)', () => {
    const shards = 8;
    const counts = new Array<number>(shards).fill(0);
    for (let id = 0; id < 8_000; id++) counts[shardOf(`device-${id}`, shards)]++;
    assert(Math.max(...counts) < 1_333 && Math.min(...counts) > 667, String(counts));
  });
});
