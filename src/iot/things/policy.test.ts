import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { matches } from '../mqtt/topics.ts';
import { PolicyEngine } from './policy.ts';

const policy = {
  publish: ['dt/app/{thing}/+', 'cmd/app/+/{thing}/res', 'log/{thing}-x'],
  ingest: ['dt/app/{thing}/+', 'secret/#'],
  subscribe: ['cmd/app/+/{thing}/#', 'news/+'],
};

describe('the policy', () => {
  it('lets a thing publish below its own name and nowhere else (hostile A05)', () => {
    const engine = new PolicyEngine(policy);
    const verdicts: [string, boolean, boolean][] = [
      ['dt/app/one/t', true, true],
      ['cmd/app/play/one/res', true, false],
      ['dt/app/two/t', false, false],
      ['dt/app/one', false, false],
      ['dt/app/one/t/x', false, false],
      ['dt/app/{thing}/t', false, false],
      ['secret/x', false, false], // Telemetry only where publishing is allowed.
      ['', false, false],
    ];
    for (const [topic, allowed, ingest] of verdicts)
      assert.deepEqual(engine.judgePublish('one', topic), { allowed, ingest }, topic);
  });

  it('takes a name for a name, whatever it looks like (hostile A01)', () => {
    const engine = new PolicyEngine(policy);
    for (const name of ['+', '#', '', 'one/x', '../two', '{thing}', '$\x7bthing}', '$1', '*', '?', 'one\0']) {
      assert.equal(engine.judgePublish(name, 'dt/app/two/t').allowed, false, name);
      assert.equal(engine.judgePublish(name, `dt/app/${name}/t`).allowed, false, name);
      assert.equal(engine.maySubscribe(name, 'news/x'), false, name);
    }
    assert.equal(engine.judgePublish('$1', 'dt/app/$1/t').allowed, false);
  });

  it('names the filters of a thing, each of which it may subscribe to', () => {
    const engine = new PolicyEngine(policy);
    assert.deepEqual(engine.filtersOf('one'), ['cmd/app/+/one/#', 'news/+']);
    for (const filter of engine.filtersOf('one')) assert(engine.maySubscribe('one', filter), filter);
    for (const name of ['+', '#', '', 'one/x']) assert.deepEqual(engine.filtersOf(name), [], name);
  });

  it('says how telemetry is keyed where it is not by its thing, and whose the own telemetry of the backend is', () => {
    const partitionKeys = [{ topicFilter: 'dt/app/{thing}/spread', partitionKey: 'random' as const }];
    const engine = new PolicyEngine({ ...policy, partitionKeys });
    assert.deepEqual(engine.judgePublish('one', 'dt/app/one/spread'), {
      allowed: true,
      ingest: true,
      partitionKey: 'random',
    });
    assert.deepEqual(engine.judgePublish('one', 'dt/app/one/t'), { allowed: true, ingest: true });
    assert.deepEqual(engine.judgePublish('one', 'dt/app/two/spread'), { allowed: false, ingest: false });
    assert.deepEqual(engine.telemetryOn('dt/app/two/spread'), { thingName: 'two', partitionKey: 'random' });
    for (const topic of ['cmd/app/play/one/res', 'dt/app/{thing}/t', 'dt/app/+/t', 'dt/app//t', 'secret/x', '']) {
      assert.equal(engine.telemetryOn(topic), undefined, topic);
    }
    assert.throws(
      () => new PolicyEngine({ ...policy, partitionKeys: [{ topicFilter: 'a/#/b', partitionKey: 'random' }] }),
    );
  });

  it('puts the name only where it is a level of its own', () => {
    const engine = new PolicyEngine(policy);
    assert.equal(engine.judgePublish('one', 'log/one-x').allowed, false);
  });

  it('allows a filter only when everything it could match is allowed (hostile A03)', () => {
    const engine = new PolicyEngine(policy);
    const anyLevel = fc.constantFrom('cmd', 'app', 'news', 'one', 'two', 'x', '+', '$aws');
    const anyFilter = fc
      .tuple(fc.array(anyLevel, { minLength: 1, maxLength: 6 }), fc.boolean())
      .map(([levels, rest]) => (rest ? [...levels, '#'] : levels).join('/'));
    const anyTopic = fc
      .array(fc.constantFrom('cmd', 'app', 'news', 'one', 'two', 'x', '$aws'), { minLength: 1, maxLength: 7 })
      .map(levels => levels.join('/'));
    const isAllowed = (topic: string) => ['cmd/app/+/one/#', 'news/+'].some(filter => matches(filter, topic));
    fc.assert(
      fc.property(anyFilter, anyTopic, (filter, topic) => {
        if (engine.maySubscribe('one', filter) && matches(filter, topic))
          assert(isAllowed(topic), `${filter} matches ${topic}`);
      }),
      { numRuns: 3_000 },
    );
    for (const filter of ['#', '+/#', 'cmd/#', 'cmd/app/+/+/#', '$share/g/#', '$share/g/news/+']) {
      assert(!engine.maySubscribe('one', filter), filter);
    }
  });

  it('never lets a wildcard stand for a $-topic (hostile A04)', () => {
    const engine = new PolicyEngine({ publish: ['#', '+/x'], ingest: [], subscribe: ['#'] });
    for (const topic of ['$SYS/x', '$aws/x', '$share/x']) {
      assert(!engine.judgePublish('one', topic).allowed);
      assert(!engine.maySubscribe('one', topic));
      assert(!engine.maySubscribe('one', `${topic}/#`));
    }
    assert(engine.maySubscribe('one', '#'));
  });

  it('allows nothing when it is empty, and keeps the last good one when a new one is not valid (hostile A06)', () => {
    const engine = new PolicyEngine({ publish: [], ingest: [], subscribe: [] });
    assert(!engine.judgePublish('one', 'dt/app/one/t').allowed);
    assert(!engine.maySubscribe('one', 'news/x'));
    let replaced = 0;
    const live = new PolicyEngine(policy, () => replaced++);
    const { version } = live;
    for (const bad of ['a/#/b', 'a+', '', '$share/g/a']) {
      assert.throws(() => live.replace({ publish: ['#'], ingest: [], subscribe: [bad] }));
    }
    assert.deepEqual([live.version, replaced], [version, 0]);
    assert(!live.judgePublish('one', 'anything').allowed);
    live.replace({ publish: ['anything'], ingest: [], subscribe: [] });
    assert(live.judgePublish('one', 'anything').allowed);
    assert.notEqual(live.version, version);
    assert.equal(replaced, 1);
  });
});
