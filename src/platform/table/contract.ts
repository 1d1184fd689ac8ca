/** What every engine of the table promises, as a function of "make me one". The engine holds the tables below, empty. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { conditionCases, refusedExpressions, refusedUpdates, updateCases } from './contract-cases.ts';
import { tableLimits } from './limits.ts';
import type { Table, TableSchema } from './port.ts';

export const contractTables: readonly TableSchema[] = [
  {
    tableName: 'things',
    partitionKey: { name: 'PK', type: 'S' },
    sortKey: { name: 'SK', type: 'S' },
    indexes: [
      { indexName: 'byOwner', partitionKey: { name: 'Owner', type: 'S' }, sortKey: { name: 'Rank', type: 'N' } },
      { indexName: 'bySort', partitionKey: { name: 'SK', type: 'S' } },
    ],
  },
  { tableName: 'numbers', partitionKey: { name: 'PK', type: 'N' }, sortKey: { name: 'SK', type: 'N' } },
  { tableName: 'bytes', partitionKey: { name: 'PK', type: 'B' }, sortKey: { name: 'SK', type: 'B' } },
  { tableName: 'single', partitionKey: { name: 'PK', type: 'S' } },
];

export interface TableWorld {
  readonly table: Table;
  /** Moves the engine's clock; absent where time cannot be moved. */
  readonly letPass?: (ms: number) => Promise<void>;
  cleanUp(): Promise<void>;
}

type Attributes = Record<string, unknown>;

const TableName = 'things';

