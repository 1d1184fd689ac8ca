export { type EmbeddedTableOptions, type OpenTable, openEmbeddedTable } from './embedded.ts';
export { ConditionalCheckFailedError, TableError, TransactionCanceledError } from './errors.ts';
export { tableLimits } from './limits.ts';
export type { Answer, IndexSchema, KeyAttribute, Table, TableSchema, TableStreams } from './port.ts';
export { type ChangeRecord, changedAtMs, changedKey, changedKeyBytes, decodeChange } from './streams/change-record.ts';
export type { ChangeFeed, StoredChange } from './streams/table-changes.ts';
