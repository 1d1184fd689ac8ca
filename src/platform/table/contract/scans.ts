/** Scans: all of a table or an index, page by page, in segments. */
import assert from 'node:assert/strict';
import type { ScanCommandInput } from '@aws-sdk/lib-dynamodb';
import type { Table } from '../port.ts';
import { type Attributes, refusal, TableName, type Test } from './world.ts';

export function scanPromises(test: Test): void {
  test('scans everything once, page by page, partition by partition', async ({ table }) => {
    const items = await putMany(table, 60);
    for (const Limit of [undefined, 1, 7, 60]) {
      const { found, pages } = await scanAll(table, { TableName, Limit });
      assert.deepEqual(sorted(found), items);
      assert.ok(pages >= 60 / (Limit ?? 60), `${pages} pages of ${Limit}`);
    }
    const { found } = await scanAll(table, { TableName });
    const partitions = found.map(({ PK }) => PK);
    const changes = partitions.filter((PK, index) => PK !== partitions[index - 1]).length;
    assert.equal(changes, new Set(partitions).size, 'items of a partition lie together');
    assert.deepEqual(await table.scan({ TableName: 'single' }), { Items: [], Count: 0, ScannedCount: 0 });
  });

  test('scans in segments that are disjoint and complete', async ({ table }) => {
    const items = await putMany(table, 60);
    for (const IndexName of [undefined, 'bySort']) {
      for (const TotalSegments of [1, 2, 3, 16]) {
        const all: Attributes[] = [];
        for (let Segment = 0; Segment < TotalSegments; Segment++) {
          all.push(...(await scanAll(table, { TableName, IndexName, Segment, TotalSegments, Limit: 5 })).found);
        }
        assert.deepEqual(sorted(all), items, `${TotalSegments} segments of ${IndexName ?? 'the table'}`);
      }
    }
  });

  test('scans an index: its members, with both keys in the last key of a page', async ({ table }) => {
    await putMany(table, 20);
    await table.put({ TableName, Item: { PK: 'p', SK: 'member', Owner: 'ada', Rank: 1 } });
    await table.put({ TableName, Item: { PK: 'p', SK: 'other', Owner: 'bob', Rank: 1 } });
    const first = await table.scan({ TableName, IndexName: 'byOwner', Limit: 1 });
    assert.deepEqual(Object.keys(first.LastEvaluatedKey ?? {}).sort(), ['Owner', 'PK', 'Rank', 'SK']);
    const { found } = await scanAll(table, { TableName, IndexName: 'byOwner', Limit: 1 });
    assert.deepEqual(found.map(({ SK }) => SK).sort(), ['member', 'other']);
  });

  test('filters, counts and projects what it scans', async ({ table }) => {
    await putMany(table, 20);
    const filter = {
      TableName,
      FilterExpression: 'n >= :least AND begins_with(PK, :p)',
      ExpressionAttributeValues: { ':least': 15, ':p': 'p' },
    };
    const found = await table.scan(filter);
    assert.equal(found.Count, 5);
    assert.equal(found.ScannedCount, 20);
    assert.deepEqual(await table.scan({ ...filter, Select: 'COUNT' }), { Count: 5, ScannedCount: 20 });
    const { Items = [] } = await table.scan({ ...filter, ProjectionExpression: 'n' });
    assert.deepEqual(
      Items.map(({ n }) => n).sort((left, right) => left - right),
      [15, 16, 17, 18, 19],
    );
    assert.deepEqual(Object.keys(Items[0]), ['n']);
  });

  test('ends a page of a scan after 1 MB', async ({ table }) => {
    const value = 'x'.repeat(100_000);
    for (let count = 0; count < 15; count++) {
      await table.put({ TableName: 'single', Item: { PK: String(count), value } });
    }
    const page = await table.scan({ TableName: 'single', ProjectionExpression: 'PK' });
    assert.equal(page.ScannedCount, 11);
    const { found } = await scanAll(table, { TableName: 'single' });
    assert.equal(new Set(found.map(({ PK }) => PK)).size, 15);
  });

  test('refuses scans that cannot be answered', async ({ table }) => {
    for (const [parameters, message] of refusedScans) {
      await assert.rejects(table.scan({ TableName, ...parameters }), refusal(message), JSON.stringify(parameters));
    }
    await assert.rejects(table.scan({ TableName: 'absent' }), { name: 'ResourceNotFoundException' });
  });
}

const refusedScans: readonly (readonly [parameters: Partial<ScanCommandInput>, message: string])[] = [
  [{ Limit: 0 }, 'Member must have value greater than or equal to 1'],
  [
    { Segment: 0 },
    'The TotalSegments parameter is required but was not present in the request when Segment parameter is present',
  ],
  [
    { TotalSegments: 4 },
    'The Segment parameter is required but was not present in the request when parameter TotalSegments is present',
  ],
  [
    { Segment: 5, TotalSegments: 5 },
    'The Segment parameter is zero-based and must be less than parameter TotalSegments: Segment: 5 is not less than TotalSegments: 5',
  ],
  [{ IndexName: 'absent' }, 'The table does not have the specified index: absent'],
  [{ IndexName: 'byOwner', ConsistentRead: true }, 'Consistent reads are not supported on global secondary indexes'],
  [
    { Select: 'SPECIFIC_ATTRIBUTES' },
    'Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES',
  ],
  [
    { Select: 'ALL_PROJECTED_ATTRIBUTES' },
    'ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName',
  ],
  [
    { Select: 'COUNT', ProjectionExpression: 'a' },
    'Cannot specify the ProjectionExpression when choosing to get only the Count',
  ],
  [
    { ExclusiveStartKey: { PK: 'p' } },
    'The provided starting key is invalid: The provided key element does not match the schema',
  ],
  [
    { ExclusiveStartKey: { PK: 'p', SK: 1 } },
    'The provided starting key is invalid: The provided key element does not match the schema',
  ],
  [{ IndexName: 'byOwner', ExclusiveStartKey: { PK: 'p', SK: '1' } }, 'The provided starting key is invalid'],
  [
    { FilterExpression: 'PK.a = :v', ExpressionAttributeValues: { ':v': 1 } },
    "Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: Key: PK",
  ],
  [
    { ProjectionExpression: '#o[0]', ExpressionAttributeNames: { '#o': 'Owner' } },
    "Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: IndexKey: Owner",
  ],
];

/** In ten partitions. @returns them as `sorted` gives them. */
async function putMany(table: Table, count: number): Promise<Attributes[]> {
  const items = Array.from({ length: count }, (_, n) => ({ PK: `p${n % 10}`, SK: String(n), n }));
  await Promise.all(items.map(Item => table.put({ TableName, Item })));
  return sorted(items);
}

function sorted(items: readonly Attributes[]): Attributes[] {
  return items.toSorted((left, right) => Number(left.n) - Number(right.n));
}

async function scanAll(table: Table, input: ScanCommandInput): Promise<{ found: Attributes[]; pages: number }> {
  const found: Attributes[] = [];
  let pages = 0;
  let ExclusiveStartKey: Attributes | undefined;
  do {
    const page = await table.scan({ ...input, ExclusiveStartKey });
    found.push(...(page.Items ?? []));
    pages++;
    ExclusiveStartKey = page.LastEvaluatedKey;
  } while (ExclusiveStartKey !== undefined);
  return { found, pages };
}
