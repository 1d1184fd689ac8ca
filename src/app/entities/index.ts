export { allEntities, type WholeEntity } from './all-entities.ts';
export { appTable, expiryAttribute, indexName } from './app-table.ts';
export { Backfill, type BackfillProgress } from './backfill.ts';
export { calling } from './calling.ts';
export {
  type AccessPattern,
  type AttributesOf,
  defineEntity,
  type EntityDefinition,
  type EntityMap,
  type Related,
} from './definition.ts';
export { BatchIncompleteError, entityNotValid, ScanBudgetError, VersionConflictError } from './errors.ts';
export { patientTable } from './patient-table.ts';
export { entityOfRecord } from './records.ts';
export { entityIsThere, makeRepositories, type RepositoryOptions } from './repository.ts';
export type { ListOptions, Page, Repositories, Repository, Versioned } from './repository-types.ts';
export { schemaDocument } from './schema-document.ts';
export { type SchemaReport, schemaReport } from './schema-report.ts';
export { cancellationCodes, isThrottling } from './throttling.ts';
