import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { ConsumersWorld, type TextHandler } from '../consumers/consumer-world.ts';
import { hasCode } from '../contract.ts';
import {
  aggregateLimits,
  emptySummary,
  isExact,
  meanOf,
  mergeSketches,
  mergeSummaries,
  mergeTopLists,
  quantileOf,
  rankOf,
  sketchOf,
  summaryOf,
  type TopList,
  topListOf,
  topOf,
  totalOf,
} from './index.ts';

const finite = fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e150, max: 1e150 });
const lists = fc.array(fc.array(finite, { maxLength: 50 }), { maxLength: 6 });
const throughJson = <T>(value: T): T => JSON.parse(JSON.stringify(value));

describe('summary', () => {
  it('of parts, merged in any order, is that of the whole', () => {
    fc.assert(
      fc.property(lists, parts => {
        const all = parts.flat();
        const merged = parts.map(part => throughJson(summaryOf(part))).reduceRight(mergeSummaries, emptySummary);
        assert.equal(merged.count, all.length);
        assert.equal(merged.min, all.length > 0 ? Math.min(...all) + 0 : undefined);
        assert.equal(merged.max, all.length > 0 ? Math.max(...all) + 0 : undefined);
        const size = all.reduce((sum, value) => sum + Math.abs(value), 0);
        assert.ok(Math.abs(totalOf(merged) - totalOf(summaryOf(all))) <= size * 1e-15);
      }),
    );
  });

  it('does not lose small values beside a large one', () => {
    const summary = summaryOf([1e16, ...Array.from({ length: 1_000 }, () => 1), -1e16]);
    assert.equal(totalOf(summary), 1_000);
    assert.equal(meanOf(summaryOf([1, 2, 6])), 3);
    assert.equal(meanOf(emptySummary), undefined);
  });
});

describe('percentiles', () => {
  const shares = [0, 0.01, 0.25, 0.5, 0.9, 0.99, 1];

  it('are off by at most the accuracy, whatever the values are, also merged', () => {
    const values = fc.array(fc.array(fc.double({ noNaN: true, min: -1e6, max: 1e6 }), { maxLength: 80 }), {
      minLength: 1,
      maxLength: 4,
    });
    fc.assert(
      fc.property(values, fc.constantFrom(0.01, 0.05), (parts, accuracy) => {
        const all = parts.flat().toSorted((left, right) => left - right);
        const sketch = parts.map(part => throughJson(sketchOf(part, accuracy))).reduce(mergeSketches);
        for (const share of shares) {
          const exact = all[Math.floor(share * (all.length - 1))];
          const found = quantileOf(sketch, share);
          if (exact === undefined) assert.equal(found, undefined);
          else assert.ok(Math.abs((found ?? Number.NaN) - exact) <= accuracy * Math.abs(exact) * (1 + 1e-9) + 1e-299);
        }
      }),
    );
  });

  it('take bounded room, and keep the high ones right when that is short', () => {
    const values = Array.from({ length: 20_000 }, (_, index) => 10 ** (-150 + index / 66.6));
    const sketch = sketchOf(values);
    assert.equal(sketch.positive.length, aggregateLimits.sketchBucketsMax);
    assert.equal(sketch.count, values.length);
    for (const share of [0.95, 0.99, 1]) {
      const exact = values[Math.floor(share * (values.length - 1))];
      assert.ok(Math.abs((quantileOf(sketch, share) ?? 0) / exact - 1) <= 0.01);
    }
  });
});

