import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { decode } from './decode.ts';
import { covers, isTopicFilter, isTopicName, matches, shareNameOf, withoutShare } from './topics.ts';

/** The rule as the standard tells it, level by level. [MQTT5 4.7] */
function matchesBySplitting(topicFilter: string, topic: string): boolean {
  const filterLevels = topicFilter.split('/');
  const levels = topic.split('/');
  if (topic.startsWith('$') && ['+', '#'].includes(filterLevels[0])) return false;
  const hasRest = filterLevels.at(-1) === '#';
  if (hasRest) filterLevels.pop();
  if (hasRest ? levels.length < filterLevels.length : levels.length !== filterLevels.length) return false;
  return filterLevels.every((level, depth) => level === '+' || level === levels[depth]);
}

/** All texts of 1 to `depth` levels out of `levels`. */
function enumerate(levels: readonly string[], depth: number): string[] {
  const ofDepth = [levels];
  while (ofDepth.length < depth) {
    ofDepth.push((ofDepth.at(-1) ?? []).flatMap(head => levels.map(level => `${head}/${level}`)));
  }
  return ofDepth.flat().filter(text => text !== '');
}

// 'z' stands for every level that no filter names. One level more than any filter shows what # leaves open.
const topics = enumerate(['', 'a', '$s', 'z'], 5);
const plainFilters = enumerate(['', 'a', '$s', '+'], 4);
const filters = [...plainFilters, '#', '/#', ...plainFilters.filter(f => f.split('/').length < 4).map(f => `${f}/#`)];

const anyLevel = fc.constantFrom('', 'a', 'b', '$s', 'é', '😀', ' ', 'long level');
const anyTopic = fc.array(anyLevel, { minLength: 1, maxLength: 6 }).map(levels => levels.join('/'));
const anyFilter = fc
  .tuple(fc.array(fc.oneof(anyLevel, fc.constant('+')), { minLength: 1, maxLength: 6 }), fc.boolean())
  .map(([levels, rest]) => (rest ? [...levels, '#'] : levels).join('/'));

/** Puts levels of `filling` where `filter` has a wildcard, so that the two are about the same topics; `share` of them. */
function fill(filter: string, filling: string, share: number): string {
  const levels = filling.split('/');
  return filter
    .split('/')
    .map((level, depth) => {
      if ((level !== '+' && level !== '#') || (depth % 2) / 2 >= share) return level;
      return level === '+' ? (levels[depth] ?? 'rest') : filling;
    })
    .join('/');
}

describe('matches', () => {
  it('agrees with the standard on every short filter and topic [MQTT311 4.7.1-2, 4.7.1-3, 4.7.2-1] [MQTT5 4.7.1-1, 4.7.1-2, 4.7.2-1]', () => {
    for (const filter of filters) {
      for (const topic of topics) {
        if (matches(filter, topic) !== matchesBySplitting(filter, topic)) assert.fail(`${filter} and ${topic}`);
      }
    }
  });

  it('agrees with the standard on longer ones', () => {
    fc.assert(fc.property(anyFilter, anyTopic, (f, t) => matches(f, t) === matchesBySplitting(f, t)));
  });

  it('agrees with the examples of the standard [MQTT311 4.7.2-1] [MQTT5 4.7.2-1]', () => {
    // [MQTT5 4.7.1.2, 4.7.1.3, 4.7.2]
    assert.ok(matches('sport/tennis/player1/#', 'sport/tennis/player1'));
    assert.ok(matches('sport/tennis/player1/#', 'sport/tennis/player1/score/wimbledon'));
    assert.ok(!matches('sport/+', 'sport'));
    assert.ok(matches('sport/+', 'sport/'));
    assert.ok(matches('+/+', '/finance'));
    assert.ok(matches('/+', '/finance'));
    assert.ok(!matches('+', '/finance'));
    assert.ok(!matches('#', '$SYS/monitor/Clients'));
    assert.ok(!matches('+/monitor/Clients', '$SYS/monitor/Clients'));
    assert.ok(matches('$SYS/#', '$SYS/monitor/Clients'));
    assert.ok(matches('$SYS/monitor/+', '$SYS/monitor/Clients'));
    assert.ok(!matches('ACCOUNTS', 'Accounts'));
  });

  it('takes texts that only look alike for different [MQTT311 4.7.3-4] [MQTT5 4.7.3-4]', () => {
    const alike = ['é', 'e\u0301', 'É', 'e', ' é', '\ufeffé', '/é', 'é/'];
    for (const filter of alike) {
      for (const topic of alike) assert.equal(matches(filter, topic), filter === topic, `${filter} and ${topic}`);
    }
    assert.ok(matches('a//../b/./%2f', 'a//../b/./%2f'));
    assert.ok(!matches('a/b', 'a//b') && !matches('b', 'a/../b') && !matches('a%2fb', 'a/b'));
  });
});

