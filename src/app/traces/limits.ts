import assert from 'node:assert/strict';
import { tableLimits } from '../../platform/table/index.ts';

export const traceLimits = {
  perSecondMax: 2_000, // ours: traces noted in a second; more are explained by the ledger alone
  failedPerSecondMax: 1_000, // ours: beyond them, of those that did not succeed
  pendingMax: 500, // ours: of one function; then they are stored
  storeAfterMs: 1_000, // ours: what is not stored is lost in a kill
  retentionMs: 24 * 3_600_000, // ours: as long as the stream keeps records by default
  bytesMax: 8 * 1024 * 1024, // ours, per function: some 300,000 traces
  retainEveryMs: 60_000, // ours
  chunksReadMax: 16, // ours: chunks that are looked through for one record
  effectsShown: 16, // ours
  textCharactersMax: 200, // ours: of an error or an effect
} as const;

assert(traceLimits.pendingMax * 4 * 1024 < 10 * tableLimits.itemBytesMax); // deflated, a chunk is an item
