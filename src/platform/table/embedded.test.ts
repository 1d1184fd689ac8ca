import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { systemClock } from '../../kernel/clock.ts';
import { openLmdbStore } from '../../kernel/lmdb-store.ts';
import { MemoryDisk, openMemoryStore } from '../../kernel/memory-store.ts';
import { VirtualClock } from '../../kernel/virtual-clock.ts';
import { contractTables, everyKind, read, type TableWorld, tableContract } from './contract.ts';
import { openEmbeddedTable } from './embedded.ts';
import type { Table, TableSchema } from './port.ts';

const openOnLmdb = async (): Promise<TableWorld> => {
  const path = await mkdtemp(join(tmpdir(), 'mimamori-table-'));
  const clock = new VirtualClock();
  const store = await openLmdbStore({ path, durability: 'relaxed' });
  return {
    table: await openEmbeddedTable({ store, clock, tables: contractTables }),
    letPass: ms => clock.advance(ms),
    cleanUp: () => rm(path, { recursive: true }),
  };
};
tableContract('embedded, on LMDB', openOnLmdb);

const openInMemory = async (): Promise<TableWorld> => {
  const clock = new VirtualClock();
  const store = await openMemoryStore({ clock: systemClock, disk: new MemoryDisk({ clock: systemClock, syncMs: 0 }) });
  return {
    table: await openEmbeddedTable({ store, clock, tables: contractTables }),
    letPass: ms => clock.advance(ms),
    cleanUp: async () => {},
  };
};
tableContract('embedded, in memory', openInMemory);

const [things] = contractTables;
const { indexes: noIndexes, ...withoutIndexes } = things;

