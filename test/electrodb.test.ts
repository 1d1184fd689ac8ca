/** ElectroDB, unchanged, on our table: a workshop's mechanics and the jobs they have. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb';
import { createGetTransaction, createWriteTransaction, Entity, Service } from 'electrodb';
import type { TableSchema } from '../src/platform/table/index.ts';
import { type LibraryWorld, libraryWorlds } from './library-worlds.ts';

const S = (name: string) => ({ name, type: 'S' }) as const;
const tableName = 'workshop';
const schema: TableSchema = {
  tableName,
  partitionKey: S('pk'),
  sortKey: S('sk'),
  indexes: [
    { indexName: 'gsi1', partitionKey: S('gsi1pk'), sortKey: S('gsi1sk') },
    { indexName: 'gsi2', partitionKey: S('gsi2pk'), sortKey: S('gsi2sk') },
  ],
};

/** One entity for each version of its model. */
function makeService(client: DynamoDBDocumentClient) {
  const configuration = { client, table: tableName };
  const mechanic = new Entity(
    {
      model: { service: 'workshop', entity: 'mechanic', version: '1' },
      attributes: {
        mechanic: { type: 'string', required: true },
        name: { type: 'string', required: true, field: 'n' },
        bay: { type: 'string', required: true },
        email: {
          type: 'string',
          set: (value?: string) => value?.toLowerCase(),
          get: (value?: string) => (value === undefined ? undefined : `mailto:${value}`),
        },
        grade: { type: ['apprentice', 'fitter', 'master'] as const, default: () => 'apprentice' as const },
        hours: { type: 'number', default: 0, validate: (hours: number) => hours === undefined || hours >= 0 },
        tools: { type: 'set', items: 'string' },
        sizes: { type: 'set', items: 'number' },
        address: { type: 'map', properties: { town: { type: 'string' }, code: { type: 'number' } } },
        notes: { type: 'list', items: { type: 'string' } },
        pin: { type: 'string', hidden: true },
        hiredAt: { type: 'string', readOnly: true, default: '2026-01-05' },
        changes: { type: 'number', watch: '*', default: 0, set: (_: unknown, { hours }) => (hours ?? 0) * 2 },
      },
      indexes: {
        mechanic: {
          pk: { field: 'pk', composite: ['mechanic'] },
          sk: { field: 'sk', composite: [] },
          collection: 'bench',
        },
        bay: {
          index: 'gsi1',
          collection: 'floor',
          pk: { field: 'gsi1pk', composite: ['bay'] },
          sk: { field: 'gsi1sk', composite: ['grade', 'mechanic'] },
        },
      },
    },
    configuration,
  );
  const job = new Entity(
    {
      model: { service: 'workshop', entity: 'job', version: '1' },
      attributes: {
        job: { type: 'string', required: true },
        mechanic: { type: 'string', required: true },
        bay: { type: 'string', required: true },
        state: { type: ['open', 'done'] as const, required: true, default: () => 'open' as const },
        due: { type: 'string', required: true },
        minutes: { type: 'number' },
        urgent: { type: 'boolean' },
        warranty: { type: 'string', default: 'none' },
        parts: { type: 'any' },
      },
      indexes: {
        job: {
          pk: { field: 'pk', composite: ['mechanic'] },
          sk: { field: 'sk', composite: ['job'] },
          collection: 'bench',
        },
        bay: {
          index: 'gsi1',
          collection: 'floor',
          pk: { field: 'gsi1pk', composite: ['bay'] },
          sk: { field: 'gsi1sk', composite: ['state', 'due', 'job'] },
        },
        warranty: {
          index: 'gsi2',
          condition: ({ warranty }: { warranty?: string }) => warranty !== 'none',
          pk: { field: 'gsi2pk', composite: ['warranty'] },
          sk: { field: 'gsi2sk', composite: ['due'] },
        },
      },
    },
    configuration,
  );
  return new Service({ mechanic, job }, configuration);
}

const ada = { mechanic: 'ada', name: 'Ada', bay: 'north', email: 'ADA@Workshop.Example', pin: '1234' };

