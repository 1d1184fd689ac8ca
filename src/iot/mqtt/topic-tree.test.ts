import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { mqttLimits } from './limits.ts';
import { TopicTree } from './topic-tree.ts';
import { matches } from './topics.ts';

const anyLevel = fc.constantFrom('', 'a', 'b', '$s', 'é');
const anyTopic = fc
  .array(anyLevel, { minLength: 1, maxLength: 5 })
  .map(levels => levels.join('/'))
  .filter(topic => topic !== '');
const anyFilter = fc
  .tuple(fc.array(fc.oneof(anyLevel, fc.constant('+')), { maxLength: 5 }), fc.boolean())
  .map(([levels, rest]) => (rest ? [...levels, '#'] : levels).join('/'))
  .filter(filter => filter !== '');
const anyChange = fc.record({ filter: anyFilter, subscriber: fc.nat({ max: 5 }), isAdded: fc.boolean() });

function found<Subscriber>(tree: TopicTree<Subscriber, unknown>, topic: string): Subscriber[] {
  const subscribers: Subscriber[] = [];
  tree.match(topic, subscriber => void subscribers.push(subscriber));
  return subscribers;
}

describe('the topic tree', () => {
  it('finds exactly the subscriptions whose filters match, after any adding and deleting', () => {
    fc.assert(
      fc.property(
        fc.array(anyChange, { maxLength: 60 }),
        fc.array(anyTopic, { minLength: 1, maxLength: 20 }),
        (changes, topics) => {
          const tree = new TopicTree<number, number>();
          const model = new Map<string, { filter: string; subscriber: number; option: number }>();
          changes.forEach(({ filter, subscriber, isAdded }, option) => {
            const key = `${subscriber} ${filter}`;
            if (isAdded) {
              assert.equal(tree.add(filter, subscriber, option), !model.has(key));
              model.set(key, { filter, subscriber, option });
            } else {
              assert.equal(tree.delete(filter, subscriber), model.delete(key));
            }
            assert.equal(tree.size, model.size);
          });
          for (const topic of topics) {
            const seen: string[] = [];
            tree.match(topic, (subscriber, option) => void seen.push(`${subscriber}:${option}`));
            const expected = [...model.values()].filter(({ filter }) => matches(filter, topic));
            assert.deepEqual(
              seen.sort(),
              expected.map(({ subscriber, option }) => `${subscriber}:${option}`).sort(),
              topic,
            );
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  it('keeps nothing of what was deleted', () => {
    fc.assert(
      fc.property(fc.uniqueArray(anyFilter, { maxLength: 40 }), filters => {
        const tree = new TopicTree<string, null>();
        for (const filter of filters) tree.add(filter, 'one', null);
        for (const filter of filters) assert(tree.delete(filter, 'one'));
        assert.equal(tree.size, 0);
        assert.equal(visitedNodes(tree, 'a/b/a/b/a').nodes, 0);
      }),
    );
  });

  it('changes its version with every change of what it answers, and only then', () => {
    const tree = new TopicTree<string, number>();
    const versions = [tree.version];
    tree.add('a/+', 'one', 1);
    versions.push(tree.version);
    tree.add('a/+', 'one', 2);
    versions.push(tree.version);
    tree.delete('a/+', 'one');
    versions.push(tree.version);
    assert.equal(new Set(versions).size, versions.length);
    tree.delete('a/+', 'one');
    assert.equal(tree.version, versions.at(-1));
  });

  it('works at the deepest topic allowed (hostile W12)', () => {
    const levels = Array.from({ length: mqttLimits.topicLevelsMax }, (_, n) => `l${n}`);
    const tree = new TopicTree<string, null>();
    tree.add(levels.join('/'), 'exact', null);
    tree.add(levels.map(() => '+').join('/'), 'plus', null);
    tree.add([...levels.slice(0, -1), '#'].join('/'), 'hash', null);
    assert.deepEqual(found(tree, levels.join('/')).sort(), ['exact', 'hash', 'plus']);
  });

  it('looks only at levels on the way of the topic, however many other filters there are (hostile D08)', () => {
    const tree = new TopicTree<string, null>();
    tree.add('cmd/app/thing-7/#', 'seven', null);
    tree.add('cmd/+/thing-7/req', 'any', null);
    const before = visitedNodes(tree, 'cmd/app/thing-7/req');
    for (let n = 0; n < 20_000; n++) tree.add(`cmd/app/thing-${n}x/#`, `${n}`, null);
    for (let n = 0; n < 100; n++) tree.add(`${'+/'.repeat(n % 30)}never/${n}/#`, `p${n}`, null);
    const after = visitedNodes(tree, 'cmd/app/thing-7/req');
    assert.deepEqual(after.found.sort(), ['any', 'seven']);
    assert(after.nodes <= before.nodes + 4 * 4, `${before.nodes} levels looked at, then ${after.nodes}`);
  });
});

/** Counts how many levels of the tree a match goes into. */
function visitedNodes<Subscriber>(tree: TopicTree<Subscriber, unknown>, topic: string) {
  const { get } = Map.prototype;
  let nodes = 0;
  Map.prototype.get = function (key) {
    const value = get.call(this, key);
    if (value !== undefined) nodes++;
    return value;
  };
  try {
    return { found: found(tree, topic), nodes };
  } finally {
    Map.prototype.get = get;
  }
}
