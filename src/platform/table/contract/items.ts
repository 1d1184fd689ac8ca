/** Putting, getting and deleting items, what they may hold and how large they may be. */
import assert from 'node:assert/strict';
import { tableLimits } from '../limits.ts';
import { type Attributes, everyKind, nested, queryItems, read, refusal, TableName, type Test } from './world.ts';

export function itemPromises(test: Test): void {
  test('gives back every kind of value as it was put', async ({ table }) => {
    const item = { PK: 'a', SK: '1', ...everyKind() };
    assert.deepEqual(await table.put({ TableName, Item: item }), {});
    assert.deepEqual((await table.get({ TableName, Key: { PK: 'a', SK: '1' } })).Item, item);
    assert.deepEqual(await table.get({ TableName, Key: { PK: 'a', SK: '2' } }), {});
  });

  test('answers the members of a set in order: texts and bytes by their bytes, numbers by value', async ({ table }) => {
    const Key = { PK: 'a', SK: '1' };
    const bytes = (...all: number[]) => new Uint8Array(all);
    const sets = {
      ss: new Set(['\u{1f600}', 'b', '\uffff', 'a', '']),
      ns: new Set([10, -1, 9]),
      bs: new Set([bytes(2), bytes(), bytes(1, 2), bytes(1)]),
    };
    await table.put({ TableName, Item: { ...Key, ...sets, late: new Set(['z']) } });
    const added = await table.update({
      TableName,
      Key,
      UpdateExpression: 'ADD late :s, ns :n',
      ExpressionAttributeValues: { ':s': new Set(['y', '']), ':n': new Set([0.5]) },
      ReturnValues: 'ALL_NEW',
    });
    const stored = await read(table, 'a', '1');
    for (const item of [stored, added.Attributes]) {
      assert.deepEqual(listOf(item?.ns), [-1, 0.5, 9, 10]);
      assert.deepEqual(listOf(item?.late), ['', 'y', 'z']);
    }
    assert.deepEqual(listOf(stored?.ss), ['', 'a', 'b', '\uffff', '\u{1f600}']);
    assert.deepEqual(listOf(stored?.bs), [bytes(), bytes(1), bytes(1, 2), bytes(2)]);
  });

  test('keeps attribute names that mean something to JavaScript', async ({ table }) => {
    const Item = JSON.parse('{"PK":"a","SK":"1","__proto__":{"polluted":true},"constructor":1,"m":{"__proto__":2}}');
    await table.put({ TableName, Item });
    const UpdateExpression = 'SET #m.#p = :v';
    const ExpressionAttributeNames = { '#m': 'm', '#p': '__proto__' };
    const ExpressionAttributeValues = { ':v': 3 };
    const Key = { PK: 'a', SK: '1' };
    await table.update({ TableName, Key, UpdateExpression, ExpressionAttributeNames, ExpressionAttributeValues });
    const stored = (await table.get({ TableName, Key })).Item ?? {};
    assert.equal(
      JSON.stringify(stored),
      '{"PK":"a","SK":"1","__proto__":{"polluted":true},"constructor":1,"m":{"__proto__":3}}',
    );
    assert.equal(Reflect.get({}, 'polluted'), undefined);
  });

  test('replaces the whole item on put, and returns the old one if asked', async ({ table }) => {
    await table.put({ TableName, Item: { PK: 'a', SK: '1', x: 1 } });
    const Item = { PK: 'a', SK: '1', y: 2 };
    const answer = await table.put({ TableName, Item, ReturnValues: 'ALL_OLD' });
    assert.deepEqual(answer, { Attributes: { PK: 'a', SK: '1', x: 1 } });
    assert.deepEqual(await read(table, 'a', '1'), Item);
    const first = await table.put({ TableName, Item: { PK: 'b', SK: '1' }, ReturnValues: 'ALL_OLD' });
    assert.deepEqual(first, {});
  });

  test('deletes, content if there was nothing', async ({ table }) => {
    await table.put({ TableName, Item: { PK: 'a', SK: '1', x: 1 } });
    const Key = { PK: 'a', SK: '1' };
    const answer = await table.delete({ TableName, Key, ReturnValues: 'ALL_OLD' });
    assert.deepEqual(answer, { Attributes: { PK: 'a', SK: '1', x: 1 } });
    assert.deepEqual(await table.delete({ TableName, Key, ReturnValues: 'ALL_OLD' }), {});
    assert.equal(await read(table, 'a', '1'), undefined);
  });

  test('does nothing when a condition fails, and returns the item only if asked', async ({ table }) => {
    const Item = { PK: 'a', SK: '1', x: 1 };
    await table.put({ TableName, Item });
    const again = { TableName, Item: { PK: 'a', SK: '1', x: 2 }, ConditionExpression: 'attribute_not_exists(PK)' };
    const refused = { name: 'ConditionalCheckFailedException', message: 'The conditional request failed' };
    await assert.rejects(table.put(again), refused);
    const returning = table.put({ ...again, ReturnValuesOnConditionCheckFailure: 'ALL_OLD' });
    await assert.rejects(returning, { ...refused, Item: { PK: { S: 'a' }, SK: { S: '1' }, x: { N: '1' } } });
    const Key = { PK: 'absent', SK: '1' };
    const ConditionExpression = 'attribute_exists(PK)';
    await assert.rejects(table.delete({ TableName, Key, ConditionExpression }), refused);
    const UpdateExpression = 'REMOVE x';
    await assert.rejects(table.update({ TableName, Key, UpdateExpression, ConditionExpression }), refused);
    assert.equal(await read(table, 'absent', '1'), undefined);
    assert.deepEqual(await read(table, 'a', '1'), Item);
  });

  test('lets exactly one of many creators win, and counts every increment', async ({ table }) => {
    const create = (by: number) =>
      table
        .put({ TableName, Item: { PK: 'a', SK: '1', by }, ConditionExpression: 'attribute_not_exists(PK)' })
        .then(() => by)
        .catch(() => undefined);
    const winners = (await Promise.all(Array.from({ length: 50 }, (_, by) => create(by)))).filter(
      by => by !== undefined,
    );
    assert.equal(winners.length, 1);
    assert.deepEqual(await read(table, 'a', '1'), { PK: 'a', SK: '1', by: winners[0] });
    const increment = () =>
      table.update({
        TableName,
        Key: { PK: 'a', SK: 'count' },
        UpdateExpression: 'ADD tally :one',
        ExpressionAttributeValues: { ':one': 1 },
      });
    await Promise.all(Array.from({ length: 100 }, increment));
    assert.deepEqual(await read(table, 'a', 'count'), { PK: 'a', SK: 'count', tally: 100 });
  });

  test('refuses keys that do not fit the schema', async ({ table }) => {
    const mismatch = refusal('The provided key element does not match the schema');
    for (const Key of [{ PK: 'a' }, { PK: 'a', SK: 1 }, { PK: 'a', SK: '1', x: 1 }, { SK: '1', x: 1 }]) {
      await assert.rejects(table.get({ TableName, Key }), mismatch);
    }
    const missing = 'One or more parameter values were invalid: Missing the key SK in the item';
    await assert.rejects(table.put({ TableName, Item: { PK: 'a' } }), refusal(missing));
    const mistyped = 'One or more parameter values were invalid: Type mismatch for key SK expected: S actual: N';
    await assert.rejects(table.put({ TableName, Item: { PK: 'a', SK: 1 } }), refusal(mistyped));
    const empty =
      'One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value. Key: SK';
    await assert.rejects(table.put({ TableName, Item: { PK: 'a', SK: '' } }), refusal(empty));
  });

  test('refuses a table or an index it does not have', async ({ table }) => {
    const Key = { PK: 'a', SK: '1' };
    const absent = { name: 'ResourceNotFoundException' };
    await assert.rejects(table.get({ TableName: 'absent', Key }), absent);
    const query = { TableName, IndexName: 'absent', KeyConditionExpression: 'PK = :p' };
    const refused = table.query({ ...query, ExpressionAttributeValues: { ':p': 'a' } });
    await assert.rejects(refused, refusal('The table does not have the specified index: absent'));
  });

  test('refuses values that no item may hold', async ({ table }) => {
    const values = [Number.NaN, Number.POSITIVE_INFINITY, new Set(), new Date(0), nested(33)];
    for (const value of values) {
      await assert.rejects(table.put({ TableName, Item: { PK: 'a', SK: '1', value } }));
      await assert.rejects(table.put({ TableName, Item: { PK: 'a', SK: '1', list: [value] } }));
    }
    assert.equal(await read(table, 'a', '1'), undefined);
    await table.put({ TableName, Item: { PK: 'a', SK: '1', value: nested(32) } });
  });

  test('keeps items up to the size limit, names included, and refuses larger ones', async ({ table }) => {
    const room = tableLimits.itemBytesMax - 'PKaSK1value'.length;
    const item = (bytes: number) => ({ PK: 'a', SK: '1', value: 'x'.repeat(bytes) });
    await table.put({ TableName, Item: item(room) });
    assert.deepEqual(await read(table, 'a', '1'), item(room));
    const put = table.put({ TableName, Item: item(room + 1) });
    await assert.rejects(put, refusal('Item size has exceeded the maximum allowed size'));
    const update = table.update({
      TableName,
      Key: { PK: 'a', SK: '1' },
      UpdateExpression: 'SET another = :v',
      ExpressionAttributeValues: { ':v': 1 },
    });
    await assert.rejects(update, refusal('Item size to update has exceeded the maximum allowed size'));
  });

  test('keeps keys up to their limits, and refuses longer ones', async ({ table }) => {
    const key = (partitionBytes: number, sortBytes: number) => ({
      PK: '\0'.repeat(partitionBytes),
      SK: '\0'.repeat(sortBytes),
    });
    const Item = { ...key(2048, 1024), Owner: '\0'.repeat(2048), Rank: 1 };
    await table.put({ TableName, Item });
    assert.deepEqual((await table.get({ TableName, Key: key(2048, 1024) })).Item, Item);
    assert.deepEqual(await queryItems(table, 'Owner = :p', { ':p': Item.Owner }, { IndexName: 'byOwner' }), [Item]);
    assert.deepEqual(await queryItems(table, 'SK = :p', { ':p': Item.SK }, { IndexName: 'bySort' }), [Item]);
    await assert.rejects(table.put({ TableName, Item: key(2049, 1) }), { name: 'ValidationException' });
    await assert.rejects(table.put({ TableName, Item: key(1, 1025) }), { name: 'ValidationException' });
  });

  test('measures the statement of an update besides the item it makes', async ({ table }) => {
    for (const [at, [clause, charge, before, values]] of updateCharges.entries()) {
      const name = clause ?? 'SET of one attribute';
      const expression =
        clause === undefined
          ? 'SET b = :pad'
          : clause.startsWith('SET ')
            ? `SET b = :pad, ${clause.slice(4)}`
            : `SET b = :pad ${clause}`;
      const update = (PK: string, padding: number) =>
        table.update({
          TableName: 'single',
          Key: { PK },
          UpdateExpression: expression,
          ExpressionAttributeValues: { ...values, ':pad': 'x'.repeat(padding) },
        });
      const padding = tableLimits.itemBytesMax - 3 - 19 - 'b'.length - charge;
      const [fits, exceeds] = [`f${at}`, `e${at}`];
      for (const PK of [fits, exceeds]) await table.put({ TableName: 'single', Item: { PK, ...before } });
      await update(fits, padding);
      const refused = refusal('Item size to update has exceeded the maximum allowed size');
      await assert.rejects(update(exceeds, padding + 1), refused, name);
    }
  });

  test('measures the result of an update in a transaction, and of one with a long key', async ({ table }) => {
    const update = (PK: string, bytes: number) => ({
      TableName: 'single',
      Key: { PK },
      UpdateExpression: 'SET b = :pad',
      ExpressionAttributeValues: { ':pad': 'x'.repeat(bytes - 'PK'.length - PK.length - 'b'.length) },
    });
    const most = tableLimits.itemBytesMax;
    await assert.rejects(table.update(update('k', most)), { name: 'ValidationException' });
    await table.transactWrite({ TransactItems: [{ Update: update('k', most) }] });
    await table.update(update('k'.repeat(30), most));
    const long = update('k'.repeat(30), most + 1);
    await assert.rejects(table.update(long), refusal('Item size to update has exceeded the maximum allowed size'));
    await assert.rejects(table.transactWrite({ TransactItems: [{ Update: long }] }), {
      name: 'TransactionCanceledException',
    });
  });
}

