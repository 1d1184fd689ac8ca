import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { testScale } from '../../../test/support.ts';
import type { Message } from './client-state.ts';
import { bites } from './gateway-world.ts';
import { heapBytes } from './heap-bytes.ts';
import { RetainedMessages, retainedLimits } from './retained-messages.ts';
import { RetainedReplay, replayLimits } from './retained-replay.ts';
import { SortedByTopic } from './sorted-by-topic.ts';
import { isTopicFilter, matches } from './topics.ts';

// "-" and " " sort before "/", "é" after it.
const anyLevel = fc.constantFrom('', 'a', 'b', 'a-', 'b ', '$s', 'é');
const anyTopic = fc
  .array(anyLevel, { minLength: 1, maxLength: 4 })
  .map(levels => levels.join('/'))
  .filter(topic => topic !== '');
const anyFilter = fc
  .tuple(fc.array(fc.oneof(anyLevel, fc.constant('+')), { maxLength: 4 }), fc.boolean())
  .map(([levels, rest]) => (rest ? [...levels, '#'] : levels).join('/'))
  .filter(filter => isTopicFilter(filter));

function message(topic: string, more: Partial<Message> = {}): Message {
  const content = { payload: Buffer.from(topic), qos: 1, retain: true, properties: undefined } as const;
  return { topic, ...content, expiresAtMs: undefined, bytes: 10, journalNo: 0, ...more };
}

function retained(topics: readonly string[], options: ConstructorParameters<typeof RetainedMessages>[0] = {}) {
  const messages = new RetainedMessages(options);
  for (const topic of topics) messages.set(message(topic));
  return messages;
}

function replayed(messages: RetainedMessages, topicFilter: string, nowMs = 0): string[] {
  const replay = messages.matching(topicFilter);
  const topics: string[] = [];
  for (let next = replay.next(nowMs); next; next = replay.next(nowMs)) if (next !== 'later') topics.push(next.topic);
  return topics;
}