describe('top list', () => {
  const amounts = fc.array(fc.tuple(fc.constantFrom(...'abcdefghij'), fc.integer({ min: 0, max: 50 })), {
    maxLength: 60,
  });

  /** The sums as anybody would add them up. */
  function exactly(entries: readonly (readonly [string, number])[]): Map<string, number> {
    const sums = new Map<string, number>();
    for (const [name, amount] of entries) sums.set(name, (sums.get(name) ?? 0) + amount);
    return sums;
  }

  it('is exact while the names have room, in whatever order its parts are merged', () => {
    fc.assert(
      fc.property(fc.array(amounts, { minLength: 1, maxLength: 5 }), parts => {
        const sums = [...exactly(parts.flat())].toSorted(([leftName, left], [rightName, right]) =>
          right === left ? leftName.localeCompare(rightName) : right - left,
        );
        const made = parts.map(part => throughJson(topListOf(part, 10)));
        for (const merged of [made.reduce(mergeTopLists), made.reduceRight(mergeTopLists)]) {
          assert.ok(isExact(merged));
          assert.deepEqual(
            merged.entries.map(([name, score]) => [name, score]),
            sums,
          );
          for (const [name, score] of sums) {
            assert.equal(rankOf(merged, name), 1 + sums.filter(([, other]) => other > score).length);
          }
        }
      }),
    );
  });

  it('says by how much it may be wrong when they have not', () => {
    fc.assert(
      fc.property(fc.array(amounts, { minLength: 1, maxLength: 5 }), parts => {
        const sums = exactly(parts.flat());
        const list = parts.map(part => topListOf(part, 4)).reduce(mergeTopLists);
        assert.ok(list.entries.length <= 4);
        for (const [name, score, error] of list.entries) {
          const sum = sums.get(name) ?? 0;
          assert.ok(sum <= score && sum >= score - error, `${name}: ${sum}, told ${score} - ${error}`);
        }
        const listed = new Set(list.entries.map(([name]) => name));
        for (const [name, sum] of sums) assert.ok(listed.has(name) || sum <= list.floor, `${name}: ${sum}`);
      }),
    );
  });

  it('shares a rank between equals, as SQL does', () => {
    const list = topListOf([
      ['a', 5],
      ['b', 7],
      ['c', 5],
      ['d', 1],
    ]);
    assert.deepEqual(
      ['b', 'a', 'c', 'd', 'x'].map(name => rankOf(list, name)),
      [1, 2, 2, 4, undefined],
    );
  });
});

describe('aggregates', () => {
  it('refuse what cannot be counted', () => {
    const refused = [
      () => summaryOf([1, Number.NaN]),
      () => sketchOf([Number.POSITIVE_INFINITY]),
      () => sketchOf([1], 1),
      () => quantileOf(sketchOf([1]), 1.5),
      () => mergeSketches(sketchOf([1], 0.01), sketchOf([1], 0.02)),
      () => topListOf([['a', -1]]),
      () => topListOf([], 0),
      () => topListOf([], 1e9),
    ];
    for (const make of refused) assert.throws(make, hasCode('stream.sampleNotValid'));
  });

  it('give the ten largest of every minute, with late events, kills and several shards (covers S1-33)', async () => {
    const minute = 60_000;
    const world = new ConsumersWorld(7, 2);
    /** Parts of each minute, by the window and shard they come from: told twice, one takes the place of the other. */
    const parts = new Map<number, Map<string, TopList>>();
    const handler: TextHandler = async (batch, { shardId, window, state, isFinalInvokeForWindow }, isDead) => {
      const byMinute = state as Record<string, TopList>;
      if (!isFinalInvokeForWindow) {
        for (const [start, events] of Map.groupBy(
          batch.map(({ event }) => JSON.parse(event)),
          ({ start }) => start,
        )) {
          const list = topListOf(events.map(({ name, amount }) => [name, amount] as const));
          byMinute[start] = start in byMinute ? mergeTopLists(byMinute[start], list) : list;
        }
        return { state: byMinute };
      }
      for (const [start, list] of Object.entries(byMinute)) {
        if (isDead()) return undefined;
        const known = parts.get(Number(start)) ?? new Map<string, TopList>();
        parts.set(Number(start), known.set(`${shardId} ${window?.start}`, list));
      }
      return undefined;
    };
    const settings = { tumblingWindowMs: minute, batchRecordsMax: 50 };
    const sums = new Map<number, [string, number][]>();
    let life = world.start(handler, settings);
    for (let second = 0; second < 600; second++) {
      for (let count = 0; count < 5; count++) {
        const lateMs = world.random.integer(4) === 0 ? world.random.integer(3 * minute) : 0;
        const start = Math.floor((world.clock.nowMs() - lateMs) / minute) * minute;
        const [name, amount] = [`thing-${world.random.integer(40)}`, world.random.integer(100)];
        sums.set(start, [...(sums.get(start) ?? []), [name, amount]]);
        world.stream.put(name, JSON.stringify({ start, name, amount }));
      }
      await world.clock.advance(1_000);
      if (world.random.integer(60) > 0) continue;
      life.kill();
      life = world.start(handler, settings);
    }
    await world.clock.advance(2 * minute);
    await life.stop();
    assert.equal(parts.size, sums.size);
    for (const [start, entries] of sums) {
      const expected = topOf(topListOf(entries), 10);
      const found = topOf([...(parts.get(start)?.values() ?? [])].reduce(mergeTopLists), 10);
      assert.deepEqual(found, expected);
    }
  });
});