for (const [way, openWorld] of Object.entries(libraryWorlds)) {
  describe(`ElectroDB, ${way}`, () => {
    let world: LibraryWorld;
    let service: ReturnType<typeof makeService>;
    before(async () => {
      world = await openWorld([schema]);
      service = makeService(world.client);
    });
    after(() => world.close());

    it('creates, refuses to create twice, gets, and applies getters, setters and defaults', async () => {
      const { mechanic } = service.entities;
      const tools = ['torch', 'gauge'];
      const created = await mechanic
        .create({ ...ada, tools, sizes: [8, 10], address: { town: 'Oslo', code: 150 }, notes: ['left-handed'] })
        .go();
      assert.equal(created.data.email, 'mailto:ada@workshop.example');
      const twice = await mechanic
        .create(ada)
        .go()
        .catch(error => error);
      assert.equal(twice.cause.name, 'ConditionalCheckFailedException');
      const { data } = await mechanic.get({ mechanic: 'ada' }).go({ consistent: true });
      assert.deepEqual(data && { ...data, tools: data.tools?.toSorted(), sizes: data.sizes?.toSorted() }, {
        mechanic: 'ada',
        name: 'Ada',
        bay: 'north',
        email: 'mailto:ada@workshop.example',
        grade: 'apprentice',
        hours: 0,
        tools: ['gauge', 'torch'],
        sizes: [10, 8],
        address: { town: 'Oslo', code: 150 },
        notes: ['left-handed'],
        hiredAt: '2026-01-05',
        changes: 0,
      });
      assert.equal((await mechanic.get({ mechanic: 'nobody' }).go()).data, null);
      const raw = await mechanic.get({ mechanic: 'ada' }).go({ data: 'raw' });
      const { Item } = raw.data as unknown as { Item: Record<string, unknown> }; // a cast: raw is what came from the table
      assert.equal(Item.gsi1pk, '$workshop#bay_north');
      assert.deepEqual([Item.pin, Item.n, Item.tools], ['1234', 'Ada', new Set(tools)]);
    });

    it('updates: sets, adds, subtracts, appends, removes, deletes from sets, on paths too', async () => {
      const { mechanic } = service.entities;
      const overlapping = await mechanic
        .update({ mechanic: 'ada' })
        .data(({ address }, { remove, ifNotExists }) => {
          remove(address.code);
          ifNotExists(address.code, 5_003);
        })
        .go()
        .catch(error => error);
      assert.equal(overlapping.cause.name, 'ValidationException');
      assert.match(overlapping.message, /Two document paths overlap/);
      const { data } = await mechanic
        .update({ mechanic: 'ada' })
        .set({ hours: 10 })
        .append({ notes: ['trained in bay two'] })
        .add({ tools: ['jack'] })
        .delete({ sizes: [8] })
        .data(({ address }, { set }) => set(address.town, 'Bergen'))
        .go({ response: 'all_new' });
      assert.deepEqual(data.tools?.toSorted(), ['gauge', 'jack', 'torch']);
      assert.deepEqual([data.sizes, data.notes?.length, data.address], [[10], 2, { town: 'Bergen', code: 150 }]);
      assert.deepEqual([data.hours, data.changes], [10, 20]);
      const less = await mechanic
        .update({ mechanic: 'ada' })
        .subtract({ hours: 4 })
        .remove(['pin'])
        .go({ response: 'updated_new' });
      assert.equal(less.data.hours, 6);
      await assert.rejects(mechanic.update({ mechanic: 'ada' }).set({ hours: -1 }).go(), /Invalid value/);
    });

    it('patches what is there, upserts what may be, and obeys conditions', async () => {
      const { mechanic } = service.entities;
      const absent = await mechanic
        .patch({ mechanic: 'nobody' })
        .set({ hours: 1 })
        .go()
        .catch(error => error);
      assert.equal(absent.cause.name, 'ConditionalCheckFailedException');
      await mechanic.patch({ mechanic: 'ada' }).set({ bay: 'south', grade: 'fitter' }).go();
      const moved = await mechanic.query
        .bay({ bay: 'south' })
        .begins({ grade: 'fit' as 'fitter' })
        .go();
      assert.deepEqual(
        moved.data.map(found => found.mechanic),
        ['ada'],
      );
      assert.deepEqual((await mechanic.query.bay({ bay: 'north' }).go()).data, []);
      for (const name of ['Bo', 'Bo the second']) await mechanic.upsert({ mechanic: 'bo', name, bay: 'south' }).go();
      assert.equal((await mechanic.get({ mechanic: 'bo' }).go()).data?.name, 'Bo the second');
      const guarded = (least: number) =>
        mechanic
          .update({ mechanic: 'ada' })
          .add({ hours: 1 })
          .where(({ hours, grade, tools }, { gte, eq, contains, between }) =>
            [gte(hours, least), eq(grade, 'fitter'), contains(tools, 'jack'), between(hours, 0, 100)].join(' AND '),
          )
          .go({ response: 'all_old' });
      assert.equal((await guarded(6)).data.hours, 6);
      await assert.rejects(guarded(8), { message: /The conditional request failed/ });
      const gone = await mechanic.remove({ mechanic: 'bo' }).go({ response: 'all_old' });
      assert.equal(gone.data?.name, 'Bo the second');
      await assert.rejects(mechanic.remove({ mechanic: 'bo' }).go(), { message: /The conditional request failed/ });
      assert.deepEqual((await mechanic.delete({ mechanic: 'bo' }).go()).data, { mechanic: 'bo' });
    });

    it('queries ranges, both ways, filtered, a few attributes only, page by page with a cursor', async () => {
      const { job } = service.entities;
      const jobs = Array.from({ length: 60 }, (_, index) => ({
        job: String(index).padStart(3, '0'),
        mechanic: 'ada',
        bay: 'south',
        due: `2026-${String((index % 12) + 1).padStart(2, '0')}-10`,
        minutes: index,
        urgent: index % 2 === 0,
        state: index < 50 ? ('open' as const) : ('done' as const),
        ...(index % 20 === 0 && { warranty: 'acme' }),
      }));
      const { unprocessed } = await job.put(jobs).go({ concurrent: 3 });
      assert.deepEqual(unprocessed, []);
      const one = () => job.query.job({ mechanic: 'ada' });
      assert.deepEqual(
        (await one().between({ job: '010' }, { job: '012' }).go()).data.map(found => found.job),
        ['010', '011', '012'],
      );
      assert.deepEqual(
        (await one().gte({ job: '058' }).go({ order: 'desc' })).data.map(found => found.job),
        ['059', '058'],
      );
      assert.deepEqual(
        (
          await one()
            .lt({ job: '002' })
            .go({ attributes: ['minutes'] })
        ).data,
        [{ minutes: 0 }, { minutes: 1 }],
      );
      const busy = await one()
        .where(({ minutes, urgent }, { gt, eq }) => `${gt(minutes, 50)} AND ${eq(urgent, true)}`)
        .go({ pages: 'all' });
      assert.deepEqual(
        busy.data.map(found => found.minutes),
        [52, 54, 56, 58],
      );

      const found: string[] = [];
      let cursor: string | null = null;
      let pages = 0;
      do {
        const page: { data: { job: string }[]; cursor: string | null } = await job.query
          .bay({ bay: 'south', state: 'open' })
          .go({ cursor, limit: 12 });
        found.push(...page.data.map(each => each.job));
        cursor = page.cursor;
        pages++;
      } while (cursor !== null);
      assert.deepEqual([found.length, new Set(found).size, pages], [50, 50, 5]);
      const counted = await one().go({ count: 7 });
      assert.equal(counted.data.length, 7);
      const next = await one().go({ count: 7, cursor: counted.cursor });
      assert.equal(next.data[0].job, '007');

      const sparse = await job.query.warranty({ warranty: 'acme' }).go();
      assert.deepEqual(sparse.data.map(each => each.job).toSorted(), ['000', '020', '040']);
      const left = await job.query
        .warranty({ warranty: 'acme' })
        .where(({ minutes }, { gt }) => gt(minutes, 10))
        .go({ hydrate: true });
      assert.equal(left.data.length, 2);
      assert.equal((await job.match({ mechanic: 'ada', minutes: 33 }).go()).data.length, 1);
      assert.equal((await job.find({ mechanic: 'ada', job: '033' }).go()).data.length, 1);
      const scanned = await job.scan.where(({ minutes }, { gte }) => gte(minutes, 55)).go({ pages: 'all' });
      assert.equal(scanned.data.length, 5);
    });

    it('gets and deletes in batches, over the limits of one request', async () => {
      const { job } = service.entities;
      const keys = Array.from({ length: 130 }, (_, index) => ({
        mechanic: 'ada',
        job: String(index).padStart(3, '0'),
      }));
      const { data, unprocessed } = await job.get(keys).go({ concurrency: 2 });
      assert.deepEqual([data.length, unprocessed], [60, []]);
      const inOrder = await job.get(keys.slice(57, 62)).go({ preserveBatchOrder: true });
      assert.deepEqual(
        inOrder.data.map(found => found?.job ?? null),
        ['057', '058', '059', null, null],
      );
      assert.deepEqual((await job.delete(keys.slice(30)).go()).unprocessed, []);
      assert.equal((await job.query.job({ mechanic: 'ada' }).go({ pages: 'all' })).data.length, 30);
      const doubled = await job
        .get([keys[0], keys[0]])
        .go()
        .catch(error => error);
      assert.match(doubled.message, /Provided list of item keys contains duplicates/);
    });

    it('answers a collection of several entities in one query', async () => {
      await service.entities.mechanic.put({ mechanic: 'cy', name: 'Cy', bay: 'east' }).go();
      await service.entities.job.put({ job: 'j1', mechanic: 'cy', bay: 'east', due: '2026-02-01' }).go();
      await service.entities.job.put({ job: 'j2', mechanic: 'cy', bay: 'west', due: '2026-02-02' }).go();
      const { data } = await service.collections.bench({ mechanic: 'cy' }).go();
      assert.deepEqual(
        [data.mechanic.map(found => found.name), data.job.map(found => found.job)],
        [['Cy'], ['j1', 'j2']],
      );
      const floor = await service.collections.floor({ bay: 'east' }).go();
      assert.deepEqual([floor.data.mechanic.length, floor.data.job.length], [1, 1]);
      const filtered = await service.collections
        .bench({ mechanic: 'cy' })
        .where(({ bay }, { eq }) => eq(bay, 'west'))
        .go();
      assert.deepEqual([filtered.data.mechanic.length, filtered.data.job.map(found => found.job)], [0, ['j2']]);
    });

    it('writes in transactions, and tells which part was refused', async () => {
      const write = () =>
        service.transaction
          .write(({ mechanic, job }) => [
            mechanic.patch({ mechanic: 'cy' }).add({ hours: 2 }).commit(),
            job.create({ job: 'j3', mechanic: 'cy', bay: 'east', due: '2026-03-01' }).commit({ response: 'all_old' }),
            job.remove({ job: 'j2', mechanic: 'cy' }).commit(),
          ])
          .go();
      const done = await write();
      assert.equal(done.canceled, false);
      const again = await write();
      assert.equal(again.canceled, true);
      assert.deepEqual(
        again.data.map(({ rejected, code }) => [rejected, code]),
        [
          [false, 'None'],
          [true, 'ConditionalCheckFailed'],
          [true, 'ConditionalCheckFailed'],
        ],
      );
      assert.equal((again.data[1].item as { job?: string } | null)?.job, 'j3');
      assert.equal((await service.entities.mechanic.get({ mechanic: 'cy' }).go()).data?.hours, 2);
      const read = await service.transaction
        .get(({ mechanic, job }) => [
          mechanic.get({ mechanic: 'cy' }).commit(),
          job.get({ job: 'j2', mechanic: 'cy' }).commit(),
          job.get({ job: 'j3', mechanic: 'cy' }).commit(),
        ])
        .go();
      assert.deepEqual(
        read.data.map(({ item }) => item && ('job' in item ? item.job : item.name)),
        ['Cy', null, 'j3'],
      );
      const check = await createWriteTransaction(service.entities, ({ mechanic, job }) => [
        mechanic
          .check({ mechanic: 'cy' })
          .where(({ hours }, { eq }) => eq(hours, 3))
          .commit(),
        job.delete({ job: 'j3', mechanic: 'cy' }).commit(),
      ]).go();
      assert.deepEqual([check.canceled, check.data[0].code], [true, 'ConditionalCheckFailed']);
      const kept = await createGetTransaction(service.entities, ({ job }) => [
        job.get({ job: 'j3', mechanic: 'cy' }).commit(),
      ]).go();
      assert.equal(kept.data[0].item?.job, 'j3');
      const token = { token: 'once-only' };
      for (const _ of [1, 2]) {
        await service.transaction
          .write(({ mechanic }) => [mechanic.patch({ mechanic: 'cy' }).add({ hours: 5 }).commit()])
          .go(token);
      }
      assert.equal((await service.entities.mechanic.get({ mechanic: 'cy' }).go()).data?.hours, 7);
    });

    it('keeps versions of a model apart in one table', async () => {
      const version = (number: string) =>
        new Entity(
          {
            model: { service: 'workshop', entity: 'tool', version: number },
            attributes: { tool: { type: 'string', required: true }, kind: { type: 'string', required: true } },
            indexes: {
              tool: { pk: { field: 'pk', composite: ['tool'] }, sk: { field: 'sk', composite: [] } },
              kind: {
                index: 'gsi1',
                pk: { field: 'gsi1pk', composite: ['kind'] },
                sk: { field: 'gsi1sk', composite: ['tool'] },
              },
            },
          },
          { client: world.client, table: tableName },
        );
      const [first, second] = [version('1'), version('2')];
      await first.put({ tool: 'saw', kind: 'hand' }).go();
      await second.put({ tool: 'saw', kind: 'power' }).go();
      assert.equal((await first.get({ tool: 'saw' }).go()).data?.kind, 'hand');
      assert.equal((await second.get({ tool: 'saw' }).go()).data?.kind, 'power');
      assert.deepEqual((await first.query.kind({ kind: 'power' }).go()).data, []);
      assert.equal((await second.scan.go()).data.length, 1);
    });

    it('is told when it is aborted', async () => {
      const { mechanic } = service.entities;
      const asked = mechanic.get({ mechanic: 'ada' }).go({ abortSignal: AbortSignal.abort() } as never);
      await assert.rejects(asked, { message: /aborted/ });
    });
  });
}
