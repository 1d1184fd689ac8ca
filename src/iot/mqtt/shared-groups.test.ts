import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { seededRandom } from '../../kernel/random.ts';
import { bites } from './gateway-world.ts';
import { type Distribution, type Fitness, SharedGroup, SharedGroups, sharedGroupLimits } from './shared-groups.ts';
import { TopicTree } from './topic-tree.ts';

type Group = SharedGroup<string, number>;

const allFit = (): Fitness => 2;

/** One group with these members. */
function groupOf(members: readonly string[]): { groups: SharedGroups<string, number>; group: Group } {
  const groups = new SharedGroups<string, number>();
  for (const member of members) groups.add('$share/g/t/#', member, 0);
  let group: Group | undefined;
  groups.match('t/x', found => {
    group = found;
  });
  assert(group);
  return { groups, group };
}

function found(groups: SharedGroups<string, number>, topic: string): string[] {
  const names: string[] = [];
  groups.match(topic, ({ shareName, topicFilter }) => void names.push(`${shareName} ${topicFilter}`));
  return names.sort();
}

/** Who gets each of the topics. */
function owners(group: Group, topics: readonly string[], fitnessOf: (member: string) => Fitness = allFit) {
  return new Map(topics.map(topic => [topic, group.pick('sticky', topic, fitnessOf)?.subscriber]));
}

function counted(owned: ReadonlyMap<string, string | undefined>): Map<string | undefined, number> {
  const counts = new Map<string | undefined, number>();
  for (const owner of owned.values()) counts.set(owner, (counts.get(owner) ?? 0) + 1);
  return counts;
}

const topics = Array.from({ length: 3_000 }, (_, n) => `t/thing-${n}/state`);

