/** Batches: many gets or writes in one call, each on its own. */
import assert from 'node:assert/strict';
import type { BatchGetCommandInput } from '@aws-sdk/lib-dynamodb';
import { type Attributes, read, refusal, TableName, type Test } from './world.ts';

type BatchGetRequest = NonNullable<BatchGetCommandInput['RequestItems']>[string];

export function batchPromises(test: Test): void {
  test('gets a batch from several tables, each in its own way', async ({ table }) => {
    await table.put({ TableName, Item: { PK: 'a', SK: '1', x: 1, y: 2 } });
    await table.put({ TableName, Item: { PK: 'a', SK: '2', x: 3, y: 4 } });
    await table.put({ TableName: 'single', Item: { PK: 'b', z: 5 } });
    const { Responses, UnprocessedKeys } = await table.batchGet({
      RequestItems: {
        [TableName]: {
          Keys: ['1', '2', 'absent'].map(SK => ({ PK: 'a', SK })),
          ProjectionExpression: '#x',
          ExpressionAttributeNames: { '#x': 'x' },
          ConsistentRead: true,
        },
        single: { Keys: [{ PK: 'b' }] },
        numbers: { Keys: [{ PK: 1, SK: 1 }] },
      },
    });
    assert.deepEqual(UnprocessedKeys, {});
    assert.deepEqual(Responses?.[TableName].map(({ x }) => x).sort(), [1, 3]);
    assert.deepEqual(Object.keys(Responses?.[TableName][0] ?? {}), ['x']);
    assert.deepEqual(Responses?.single, [{ PK: 'b', z: 5 }]);
    assert.deepEqual(Responses?.numbers, []);
  });

  test('answers what fits in 16 MB, and hands back the other keys', async ({ table }) => {
    const value = 'x'.repeat(390_000);
    for (let count = 0; count < 50; count++) {
      await table.put({ TableName: 'single', Item: { PK: String(count), value } });
    }
    const got = new Set<string>();
    let request: BatchGetRequest | undefined = {
      Keys: Array.from({ length: 50 }, (_, count) => ({ PK: String(count) })),
      ProjectionExpression: 'PK',
    };
    for (let calls = 0; request !== undefined; calls++) {
      assert.ok(calls < 50);
      const answer = await table.batchGet({ RequestItems: { single: request } });
      const items = answer.Responses?.single ?? [];
      assert.ok(items.length > 0 && items.length * 390_000 <= 16 * 1024 * 1024);
      for (const { PK } of items) got.add(PK);
      request = answer.UnprocessedKeys?.single;
      assert.equal(request?.ProjectionExpression ?? 'PK', 'PK');
    }
    assert.equal(got.size, 50);
  });

  test('hands back the keys of a partition that has answered 1 MB', async ({ table }) => {
    const value = 'x'.repeat(390_000);
    const Keys = Array.from({ length: 5 }, (_, SK) => ({ PK: 'a', SK: String(SK) }));
    for (const key of Keys) await table.put({ TableName, Item: { ...key, value } });
    const answer = await table.batchGet({ RequestItems: { [TableName]: { Keys } } });
    const answered = answer.Responses?.[TableName].map(({ SK }) => SK) ?? [];
    const left = answer.UnprocessedKeys?.[TableName].Keys?.map(({ SK }) => SK) ?? [];
    assert.equal(answered.length, 3);
    assert.deepEqual([...answered, ...left].sort(), ['0', '1', '2', '3', '4']);
  });

  test('refuses batches of gets that cannot be answered', async ({ table }) => {
    const get = (Keys: Attributes[], more: Attributes = {}) =>
      table.batchGet({ RequestItems: { [TableName]: { Keys, ...more } } });
    const key = { PK: 'a', SK: '1' };
    await assert.rejects(get([key, { ...key }]), refusal('Provided list of item keys contains duplicates'));
    await assert.rejects(get([{ PK: 'a' }]), refusal('The provided key element does not match the schema'));
    await assert.rejects(get([{ PK: 'a', SK: '' }]), refusal('cannot contain an empty string value. Key: SK'));
    const overlapping = get([key], { ProjectionExpression: 'a, a' });
    await assert.rejects(overlapping, refusal('Invalid ProjectionExpression: Two document paths overlap'));
    const keys = Array.from({ length: 101 }, (_, SK) => ({ PK: 'a', SK: String(SK) }));
    await assert.rejects(get(keys), { name: 'ValidationException' });
    await assert.rejects(table.batchGet({ RequestItems: {} }), { name: 'ValidationException' });
    const halves = {
      [TableName]: { Keys: keys.slice(0, 60) },
      single: { Keys: keys.slice(60).map(({ SK }) => ({ PK: SK })) },
    };
    const tooMany = table.batchGet({ RequestItems: halves });
    await assert.rejects(tooMany, refusal('Too many items requested for the BatchGetItem call'));
    const absent = table.batchGet({ RequestItems: { absent: { Keys: [key] } } });
    await assert.rejects(absent, { name: 'ResourceNotFoundException' });
  });

  test('writes a batch of puts and deletes to several tables', async ({ table }) => {
    await table.put({ TableName, Item: { PK: 'a', SK: 'gone' } });
    const put = (Item: Attributes) => ({ PutRequest: { Item } });
    const answer = await table.batchWrite({
      RequestItems: {
        [TableName]: [put({ PK: 'a', SK: '1', x: 1 }), { DeleteRequest: { Key: { PK: 'a', SK: 'gone' } } }],
        single: [put({ PK: 'b' })],
      },
    });
    assert.deepEqual(answer, { UnprocessedItems: {} });
    assert.deepEqual(await read(table, 'a', '1'), { PK: 'a', SK: '1', x: 1 });
    assert.equal(await read(table, 'a', 'gone'), undefined);
    assert.deepEqual((await table.get({ TableName: 'single', Key: { PK: 'b' } })).Item, { PK: 'b' });
  });

  test('refuses batches of writes that cannot be done, and writes nothing of them', async ({ table }) => {
    const put = (Item: Attributes) => ({ PutRequest: { Item } });
    const fit = put({ PK: 'fit', SK: '1' });
    const write = (...requests: object[]) => table.batchWrite({ RequestItems: { [TableName]: [fit, ...requests] } });
    const same = [put({ PK: 'a', SK: '1' }), { DeleteRequest: { Key: { PK: 'a', SK: '1' } } }];
    await assert.rejects(write(...same), refusal('Provided list of item keys contains duplicates'));
    const mismatch = refusal('The provided key element does not match the schema');
    await assert.rejects(write(put({ PK: 'a' })), mismatch);
    await assert.rejects(write(put({ PK: 'a', SK: 1 })), mismatch);
    await assert.rejects(write({ DeleteRequest: { Key: { PK: 'a' } } }), mismatch);
    await assert.rejects(write(put({ PK: '', SK: '1' })), refusal('cannot contain an empty string value. Key: PK'));
    const value = 'x'.repeat(410_000);
    await assert.rejects(write(put({ PK: 'a', SK: '1', value })), refusal('Item size has exceeded the maximum'));
    await assert.rejects(write(put({ PK: 'a', SK: '1', Rank: 'x' })), refusal('Type mismatch for Index Key Rank'));
    const many = Array.from({ length: 25 }, (_, SK) => put({ PK: 'a', SK: String(SK) }));
    await assert.rejects(write(...many), { name: 'ValidationException' });
    await assert.rejects(table.batchWrite({ RequestItems: {} }), { name: 'ValidationException' });
    const absent = table.batchWrite({ RequestItems: { [TableName]: [fit], absent: [fit] } });
    await assert.rejects(absent, { name: 'ResourceNotFoundException' });
    assert.equal(await read(table, 'fit', '1'), undefined);
    await table.batchWrite({ RequestItems: { [TableName]: many } });
    assert.deepEqual(await read(table, 'a', '24'), { PK: 'a', SK: '24' });
  });
}
