import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { interleaved } from './interleaved.ts';

describe('interleaved items (covers S0-20)', () => {
  it('take turns by key, each key in its own order, and none is lost', () => {
    const items = ['a1', 'a2', 'a3', 'b1', 'c1', 'c2'];
    assert.deepEqual(
      interleaved(items, item => item[0]),
      ['a1', 'b1', 'c1', 'a2', 'c2', 'a3'],
    );
    assert.deepEqual(
      interleaved([], () => ''),
      [],
    );
  });
});