describe('embedded table', () => {
  const open = (disk: MemoryDisk, tables: readonly TableSchema[]) =>
    openEmbeddedTable({ store: disk.open(), clock: systemClock, tables });
  const makeDisk = () => new MemoryDisk({ clock: systemClock, syncMs: 0 });
  const owned = async (table: Table) =>
    (
      await table.query({
        TableName: 'things',
        IndexName: 'byOwner',
        KeyConditionExpression: '#o = :o',
        ExpressionAttributeNames: { '#o': 'Owner' },
        ExpressionAttributeValues: { ':o': 'ada' },
      })
    ).Items?.map(item => item.SK);

  it('keeps its items when it is opened again with the tables in another order', async () => {
    const disk = makeDisk();
    const table = await open(disk, contractTables);
    const Item = { PK: 'a', SK: '1', ...everyKind() };
    await table.put({ TableName: 'things', Item });
    await table.close();
    const reopened = await open(disk, contractTables.toReversed());
    assert.deepEqual(await read(reopened, 'a', '1'), Item);
  });

  it('names the first index by name whose key does not fit', async () => {
    const index = (indexName: string) => ({ indexName, partitionKey: { name: 'Owner', type: 'S' } }) as const;
    const table = await open(makeDisk(), [
      { ...withoutIndexes, indexes: ['c', 'a', 'b'].map(name => index(`by${name}`)) },
    ]);
    const put = table.put({ TableName: 'things', Item: { PK: 'a', SK: '1', Owner: 1 } });
    await assert.rejects(put, { message: /Type mismatch for Index Key Owner Expected: S Actual: N IndexName: bya$/ });
    await table.close();
  });

  it('fills an index that is declared later, and empties one that no longer is', async () => {
    const disk = makeDisk();
    const before = await open(disk, [withoutIndexes]);
    for (let count = 0; count < 2_500; count++) {
      void before.put({ TableName: 'things', Item: { PK: 'p', SK: String(count), Owner: 'ada', Rank: -count } });
    }
    await before.put({ TableName: 'things', Item: { PK: 'p', SK: 'unfit', Owner: 7, Rank: 'first' } });
    await before.close();
    const indexed = await open(disk, [things]);
    const found = await owned(indexed);
    assert.equal(found?.length, 2_500);
    assert.equal(found?.[0], '2499');
    await indexed.close();
    await (await open(disk, [withoutIndexes])).close();
    const again = await open(disk, [withoutIndexes]);
    await again.delete({ TableName: 'things', Key: { PK: 'p', SK: '2499' } });
    await again.close();
    const rebuilt = await open(disk, [things]);
    assert.equal((await owned(rebuilt))?.[0], '2498');
  });

  it('refuses to open a table with another key schema', async () => {
    const disk = makeDisk();
    await (await open(disk, [things])).close();
    const changed = { ...withoutIndexes, sortKey: { name: 'SK', type: 'N' } } as const;
    await assert.rejects(open(disk, [changed]), { code: 'table.schemaChanged' });
    assert.ok(noIndexes);
  });

  it('refuses values that the SDK would leave out or pass on unseen', async () => {
    const table = await open(makeDisk(), contractTables);
    for (const value of [undefined, () => 1, Symbol('s'), new Set(['a', 1])]) {
      for (const held of [value, [value], { value }]) {
        const put = table.put({ TableName: 'things', Item: { PK: 'a', SK: '1', held } });
        await assert.rejects(put, { name: 'ValidationException' });
      }
    }
  });

  it('names the attribute without a value, and the class of what is no plain object', async () => {
    const table = await open(makeDisk(), contractTables);
    const put = (held: unknown) => table.put({ TableName: 'things', Item: { PK: 'a', SK: '1', held } });
    await assert.rejects(put({ celsius: undefined }), { message: /^The attribute celsius is undefined\./ });
    await assert.rejects(put([undefined]), { message: /^A value is undefined\./ });
    await assert.rejects(put([new Date(0)]), { message: /^An instance of Date cannot be stored\./ });
  });

  it('refuses what it does not support by name', async () => {
    const table = await open(makeDisk(), contractTables);
    const Key = { PK: 'a', SK: '1' };
    const refused = { name: 'ValidationException', code: 'table.notSupported' };
    await assert.rejects(table.get({ TableName: 'things', Key, AttributesToGet: ['a'] }), refused);
  });

  it('forgets in a power cut only what it did not acknowledge, indexes and tokens included', async () => {
    const clock = new VirtualClock();
    const disk = new MemoryDisk({ clock });
    const opened = openEmbeddedTable({ store: disk.open(), clock, tables: [things] });
    const table = await clock.until(opened);
    const put = (SK: string) => ({ Put: { TableName: 'things', Item: { PK: 'p', SK, Owner: 'ada', Rank: 1 } } });
    await clock.until(table.transactWrite({ TransactItems: [put('1')], ClientRequestToken: 'first' }));
    const lost = table.transactWrite({ TransactItems: [put('2')], ClientRequestToken: 'second' });
    const repeated = table.transactWrite({ TransactItems: [put('2')], ClientRequestToken: 'second' });
    disk.crash();
    await assert.rejects(lost, { code: 'store.failed' });
    await assert.rejects(repeated, { code: 'store.failed' });
    const reopened = await clock.until(openEmbeddedTable({ store: disk.open(), clock, tables: [things] }));
    assert.deepEqual(await owned(reopened), ['1']);
    await clock.until(reopened.transactWrite({ TransactItems: [put('2')], ClientRequestToken: 'second' }));
    assert.deepEqual(await owned(reopened), ['1', '2']);
  });

  it('equals a simple model after any sequence of operations, its index a rebuild', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(operation, { minLength: 30, maxLength: 80 }), async operations => {
        const disk = makeDisk();
        const table = await open(disk, [things]);
        const model = new Map<string, ModelItem>();
        for (const each of operations) await apply(table, model, each);
        const expected = [...model.values()].sort(bySortKey);
        assert.deepEqual(await partitions(table), expected);
        const indexed = await owners(table);
        await table.close();
        await (await open(disk, [withoutIndexes])).close(); // empties the index
        const rebuilt = await owners(await open(disk, [things]));
        assert.deepEqual(indexed, rebuilt);
        const members = expected.filter(item => item.Owner !== undefined && item.Rank !== undefined);
        assert.deepEqual(indexed.map(rankOf), members.map(rankOf).sort(byRank));
        assert.deepEqual(indexed.toSorted(bySortKey), members); // among ties the order is nobody's business
      }),
      { numRuns: 60 },
    );
  });
});

/** Few names, so that they meet. */
interface ModelItem {
  readonly PK: string;
  readonly SK: string;
  readonly Owner?: string;
  readonly Rank?: number;
  readonly n?: number;
}

type Operation =
  | { readonly kind: 'put'; readonly item: ModelItem; readonly onlyIfAbsent: boolean }
  | { readonly kind: 'delete'; readonly PK: string; readonly SK: string }
  | { readonly kind: 'add'; readonly PK: string; readonly SK: string; readonly by: number }
  | { readonly kind: 'setRank' | 'removeOwner'; readonly PK: string; readonly SK: string; readonly rank: number }
  | { readonly kind: 'move'; readonly PK: string; readonly SK: string; readonly to: string };

