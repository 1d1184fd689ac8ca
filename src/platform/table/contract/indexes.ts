/** Secondary indexes: who is in there and what they show. */
import assert from 'node:assert/strict';
import { type Attributes, queryItems, read, refusal, TableName, type Test } from './world.ts';

export function indexPromises(test: Test): void {
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

  test('refuses an update that makes an index key unfit, and leaves other unfit ones alone', async ({ table }) => {
    const Key = { PK: 'p', SK: '1' };
    await table.put({ TableName, Item: { ...Key, n: 1, blank: '' } });
    const update = (UpdateExpression: string, ExpressionAttributeValues?: Attributes) =>
      table.update({
        TableName,
        Key,
        UpdateExpression,
        ExpressionAttributeNames: { '#o': 'Owner' },
        ExpressionAttributeValues,
      });
    const mistyped = 'Type mismatch for Index Key Owner Expected: S Actual: N IndexName: byOwner';
    await assert.rejects(update('SET #o = :n', { ':n': 1 }), refusal(mistyped));
    const computed = 'The update expression attempted to update the secondary index key to unsupported type';
    await assert.rejects(update('SET #o = n'), refusal(computed));
    const empty =
      'attempted to update a secondary index key to a value that is not supported. The AttributeValue for a key attribute cannot contain an empty string value.';
    await assert.rejects(update('SET #o = :e', { ':e': '' }), refusal(empty));
    await assert.rejects(update('SET #o = blank'), refusal(empty));
    assert.deepEqual(await read(table, 'p', '1'), { ...Key, n: 1, blank: '' });
  });

  test('shows of an item what an index projects, and refuses to be asked for more', async ({ table }) => {
    const keys = { PK: 'p', SK: '1', Group: 'g' };
    await table.put({ TableName: 'shown', Item: { ...keys, shown: 'a', secret: 'b', Time: 1 } });
    const query = {
      TableName: 'shown',
      IndexName: 'byGroup',
      KeyConditionExpression: '#g = :g',
      ExpressionAttributeNames: { '#g': 'Group' },
      ExpressionAttributeValues: { ':g': 'g' },
    };
    const shown = { ...keys, shown: 'a' };
    assert.deepEqual((await table.query(query)).Items, [shown]);
    assert.deepEqual((await table.query({ ...query, Select: 'ALL_PROJECTED_ATTRIBUTES' })).Items, [shown]);
    assert.deepEqual((await table.query({ ...query, ProjectionExpression: 'SK, shown' })).Items, [
      { SK: '1', shown: 'a' },
    ]);
    assert.deepEqual((await table.scan({ TableName: 'shown', IndexName: 'byGroup' })).Items, [shown]);
    const projects = refusal(
      'One or more parameter values were invalid: Global secondary index byGroup does not project [secret, more]',
    );
    await assert.rejects(table.query({ ...query, ProjectionExpression: 'secret, shown, more.a' }), projects);
    const scan = { TableName: 'shown', IndexName: 'byGroup' };
    await assert.rejects(table.scan({ ...scan, ProjectionExpression: 'secret, more' }), projects);
    const all = refusal(
      'Select type ALL_ATTRIBUTES is not supported for global secondary index byGroup because its projection type is not ALL',
    );
    await assert.rejects(table.query({ ...query, Select: 'ALL_ATTRIBUTES' }), all);
    await assert.rejects(table.scan({ ...scan, Select: 'ALL_ATTRIBUTES' }), all);
    const FilterExpression = 'secret = :h';
    const filtered = table.query({
      ...query,
      FilterExpression,
      ExpressionAttributeValues: { ':g': 'g', ':h': 'b' },
    });
    await assert.rejects(
      filtered,
      refusal('Secondary index byGroup does not project one or more filter attributes: [secret]'),
    );
    const unseen = await table.scan({ ...scan, FilterExpression, ExpressionAttributeValues: { ':h': 'b' } });
    assert.deepEqual([unseen.Count, unseen.ScannedCount], [0, 1]);
  });

  test('orders a partition anew by a local index, consistently, and fetches what that does not show', async world => {
    const { table } = world;
    const item = (SK: string, Place: string) => ({ PK: 'p', SK, Place, more: SK });
    for (const each of [item('1', 'z'), item('2', 'a'), item('3', 'm')]) {
      await table.put({ TableName: 'shown', Item: each });
    }
    await table.put({ TableName: 'shown', Item: { PK: 'p', SK: '4' } });
    await table.put({ TableName: 'shown', Item: { ...item('5', 'b'), PK: 'q' } });
    const query = {
      TableName: 'shown',
      IndexName: 'byPlace',
      KeyConditionExpression: 'PK = :p',
      ExpressionAttributeValues: { ':p': 'p' },
      ConsistentRead: true,
    };
    const places = [
      { PK: 'p', SK: '2', Place: 'a' },
      { PK: 'p', SK: '3', Place: 'm' },
      { PK: 'p', SK: '1', Place: 'z' },
    ];
    assert.deepEqual((await table.query(query)).Items, places);
    assert.deepEqual((await table.query({ ...query, ScanIndexForward: false })).Items, places.toReversed());
    const all = await table.query({ ...query, Select: 'ALL_ATTRIBUTES' });
    assert.deepEqual(all.Items, [item('2', 'a'), item('3', 'm'), item('1', 'z')]);
    const some = await table.query({ ...query, ProjectionExpression: 'more' });
    assert.deepEqual(some.Items, [{ more: '2' }, { more: '3' }, { more: '1' }]);
    const ranged = {
      ...query,
      KeyConditionExpression: 'PK = :p AND Place > :a',
      ExpressionAttributeValues: { ':p': 'p', ':a': 'a' },
    };
    assert.deepEqual((await table.query(ranged)).Items, places.slice(1));
    const first = await table.query({ ...query, Limit: 1 });
    assert.deepEqual(first.LastEvaluatedKey, { PK: 'p', SK: '2', Place: 'a' });
  });

  test('orders an index by several attributes, and queries it from the first on', async ({ table }) => {
    const rooms: readonly (readonly [PK: string, city: string, floor: number | undefined, room: string])[] = [
      ['1', 'Basel', 2, 'b'],
      ['2', 'Basel', 10, 'a'],
      ['3', 'Basel', 2, 'a'],
      ['4', 'Bern', -1, 'a'],
      ['5', 'Bern', undefined, 'a'],
    ];
    for (const [PK, city, floor, room] of rooms) {
      const Item = { PK, tenant: 't', country: 'ch', city, room, ...(floor === undefined ? {} : { floor }) };
      await table.put({ TableName: 'several', Item });
    }
    await table.put({
      TableName: 'several',
      Item: { PK: '6', tenant: 'tc', country: 'h', city: 'Basel', floor: 1, room: 'a' },
    });
    const find = async (condition: string, values: Attributes = {}, more: Attributes = {}) => {
      const answer = await table.query({
        TableName: 'several',
        IndexName: 'byPlace',
        KeyConditionExpression: condition,
        ExpressionAttributeValues: { ':t': 't', ':c': 'ch', ...values },
        ...more,
      });
      return (answer.Items ?? []).map(({ PK }) => PK).join('');
    };
    const place = 'tenant = :t AND country = :c';
    assert.equal(await find(place), '3124');
    assert.equal(await find(place, {}, { ScanIndexForward: false }), '4213');
    assert.equal(await find(`city = :y AND ${place}`, { ':y': 'Basel' }), '312');
    assert.equal(await find(`${place} AND city = :y AND floor = :f`, { ':y': 'Basel', ':f': 2 }), '31');
    assert.equal(await find(`${place} AND city = :y AND floor > :f`, { ':y': 'Basel', ':f': 2 }), '2');
    assert.equal(await find(`${place} AND begins_with(city, :y)`, { ':y': 'Ber' }), '4');
    const exact = `${place} AND city = :y AND floor = :f AND room BETWEEN :a AND :b`;
    assert.equal(await find(exact, { ':y': 'Basel', ':f': 2, ':a': 'b', ':b': 'c' }), '1');
    const page = await table.query({
      TableName: 'several',
      IndexName: 'byPlace',
      KeyConditionExpression: place,
      ExpressionAttributeValues: { ':t': 't', ':c': 'ch' },
      Limit: 2,
    });
    const names = ['PK', 'city', 'country', 'floor', 'room', 'tenant'];
    assert.deepEqual(Object.keys(page.LastEvaluatedKey ?? {}).sort(), names);
    assert.equal(await find(place, {}, { ExclusiveStartKey: page.LastEvaluatedKey }), '24');
    const longest = { PK: '7', tenant: 't', country: 'ch', city: 'c'.repeat(600), floor: 1, room: 'r'.repeat(424) };
    await table.put({ TableName: 'several', Item: longest });
    const longer = table.put({ TableName: 'several', Item: { ...longest, room: 'r'.repeat(425) } });
    await assert.rejects(
      longer,
      refusal('Aggregated size of all range keys has exceeded the size limit of 1024 bytes'),
    );
    const gap = find(`${place} AND floor = :f`, { ':f': 2 });
    await assert.rejects(gap, refusal('RANGE key attributes city must have equality conditions specified'));
    const half = table.query({
      TableName: 'several',
      IndexName: 'byPlace',
      KeyConditionExpression: 'tenant = :t',
      ExpressionAttributeValues: { ':t': 't' },
    });
    await assert.rejects(half, refusal('Query condition missed key schema element: country'));
  });
}
