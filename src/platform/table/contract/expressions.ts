/** Conditions, filters and updates, one expression after the other. */
import assert from 'node:assert/strict';
import { conditionCases, refusedExpressions, refusedUpdates, updateCases } from './cases.ts';
import { everyKind, queryItems, read, refusal, TableName, type Test } from './world.ts';

export function expressionPromises(test: Test): void {
  test('judges conditions and filters alike, as DynamoDB does', async ({ table }) => {
    const item = { PK: 'a', SK: '1', ...everyKind() };
    await table.put({ TableName, Item: item });
    for (const [expression, values, expected, names] of conditionCases) {
      const conditional = {
        TableName,
        Item: item,
        ConditionExpression: expression,
        ExpressionAttributeNames: names,
        ExpressionAttributeValues: values,
      };
      const holds = await table.put(conditional).then(
        () => true,
        error => {
          assert.equal(error.name, 'ConditionalCheckFailedException', `${expression}: ${error.message}`);
          return false;
        },
      );
      assert.equal(holds, expected, expression);
      const answer = await table.query({
        TableName,
        KeyConditionExpression: 'PK = :PK',
        FilterExpression: expression,
        ExpressionAttributeNames: names,
        ExpressionAttributeValues: { ...values, ':PK': 'a' },
      });
      assert.deepEqual(answer, { Items: expected ? [item] : [], Count: Number(expected), ScannedCount: 1 }, expression);
    }
  });

  test('finds in a list what equals one of its elements, however deep', async ({ table }) => {
    await table.put({ TableName, Item: { PK: 'a', SK: '1', ...everyKind() } });
    const contains = async (value: unknown) =>
      (
        await queryItems(
          table,
          'PK = :p',
          { ':p': 'a', ':v': value },
          {
            FilterExpression: 'contains(#l, :v)',
            ExpressionAttributeNames: { '#l': 'list' },
          },
        )
      ).length;
    assert.equal(await contains({ deep: [null] }), 1);
    assert.equal(await contains([]), 1);
    assert.equal(await contains({ deep: [] }), 0);
  });

  test('updates as DynamoDB does', async ({ table }) => {
    for (const [before, UpdateExpression, ExpressionAttributeValues, expected, names] of updateCases) {
      const Key = { PK: 'a', SK: '1' };
      await table.put({ TableName, Item: { ...Key, ...before } });
      const update = { TableName, Key, UpdateExpression, ExpressionAttributeValues, ExpressionAttributeNames: names };
      const answer = await table.update({ ...update, ReturnValues: 'ALL_NEW' });
      assert.deepEqual(answer.Attributes, { ...Key, ...expected }, UpdateExpression);
      assert.deepEqual(await read(table, 'a', '1'), { ...Key, ...expected }, UpdateExpression);
    }
  });

  test('refuses updates that do not fit the item, and leaves it alone', async ({ table }) => {
    const Key = { PK: 'a', SK: '1' };
    const Item = { ...Key, ...everyKind() };
    await table.put({ TableName, Item });
    for (const [UpdateExpression, ExpressionAttributeValues, message] of refusedUpdates) {
      const update = table.update({ TableName, Key, UpdateExpression, ExpressionAttributeValues });
      await assert.rejects(update, refusal(message), UpdateExpression);
    }
    assert.deepEqual(await read(table, 'a', '1'), Item);
  });

  test('creates an item by update', async ({ table }) => {
    await table.update({ TableName, Key: { PK: 'a', SK: '1' } });
    assert.deepEqual(await read(table, 'a', '1'), { PK: 'a', SK: '1' });
  });

  test('returns of an update what was asked for', async ({ table }) => {
    const Key = { PK: 'a', SK: '1' };
    const update = (ReturnValues: 'NONE' | 'ALL_OLD' | 'UPDATED_OLD' | 'ALL_NEW' | 'UPDATED_NEW') =>
      table.update({
        TableName,
        Key,
        UpdateExpression: 'SET m.a = :v REMOVE gone',
        ExpressionAttributeValues: { ':v': 2 },
        ReturnValues,
      });
    const before = { ...Key, m: { a: 1, b: 1 }, gone: 1, kept: 1 };
    const after = { ...Key, m: { a: 2, b: 1 }, kept: 1 };
    const expected = {
      NONE: {},
      ALL_OLD: { Attributes: before },
      UPDATED_OLD: { Attributes: { m: { a: 1 }, gone: 1 } },
      ALL_NEW: { Attributes: after },
      UPDATED_NEW: { Attributes: { m: { a: 2 } } },
    } as const;
    for (const [asked, answer] of Object.entries(expected)) {
      await table.put({ TableName, Item: before });
      assert.deepEqual(await update(asked as keyof typeof expected), answer, asked); // a cast: it is one of its keys
    }
  });

  test('refuses malformed expressions and aliases before anything runs', async ({ table }) => {
    for (const [parameters, message] of refusedExpressions) {
      const refused =
        'KeyConditionExpression' in parameters || 'FilterExpression' in parameters
          ? table.query({ TableName, ...parameters })
          : table.update({ TableName, Key: { PK: 'a', SK: '1' }, ...parameters });
      await assert.rejects(refused, refusal(message), JSON.stringify(parameters));
    }
  });
}
