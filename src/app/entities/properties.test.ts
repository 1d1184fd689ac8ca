/** Promises that hold for any input: the lookups equal a recomputation, and lists equal a naive sort. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { z } from 'zod';
import { seededRandom } from '../../kernel/random.ts';
import { defineEntity } from './definition.ts';
import { entityWorld } from './entity-world.ts';
import { compareText, orderText } from './keys.ts';
import { baseKey, guardRecords, idValues, lookupRecords, type StoredEntity } from './records.ts';
import { makeRepositories } from './repository.ts';
import { shapesOf } from './shape.ts';

const task = defineEntity(
  z.object({
    taskId: z.string(),
    owner: z.string(),
    rank: z.number().optional(),
    code: z.string().optional(),
    isDone: z.boolean(),
    text: z.string(),
  }),
  {
    id: 'taskId',
    unique: ['code'],
    history: { keep: 2 },
    patterns: {
      byOwner: { by: ['owner'], order: 'rank' },
      open: { by: ['owner'], order: 'text', when: each => !each.isDone, project: ['rank'] },
      all: { by: [], order: 'text' },
      spread: { by: ['isDone'], order: 'rank', shards: 3, project: [] },
    },
  },
);

const ids = fc.constantFrom('1', '2', '3', 'a#b');
const change = fc.record(
  {
    owner: fc.constantFrom('alice', 'bob', 'a#b', ''),
    rank: fc.option(fc.constantFrom(-1.5, 0, 3, 1e15), { nil: undefined }),
    code: fc.option(fc.constantFrom('x', 'y', ''), { nil: undefined }),
    isDone: fc.boolean(),
    text: fc.constantFrom('', 'b', 'B', '\u{1f600}'),
  },
  { requiredKeys: [] },
);
const step = fc.oneof(
  fc.record({ kind: fc.constant('create' as const), id: ids, change }),
  fc.record({ kind: fc.constant('update' as const), id: ids, change }),
  fc.record({ kind: fc.constant('delete' as const), id: ids, change }),
);
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

const expected = new Set(['entity.exists', 'entity.notFound', 'entity.notUnique']);

/** Runs steps, several at a time, and ignores the refusals that they may meet. */
async function run(steps: readonly Step[], atOnce: number) {
  const { entities, until, records } = await entityWorld({ Task: task });
  const { Task } = entities;
  const take = ({ kind, id, change }: Step): Promise<unknown> => {
    if (kind === 'create') return Task.create({ taskId: id, owner: 'alice', isDone: false, text: 't', ...change });
    return kind === 'update' ? Task.update(id, change) : Task.delete(id);
  };
  for (let index = 0; index < steps.length; index += atOnce) {
    const outcomes = await until(Promise.allSettled(steps.slice(index, index + atOnce).map(take)));
    for (const outcome of outcomes)
      if (outcome.status === 'rejected') assert(expected.has(outcome.reason.code), outcome.reason);
  }
  return records();
}

/** What the records must be, computed from the base records alone. */
function checkRecords(records: readonly StoredEntity[]): void {
  const shape = shapesOf({ Task: task }).get('Task');
  assert(shape);
  const bases = records.filter(({ SK }) => SK === 'Task');
  const keyOf = ({ PK, SK, SortKey, Data }: StoredEntity) => ({ PK, SK, SortKey, Data });
  const sorted = <T extends { PK: string; SK: string }>(all: T[]) =>
    all.sort((left, right) => compareText(`${left.PK}\0${left.SK}`, `${right.PK}\0${right.SK}`));
  const lookups = bases.flatMap(base => lookupRecords(shape, base.Data, base));
  const stored = records.filter(({ SK }) => SK.startsWith('Task-'));
  assert.deepEqual(sorted(stored.map(keyOf)), sorted(lookups.map(keyOf)));
  const guards = bases.flatMap(base => guardRecords(shape, base.Data).map(({ record }) => record));
  assert.deepEqual(
    sorted(records.filter(({ SK }) => SK === 'Unique').map(({ PK, SK, ...rest }) => ({ PK, SK, ...rest }))),
    sorted(guards),
  );
  for (const base of bases) {
    const versions = records.filter(({ PK, SK }) => PK === base.PK && SK.startsWith('v')).map(({ Version }) => Version);
    const kept = [base.Version - 2, base.Version - 1].filter(version => version >= 1);
    assert.deepEqual(versions, kept);
    assert.deepEqual(baseKey(shape, idValues(shape, base.Data)), { PK: base.PK, SK: base.SK });
  }
  assert.equal(
    bases.length + stored.length + guards.length + records.filter(({ SK }) => SK.startsWith('v')).length,
    records.length,
  );
}

describe('lookup records (covers S0-16)', () => {
  it('equal a recomputation after any sequence of writes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 25 }), async steps =>
        checkRecords(await run(steps, 1)),
      ),
      { numRuns: 30 },
    );
  });

  it('equal a recomputation when writes come at once', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 24 }), async steps =>
        checkRecords(await run(steps, 4)),
      ),
      { numRuns: 20 },
    );
  });
});

const person = defineEntity(
  z.object({ personId: z.string(), name: z.string(), mail: z.string(), group: z.string(), height: z.number() }),
  {
    id: 'personId',
    patterns: {
      byName: { by: [], order: 'name', project: [] },
      byMail: { by: [], order: 'mail', shards: 1, project: [] },
      inGroup: { by: ['group'], order: 'height', project: [] },
    },
  },
);

