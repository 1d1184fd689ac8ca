import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { seededRandom } from '../../kernel/random.ts';
import { SortedByTopic } from './sorted-by-topic.ts';

interface Item {
  readonly topic: string;
  readonly no: number;
}

function all(sorted: SortedByTopic<Item>): Item[] {
  const items: Item[] = [];
  for (let item = sorted.firstFrom(''); item; item = sorted.firstAfter(item.topic)) items.push(item);
  return items;
}

describe('things sorted by topic', () => {
  it('are what a sorted map would hold, through growing and shrinking by thousands', () => {
    const random = seededRandom(5);
    const sorted = new SortedByTopic<Item>();
    const model = new Map<string, Item>();
    const inOrder = () => [...model.values()].sort((a, b) => (a.topic < b.topic ? -1 : 1));
    // Mostly adding, then mostly deleting, down to nothing.
    for (const chanceOfAdding of [9, 1, 6, 0]) {
      for (let no = 0; no < 20_000; no++) {
        const topic = `t/${random.integer(8_000)}`;
        assert.equal(sorted.find(topic), model.get(topic));
        if (random.integer(10) < chanceOfAdding) {
          const item = { topic, no };
          assert.equal(sorted.set(item), model.get(topic));
          model.set(topic, item);
        } else {
          assert.equal(sorted.delete(topic), model.get(topic));
          model.delete(topic);
        }
        assert.equal(sorted.size, model.size);
      }
      assert.deepEqual(all(sorted), inOrder());
    }
    for (const topic of model.keys()) assert(sorted.delete(topic));
    assert.deepEqual(all(sorted), []);
    assert.equal(sorted.size, 0);
    sorted.set({ topic: 'again', no: 0 });
    assert.deepEqual(all(sorted), [{ topic: 'again', no: 0 }]);
  });

  it('are found from any text on, whether it is there or not', () => {
    const sorted = new SortedByTopic<Item>();
    for (let no = 0; no < 5_000; no++) sorted.set({ topic: `t/${1_000_000 + no * 2}`, no });
    for (let no = 0; no < 4_999; no++) {
      assert.equal(sorted.firstFrom(`t/${1_000_000 + no * 2}`)?.no, no);
      assert.equal(sorted.firstAfter(`t/${1_000_000 + no * 2}`)?.no, no + 1);
      assert.equal(sorted.firstFrom(`t/${1_000_001 + no * 2}`)?.no, no + 1);
      assert.equal(sorted.firstAfter(`t/${1_000_001 + no * 2}`)?.no, no + 1);
    }
    assert.equal(sorted.firstFrom('a')?.no, 0);
    assert.equal(sorted.firstAfter('u'), undefined);
  });
});
