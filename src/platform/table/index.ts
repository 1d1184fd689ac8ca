export { type EmbeddedTableOptions, openEmbeddedTable } from './embedded.ts';
export { ConditionalCheckFailedError, TableError, TransactionCanceledError } from './errors.ts';
export { tableLimits } from './limits.ts';
export type { Answer, IndexSchema, KeyAttribute, Table, TableSchema } from './port.ts';
