// The loads as calls of the document API: our engine in process, and any server through the SDK, are asked the same.
import type { Table } from '../../src/platform/table/index.ts';
import type { TableUnderLoad } from './table-under-load.ts';

const TableName = 'bench';
type DocumentApi = Pick<Table, 'put' | 'update' | 'get' | 'query' | 'transactWrite' | 'batchWrite'>;

export function documentTable(table: DocumentApi, close: () => Promise<void>): TableUnderLoad {
  return {
    put: Item => table.put({ TableName, Item }),
    update: id =>
      table.update({
        TableName,
        Key: { PK: `User-${id}`, SK: 'Profile' },
        ConditionExpression: 'attribute_exists(PK)',
        UpdateExpression: 'SET #count = #count + :one',
        ExpressionAttributeNames: { '#count': 'count' },
        ExpressionAttributeValues: { ':one': 1 },
      }),
    get: id => table.get({ TableName, Key: { PK: `User-${id}`, SK: 'Profile' }, ConsistentRead: true }),
    query: list =>
      table.query({
        TableName,
        KeyConditionExpression: 'PK = :list',
        ExpressionAttributeValues: { ':list': `List-${list}` },
        ConsistentRead: true,
      }),
    transact: items =>
      table.transactWrite({
        TransactItems: items.map(Item => ({
          Put: { TableName, Item, ConditionExpression: 'attribute_not_exists(PK)' },
        })),
      }),
    batch: items => table.batchWrite({ RequestItems: { [TableName]: items.map(Item => ({ PutRequest: { Item } })) } }),
    close,
  };
}