describe('shared subscriptions [MQTT5 4.8.2]', () => {
  it('are one group for the same name and filter, and another for any other', () => {
    const groups = new SharedGroups<string, number>();
    assert.equal(groups.add('$share/a/t/+', 'one', 1), true);
    assert.equal(groups.add('$share/a/t/+', 'two', 1), true);
    assert.equal(groups.add('$share/a/t/+', 'two', 2), false);
    assert.equal(groups.add('$share/b/t/+', 'one', 1), true);
    assert.equal(groups.add('$share/a/t/#', 'one', 1), true);
    assert.equal(groups.add('$share/a/#', 'one', 1), true);
    assert.equal(groups.size, 5);
    assert.deepEqual(found(groups, 't/x'), ['a #', 'a t/#', 'a t/+', 'b t/+']);
    assert.deepEqual(found(groups, '$t/x'), []); // [MQTT5 4.7.2-1]
    assert.equal(groups.delete('$share/a/t/+', 'one'), true);
    assert.equal(groups.delete('$share/a/t/+', 'one'), false);
    assert.equal(groups.delete('$share/c/t/+', 'one'), false);
    groups.match('t/x', group => {
      if (group.shareName !== 'a' || group.topicFilter !== 't/+') return;
      assert.deepEqual([group.size, group.pick('fair', 't/x', allFit)?.options], [1, 2]);
    });
    const { version } = groups;
    assert.equal(groups.delete('$share/a/t/+', 'two'), true);
    assert.notEqual(groups.version, version);
    assert.deepEqual(found(groups, 't/x'), ['a #', 'a t/#', 'b t/+']);
    assert.throws(() => groups.add('t/x', 'one', 1), assert.AssertionError);
  });

  it('read # as the tree is told to', () => {
    for (const hashMatchesParent of [true, false]) {
      const groups = new SharedGroups<string, number>({ hashMatchesParent });
      groups.add('$share/a/t/#', 'one', 1);
      assert.equal(found(groups, 't').length, hashMatchesParent ? 1 : 0);
    }
  });

  it('are served in turns: whoever stays has as many as any other who stays, whoever comes and goes', () => {
    const anyStep = fc.oneof(
      { weight: 5, arbitrary: fc.constant({ kind: 'pick', member: 0 } as const) },
      fc.record({ kind: fc.constantFrom('join', 'leave'), member: fc.nat({ max: 4 }) }),
    );
    fc.assert(
      fc.property(fc.array(anyStep, { maxLength: 200 }), steps => {
        const { groups, group } = groupOf(['A', 'B', 'C']);
        const counts = new Map<string, number>();
        for (const { kind, member } of steps) {
          if (kind === 'join') groups.add('$share/g/t/#', `guest-${member}`, 0);
          if (kind === 'leave') groups.delete('$share/g/t/#', `guest-${member}`);
          if (kind !== 'pick') continue;
          const picked = group.pick('fair', 't/x', allFit)?.subscriber ?? '';
          counts.set(picked, (counts.get(picked) ?? 0) + 1);
          const staying = ['A', 'B', 'C'].map(name => counts.get(name) ?? 0);
          assert(Math.max(...staying) - Math.min(...staying) <= 1, `${[...counts]}`);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('give a newcomer its turn in the first round, and no more', () => {
    const { groups, group } = groupOf(['A', 'B', 'C']);
    const pick = () => group.pick('fair', 't/x', allFit)?.subscriber;
    assert.deepEqual([pick(), pick()], ['A', 'B']);
    groups.add('$share/g/t/#', 'D', 0);
    assert.deepEqual([pick(), pick(), pick(), pick(), pick()], ['C', 'A', 'B', 'D', 'C']);
    groups.delete('$share/g/t/#', 'A');
    assert.deepEqual([pick(), pick(), pick(), pick()], ['B', 'D', 'C', 'B']);
  });

  for (const distribution of ['fair', 'sticky'] satisfies Distribution[]) {
    it(`go to the fittest, so a stuck member gets no new ones while others can take them: ${distribution} (hostile S14)`, async () => {
      const stuckIsSpared = async () => {
        const { group } = groupOf(['A', 'stuck', 'B', 'gone']);
        const fitness = new Map<string, Fitness>([
          ['A', 2],
          ['B', 2],
          ['stuck', 1],
          ['gone', 0],
        ]);
        const fitnessOf = (member: string) => fitness.get(member) ?? 0;
        const pickedOf = () => {
          const picked = topics.map(topic => group.pick(distribution, topic, fitnessOf)?.subscriber);
          return [...new Set(picked)].sort();
        };
        assert.deepEqual(pickedOf(), ['A', 'B']);
        fitness.set('A', 0).set('B', 1);
        assert.deepEqual(pickedOf(), ['B', 'stuck']);
        fitness.set('B', 0).set('stuck', 0);
        assert.deepEqual(pickedOf(), [undefined]);
        fitness.set('gone', 2);
        assert.deepEqual(pickedOf(), ['gone']);
      };
      await stuckIsSpared();
      const { pick } = SharedGroup.prototype;
      const ignoringFitness = function (this: Group, how: Distribution, topic: string) {
        return pick.call(this, how, topic, allFit);
      };
      await bites(SharedGroup.prototype, 'pick', { value: ignoringFitness, writable: true }, stuckIsSpared);
    });
  }

  it('stay fair among the fit when others are not', () => {
    const { group } = groupOf(['A', 'x', 'y', 'B', 'z', 'C']);
    const picked = Array.from({ length: 9 }, () => group.pick('fair', 't/x', member => (/[A-Z]/.test(member) ? 2 : 1)));
    assert.equal(picked.map(member => member?.subscriber).join(''), 'ABCABCABC');
  });

  it('keep a topic with one member; topics are spread, and only those that must move when members change', () => {
    const members = ['A', 'B', 'C', 'D', 'E'];
    const { groups, group } = groupOf(members);
    const before = owners(group, topics);
    for (let n = 0; n < 3; n++) group.pick('fair', 't/x', allFit); // Whose turn it is makes no difference.
    assert.deepEqual(owners(group, topics), before);
    for (const member of members) {
      const share = counted(before).get(member) ?? 0;
      assert(Math.abs(share - 600) < 100, `${member} has ${share} of ${topics.length}`); // 4.6 standard deviations
    }

    groups.delete('$share/g/t/#', 'B');
    for (const [topic, owner] of owners(group, topics)) {
      if (before.get(topic) === 'B') assert.notEqual(owner, 'B');
      else assert.equal(owner, before.get(topic));
    }

    const between = owners(group, topics);
    groups.add('$share/g/t/#', 'F', 0);
    const after = owners(group, topics);
    for (const [topic, owner] of after) if (owner !== 'F') assert.equal(owner, between.get(topic));
    assert(Math.abs((counted(after).get('F') ?? 0) - 600) < 100);
  });

  it('move the topics of a member that cannot take them to the others, and back', () => {
    const { group } = groupOf(['A', 'B', 'C']);
    const before = owners(group, topics);
    const without = owners(group, topics, member => (member === 'A' ? 0 : 2));
    assert.equal(counted(without).get('A'), undefined);
    for (const [topic, owner] of before) if (owner !== 'A') assert.equal(without.get(topic), owner);
    assert.deepEqual(owners(group, topics), before);
  });

  it('ask one member for a fair pick, however many there are', () => {
    const { group } = groupOf(Array.from({ length: 5_000 }, (_, n) => `member-${n}`));
    let asked = 0;
    for (let n = 0; n < 100; n++) {
      group.pick('fair', 't/x', () => {
        asked++;
        return 2;
      });
    }
    assert.equal(asked, 100);
  });

  it('have a limit of members, which is the work of a pick', async () => {
    const limit = sharedGroupLimits.membersMax;
    const workIsBounded = async () => {
      const groups = new SharedGroups<string, number>();
      for (let n = 0; n < limit + 10; n++) {
        if (groups.accepts('$share/g/t', `member-${n}`)) groups.add('$share/g/t', `member-${n}`, 0);
      }
      assert.equal(groups.size, limit);
      assert.throws(() => groups.add('$share/g/t', 'another', 0), assert.AssertionError);
      assert(groups.accepts('$share/g/t', 'member-7'));
      assert(groups.accepts('$share/h/t', 'another'));
      groups.delete('$share/g/t', 'member-7');
      assert(groups.accepts('$share/g/t', 'another'));
    };
    await workIsBounded();
    await bites(sharedGroupLimits, 'membersMax', { value: Number.POSITIVE_INFINITY }, workIsBounded);
  });

  it('accept no filter that the topic tree does not', async () => {
    const hostile = '$share/g/+/+/+/+/+/+/+/+/+/#';
    const asksTheTree = async () => assert.equal(new SharedGroups<string, number>().accepts(hostile, 'A'), true);
    await asksTheTree();
    await bites(TopicTree.prototype, 'accepts', { value: () => false, writable: true }, asksTheTree);
  });

  it('have every member once in a round, through thousands who join and leave', () => {
    const random = seededRandom(14);
    const { groups, group } = groupOf(['A']);
    const members = new Set(['A']);
    for (let n = 0; n < 10_000; n++) {
      const member = `m${random.integer(20)}`;
      if (random.integer(2) === 0) {
        assert.equal(groups.add('$share/g/t/#', member, n), !members.has(member));
        members.add(member);
      } else {
        assert.equal(groups.delete('$share/g/t/#', member), members.delete(member));
      }
      for (let picks = random.integer(5); picks > 0; picks--) group.pick('fair', 't/x', allFit);
      const round = Array.from({ length: members.size }, () => group.pick('fair', 't/x', allFit)?.subscriber);
      assert.deepEqual(round.sort(), [...members].sort());
      assert.equal(groups.size, members.size);
    }
  });
});
