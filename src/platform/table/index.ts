export { awsTable } from './aws.ts';
export { type CallOptions, callOperation, operationNames } from './call.ts';
export { CloudMeter } from './capacity/cloud-meter.ts';
export { HotKeys } from './capacity/hot-keys.ts';
export { type CallRow, CapacityLedger, type HotPartition, type LedgerRow } from './capacity/ledger.ts';
export { type Meter, metersTogether } from './capacity/meter.ts';
export { onDemandPrices } from './capacity/prices.ts';
export { type DocumentClientOptions, documentClientOf } from './document-client.ts';
export { type EmbeddedTableOptions, type OpenTable, openEmbeddedTable, tableOn } from './embedded.ts';
export type { Door, Engine } from './engine.ts';
export {
  ConditionalCheckFailedError,
  isConditionFailure,
  rewordedRefusal,
  TableError,
  ThrottledError,
  TransactionCanceledError,
} from './errors.ts';
export { tableLimits } from './limits.ts';
export { noteTranslation } from './operations/translated.ts';
export type { Answer, IndexSchema, KeyAttribute, Table, TableAdmin, TableSchema, TableStreams } from './port.ts';
export { checkRequest, isOperation, type OperationName, wordingOf } from './requests/index.ts';
export type { LegacyCheck, Request as CheckedRequest, Wording } from './requests/shapes.ts';
export { checkValue, refusal as requestRefusal } from './requests/values.ts';
export { isAbove } from './requests/wire-order.ts';
export { type CheckReport, checkTables } from './storage/check-tables.ts';
export { rawEntry, rebuildIndexes, removeDamaged } from './storage/mend-tables.ts';
export { type EngineOptions, openEngine } from './storage/open-engine.ts';
export { upgradeStore } from './storage/upgrade.ts';
export { type IndexReport, verifyIndexes } from './storage/verify-indexes.ts';
export { changedAtMs } from './streams/change-record.ts';
export { type DocumentChange, readChange, readChangedKey, writeChange } from './streams/document-change.ts';
export type { ChangeFeed, StoredChange } from './streams/table-changes.ts';
export { creationOf, type TableCreation } from './transfer/creation.ts';
export { type Call, type ExportSource, openSource } from './transfer/export-source.ts';
export { type ExportOptions, type ExportProgress, exportTables } from './transfer/export-tables.ts';
export type { ExportContents } from './transfer/format.ts';
export { type ImportedTable, type ImportOptions, type ImportProgress, importTables } from './transfer/import-tables.ts';
export { openStoppedSnapshots } from './transfer/stopped-snapshots.ts';
export { documentFormat } from './values/document-format.ts';
export { wireFormat } from './values/wire-format.ts';
