import type { TableSchema } from '../../platform/table/index.ts';

/** Unix epoch seconds; what carries it is removed some time after that. */
export const expiryAttribute = 'RemoveAtSeconds';

/** The one table of an app, as every engine creates it. */
export const appTable = {
  tableName: 'app',
  partitionKey: { name: 'PK', type: 'S' },
  sortKey: { name: 'SK', type: 'S' },
  ttlAttribute: expiryAttribute,
  indexes: [{ indexName: 'GSI1', partitionKey: { name: 'SK', type: 'S' }, sortKey: { name: 'SortKey', type: 'S' } }],
} as const satisfies TableSchema;

/** The overloaded index. */
export const indexName = appTable.indexes[0].indexName;
