import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type {
  CreateTableCommandInput,
  GlobalSecondaryIndex,
  Projection,
  UpdateTableCommandInput,
} from '@aws-sdk/client-dynamodb';
import { tableOn } from '../embedded.ts';
import { StorageWorld } from '../storage/storage-world.ts';
import { verifyIndexes } from '../storage/verify-indexes.ts';
import { operations } from './index.ts';

const pk = { AttributeName: 'pk', KeyType: 'HASH' } as const;
const pkDefinition = { AttributeName: 'pk', AttributeType: 'S' } as const;
const units = (read: number, write = read) => ({ ReadCapacityUnits: read, WriteCapacityUnits: write });
const invalid = (message: string) => ({ name: 'ValidationException', message });
const prefix = 'One or more parameter values were invalid: ';

class AdminWorld extends StorageWorld {
  create(TableName: string, more: Partial<CreateTableCommandInput> = {}) {
    const base: CreateTableCommandInput = {
      TableName,
      KeySchema: [pk],
      AttributeDefinitions: [pkDefinition],
      BillingMode: 'PAY_PER_REQUEST',
    };
    return this.clock.until(operations.CreateTable(this.engine, { ...base, ...more }));
  }

  update(TableName: string, change: Omit<UpdateTableCommandInput, 'TableName'>) {
    return this.clock.until(operations.UpdateTable(this.engine, { TableName, ...change }));
  }

  remove(TableName: string) {
    return this.clock.until(operations.DeleteTable(this.engine, { TableName }));
  }

  async describe(TableName: string) {
    const { Table } = await operations.DescribeTable(this.engine, { TableName });
    assert.ok(Table);
    return Table;
  }
}

async function world(options: Parameters<StorageWorld['open']>[0] = {}): Promise<AdminWorld> {
  const made = new AdminWorld();
  await made.open(options);
  return made;
}

const byOwner: GlobalSecondaryIndex = {
  IndexName: 'byOwner',
  KeySchema: [{ AttributeName: 'owner', KeyType: 'HASH' }],
  Projection: { ProjectionType: 'ALL' },
};
const ownerDefinition = { AttributeName: 'owner', AttributeType: 'S' } as const;

