// The one table of the benchmark.
import type { TableSchema } from '../../src/platform/table/index.ts';

export const benchSchema = {
  tableName: 'bench',
  partitionKey: { name: 'PK', type: 'S' },
  sortKey: { name: 'SK', type: 'S' },
  indexes: [{ indexName: 'byCity', partitionKey: { name: 'City', type: 'S' }, sortKey: { name: 'Rank', type: 'S' } }],
} as const satisfies TableSchema;
