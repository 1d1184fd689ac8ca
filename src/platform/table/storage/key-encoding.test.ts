import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { storeLimits } from '../../../kernel/store.ts';
import { compareNumbers, parseNumber } from '../values/decimal.ts';
import { compareBytes } from '../values/value.ts';
import { orderedBytes } from './key-encoding.ts';
import { type IndexLayout, indexEntryKey, itemKey, segmentRange, type TableLayout } from './layout.ts';
import { partitionHash } from './partition-hash.ts';

const table: TableLayout = {
  id: 7,
  tableName: 'things',
  keys: { partitionKeys: [{ name: 'PK', type: 'S' }], sortKeys: [{ name: 'SK', type: 'S' }] },
  indexes: [],
};

describe('partition hash', () => {
  it('is the beginning of the salted MD5, for keys of any length', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), key => {
        const digest = createHash('md5').update('Outliers').update(key).digest();
        assert.equal(partitionHash(key), digest.readUInt32BE(0));
      }),
    );
  });

  it('puts keys where the service was seen to put them', () => {
    const segmentOf = (PK: string) => {
      const key = itemKey(table, { PK, SK: 'x' });
      return Array.from({ length: 4_096 }, (_, segment) => segmentRange(table, undefined, segment, 4_096)).findIndex(
        ({ start, end }) => compareBytes(start, key) <= 0 && compareBytes(key, end) < 0,
      );
    };
    // Observed by the authors of dynalite, in its tests of Scan.
    assert.deepEqual(['3635', '228', '1668', '3435'].map(segmentOf), [0, 0, 1, 4]);
  });
});

describe('segments', () => {
  it('are disjoint and complete, however many there are', () => {
    for (const total of [1, 2, 3, 7, 1_000, 1_000_000]) {
      let before = segmentRange(table, undefined, 0, total);
      assert.deepEqual(before.start, Uint8Array.of(0x45, 0, 7, 0, 0, 0, 0, 0));
      for (let segment = 1; segment < total; segment++) {
        const range = segmentRange(table, undefined, segment, total);
        if (compareBytes(range.start, before.end) !== 0) assert.fail(`segment ${segment} of ${total} leaves a gap`);
        if (compareBytes(range.start, range.end) > 0)
          assert.fail(`segment ${segment} of ${total} ends before it starts`);
        before = range;
      }
      assert.deepEqual(before.end, Uint8Array.of(0x45, 0, 7, 1));
    }
  });
});

describe('ordered numbers', () => {
  const digits = fc.stringMatching(/^-?[1-9]\d{0,37}$/);
  const number = fc
    .tuple(digits, fc.integer({ min: -130, max: 88 }))
    .map(([mantissa, exponent]) => parseNumber(`${mantissa}e${exponent}`));
  const any = fc.oneof(number, fc.integer(), fc.maxSafeInteger(), fc.integer({ min: -300, max: 300 }));

  it('have the order of their bytes, to 38 digits', () => {
    fc.assert(
      fc.property(any, any, (left, right) => {
        const bytes = compareBytes(orderedBytes('N', left), orderedBytes('N', right));
        assert.equal(Math.sign(bytes), Math.sign(compareNumbers(left, right)));
      }),
      { numRuns: 3_000 },
    );
  });

  it('have it at the ends of what there is', () => {
    const nines = '9'.repeat(38);
    const texts = [
      `-${nines}e88`,
      '-1e125',
      '-100',
      '-99.5',
      '-99',
      '-1',
      '-1e-130',
      '0',
      '1e-130',
      '1',
      '100',
      `${nines}e88`,
    ];
    const encoded = texts.map(text => orderedBytes('N', parseNumber(text)));
    assert.deepEqual(encoded.toSorted(compareBytes), encoded);
  });
});

describe('keys in the store', () => {
  const names = ['a', 'b', 'c', 'd'];
  const index: IndexLayout = {
    id: 1,
    indexName: 'many',
    kind: 'global',
    keys: {
      partitionKeys: names.map(name => ({ name: `p${name}`, type: 'B' })),
      sortKeys: names.map(name => ({ name: `s${name}`, type: 'B' })),
    },
    projection: 'ALL',
    isBuilding: false,
  };

  it('fit, however long the keys of an item are', () => {
    const longest = Object.fromEntries([
      ...names.map(name => [`p${name}`, new Uint8Array(512)]),
      ...names.map(name => [`s${name}`, new Uint8Array(256)]),
    ]);
    const key = indexEntryKey(table, index, { PK: 'x'.repeat(2_048), SK: 'y'.repeat(1_024), ...longest });
    assert.ok(key.length <= storeLimits.keyBytesMax, `${key.length} bytes`);
  });

  it('order entries of equal keys where the service was seen to put them', () => {
    const byOwner = { ...index, keys: { partitionKeys: [{ name: 'owner', type: 'S' }], sortKeys: [] } } as const;
    const items = [
      ['a', 'a'],
      ['b', 'b'],
      ['c', 'e'],
      ['c', 'd'],
      ['d', 'a'],
      ['e', 'a'],
    ].map(([PK, SK]) => ({ PK, SK, owner: 'same' }));
    const keyed = items.map(item => ({ item, key: indexEntryKey(table, byOwner, item) }));
    const ordered = keyed.sort((left, right) => compareBytes(left.key, right.key));
    // Observed by the authors of dynalite, in its tests of Query.
    assert.deepEqual(
      ordered.map(({ item }) => item.PK + item.SK),
      ['bb', 'aa', 'ce', 'ea', 'da', 'cd'],
    );
  });

  it('tell apart what several attributes hold together', () => {
    const bytes = fc.uint8Array({ minLength: 1, maxLength: 3 });
    const item = fc.record({ pa: bytes, pb: bytes, pc: bytes, pd: bytes, sa: bytes, sb: bytes, sc: bytes, sd: bytes });
    fc.assert(
      fc.property(item, item, (left, right) => {
        const keyOf = (held: typeof left) => indexEntryKey(table, index, { PK: 'p', SK: 's', ...held });
        const isSame = Object.keys(left).every(name => compareBytes(left[name as 'pa'], right[name as 'pa']) === 0);
        assert.equal(compareBytes(keyOf(left), keyOf(right)) === 0, isSame);
      }),
    );
  });
});
