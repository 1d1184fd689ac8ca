import assert from 'node:assert/strict';
import { streamLimits } from '../../../platform/stream/index.ts';

export const journalLimits = {
  segmentBytesMax: 16 * 1024 * 1024, // ours: what a finished checkpoint frees is freed in such pieces
  checkpointGrowthBytesMin: 32 * 1024 * 1024, // ours: below it, replaying the log is quicker than keeping it short
  checkpointGrowthFactor: 2, // ours: times the last checkpoint; writing state again costs half of what events cost
  stepBytesMax: 256 * 1024, // ours: of a checkpoint in one turn, one message or client over it; then others have theirs
  eventBytesMax: 64 * 1024 * 1024, // ours: one event over all its records, some 5,000,000 receivers of one message
  retryMs: 250, // ours: how often a batch is tried again while the disk is full
  replayChunkBytes: 4 * 1024 * 1024, // ours: of the log in memory at once during recovery
} as const;

assert(journalLimits.eventBytesMax <= streamLimits.pendingBytesMax); // one event can wait for the disk as a whole
