export {
  type CheckpointClient,
  Checkpointer,
  type CheckpointerOptions,
  type CheckpointSource,
} from './checkpointer.ts';
export { Journal, type JournalOptions, type Receiver, type RetainedEffect, type Sender } from './journal.ts';
export type { JournalLog } from './journal-log.ts';
export { journalLimits } from './limits.ts';
export { type RecoveredJournal, type RecoverJournalOptions, recoverJournal } from './recovery.ts';
