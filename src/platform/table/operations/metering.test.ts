import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { asCaller } from '../../../kernel/callers.ts';
import { MemoryDisk } from '../../../kernel/memory-store.ts';
import { VirtualClock } from '../../../kernel/virtual-clock.ts';
import type { Meter, Use } from '../capacity/meter.ts';
import { contractTables } from '../contract/world.ts';
import { openEmbeddedTable } from '../embedded.ts';
import { ThrottledError } from '../errors.ts';
import type { Table } from '../port.ts';

/** Writes down what it is told, and has no capacity for what `isThrottled` says. */
class NotingMeter implements Meter {
  readonly admitted: Use[] = [];
  readonly charged: { readonly use: Use; readonly units: number }[] = [];
  isThrottled: (use: Use) => boolean = () => false;

  admit(use: Use): void {
    this.admitted.push(use);
    if (this.isThrottled(use)) throw new ThrottledError([], 'the table');
  }

  charge(use: Use, units: number): void {
    this.charged.push({ use, units });
  }

  /** All charged since the last time. */
  take(): number {
    return this.charged.splice(0).reduce((sum, { units }) => sum + units, 0);
  }
}

async function openMetered(): Promise<{ table: Table; meter: NotingMeter }> {
  const clock = new VirtualClock();
  const meter = new NotingMeter();
  const store = new MemoryDisk({ clock, syncMs: 0 }).open();
  const table = await clock.until(openEmbeddedTable({ store, clock, tables: contractTables, meter }));
  const untilDone =
    <Input, Output>(method: (input: Input) => Promise<Output>) =>
    (input: Input) =>
      clock.until(method(input));
  return {
    meter,
    table: {
      get: untilDone(table.get),
      put: untilDone(table.put),
      delete: untilDone(table.delete),
      update: untilDone(table.update),
      query: untilDone(table.query),
      scan: untilDone(table.scan),
      batchGet: untilDone(table.batchGet),
      batchWrite: untilDone(table.batchWrite),
      transactGet: untilDone(table.transactGet),
      transactWrite: untilDone(table.transactWrite),
      close: table.close,
    },
  };
}

const TableName = 'shown';
const TOTAL = { ReturnConsumedCapacity: 'TOTAL' } as const;

describe('metering', () => {
  it('charges what the answers say, for any calls', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(call, { minLength: 5, maxLength: 30 }), async calls => {
        const { table, meter } = await openMetered();
        for (const each of calls) {
          const units = await each(table);
          assert.equal(meter.take(), units);
        }
      }),
      { numRuns: 40 },
    );
  });

  it('names table, index, partition and caller, before the work and after', async () => {
    const { table, meter } = await openMetered();
    const Item = { PK: 'p', SK: '1', Group: 'g', Time: 1 };
    await asCaller({ functionName: 'f', accessPattern: 'a' }, () => table.put({ TableName, Item }));
    const common = { kind: 'write', tableName: TableName, caller: { functionName: 'f', accessPattern: 'a' } };
    const uses = [
      { ...common, indexName: undefined, partition: ['p'] },
      { ...common, indexName: 'byGroup', partition: ['g'] },
      { ...common, indexName: 'byTime', partition: ['p'] },
    ];
    assert.deepEqual(meter.admitted, uses);
    assert.deepEqual(
      meter.charged,
      uses.map(use => ({ use, units: 1 })),
    );
  });

  it('charges a write whose condition fails for the item it was judged on', async () => {
    const { table, meter } = await openMetered();
    await table.put({ TableName, Item: { PK: 'p', SK: '1', value: 'x'.repeat(3000) } });
    meter.take();
    const put = table.put({
      TableName,
      Item: { PK: 'p', SK: '1' },
      ConditionExpression: 'attribute_not_exists(PK)',
    });
    await assert.rejects(put, { name: 'ConditionalCheckFailedException' });
    assert.equal(meter.take(), 3);
  });

  it('refuses what is throttled and does nothing of it, be it the table or an index', async () => {
    const { table, meter } = await openMetered();
    const throttled = { name: 'ProvisionedThroughputExceededException' };
    const Item = { PK: 'p', SK: '1', Group: 'hot' };
    meter.isThrottled = ({ indexName, partition }) => indexName === 'byGroup' && partition?.[0] === 'hot';
    await assert.rejects(table.put({ TableName, Item }), throttled);
    meter.isThrottled = () => false;
    const Key = { PK: 'p', SK: '1' };
    assert.deepEqual(await table.get({ TableName, Key }), {});
    meter.isThrottled = ({ kind }) => kind === 'read';
    await assert.rejects(table.get({ TableName, Key }), throttled);
    await assert.rejects(table.scan({ TableName }), throttled);
  });

  it('hands back what is throttled of a batch, and refuses the batch when that is all of it', async () => {
    const { table, meter } = await openMetered();
    meter.isThrottled = ({ partition }) => partition?.[0] === 'hot';
    const put = (PK: string) => ({ PutRequest: { Item: { PK, SK: '1' } } });
    const written = await table.batchWrite({ RequestItems: { [TableName]: [put('cold'), put('hot')] } });
    assert.deepEqual(written, { UnprocessedItems: { [TableName]: [put('hot')] } });
    const Keys = ['hot', 'cold'].map(PK => ({ PK, SK: '1' }));
    const got = await table.batchGet({ RequestItems: { [TableName]: { Keys, ConsistentRead: true } } });
    assert.deepEqual(got, {
      Responses: { [TableName]: [{ PK: 'cold', SK: '1' }] },
      UnprocessedKeys: { [TableName]: { Keys: [Keys[0]], ConsistentRead: true } },
    });
    const throttled = { name: 'ProvisionedThroughputExceededException' };
    await assert.rejects(table.batchWrite({ RequestItems: { [TableName]: [put('hot')] } }), throttled);
    await assert.rejects(table.batchGet({ RequestItems: { [TableName]: { Keys: [Keys[0]] } } }), throttled);
  });

  it('cancels a transaction with the throttled action as its reason', async () => {
    const { table, meter } = await openMetered();
    meter.isThrottled = ({ partition }) => partition?.[0] === 'hot';
    const put = (PK: string) => ({ Put: { TableName, Item: { PK, SK: '1' } } });
    const codes = '[None, ProvisionedThroughputExceeded]';
    const message = `Transaction cancelled, please refer cancellation reasons for specific reasons ${codes}`;
    const written = table.transactWrite({ TransactItems: [put('cold'), put('hot')] });
    await assert.rejects(written, { name: 'TransactionCanceledException', message });
    const gets = ['cold', 'hot'].map(PK => ({ Get: { TableName, Key: { PK, SK: '1' } } }));
    await assert.rejects(table.transactGet({ TransactItems: gets }), { message });
    assert.deepEqual(await table.get({ TableName, Key: { PK: 'cold', SK: '1' } }), {});
  });
});