/** Few enough that they repeat, many enough that they differ. */
function people(count: number) {
  const random = seededRandom(17);
  const syllables = ['an', 'be', 'Cé', 'do', 'é', 'fu', 'ゆ', '\u{1f600}', '-', ' '];
  const word = (length: number) => Array.from({ length }, () => syllables[random.integer(syllables.length)]).join('');
  return Array.from({ length: count }, (_, index) => ({
    personId: String(index),
    name: word(1 + random.integer(4)),
    mail: `${word(2)}${index}@example.com`,
    group: `group ${random.integer(5)}`,
    height: (random.integer(4_000) - 2_000) / 8,
  }));
}

describe('10,000 people (covers S0-17, S0-19)', async () => {
  const all = people(10_000);
  const { entities, until, table, options } = await entityWorld({ Person: person });
  const { Person } = entities;
  for (let from = 0; from < all.length; from += 1_000)
    await until(Promise.all(all.slice(from, from + 1_000).map(each => Person.create(each))));
  const sortedBy = <T>(values: T[], order: (value: T) => string | number) =>
    values.toSorted((left, right) => compareText(orderText(order(left)), orderText(order(right))));
  const collect = async <T>(list: AsyncIterable<T>): Promise<T[]> => {
    const items: T[] = [];
    for await (const item of list) items.push(item);
    return items;
  };
  const idsOf = (list: readonly { personId: string }[]) => list.map(({ personId }) => personId).sort();

  it('are read in the order of their names from all shards, each once, either way', async () => {
    const names = sortedBy(all, ({ name }) => name).map(({ name }) => name);
    const up = await until(collect(Person.list.byName.all({}, { limit: 100 })));
    assert.deepEqual(
      up.map(({ name }) => name),
      names,
    );
    assert.deepEqual(idsOf(up), idsOf(all));
    const down = await until(collect(Person.list.byName.all({}, { limit: 100, newestFirst: true })));
    assert.deepEqual(
      down.map(({ name }) => name),
      names.toReversed(),
    );
    assert.deepEqual(idsOf(down), idsOf(all));
  });

  it('are found by any prefix of a mail, and by the whole of it', async () => {
    for (const prefix of ['an', 'Cé', 'ゆ\u{1f600}', all[77].mail, 'nobody', '']) {
      const found = await until(collect(Person.list.byMail.all({}, { prefix, limit: 100 })));
      const wanted = sortedBy(
        all.filter(({ mail }) => mail.startsWith(prefix)),
        ({ mail }) => mail,
      );
      assert.deepEqual(
        found.map(({ mail }) => mail),
        wanted.map(({ mail }) => mail),
        prefix,
      );
    }
  });

  it('are found by any range of numbers in a group, page by page', async () => {
    const random = seededRandom(3);
    for (let round = 0; round < 20; round++) {
      const [low, high] = [random.integer(4_000), random.integer(4_000)].map(each => (each - 2_000) / 8);
      const group = `group ${random.integer(6)}`;
      const newestFirst = random.integer(2) === 1;
      const lower = [{}, { from: low }, { after: low }][random.integer(3)];
      const upper = [{}, { to: high }, { before: high }][random.integer(3)];
      const range = { ...lower, ...upper };
      const matches = ({ height }: { height: number }) =>
        !('from' in range && height < low) &&
        !('after' in range && height <= low) &&
        !('to' in range && height > high) &&
        !('before' in range && height >= high);
      const wanted = all.filter(each => each.group === group && matches(each));
      const found = await until(
        collect(Person.list.inGroup.all({ group }, { ...range, newestFirst, limit: 1 + random.integer(100) })),
      );
      const heights = sortedBy(wanted, ({ height }) => height).map(({ height }) => height);
      assert.deepEqual(
        found.map(({ height }) => height),
        newestFirst ? heights.toReversed() : heights,
      );
      assert.deepEqual(idsOf(found), idsOf(wanted));
    }
  });

  it('come in pages of the size asked for, the last one without a next', async () => {
    const group = 'group 1';
    const { length } = all.filter(each => each.group === group);
    const pages = await until(collect(Person.list.inGroup.pages({ group }, { limit: 100 })));
    assert.deepEqual(
      pages.map(({ items }) => items.length),
      [...new Array<number>(Math.floor(length / 100)).fill(100), ...(length % 100 ? [length % 100] : [])],
    );
    const resumed = await until(collect(Person.list.inGroup.all({ group }, { limit: 100, cursor: pages[3].next })));
    assert.deepEqual(
      resumed,
      pages.slice(4).flatMap(({ items }) => items),
    );
  });

  it('are read to the end without gap or repetition when reads are cut off again and again (covers S1-31)', async () => {
    const random = seededRandom(31);
    const flaky = new Proxy(table, {
      get: (target, name: keyof typeof table) => async (input: never) => {
        if (name === 'query' && random.integer(40) === 0) throw new Error('cut off');
        return target[name](input);
      },
    });
    const { Person } = makeRepositories({ Person: person }, { ...options, table: flaky });
    const found: { personId: string }[] = [];
    let cursor: string | undefined;
    let cuts = 0;
    const readOn = async () => {
      for await (const page of Person.list.byName.pages({}, { limit: 100, cursor })) {
        found.push(...page.items);
        cursor = page.next;
      }
    };
    while (
      !(await until(
        readOn().then(
          () => true,
          () => false,
        ),
      ))
    )
      cuts++;
    assert(cuts > 3);
    assert.equal(found.length, all.length);
    assert.deepEqual(idsOf(found), idsOf(all));
  });
});
