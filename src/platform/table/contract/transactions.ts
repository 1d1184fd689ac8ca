/** Transactions: all or nothing, reasons, tokens. */
import assert from 'node:assert/strict';
import type { TransactWriteCommandInput } from '@aws-sdk/lib-dynamodb';
import { tableLimits } from '../limits.ts';
import { type Attributes, queryItems, read, refusal, TableName, type Test } from './world.ts';

export function transactionPromises(test: Test): void {
  test('does all of a transaction or nothing, and says which action is at fault', async ({ table }) => {
    await table.put({ TableName, Item: { PK: 'p', SK: '1', n: 1 } });
    const put = { Put: { TableName, Item: { PK: 'p', SK: '2' } } };
    const check = (n: number) => ({
      ConditionCheck: {
        TableName,
        Key: { PK: 'p', SK: '1' },
        ConditionExpression: 'n = :n',
        ExpressionAttributeValues: { ':n': n },
        ReturnValuesOnConditionCheckFailure: 'ALL_OLD' as const,
      },
    });
    const update = {
      Update: {
        TableName: 'single',
        Key: { PK: 'q' },
        UpdateExpression: 'SET n = absent',
      },
    };
    await assert.rejects(table.transactWrite({ TransactItems: [put, check(2), update] }), error => {
      assert.ok(error instanceof Error && 'CancellationReasons' in error);
      assert.equal(error.name, 'TransactionCanceledException');
      assert.match(error.message, /\[None, ConditionalCheckFailed, ValidationError\]$/);
      const Item = { PK: { S: 'p' }, SK: { S: '1' }, n: { N: '1' } };
      assert.deepEqual(error.CancellationReasons, [
        { Code: 'None' },
        { Code: 'ConditionalCheckFailed', Message: 'The conditional request failed', Item },
        {
          Code: 'ValidationError',
          Message: 'The provided expression refers to an attribute that does not exist in the item',
        },
      ]);
      return true;
    });
    assert.equal(await read(table, 'p', '2'), undefined);
    const gone = { Delete: { TableName, Key: { PK: 'p', SK: '3' } } };
    assert.deepEqual(await table.transactWrite({ TransactItems: [put, check(1), gone] }), {});
    assert.deepEqual(await read(table, 'p', '1'), { PK: 'p', SK: '1', n: 1 });
    assert.deepEqual(await read(table, 'p', '2'), { PK: 'p', SK: '2' });
  });

  test('refuses a transaction on one item twice, on nothing, or on too many', async ({ table }) => {
    const put = (SK: string) => ({ Put: { TableName, Item: { PK: 'p', SK } } });
    const twice = table.transactWrite({ TransactItems: [put('1'), put('1')] });
    await assert.rejects(twice, refusal('Transaction request cannot include multiple operations on one item'));
    await assert.rejects(table.transactWrite({ TransactItems: [] }), { name: 'ValidationException' });
    const all = Array.from({ length: 101 }, (_, index) => put(String(index)));
    await assert.rejects(table.transactWrite({ TransactItems: all }), { name: 'ValidationException' });
    await table.transactWrite({ TransactItems: all.slice(1) });
    assert.equal((await queryItems(table, 'PK = :p', { ':p': 'p' })).length, 100);
  });

  test('applies a repeated transaction once within ten minutes, and no other under its token', async world => {
    const { table, letPass } = world;
    const addOne = (amount: number) => ({
      ClientRequestToken: 'once',
      TransactItems: [
        {
          Update: {
            TableName,
            Key: { PK: 'p', SK: '1' },
            UpdateExpression: 'ADD n :n',
            ExpressionAttributeValues: { ':n': amount },
          },
        },
      ],
    });
    await Promise.all([table.transactWrite(addOne(1)), table.transactWrite(addOne(1))]);
    await table.transactWrite(addOne(1));
    assert.deepEqual(await read(table, 'p', '1'), { PK: 'p', SK: '1', n: 1 });
    await assert.rejects(table.transactWrite(addOne(2)), { name: 'IdempotentParameterMismatchException' });
    if (letPass === undefined) return;
    await letPass(tableLimits.tokenKeptMs + 1);
    await table.transactWrite(addOne(2));
    assert.deepEqual(await read(table, 'p', '1'), { PK: 'p', SK: '1', n: 3 });
  });

  test('tells which key of a transaction does not fit, and refuses one with an empty key as a whole', async world => {
    const { table } = world;
    const fit = { Put: { TableName, Item: { PK: 'fit', SK: '1' } } };
    const mistyped = 'One or more parameter values were invalid: Type mismatch for key SK expected: S actual: N';
    const mismatch = 'The provided key element does not match the schema';
    const Key = { PK: 'p', SK: 1 };
    const unfit: readonly (readonly [TransactItem, string])[] = [
      [{ Put: { TableName, Item: Key } }, mistyped],
      [{ Delete: { TableName, Key } }, mismatch],
      [{ Update: { TableName, Key, UpdateExpression: 'REMOVE a' } }, mismatch],
      [{ ConditionCheck: { TableName, Key, ConditionExpression: 'attribute_exists(a)' } }, mismatch],
      [{ Put: { TableName, Item: { PK: 'p', SK: '1', Rank: 'x' } } }, 'Type mismatch for Index Key Rank'],
    ];
    for (const [item, message] of unfit) {
      await assert.rejects(table.transactWrite({ TransactItems: [fit, item] }), error => {
        assert.ok(error instanceof Error && 'CancellationReasons' in error, String(error));
        const [none, reason] = error.CancellationReasons as { Code: string; Message?: string }[];
        assert.equal(none.Code, 'None');
        assert.equal(reason.Code, 'ValidationError');
        assert.ok(reason.Message?.includes(message), reason.Message);
        return true;
      });
    }
    const empty = table.transactWrite({ TransactItems: [fit, { Delete: { TableName, Key: { PK: 'p', SK: '' } } }] });
    await assert.rejects(empty, refusal('cannot contain an empty string value. Key: SK'));
    assert.equal(await read(table, 'fit', '1'), undefined);
  });

  test('reads every action of a transaction before it looks for tables', async ({ table }) => {
    const absent: TransactItem = { Put: { TableName: 'absent', Item: { PK: 'p' } } };
    const malformed: TransactItem = {
      ConditionCheck: { TableName, Key: { PK: 'p', SK: '1' }, ConditionExpression: 'attribute_exists(' },
    };
    const idle: TransactItem = {
      ConditionCheck: {
        TableName,
        Key: { PK: 'p', SK: '1' },
        ConditionExpression: 'attribute_exists(PK)',
        ExpressionAttributeValues: { ':v': 1 },
      },
    };
    const large: TransactItem = { Put: { TableName, Item: { PK: 'p', SK: '1', value: 'x'.repeat(410_000) } } };
    await assert.rejects(
      table.transactWrite({ TransactItems: [absent, malformed] }),
      refusal('Invalid ConditionExpression: Syntax error'),
    );
    await assert.rejects(
      table.transactWrite({ TransactItems: [absent, idle] }),
      refusal('Value provided in ExpressionAttributeValues unused in expressions: keys: {:v}'),
    );
    await assert.rejects(
      table.transactWrite({ TransactItems: [absent, large] }),
      refusal('Item size has exceeded the maximum allowed size'),
    );
    await assert.rejects(table.transactWrite({ TransactItems: [absent] }), { name: 'ResourceNotFoundException' });
    const items = Array.from({ length: 12 }, (_, SK): TransactItem => {
      return { Put: { TableName, Item: { PK: 'p', SK: String(SK), value: 'x'.repeat(350_000) } } };
    });
    await assert.rejects(table.transactWrite({ TransactItems: items }), { name: 'ValidationException' });
  });

  test('gets several items as they are at one moment', async ({ table }) => {
    await table.put({ TableName, Item: { PK: 'p', SK: '1', n: 1, more: 2 } });
    await table.put({ TableName: 'single', Item: { PK: 'q', n: 2 } });
    const { Responses } = await table.transactGet({
      TransactItems: [
        { Get: { TableName: 'single', Key: { PK: 'q' } } },
        { Get: { TableName, Key: { PK: 'p', SK: 'absent' } } },
        { Get: { TableName, Key: { PK: 'p', SK: '1' }, ProjectionExpression: 'n' } },
      ],
    });
    assert.deepEqual(Responses, [{ Item: { PK: 'q', n: 2 } }, {}, { Item: { n: 1 } }]);
    const nothingShown = { Get: { TableName: 'single', Key: { PK: 'q' }, ProjectionExpression: 'absent' } };
    assert.deepEqual((await table.transactGet({ TransactItems: [nothingShown] })).Responses, [{}]);
  });

  test('refuses to get an item twice, nothing, too much, or by an unfit key', async ({ table }) => {
    const get = (Key: Attributes, more: Attributes = {}) => ({ Get: { TableName, Key, ...more } });
    const key = { PK: 'p', SK: '1' };
    const twice = table.transactGet({ TransactItems: [get(key), get(key, { ProjectionExpression: 'a' })] });
    await assert.rejects(twice, refusal('Transaction request cannot include multiple operations on one item'));
    await assert.rejects(table.transactGet({ TransactItems: [] }), { name: 'ValidationException' });
    const many = Array.from({ length: 101 }, (_, SK) => get({ PK: 'p', SK: String(SK) }));
    await assert.rejects(table.transactGet({ TransactItems: many }), { name: 'ValidationException' });
    assert.equal((await table.transactGet({ TransactItems: many.slice(1) })).Responses?.length, 100);
    const unfit = table.transactGet({ TransactItems: [get(key), get({})] });
    await assert.rejects(unfit, {
      name: 'TransactionCanceledException',
      message: 'Transaction cancelled, please refer cancellation reasons for specific reasons [None, ValidationError]',
    });
    const malformed = table.transactGet({ TransactItems: [get({}, { ProjectionExpression: '!!!' })] });
    await assert.rejects(malformed, refusal('Invalid ProjectionExpression: Syntax error; token: "!", near: "!!"'));
    const absent = table.transactGet({ TransactItems: [{ Get: { TableName: 'absent', Key: key } }] });
    await assert.rejects(absent, { name: 'ResourceNotFoundException' });
    const value = 'x'.repeat(390_000);
    for (const { Get } of many.slice(0, 11)) await table.put({ TableName, Item: { ...Get.Key, value } });
    const tooLarge = table.transactGet({ TransactItems: many.slice(0, 11) });
    await assert.rejects(tooLarge, { name: 'ValidationException' });
  });

  test('takes a repeated request for the same whatever the order it is written in', async ({ table }) => {
    const put = (Item: Attributes) => ({ ClientRequestToken: 'same', TransactItems: [{ Put: { TableName, Item } }] });
    await table.transactWrite(put({ PK: 'p', SK: '1', s: new Set(['a', 'b']), m: { x: 1, y: 2 } }));
    await table.delete({ TableName, Key: { PK: 'p', SK: '1' } });
    assert.deepEqual(
      await table.transactWrite(put({ m: { y: 2, x: 1 }, s: new Set(['a', 'b']), SK: '1', PK: 'p' })),
      {},
    );
    assert.equal(await read(table, 'p', '1'), undefined);
    const other = table.transactWrite(put({ PK: 'p', SK: '1', s: new Set(['a']), m: { x: 1, y: 2 } }));
    await assert.rejects(other, { name: 'IdempotentParameterMismatchException' });
  });
}

type TransactItem = NonNullable<TransactWriteCommandInput['TransactItems']>[number];