/** What else than `SET b = :pad` a statement has, its charge, and the item before: those seen on the real service. */
const updateCharges: readonly (readonly [
  clause: string | undefined,
  charge: number,
  before?: Attributes,
  values?: Attributes,
])[] = [
  [undefined, 0],
  ['SET c = :c', 19 + 1 + 1, {}, { ':c': 'y' }],
  ['SET c = :c', 19 + 1 + 500, {}, { ':c': 'y'.repeat(500) }],
  ['SET m.leaf = :c', 19 + (1 + 4 + 4) + 10, { m: {} }, { ':c': 'y'.repeat(10) }],
  ['SET l[0] = :c', 19 + (1 + 4 + 1) + 10, { l: [] }, { ':c': 'y'.repeat(10) }],
  ['SET c = abcdefghij', 19 + 1 + (1 + 14 + 10), { abcdefghij: 'y'.repeat(10) }],
  ['SET c = m.a.z', 19 + 1 + (1 + 15 + 15 + 15), { m: { a: { z: 'y' } } }],
  ['SET c = l[10]', 19 + 1 + (1 + 15 + 16), { l: Array.from({ length: 11 }, () => 'e') }],
  ['SET n = n + :one', 19 + 1 + 34 + 16 + 2, { n: 1 }, { ':one': 1 }],
  ['SET n = n - :one', 19 + 1 + 37 + 16 + 2, { n: 1 }, { ':one': 1 }],
  ['SET c = if_not_exists(c, :v)', 19 + 1 + 39 + 16 + 10, { c: 'c' }, { ':v': 'y'.repeat(10) }],
  ['SET l = list_append(l, :new)', 19 + 1 + 37 + 16 + (3 + 1 + 10), { l: ['e'] }, { ':new': ['y'.repeat(10)] }],
  ['ADD abcdefghij :one', 19 + 10 + 2, { abcdefghij: 1 }, { ':one': 1 }],
  ['ADD ss :new', 19 + 2 + 500, { ss: new Set(['p']) }, { ':new': new Set(['s'.repeat(500)]) }],
  ['REMOVE r', 1 + 1, { r: 'z' }],
  ['REMOVE abcdefghij[1]', 1 + 10 + 4 + 1, { abcdefghij: ['a', 'b'] }],
  ['REMOVE m.yyyyyyyyyy', 1 + 1 + 4 + 10, { m: { yyyyyyyyyy: 'r' } }],
  ['DELETE ss :rm', 1 + 2, { ss: new Set(['p', 'q'.repeat(20)]) }, { ':rm': new Set(['q'.repeat(20)]) }],
];

function listOf(set: unknown): unknown[] {
  assert.ok(set instanceof Set);
  return [...set];
}
