import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { testScale } from '../../../test/support.ts';
import { seededRandom } from '../../kernel/random.ts';
import { bites } from './gateway-world.ts';
import { heapBytes } from './heap-bytes.ts';
import { mqttLimits } from './limits.ts';
import { TopicTree, topicTreeLimits } from './topic-tree.ts';
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
        fc.boolean(),
        (changes, topics, hashMatchesParent) => {
          const tree = new TopicTree<number, number>({ hashMatchesParent });
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
            const expected = [...model.values()].filter(
              ({ filter }) =>
                matches(filter, topic) &&
                // The parent is what the filter without its # matches.
                (hashMatchesParent || !filter.endsWith('/#') || !matches(filter.slice(0, -2), topic)),
            );
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

  it('is after any adding and deleting as if what was deleted had never been there', () => {
    fc.assert(
      fc.property(fc.uniqueArray(anyFilter, { maxLength: 40 }), fc.infiniteStream(fc.boolean()), (filters, isKept) => {
        const tree = new TopicTree<string, null>();
        const fresh = new TopicTree<string, null>();
        for (const filter of filters) tree.add(filter, 'one', null);
        for (const filter of filters) {
          if (isKept.next().value) fresh.add(filter, 'one', null);
          else assert(tree.delete(filter, 'one'));
        }
        for (const topic of ['a', 'a/b', 'a/b/a/b/a', '/', '/a/', '$s/a', 'é/é/é', '//a/b']) {
          const isFound = () => {};
          assert.equal(tree.match(topic, isFound), fresh.match(topic, isFound), topic);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('matches the parent of # [MQTT311 4.7.1.2] [MQTT5 4.7.1.2], or not, as AWS IoT Core', () => {
    for (const hashMatchesParent of [true, false]) {
      for (const others of [[], ['sport/tennis', 'sport'], ['sport/+/x']]) {
        const tree = new TopicTree<string, null>({ hashMatchesParent });
        for (const other of others) tree.add(other, 'other', null);
        tree.add('sport/#', 'fan', null);
        tree.add('#', 'all', null);
        const fans = (topic: string) => found(tree, topic).filter(subscriber => subscriber !== 'other');
        assert.deepEqual(fans('sport').sort(), hashMatchesParent ? ['all', 'fan'] : ['all']);
        assert.deepEqual(fans('sport/').sort(), ['all', 'fan']);
        assert.deepEqual(fans('sport/a/b').sort(), ['all', 'fan']);
      }
    }
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

  it('lets a visitor match, add and delete; what it deletes is not visited any more', () => {
    const tree = new TopicTree<string, null>();
    for (const filter of ['a/b', 'a/+', 'a/#'])
      for (const name of ['one', 'two']) tree.add(filter, `${name} ${filter}`, null);
    const visited: string[] = [];
    tree.match('a/b', subscriber => {
      visited.push(subscriber);
      for (const filter of ['a/b', 'a/+', 'a/#']) {
        for (const name of ['one', 'two']) {
          if (!visited.includes(`${name} ${filter}`)) tree.delete(filter, `${name} ${filter}`);
        }
      }
      assert.deepEqual(found(tree, 'a/b'), [subscriber]);
    });
    assert.equal(visited.length, 1);
    assert.throws(() => tree.match('a/b', () => assert.fail('a visitor that throws')), /a visitor that throws/);
    assert.deepEqual(found(tree, 'a/b'), visited);
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
    for (let n = 0; n < 20_000; n++) tree.add(`cmd/app/thing-${n}x/#`, `${n}`, null);
    for (let n = 0; n < 100; n++) tree.add(`${'+/'.repeat(n % 30)}never/${n}/#`, `p${n}`, null);
    const visited: string[] = [];
    const looks = tree.match('cmd/app/thing-7/req', subscriber => void visited.push(subscriber));
    assert.deepEqual(visited.sort(), ['any', 'seven']);
    assert(looks <= 12, `looked at ${looks} places`);
  });

  it('bounds the work of a match, whatever is subscribed to (hostile D08)', async () => {
    const placementsMax = 2 ** topicTreeLimits.plusLevelsFree + topicTreeLimits.deepPatternsMax;
    const levels = mqttLimits.topicLevelsMax;
    const costIsBounded = async () => {
      const tree = new TopicTree<string, null>();
      for (const filter of expensiveFilters(10_000, levels)) {
        if (tree.accepts(filter)) tree.add(filter, 'hostile', null);
      }
      assert(tree.size >= topicTreeLimits.deepPatternsMax);
      const looks = tree.match(`${'a/'.repeat(levels - 1)}z`, () => {});
      assert(looks <= levels * placementsMax, `looked at ${looks} places`);
    };
    await costIsBounded();
    await bites(topicTreeLimits, 'deepPatternsMax', { value: Number.POSITIVE_INFINITY }, costIsBounded);
  });

  it('refuses only placements of + that are new and deep, and takes new ones when others have gone', () => {
    const tree = new TopicTree<string, null>();
    const filters = expensiveFilters(10_000, mqttLimits.topicLevelsMax).filter(filter => {
      const isAccepted = tree.accepts(filter);
      if (isAccepted) tree.add(filter, 'hostile', null);
      return isAccepted;
    });
    const refused = expensiveFilters(11_000, mqttLimits.topicLevelsMax).filter(filter => !tree.accepts(filter));
    assert(refused.length > 0);
    assert.throws(() => tree.add(refused[0], 'hostile', null), assert.AssertionError);
    assert(tree.accepts('+/+/+/+/+/+/+/+/#')); // All that AWS IoT Core knows.
    assert(tree.accepts('+/a/+/a/+/a/+/+/b/c/d/e/f/g/h'));
    assert(tree.accepts(filters[0].replaceAll('a', 'other')));
    for (const filter of filters) tree.delete(filter, 'hostile');
    assert(refused.every(filter => tree.accepts(filter)));
  });

  it('holds a million subscriptions in little memory and still finds one of them at once', () => {
    const count = testScale(50_000, 1_000_000);
    // Measured per subscription with a million: 175, 29 and 29 bytes; half a power of two of slack for the tables.
    const shapes = [
      {
        filterOf: (n: number) => `dt/app/thing-${n}/cmd/#`,
        topicOf: (n: number) => `dt/app/thing-${n}/cmd/x`,
        bytesMax: 250,
      },
      { filterOf: (n: number) => `room/${n % 1_000}/#`, topicOf: (n: number) => `room/${n % 1_000}/x`, bytesMax: 80 },
      { filterOf: () => 'news', topicOf: () => 'news', bytesMax: 60 },
    ];
    for (const { filterOf, topicOf, bytesMax } of shapes) {
      const subscribers = Array.from({ length: count }, (_, n) => ({ n }));
      const tree = new TopicTree<{ n: number }, null>();
      const before = heapBytes();
      for (const subscriber of subscribers) tree.add(filterOf(subscriber.n), subscriber, null);
      const bytes = (heapBytes() - before) / count;
      assert(bytes < bytesMax, `${filterOf(0)} takes ${bytes} bytes`);
      assert.equal(tree.size, count);
      let isFound = false;
      const looks = tree.match(topicOf(7), subscriber => {
        isFound ||= subscriber === subscribers[7];
      });
      assert(isFound);
      assert(looks <= 5, `looked at ${looks} places`);
      for (const subscriber of subscribers) assert(tree.delete(filterOf(subscriber.n), subscriber));
      const keptBytes = heapBytes() - before; // The level names remembered, and whatever the engine compiled meanwhile.
      assert(keptBytes < 1024 * 1024, `${keptBytes} bytes are kept`);
    }
  });
});

/** With + at random places; in pairs that part at the last level only, so that each takes a way of its own. */
function expensiveFilters(count: number, levels: number): string[] {
  const random = seededRandom(count);
  return Array.from({ length: count / 2 }, () => {
    const way = Array.from({ length: levels - 1 }, () => (random.integer(2) === 1 ? '+' : 'a')).join('/');
    return [`${way}/x`, `${way}/y`];
  }).flat();
}
