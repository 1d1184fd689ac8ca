/** The same operations through the door of the endpoint: values with their types spelled out, binary as base64. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { systemClock } from '../../../kernel/clock.ts';
import { MemoryDisk } from '../../../kernel/memory-store.ts';
import { type CallOptions, callOperation } from '../call.ts';
import type { Meter, Use } from '../capacity/meter.ts';
import { contractTables } from '../contract/world.ts';
import { ThrottledError } from '../errors.ts';
import { tableLimits } from '../limits.ts';
import type { OperationName } from '../requests/index.ts';
import { openEngine } from '../storage/open-engine.ts';
import { wireFormat } from '../values/wire-format.ts';
import { noteTranslation } from './translated.ts';

const TableName = 'shown';

/** No capacity for the partition `hot`. */
const meter: Meter = {
  admit({ partition }: Use) {
    if (partition?.[0] === 'hot') throw new ThrottledError([], 'the table');
  },
  charge() {},
};

async function openWire() {
  const store = new MemoryDisk({ clock: systemClock, syncMs: 0 }).open();
  const engine = await openEngine({ store, clock: systemClock, tables: contractTables, meter });
  return (name: OperationName, input: object, options: CallOptions = {}) =>
    callOperation(engine, name, structuredClone(input), { format: wireFormat }, options);
}

describe('operations over the wire', () => {
  const key = (SK: string) => ({ PK: { S: 'p' }, SK: { S: SK } });
  const item = {
    ...key('1'),
    Time: { N: '1.50' },
    raw: { B: 'AAH/' },
    set: { NS: ['1', '2'] },
    l: { L: [{ NULL: true }] },
  };
  const stored = { ...item, Time: { N: '1.5' } };

  it('take and give values with their types', async () => {
    const call = await openWire();
    assert.deepEqual(await call('PutItem', { TableName, Item: item }), {});
    assert.deepEqual(await call('GetItem', { TableName, Key: key('1') }), { Item: stored });
    const update = {
      TableName,
      Key: key('1'),
      UpdateExpression: 'ADD #t :n',
      ExpressionAttributeNames: { '#t': 'Time' },
      ExpressionAttributeValues: { ':n': { N: '9007199254740993' } },
    };
    assert.deepEqual(await call('UpdateItem', { ...update, ReturnValues: 'UPDATED_NEW' }), {
      Attributes: { Time: { N: '9007199254740994.5' } },
    });
    const query = {
      TableName,
      IndexName: 'byPlace',
      KeyConditionExpression: 'PK = :p',
      ExpressionAttributeValues: { ':p': { S: 'p' } },
      Limit: 1,
    };
    await call('PutItem', { TableName, Item: { ...key('2'), Place: { S: 'a' } } });
    const placed = { ...key('2'), Place: { S: 'a' } };
    const page = { Items: [placed], Count: 1, ScannedCount: 1, LastEvaluatedKey: placed };
    assert.deepEqual(await call('Query', query), page);
    assert.deepEqual(await call('Query', { ...query, ExclusiveStartKey: placed }), {
      Items: [],
      Count: 0,
      ScannedCount: 0,
    });
    const metrics = { ItemCollectionKey: { PK: { S: 'p' } }, SizeEstimateRangeGB: [0, 1] };
    const deleted = await call('DeleteItem', { TableName, Key: key('2'), ReturnItemCollectionMetrics: 'SIZE' });
    assert.deepEqual(deleted, { ItemCollectionMetrics: metrics });
  });

  it('hand back what a batch did not do as it was sent', async () => {
    const call = await openWire();
    const hot = { PK: { S: 'hot' }, SK: { S: '1' } };
    const put = { PutRequest: { Item: { ...hot, raw: { B: 'AAH/' }, set: { BS: ['AA=='] } } } };
    const RequestItems = { [TableName]: [{ PutRequest: { Item: item } }, put] };
    assert.deepEqual(await call('BatchWriteItem', { RequestItems }), { UnprocessedItems: { [TableName]: [put] } });
    const request = { Keys: [key('1'), hot], ProjectionExpression: '#r', ExpressionAttributeNames: { '#r': 'raw' } };
    assert.deepEqual(await call('BatchGetItem', { RequestItems: { [TableName]: request } }), {
      Responses: { [TableName]: [{ raw: { B: 'AAH/' } }] },
      UnprocessedKeys: { [TableName]: { ...request, Keys: [hot] } },
    });
  });

  it('give the item of a failed condition with its types, binary as bytes, as errors do', async () => {
    const call = await openWire();
    const check = {
      TableName,
      ConditionExpression: 'attribute_not_exists(PK)',
      ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
    };
    const Item = { ...stored, raw: { B: Uint8Array.of(0, 1, 255) } };
    await call('TransactWriteItems', { TransactItems: [{ Put: { TableName, Item: item } }] });
    await assert.rejects(call('PutItem', { ...check, Item: item }), { name: 'ConditionalCheckFailedException', Item });
    await assert.rejects(
      call('TransactWriteItems', { TransactItems: [{ ConditionCheck: { ...check, Key: key('1') } }] }),
      {
        CancellationReasons: [{ Code: 'ConditionalCheckFailed', Message: 'The conditional request failed', Item }],
      },
    );
    const gets = [
      { Get: { TableName, Key: key('1'), ProjectionExpression: 'l' } },
      { Get: { TableName, Key: key('x') } },
    ];
    assert.deepEqual(await call('TransactGetItems', { TransactItems: gets }), {
      Responses: [{ Item: { l: { L: [{ NULL: true }] } } }, {}],
    });
  });

  it('measure an update by its result when it was not sent as an expression', async () => {
    const call = await openWire();
    const pad = 'x'.repeat(tableLimits.itemBytesMax - 'PKkb'.length);
    const update = {
      TableName: 'single',
      Key: { PK: { S: 'k' } },
      UpdateExpression: 'SET b = :pad',
      ExpressionAttributeValues: { ':pad': { S: pad } },
    };
    const tooLarge = { code: 'table.itemTooLarge' };
    await assert.rejects(call('UpdateItem', update), tooLarge);
    const translate: CallOptions['translate'] = (_name, request) =>
      noteTranslation({ ...request }, { isMeasuredByResult: true });
    assert.deepEqual(await call('UpdateItem', update, { translate }), {});
    const larger = { ...update, ExpressionAttributeValues: { ':pad': { S: `${pad}x` } } };
    await assert.rejects(call('UpdateItem', larger, { translate }), tooLarge);
  });
});