describe('retained messages', () => {
  it('are one per topic: the last', () => {
    const messages = new RetainedMessages();
    const [first, second] = [message('a/b'), message('a/b', { bytes: 30 })];
    assert.equal(messages.set(first), 'stored');
    assert.equal(messages.set(second), 'replaced'); // [MQTT311 3.3.1-5] [MQTT5 3.3.1-5]
    assert.equal(messages.find('a/b', 0), second);
    assert.deepEqual([messages.size, messages.bytes], [1, 30]);
    assert.equal(messages.delete('a/b'), true);
    assert.equal(messages.delete('a/b'), false);
    assert.equal(messages.find('a/b', 0), undefined);
    assert.deepEqual([messages.size, messages.bytes], [0, 0]);
  });

  it('are refused beyond the limits, and what is there stays (hostile D06)', async () => {
    const { messagesMax, bytesMax } = { ...retainedLimits };
    const limitsHold = async () => {
      const many = new RetainedMessages();
      for (let n = 0; n < messagesMax; n++) assert.equal(many.set(message(`flood/${n}`)), 'stored');
      assert.equal(many.set(message('flood/one-more')), 'full');
      assert.equal(many.set(message('flood/7')), 'replaced');
      assert.equal(many.size, messagesMax);
      assert.equal(many.delete('flood/8'), true);
      assert.equal(many.set(message('flood/one-more')), 'stored');

      const large = new RetainedMessages();
      const half = bytesMax / 2;
      assert.equal(large.set(message('a', { bytes: half })), 'stored');
      assert.equal(large.set(message('b', { bytes: half })), 'stored');
      assert.equal(large.set(message('c', { bytes: 1 })), 'full');
      assert.equal(large.set(message('b', { bytes: half + 1 })), 'full');
      assert.equal(large.find('b', 0)?.bytes, half);
      assert.equal(large.set(message('b', { bytes: 1 })), 'replaced');
      assert.deepEqual([large.size, large.bytes], [2, half + 1]);
    };
    await limitsHold();
    await bites(retainedLimits, 'messagesMax', { value: Number.POSITIVE_INFINITY }, limitsHold);
    await bites(retainedLimits, 'bytesMax', { value: Number.POSITIVE_INFINITY }, limitsHold);
  });

  it('are replayed exactly to the filters that match', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(anyTopic, { maxLength: 40 }),
        fc.array(anyFilter, { minLength: 1, maxLength: 10 }),
        fc.boolean(),
        (topics, filters, hashMatchesParent) => {
          const messages = retained(topics, { hashMatchesParent });
          for (const filter of filters) {
            const expected = topics.filter(
              topic =>
                matches(filter, topic) &&
                // The parent is what the filter without its # matches.
                (hashMatchesParent || !filter.endsWith('/#') || !matches(filter.slice(0, -2), topic)),
            );
            assert.deepEqual(replayed(messages, filter).sort(), expected.sort(), filter);
          }
        },
      ),
      { numRuns: 1_000 },
    );
  });

  it('may be set and deleted during a replay: none comes twice, none that was deleted, all that stayed', () => {
    const anyStep = fc.record({ topic: anyTopic, kind: fc.constantFrom('set', 'delete', 'next') });
    fc.assert(
      fc.property(
        fc.uniqueArray(anyTopic, { maxLength: 40 }),
        anyFilter,
        fc.array(anyStep, { maxLength: 60 }),
        (topics, filter, steps) => {
          const messages = retained(topics);
          const replay = messages.matching(filter);
          const visited: string[] = [];
          const changed = new Set<string>();
          const take = () => {
            const next = replay.next(0);
            if (!next || next === 'later') return next;
            assert.equal(messages.find(next.topic, 0), next);
            visited.push(next.topic);
            return next;
          };
          for (const { topic, kind } of steps) {
            if (kind === 'set') messages.set(message(topic));
            if (kind === 'delete' && messages.delete(topic)) changed.add(topic);
            if (kind === 'next') take();
          }
          while (take());
          assert.equal(new Set(visited).size, visited.length);
          const stayed = topics.filter(topic => matches(filter, topic) && !changed.has(topic));
          assert.deepEqual(
            stayed.filter(topic => !visited.includes(topic)),
            [],
          );
          assert(visited.every(topic => matches(filter, topic)));
        },
      ),
      { numRuns: 1_000 },
    );
  });

  it('are streamed to many subscribers of # from nothing but a place each (hostile D07)', () => {
    const count = testScale(20_000, 1_000_000);
    const messages = new RetainedMessages({ messagesMax: count });
    for (let n = 0; n < count; n++) messages.set(message(`dt/${n % 1_000}/thing-${n}/state`));
    assert.equal(messages.size, count);
    const before = heapBytes();
    const replays = Array.from({ length: 1_000 }, () => messages.matching('#'));
    const counts = replays.map(() => 0);
    // All of them are on their way; ten go on to the end, in turns.
    for (let turn = 0; turn < count; turn++) {
      replays.forEach((replay, index) => {
        if (turn > 10 && index >= 10) return;
        const next = replay.next(0);
        if (next && next !== 'later') counts[index]++;
      });
      if (turn === 10) assert((heapBytes() - before) / replays.length < 1_000, 'a replay takes more than 1,000 bytes');
    }
    assert.deepEqual(counts.slice(0, 10), Array(10).fill(count));
    for (const replay of replays.slice(0, 10)) assert.equal(replay.next(0), undefined);
  });

  it('are looked through in small steps when few match, and only below the levels the filter names (hostile D07)', async () => {
    const stepsAreSmall = async () => {
      let looks = 0;
      class Watched extends SortedByTopic<Message> {
        override firstFrom(topic: string) {
          looks++;
          return super.firstFrom(topic);
        }
        override firstAfter(topic: string) {
          looks++;
          return super.firstAfter(topic);
        }
      }
      const messages = new Watched();
      for (let n = 0; n < 10_000; n++) messages.set(message(`dt/thing-${n}/state`));
      messages.set(message('dt/thing-9/last'));
      for (const [topicFilter, inAllMax] of [
        ['dt/+/last', 30_010],
        ['+/+/+/+', 30_010],
        ['dt/thing-9/#', 4],
        ['dt/thing-9/last', 4],
        ['none/#', 4],
        ['dt/thing/#', 4],
      ] as const) {
        const replay = new RetainedReplay({ messages, topicFilter, hashMatchesParent: true, expire: () => {} });
        let inAll = 0;
        let next: ReturnType<RetainedReplay['next']>;
        do {
          looks = 0;
          next = replay.next(0);
          assert(looks <= 64, `${looks} looks at once for ${topicFilter}`);
          inAll += looks;
        } while (next);
        assert(inAll <= inAllMax, `${inAll} looks in all for ${topicFilter}`);
      }
    };
    await stepsAreSmall();
    await bites(replayLimits, 'stepsPerNextMax', { value: Number.POSITIVE_INFINITY }, stepsAreSmall);
  });

  it('are gone for readers once they have expired, and told of when a replay finds them (hostile D12)', () => {
    const expired: string[] = [];
    const messages = new RetainedMessages({ onExpired: ({ topic }) => void expired.push(topic) });
    messages.set(message('a/1', { expiresAtMs: 100 }));
    messages.set(message('a/2', { expiresAtMs: 101 }));
    messages.set(message('a/3'));
    assert.deepEqual(replayed(messages, 'a/+', 99), ['a/1', 'a/2', 'a/3']);
    assert.equal(messages.find('a/1', 100), undefined);
    assert.deepEqual(expired, []);
    assert.deepEqual(replayed(messages, 'a/+', 100), ['a/2', 'a/3']);
    assert.deepEqual(expired, ['a/1']);
    assert.deepEqual([messages.size, messages.bytes], [2, 20]);
  });

  it('are removed once they have expired though nobody reads them, a few at a time (hostile D12)', async () => {
    const expiredAreRemoved = async () => {
      const expired: string[] = [];
      const messages = new RetainedMessages({ onExpired: ({ topic }) => void expired.push(topic) });
      for (let n = 0; n < 100; n++) messages.set(message(`t/${n}`, { expiresAtMs: n % 2 === 0 ? 50 : undefined }));
      assert.equal(messages.dropExpired(49, 30), 0);
      for (let step = 1; step <= 20; step++) {
        const before = expired.length;
        assert.equal(messages.dropExpired(50, 10), expired.length - before);
        assert(expired.length <= step * 10);
      }
      assert.equal(expired.length, 50); // Those, too, that it had passed before they expired: it goes round.
      assert.deepEqual([messages.size, messages.bytes], [50, 500]);
      messages.dropExpired(50, 10);
      messages.set(message('a', { expiresAtMs: 60 })); // Before the place it has come to.
      for (let step = 0; step < 12; step++) messages.dropExpired(60, 10);
      assert.equal(messages.size, 50);
    };
    await expiredAreRemoved();
    await bites(RetainedMessages.prototype, 'dropExpired', { value: () => 0, writable: true }, expiredAreRemoved);
  });

  it('can all be read for a checkpoint while they change', () => {
    const topics = Array.from({ length: 2_000 }, (_, n) => `t/${1_000 + n}`);
    const messages = retained(topics);
    const seen: string[] = [];
    for (const { topic } of messages.all()) {
      seen.push(topic);
      messages.delete(topic);
      messages.delete('t/1999');
      messages.set(message('t/0'));
    }
    assert.deepEqual(
      seen,
      topics.filter(topic => topic !== 't/1999'),
    );
  });
});
