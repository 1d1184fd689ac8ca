// The same calls as the SDK makes, written straight to sockets: what is left is the server. One connection per caller.
import { RawCalls } from '../raw-calls.ts';
import { openSdkTable } from './sdk-table.ts';
import type { BenchItem, TableUnderLoad } from './table-under-load.ts';

const TableName = 'bench';

export async function openRawTable(url: string): Promise<TableUnderLoad> {
  await (await openSdkTable(url)).close(); // makes the table
  const calls = new RawCalls(url, {
    target: 'DynamoDB_20120810',
    contentType: 'application/x-amz-json-1.0',
    name: 'dynamodb',
  });
  const call = (operation: string, input: object) => calls.call(operation, input);
  return {
    put: item => call('PutItem', { TableName, Item: typed(item) }),
    update: id =>
      call('UpdateItem', {
        TableName,
        Key: { PK: { S: `User-${id}` }, SK: { S: 'Profile' } },
        ConditionExpression: 'attribute_exists(PK)',
        UpdateExpression: 'SET #count = #count + :one',
        ExpressionAttributeNames: { '#count': 'count' },
        ExpressionAttributeValues: { ':one': { N: '1' } },
      }),
    get: id =>
      call('GetItem', { TableName, Key: { PK: { S: `User-${id}` }, SK: { S: 'Profile' } }, ConsistentRead: true }),
    query: list =>
      call('Query', {
        TableName,
        KeyConditionExpression: 'PK = :list',
        ExpressionAttributeValues: { ':list': { S: `List-${list}` } },
        ConsistentRead: true,
      }),
    transact: items =>
      call('TransactWriteItems', {
        TransactItems: items.map(item => ({
          Put: { TableName, Item: typed(item), ConditionExpression: 'attribute_not_exists(PK)' },
        })),
      }),
    batch: items =>
      call('BatchWriteItem', {
        RequestItems: { [TableName]: items.map(item => ({ PutRequest: { Item: typed(item) } })) },
      }),
    close: async () => calls.close(),
  };
}

function typed({ PK, SK, City, Rank, count, note }: BenchItem): object {
  return {
    PK: { S: PK },
    SK: { S: SK },
    City: { S: City },
    Rank: { S: Rank },
    count: { N: `${count}` },
    note: { S: note },
  };
}