describe('covers', () => {
  it('is containment, on every pair of short filters', () => {
    const matchedBy = filters.map(filter => {
      let bits = 0n;
      topics.forEach((topic, index) => {
        if (matchesBySplitting(filter, topic)) bits |= 1n << BigInt(index);
      });
      return bits;
    });
    filters.forEach((allowed, a) => {
      filters.forEach((filter, f) => {
        const isContained = (matchedBy[f] & ~matchedBy[a]) === 0n;
        if (covers(allowed, filter) !== isContained) assert.fail(`${allowed} covers ${filter}: ${isContained}`);
      });
    });
  });

  it('lets nothing through that the allowed filter does not match', () => {
    fc.assert(
      fc.property(anyFilter, anyTopic, anyTopic, (allowed, narrowing, filling) => {
        const filter = fill(allowed, narrowing, 0.5);
        const topic = fill(filter, filling, 1);
        const isAsked = covers(allowed, filter) && matchesBySplitting(filter, topic);
        return !isAsked || matchesBySplitting(allowed, topic);
      }),
    );
  });

  it('answers for one topic what matches answers', () => {
    fc.assert(fc.property(anyFilter, anyTopic, (allowed, topic) => covers(allowed, topic) === matches(allowed, topic)));
  });

  it('does not let + or # reach topics that begin with $', () => {
    assert.ok(!covers('#', '$SYS/#'));
    assert.ok(!covers('+/a', '$SYS/a'));
    assert.ok(covers('$SYS/#', '$SYS/+'));
    assert.ok(!covers('a/+', 'a/#'));
  });
});

const anyText = fc.oneof(
  fc.string({ unit: fc.constantFrom('a', '/', '+', '#', '$', 'é', '😀', '\0', '\ud800') }),
  fc.string({ unit: fc.constantFrom('a', '/'), maxLength: 80 }),
  anyFilter,
);

describe('isTopicName and isTopicFilter', () => {
  it('call a topic valid exactly when a PUBLISH may carry it: W11 W12 [MQTT311 3.3.2-2, 4.7.1-1] [MQTT5 3.3.2-2, 4.7.0-1]', () => {
    const context = { version: 4, from: 'client', packetBytesMax: 100_000 } as const;
    fc.assert(
      fc.property(anyText, topic => {
        const bytes = Buffer.from(topic);
        const body = Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length]), bytes]);
        const header = body.length < 128 ? [0x30, body.length] : [0x30, (body.length & 127) | 128, body.length >> 7];
        const packet = Buffer.concat([Buffer.from(header), body]);
        // A lone surrogate cannot be written as UTF-8: it becomes U+FFFD, which is another topic.
        fc.pre(topic.isWellFormed());
        return (decode(packet, 0, packet.length, context)?.type === 'publish') === isTopicName(topic);
      }),
    );
  });

  it('say that a topic is a filter, unless it asks for a share', () => {
    fc.assert(fc.property(anyText, text => !isTopicName(text) || text.startsWith('$share/') || isTopicFilter(text)));
  });

  it('refuse what has no UTF-8, is too deep or too long: W12 [MQTT311 4.7.3-1 … 4.7.3-3] [MQTT5 4.7.3-1 … 4.7.3-3]', () => {
    for (const isValid of [isTopicName, isTopicFilter]) {
      assert.ok(!isValid('\ud800'));
      assert.ok(!isValid('a\0'));
      assert.ok(!isValid(''));
      assert.ok(isValid('/'.repeat(31)));
      assert.ok(!isValid('/'.repeat(32)));
      assert.ok(isValid('é'.repeat(512)));
      assert.ok(!isValid('é'.repeat(513)));
    }
  });
});

describe('shared subscriptions', () => {
  it('have a name and a filter', () => {
    assert.equal(shareNameOf('$share/group/a/+'), 'group');
    assert.equal(withoutShare('$share/group/a/+'), 'a/+');
    assert.equal(withoutShare('$share/group//a'), '/a');
  });

  it('are nothing special without one of them [MQTT5 4.8.2-1, 4.8.2-2]', () => {
    for (const filter of ['a/b', '$share', '$share/', '$share/group', '$share/group/', '$share//a', 'x/$share/g/a']) {
      assert.equal(shareNameOf(filter), undefined);
      assert.equal(withoutShare(filter), filter);
    }
  });
});
