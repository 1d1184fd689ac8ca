/** Queries: order, ranges, pages, and what is refused. */
import assert from 'node:assert/strict';
import type { QueryCommandInput } from '@aws-sdk/lib-dynamodb';
import { type Attributes, queryItems, refusal, shuffled, TableName, type Test } from './world.ts';

export function queryPromises(test: Test): void {
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
    for (let count = 10; count < 32; count++) await table.put({ TableName, Item: { PK: 'p', SK: `${count}`, value } });
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

  test('begins behind a key, which need not be there', async ({ table }) => {
    for (const SK of ['a', 'c', 'e']) await table.put({ TableName, Item: { PK: 'p', SK } });
    const sorts = async (SK: string, more: Attributes = {}) => {
      const ExclusiveStartKey = { PK: 'p', SK };
      return (await queryItems(table, 'PK = :p', { ':p': 'p' }, { ExclusiveStartKey, ...more })).map(item => item.SK);
    };
    assert.deepEqual(await sorts('a'), ['c', 'e']);
    assert.deepEqual(await sorts('b'), ['c', 'e']);
    assert.deepEqual(await sorts('e'), []);
    assert.deepEqual(await sorts('c', { ScanIndexForward: false }), ['a']);
    assert.deepEqual(await sorts('d', { ScanIndexForward: false }), ['c', 'a']);
  });

  test('refuses a starting key that does not belong to the query', async ({ table }) => {
    const query = { TableName, KeyConditionExpression: 'PK = :p', ExpressionAttributeValues: { ':p': 'p' } };
    const sorted = {
      ...query,
      KeyConditionExpression: 'PK = :p AND SK > :s',
      ExpressionAttributeValues: { ':p': 'p', ':s': 'm' },
    };
    const owned = {
      TableName,
      IndexName: 'byOwner',
      KeyConditionExpression: '#o = :o',
      ExpressionAttributeNames: { '#o': 'Owner' },
      ExpressionAttributeValues: { ':o': 'ada' },
    };
    const outside = 'The provided starting key is outside query boundaries based on provided conditions';
    const mismatch = 'The provided key element does not match the schema';
    const cases: readonly (readonly [QueryCommandInput, Attributes, string])[] = [
      [query, { PK: 'p' }, 'The provided starting key is invalid'],
      [query, { PK: 'p', SK: '1', x: 1 }, 'The provided starting key is invalid'],
      [query, { PK: 'p', x: '1' }, 'The provided starting key is invalid'],
      [query, { PK: 'p', SK: 1 }, mismatch],
      [query, { PK: 'other', SK: '1' }, outside],
      [sorted, { PK: 'p', SK: 'a' }, 'The provided starting key does not match the range key predicate'],
      [sorted, { PK: 'other', SK: 'z' }, 'The query can return at most one row and cannot be restarted'],
      [owned, { PK: 'p', SK: '1' }, 'The provided starting key is invalid'],
      [owned, { PK: 'p', SK: 1, Owner: 'ada', Rank: 1 }, `The provided starting key is invalid: ${mismatch}`],
      [owned, { PK: 'p', SK: '1', Owner: 'ada', Rank: 'x' }, mismatch],
      [owned, { PK: 'p', SK: '1', Owner: 'bob', Rank: 1 }, outside],
    ];
    for (const [input, ExclusiveStartKey, message] of cases) {
      const refused = table.query({ ...input, ExclusiveStartKey });
      await assert.rejects(refused, { name: 'ValidationException', message }, JSON.stringify(ExclusiveStartKey));
    }
  });

  test('refuses a Select that does not go with the rest', async ({ table }) => {
    const query = { TableName, KeyConditionExpression: 'PK = :p', ExpressionAttributeValues: { ':p': 'p' } };
    const cases: readonly (readonly [Partial<QueryCommandInput>, string])[] = [
      [
        { Select: 'SPECIFIC_ATTRIBUTES' },
        '1 validation error detected: Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES',
      ],
      [
        { Select: 'ALL_PROJECTED_ATTRIBUTES' },
        'ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName',
      ],
      [
        { Select: 'ALL_ATTRIBUTES', ProjectionExpression: 'a' },
        'Cannot specify the ProjectionExpression when choosing to get ALL_ATTRIBUTES',
      ],
      [
        { Select: 'COUNT', ProjectionExpression: 'a' },
        'Cannot specify the ProjectionExpression when choosing to get only the Count',
      ],
    ];
    for (const [more, message] of cases) {
      await assert.rejects(table.query({ ...query, ...more }), refusal(message));
    }
    const { Items } = await table.query({ ...query, Select: 'SPECIFIC_ATTRIBUTES', ProjectionExpression: 'SK' });
    assert.deepEqual(Items, []);
  });

  test('looks at expressions before it looks for the table', async ({ table }) => {
    const query = { TableName: 'absent', ExpressionAttributeValues: { ':p': 'p' } };
    const malformed = table.query({ ...query, KeyConditionExpression: 'PK = ' });
    await assert.rejects(malformed, refusal('Invalid KeyConditionExpression: Syntax error'));
    const wellFormed = table.query({ ...query, KeyConditionExpression: 'PK = :p' });
    await assert.rejects(wellFormed, { name: 'ResourceNotFoundException', message: 'Requested resource not found' });
  });
}
