import assert from 'node:assert/strict';
import { it } from 'node:test';
import { TopicTree } from '../src/iot/mqtt/topic-tree.ts';
import { dealOut, filterOf, scattered, topicOf } from './match-filters.ts';

const count = 3_000; // three sites

it('makes filters of which each topic matches exactly its own, a quarter of them with + in the middle', () => {
  const tree = new TopicTree<number, undefined>();
  for (let index = 0; index < count; index++) tree.add(filterOf(index), index, undefined);
  assert.equal(tree.size, count);
  for (let index = 0; index < count; index++) {
    const matching: number[] = [];
    tree.match(topicOf(index), found => matching.push(found));
    assert.deepEqual(matching, [index]);
  }
  const filters = Array.from({ length: count }, (_, index) => filterOf(index));
  assert.equal(filters.filter(filter => filter.includes('/+/')).length, count / 4);
  assert.equal(filters.filter(filter => filter.endsWith('/+')).length, count / 4);
});

it('makes topics of one length, from the first to the last of ten millions', () => {
  assert.equal(topicOf(0).length, topicOf(9_999_999).length);
});

it('scatters every index once, each time the same way', () => {
  const order = scattered(count);
  assert.deepEqual(
    order.toSorted((a, b) => a - b),
    Array.from({ length: count }, (_, index) => index),
  );
  assert.notDeepEqual(order.slice(0, 10), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  assert.deepEqual(scattered(count), order);
});

it('deals to each hand in turn', () => {
  assert.deepEqual(dealOut([1, 2, 3, 4, 5], 2), [
    [1, 3, 5],
    [2, 4],
  ]);
});
