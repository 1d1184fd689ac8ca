export { ledgerAlarm, type ShownImbalance } from './alarms.ts';
export type { AuditProgress, AuditResult } from './audit.ts';
export { type AccountedConsumer, Ledger, type LedgerOptions } from './ledger.ts';
export { ledgerLimits } from './limits.ts';
export {
  type LedgerQuestion,
  type LedgerRow,
  type LedgerSums,
  type LedgerTotals,
  ledgerRows,
  ledgerTotals,
} from './report.ts';
export type { CheckpointItem } from './shard-account.ts';
export { namesLieInTopics, thingOf } from './thing-names.ts';