const partitionName = fc.constantFrom('p', 'p\0', 'q');
const sortName = fc.constantFrom('a', 'a\0', 'ab', 'b', '\uffff', '\u{10000}');
const position = { PK: partitionName, SK: sortName };
const modelItem = fc.record(
  {
    ...position,
    Owner: fc.constantFrom('o', 'o\0', 'r'),
    Rank: fc.constantFrom(-1, 0, 0.5, 10),
    n: fc.integer({ min: -9, max: 9 }),
  },
  { requiredKeys: ['PK', 'SK'], noNullPrototype: true },
);
const operation: fc.Arbitrary<Operation> = fc.oneof(
  fc.record({ kind: fc.constant('put' as const), item: modelItem, onlyIfAbsent: fc.boolean() }),
  fc.record({ kind: fc.constant('delete' as const), ...position }),
  fc.record({ kind: fc.constant('add' as const), ...position, by: fc.integer({ min: -9, max: 9 }) }),
  fc.record({
    kind: fc.constantFrom('setRank' as const, 'removeOwner' as const),
    ...position,
    rank: fc.integer({ min: -2, max: 2 }),
  }),
  fc.record({ kind: fc.constant('move' as const), ...position, to: sortName }),
);

async function apply(table: Table, model: Map<string, ModelItem>, operation: Operation): Promise<void> {
  const TableName = 'things';
  if (operation.kind === 'put') {
    const { item, onlyIfAbsent } = operation;
    const name = nameOf(item);
    const put = { TableName, Item: { ...item } };
    if (!onlyIfAbsent) await table.put(put);
    else if (!model.has(name)) await table.put({ ...put, ConditionExpression: 'attribute_not_exists(PK)' });
    else {
      const refused = table.put({ ...put, ConditionExpression: 'attribute_not_exists(PK)' });
      await assert.rejects(refused, { code: 'table.conditionFailed' });
      return;
    }
    model.set(name, item);
    return;
  }
  const { PK, SK } = operation;
  const Key = { PK, SK };
  const stored = model.get(nameOf(operation));
  assert.deepEqual((await table.get({ TableName, Key })).Item, stored);
  switch (operation.kind) {
    case 'delete':
      await table.delete({ TableName, Key });
      model.delete(nameOf(operation));
      return;
    case 'add':
      await table.update({
        TableName,
        Key,
        UpdateExpression: 'ADD n :by',
        ExpressionAttributeValues: { ':by': operation.by },
      });
      model.set(nameOf(operation), { ...Key, ...stored, n: (stored?.n ?? 0) + operation.by });
      return;
    case 'setRank':
      await table.update({
        TableName,
        Key,
        UpdateExpression: 'SET #r = :r',
        ExpressionAttributeNames: { '#r': 'Rank' },
        ExpressionAttributeValues: { ':r': operation.rank },
      });
      model.set(nameOf(operation), { ...Key, ...stored, Rank: operation.rank });
      return;
    case 'removeOwner': {
      await table.update({
        TableName,
        Key,
        UpdateExpression: 'REMOVE #o',
        ExpressionAttributeNames: { '#o': 'Owner' },
      });
      const { Owner: _gone, ...rest } = { Owner: undefined, ...stored };
      model.set(nameOf(operation), { ...Key, ...rest });
      return;
    }
    case 'move': {
      if (stored === undefined || operation.to === SK) return;
      const moved = { ...stored, SK: operation.to };
      await table.transactWrite({
        TransactItems: [
          { Delete: { TableName, Key, ConditionExpression: 'attribute_exists(PK)' } },
          { Put: { TableName, Item: { ...moved } } },
        ],
      });
      model.delete(nameOf(operation));
      model.set(nameOf(moved), moved);
    }
  }
}

function nameOf({ PK, SK }: { readonly PK: string; readonly SK: string }): string {
  return JSON.stringify([PK, SK]);
}

function rankOf({ Owner = '', Rank = 0 }: ModelItem) {
  return { Owner, Rank };
}

function byRank(left: { Owner: string; Rank: number }, right: { Owner: string; Rank: number }): number {
  return compareText(left.Owner, right.Owner) || left.Rank - right.Rank;
}

function bySortKey(left: ModelItem, right: ModelItem): number {
  return compareText(left.PK, right.PK) || compareText(left.SK, right.SK);
}

function compareText(left = '', right = ''): number {
  return Buffer.compare(Buffer.from(left), Buffer.from(right));
}

async function partitions(table: Table): Promise<ModelItem[]> {
  return queryAll(table, ['p', 'p\0', 'q'], { KeyConditionExpression: 'PK = :v' });
}

async function owners(table: Table): Promise<ModelItem[]> {
  return queryAll(table, ['o', 'o\0', 'r'], {
    IndexName: 'byOwner',
    KeyConditionExpression: '#o = :v',
    ExpressionAttributeNames: { '#o': 'Owner' },
  });
}

async function queryAll(
  table: Table,
  values: readonly string[],
  query: Partial<Parameters<Table['query']>[0]>,
): Promise<ModelItem[]> {
  const all: ModelItem[] = [];
  for (const value of values) {
    const answer = await table.query({ TableName: 'things', ...query, ExpressionAttributeValues: { ':v': value } });
    all.push(...((answer.Items ?? []) as ModelItem[])); // a cast: only model items were put
  }
  return all;
}
