/** What calls say they have consumed. */
import assert from 'node:assert/strict';
import type { ConsumedCapacity } from '@aws-sdk/client-dynamodb';
import { type Attributes, TableName, type Test } from './world.ts';

const asked = { ReturnConsumedCapacity: 'INDEXES' } as const;

export function capacityPromises(test: Test): void {
  test('tells what a read has consumed, if asked', async ({ table }) => {
    await table.put({ TableName: 'single', Item: { PK: 'a', value: 'x'.repeat(9 * 1024) } });
    const units = async (PK: string, ConsistentRead: boolean) => {
      const get = { TableName: 'single', Key: { PK }, ConsistentRead, ProjectionExpression: 'PK' };
      return (await table.get({ ...get, ReturnConsumedCapacity: 'TOTAL' })).ConsumedCapacity;
    };
    assert.deepEqual(await units('a', false), { TableName: 'single', CapacityUnits: 1.5 });
    assert.deepEqual(await units('a', true), { TableName: 'single', CapacityUnits: 3 });
    assert.deepEqual(await units('absent', false), { TableName: 'single', CapacityUnits: 0.5 });
    assert.deepEqual(await units('absent', true), { TableName: 'single', CapacityUnits: 1 });
    const Key = { PK: 'a' };
    assert.equal((await table.get({ TableName: 'single', Key })).ConsumedCapacity, undefined);
    const none = await table.get({ TableName: 'single', Key, ReturnConsumedCapacity: 'NONE' });
    assert.equal(none.ConsumedCapacity, undefined);
    const parts = await table.get({ TableName: 'single', Key, ...asked });
    assert.deepEqual(parts.ConsumedCapacity, {
      TableName: 'single',
      CapacityUnits: 1.5,
      Table: { CapacityUnits: 1.5 },
    });
  });

  test('counts a page by what it evaluated together, before filter and projection', async ({ table }) => {
    const value = 'x'.repeat(1000);
    for (let SK = 0; SK < 6; SK++) await table.put({ TableName, Item: { PK: 'p', SK: String(SK), value } });
    const query = {
      TableName,
      KeyConditionExpression: 'PK = :p',
      ExpressionAttributeValues: { ':p': 'p' },
      ReturnConsumedCapacity: 'TOTAL',
    } as const;
    const unitsOf = (answer: { ConsumedCapacity?: ConsumedCapacity }) => answer.ConsumedCapacity?.CapacityUnits;
    const filter = { FilterExpression: 'attribute_exists(absent)', ProjectionExpression: 'SK' };
    assert.equal(unitsOf(await table.query(query)), 1);
    assert.equal(unitsOf(await table.query({ ...query, ...filter })), 1);
    assert.equal(unitsOf(await table.query({ ...query, Select: 'COUNT', ConsistentRead: true })), 2);
    assert.equal(unitsOf(await table.query({ ...query, Limit: 1 })), 0.5);
    assert.equal(unitsOf(await table.query({ ...query, ExpressionAttributeValues: { ':p': 'none' } })), 0.5);
    assert.equal(unitsOf(await table.scan({ TableName, ...filter, ReturnConsumedCapacity: 'TOTAL' })), 1);
  });

  test('counts the items of a batch one by one, for each table', async ({ table }) => {
    await table.put({ TableName, Item: { PK: 'a', SK: '1', value: 'x'.repeat(5000) } });
    const got = await table.batchGet({
      RequestItems: {
        [TableName]: { Keys: ['1', 'absent'].map(SK => ({ PK: 'a', SK })) },
        single: { Keys: [{ PK: 'a' }], ConsistentRead: true },
      },
      ReturnConsumedCapacity: 'TOTAL',
    });
    assert.deepEqual(byTable(got.ConsumedCapacity), [
      { TableName: 'single', CapacityUnits: 1 },
      { TableName, CapacityUnits: 1.5 },
    ]);
    const written = await table.batchWrite({
      RequestItems: {
        [TableName]: [
          { PutRequest: { Item: { PK: 'b', SK: '1', Owner: 'ada', Rank: 1 } } },
          { DeleteRequest: { Key: { PK: 'a', SK: '1' } } },
        ],
      },
      ...asked,
    });
    assert.deepEqual(written.ConsumedCapacity, [
      {
        TableName,
        CapacityUnits: 13,
        Table: { CapacityUnits: 6 },
        // `bySort` holds every item of this table.
        GlobalSecondaryIndexes: { byOwner: { CapacityUnits: 1 }, bySort: { CapacityUnits: 6 } },
      },
    ]);
  });

  test('counts a write by the larger of the item before and after', async ({ table }) => {
    const write = async (bytes: number) => {
      const Item = { PK: 'a', value: 'x'.repeat(bytes) };
      return (await table.put({ TableName: 'single', Item, ...asked })).ConsumedCapacity?.CapacityUnits;
    };
    assert.equal(await write(10), 1);
    assert.equal(await write(3000), 3);
    assert.equal(await write(10), 3);
    const Key = { PK: 'a' };
    const update = {
      TableName: 'single',
      Key,
      UpdateExpression: 'SET #v = :v',
      ExpressionAttributeNames: { '#v': 'value' },
    };
    const grown = await table.update({ ...update, ExpressionAttributeValues: { ':v': 'x'.repeat(2000) }, ...asked });
    assert.equal(grown.ConsumedCapacity?.CapacityUnits, 2);
    const gone = await table.delete({ TableName: 'single', Key, ...asked });
    assert.deepEqual(gone.ConsumedCapacity, { TableName: 'single', CapacityUnits: 2, Table: { CapacityUnits: 2 } });
    const absent = await table.delete({ TableName: 'single', Key, ...asked });
    assert.equal(absent.ConsumedCapacity?.CapacityUnits, 1);
  });

  test('counts a write in each index by the entry it touches', async ({ table }) => {
    const item = { PK: 'p', SK: '1', Group: 'g', Time: 1, shown: 'a', secret: 'b' };
    const put = async (Item: Attributes) =>
      partsOf((await table.put({ TableName: 'shown', Item, ...asked })).ConsumedCapacity);
    assert.deepEqual(await put(item), { total: 3, table: 1, byGroup: 1, byTime: 1 });
    assert.deepEqual(await put(item), { total: 1, table: 1 }, 'nothing changed');
    assert.deepEqual(await put({ PK: 'p', SK: 'sparse' }), { total: 1, table: 1 });
    const ladder: readonly (readonly [expression: string, value: unknown, parts: Attributes])[] = [
      ['SET secret = :v', 'c', { total: 2, table: 1, byTime: 1 }],
      ['SET shown = :v', 'c', { total: 3, table: 1, byGroup: 1, byTime: 1 }],
      ['SET #g = :v', 'other', { total: 4, table: 1, byGroup: 2, byTime: 1 }],
      ['SET #t = :v', 2, { total: 3, table: 1, byTime: 2 }],
      ['REMOVE #g', undefined, { total: 3, table: 1, byGroup: 1, byTime: 1 }],
      ['SET #g = :v', 'again', { total: 3, table: 1, byGroup: 1, byTime: 1 }],
    ];
    for (const [UpdateExpression, value, parts] of ladder) {
      const { ConsumedCapacity } = await table.update({
        TableName: 'shown',
        Key: { PK: 'p', SK: '1' },
        UpdateExpression,
        ExpressionAttributeNames: namesIn(UpdateExpression),
        ExpressionAttributeValues: value === undefined ? undefined : { ':v': value },
        ...asked,
      });
      assert.deepEqual(partsOf(ConsumedCapacity), parts, `${UpdateExpression} ${value}`);
    }
    const gone = await table.delete({ TableName: 'shown', Key: { PK: 'p', SK: '1' }, ...asked });
    assert.deepEqual(partsOf(gone.ConsumedCapacity), { total: 3, table: 1, byGroup: 1, byTime: 1 });
  });

  test('counts a read of an index by what it shows, and what a local one fetches from the table', async ({ table }) => {
    const secret = 'x'.repeat(5000);
    for (let Time = 0; Time < 3; Time++) {
      await table.put({
        TableName: 'shown',
        Item: { PK: 'p', SK: String(Time), Group: 'g', Place: `${Time}`, secret },
      });
    }
    const global = await table.query({
      TableName: 'shown',
      IndexName: 'byGroup',
      KeyConditionExpression: '#g = :g',
      ExpressionAttributeNames: { '#g': 'Group' },
      ExpressionAttributeValues: { ':g': 'g' },
      ...asked,
    });
    assert.deepEqual(partsOf(global.ConsumedCapacity), { total: 0.5, table: 0, byGroup: 0.5 });
    const local = {
      TableName: 'shown',
      IndexName: 'byPlace',
      KeyConditionExpression: 'PK = :p',
      ExpressionAttributeValues: { ':p': 'p' },
      ConsistentRead: true,
      ...asked,
    };
    assert.deepEqual(partsOf((await table.query(local)).ConsumedCapacity), { total: 1, table: 0, byPlace: 1 });
    const fetched = await table.query({ ...local, Select: 'ALL_ATTRIBUTES' });
    assert.deepEqual(partsOf(fetched.ConsumedCapacity), { total: 7, table: 6, byPlace: 1 });
  });

  test('counts a transaction twice, its indexes once, and its repetition as a read', async ({ table }) => {
    const put = (SK: string) => ({
      Put: { TableName, Item: { PK: 'p', SK, Owner: 'ada', Rank: 1, value: 'x'.repeat(1500) } },
    });
    const check = {
      ConditionCheck: { TableName: 'single', Key: { PK: 'q' }, ConditionExpression: 'attribute_not_exists(PK)' },
    };
    const request = { TransactItems: [put('1'), check], ClientRequestToken: 'capacity', ...asked };
    assert.deepEqual(byTable((await table.transactWrite(request)).ConsumedCapacity), [
      {
        TableName: 'single',
        CapacityUnits: 2,
        WriteCapacityUnits: 2,
        Table: { CapacityUnits: 2, WriteCapacityUnits: 2 },
      },
      {
        TableName,
        CapacityUnits: 8,
        WriteCapacityUnits: 8,
        Table: { CapacityUnits: 4, WriteCapacityUnits: 4 },
        GlobalSecondaryIndexes: {
          byOwner: { CapacityUnits: 2, WriteCapacityUnits: 2 },
          bySort: { CapacityUnits: 2, WriteCapacityUnits: 2 },
        },
      },
    ]);
    const again = await table.transactWrite({ ...request, ReturnConsumedCapacity: 'TOTAL' });
    assert.deepEqual(byTable(again.ConsumedCapacity), [
      { TableName: 'single', CapacityUnits: 2, ReadCapacityUnits: 2 },
      { TableName, CapacityUnits: 2, ReadCapacityUnits: 2 },
    ]);
    const got = await table.transactGet({
      TransactItems: ['1', 'absent'].map(SK => ({ Get: { TableName, Key: { PK: 'p', SK } } })),
      ...asked,
    });
    assert.deepEqual(got.ConsumedCapacity, [
      { TableName, CapacityUnits: 4, ReadCapacityUnits: 4, Table: { CapacityUnits: 4, ReadCapacityUnits: 4 } },
    ]);
  });

  test('tells how large the item collection is that a write belongs to, if there are local indexes', async ({
    table,
  }) => {
    const Item = { PK: 'p', SK: '1', Time: 1 };
    const SIZE = { ReturnItemCollectionMetrics: 'SIZE' } as const;
    const metrics = { ItemCollectionKey: { PK: 'p' }, SizeEstimateRangeGB: [0, 1] };
    const put = await table.put({ TableName: 'shown', Item, ...SIZE });
    assert.deepEqual(put, { ItemCollectionMetrics: metrics });
    const Key = { PK: 'p', SK: '1' };
    assert.deepEqual(await table.update({ TableName: 'shown', Key, ...SIZE }), { ItemCollectionMetrics: metrics });
    assert.deepEqual(await table.delete({ TableName: 'shown', Key, ...SIZE }), { ItemCollectionMetrics: metrics });
    const batch = await table.batchWrite({ RequestItems: { shown: [{ PutRequest: { Item } }] }, ...SIZE });
    assert.deepEqual(batch.ItemCollectionMetrics, { shown: [metrics] });
    const transaction = await table.transactWrite({ TransactItems: [{ Put: { TableName: 'shown', Item } }], ...SIZE });
    assert.deepEqual(transaction.ItemCollectionMetrics, { shown: [metrics] });
    assert.deepEqual(await table.put({ TableName, Item: { PK: 'p', SK: '1' }, ...SIZE }), {});
  });
}

function byTable(capacities: readonly ConsumedCapacity[] | undefined): ConsumedCapacity[] {
  return (capacities ?? []).toSorted((left, right) => ((left.TableName ?? '') < (right.TableName ?? '') ? -1 : 1));
}

function partsOf(capacity: ConsumedCapacity | undefined): Attributes {
  const parts: Attributes = { total: capacity?.CapacityUnits, table: capacity?.Table?.CapacityUnits };
  for (const indexes of [capacity?.GlobalSecondaryIndexes, capacity?.LocalSecondaryIndexes]) {
    for (const [name, { CapacityUnits }] of Object.entries(indexes ?? {})) parts[name] = CapacityUnits;
  }
  return parts;
}

function namesIn(expression: string): Record<string, string> | undefined {
  if (expression.includes('#g')) return { '#g': 'Group' };
  return expression.includes('#t') ? { '#t': 'Time' } : undefined;
}