type Call = (table: Table) => Promise<number>;

const item = fc.record(
  {
    PK: fc.constantFrom('p', 'q'),
    SK: fc.constantFrom('1', '2', '3'),
    Group: fc.constantFrom('g', 'h'),
    Time: fc.integer({ min: 0, max: 2 }),
    Place: fc.constantFrom('a', 'b'),
    shown: fc.constantFrom('x', 'y'.repeat(1500)),
    secret: fc.constantFrom('x', 'y'.repeat(5000)),
  },
  { requiredKeys: ['PK', 'SK'], noNullPrototype: true },
);

/** A call of any kind. @returns the units its answer tells of. */
const call: fc.Arbitrary<Call> = fc.oneof(
  item.map(
    (Item): Call =>
      async table =>
        unitsOf(await table.put({ TableName, Item, ...TOTAL })),
  ),
  item.map(
    ({ PK, SK }): Call =>
      async table =>
        unitsOf(await table.delete({ TableName, Key: { PK, SK }, ...TOTAL })),
  ),
  item.map(
    ({ PK, SK, shown = '' }): Call =>
      async table => {
        const update = { UpdateExpression: 'SET shown = :s', ExpressionAttributeValues: { ':s': shown } };
        return unitsOf(await table.update({ TableName, Key: { PK, SK }, ...update, ...TOTAL }));
      },
  ),
  item.map(
    ({ PK, SK }): Call =>
      async table =>
        unitsOf(await table.get({ TableName, Key: { PK, SK }, ...TOTAL })),
  ),
  fc.constantFrom(undefined, 'byTime', 'byPlace').map(
    (IndexName): Call =>
      async table => {
        const query = {
          TableName,
          IndexName,
          KeyConditionExpression: 'PK = :p',
          ExpressionAttributeValues: { ':p': 'p' },
          Select: 'ALL_ATTRIBUTES' as const,
        };
        return unitsOf(await table.query({ ...query, ...TOTAL }));
      },
  ),
  fc.constantFrom(undefined, 'byGroup').map(
    (IndexName): Call =>
      async table => {
        return unitsOf(await table.scan({ TableName, IndexName, ...TOTAL }));
      },
  ),
  item.map(
    (Item): Call =>
      async table => {
        const RequestItems = {
          [TableName]: [{ PutRequest: { Item } }],
          single: [{ DeleteRequest: { Key: { PK: 'a' } } }],
        };
        return sumOf(await table.batchWrite({ RequestItems, ...TOTAL }));
      },
  ),
  item.map(
    (Item): Call =>
      async table => {
        const check = { TableName: 'single', Key: { PK: 'a' }, ConditionExpression: 'attribute_not_exists(PK)' };
        const TransactItems = [{ Put: { TableName, Item } }, { ConditionCheck: check }];
        return sumOf(await table.transactWrite({ TransactItems, ...TOTAL }));
      },
  ),
  item.map(
    ({ PK, SK }): Call =>
      async table => {
        const TransactItems = [{ Get: { TableName, Key: { PK, SK } } }];
        return sumOf(await table.transactGet({ TransactItems, ...TOTAL }));
      },
  ),
);

interface Units {
  readonly CapacityUnits?: number;
}

function unitsOf({ ConsumedCapacity }: { readonly ConsumedCapacity?: Units }): number {
  return ConsumedCapacity?.CapacityUnits ?? 0;
}

function sumOf({ ConsumedCapacity = [] }: { readonly ConsumedCapacity?: readonly Units[] }): number {
  return ConsumedCapacity.reduce((sum, { CapacityUnits = 0 }) => sum + CapacityUnits, 0);
}
