import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isTopicFilter, matches } from '../mqtt/topics.ts';
import { overlaps } from './overlaps.ts';

/** All texts of up to `depth` levels out of `levels`. */
function pathsOf(levels: readonly string[], depth: number): string[] {
  let paths = [''];
  const all: string[] = [];
  for (let level = 0; level < depth; level++) {
    paths = paths.flatMap(path => levels.map(text => (level === 0 ? text : `${path}/${text}`)));
    all.push(...paths);
  }
  return all.filter(path => path !== '');
}

describe('overlaps', () => {
  it('says of all small filters whether some topic is matched by both', () => {
    const filters = pathsOf(['', 'a', '$b', '+', '#'], 3).filter(isTopicFilter);
    const topics = pathsOf(['', 'a', '$b', 'c'], 4); // One level and one word more than the filters have.
    const matched = new Map(filters.map(filter => [filter, topics.filter(topic => matches(filter, topic))]));
    let overlapping = 0;
    for (const [left, ofLeft] of matched) {
      for (const right of filters) {
        const expected = ofLeft.some(topic => matches(right, topic));
        assert.equal(overlaps(left, right), expected, `${left} and ${right}`);
        if (expected) overlapping++;
      }
    }
    assert(overlapping > 1_000 && overlapping < matched.size ** 2 / 2); // Both answers were asked for often.
  });
});