export function tableContract(engine: string, makeWorld: () => Promise<TableWorld>): void {
  const test = (promise: string, run: (world: TableWorld) => Promise<void>) =>
    it(promise, async () => {
      const world = await makeWorld();
      try {
        await run(world);
      } finally {
        await world.table.close();
        await world.cleanUp();
      }
    });

  describe(`table contract: ${engine}`, () => {
    test('gives back every kind of value as it was put', async ({ table }) => {
      const item = { PK: 'a', SK: '1', ...everyKind() };
      assert.deepEqual(await table.put({ TableName, Item: item }), {});
      assert.deepEqual((await table.get({ TableName, Key: { PK: 'a', SK: '1' } })).Item, item);
      assert.deepEqual(await table.get({ TableName, Key: { PK: 'a', SK: '2' } }), {});
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

    test('judges conditions and filters alike, as DynamoDB does', async ({ table }) => {
      const item = { PK: 'a', SK: '1', ...everyKind() };
      await table.put({ TableName, Item: item });
      for (const [expression, values, expected, names] of conditionCases) {
        const ExpressionAttributeValues = values;
        const check = {
          TableName,
          Key: { PK: 'a', SK: '1' },
          ConditionExpression: expression,
          ExpressionAttributeValues,
        };
        const TransactItems = [{ ConditionCheck: { ...check, ExpressionAttributeNames: names } }];
        const holds = await table.transactWrite({ TransactItems }).then(
          () => true,
          error => {
            assert.equal(error.name, 'TransactionCanceledException', `${expression}: ${error.message}`);
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
        assert.deepEqual(
          answer,
          { Items: expected ? [item] : [], Count: Number(expected), ScannedCount: 1 },
          expression,
        );
      }
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
      const values = [
        undefined,
        Number.NaN,
        Number.POSITIVE_INFINITY,
        new Set(),
        new Set(['a', 1]),
        () => 1,
        new Date(0),
        nested(34),
      ];
      for (const value of values) {
        await assert.rejects(table.put({ TableName, Item: { PK: 'a', SK: '1', value } }));
        await assert.rejects(table.put({ TableName, Item: { PK: 'a', SK: '1', list: [value] } }));
      }
      assert.equal(await read(table, 'a', '1'), undefined);
      await table.put({ TableName, Item: { PK: 'a', SK: '1', value: nested(33) } });
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

    test('orders strings by UTF-8 bytes, numbers by value, binary by unsigned bytes', async ({ table }) => {
      const strings = ['!', 'A', 'a', 'a\0', 'a\0b', 'aa', 'ab', 'z', 'é', '\uffff', '\u{10000}', '\u{1f600}'];
      const numbers = [
        -9007199254740991, -100, -99.5, -1, -0.5, -1e-100, 0, 1e-130, 1e-5, 0.1, 1, 1.5, 2, 10, 99, 100, 101, 1e15,
      ];
      const bytes = [[0], [0, 0], [0, 255], [1], [127], [128], [255], [255, 0]].map(each => Uint8Array.from(each));
      const partition = { things: 'a', numbers: 7, bytes: Uint8Array.of(7) };
      for (const [tableName, sorted] of Object.entries({ things: strings, numbers, bytes })) {
        const PK = partition[tableName as keyof typeof partition]; // a cast: it is one of its keys
        for (const SK of shuffled<unknown>(sorted)) await table.put({ TableName: tableName, Item: { PK, SK } });
        const both = async (ScanIndexForward: boolean) =>
          (await queryItems(table, 'PK = :p', { ':p': PK }, { TableName: tableName, ScanIndexForward })).map(
            item => item.SK,
          );
        assert.deepEqual(await both(true), sorted);
        assert.deepEqual(await both(false), sorted.toReversed());
      }
    });

    test('answers every sort key condition, on the table and on an index', async ({ table }) => {
      for (const SK of ['a', 'ab', 'abc', 'b', 'ba', 'c']) await table.put({ TableName, Item: { PK: 'p', SK } });
      for (const [Rank, SK] of [1, 2, 3, 5, 8].entries()) {
        await table.put({ TableName, Item: { PK: 'ranks', SK: String(SK), Owner: 'o', Rank } });
      }
      await table.put({ TableName, Item: { PK: 'q', SK: 'b' } });
      const sorts = async (condition: string, values: Attributes) =>
        (await queryItems(table, `PK = :p AND ${condition}`, { ':p': 'p', ...values })).map(item => item.SK);
      assert.deepEqual(await sorts('SK = :v', { ':v': 'ab' }), ['ab']);
      assert.deepEqual(await sorts('SK < :v', { ':v': 'ab' }), ['a']);
      assert.deepEqual(await sorts('SK <= :v', { ':v': 'ab' }), ['a', 'ab']);
      assert.deepEqual(await sorts('SK > :v', { ':v': 'b' }), ['ba', 'c']);
      assert.deepEqual(await sorts('SK >= :v', { ':v': 'b' }), ['b', 'ba', 'c']);
      assert.deepEqual(await sorts(':v <= SK', { ':v': 'b' }), ['b', 'ba', 'c']);
      assert.deepEqual(await sorts('SK BETWEEN :v AND :w', { ':v': 'ab', ':w': 'b' }), ['ab', 'abc', 'b']);
      assert.deepEqual(await sorts('begins_with(SK, :v)', { ':v': 'ab' }), ['ab', 'abc']);
      const ranks = async (condition: string, values: Attributes) =>
        (await queryItems(table, `${condition} AND #o = :o`, { ':o': 'o', ...values }, { ...byOwner })).map(
          item => item.Rank,
        );
      const byOwner = { IndexName: 'byOwner', ExpressionAttributeNames: { '#o': 'Owner', '#r': 'Rank' } };
      assert.deepEqual(await ranks('#r = :v', { ':v': 2 }), [2]);
      assert.deepEqual(await ranks('#r < :v', { ':v': 2 }), [0, 1]);
      assert.deepEqual(await ranks('#r <= :v', { ':v': 2 }), [0, 1, 2]);
      assert.deepEqual(await ranks('#r > :v', { ':v': 2 }), [3, 4]);
      assert.deepEqual(await ranks('#r >= :v', { ':v': 2 }), [2, 3, 4]);
      assert.deepEqual(await ranks('#r BETWEEN :v AND :w', { ':v': 1, ':w': 3 }), [1, 2, 3]);
    });

    test('pages by Limit in both directions, on the table and on an index with ties', async ({ table }) => {
      for (let count = 0; count < 10; count++) {
        await table.put({ TableName, Item: { PK: 'p', SK: `s${count}`, Owner: 'o', Rank: count >> 2 } });
      }
      for (const ScanIndexForward of [true, false]) {
        for (const [KeyConditionExpression, IndexName] of [['PK = :v'], ['#o = :v', 'byOwner']]) {
          const found: unknown[] = [];
          const whole = {
            TableName,
            IndexName,
            KeyConditionExpression,
            ExpressionAttributeNames: IndexName === undefined ? undefined : { '#o': 'Owner' },
            ExpressionAttributeValues: { ':v': IndexName === undefined ? 'p' : 'o' },
            ScanIndexForward,
          };
          let ExclusiveStartKey: Attributes | undefined;
          do {
            const page = await table.query({ ...whole, ExclusiveStartKey, Limit: 3 });
            assert.ok((page.Items?.length ?? 0) <= 3);
            found.push(...(page.Items ?? []));
            ExclusiveStartKey = page.LastEvaluatedKey;
          } while (ExclusiveStartKey !== undefined);
          assert.deepEqual(found, (await table.query(whole)).Items);
          assert.equal(found.length, 10);
        }
      }
    });

    test('ends a page after 1 MB of what it evaluated, before the filter', async ({ table }) => {
      const value = 'x'.repeat(100_000);
      for (let count = 10; count < 32; count++)
        await table.put({ TableName, Item: { PK: 'p', SK: `${count}`, value } });
      const query = {
        TableName,
        KeyConditionExpression: 'PK = :p',
        FilterExpression: 'attribute_not_exists(#v)',
        ExpressionAttributeNames: { '#v': 'value' },
        ExpressionAttributeValues: { ':p': 'p' },
      };
      const first = await table.query(query);
      assert.deepEqual(first, { Items: [], Count: 0, ScannedCount: 11, LastEvaluatedKey: { PK: 'p', SK: '20' } });
      const second = await table.query({ ...query, ExclusiveStartKey: first.LastEvaluatedKey });
      const third = await table.query({ ...query, ExclusiveStartKey: second.LastEvaluatedKey });
      assert.equal((second.ScannedCount ?? 0) + (third.ScannedCount ?? 0), 11);
    });

    test('counts, projects and compacts', async ({ table }) => {
      await table.put({ TableName, Item: { PK: 'p', SK: '1', m: { a: 1, b: 2 }, l: [0, { x: 1, y: 2 }, 2, 3] } });
      const query = { TableName, KeyConditionExpression: 'PK = :p', ExpressionAttributeValues: { ':p': 'p' } };
      assert.deepEqual(await table.query({ ...query, Select: 'COUNT' }), { Count: 1, ScannedCount: 1 });
      const ProjectionExpression = 'm.b, l[3], l[1].x, absent, m.absent.deep';
      const { Items } = await table.query({ ...query, ProjectionExpression });
      assert.deepEqual(Items, [{ m: { b: 2 }, l: [{ x: 1 }, 3] }]);
      const got = await table.get({ TableName, Key: { PK: 'p', SK: '1' }, ProjectionExpression: 'absent' });
      assert.deepEqual(got, { Item: {} });
    });

    test('refuses queries that cannot be answered', async ({ table }) => {
      const query = { TableName, KeyConditionExpression: 'PK = :p', ExpressionAttributeValues: { ':p': 'p' } };
      const consistent = { ...query, IndexName: 'bySort', KeyConditionExpression: 'SK = :p', ConsistentRead: true };
      const message = 'Consistent reads are not supported on global secondary indexes';
      await assert.rejects(table.query(consistent), refusal(message));
      await assert.rejects(table.query({ ...query, Limit: 0 }), { name: 'ValidationException' });
      await assert.rejects(table.query({ ...query, Select: 'SPECIFIC_ATTRIBUTES' }), { name: 'ValidationException' });
      await assert.rejects(table.query({ ...query, Select: 'COUNT', ProjectionExpression: 'a' }), {
        name: 'ValidationException',
      });
      for (const ExclusiveStartKey of [{ PK: 'p' }, { PK: 'p', SK: 1 }, { PK: 'other', SK: '1' }]) {
        await assert.rejects(table.query({ ...query, ExclusiveStartKey }), { name: 'ValidationException' });
      }
    });

    test('keeps an index in step: sparse, moved, emptied', async ({ table }) => {
      const owners = async (owner: string) =>
        (
          await queryItems(
            table,
            '#o = :o',
            { ':o': owner },
            { IndexName: 'byOwner', ExpressionAttributeNames: { '#o': 'Owner' } },
          )
        ).map(item => item.SK);
      await table.put({ TableName, Item: { PK: 'p', SK: '1', Owner: 'ada', Rank: 1 } });
      await table.put({ TableName, Item: { PK: 'p', SK: '2', Owner: 'ada' } });
      await table.put({ TableName, Item: { PK: 'p', SK: '3', Owner: 'ada', Rank: 0 } });
      assert.deepEqual(await owners('ada'), ['3', '1']);
      const set = (SK: string, UpdateExpression: string, ExpressionAttributeValues?: Attributes) =>
        table.update({
          TableName,
          Key: { PK: 'p', SK },
          UpdateExpression,
          ExpressionAttributeNames: UpdateExpression.includes('#o') ? { '#o': 'Owner' } : { '#r': 'Rank' },
          ExpressionAttributeValues,
        });
      await set('1', 'SET #o = :o', { ':o': 'bob' });
      await set('2', 'SET #r = :r', { ':r': -1 });
      assert.deepEqual(await owners('ada'), ['2', '3']);
      assert.deepEqual(await owners('bob'), ['1']);
      await set('1', 'REMOVE #r');
      await table.delete({ TableName, Key: { PK: 'p', SK: '2' } });
      assert.deepEqual(await owners('bob'), []);
      assert.deepEqual(await owners('ada'), ['3']);
    });

    test('refuses a write whose index key is present but unfit', async ({ table }) => {
      const Item = { PK: 'p', SK: '1', Owner: 'ada', Rank: 1 };
      await assert.rejects(table.put({ TableName, Item: { ...Item, Rank: 'first' } }), { name: 'ValidationException' });
      await assert.rejects(table.put({ TableName, Item: { ...Item, Owner: '' } }), { name: 'ValidationException' });
      await table.put({ TableName, Item });
      const update = table.update({
        TableName,
        Key: { PK: 'p', SK: '1' },
        UpdateExpression: 'SET #r = :r',
        ExpressionAttributeNames: { '#r': 'Rank' },
        ExpressionAttributeValues: { ':r': 'first' },
      });
      await assert.rejects(update, { name: 'ValidationException' });
      assert.deepEqual(await read(table, 'p', '1'), Item);
    });

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
  });
}

/** One attribute of every type, named after what it holds. */
export function everyKind() {
  return {
    text: 'grün',
    emptyText: '',
    whole: 42,
    negative: -0.125,
    large: Number.MAX_SAFE_INTEGER,
    small: 1e-130,
    yes: true,
    nope: false,
    nothing: null,
    raw: Uint8Array.of(0, 1, 255),
    emptyRaw: new Uint8Array(),
    list: ['a', 1, [], { deep: [null] }],
    map: { a: 1, b: { c: 'x' } },
    emptyMap: {},
    texts: new Set(['a', 'b']),
    wholes: new Set([1, 2.5, -3]),
    raws: new Set([Uint8Array.of(1), Uint8Array.of(2)]),
  };
}

/** `levels - 1` lists, one in the other. */
function nested(levels: number): unknown {
  return levels === 1 ? 'leaf' : [nested(levels - 1)];
}

function shuffled<Element>(elements: readonly Element[]): Element[] {
  return elements
    .map((_, index) => elements[(index * 7 + 3) % elements.length])
    .filter(isFirst)
    .concat(elements);
}

function isFirst<Element>(element: Element, index: number, all: readonly Element[]): boolean {
  return all.indexOf(element) === index;
}

function refusal(message: string) {
  return (thrown: unknown) => {
    assert.ok(thrown instanceof Error);
    assert.equal(thrown.name, 'ValidationException');
    assert.ok(thrown.message.includes(message), `expected "${message}", was "${thrown.message}"`);
    return true;
  };
}

export async function read(table: Table, PK: string, SK: string): Promise<Attributes | undefined> {
  return (await table.get({ TableName, Key: { PK, SK }, ConsistentRead: true })).Item;
}

async function queryItems(
  table: Table,
  KeyConditionExpression: string,
  ExpressionAttributeValues: Attributes,
  more: Attributes = {},
): Promise<Attributes[]> {
  const needsAlias = KeyConditionExpression.startsWith('Owner')
    ? { ExpressionAttributeNames: { '#Owner': 'Owner' } }
    : {};
  const answer = await table.query({
    TableName,
    KeyConditionExpression: KeyConditionExpression.replace(/^Owner/, '#Owner'),
    ExpressionAttributeValues,
    ...needsAlias,
    ...more,
  });
  return answer.Items ?? [];
}
