/** DynamoDB-Toolbox, unchanged, on our table: an orchard's trees and what is picked from them. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb';
import {
  $add,
  $append,
  $delete,
  $get,
  $prepend,
  $remove,
  $set,
  $subtract,
  $sum,
  anyOf,
  BatchDeleteRequest,
  BatchGetCommand,
  BatchGetRequest,
  BatchPutRequest,
  BatchWriteCommand,
  binary,
  boolean,
  ConditionCheck,
  DeleteItemCommand,
  DeletePartitionCommand,
  DeleteTransaction,
  Entity,
  executeBatchGet,
  executeBatchWrite,
  executeTransactGet,
  executeTransactWrite,
  GetItemCommand,
  GetTransaction,
  isConditionCheckFailed,
  item,
  list,
  map,
  number,
  PutItemCommand,
  PutTransaction,
  QueryCommand,
  record,
  ScanCommand,
  set,
  string,
  Table,
  UpdateAttributesCommand,
  UpdateItemCommand,
  UpdateTransaction,
} from 'dynamodb-toolbox';
import type { TableSchema } from '../src/platform/table/index.ts';
import { type LibraryWorld, libraryWorlds } from './library-worlds.ts';

const attribute = (name: string, type: 'S' | 'N' | 'B' = 'S') => ({ name, type });
const schema: TableSchema = {
  tableName: 'orchard',
  partitionKey: attribute('pk'),
  sortKey: attribute('sk'),
  indexes: [
    { indexName: 'byKind', partitionKey: attribute('kind'), sortKey: attribute('planted', 'N') },
    { indexName: 'byWeight', kind: 'local', partitionKey: attribute('pk'), sortKey: attribute('grams', 'N') },
    {
      indexName: 'byPlace',
      partitionKey: [attribute('field'), attribute('plot')],
      sortKey: [attribute('line', 'N'), attribute('spot', 'N')],
      projection: 'ALL',
    },
  ],
};

function makeEntities(documentClient: DynamoDBDocumentClient) {
  const table = new Table({
    documentClient,
    name: 'orchard',
    partitionKey: { name: 'pk', type: 'string' },
    sortKey: { name: 'sk', type: 'string' },
    indexes: {
      byKind: {
        type: 'global',
        partitionKey: { name: 'kind', type: 'string' },
        sortKey: { name: 'planted', type: 'number' },
      },
      byWeight: { type: 'local', sortKey: { name: 'grams', type: 'number' } },
      byPlace: {
        type: 'global',
        partitionKeys: [
          { name: 'field', type: 'string' },
          { name: 'plot', type: 'string' },
        ],
        sortKeys: [
          { name: 'line', type: 'number' },
          { name: 'spot', type: 'number' },
        ],
      },
    },
  });
  const tree = new Entity({
    name: 'tree',
    table,
    schema: item({
      tree: string().key(),
      kind: string().enum('apple', 'pear'),
      planted: number(),
      field: string().optional(),
      plot: string().optional(),
      line: number().optional(),
      spot: number().optional(),
      height: number().default(0),
      tags: set(string()).optional(),
      years: set(number()).optional(),
      log: list(string()).default([]),
      care: map({ water: number(), shade: boolean().optional() }).optional(),
      prices: record(string(), number()).optional(),
      scan: binary().optional(),
      serial: number().big().optional(),
      state: anyOf(
        map({ type: string().const('well'), since: string() }),
        map({ type: string().const('sick'), cause: string() }),
      )
        .discriminate('type')
        .optional(),
      secret: string().hidden().optional(),
      label: string().savedAs('l').optional(),
    }),
    computeKey: ({ tree }) => ({ pk: `TREE#${tree}`, sk: 'TREE' }),
  });
  const basket = new Entity({
    name: 'basket',
    table,
    schema: item({ tree: string().key(), day: string().key(), grams: number() }),
    computeKey: ({ tree, day }) => ({ pk: `TREE#${tree}`, sk: `BASKET#${day}` }),
    timestamps: false,
  });
  return { table, tree, basket };
}

const gala = { tree: 'gala', kind: 'apple', planted: 2_011 } as const;

for (const [way, openWorld] of Object.entries(libraryWorlds)) {
  describe(`DynamoDB-Toolbox, ${way}`, () => {
    let world: LibraryWorld;
    let entities: ReturnType<typeof makeEntities>;
    before(async () => {
      world = await openWorld([schema]);
      entities = makeEntities(world.client);
    });
    after(() => world.close());

    it('puts and gets every kind of attribute, and tells why a put was refused', async () => {
      const { tree } = entities;
      const full = {
        ...gala,
        tags: new Set(['old', 'tall']),
        years: new Set([2_012, 2_013.5]),
        log: ['planted'] as string[],
        care: { water: 2.5, shade: true },
        prices: { 'per kg': 3.2, box: 20 },
        scan: Uint8Array.of(1, 2, 255),
        serial: 12_345_678_901_234_567_890n,
        state: { type: 'well', since: '2024' },
        secret: 'grafted',
        label: 'A1',
      } as const;
      const { ToolboxItem, ConsumedCapacity } = await tree
        .build(PutItemCommand)
        .item(full)
        .options({ capacity: 'INDEXES' })
        .send();
      assert.equal(ConsumedCapacity?.GlobalSecondaryIndexes?.byKind.CapacityUnits, 1);
      const { Item } = await tree.build(GetItemCommand).key({ tree: 'gala' }).options({ consistent: true }).send();
      const { secret: _, ...shown } = full;
      assert.deepEqual(Item, { ...shown, height: 0, created: ToolboxItem.created, modified: ToolboxItem.modified });
      const some = tree
        .build(GetItemCommand)
        .key({ tree: 'gala' })
        .options({ attributes: ['care.water', 'log[0]', 'label'] });
      assert.deepEqual((await some.send()).Item, { care: { water: 2.5 }, log: ['planted'], label: 'A1' });
      const again = await tree
        .build(PutItemCommand)
        .item(gala)
        .options({
          condition: { attr: 'tree', exists: false },
          returnValuesOnConditionFalse: 'ALL_OLD',
        })
        .send()
        .catch(error => error);
      assert(isConditionCheckFailed(again, tree), String(again));
      assert.equal(again.FormattedItem?.label, 'A1');
    });

    it('updates with every extension', async () => {
      const { tree } = entities;
      const { Attributes } = await tree
        .build(UpdateItemCommand)
        .item({
          tree: 'gala',
          height: $add(1.5),
          planted: $subtract($get('planted'), 1),
          tags: $delete(new Set(['old'])),
          years: $add(new Set([2_014])),
          log: $append(['pruned', 'fed']),
          care: $set({ water: 4 }),
          prices: { box: $sum($get('prices.box'), 5), 'per kg': $remove() },
          label: $remove(),
          serial: $get('serial', 1n),
        })
        .options({ returnValues: 'ALL_NEW' })
        .send();
      assert.deepEqual(
        [Attributes?.height, Attributes?.planted, Attributes?.tags, Attributes?.log],
        [1.5, 2_010, new Set(['tall']), ['planted', 'pruned', 'fed']],
      );
      assert.deepEqual(
        [Attributes?.care, Attributes?.prices, Attributes?.label],
        [{ water: 4 }, { box: 25 }, undefined],
      );
      assert.deepEqual([...(Attributes?.years ?? [])].toSorted(), [2_012, 2_013.5, 2_014]);
      const more = await tree
        .build(UpdateItemCommand)
        .item({ tree: 'gala', log: $prepend(['seeded']), height: $sum($get('height'), 2) })
        .options({ returnValues: 'UPDATED_NEW', condition: { size: 'log', gte: 3 } })
        .send();
      assert.deepEqual([more.Attributes?.log?.[0], more.Attributes?.height], ['seeded', 3.5]);
      const element = await tree
        .build(UpdateItemCommand)
        .item({ tree: 'gala', log: { 0: 'sown', 2: $remove() } as never })
        .options({ returnValues: 'ALL_NEW' })
        .send();
      assert.deepEqual(element.Attributes?.log, ['sown', 'planted', 'fed']);
      const whole = await tree
        .build(UpdateAttributesCommand)
        .item({ tree: 'gala', state: { type: 'sick', cause: 'scab' }, prices: { box: 30 } })
        .options({ returnValues: 'ALL_NEW' })
        .send();
      assert.deepEqual(
        [whole.Attributes?.state, whole.Attributes?.prices],
        [{ type: 'sick', cause: 'scab' }, { box: 30 }],
      );
    });

    it('judges its conditions as written', async () => {
      const { tree } = entities;
      const touch = (condition: unknown) =>
        tree
          .build(UpdateItemCommand)
          .item({ tree: 'gala', height: $add(1) })
          .options({ condition: condition as never })
          .send();
      const holds = [
        { attr: 'kind', eq: 'apple' },
        { attr: 'kind', in: ['pear', 'apple'] },
        { attr: 'state.cause', beginsWith: 'sc' },
        { attr: 'tags', contains: 'tall' },
        { attr: 'planted', between: [2_000, 2_020] },
        { attr: 'care', type: 'M' },
        { not: { attr: 'label', exists: true } },
        {
          or: [
            { attr: 'height', lt: 0 },
            {
              and: [
                { attr: 'height', gt: 0 },
                { attr: 'scan', exists: true },
              ],
            },
          ],
        },
        { attr: 'log[0]', ne: 'planted' },
        { attr: 'height', lt: { attr: 'planted' } },
      ];
      for (const condition of holds) {
        await touch(condition);
        await assert.rejects(
          touch({ not: condition }),
          error => isConditionCheckFailed(error),
          JSON.stringify(condition),
        );
      }
    });

    it('queries the table, local and global indexes, and indexes of several attributes', async () => {
      const { table, tree, basket } = entities;
      for (const [spot, name] of ['comice', 'conference', 'williams'].entries()) {
        const place = { field: 'hill', plot: 'p1', line: 1 + (spot >> 1), spot };
        await tree
          .build(PutItemCommand)
          .item({ tree: name, kind: 'pear', planted: 2_000 + spot, ...place })
          .send();
      }
      for (let day = 1; day <= 9; day++) {
        await basket
          .build(PutItemCommand)
          .item({ tree: 'gala', day: `2026-09-0${day}`, grams: 1_000 - day })
          .send();
      }
      const query = (input: object, options: object = {}) =>
        table
          .build(QueryCommand)
          .entities(tree, basket)
          .query(input as never) // casts: each test asks in another shape
          .options(options as never)
          .send() as Promise<{
          Items?: { tree: string; day?: string }[];
          Count?: number;
          LastEvaluatedKey?: Record<string, unknown>;
        }>;
      const partition = 'TREE#gala';
      const days = (found: { Items?: { day?: string }[] }) => found.Items?.map(({ day }) => day ?? 'tree');
      assert.deepEqual(days(await query({ partition, range: { gt: 'BASKET#2026-09-07' } })), [
        '2026-09-08',
        '2026-09-09',
        'tree',
      ]);
      const between = { between: ['BASKET#2026-09-02', 'BASKET#2026-09-03'] };
      assert.deepEqual(days(await query({ partition, range: between }, { reverse: true })), [
        '2026-09-03',
        '2026-09-02',
      ]);
      const filtered = await query(
        { partition, range: { beginsWith: 'BASKET#' } },
        { filters: { basket: { attr: 'grams', lt: 994 } } },
      );
      assert.deepEqual(days(filtered), ['2026-09-07', '2026-09-08', '2026-09-09']);
      const light = await query({ index: 'byWeight', partition, range: { lte: 993 } }, { consistent: true });
      assert.deepEqual(days(light), ['2026-09-09', '2026-09-08', '2026-09-07']);
      const pears = await query(
        { index: 'byKind', partition: 'pear', range: { gte: 2_001 } },
        { attributes: ['tree', 'planted'] },
      );
      assert.deepEqual(pears.Items, [
        { tree: 'conference', planted: 2_001 },
        { tree: 'williams', planted: 2_002 },
      ]);
      const placed = await query({ index: 'byPlace', partition: ['hill', 'p1'], range: [1, { gte: 1 }] });
      assert.deepEqual(
        placed.Items?.map(each => each.tree),
        ['conference'],
      );
      const first = await query({ partition }, { limit: 4 });
      assert.equal(first.Count, 4);
      const rest = await query(
        { partition },
        { exclusiveStartKey: first.LastEvaluatedKey, maxPages: Number.POSITIVE_INFINITY },
      );
      assert.equal(rest.Items?.length, 6);
      const paged = await query({ partition }, { limit: 3, maxPages: 3 });
      assert.equal(paged.Items?.length, 9);
      const counted = await table.build(QueryCommand).query({ partition }).options({ select: 'COUNT' }).send();
      assert.equal(counted.Count, 10);
    });

    it('scans, in segments and for one entity', async () => {
      const { table, tree } = entities;
      const segments = await Promise.all(
        [0, 1, 2].map(segment => table.build(ScanCommand).options({ segment, totalSegments: 3 }).send()),
      );
      assert.equal(
        segments.reduce((sum, { Count = 0 }) => sum + Count, 0),
        13,
      );
      const trees = await table
        .build(ScanCommand)
        .entities(tree)
        .options({ filters: { tree: { attr: 'kind', eq: 'pear' } } })
        .send();
      assert.deepEqual(trees.Items?.map(each => each.tree).toSorted(), ['comice', 'conference', 'williams']);
    });

    it('gets and writes in batches', async () => {
      const { table, tree, basket } = entities;
      const puts = Array.from({ length: 20 }, (_, day) =>
        basket.build(BatchPutRequest).item({ tree: 'comice', day: String(day), grams: day }),
      );
      const deletion = basket.build(BatchDeleteRequest).key({ tree: 'gala', day: '2026-09-01' });
      const written = await executeBatchWrite(table.build(BatchWriteCommand).requests(...puts, deletion));
      assert.deepEqual(written.UnprocessedItems ?? {}, {});
      const { Responses } = await executeBatchGet(
        { maxAttempts: 3, capacity: 'TOTAL' },
        table
          .build(BatchGetCommand)
          .requests(
            tree.build(BatchGetRequest).key({ tree: 'gala' }),
            basket.build(BatchGetRequest).key({ tree: 'gala', day: '2026-09-01' }),
            basket.build(BatchGetRequest).key({ tree: 'comice', day: '7' }),
          ),
      );
      assert.deepEqual(
        Responses?.[0].map(found => found && ('grams' in found ? found.grams : found.tree)),
        ['gala', undefined, 7],
      );
    });

    it('writes and reads in transactions', async () => {
      const { tree, basket } = entities;
      const pick = (day: string) =>
        executeTransactWrite(
          basket
            .build(PutTransaction)
            .item({ tree: 'gala', day, grams: 500 })
            .options({ condition: { attr: 'day', exists: false } }),
          tree.build(UpdateTransaction).item({ tree: 'gala', log: $append(['picked']) }),
          basket.build(DeleteTransaction).key({ tree: 'comice', day: '0' }),
          tree.build(ConditionCheck).key({ tree: 'comice' }).condition({ attr: 'kind', eq: 'pear' }),
        );
      await pick('2026-10-01');
      const refused = await pick('2026-10-01').catch(error => error);
      assert.equal(refused.name, 'TransactionCanceledException');
      const codes = refused.CancellationReasons.map(({ Code }: { Code: string }) => Code);
      assert.deepEqual(codes, ['ConditionalCheckFailed', 'None', 'None', 'None']);
      const { Responses } = await executeTransactGet(
        basket.build(GetTransaction).key({ tree: 'gala', day: '2026-10-01' }),
        basket.build(GetTransaction).key({ tree: 'comice', day: '0' }),
        tree.build(GetTransaction).key({ tree: 'gala' }),
      );
      assert.deepEqual([Responses?.[0].Item?.grams, Responses?.[1].Item], [500, undefined]);
      assert.equal(Responses?.[2].Item?.log.filter(entry => entry === 'picked').length, 1);
    });

    it('deletes one item, and all of a partition', async () => {
      const { table, tree, basket } = entities;
      const gone = await tree
        .build(DeleteItemCommand)
        .key({ tree: 'williams' })
        .options({ returnValues: 'ALL_OLD' })
        .send();
      assert.equal(gone.Attributes?.planted, 2_002);
      await table.build(DeletePartitionCommand).entities(basket).query({ partition: 'TREE#gala' }).send();
      const left = await table.build(QueryCommand).query({ partition: 'TREE#gala' }).entities(tree, basket).send();
      assert.deepEqual(
        left.Items?.map(each => each.tree),
        ['gala'],
      );
    });

    it('is told when it is aborted', async () => {
      const get = entities.tree.build(GetItemCommand).key({ tree: 'gala' });
      await assert.rejects(get.send({ abortSignal: AbortSignal.abort() }), { name: 'AbortError' });
    });
  });
}
