import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { nextSuspects } from './suspects.ts';

const none = new Map();

describe('records that may have ended the app thread', () => {
  it('are all that were in flight, and none is charged as long as it could be another', () => {
    const next = nextSuspects(none, [
      { consumer: 'a', first: 1n, last: 9n },
      { consumer: 'b', first: 4n, last: 4n },
    ]);
    assert.deepEqual(next.get('a'), { first: 1n, last: 9n, restarts: new Map() });
    assert.deepEqual(next.get('b'), { first: 4n, last: 4n, restarts: new Map() });
  });

  it('are charged when one of them ran alone, also while batches of other consumers are in flight', () => {
    let suspects = nextSuspects(none, [{ consumer: 'a', first: 1n, last: 9n }]);
    for (let restart = 1n; restart <= 3n; restart++) {
      suspects = nextSuspects(suspects, [
        { consumer: 'a', first: 5n, last: 5n },
        { consumer: 'busy', first: 100n * restart, last: 100n * restart + 50n },
      ]);
    }
    assert.deepEqual(suspects.get('a'), { first: 1n, last: 9n, restarts: new Map([[5n, 3]]) });
    assert.deepEqual(suspects.get('busy')?.restarts, new Map());
  });

  it('are charged when there was nothing else', () => {
    const next = nextSuspects(none, [{ consumer: 'a', first: 7n, last: 7n }]);
    assert.deepEqual(next.get('a')?.restarts, new Map([[7n, 1]]));
    assert.equal(nextSuspects(none, []).size, 0);
  });
});