describe('table administration', () => {
  it('tells of a new table what was given, that it is being created, and nothing else', async () => {
    const w = await world();
    const { TableDescription } = await w.create('things', {
      BillingMode: undefined,
      ProvisionedThroughput: units(1, 2),
      AttributeDefinitions: [ownerDefinition, pkDefinition],
      GlobalSecondaryIndexes: [{ ...byOwner, ProvisionedThroughput: units(3) }],
    });
    const { TableId, CreationDateTime, ...told } = TableDescription ?? {};
    assert.match(TableId ?? '', /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    assert.ok(CreationDateTime instanceof Date);
    const TableArn = 'arn:aws:dynamodb:us-east-1:000000000000:table/things';
    const expected = {
      AttributeDefinitions: [ownerDefinition, pkDefinition],
      TableName: 'things',
      KeySchema: [pk],
      TableStatus: 'CREATING',
      ProvisionedThroughput: { NumberOfDecreasesToday: 0, ...units(1, 2) },
      TableSizeBytes: 0,
      ItemCount: 0,
      TableArn,
      GlobalSecondaryIndexes: [
        {
          ...byOwner,
          IndexStatus: 'CREATING',
          IndexSizeBytes: 0,
          ItemCount: 0,
          IndexArn: `${TableArn}/index/byOwner`,
          ProvisionedThroughput: { NumberOfDecreasesToday: 0, ...units(3) },
        },
      ],
    };
    assert.deepEqual(told, expected);
    const described = await w.describe('things');
    assert.equal(described.TableStatus, 'ACTIVE');
    assert.equal(described.GlobalSecondaryIndexes?.[0].IndexStatus, 'ACTIVE');
    assert.equal(described.TableId, TableId);
  });

  it('keeps tables, their settings and their counts over a restart', async () => {
    const w = await world();
    await w.create('things', {
      DeletionProtectionEnabled: true,
      TableClass: 'STANDARD_INFREQUENT_ACCESS',
      SSESpecification: { Enabled: true },
      OnDemandThroughput: { MaxReadRequestUnits: 10 },
      StreamSpecification: { StreamEnabled: true, StreamViewType: 'KEYS_ONLY' },
      Tags: [{ Key: 'team', Value: 'iot' }],
    });
    await w.put('things', { pk: 'a', n: 12 });
    await w.put('things', { pk: 'b' });
    await w.delete('things', { pk: 'b' });
    const before = await w.describe('things');
    assert.equal(before.ItemCount, 1);
    assert.equal(before.TableSizeBytes, 3 + 3); // pk: 2 + 1, n: 1 + 2
    assert.equal(before.TableClassSummary?.TableClass, 'STANDARD_INFREQUENT_ACCESS');
    assert.equal(before.SSEDescription?.SSEType, 'KMS');
    assert.match(before.SSEDescription?.KMSMasterKeyArn ?? '', /^arn:aws:kms:/);
    assert.deepEqual(before.OnDemandThroughput, { MaxReadRequestUnits: 10 });
    assert.equal(before.BillingModeSummary?.BillingMode, 'PAY_PER_REQUEST');
    assert.equal(before.LatestStreamArn, `${before.TableArn}/stream/${before.LatestStreamLabel}`);
    w.disk.crash();
    await w.open();
    assert.deepEqual(await w.describe('things'), before);
    assert.deepEqual(await w.describe(before.TableArn ?? ''), before);
    const { Tags } = await operations.ListTagsOfResource(w.engine, { ResourceArn: before.TableArn });
    assert.deepEqual(Tags, [{ Key: 'team', Value: 'iot' }]);
  });

  it('is checked and reached through the port', async () => {
    const w = await world();
    const { admin, ...table } = tableOn(w.engine);
    const create = { TableName: 'things', KeySchema: [pk], AttributeDefinitions: [pkDefinition] };
    await assert.rejects(admin.createTable(create), { name: 'ValidationException' });
    await w.clock.until(admin.createTable({ ...create, BillingMode: 'PAY_PER_REQUEST' }));
    const { Table } = await admin.describeTable({ TableName: 'things' });
    await w.clock.until(table.put({ TableName: Table?.TableArn, Item: { pk: 'a' } }));
    assert.deepEqual(await table.get({ TableName: 'things', Key: { pk: 'a' } }), { Item: { pk: 'a' } });
    await w.clock.until(admin.deleteTable({ TableName: Table?.TableArn }));
    assert.deepEqual(await admin.listTables({}), { TableNames: [] });
    await assert.rejects(table.get({ TableName: 'things', Key: { pk: 'a' } }), { code: 'table.notFound' });
  });

  it('refuses a table that exists, and one that does not', async () => {
    const w = await world();
    await w.create('things');
    await assert.rejects(w.create('things'), {
      name: 'ResourceInUseException',
      message: 'Table already exists: things',
    });
    const missing = {
      name: 'ResourceNotFoundException',
      message: 'Requested resource not found: Table: none not found',
    };
    await assert.rejects(w.describe('none'), missing);
    await assert.rejects(w.remove('none'), missing);
    await assert.rejects(w.update('none', { DeletionProtectionEnabled: true }), missing);
    assert.throws(() => w.engine.catalog.table('none'), { message: 'Requested resource not found' });
  });

  it('lists tables in pages', async () => {
    const w = await world();
    for (const name of ['bbb', 'aaa', 'ccc']) await w.create(name);
    const list = (input: object) => operations.ListTables(w.engine, input);
    assert.deepEqual(await list({ Limit: 2 }), { TableNames: ['aaa', 'bbb'], LastEvaluatedTableName: 'bbb' });
    assert.deepEqual(await list({ Limit: 2, ExclusiveStartTableName: 'bbb' }), { TableNames: ['ccc'] });
    assert.deepEqual(await list({}), { TableNames: ['aaa', 'bbb', 'ccc'] });
  });

  it('removes what a deleted table held in the background, and uses its id only when nothing is left', async () => {
    const w = await world();
    await w.create('first');
    const { id } = w.engine.catalog.stored('first');
    for (let count = 0; count < 600; count++) void w.write('first', { pk: String(count) }, { pk: String(count) });
    await w.clock.settle();
    const deleting = operations.DeleteTable(w.engine, { TableName: 'first' });
    const creating = w.create('first');
    assert.equal((await w.clock.until(deleting)).TableDescription?.TableStatus, 'DELETING');
    await creating;
    assert.notEqual(w.engine.catalog.stored('first').id, id);
    assert.equal(w.get('first', { pk: '1' }), undefined);
    assert.equal((await w.describe('first')).ItemCount, 0);
    w.disk.crash();
    await w.open();
    await w.clock.until(w.engine.upkeep.settled());
    await w.create('second');
    assert.equal(w.engine.catalog.stored('second').id, id);
    assert.deepEqual(verifyIndexes(w.engine, 'second'), { items: 0, differences: [] });
  });

  it('keeps the id of a deleted table while its stream can be read', async () => {
    const w = await world();
    await w.create('first', { StreamSpecification: { StreamEnabled: true, StreamViewType: 'KEYS_ONLY' } });
    const { id } = w.engine.catalog.stored('first');
    await w.put('first', { pk: 'a' });
    await w.remove('first');
    await w.clock.until(w.engine.upkeep.settled());
    await w.create('second');
    assert.notEqual(w.engine.catalog.stored('second').id, id);
    await w.clock.advance(25 * 3_600_000);
    w.engine.upkeep.wake();
    await w.clock.until(w.engine.upkeep.settled());
    await w.create('third');
    assert.equal(w.engine.catalog.stored('third').id, id);
  });

  it('protects a table from deletion as long as it is told to', async () => {
    const w = await world();
    await w.create('things', { DeletionProtectionEnabled: true });
    const message =
      'Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first.';
    await assert.rejects(w.remove('things'), invalid(message));
    await w.update('things', { DeletionProtectionEnabled: false });
    await w.remove('things');
  });

  it('says as long as it is told to that a table is being created, updated or deleted', async () => {
    const w = await world({ transitionMs: 500 });
    const inUse = (what: string) => ({
      name: 'ResourceInUseException',
      message: `Attempt to change a resource which is still in use: Table is being ${what}: things`,
    });
    await w.create('things', { BillingMode: 'PROVISIONED', ProvisionedThroughput: units(5) });
    assert.equal((await w.describe('things')).TableStatus, 'CREATING');
    assert.throws(() => w.engine.catalog.table('things'), { name: 'ResourceNotFoundException' });
    await assert.rejects(w.remove('things'), inUse('created'));
    await w.clock.advance(500);
    assert.equal((await w.describe('things')).TableStatus, 'ACTIVE');
    const { TableDescription: updating } = await w.update('things', { ProvisionedThroughput: units(10, 4) });
    assert.equal(updating?.TableStatus, 'UPDATING');
    assert.deepEqual(await w.describe('things'), updating);
    const { LastIncreaseDateTime: begun, ...meanwhile } = updating?.ProvisionedThroughput ?? {};
    assert.deepEqual(
      { ...meanwhile, LastDecreaseDateTime: undefined },
      {
        NumberOfDecreasesToday: 0,
        LastDecreaseDateTime: undefined,
        ...units(5),
      },
    );
    await assert.rejects(w.remove('things'), inUse('updated'));
    assert.ok(w.engine.catalog.table('things'));
    await w.clock.advance(500);
    const after = (await w.describe('things')).ProvisionedThroughput;
    assert.equal(after?.NumberOfDecreasesToday, 1);
    assert.equal(Number(after?.LastIncreaseDateTime) - Number(begun), 500);
    await w.remove('things');
    assert.equal((await w.describe('things')).TableStatus, 'DELETING');
    await assert.rejects(w.create('things'), { message: 'Table already exists: things' });
    await w.clock.advance(500);
    await assert.rejects(w.describe('things'), { name: 'ResourceNotFoundException' });
    await w.create('things');
  });
});

describe('a full disk', () => {
  it('leaves the tables as they were, and what goes on in the background for later', async () => {
    const w = await world();
    await w.create('things');
    for (let count = 0; count < 600; count++) {
      void w.write('things', { pk: `${count}` }, { pk: `${count}`, owner: 'o' });
    }
    await w.clock.advance(1);
    w.isFull = true;
    const full = { code: 'store.full' };
    await assert.rejects(w.create('others'), full);
    await assert.rejects(w.remove('things'), full);
    await assert.rejects(w.update('things', { DeletionProtectionEnabled: true }), full);
    assert.deepEqual(await operations.ListTables(w.engine, {}), { TableNames: ['things'] });
    assert.equal((await w.describe('things')).DeletionProtectionEnabled, undefined);
    w.isFull = false;
    const updating = w.update('things', {
      AttributeDefinitions: [ownerDefinition],
      GlobalSecondaryIndexUpdates: [{ Create: byOwner }],
    });
    w.isFull = true;
    await updating;
    await w.clock.advance(10_000);
    assert.deepEqual(verifyIndexes(w.engine, 'things').differences, []);
    assert.equal((await w.describe('things')).GlobalSecondaryIndexes?.[0].IndexStatus, 'CREATING');
    w.isFull = false;
    await w.clock.advance(1_010);
    assert.equal((await w.describe('things')).GlobalSecondaryIndexes?.[0].IndexStatus, 'ACTIVE');
    assert.equal(w.query('things', 'byOwner', 'o').length, 600);
    assert.deepEqual(verifyIndexes(w.engine, 'things').differences, []);
  });
});

describe('capacity of a table', () => {
  it('changes as asked, counts decreases by the day, and refuses what changes nothing', async () => {
    const w = await world();
    await w.create('things', { BillingMode: 'PROVISIONED', ProvisionedThroughput: units(9) });
    await assert.rejects(w.update('things', { ProvisionedThroughput: units(9) }), {
      message:
        'The provisioned throughput for the table will not change. The requested value equals the current value. ' +
        'Current ReadCapacityUnits provisioned for the table: 9. Requested ReadCapacityUnits: 9. ' +
        'Current WriteCapacityUnits provisioned for the table: 9. Requested WriteCapacityUnits: 9. ' +
        'Refer to the Amazon DynamoDB Developer Guide for current limits and how to request higher limits.',
    });
    for (const left of [8, 7, 6, 5]) await w.update('things', { ProvisionedThroughput: units(left) });
    assert.equal((await w.describe('things')).ProvisionedThroughput?.NumberOfDecreasesToday, 4);
    await assert.rejects(w.update('things', { ProvisionedThroughput: units(4) }), { name: 'LimitExceededException' });
    await w.clock.advance(3_600_000);
    await w.update('things', { ProvisionedThroughput: units(4) });
    await w.clock.advance(24 * 3_600_000);
    assert.equal((await w.describe('things')).ProvisionedThroughput?.NumberOfDecreasesToday, 0);
  });

  it('is given for every index, or for none', async () => {
    const w = await world();
    const indexed = {
      AttributeDefinitions: [pkDefinition, ownerDefinition],
      GlobalSecondaryIndexes: [byOwner],
    };
    await assert.rejects(
      w.create('things', { ...indexed, BillingMode: 'PROVISIONED', ProvisionedThroughput: units(1) }),
      invalid(`${prefix}ProvisionedThroughput is not specified for index: byOwner`),
    );
    await w.create('things', indexed);
    await assert.rejects(
      w.update('things', { ProvisionedThroughput: units(1) }),
      invalid(
        `${prefix}Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST`,
      ),
    );
    const provisioned = { BillingMode: 'PROVISIONED', ProvisionedThroughput: units(2) } as const;
    await assert.rejects(
      w.update('things', provisioned),
      invalid(`${prefix}ProvisionedThroughput must be specified for index: byOwner`),
    );
    await w.update('things', {
      ...provisioned,
      GlobalSecondaryIndexUpdates: [{ Update: { IndexName: 'byOwner', ProvisionedThroughput: units(3) } }],
    });
    const told = await w.describe('things');
    assert.equal(told.BillingModeSummary?.BillingMode, 'PROVISIONED');
    assert.equal(told.ProvisionedThroughput?.ReadCapacityUnits, 2);
    assert.equal(told.GlobalSecondaryIndexes?.[0].ProvisionedThroughput?.WriteCapacityUnits, 3);
    await w.update('things', { BillingMode: 'PAY_PER_REQUEST' });
    assert.equal((await w.describe('things')).ProvisionedThroughput?.ReadCapacityUnits, 0);
  });

  it('of an index is refused when there is no such index', async () => {
    const w = await world();
    await w.create('things', { BillingMode: 'PROVISIONED', ProvisionedThroughput: units(1) });
    const change = (count: number) => ({
      GlobalSecondaryIndexUpdates: [{ Update: { IndexName: 'none', ProvisionedThroughput: units(count) } }],
    });
    await assert.rejects(w.update('things', change(1)), { name: 'ResourceNotFoundException' });
    await assert.rejects(
      w.update('things', change(1_000_000_000_001)),
      invalid(
        'This operation cannot be performed with given input values. Please contact DynamoDB service team for more info: Action Blocked: IndexUpdate',
      ),
    );
  });
});

describe('a global index of a table in use', () => {
  const add = { AttributeDefinitions: [ownerDefinition], GlobalSecondaryIndexUpdates: [{ Create: byOwner }] };

  it('is built while writes go on, cannot be read before, and survives kills on the way', async () => {
    const w = await world();
    await w.create('things');
    const itemOf = (count: number) => ({ pk: `item ${count}`, ...(count % 3 > 0 && { owner: `o${count % 2}` }) });
    for (let count = 0; count < 2_000; count++) void w.write('things', itemOf(count), itemOf(count));
    await w.put('things', { pk: 'unfit', owner: 7 });
    await w.update('things', add);
    let kills = 0;
    for (let round = 0; w.engine.catalog.table('things').indexes[0]?.isBuilding; round++) {
      const { GlobalSecondaryIndexes: told } = await w.describe('things');
      assert.equal(told?.[0].IndexStatus, 'CREATING');
      assert.equal(told?.[0].Backfilling, true);
      assert.throws(
        () => w.query('things', 'byOwner', 'o1'),
        invalid('Cannot read from backfilling global secondary index: byOwner'),
      );
      void w.write('things', itemOf(round), { pk: itemOf(round).pk, owner: 'moved' }).catch(() => {});
      void w.write('things', itemOf(1_999 - round), undefined).catch(() => {});
      if (round % 3 === 2) {
        w.disk.crash();
        kills++;
        await w.open();
        assert.deepEqual(verifyIndexes(w.engine, 'things').differences, []);
      } else {
        await w.clock.advance(1);
      }
    }
    assert.ok(kills > 0);
    assert.deepEqual(verifyIndexes(w.engine, 'things').differences, []);
    assert.equal((await w.describe('things')).GlobalSecondaryIndexes?.[0].IndexStatus, 'ACTIVE');
    assert.ok(w.query('things', 'byOwner', 'o1').length > 500);
  });

  it('is emptied in the background, and another may follow then', async () => {
    const w = await world();
    await w.create('things', {
      ...add,
      AttributeDefinitions: [pkDefinition, ownerDefinition],
      GlobalSecondaryIndexes: [byOwner],
    });
    for (let count = 0; count < 600; count++) {
      void w.write('things', { pk: String(count) }, { pk: String(count), owner: 'o' });
    }
    await w.clock.advance(5);
    const removing = operations.UpdateTable(w.engine, {
      TableName: 'things',
      GlobalSecondaryIndexUpdates: [{ Delete: { IndexName: 'byOwner' } }],
    });
    assert.equal((await w.describe('things')).GlobalSecondaryIndexes?.[0].IndexStatus, 'DELETING');
    await assert.rejects(w.update('things', { GlobalSecondaryIndexUpdates: [{ Delete: { IndexName: 'byOwner' } }] }), {
      name: 'LimitExceededException',
      message: 'Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table',
    });
    await w.clock.until(removing);
    await w.clock.until(w.engine.upkeep.settled());
    const told = await w.describe('things');
    assert.equal(told.GlobalSecondaryIndexes, undefined);
    assert.deepEqual(told.AttributeDefinitions, [pkDefinition]);
    await w.update('things', add);
    await w.clock.until(w.engine.upkeep.settled());
    assert.equal(w.query('things', 'byOwner', 'o').length, 600);
    assert.deepEqual(verifyIndexes(w.engine, 'things').differences, []);
  });

  it('is refused when it is there, not there, undefined, or defined otherwise', async () => {
    const w = await world();
    await w.create('things', {
      AttributeDefinitions: [pkDefinition, ownerDefinition],
      GlobalSecondaryIndexes: [byOwner],
    });
    await assert.rejects(
      w.update('things', add),
      invalid(`${prefix}Attempting to create an index which already exists`),
    );
    await assert.rejects(w.update('things', { GlobalSecondaryIndexUpdates: [{ Delete: { IndexName: 'none' } }] }), {
      name: 'ResourceNotFoundException',
      message: 'Requested resource not found',
    });
    const other: GlobalSecondaryIndex = {
      ...byOwner,
      IndexName: 'other',
      KeySchema: [{ AttributeName: 'rank', KeyType: 'HASH' }],
    };
    await assert.rejects(
      w.update('things', { GlobalSecondaryIndexUpdates: [{ Create: other }] }),
      invalid(
        `${prefix}Some index key attributes are not defined in AttributeDefinitions. Keys: [rank], AttributeDefinitions: [pk, owner]`,
      ),
    );
    await assert.rejects(
      w.update('things', {
        AttributeDefinitions: [{ ...ownerDefinition, AttributeType: 'N' }],
        GlobalSecondaryIndexUpdates: [{ Create: { ...byOwner, IndexName: 'other' } }],
      }),
      { name: 'ValidationException', message: /Attributes cannot be redefined/ },
    );
    await assert.rejects(
      w.update('things', {
        AttributeDefinitions: [{ AttributeName: 'unused', AttributeType: 'N' }],
        GlobalSecondaryIndexUpdates: [{ Create: { ...byOwner, IndexName: 'other' } }],
      }),
      invalid(
        `${prefix}Some AttributeDefinitions are not used. AttributeDefinitions: [unused], keys used: [pk, owner]`,
      ),
    );
  });

  it('is refused as the twenty-first, and when all indexes together project more than 100 attributes', async () => {
    const w = await world();
    const wide: Projection = {
      ProjectionType: 'INCLUDE',
      NonKeyAttributes: Array.from({ length: 20 }, (_, at) => `a${at}`),
    };
    const indexes = Array.from({ length: 20 }, (_, at) => ({
      ...byOwner,
      IndexName: `index${at}`,
      ...(at < 5 && { Projection: wide }),
    }));
    const AttributeDefinitions = [pkDefinition, ownerDefinition];
    await assert.rejects(
      w.create('things', {
        AttributeDefinitions,
        GlobalSecondaryIndexes: [...indexes.slice(0, 19), { ...byOwner, IndexName: 'last', Projection: wide }],
      }),
      { name: 'ValidationException', message: /NonKeyAttributes/ },
    );
    await w.create('things', { AttributeDefinitions, GlobalSecondaryIndexes: indexes });
    await assert.rejects(
      w.update('things', add),
      invalid(`${prefix}GlobalSecondaryIndex count exceeds the per-table limit of 20`),
    );
  });
});

describe('tags', () => {
  it('are added, replaced and taken away', async () => {
    const w = await world();
    await w.create('things', { Tags: [{ Key: 'a', Value: '1' }] });
    const ResourceArn = (await w.describe('things')).TableArn;
    await w.clock.until(
      operations.TagResource(w.engine, {
        ResourceArn,
        Tags: [
          { Key: 'a', Value: '2' },
          { Key: 'b', Value: '3' },
        ],
      }),
    );
    await w.clock.until(operations.UntagResource(w.engine, { ResourceArn, TagKeys: ['b', 'c'] }));
    const { Tags } = await operations.ListTagsOfResource(w.engine, { ResourceArn });
    assert.deepEqual(Tags, [{ Key: 'a', Value: '2' }]);
    const missing = 'arn:aws:dynamodb:us-east-1:000000000000:table/none';
    await assert.rejects(operations.ListTagsOfResource(w.engine, { ResourceArn: missing }), {
      name: 'ResourceNotFoundException',
      message: `Requested resource not found: ResourcArn: ${missing} not found`,
    });
  });
});
