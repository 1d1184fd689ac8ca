import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { causedBy, causeLimits, decodeCause, deepest, encodeCause, fromOutside } from './causes.ts';

describe('a cause (covers S0-39)', () => {
  it('counts the functions on the way and names the last of them', () => {
    let cause = fromOutside('record-1');
    for (let round = 0; round < 100; round++) cause = causedBy(`f${round}`, cause);
    assert.equal(cause.depth, 100);
    assert.equal(cause.originId, 'record-1');
    assert.deepEqual([cause.path.length, cause.path.at(-1)], [causeLimits.pathNamesMax, 'f99']);
  });

  it('comes back as it was stored, however long its names', () => {
    let cause = fromOutside('居間-1'.repeat(1_000));
    for (let round = 0; round < 20; round++) cause = causedBy('ん'.repeat(1_000), cause);
    const encoded = encodeCause({ ...fromOutside('r'), path: ['a', 'b'], depth: 2 });
    assert.deepEqual(decodeCause(encoded), { depth: 2, originId: 'r', path: ['a', 'b'] });
    assert.deepEqual(decodeCause(encodeCause(cause)), cause);
  });

  it('is none when it cannot be read', () => {
    for (const text of [
      '',
      '{}',
      '[]',
      '[-1,"a"]',
      '[1]',
      '[1,2]',
      '[0.5,"a"]',
      '[1,"a",null]',
      `[1,"${'x'.repeat(5_000)}"]`,
    ]) {
      assert.equal(decodeCause(Buffer.from(text)), undefined, text);
    }
  });

  it('of several events is that of the one that has come furthest', () => {
    const far = causedBy('g', causedBy('f', fromOutside('a')));
    assert.equal(deepest([fromOutside('b'), far, causedBy('f', fromOutside('c'))]), far);
    assert.equal(deepest([]), undefined);
  });
});
