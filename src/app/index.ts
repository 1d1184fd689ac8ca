export type { Aggregate, AggregateDefinition } from './aggregates.ts';
export {
  type AnyContext,
  type AppFunctionReport,
  type FunctionsChoices,
  type Handler,
  handlerOf,
} from './app-functions.ts';
export { type CapacityReport, capacityReport, type PatternUse } from './capacity-report.ts';
export { findCommand } from './commands.ts';
export { consumerNames } from './consumers.ts';
export type { Announcement, AppContext, CommandResult, ContextOf, EntityChange, TelemetryEvent } from './context.ts';
export {
  type DeadLetter,
  DeadLetters,
  deadLetterLimits,
  type LetterCount,
  type LetterFilter,
  type LetterPage,
  type LetterSummary,
  payloadText,
  type RedriveRequest,
  type RedriveState,
  redriveLimits,
} from './dead-letters/index.ts';
export { type App, appLimits, defineApp } from './define-app.ts';
export {
  type AccessPattern,
  type AttributesOf,
  allEntities,
  appTable,
  Backfill,
  type BackfillProgress,
  BatchIncompleteError,
  defineEntity,
  type EntityDefinition,
  type EntityMap,
  entityIsThere,
  type ListOptions,
  type Page,
  ScanBudgetError,
  type SchemaReport,
  schemaDocument,
  schemaReport,
  VersionConflictError,
  type Versioned,
} from './entities/index.ts';
export { ApiError, notFound } from './errors.ts';
export {
  type ExplainedConsumer,
  type ExplainedMessage,
  Explainer,
  type Explanation,
  type MessageQuestion,
} from './explain/index.ts';
export { isolatedCalls, isolatedContexts, type Served } from './isolated-context.ts';
export {
  type AuditProgress,
  type AuditResult,
  Ledger,
  type LedgerQuestion,
  type LedgerRow,
  type LedgerTotals,
  ledgerRows,
  ledgerTotals,
  type ShownImbalance,
} from './ledger/index.ts';
export { type CommandMap, defineModel, type HttpMethod, type Model, type Route, type TelemetryMap } from './model.ts';
export { openApiOf, statusOf } from './openapi.ts';
export type { ParallelOptions, Settled } from './parallel.ts';
export { problemsOf } from './problems.ts';
export { type RecordedMessage, recordedMessage } from './recorded-messages.ts';
export { Runtime, type RuntimeOptions } from './runtime.ts';
export { tablesOf } from './table-changes.ts';
export { commandTopic, devicePolicy, telemetryTopic } from './topics.ts';
export type { Trace } from './traces/index.ts';
export { destinationRecord } from './triggers/direct.ts';
